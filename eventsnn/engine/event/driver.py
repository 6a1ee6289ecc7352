"""Drives the event kernel through the steps of one image.

It makes room, hands records over, and says what went wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.decay import factors_of
from eventsnn.engine.drive import Shares
from eventsnn.engine.event import kernels as event
from eventsnn.engine.event import layout
from eventsnn.engine.event.calls import calls_of
from eventsnn.engine.event.core_arrays import (
    Served,
    core_arrays,
    grown,
    served,
    waiting_at_cores,
    with_classes,
)
from eventsnn.engine.event.cores import Cores
from eventsnn.engine.event.queue import (
    BEGAN,
    CHANGED,
    DELIVERED,
    FIFO_HEAD,
    FIFO_TAIL,
    HEAP,
    HEARD,
    INPUT,
    INPUT_END,
    INPUT_FROM,
    NOW,
    RECORDED,
    SCALARS,
    SPIKES,
    STAGE,
    STEP,
    TAKEN,
    UNDER_WAY,
    UNKEPT,
    longer,
    longer_fifo,
    longer_ring,
    queue_arrays,
    waiting,
)
from eventsnn.engine.event.ring import LINKED
from eventsnn.engine.overflow import Overflow
from eventsnn.engine.vectors import aligned
from eventsnn.neurons.contract import by_tick, is_dynamic, own_at_first

RECORDS = 2**15
MAX_WAITING = 2**24

# takes (spike_record, spike_potentials, delivery_record), see `layout.State`
Sink = Callable[[NDArray[np.int64], NDArray[Any], NDArray[np.int64]], None]


class StillFiring(RuntimeError):
    """The queue did not empty.

    message: what happened. step: in which, from 1. waiting: events in the queue. layers: numbers of
    those that still fire.
    """

    def __init__(self, message: str, step: int, waiting: int, layers: list[int]) -> None:
        super().__init__(message)
        self.step = step
        self.waiting = waiting
        self.layers = layers


class Crowded(StillFiring):
    """Events come faster than cores serve them.

    message, step, waiting: as in `StillFiring`. layers: the number of the busiest core's layer.
    """


class Unkept(ArithmeticError):
    """A model did what it must not do."""


class Early(ArithmeticError):
    """An order delivered a spike before it was sent."""


class EventRun:
    """One image in asynchronous time.

    A step is `rules.spread` short steps, a part of the drive each (semantics, section 12); without
    spread drive it is one. All that changes is in `state`, `begins_at` (the tick at which the next
    short step begins, or the one that the run is in), `starts` (int64 [T], of the steps so far, the
    ticks at which they began), `parts` (int64 [n T, 3], of each short step the tick at which it
    began, the events taken and the spikes fired before), `part` (the short step in its step),
    `inside` (whether its drive has arrived), `shares` (of the step's drive) and `readout` (the
    arithmetic's dtype [T, classes]); `snapshot` copies it.

    net: the network. neuron, order: NamedTuples, a model and a policy. rules: time's settings.
    band: where nothing happens. drive: the arithmetic's dtype [D, neurons], of the first
    `drive_steps` steps (None: of all). resting: v(0), the arithmetic's dtype [neurons]. steps: T.
    ticks: a step's length. mute: uint8 [neurons] (see State); None: none is. inputs: int64 [E, 4],
    input events by time: step, ticks after its start, input's number, sign; None: no events. sink:
    called with (spike_record, spike_potentials, delivery_record) whenever records are handed over.
    names: the layers', for messages. depths: of each spiking layer, for a model with two stages: it
    fires in that stage, of `steps` steps (semantics, section 13); (): there are none. leaks: in a
    step, of the potential and of each own state; (): nothing leaks. finer: bits that are 0 in each
    number of the drive.
    """

    def __init__(
        self,
        net: layout.EventTables,
        neuron: Any,
        order: Any,
        rules: layout.Rules,
        band: layout.Band,
        drive: NDArray[Any],
        resting: NDArray[Any],
        *,
        steps: int,
        ticks: int,
        drive_steps: int | None = None,
        mute: NDArray[np.uint8] | None = None,
        inputs: NDArray[np.int64] | None = None,
        sink: Sink | None = None,
        names: Sequence[str] = (),
        depths: Sequence[int] = (),
        leaks: Sequence[float] = (),
        finer: int = 0,
        counts_from: int = 0,
    ) -> None:
        self.net, self.neuron, self.order, self.rules, self.band = net, neuron, order, rules, band
        self.drive = drive
        self.steps = steps
        self.ticks = ticks
        self.sink = sink
        self.names = names
        self.depths = depths
        self.all_steps = steps * (max(depths) + 1) if depths else steps
        self.finer = finer
        self.counts_from = counts_from
        self.begins_at = 0
        self.drive_steps = steps if drive_steps is None else drive_steps
        size = len(resting)
        mute = np.zeros(size, np.uint8) if mute is None else mute
        self.inputs = np.zeros((0, 4), np.int64) if inputs is None else inputs
        self.state = _first_state(
            net, neuron, order, rules, band, resting, steps, mute, self.inputs, leaks, ticks
        )
        self.calls = calls_of(net, neuron, order, rules, band, self.state)
        classes = size - net.layers[net.readout, layout.L_FIRST]
        self.readout = np.zeros((steps, classes), resting.dtype)
        self.starts = np.zeros(self.all_steps, np.int64)
        self.parts = np.zeros((self.all_steps * rules.spread, 3), np.int64)
        self.part = 0
        self.inside = False
        self.shares: Shares | None = None

    @property
    def step_number(self) -> int:
        """Steps that are over, those of all stages."""
        return int(self.state.at[STEP] + self.state.at[STAGE])

    @property
    def served(self) -> Served | None:
        """What it says of its cores so far; None under another order."""
        if not isinstance(self.order, Cores):
            return None
        return served(self.net, self.state, self.begins_at, self.order.classes)

    def obey(self, order: Any, rules: layout.Rules) -> None:
        """Goes on in another order, by other rules. order: a policy. rules: time's settings."""
        self.order, self.rules = order, rules
        self.calls = calls_of(self.net, self.neuron, order, rules, self.band, self.state)

    def snapshot(self) -> EventRun:
        """A copy that can run on by itself, without a sink."""
        other = copy.copy(self)
        arrays: Iterable[Any] = self.state
        other.state = layout.State._make(array.copy() for array in arrays)
        other.readout = self.readout.copy()
        other.starts = self.starts.copy()
        other.parts = self.parts.copy()
        other.shares = copy.copy(self.shares)
        other.sink = None
        return other

    def run(self) -> EventRun:
        """Runs all steps that are left; returns self. Raises StillFiring or Overflow."""
        while self.step_number < self.all_steps:
            self.run_step()
        self.hand_over()
        return self

    def run_step(self) -> None:
        """Runs one step, or what is left of it: its drive, then its events.

        The readout is taken at its end. Raises StillFiring where the queue does not empty, and
        Overflow where a potential comes near the ends of its integers.
        """
        at, step = self.state.at, self.step_number
        stage, in_stage = divmod(step, self.steps)
        while self.part < self.rules.spread:
            end = self.begins_at + self.ticks // self.rules.spread
            if not self.inside:
                self._begin_part(step, stage, in_stage)
                self.inside = True
            self._run_part(stage, end)
            self.begins_at = max(end, int(at[NOW])) if self.rules.barrier else end
            self.part += 1
            self.inside = False
        if step == self.all_steps - 1 or not self.depths:
            self.readout[in_stage] = self.state.v[-self.readout.shape[1] :]
        self.part = 0
        at[STAGE], at[STEP] = divmod(step + 1, self.steps) if self.depths else (0, step + 1)
        at[STAGE] *= self.steps

    def _begin_part(self, step: int, stage: int, in_stage: int) -> None:
        """A short step begins: its input events are to come, and its part of the drive arrives."""
        at, state, begin = self.state.at, self.state, self.begins_at
        at[NOW] = begin
        if isinstance(self.order, Cores):
            self._keep_classes(step, begin)
        number = step * self.rules.spread + self.part
        self.parts[number] = begin, at[TAKEN], at[SPIKES]
        if not self.part:
            self.starts[step] = at[BEGAN] = begin
            if len(state.first_spike):
                state.first_spike[in_stage] = at[SPIKES]
        if not stage:
            at[INPUT_FROM] = begin - self.part * (self.ticks // self.rules.spread)
            at[INPUT], at[INPUT_END] = state.input_first[number : number + 2]
            at[UNDER_WAY] += at[INPUT_END] - at[INPUT]
        if step < self.drive_steps:
            self._advance(layout.DRIVE, self.part, self._share(step))

    def _keep_classes(self, step: int, begin: int) -> None:
        """Makes room for the readout's classes; they begin with the first step that counts."""
        self.state = with_classes(self.state)
        at, uncounted = self.state.at, self.state.uncounted
        if step == self.counts_from and not self.part:
            at[CHANGED], at[HEARD] = 0, begin
            uncounted[:] = self.readout[step - 1, : len(uncounted)] if step else 0

    def _share(self, step: int) -> NDArray[Any]:
        """The part of a step's drive that the run is at; the arithmetic's dtype [neurons]."""
        drive: NDArray[Any] = self.drive[min(step, len(self.drive) - 1)]
        if self.rules.spread == 1:
            return drive
        if not self.part:
            self.state.driven[:] = drive != 0
            self.shares = Shares(drive, self.rules.spread, self.finer)
        assert self.shares is not None
        return self.shares.next()

    def _run_part(self, stage: int, end: int) -> None:
        """Runs what is left of a short step. stage: of its step. end: the tick before which its
        events are due.
        """
        at = self.state.at
        if self.depths and not self.rules.clocked:
            for layer in self._firing(stage):
                self._advance(layout.EVALUATE, layer)
        if self.rules.clocked:
            self._advance(layout.EVENTS, end)  # the input's
            at[NOW] = end - 1
            for layer in self._firing(stage) if self.depths else range(self.net.readout):
                self._advance(layout.EVALUATE, layer)
                self._advance(layout.EVENTS, end)
        else:
            self._advance(layout.EVENTS, end)

    def _firing(self, stage: int) -> list[int]:
        """The layers whose turn it is in a stage, the pools behind them only in order clocked."""
        pools = self.net.pools
        return [
            layer
            for layer, depth in enumerate(self.depths)
            if depth == stage and (pools[layer] < 0 or self.rules.clocked)
        ]

    def _advance(self, task: int, argument: int, drive: NDArray[Any] | None = None) -> None:
        """Have the kernel do a task, with as much room as it asks for."""
        drive = self.drive[0] if drive is None else drive
        while True:
            code = event.advance(
                self.net, self.calls, self.rules, self.band, self.state, drive, task, argument
            )
            if code == layout.DONE:
                break
            if code == layout.FULL:
                self.hand_over()
                self._grow()
            elif code == layout.OVERFLOW:
                dtype, step = self.state.v.dtype, self.step_number + 1
                raise Overflow(f"a potential left the safe range of {dtype} in step {step}")
            elif code == layout.CROWDED:
                raise self._crowded(f"more than {self.order.most:,} events under way")
            elif code == layout.LATE:
                raise self._crowded("a service would end after 2^50 ticks")
            else:
                limit = f"max_events = {self.rules.max_events:,}"
                raise self._still_firing(f"the queue did not empty within {limit}")
        unkept, step = self.state.at[UNKEPT], self.step_number + 1
        if unkept == layout.NO_TICK:
            raise Unkept(f"when() gave a tick that is not after now, in step {step}")
        if unkept == layout.OVER_MOST:
            raise Unkept(f"emit() gave more spikes than most() says, in step {step}")
        if unkept == layout.EARLY:
            raise Early(f"place() gave a delay below 0, in step {step}")

    def _grow(self) -> None:
        """Make room in the queue for one more event to begin, and for one neuron to fire."""
        at, rules, later = self.state.at, self.rules, self.state.turn[LINKED]
        needed = rules.most_spikes * rules.most_parcels + rules.most_targets + 1
        due = at[FIFO_TAIL] - at[FIFO_HEAD]
        # half of it may be one neuron's, and yet it is to fire
        if later + at[HEAP] + due + min(needed, MAX_WAITING // 2) > MAX_WAITING:
            raise self._still_firing(f"more than {MAX_WAITING:,} events at once: firing multiplies")
        # all that is due later may come to be due at one tick
        needed += later
        while len(self.state.heap) - at[HEAP] < needed:
            self.state = self.state._replace(heap=longer(self.state.heap, at[HEAP]))
        while len(self.state.fifo) - due < needed:
            self.state = self.state._replace(fifo=longer_fifo(self.state.fifo, at))
        while self.state.ends.shape[1] - at[HEAP] < needed:
            self.state = longer_ring(self.state, rules.few_keys)
        if len(self.state.queues):
            self.state = grown(self.state, rules.most_spikes)

    def hand_over(self) -> None:
        """Gives what was recorded to the sink and empties the buffers."""
        at, state = self.state.at, self.state
        if self.sink and (at[RECORDED] or at[DELIVERED]):
            n = at[RECORDED]
            self.sink(
                state.spike_record[:n].copy(),
                state.spike_potentials[:n].copy(),
                state.delivery_record[: at[DELIVERED]].copy(),
            )
        at[RECORDED] = at[DELIVERED] = 0

    def _still_firing(self, what: str) -> StillFiring:
        """The error with what is known of the queue. what: went wrong."""
        state, net = self.state, self.net
        found = waiting(state)
        if len(state.queues):
            found = np.concatenate([found, waiting_at_cores(state)])
        firing: set[int] = set()
        for start in range(0, len(found), RECORDS):  # not all at once: they can be millions
            layers_of = found[start : start + RECORDS] >> layout.LAYER_BIT & layout.LAYERS
            firing.update(np.unique(layers_of).tolist())
        # the input's events wait, but do not fire
        layers = sorted(layer for layer in firing if layer <= net.readout)
        names = ", ".join(self.names[layer] if self.names else str(layer) for layer in layers)
        step, count = self.step_number + 1, len(found)
        message = f"{what} (step {step}, {count:,} events waiting; still firing: {names})"
        return StillFiring(message, step, count, layers)

    def _crowded(self, what: str) -> Crowded:
        """The error that names the busiest core. what: went wrong."""
        net, order, at = self.net, self.order, self.state.at
        found = served(net, self.state, int(at[NOW]), order.classes)
        # of equals the one for which most waits, as before anything was served
        busiest = int(np.lexsort((found.waiting, found.busy))[-1])
        name = self.names[busiest] if self.names else str(busiest)
        step, count = self.step_number + 1, int(found.waiting.sum())
        share = found.busy[busiest] / max(1, int(at[NOW]))
        message = (
            f"{what} (step {step}); the busiest core is {name}: "
            f"{share:.0%} of the time in service, {found.waiting[busiest]:,} of {count:,} events "
            "on their way to it"
        )
        return Crowded(message, step, count, [busiest])

    def __repr__(self) -> str:
        spikes = int(self.state.tallies[0].sum())
        return f"<EventRun: {self.step_number} of {self.all_steps} steps, {spikes:,} spikes>"


def _first_state(
    net: layout.EventTables,
    neuron: Any,
    order: Any,
    rules: layout.Rules,
    band: layout.Band,
    resting: NDArray[Any],
    steps: int,
    mute: NDArray[np.uint8],
    inputs: NDArray[np.int64],
    leaks: Sequence[float],
    ticks: int,
) -> layout.State:
    """The state before the first step; parameters as in `EventRun`."""
    layers = net.readout + 1
    size, dtype = len(resting), resting.dtype
    records = rules.most_spikes + RECORDS if rules.record else 0
    at_once = 2 * (rules.most_spikes * rules.most_parcels + rules.most_targets + 1)
    queue = queue_arrays(1 << int(max(1024, at_once)).bit_length(), rules.few_keys)
    v = aligned(size, dtype)
    v[:] = resting
    lows: NDArray[Any] | float = band.floor
    if band.low > band.floor:
        lows = aligned(size, dtype)
        lows[:] = band.floor
    dynamic = is_dynamic(type(neuron))
    has_when = hasattr(type(neuron), "when") and not rules.clocked
    own = own_at_first(neuron, size, dtype)
    words = (size + 63) // 64 if rules.group > 1 else 0
    return layout.State(
        at=np.zeros(SCALARS, np.int64),
        v=v,
        memory=np.zeros((size, 2), np.int32),
        lows=lows,
        rests_until=np.zeros(size if rules.refractory else 0, np.int64),
        window_end=np.full(size if rules.window else 0, -1),
        open_windows=np.zeros((size >> 6) + 1 if rules.window else 0, np.uint64),
        tallies=np.zeros((3, layers, steps), np.int64),
        digests=np.zeros((2, layers, steps), np.uint64),
        mute=mute,
        sums=np.zeros(net.sums, np.int64),
        inputs=np.ascontiguousarray(inputs[:, 1:]),
        input_first=_first_inputs(inputs, steps, ticks, rules.spread),
        driven=np.zeros(size if rules.spread > 1 else 0, np.uint8),
        causes=np.zeros(size if rules.group > 1 else 0, np.int64),
        marks=np.zeros(words + (words + 63) // 64, np.uint64),
        found=np.empty(2 * max(rules.most_targets, event.AT_ONCE), np.int64),
        **queue._asdict(),
        spike_record=np.empty((records, 7), np.int64),
        spike_potentials=np.zeros((records, 2 + 2 * own.shape[1]), dtype),
        delivery_record=np.empty((records, 5), np.int64),
        own=own,
        touched=np.zeros(size if leaks else 0, np.int64),
        due=np.full(size if has_when else 0, -1),
        factors=factors_of(leaks, ticks),
        first_spike=np.zeros(steps if dynamic else 0, np.int64),
        worths=np.zeros(size if by_tick(type(neuron)) else 0, np.int64),
        **core_arrays(net, order, dtype),
    )


def _first_inputs(
    inputs: NDArray[np.int64], steps: int, ticks: int, spread: int
) -> NDArray[np.int64]:
    """Where the input events of each short step begin, int64 [n T + 1]; parameters as above."""
    if not len(inputs):
        return np.zeros(steps * spread + 1, np.int64)
    part = inputs[:, 0] * spread + inputs[:, 1] // (ticks // spread)
    return np.searchsorted(part, np.arange(steps * spread + 1)).astype(np.int64)
