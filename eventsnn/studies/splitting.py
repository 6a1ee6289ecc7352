"""The margin of one image between two classes, split by what each layer did to it.

In clocked time a layer errs in how many spikes it sends, and in when (`surgery`). Let F be the
layers that send right spikes: the counts of the ideal staircase at the layer's own average input,
evenly spread. m(F) is then the margin of the whole network; m() is the network's own, and m(all)
that of the ANN with as many levels as there are steps. A layer's part depends on what the others
do, so it is taken twice:

from the SNN side   layers are set right one after another, from input to output: what the margin
                    gains with layer l is m(1..l) - m(1..l-1);
from the ANN side   all are right, and one after another errs again, from input to output: what the
                    margin loses with layer l is m(l..L) - m(l+1..L).

Either adds up to m(all) - m(), exactly, and so does their mean, which is the part. From the SNN
side it has two stages, right counts at kept times and then right times; on the ANN side a layer's
times have no effect, since an ideal layer counts charge alone.

In asynchronous time the order of arrival comes first: layer by layer, from input to output, the
layer sends what it sent in clocked time's place, and the margin's change is that layer's order
part. They add up to the margin of clocked time less the run's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.studies.equivalence import staircases
from eventsnn.studies.replacing import Replacing
from eventsnn.studies.setting import all_drives, engine_of, numbers_of, tops_of
from eventsnn.studies.trains import with_train
from eventsnn.trace.trace import Trace

TRIED = 600  # replacements of a layer, at most, in the exact search for the smallest set
DEEPEST = 4  # layers of a set whose runs are held for the next one
NEURONS = 64  # that are set right alone, at most


class Part(NamedTuple):
    """A layer's part in what is missing of the margin, in the readout's whole numbers.

    name: the layer's. order: twice the part of the order of arrival (0 in clocked time). counts:
    twice that of wrong counts. times: likewise, of wrong times; so means of two are whole numbers.
    from_snn, from_ann: counts and times together, from either side.
    """

    name: str
    order: int
    counts: int
    times: int
    from_snn: int
    from_ann: int


class Restored(NamedTuple):
    """The smallest set of layers that restores the class.

    names: of the layers; () where the class is not restored by all of them. exact: whether no
    smaller set does; else it was found by adding what helps most. tried: how many sets were.
    margin: what it gives, in the readout's whole numbers.
    """

    names: tuple[str, ...]
    exact: bool
    tried: int
    margin: int


class Wrong(NamedTuple):
    """A neuron whose count is wrong, set right alone.

    layer: its layer's name. neuron: its number there. own, ideal: what it fired, and should have.
    gain: what the margin gains, in the readout's whole numbers.
    """

    layer: str
    neuron: int
    own: int
    ideal: int
    gain: int


class Splitting:
    """One image in clocked time, whose layers can be set right.

    part: the image, as the network runs. right, wrong: the two classes. trace: of the run that is
    asked about, in asynchronous time; None: it is the clocked one.
    """

    def __init__(self, part: Replacing, right: int, wrong: int, trace: Trace | None = None) -> None:
        self.part = part
        self.simulation = part.simulation
        self.layers = numbers_of(self.simulation.network)
        self.right, self.wrong = right, wrong
        self.own = part.runs[0]
        self.injected = [] if trace is None else list(self._inject(trace))
        self.stack: list[tuple[tuple[str, ...], ClockedRun]] = []  # what sets begin with

    def margin_of(self, charge: NDArray[Any]) -> int:
        """The margin in a readout's charge [classes], in its whole numbers."""
        if len(charge) == 1:  # above 0 is class 1
            return int(charge[0]) * (1 if self.right else -1)
        return int(charge[self.right]) - int(charge[self.wrong])

    def margin(self, run: ClockedRun) -> int:
        """The margin of a run after its last step."""
        return self.margin_of(run.readout[-1])

    def restores(self, run: ClockedRun) -> bool:
        """Whether a run has the right class."""
        return int(classes_of(run.readout[-1])) == self.right

    def base(self, i: int) -> ClockedRun:
        """The run as it was asked about, good up to layer number i."""
        return self.injected[i] if self.injected else self.own

    def _inject(self, trace: Trace) -> Iterator[ClockedRun]:
        """Yields for each layer the run in which it and all before it send what the trace has."""
        network, steps = self.simulation.network, self.simulation.steps
        run, spikes = self.own, trace.spikes
        for i, layer in enumerate(network.spiking):
            here = spikes[spikes["layer"] == i]
            train = np.zeros((steps, layer.size), np.int64)
            np.add.at(train, (here["step"], here["neuron"]), here["sign"])
            before = with_train(self.simulation, run, i, train)
            run = self._go_on(before, i)
            yield run

    def _go_on(self, before: ClockedRun, i: int) -> ClockedRun:
        """The layers behind number i run on what is in `before`."""
        engine = engine_of(self.simulation)
        return engine.run(
            self.part.drives[0],
            mute=before.mute,
            given=i + 1,
            before=before,
            number=int(self.part.numbers[0]),
        )

    def _ideal(self, run: ClockedRun, i: int) -> NDArray[np.int64]:
        return self.part.counts([run], i, "ideal")

    def _set(self, run: ClockedRun, i: int, times: str) -> ClockedRun:
        return self.part.replace([run], i, self._ideal(run, i), times)[0]

    def parts(self) -> tuple[list[Part], int]:
        """(the part of each layer of neurons, from input to output; the margin with all right)."""
        before, run = self.margin(self.own), self.own
        counts, times = [], []
        for i in self.layers.values():
            kept = self.margin(self._set(run, i, "kept"))
            run = self._set(run, i, "even")
            counts.append(kept - before)
            times.append(self.margin(run) - kept)
            before = self.margin(run)
        from_ann = np.diff(self._from_ann())
        orders = self._orders()
        found = []
        for name, order, count, time, other in zip(self.layers, orders, counts, times, from_ann):
            found.append(Part(name, 2 * order, count - int(other), time, count + time, -int(other)))
        return found, before

    def _from_ann(self) -> list[int]:
        """m(l..L) for l = 1, 2, … and m() at last, by counts alone."""
        simulation, network = self.simulation, self.simulation.network
        drives = all_drives(simulation, self.part.pixels, self.part.numbers)
        totals, sent = simulation.resting + drives, self.own.sent[None]
        margins = []
        for first in [*self.layers.values(), len(network.spiking)]:
            readout = staircases(simulation, totals, tops_of(simulation), sent, first)[1]
            margins.append(self.margin_of(readout[0]))
        return margins

    def _orders(self) -> list[int]:
        """What the margin lost with each layer of neurons to the order of arrival."""
        if not self.injected:
            return [0] * len(self.layers)
        before, found = self.margin(self.own), []
        for i in self.layers.values():
            # a pool behind the layer passes on what comes
            after = self.margin(self.injected[i])
            found.append(before - after)
            before = after
        return found

    def restored(self) -> Restored:
        """The smallest set of layers that restores the class in clocked time."""
        names, tried, replaced = tuple(self.layers), 0, 0
        if not self.restores(self._with(names)):
            return Restored((), True, 1, self.margin(self._with(names)))
        for size in range(1, len(names) + 1):
            replaced += comb(len(names), size) * size
            if replaced > TRIED:
                return self._greedy(tried)
            sets = list(combinations(names, size))
            tried += len(sets)
            good = [each for each in sets if self.restores(self._with(each))]
            if good:
                best = max(good, key=lambda each: self.margin(self._with(each)))
                return Restored(best, True, tried, self.margin(self._with(best)))
        raise AssertionError("all layers restore the class")

    def _greedy(self, tried: int) -> Restored:
        """`restored` where there are too many sets: the layer that helps most, again and again."""
        chosen: tuple[str, ...] = ()
        while not self.restores(self._with(chosen)):
            further = [name for name in self.layers if name not in chosen]
            sets = [self._sorted((*chosen, name)) for name in further]
            tried += len(sets)
            chosen = max(sets, key=lambda each: self.margin(self._with(each)))
        return Restored(chosen, False, tried, self.margin(self._with(chosen)))

    def _sorted(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(names, key=lambda name: self.layers[name]))

    def _with(self, names: tuple[str, ...]) -> ClockedRun:
        """The run in which these layers are right, from input to output."""
        while self.stack and self.stack[-1][0] != names[: len(self.stack[-1][0])]:
            self.stack.pop()
        done, run = self.stack[-1] if self.stack else ((), self.own)
        for end in range(len(done) + 1, len(names) + 1):
            run = self._set(run, self.layers[names[end - 1]], "even")
            if end < DEEPEST:  # each holds all its spikes
                self.stack.append((names[:end], run))
        return run

    def neurons(self, names: Sequence[str]) -> tuple[list[Wrong], int]:
        """(the neurons of some layers that win most where they are set right alone, best first;
        how many have a wrong count).

        names: of the layers. At most NEURONS are tried, those that are most spikes off; kept times
        otherwise. Those that win nothing are left out.
        """
        candidates: list[tuple[int, str, int]] = []
        wanted = {}
        for name in names:
            i = self.layers[name]
            run = self.base(i)
            own, ideal = run.sent[self.simulation.network.columns(i)], self._ideal(run, i)[0]
            wanted[name] = own, ideal
            off = np.flatnonzero(own != ideal)
            candidates += [(-abs(int(own[n] - ideal[n])), name, int(n)) for n in off]
        candidates.sort(key=lambda each: each[0])  # of equals those of earlier layers come first
        found = []
        for _, name, n in candidates[:NEURONS]:
            i = self.layers[name]
            own, ideal = wanted[name]
            counts = own.copy()
            counts[n] = ideal[n]
            run = self.part.replace([self.base(i)], i, counts[None], "kept")[0]
            gain = self.margin(run) - self.margin(self.base(i))
            found.append(Wrong(name, n, int(own[n]), int(ideal[n]), gain))
        found.sort(key=lambda each: -each.gain)
        return [each for each in found if each.gain > 0], len(candidates)
