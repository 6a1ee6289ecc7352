"""Drives the event kernels through the steps of one image: makes room, hands records over, tells what went wrong."""
from __future__ import annotations

import numpy as np

from eventsnn.engine import event
from eventsnn.engine.queue import (
    DELIVERED,
    FIFO_HEAD,
    FIFO_TAIL,
    HEAP,
    NOW,
    RECORDED,
    SCALARS,
    SHORT,
    STEP,
    TAKEN,
    TIES,
    grown,
    queue_arrays,
)

RECORDS = 2**15


class TooManyEvents(RuntimeError):
    """The queue did not empty within max_events; the message names the layers still firing."""


class Overflow(ArithmeticError):
    """A potential came near the ends of its integers: the run must be repeated with wider ones."""


class EventRun:
    """One image in asynchronous time. All state is in `state`, `heap` and `fifo`; `copy` is a snapshot.

    net, out: tables. neuron, order: NamedTuples. rules: Rules. delays: int64 ticks by projection or
    neuron (or empty). band: Band. drive: [D, neurons]. resting: v(0). ticks: a step's length. sink: called
    with (spike_record, spike_potentials, delivery_record) whenever records are handed over.
    """

    def __init__(self, net, out, neuron, order, rules, delays, band, drive, resting, steps, ticks, sink=None):
        self.constants = net, out, neuron, order, rules, delays, band
        self.drive, self.steps, self.ticks, self.sink, self.start = drive, steps, ticks, sink, 0
        layers, size = len(net.sites), len(resting)
        records = rules.most_spikes + RECORDS if rules.record else 0
        self.state = event.State(
            np.zeros(SCALARS, np.int64), resting.copy(), np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64),
            np.full(size, -1), np.zeros((layers, steps), np.int64), np.zeros((layers, steps), np.int64),
            np.zeros((2, layers, steps), np.uint64), np.zeros((steps, net.channels[-1] * net.sites[-1]), resting.dtype),
            np.zeros((records, 7), np.int64), np.zeros((records, 2), resting.dtype), np.zeros((records, 5), np.int64))
        capacity = 1 << int(max(1024, 2 * (rules.most_spikes * rules.most_parcels_each + 1))).bit_length()
        self.heap, self.fifo = queue_arrays(capacity)

    @property
    def ties(self):
        return int(self.state.at[TIES])

    def run(self):
        """All steps that are left; returns self. Raises TooManyEvents or Overflow."""
        while self.state.at[STEP] < self.steps:
            self.step()
        self.hand_over()
        return self

    def step(self):
        """One step: its drive, then its events; the readout is taken at its end."""
        net, rules, at = self.constants[0], self.constants[4], self.state.at
        step, end = at[STEP], self.start + self.ticks
        at[NOW] = self.start
        self._call(event.begin_step, self.drive[min(step, len(self.drive) - 1)])
        if rules.clocked:
            at[NOW] = end - 1
            for layer in range(len(net.sites) - 1):
                self._call(event.evaluate_layer, layer)
                self._call(event.run_until, end)
        else:
            self._call(event.run_until, end)
        self.state.readout[step] = self.state.v[net.first_neuron[-2]:]
        self.start = max(end, int(at[NOW])) if rules.barrier else end
        at[STEP] = step + 1

    def _call(self, kernel, argument):
        while (code := kernel(*self.constants, self.state, self.heap, self.fifo, argument)) != event.DONE:
            if code == event.FULL:
                self.hand_over()
                self._grow()
            elif code == event.OVERFLOW:
                raise Overflow(f"a potential left the {self.state.v.dtype}'s safe range in step {self.state.at[STEP] + 1}")
            else:
                raise TooManyEvents(self._still_firing())
        if self.state.at[SHORT]:
            raise Overflow("one event brought more spikes than its bound")

    def _grow(self):
        rules, at = self.constants[4], self.state.at
        needed = rules.most_spikes * rules.most_parcels_each + 1
        while len(self.heap) - at[HEAP] < needed or len(self.fifo) - (at[FIFO_TAIL] - at[FIFO_HEAD]) < needed:
            self.heap, self.fifo = grown(self.heap, self.fifo, at)

    def hand_over(self):
        """Give what was recorded to the sink and empty the buffers."""
        at, state = self.state.at, self.state
        if self.sink and (at[RECORDED] or at[DELIVERED]):
            spikes, deliveries = at[RECORDED], at[DELIVERED]
            self.sink(state.spike_record[:spikes].copy(), state.spike_potentials[:spikes].copy(), state.delivery_record[:deliveries].copy())
        at[RECORDED] = at[DELIVERED] = 0

    def _still_firing(self):
        at, (net, out, *_), rules = self.state.at, self.constants, self.constants[4]
        waiting = np.concatenate([self.heap[:at[HEAP], 3], self.fifo[np.arange(at[FIFO_HEAD], at[FIFO_TAIL]) % len(self.fifo), 3]])
        layers = sorted({int(layer) for layer in out.layer_of[waiting >> 25]})
        return (f"the queue did not empty within {rules.max_events:,} events (step {at[STEP] + 1}, {len(waiting):,} more waiting; "
                f"{at[TAKEN]:,} taken); still firing: layers {layers}")
