"""What a spike more would do to the margin: where a search looks first.

Derivatives of the margin by the spikes of each step, from the readout back to the first layer and
through all steps. Firing has no derivative; near a threshold it is taken to be a tent (surrogate
gradients, Neftci, Mostafa and Zenke 2019). So gains guide a search, and prove nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.driver import EventRun
from eventsnn.engine.event.layout import NET, SENT
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import most
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.arrivals import is_clocked

SINGLE = np.float32


class Steps(NamedTuple):
    """What a run was after each step, for `Gains`.

    p: the potential at which each neuron was evaluated, in q; net: net spikes before; sent: spikes
    of either sign in the step; float32 or int32 [T, all neurons].
    """

    p: NDArray[np.float32]
    net: NDArray[np.int32]
    sent: NDArray[np.int32]


def steps_of(run: EventRun, one: float) -> Steps:
    """Runs a run from its beginning to its end, and keeps its `Steps`.

    run: at its beginning; of a model that conserves. one: the charge q of a spike.
    """
    size = len(run.state.v)
    v = np.empty((run.steps, size), SINGLE)
    net, sent = (np.zeros((run.steps + 1, size), np.int32) for _ in range(2))
    for t in range(run.steps):
        run.run_step()
        v[t] = run.state.v
        net[t + 1] = run.state.memory[:, NET]
        sent[t + 1] = run.state.memory[:, SENT]
    run.hand_over()
    return Steps(v / SINGLE(one) + np.diff(net, axis=0), net[:-1], np.diff(sent, axis=0))


class Gains:
    """The gains of spikes in runs of one network; the maps back are made once.

    simulation: whose weights are taken; of a model that conserves. width: half of the tent's base,
    in q.
    """

    def __init__(self, simulation: Simulation, width: float = 1.0) -> None:
        self.simulation = simulation
        self.width = width
        network, self.one = simulation.network, float(simulation.arithmetic.one)
        self.back: dict[int, list[tuple[int, LinearMap, slice]]] = {}
        for p in network.projections:
            if p.source != INPUT or simulation.encoding.kind == "events":
                blocks = (simulation.blocks(p) / self.one).astype(SINGLE)
                found = turned(p.map, blocks), p.map.columns
                self.back.setdefault(p.source, []).append((p.target, *found))

    def of(self, steps: Steps, classes: NDArray[np.float64]) -> NDArray[np.float32]:
        """What one positive spike more adds to a margin: float32 [T, all neurons].

        steps: of the run. classes: float64 [classes], how the readout makes the margin.
        """
        return self._both(steps, classes)[0]

    def of_inputs(self, steps: Steps, classes: NDArray[np.float64]) -> NDArray[np.float32]:
        """What one positive input event more adds: float32 [T, inputs], inputs channels last.

        It counts in the margin's unit up to a factor. steps, classes: as in `of`.
        """
        _, charge = self._both(steps, classes)
        c, h, w = self.simulation.network.graph.input_shape
        return self._back(INPUT, charge, c * h * w)

    def _back(self, source: int, charge: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Of spikes of one layer, what their charge adds at all that hear it; [T, size]."""
        network = self.simulation.network
        found = np.zeros((len(charge), size), SINGLE)
        for target, back, columns in self.back.get(source, ()):
            grid = network.layers[target].grid
            its = charge[:, network.columns(target)]
            its = its.reshape(len(its), -1, grid[0])[..., columns]
            found += back(np.ascontiguousarray(its)).reshape(len(its), -1)
        return found

    def _both(
        self, steps: Steps, classes: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The gains of spikes, and of charge that arrives; float32 [T, all neurons]."""
        network = self.simulation.network
        found = np.zeros(steps.p.shape, SINGLE)  # of spikes
        charge = np.zeros(steps.p.shape, SINGLE)  # of charge that arrives, in q
        charge[:, network.columns(len(network.layers) - 1)] = classes
        for i in reversed(range(len(network.spiking))):
            here = network.columns(i)
            found[:, here] = self._back(i, charge, network.layers[i].size)
            if network.layers[i].pools:
                charge[:, here] = found[:, here]  # shared out alike, as a guess
            else:
                slopes = self._slopes(steps, i)
                charge[:, here] = through_time(found[:, here], slopes)
        return found, charge

    def _slopes(self, steps: Steps, i: int) -> NDArray[np.float32]:
        """Spikes more for a q more of charge, of each step and neuron of a layer.

        In asynchronous time a neuron that fires follows its charge, spike by spike.
        """
        neuron, here = self.simulation.neuron, self.simulation.network.columns(i)
        p, net = steps.p[:, here], steps.net[:, here]
        if not is_clocked(self.simulation):
            return (steps.sent[:, here] > 0).astype(SINGLE)
        low, high = neuron.band()
        slopes = np.zeros(p.shape, SINGLE)
        for k in range(int(most(neuron))):
            slopes += self._tent(p - SINGLE(high / self.one) - k)
        limits = getattr(neuron, "limits", None)
        if limits is not None:
            slopes *= net < limits[i]
        if low is not None:
            slopes += (net > 0) * self._tent(p - SINGLE(low / self.one))
        return slopes

    def _tent(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        width = SINGLE(self.width)
        return np.asarray(np.maximum(0, 1 - np.abs(x) / width) / width, SINGLE)


def through_time(gain: NDArray[np.float32], slopes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The gain of charge that arrives in each step, in q: float32 [T, neurons].

    What does not fire stays in the potential, for the steps to come; what fires is taken from it.

    gain: of a spike in each step. slopes: spikes for a q; float32 [T, neurons].
    """
    found = np.empty_like(gain)
    later = np.zeros(gain.shape[1], SINGLE)
    for t in reversed(range(len(gain))):
        found[t] = later = slopes[t] * gain[t] + later * (1 - slopes[t])
    return found


def turned(taps: LinearMap, blocks: NDArray[Any]) -> LinearMap:
    """The map from the targets back to the sources, with these blocks.

    Of a map that reaches some of its target's channels it takes these alone (`LinearMap.columns`).
    """
    order = np.lexsort((taps.r, taps.p))
    return replace(
        taps,
        sites=taps.sites[::-1],
        p=taps.r[order],
        r=taps.p[order],
        k=taps.k[order],
        weights=np.ascontiguousarray(blocks.swapaxes(2, 3)),
        factor=None,
        exists=None,
        at=0,
        total=0,
    )
