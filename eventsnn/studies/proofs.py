"""What is proven of one image within budgets of moved spikes: which class is certain, and how far.

It is what `budgets` goes through image by image.
"""

from __future__ import annotations

import time as clock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, named
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import intervals
from eventsnn.studies.intervals import Spikes
from eventsnn.studies.late import Late
from eventsnn.studies.moments import Moments
from eventsnn.studies.setting import check_exact
from eventsnn.studies.stages import TooMany, Whole
from eventsnn.studies.to_readout import readout_of
from eventsnn.values import shown

STUDY = "budgets"
ORDERS = ("fifo", "cores", "clocked")
EVERY = "every"  # of budgets: all deliveries


def check_order(order: Any) -> None:
    """Raises InputError for an order in which nothing is proven. order: of the free layers."""
    if not isinstance(order, str) or order not in ORDERS:
        raise InputError(named("order"), f"one of {', '.join(ORDERS)}", shown(order))


def order_of(simulation: Simulation) -> str:
    """The order of the free layers: that of the run; in clocked time it is "clocked".

    simulation: that is meant. Raises InputError for another than those of ORDERS, and where
    deliveries take time.
    """
    if not simulation.engine.asynchronous:
        return "clocked"
    time = simulation.time
    check_order(time.order)
    slow = time.delays is not None or any(time.service) or time.latency
    if slow or time.arbitration != Time.arbitration:
        expected, do = "deliveries that take no time", "leave it out"
        raise InputError(STUDY, expected, "delays, or options of cores", do)
    return str(time.order)


class Proofs:
    """The proofs of images, one after the other.

    simulation: that is meant, in the order of its free layers (`order_of`). last: how many layers,
    the last ones, are free.

    Raises InputError for a simulation in which nothing is proven (`order_of`, `Late`, `Moments`),
    and for more layers than there are.
    """

    def __init__(self, simulation: Simulation, last: int) -> None:
        check_exact(simulation, STUDY)
        intervals.check(simulation)
        self.simulation, self.order = simulation, order_of(simulation)
        layers = len(simulation.network.spiking)
        if last > layers:
            raise InputError("last", f"at most the {layers} layers that there are", last)
        self.way: Late | Moments
        if self.order == "clocked":
            self.way = Late(simulation, layers - last)
        else:
            self.way = Moments(simulation, layers - last, self.order)
        self.weights = intervals.weights_of(simulation)
        readout = readout_of(simulation)
        self.readout = {i: np.stack([_pair(row) for row in its]) for i, its in readout.items()}

    def image(self, pixels: NDArray[Any], number: int) -> Proof:
        """What is proven of one image. pixels: raw, [C, H, W]. number: the image's."""
        numbers = np.array([number])
        its = intervals.Images(self.simulation, pixels[None], numbers, self.weights)
        return Proof(self, its)

    def __repr__(self) -> str:
        return f"<Proofs in order {self.order}>"


class Proof:
    """One image. proofs: of the study. its: the image alone.

    predicted: the class with nothing moved.
    """

    def __init__(self, proofs: Proofs, its: intervals.Images) -> None:
        self.proofs, self.its = proofs, its
        self.drive = _pair(its.drive[-1][0].sum(axis=0))
        self.known = proofs.way.known(its)
        sent = proofs.way.ends(its, self.known, 0)
        charge = self.drive.copy()
        for source, weights in proofs.readout.items():
            charge += sent[source].fewest[0, -1] @ weights
        self.predicted = int(charge.argmax())

    def certain(self, moved: int | str) -> tuple[int, float, float, float]:
        """(class or -1, least margin, mean width of the last layer, seconds) within a budget.

        moved: m, or EVERY.
        """
        began, c = clock.perf_counter(), self.predicted
        try:
            most = None if isinstance(moved, str) else moved
            sent = self.proofs.way.ends(self.its, self.known, most)
        except TooMany:
            return -1, -np.inf, np.nan, clock.perf_counter() - began
        leads = self._leads(sent)
        others = np.arange(len(leads)) != c
        # of equals the first wins
        certain = bool((leads >= (np.arange(len(leads)) < c))[others].all())
        simulation = self.proofs.simulation
        least = float(simulation.output(leads[others].min(), simulation.steps))
        last = sent[max(sent)]
        width = float((last.most[0, -1] - last.fewest[0, -1]).mean())
        return (c if certain else -1), least, width, clock.perf_counter() - began

    def largest(self, most: int) -> int:
        """The largest budget within which the class is certain; 0: none. most: that is tried.

        Where m is certain every lesser budget is, so it is sought by doubling and halving.
        """
        low, high = 0, 1
        while high <= most and self.certain(high)[0] >= 0:
            low, high = high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            if self.certain(middle)[0] >= 0:
                low = middle
            else:
                high = middle
        return low

    def _leads(self, sent: dict[int, Spikes]) -> Whole:
        """The least that the predicted class's charge is above each class's, int64 [classes]."""
        c = self.predicted
        leads = self.drive[c] - self.drive
        for source, weights in self.proofs.readout.items():
            ahead = weights[:, [c]] - weights
            low, high = sent[source].fewest[0, -1], sent[source].most[0, -1]
            leads = leads + low @ np.maximum(ahead, 0) + high @ np.minimum(ahead, 0)
        return leads


def _pair(charge: Whole) -> Whole:
    """Charges of classes; of one output alone 0 for class 0 beside it, as it is 1 above 0."""
    return charge if len(charge) > 1 else np.array([0, charge[0]])
