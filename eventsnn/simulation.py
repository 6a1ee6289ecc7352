"""A network with its neurons, time and arithmetic, ready to run image after image in either engine."""
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from eventsnn import arithmetic as numbers
from eventsnn import neurons
from eventsnn.checks import InputError
from eventsnn.engine import event, tables
from eventsnn.engine import order as policies
from eventsnn.engine.clocked import run_image
from eventsnn.engine.drive import drive_of
from eventsnn.engine.driver import EventRun, Overflow, TooManyEvents
from eventsnn.jit import specialised
from eventsnn.network import Network

ENGINES = ("clocked", "event")
MAX_STEPS = 2**16
TICKS = 1024


@dataclass
class Batch:
    """What N images left, image by image. T: steps, L: layers (the readout last).

    readout: the arithmetic's dtype [N, T, classes], charge that has arrived after each step. spikes:
    int64 [N, L, T], of either sign. operations: int64 [N, L, T], synaptic operations by target layer.
    ties: int64 [N, L], evaluations in which p met a threshold exactly. digests: uint64 [N, 2, L, T], hashes
    of the spikes, order-sensitive and order-free (event engine; else None). counts, potentials: [N,
    neurons], net spikes and v(T), layer after layer, readout included; None unless asked for.
    """

    readout: np.ndarray
    spikes: np.ndarray
    operations: np.ndarray
    ties: np.ndarray
    digests: np.ndarray | None = None
    counts: np.ndarray | None = None
    potentials: np.ndarray | None = None

    ARRAYS = ("readout", "spikes", "operations", "ties", "digests", "counts", "potentials")

    @classmethod
    def join(cls, batches):
        """One batch from several, in order."""
        parts = {name: [getattr(b, name) for b in batches] for name in cls.ARRAYS}
        return cls(**{name: None if p[0] is None else np.concatenate(p) for name, p in parts.items()})


@dataclass(frozen=True, kw_only=True)
class Time:
    """Asynchronous time (semantics, section 5). Lengths are in steps; a step has `ticks` ticks.

    order: a policy's name (`engine.order.NAMES`) or a NamedTuple like those in `engine.order`. jitter:
    "uniform:X" (0 to X steps) or "exponential:X" (mean X steps), for order "jitter". delays: None, one
    number, {(source, target): number} by layers' names, or one array for each spiking layer. max_events:
    of one image, before it is an error; None: 8 for each neuron and step (64 where neurons have windows or
    refractory periods, whose ends are events too), at least a million.
    """

    order: object = "fifo"
    barrier: bool = True
    refractory: float = 0.0
    window: float = 0.0
    jitter: str = "uniform:0.5"
    delays: object = None
    max_events: int | None = None
    ticks: int = TICKS

    def in_ticks(self, steps, where):
        """A length in steps as whole ticks."""
        if not 0 <= steps <= MAX_STEPS:
            raise InputError(where, f"0 to {MAX_STEPS:,} steps", steps)
        return int(round(steps * self.ticks))


class Simulation:
    """A network with its neurons, time and arithmetic.

    steps: T. engine: "clocked" or "event" (then `time` says how). neuron: a model's name
    (`neurons.MODELS`) or a function of the threshold that gives a NamedTuple keeping
    `neurons.contract`. initial: v(0) in thresholds. arithmetic: "fixed", "float32" or "float64".
    fraction_bits: F, or None for the largest that a bound on every potential allows. pixel_range: lowest
    and highest raw pixel; the bound needs them. seed: of everything random.
    """

    def __init__(self, network: Network, *, steps, engine="clocked", neuron="if", time=None, initial=0.5, arithmetic="fixed",
                 fraction_bits=None, pixel_range=(0, 255), seed=0):
        if not 1 <= steps <= MAX_STEPS:
            raise InputError("steps", f"a whole number from 1 to {MAX_STEPS:,}", steps)
        if engine not in ENGINES:
            raise InputError("engine", f"one of {', '.join(ENGINES)}", repr(engine))
        if not (np.isfinite(initial) and abs(initial) <= 1000):
            raise InputError("initial", "a number of thresholds from -1000 to 1000", initial)
        if engine == "clocked" and time not in (None, Time()):
            raise InputError("time", "engine 'event' for orders, delays, windows and refractory periods", "engine 'clocked'",
                             "choose --engine event")
        self.network, self.steps, self.initial, self.engine, self.seed = network, steps, initial, engine, seed
        self.time = time or Time()
        make = neurons.model(neuron)
        c, h, w = network.graph.input_shape
        ends = network.graph.preprocessing(np.stack([np.full((c, 1, 1), p) for p in pixel_range])).astype(np.float64)[:, :, 0, 0]
        self.arithmetic = numbers.choose(network, kind=arithmetic, steps=steps, initial=abs(initial), signed=make(1).signed,
                                         pixel_range=(ends.min(axis=0), ends.max(axis=0)), fraction_bits=fraction_bits)
        self._make_neuron, self._wide = make, None
        self._prepare()

    def _prepare(self):
        self.neuron = self._make_neuron(self.arithmetic.one)
        build = tables.build if self.engine == "clocked" else tables.build_events
        self.tables = build(self.network, self.blocks, self.neuron.signed)
        resting = [np.full(layer.size, self.initial * (layer.node is not None)) for layer in self.network.layers]
        self.resting = self.arithmetic.quantise(np.concatenate(resting))
        if self.engine == "event":
            self.order = policies.make(self.time, self.seed)
            self.delay_kind, self.delays = policies.delays(self.time, self.network)
            self._limits()

    def _limits(self):
        """How many spikes one event can bring at most, and the band in which nothing happens."""
        one, dtype, t = self.arithmetic.one.item(), self.arithmetic.dtype, self.tables
        heaviest = max(float(np.abs(t.weights).max()), 1.0)
        reached = np.concatenate([[0], np.cumsum(t.runs[:, event.R_WIDTH])])  # neurons, up to each run
        per_site = np.split(np.diff(reached[t.first_run]), t.projections[1:, event.Q_FIRST])
        fan_out = [sum(int(per_site[q].max()) for q in t.out[a:b]) for a, b in zip(t.out_first, t.out_first[1:])]
        low, high = self.neuron.band()
        most = max(self.initial, 0) + 4096 + heaviest / high
        self.most_spikes = int(max(fan_out) * (3 + heaviest / high) + most)
        self.most_parcels = max(1, max(2 * len(self.network.projections), 1) if self.order.halves or self.delay_kind == 1 else 1)
        ends = -np.inf, np.inf
        if dtype.kind == "i":
            margin = int(heaviest + 2 * one * (1 + self.arithmetic.bound / self.steps))  # more than any one charge
            if dtype == np.int32 and margin > 2**30:
                self.arithmetic = replace(self.arithmetic, dtype=np.dtype(np.int64))
                return self._prepare()
            ends = np.iinfo(dtype).min + margin, np.iinfo(dtype).max - margin
        self.band = event.Band(*(dtype.type(x) for x in (ends[0] if low is None else low, high, *ends)))

    def blocks(self, projection):
        """A projection's weights [K, G, ci, co] in the arithmetic's numbers."""
        return self.arithmetic.quantise(projection.map.blocks * self.arithmetic.scale(self.network, projection.target))

    def drive(self, pixels):
        """What arrives at the beginning of each step: [neurons], for one raw image [C, H, W]."""
        return drive_of(self.network, self.arithmetic, self.network.graph.preprocessing(pixels[None])[0])

    def wider(self):
        """The same simulation, number for number, in 64 bits; what overflowed in 32 does not."""
        other = object.__new__(Simulation)
        other.__dict__.update(self.__dict__)
        other.arithmetic = replace(self.arithmetic, dtype=np.dtype(np.int64))
        other._prepare()
        return other

    def event_run(self, drive, *, number=0, sink=None, order=None):
        """An `EventRun` of one image with this drive, [neurons] or [D, neurons]; number: the image's, for randomness."""
        record, clocked = int(sink is not None), int(getattr(self.order, "kind", None) == policies.CLOCKED)
        t = self.time
        most = t.max_events or max(10**6, (64 if t.window or t.refractory else 8) * self.network.neurons * self.steps)
        delay_kind = self.delay_kind if order is None else int(self.delay_kind == 1)
        rules = event.Rules(t.in_ticks(t.refractory, "refractory"), t.in_ticks(t.window, "window"), int(t.barrier), clocked, record,
                            delay_kind, self.most_spikes, self.most_parcels, most, number)
        delays = self.delays if order is None else np.zeros_like(self.delays)  # a given order knows them already
        return EventRun(self.tables, self.neuron, order or self.order, rules, delays, self.band, np.atleast_2d(drive), self.resting,
                        steps=self.steps, ticks=t.ticks, sink=sink, names=[layer.name for layer in self.network.layers])

    def run(self, pixels, *, numbers=None, neurons=False, sinks=None):
        """Simulate raw images [N, C, H, W], one after the other. Returns a Batch; `neurons` adds counts and potentials.

        numbers: their positions in the data set (default 0, 1, …), on which randomness depends. sinks: one for each
        image, called with records (event engine). Raises TooManyEvents if max_events did not suffice.
        """
        layers, size, count, dtype = len(self.network.layers), len(self.resting), len(pixels), self.arithmetic.dtype
        batch = Batch(np.zeros((count, self.steps, self.network.readout.size), dtype),
                      *(np.zeros((count, layers, self.steps), np.int64) for _ in range(2)), np.zeros((count, layers), np.int64),
                      np.zeros((count, 2, layers, self.steps), np.uint64) if self.engine == "event" else None,
                      *((np.zeros((count, size), np.int64), np.zeros((count, size), dtype)) if neurons else (None, None)))
        for i, image in enumerate(pixels):
            if self.engine == "event":
                sink = sinks[i] if sinks else None
                done, ran = self.run_events(image, i if numbers is None else int(numbers[i]), sink)
                if sink is not None:
                    sink.finish(ran, done)
                batch.readout[i] = done.readout
                batch.spikes[i], batch.operations[i] = done.state.tallies[:2]
                batch.ties[i] = done.state.tallies[2].sum(axis=1)
                batch.digests[i] = done.state.digests
                v, s = done.state.v, done.state.memory[:, event.NET]
            else:
                v, s = self.resting.copy(), np.zeros(size, np.int64)
                run_clocked = specialised(run_image, self.neuron)
                run_clocked(self.tables, self.neuron, self.drive(image)[None], v, s, batch.spikes[i], batch.operations[i], batch.ties[i],
                            batch.readout[i])
            if neurons:
                batch.counts[i], batch.potentials[i] = s, v
        return batch

    def run_events(self, image, number=0, sink=None):
        """One raw image [C, H, W] in asynchronous time: (its finished EventRun, the simulation that ran it).

        What overflows in 32 bits is run again in 64, with the same numbers (and the sink restarted).
        """
        simulation = self._wide or self
        try:
            return simulation.event_run(simulation.drive(image), number=number, sink=sink).run(), simulation
        except Overflow as overflow:
            if simulation.arithmetic.dtype != np.int32:
                raise InputError("potentials", "sums that 64 bits hold", overflow, "choose fewer steps or fewer fraction bits") from None
        except TooManyEvents as error:
            raise InputError("max_events", "a queue that empties", error, "raise max_events, or choose a refractory period") from None
        self._wide = self.wider()
        if sink is not None:
            sink.restart()
        return self.run_events(image, number, sink)

    def stream(self, pixels, *, numbers=None, workers=None, batch=16, neurons=False, sinks=None):
        """Yield (start, Batch) for consecutive slices of `pixels`, computed on `workers` threads (None: one a core)."""
        starts = range(0, len(pixels), max(1, batch))
        numbers = np.arange(len(pixels)) if numbers is None else numbers
        pool = ThreadPoolExecutor(workers or cores())

        def start(at):
            part = slice(at, at + batch)
            return pool.submit(self.run, pixels[part], numbers=numbers[part], neurons=neurons, sinks=sinks and sinks[part])
        try:
            waiting = [(at, start(at)) for at in starts[:1]]  # the first one compiles alone
            waiting[0][1].result()
            ahead = iter(starts[1:])
            while waiting:
                while len(waiting) < 2 * (workers or cores()) and (at := next(ahead, None)) is not None:
                    waiting.append((at, start(at)))
                at, future = waiting.pop(0)
                yield at, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # whoever stops need not wait for what is queued

    def describe(self):
        """What was simulated, in words and numbers, for the results' provenance."""
        words = {
            "engine": self.engine, "neuron": self.neuron.words, "initial_potential": f"{self.initial:g} thresholds", "steps": self.steps,
            "drive": "constant: W x + b of layers that see the input, b of every other, at the beginning of each step",
            "thresholds": self.network.thresholds, "normalisation": "weights normalised, all thresholds 1",
            "order_of_summation": "drive, then the spikes of each projection (by source layer) in the order of source neurons; "
                                  "their sum is added to the potential" if self.engine == "clocked" else "in the order of arrival",
            "neuron_number": "(y * W + x) * C + c", "arithmetic": self.arithmetic.kind, "dtype": str(self.arithmetic.dtype),
            "fraction_bits": self.arithmetic.fraction_bits or None, "bound_in_thresholds": self.arithmetic.bound,
            "readout_exponent": self.arithmetic.readout_exponent, "seed": self.seed,
        }
        if self.engine == "event":
            t = self.time
            words |= {"order": policies.describe(t, self.order), "barrier": t.barrier, "refractory_steps": t.refractory,
                      "window_steps": t.window, "delays": policies.describe_delays(t.delays), "ticks_per_step": t.ticks,
                      "max_events": t.max_events or "8 for each neuron and step (64 with windows or refractory periods)"}
        return words


def cores():
    """The number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
