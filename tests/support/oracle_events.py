"""The oracle in asynchronous time (semantics, section 5): one queue, one event after the other."""

import heapq
from dataclasses import dataclass
from typing import NamedTuple

from support.oracle import Run

INPUT_EVENT, SPIKE, END = 0, 1, 2  # what comes first within a tick, after drive
HALVES = ("excitatory_first", "inhibitory_first")


@dataclass
class Time:
    """Times in ticks. order: a name. delay: (spike's number, cell, target layer) -> ticks. split:
    whether each target layer has a delay of its own. ranks: hashes of numbers: of a spike's number
    under order "priority", which compares them; of the number of events before under "random".
    """

    ticks: int = 1024
    order: str = "fifo"
    barrier: bool = True
    refractory: int = 0
    window: int = 0
    delay: object = None
    split: bool = False
    ranks: object = None


class Delivery(NamedTuple):
    """What a spike, a part of it or an input event brings. number: the spike's, or -1."""

    number: int
    pre: object
    synapses: list
    sign: int


class Events(Run):
    """One image in asynchronous time."""

    def run(self, time):
        """The whole run; time: a `Time`."""
        self.time = time
        self.queue, self.pushed, self.waiting = [], 0, 0
        self.came, self.lists = 0, {}  # events so far; tick -> deliveries, under order "random"
        begin, last = 0, 0
        for step in range(1, self.steps + 1):
            self.step = step
            if step > 1:
                begin += time.ticks
                if time.barrier:
                    begin = max(begin, last)
            self._begin(begin)
            while self.queue:
                tick = self.queue[0][0]
                end = begin + time.ticks
                if time.barrier:  # what waits keeps the step open; ends of rests do not
                    if not self.waiting and tick >= max(end, last):
                        break
                elif tick >= end:
                    break
                tick, kind, _, _, what = heapq.heappop(self.queue)
                if kind == SPIKE and time.order == "random":
                    what = self._any_of(self.lists[tick])
                if kind != END:
                    self.came += 1
                    self._deliver(tick, what)
                elif not self._end(tick, *what):
                    continue
                last = tick
            self.end_step()
        return self

    def _push(self, tick, kind, key, what, waits=True):
        """Queues an event. waits: whether it keeps a step open."""
        self.pushed += 1
        self.waiting += waits
        heapq.heappush(self.queue, (tick, kind, key, self.pushed, what))

    def _begin(self, tick):
        """Drive, layers in topological order; the step's input events are queued."""
        for step, after, synapses, sign in self.events:
            if step == self.step:
                self._push(tick + after, INPUT_EVENT, (), Delivery(-1, None, synapses, sign))
        drive = self.drive(self.step)
        if drive is None:
            return
        self.moved = self.step if any(drive.values()) else self.moved
        self.cause = -1
        for row in self.rows:
            for body in row:
                if body.cell.kind != "pools":
                    self._arrive(body, drive.get(id(body.cell), self.zero), tick)

    def _deliver(self, tick, what):
        self.waiting -= 1
        self.cause = what.number
        for synapse in what.synapses:
            self.operate(synapse)
            body = self.bodies[id(synapse.post)]
            self.moved = self.step
            if body.cell.kind == "pools":
                for sign, member in self.pool(body, what.pre, what.sign):
                    self._emit(body, sign, member, tick)
            else:
                self._arrive(body, what.sign * synapse.weight, tick)

    def _end(self, tick, body, ends):
        """The end of a rest or a window, unless the neuron was evaluated in between: whether it is
        one. A window that ends in a rest stays open until the rest's end.
        """
        if tick != (body.window if ends == "window" else body.rests):
            return False
        self.came += 1
        if tick < body.rests:
            self._close(body)
            self._open(body, body.rests)
        else:
            self.cause = -1
            self._evaluate(body, tick)
        return True

    def _open(self, body, until):
        """An open window keeps the step open."""
        body.window = until
        self.waiting += 1
        place = body.cell.layer, body.cell.number
        self._push(until, END, place, (body, "window"), waits=False)

    def _close(self, body):
        self.waiting -= body.window >= 0
        body.window = -1

    def _arrive(self, body, charge, tick):
        self._touch(body, tick)
        body.v += charge
        if body.cell.kind == "adds":
            return
        if self.time.window:
            if body.window < 0:
                self._open(body, tick + self.time.window)
        elif tick >= body.rests:
            self._evaluate(body, tick)

    def _touch(self, body, tick):
        self.touch(body, tick - body.touched, self.time.ticks)
        body.touched = tick

    def _evaluate(self, body, tick):
        """Fires as the model says, again and again; once where there is a refractory period."""
        self._touch(body, tick)
        self._close(body)
        while True:
            count, sent = self.fire(body)
            for sign, member in sent:
                self._emit(body, sign, member, tick)
            if not count:
                return
            if self.time.refractory:
                body.rests = tick + self.time.refractory
                place = body.cell.layer, body.cell.number
                self._push(body.rests, END, place, (body, "rest"), waits=False)
                return

    def _emit(self, body, sign, member, tick):
        number = len(self.spikes)
        self.note(body, sign, member, tick)
        for key, layer, synapses in self._parcels(body.cell, sign, number):
            delay = self.time.delay(number, body.cell, layer) if self.time.delay else 0
            delivery = Delivery(number, body.cell, synapses, sign)
            if self.time.order == "random":
                self.lists.setdefault(tick + delay, []).append(delivery)
            self._push(tick + delay, SPIKE, key, delivery)

    def _any_of(self, waiting):
        """One of a tick's deliveries, any; the last takes its place (semantics, section 12)."""
        place = self.time.ranks(self.came) * len(waiting) >> 64
        found = waiting[place]
        waiting[place] = waiting[-1]
        del waiting[-1]
        return found

    def _parcels(self, cell, sign, number):
        """(key, target layer, synapses) of each part of a spike that is delivered on its own."""
        order = self.time.order
        # an event for each projection of the layer, also where this neuron has no synapse in it
        cells = self.net.layers[cell.layer]
        layers = sorted({synapse.post.layer for one in cells for synapse in one.synapses})
        if order in HALVES:
            parcels = {(layer, waits): [] for layer in layers for waits in (False, True)}
            for synapse in cell.synapses:
                inhibits = synapse.weight * sign < 0
                waits = inhibits == (order == "excitatory_first")
                parcels[synapse.post.layer, waits].append(synapse)
            return [((*key, number), key[0], parcels[key]) for key in sorted(parcels)]
        key = (number,)
        if order == "lifo":
            key = (-cell.layer, -number)
        elif order == "index":
            key = (cell.layer, cell.number, number)
        elif order == "priority":
            key = (self.time.ranks(number),)
        if not self.time.split:
            return [(key, None, cell.synapses)]
        return [
            (key, layer, [s for s in cell.synapses if s.post.layer == layer]) for layer in layers
        ]
