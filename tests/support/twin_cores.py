"""The naive twin under cores (semantics, section 12): written from the text, one thing at a time.

`run_cores` is `twin.run_async` of the order `cores`. A core is a target layer; what it serves is
one spike on its way to that layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from support.twin import (
    TICKS_PER_STEP,
    TPP,
    Delivery,
    InputEvent,
    Ledger,
    Parcel,
    _Run,
    fifo,
    spike_hash,
    spread_parts,
)

ARBITRATIONS = ("fifo", "index", "round_robin", "random")


class Event(NamedTuple):
    """A spike on its way to one target layer. emitted: its place among all events."""

    spike: object
    projections: tuple[int, ...]
    emitted: int


@dataclass
class Core:
    """A core. queue: its events, in the order in which they arrived. serves: the event in service,
    or None. ends: the tick at which its service ends. last: the source layer served last.

    busy: ticks. longest: the longest queue there was. choices: (tick, spike's seq) of each choice.
    """

    queue: list = field(default_factory=list)
    serves: Event | None = None
    ends: int | None = None
    last: int = -1
    busy: int = 0
    longest: int = 0
    choices: list = field(default_factory=list)


class _Cores(_Run):
    """A run whose spikes wait for cores."""

    def __init__(self, net, book, refractory, max_events, service, latency, arbitration, seeds):
        super().__init__(net, book, fifo, refractory, 0, None, max_events, 1)
        self.fixed, self.each = service
        self.latency = latency
        self.arbitration = arbitration
        self.seed, self.image = seeds
        self.cores = [Core() for _ in net.layers]
        self.coming = []  # (tick of arrival, event), in the order of emission
        self.emitted = 0
        self.ticks_of = []  # of each delivery, the tick
        self.classes = []  # (tick, class of the readout at its end), rising

    def targets(self, layer):
        return sorted({self.net.projections[k].target for k in self.net.outgoing(layer)})

    def send(self, spike):
        """One event for each target layer."""
        for target in self.targets(spike.layer):
            over = tuple(
                k
                for k in self.net.outgoing(spike.layer)
                if self.net.projections[k].target == target
            )
            self.coming.append((self.now + self.latency, Event(spike, over, self.emitted)))
            self.emitted += 1

    def target(self, event):
        return self.net.projections[event.projections[0]].target

    def service(self, event):
        """a + b * (weights that the event touches; none for a pool)."""
        target = self.target(event)
        touched = 0
        if not self.net.layers[target].pool:
            for k in event.projections:
                touched += sum(bool(row[event.spike.neuron]) for row in self.book.masks[k])
        return self.fixed + self.each * touched

    def choose(self, core):
        """Takes the next event out of a core's queue."""
        queue = core.queue
        if self.arbitration == "random":
            h = spike_hash(self.seed, self.image, self.counted)
            place = h * len(queue) >> 64
            event, queue[place] = queue[place], queue[-1]
            queue.pop()
            return event
        if self.arbitration == "index":

            def key(event):
                return event.spike.layer, event.spike.neuron, event.emitted

            event = min(queue, key=key)
        elif self.arbitration == "round_robin":
            sources = sorted({event.spike.layer for event in queue})
            later = [source for source in sources if source > core.last]
            core.last = (later or sources)[0]
            event = next(event for event in queue if event.spike.layer == core.last)
        else:
            event = queue[0]
        queue.remove(event)
        return event

    def happens(self):
        """Does the first of what can happen at this tick; False if nothing can."""
        for core in self.cores:
            if core.serves is not None and core.ends == self.now:
                event, core.serves = core.serves, None
                self.taken += 1
                delay = self.now - event.spike.tick
                self.ticks_of.append(self.now)
                self.bring(event.spike, Parcel(delay, 0, event.projections))
                return True
        arrived = [entry for entry in self.coming if entry[0] == self.now]
        if arrived:
            entry = min(arrived, key=lambda entry: (self.target(entry[1]), entry[1].emitted))
            self.coming.remove(entry)
            core = self.cores[self.target(entry[1])]
            core.queue.append(entry[1])
            core.longest = max(core.longest, len(core.queue))
            return True
        for core in self.cores:
            if core.serves is None and core.queue:
                event = self.choose(core)
                self.counted += 1
                core.serves = event
                core.ends = self.now + self.service(event)
                core.busy += self.service(event)
                core.choices.append((self.now, event.spike.seq))
                return True
        return False

    def can_happen_now(self):
        return any(
            (core.serves is not None and core.ends == self.now)
            or (core.serves is None and core.queue)
            for core in self.cores
        ) or any(tick == self.now for tick, _ in self.coming)

    def next_tick(self):
        """The tick at which anything happens next, or None."""
        ticks = [entry[0] for entry in self.queue] + [tick for tick, _ in self.coming]
        ticks += [core.ends for core in self.cores if core.serves is not None]
        if self.can_happen_now():
            ticks.append(self.now)
        return min(ticks, default=None)

    def take(self):
        """One thing that happens at the tick that is next: input events, cores, ends of rests."""
        self.go_on_to(self.next_tick())
        first = self.queue[0] if self.queue and self.queue[0][0] == self.now else None
        if first is not None and isinstance(first[-1], InputEvent):
            super().take()
        elif not self.happens():
            super().take()

    def go_on_to(self, tick):
        if tick > self.now:
            self.tell_class()
        self.now = tick

    def tell_class(self):
        charge = self.book.arrived[self.net.readout]
        if len(charge) == 1:
            found = int(charge[0] > 0)
        else:
            found = charge.index(max(charge))
        self.classes.append((self.now, found))

    def is_under_way(self):
        waiting = any(core.queue or core.serves is not None for core in self.cores)
        return waiting or bool(self.coming) or super().is_under_way()

    def last_class_since(self):
        """Each image's latency: the first tick at whose end the class is what it stays."""
        since = len(self.classes) - 1
        while since and self.classes[since - 1][1] == self.classes[-1][1]:
            since -= 1
        return self.classes[since][0]


def run_cores(
    net,
    drive,
    v0,
    steps,
    model,
    *,
    service=(0, 0),
    latency=0,
    arbitration="fifo",
    seed=0,
    image=0,
    barrier=True,
    refractory=0,
    max_events=1_000_000,
    ticks_per_step=TICKS_PER_STEP,
    mask=None,
    events=(),
    spread=1,
    unit=1,
):
    """Asynchronous time under cores; parameters as for `run_async`, times in ticks.

    service: (a, b). arbitration: one of ARBITRATIONS; seed, image: of `random`. Returns (the
    `Outcome`, the finished run with its `cores`, and of each delivery the tick in `ticks_of`).
    """
    if any(isinstance(one, TPP) for one in (model if isinstance(model, list) else [model])):
        raise ValueError("cores: expected models of one stage")
    net.check(drive, steps, True, events, ticks_per_step)
    book = Ledger(net, v0, steps, model, mask, ticks_per_step)
    run = _Cores(net, book, refractory, max_events, service, latency, arbitration, (seed, image))
    start, short = 0, ticks_per_step // spread
    for step in range(steps):
        for part, charges in enumerate(spread_parts(drive[step], spread, unit)):
            end = start + short
            run.go_on_to(start)
            run.begin_step(step, start, charges)
            for place, (when, offset, number, sign) in enumerate(events):
                if when == step and offset // short == part:
                    run.put_input(start + offset % short, InputEvent(place, number, sign))
            while (tick := run.next_tick()) is not None:
                if tick >= end and not (barrier and run.is_under_way()):
                    break
                run.take()
            start = max(end, run.now) if barrier else end
        run.book.end_step()
    run.tell_class()
    for core in run.cores:
        if core.serves is not None:  # only what was served by the run's end
            core.busy -= core.ends - start
    run.end = start
    outcome = run.book.outcome()
    left = [core.serves for core in run.cores if core.serves is not None]
    left += [event for core in run.cores for event in core.queue]
    left += [event for _, event in run.coming]
    outcome.deliveries = run.delivered + [
        Delivery(e.spike.layer, e.spike.neuron, e.spike.nth, -1, e.projections, 0) for e in left
    ]
    outcome.under_way = len(left)
    if run.is_under_way():
        outcome.t_eq = steps
    outcome.input_deliveries = run.input_delivered
    return outcome, run
