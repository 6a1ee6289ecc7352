"""The weights to the readout, and which class they make the largest, for intervals of counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT, Projection
from eventsnn.simulation.prepared import Prepared
from eventsnn.studies import intervals
from eventsnn.studies.intervals import Images, Spikes

MAX_DENSE = 2**25  # weights to the readout, as one matrix


def readout_of(simulation: Prepared) -> dict[int, NDArray[np.int64]]:
    """Layer number -> its weights to the readout as one matrix, int64 [neurons, classes].

    simulation: whose numbers they are in. Raises InputError for an output that is a map, and for
    too many weights.
    """
    network = simulation.network
    if is_map(network.graph):
        found = f"a map of {'x'.join(map(str, network.readout.grid))}"
        do = "certify networks that classify"
        raise InputError("readout", "an output of classes", found, do)
    weights: dict[int, NDArray[np.int64]] = {}
    for p in network.into(len(network.layers) - 1):
        if p.source == INPUT:
            continue
        size, classes = network.layers[p.source].size, network.readout.size
        if size * classes > MAX_DENSE:
            raise InputError(
                "readout",
                f"at most {MAX_DENSE:,} weights as one matrix",
                f"{size:,} x {classes:,}",
                "certify networks that classify",
            )
        weights[p.source] = matrix_of(simulation, p)
    return weights


def matrix_of(simulation: Prepared, projection: Projection) -> NDArray[np.int64]:
    """A projection's weights as one matrix, int64 [source neurons, neurons].

    simulation: whose numbers they are in.
    """
    blocks = simulation.blocks(projection).astype(np.float64)  # whole numbers below 2^53
    whole = replace(projection.map, weights=blocks, factor=None)
    return whole.dense().astype(np.int64)


class Readout:
    """Which class has the largest readout, whatever the counts are inside their intervals."""

    def __init__(self, simulation: Prepared) -> None:
        network = simulation.network
        self.layer = len(network.layers) - 1
        self.size = network.readout.size
        self.weights = readout_of(simulation)

    def classes(
        self, images: Images, sent: dict[int, Spikes], given_up: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """The class after each step, -1 where it is not certain: int64 [N, T].

        images: the ones meant. sent: layer number -> `Spikes`. given_up: bool [N, T], where no
        interval is known.
        """
        if self.size == 1:
            return self._signs(images, sent, given_up)
        # if any class is certain, it is that of any counts
        best = images.charge(self.layer, sent, "fewest", "fewest").argmax(axis=2)
        drive = np.cumsum(images.drive[self.layer], axis=1)
        for c in np.unique(best):
            at = best == c
            least = drive[at][:, [c]] - drive[at]
            for source, weights in self.weights.items():
                fewest, most = sent[source].fewest[at], sent[source].most[at]
                intervals.add_dense(weights[:, [c]] - weights, fewest, most, least)
            ahead = least >= (np.arange(least.shape[1]) < c)  # of equals the first wins
            best[at] = np.where(ahead.all(axis=1) & ~given_up[at], c, -1)
        return best

    def _signs(
        self, images: Images, sent: dict[int, Spikes], given_up: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """`classes` of one output, which is 1 where the charge is above 0, else 0."""
        drive = np.cumsum(images.drive[self.layer], axis=1)
        ends = []
        for sign in (1, -1):
            least = (sign * drive).reshape(-1, 1)
            for source, weights in self.weights.items():
                counts = (sent[source].fewest, sent[source].most)
                fewest, most = (its.reshape(-1, len(weights)) for its in counts)
                intervals.add_dense(sign * weights, fewest, most, least)
            ends.append(sign * least.reshape(given_up.shape))
        lowest, highest = ends
        found = np.where(lowest > 0, 1, np.where(highest <= 0, 0, -1))
        return np.where(given_up, -1, found)
