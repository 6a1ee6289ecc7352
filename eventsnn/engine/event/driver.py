"""Drives the event kernel through the steps of one image: makes room, hands records over, tells
what went wrong.
"""

from __future__ import annotations

import copy

import numpy as np

from eventsnn.engine.event import kernels as event
from eventsnn.engine.event import layout
from eventsnn.engine.event.queue import (
    BEGAN,
    DELIVERED,
    F_WHAT,
    FIFO_HEAD,
    FIFO_TAIL,
    HEAP,
    INPUT,
    INPUT_END,
    NOW,
    RECORDED,
    SCALARS,
    SHORT,
    STEP,
    UNDER_WAY,
    WHAT,
    longer_fifo,
    longer_heap,
    queue_arrays,
)
from eventsnn.engine.jit import specialised
from eventsnn.engine.vectors import aligned

RECORDS = 2**15
MAX_WAITING = 2**24


class StillFiring(RuntimeError):
    """The queue did not empty. step: in which, from 1. waiting: events in the queue. layers:
    numbers of those that still fire.
    """

    def __init__(self, message, step, waiting, layers):
        super().__init__(message)
        self.step, self.waiting, self.layers = step, waiting, layers


class Overflow(ArithmeticError):
    """A potential came near the ends of its integers: the run must be repeated with wider ones."""


class EventRun:
    """One image in asynchronous time. All that changes is in `state`, `start` (the tick at which
    the next step begins, or the one that the run is in), `starts` (those of the steps so far),
    `inside` (whether its drive has arrived) and `readout`; `snapshot` copies it.

    net: EventTables. neuron, order: NamedTuples. rules: Rules. delays: int64 ticks by projection or
    neuron (or empty). band: Band. drive: [D, neurons], of the first `drive_steps` steps (None: of
    all). resting: v(0). ticks: a step's length. mute: uint8 [neurons] (see State). inputs: int64
    [E, 4], input events by time: step, ticks after its start, input's number, sign. sink: called
    with (spike_record, spike_potentials, delivery_record) whenever records are handed over. names:
    the layers', for messages.
    """

    def __init__(
        self,
        net,
        neuron,
        order,
        rules,
        delays,
        band,
        drive,
        resting,
        *,
        steps,
        ticks,
        drive_steps=None,
        mute=None,
        inputs=None,
        sink=None,
        names=(),
    ):
        self.constants = net, neuron, order, rules, delays, band
        self.rules, self.drive, self.steps, self.ticks, self.sink, self.names, self.start = (
            rules,
            drive,
            steps,
            ticks,
            sink,
            names,
            0,
        )
        self.drive_steps = steps if drive_steps is None else drive_steps
        self.advance = specialised(event.advance, neuron, order)
        layers, size = net.readout + 1, len(resting)
        mute = np.zeros(size, np.uint8) if mute is None else mute
        self.inputs = inputs = np.zeros((0, 4), np.int64) if inputs is None else inputs
        records = rules.most_spikes + RECORDS if rules.record else 0
        capacity = (
            1 << int(max(1024, 2 * (rules.most_spikes * rules.most_parcels + 1))).bit_length()
        )
        v, lows = aligned(size, resting.dtype), band.floor
        v[:] = resting
        if band.low > band.floor:
            lows = aligned(size, resting.dtype)
            lows[:] = band.floor
        self.state = layout.State(
            np.zeros(SCALARS, np.int64),
            v,
            np.zeros((size, 2), np.int32),
            lows,
            np.zeros(size if rules.refractory else 0, np.int64),
            np.full(size if rules.window else 0, -1),
            np.zeros((3, layers, steps), np.int64),
            np.zeros((2, layers, steps), np.uint64),
            mute,
            np.zeros(net.sums, np.int64),
            np.ascontiguousarray(inputs[:, 1:]),
            np.searchsorted(inputs[:, 0], np.arange(steps + 1)).astype(np.int64),
            np.empty(2 * rules.most_spikes, np.int64),
            *queue_arrays(capacity),
            np.empty((records, 7), np.int64),
            np.empty((records, 2), resting.dtype),
            np.empty((records, 5), np.int64),
        )
        self.readout = np.zeros(
            (steps, size - net.layers[net.readout, layout.L_FIRST]), resting.dtype
        )
        self.starts, self.inside = np.zeros(steps, np.int64), False

    @property
    def step_number(self):
        """Steps that are over."""
        return int(self.state.at[STEP])

    def snapshot(self):
        """A copy that can run on by itself, without a sink."""
        other = copy.copy(self)
        other.state = layout.State(*(array.copy() for array in self.state))
        other.readout, other.starts, other.sink = self.readout.copy(), self.starts.copy(), None
        return other

    def run(self):
        """All steps that are left; returns self. Raises StillFiring or Overflow."""
        while self.step_number < self.steps:
            self.run_step()
        self.hand_over()
        return self

    def run_step(self):
        """One step, or what is left of it: its drive, then its events; the readout is taken at its
        end.
        """
        at, step, end = self.state.at, self.step_number, self.start + self.ticks
        if not self.inside:
            self.starts[step] = at[NOW] = self.start
            at[BEGAN] = self.start
            at[INPUT], at[INPUT_END] = self.state.input_first[step : step + 2]
            at[UNDER_WAY] += at[INPUT_END] - at[INPUT]
            if step < self.drive_steps:
                self._advance(layout.DRIVE, 0, self.drive[min(step, len(self.drive) - 1)])
            self.inside = True
        if self.rules.clocked:
            self._advance(layout.EVENTS, end)  # the input's
            at[NOW] = end - 1
            for layer in range(self.constants[0].readout):
                self._advance(layout.EVALUATE, layer)
                self._advance(layout.EVENTS, end)
        else:
            self._advance(layout.EVENTS, end)
        self.readout[step] = self.state.v[-self.readout.shape[1] :]
        self.start = max(end, int(at[NOW])) if self.rules.barrier else end
        at[STEP], self.inside = step + 1, False

    def _advance(self, task, argument, drive=None):
        drive = self.drive[0] if drive is None else drive
        while (
            code := self.advance(*self.constants, self.state, drive, task, argument)
        ) != layout.DONE:
            if code == layout.FULL:
                self.hand_over()
                self._grow()
            elif code == layout.OVERFLOW:
                raise Overflow(
                    f"a potential left the safe range of {self.state.v.dtype} in step {self.step_number + 1}"
                )
            else:
                raise self._still_firing(
                    f"the queue did not empty within max_events = {self.rules.max_events:,}"
                )
        if self.state.at[SHORT]:
            raise Overflow(
                f"an event in step {self.step_number + 1} brought more spikes than its bound"
            )

    def _grow(self):
        at, needed = self.state.at, self.rules.most_spikes * self.rules.most_parcels + 1
        if at[HEAP] + at[FIFO_TAIL] - at[FIFO_HEAD] > MAX_WAITING:
            raise self._still_firing(f"more than {MAX_WAITING:,} events wait: firing multiplies")
        while len(self.state.heap) - at[HEAP] < needed:
            self.state = self.state._replace(heap=longer_heap(self.state.heap, at))
        while len(self.state.fifo) - (at[FIFO_TAIL] - at[FIFO_HEAD]) < needed:
            self.state = self.state._replace(fifo=longer_fifo(self.state.fifo, at))

    def hand_over(self):
        """Give what was recorded to the sink and empty the buffers."""
        at, state = self.state.at, self.state
        if self.sink and (at[RECORDED] or at[DELIVERED]):
            n = at[RECORDED]
            self.sink(
                state.spike_record[:n].copy(),
                state.spike_potentials[:n].copy(),
                state.delivery_record[: at[DELIVERED]].copy(),
            )
        at[RECORDED] = at[DELIVERED] = 0

    def _still_firing(self, what):
        at, state, net = self.state.at, self.state, self.constants[0]
        in_fifo = state.fifo[np.arange(at[FIFO_HEAD], at[FIFO_TAIL]) % len(state.fifo), F_WHAT]
        waiting = np.concatenate([state.heap[: at[HEAP], WHAT], in_fifo])
        layers = np.unique((waiting >> layout.LAYER_BIT) & layout.LAYERS)
        layers = layers[layers <= net.readout]  # the input's events wait, but do not fire
        names = ", ".join(self.names[layer] if self.names else str(layer) for layer in layers)
        step = self.step_number + 1
        return StillFiring(
            f"{what} (step {step}, {len(waiting):,} events waiting; still firing: {names})",
            step,
            len(waiting),
            layers.tolist(),
        )
