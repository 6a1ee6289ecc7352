"""A network with its neurons, time and arithmetic, ready to run image after image in either engine."""
from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from eventsnn import neurons
from eventsnn.engine.clocked.driver import run_clocked
from eventsnn.engine.event import layout
from eventsnn.engine.event import order as policies
from eventsnn.engine.event.driver import EventRun, Overflow, TooManyEvents
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT, Network
from eventsnn.simulation import arithmetic as numbers
from eventsnn.simulation import compile as tables
from eventsnn.simulation import encoding as encodings
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.encoding import bias_of
from eventsnn.simulation.time import MAX_STEPS, Time, delays_of, describe_delays, describe_order, policy_of

ENGINES = ("clocked", "event")
MAX_EVENTS = 2**31 - 1  # so that 32 bits hold a neuron's spikes


class Simulation:
    """A network with its neurons, time and arithmetic.

    steps: T. engine: "clocked" or "event" (then `time` says how). neuron: a model's name (`neurons.MODELS`) or a function
    of q, the charge of one spike, that gives a NamedTuple keeping `neurons.contract`. tau: members of a group neuron. initial:
    v(0) in q, a number or one array for each spiking layer, [neurons]. encoding: an `Encoding` or its kind. srp: steps of SRP's
    first stage (SRP section 4; 0: none); srp_epsilon: in the second a neuron may send if v(srp) >= epsilon thresholds.
    arithmetic: "fixed", "float32" or "float64". fraction_bits: F, or None for the largest that a bound on every potential
    allows. pixel_range: lowest and highest raw pixel; the bound needs them. inputs: the input events of all images, for
    encoding "events", whose number the bound needs. seed: of everything random.
    """

    def __init__(self, network: Network, *, steps, engine="clocked", neuron="if", tau=4, time=None, initial=0.5, encoding="constant", srp=0,
                 srp_epsilon=0.0, arithmetic="fixed", fraction_bits=None, pixel_range=(0, 255), inputs=None, seed=0):
        if not 1 <= steps <= MAX_STEPS:
            raise InputError("steps", f"a whole number from 1 to {MAX_STEPS:,}", steps, "choose T")
        if engine not in ENGINES:
            raise InputError("engine", f"one of {', '.join(ENGINES)}", repr(engine), "choose one of the two")
        if engine == "clocked" and time not in (None, Time()):
            raise InputError("time", "engine 'event' for orders, delays, windows and refractory periods", "engine 'clocked'",
                             "choose --engine event")
        if not (isinstance(srp, (int, np.integer)) and 0 <= srp <= MAX_STEPS and np.isfinite(srp_epsilon)):
            raise InputError("srp", f"0 to {MAX_STEPS:,} steps for the first stage, and a finite epsilon", f"{srp!r} and {srp_epsilon!r}",
                             "for example --srp 4")
        self.network, self.steps, self.engine, self.seed, self.srp, self.srp_epsilon = network, steps, engine, seed, srp, srp_epsilon
        self.time = time or Time()
        self.encoding = encoding if isinstance(encoding, encodings.Encoding) else encodings.Encoding(kind=encoding)
        make = neurons.model(neuron, network, tau)
        self.drive_steps = self.encoding.drive_steps(network, max(steps, srp))
        self.initial = _initial(network, initial)
        c, h, w = network.graph.input_shape
        ends = network.graph.preprocessing(np.stack([np.full((c, 1, 1), p) for p in pixel_range])).astype(np.float64)[:, :, 0, 0]
        self.input_unit = self.encoding.unit if self.encoding.kind == "events" else float(np.abs(ends).max())
        sample = make(1)
        if (most := int(type(sample).most(sample))) * max(steps, srp) >= 2**31:
            raise InputError("neuron", "fewer than 2^31 spikes in all steps", f"up to {most:,} in each of {max(steps, srp):,}",
                             "choose fewer steps")
        self.scales = self.quanta = neurons.quanta(sample, network)
        limits = getattr(sample, "limits", None)
        self.arithmetic = numbers.choose(
            network, kind=arithmetic, steps=max(steps, srp), initial=max(float(np.abs(v).max()) for v in self.initial), quanta=self.quanta,
            most=most, limits=limits, signed=sample.signed, fraction_bits=fraction_bits,
            drive_steps=1 if self.encoding.kind == "even" else None, pixel_range=self.encoding.range(ends, inputs))
        self.scales = self.quanta * [self.arithmetic.scale(network, i) for i in range(len(network.layers))]
        self._make_neuron, self._wide, self._log_room = make, None, 0
        self._prepare()

    def _prepare(self):
        self.neuron = self._make_neuron(self.arithmetic.one)
        if self.engine == "clocked":
            self.tables = tables.build(self.network, self.blocks, self.arithmetic.dtype, max(self.steps, self.srp))
        else:
            self.tables = tables.build_events(self.network, self.blocks, self.arithmetic.dtype, self.encoding.kind == "events")
        self.bias = bias_of(self.network, self.arithmetic, self.scales)
        self.resting = self.arithmetic.quantise(np.concatenate([*self.initial, np.zeros(self.network.readout.size)]))
        if self.engine == "event":
            self.order = policy_of(self.time, self.seed)
            self.delay_kind, self.delays = delays_of(self.time, self.network)
            self._limits()

    def _limits(self):
        """How many spikes one event can bring at most, and the band in which nothing happens."""
        one, dtype, t = self.arithmetic.one.item(), self.arithmetic.dtype, self.tables
        heaviest = max(float(t.weights.max()), -float(t.weights.min()), 1.0)
        reached = np.concatenate([[0], np.cumsum(t.runs[:, layout.R_WIDTH])])  # neurons, up to each run
        per_site = np.split(np.diff(reached[t.first_run]), t.projections[1:, layout.Q_FIRST])
        fan_out = [sum(int(per_site[q].max()) for q in t.out[a:b]) for a, b in zip(t.out_first, t.out_first[1:])]
        low, high = self.neuron.band()
        most = max(float(v.max()) for v in self.initial) + 4096 + heaviest / high
        self.most_spikes = int(max(fan_out) * (3 + heaviest / high) + most)
        self.most_parcels = max(1, max(2 * len(self.network.projections), 1) if self.order.halves or self.delay_kind == 1 else 1)
        ends, self.margin = (-np.inf, np.inf), np.inf
        if dtype.kind == "i":
            margin = int(heaviest + 2 * one * (1 + self.arithmetic.bound / self.steps))  # more than any one charge
            if dtype == np.int32 and margin > 2**30:
                self.arithmetic = replace(self.arithmetic, dtype=np.dtype(np.int64))
                self.tables = t = None  # before there are others
                return self._prepare()
            self.margin = margin = margin if dtype == np.int32 else max(margin, 2**61)
            ends = np.iinfo(dtype).min + margin, np.iinfo(dtype).max - margin
        self.band = layout.Band(*(dtype.type(x) for x in (ends[0] if low is None else low, high, *ends)))

    def blocks(self, projection):
        """A projection's weights [K, G, ci, co] in the arithmetic's numbers: the charge of one spike (or unit of input), in q."""
        if self.network.layers[projection.target].pools:
            return projection.map.blocks.astype(self.arithmetic.dtype)
        factor = numbers.factors(self.quanta, projection) * self.arithmetic.scale(self.network, projection.target)
        if projection.source == INPUT:
            factor *= self.input_unit
        return self.arithmetic.quantise(projection.map.blocks * factor)

    @property
    def result_dtype(self):
        """The dtype of a Batch's readout and potentials: in asynchronous time some images may have been run again in 64 bits."""
        dtype = self.arithmetic.dtype
        return np.dtype(np.int64) if self.engine == "event" and dtype.kind == "i" else dtype

    def drive(self, image, number=0, stage=0):
        """What arrives at the beginning of each step: [D, neurons], the last row in all further steps; see `encoding.rows`."""
        return encodings.rows(self, image, number, stage)

    def output(self, charge, step):
        """The readout after `step` steps, float64 in units of the ANN's output: the charge that has arrived, averaged unless even."""
        return self.arithmetic.readout(charge) / (step if self.encoding.divides else 1)

    def wider(self):
        """The same simulation, number for number, in 64 bits; what overflowed in 32 does not."""
        other = object.__new__(Simulation)
        other.__dict__.update(self.__dict__)
        other.arithmetic = replace(self.arithmetic, dtype=np.dtype(np.int64))
        other._prepare()
        return other

    def event_run(self, drive, *, number=0, sink=None, order=None, steps=None, mute=None, inputs=None):
        """An `EventRun` of one image with this drive, [neurons] or [D, neurons]; number: the image's, for randomness.

        steps: of the run (None: T). mute: uint8 [neurons], 1 where spikes are not sent. inputs: int64 [E, 4], its input events.
        """
        if max(drive.max().item(), -drive.min().item()) > self.margin:
            raise Overflow(f"drive of more than {self.margin} at once")
        record, clocked = int(sink is not None), int(policies.is_kind(self.order, policies.CLOCKED))
        t = self.time
        most = min(t.max_events or max(10**6, (64 if t.window or t.refractory else 8) * self.network.neurons * self.steps), MAX_EVENTS)
        delay_kind = self.delay_kind if order is None else int(self.delay_kind == 1)
        at_once = int(policies.is_kind(order or self.order, policies.FIFO, policies.CLOCKED) and not delay_kind)
        rules = layout.Rules(t.in_ticks(t.refractory, "refractory"), t.in_ticks(t.window, "window"), int(t.barrier), clocked, record,
                            delay_kind, self.most_spikes, self.most_parcels, at_once, most, number)
        delays = self.delays if order is None else np.zeros_like(self.delays)  # a given order knows them already
        return EventRun(self.tables, self.neuron, order or self.order, rules, delays, self.band,
                        np.ascontiguousarray(np.atleast_2d(drive), self.resting.dtype), self.resting,
                        steps=steps or self.steps, ticks=t.ticks, drive_steps=self.drive_steps, mute=mute, inputs=inputs, sink=sink,
                        names=[layer.name for layer in self.network.layers])

    def run(self, pixels, *, numbers=None, neurons=False, sinks=None, threads=1):
        """Simulate raw images [N, C, H, W], one after the other. Returns a Batch; `neurons` adds counts, potentials and masks.

        For encoding "events" `pixels` is a list of input events [E, 4], see `encoding.events_of`.
        numbers: their positions in the data set (default 0, 1, …), on which randomness depends. sinks: one for each
        image, called with records (event engine). threads: how many share an image (clocked engine). Raises InputError if max_events
        did not suffice.
        """
        layers, size, count, dtype = len(self.network.layers), len(self.resting), len(pixels), self.result_dtype
        batch = Batch(np.zeros((count, self.steps, self.network.readout.size), dtype),
                      *(np.zeros((count, layers, self.steps), np.int64) for _ in range(2)), np.zeros((count, layers), np.int64),
                      np.zeros(count, np.int64),
                      np.zeros((count, 2, layers, self.steps), np.uint64) if self.engine == "event" else None,
                      np.zeros((count, 2, layers), np.int64) if self.srp else None,
                      *((np.zeros((count, size), kind) for kind in (np.int64, dtype, bool)) if neurons else (None, None, None)))
        for i, image in enumerate(pixels):
            number = i if numbers is None else int(numbers[i])
            if self.engine == "event":
                v, s, mute, drive = self._event_image(batch, i, image, number, sinks[i] if sinks else None)
            else:
                v, s, mute, drive = self._clocked_image(batch, i, image, number, threads)
            batch.t_eq[i] = self.equilibrium(batch.spikes[i], drive, image)
            if neurons:
                batch.counts[i], batch.potentials[i], batch.masks[i] = np.where(mute, 0, s), v, mute == 0
        return batch

    def clocked_run(self, drive, *, steps=None, **settings):
        """The `ClockedRun` of one image with this drive, [D, neurons]; steps: of the run (None: T); settings: those of `run_clocked`."""
        run = run_clocked(self.tables, self.neuron, drive, self.drive_steps, self.resting, steps or self.steps, room=self._log_room,
                          **settings)
        self._log_room = max(self._log_room, 2 * int(run.spikes.sum()))
        return run

    def clocked_image(self, image, number=0, threads=1):
        """One image in clocked time: (its `ClockedRun`, its drive, what SRP's first stage cost, int64 [2, L], or None)."""
        mute, cost = None, None
        if self.srp:
            before = self.clocked_run(self.drive(image, number, 1), steps=self.srp, threads=threads)
            mute, cost = self.silenced(before.v), np.stack([before.spikes.sum(axis=1), before.operations.sum(axis=1)])
        drive = self.drive(image, number)
        return self.clocked_run(drive, mute=mute, threads=threads), drive, cost

    def _clocked_image(self, batch, i, image, number, threads):
        """One image in clocked time into place i of a Batch; returns (v, s, mute, drive)."""
        run, drive, cost = self.clocked_image(image, number, threads)
        batch.readout[i], batch.spikes[i], batch.operations[i], batch.ties[i] = run.readout, run.spikes, run.operations, run.ties
        if self.srp:
            batch.stage_one[i] = cost
        return run.v, run.s, run.mute, drive

    def _event_image(self, batch, i, image, number, sink):
        """The same in asynchronous time."""
        done, ran = self.run_events(image, number, sink)
        if sink is not None:
            sink.finish(ran, done)
        batch.readout[i] = done.readout
        batch.spikes[i], batch.operations[i] = done.state.tallies[:2]
        batch.ties[i] = done.state.tallies[2].sum(axis=1)
        batch.digests[i] = done.state.digests
        if self.srp:
            batch.stage_one[i] = done.stage_one
        return done.state.v, done.state.memory[:, layout.NET].astype(np.int64), done.state.mute, done.drive

    def silenced(self, v):
        """uint8 [neurons]: 1 where SRP's second stage sends no spikes, v(tau) < epsilon (semantics, section 9)."""
        sizes = [layer.size for layer in self.network.layers]
        least = np.repeat(self.srp_epsilon * self.quanta * self.arithmetic.one.item(), sizes)
        sends = np.repeat([layer.pools or layer.node is None for layer in self.network.layers], sizes)
        return ((v < least) & ~sends).astype(np.uint8)

    def equilibrium(self, spikes, drive, image):
        """T_eq: the last step, from 1, in which a neuron fired or charge arrived."""
        moved = spikes.sum(axis=0) > 0
        drive = np.atleast_2d(drive).any(axis=1)
        moved[:len(drive)] |= drive[:self.steps]
        moved[len(drive):min(self.drive_steps, self.steps)] |= drive[-1]
        if self.encoding.kind == "events":
            moved[image[:, 0]] = True
        return int(np.flatnonzero(moved)[-1]) + 1 if moved.any() else 0

    def run_events(self, image, number=0, sink=None):
        """One raw image [C, H, W] in asynchronous time: (its finished EventRun, the simulation that ran it).

        What overflows in 32 bits is run again in 64, with the same numbers (and the sink restarted).
        """
        simulation = self._wide or self
        try:
            return simulation._two_stages(image, number, sink), simulation
        except Overflow as overflow:
            if simulation.arithmetic.dtype != np.int32:
                raise InputError("potentials", "sums that 64 bits hold", overflow, "choose fewer steps or fewer fraction bits") from None
        except TooManyEvents as error:
            raise InputError("max_events", "a queue that empties", error, "raise max_events, or choose a refractory period") from None
        self._wide = self.wider()
        if sink is not None:
            sink.restart()
        return self.run_events(image, number, sink)

    def _two_stages(self, image, number, sink):
        """SRP's first stage, if there is one, and the run itself, whose `stage_one` is what the first cost, int64 [2, L]."""
        inputs, mute, cost = image if self.encoding.kind == "events" else None, None, None
        if self.srp:
            first = self.event_run(self.drive(image, number, 1), number=number, steps=self.srp,
                                   inputs=inputs if inputs is None else inputs[inputs[:, 0] < self.srp]).run()
            mute, cost = self.silenced(first.state.v), first.state.tallies[:2].sum(axis=2)
        run = self.event_run(self.drive(image, number), number=number, sink=sink, mute=mute, inputs=inputs).run()
        run.stage_one = cost
        return run

    def stream(self, pixels, *, numbers=None, workers=None, batch=16, neurons=False, sinks=None):
        """Yield (start, Batch) for consecutive slices of `pixels`, computed on `workers` threads (None: one a core).

        batch: images of a slice. Where there are fewer slices than threads, threads share images (clocked engine).
        """
        workers = workers or cores()
        starts = range(0, len(pixels), max(1, batch))
        threads = max(1, min(workers, cores()) // max(1, len(starts)))
        numbers = np.arange(len(pixels)) if numbers is None else numbers
        pool = ThreadPoolExecutor(workers)

        def start(at):
            part = slice(at, at + batch)
            return pool.submit(self.run, pixels[part], numbers=numbers[part], neurons=neurons, sinks=sinks and sinks[part], threads=threads)
        try:
            waiting, ahead = [], iter(starts)
            while True:
                while len(waiting) < 2 * workers and (at := next(ahead, None)) is not None:
                    waiting.append((at, start(at)))
                if not waiting:
                    return
                at, future = waiting.pop(0)
                yield at, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # whoever stops need not wait for what is queued

    def describe(self):
        """What was simulated, in words and numbers, for the results' provenance."""
        words = {
            "engine": self.engine, "neuron": self.neuron.words, "initial_potential": _in_words(self.initial), "steps": self.steps,
            "drive": self.encoding.describe(self.network), "encoding": self.encoding.kind,
            "srp": f"{self.srp} steps, then neurons with v >= {self.srp_epsilon:g} thresholds send" if self.srp else "none",
            "thresholds": self.network.thresholds, "normalisation": "weights normalised, all thresholds 1",
            "order_of_summation": "drive, then the spikes of each projection (by source layer) in the order of source neurons; "
                                  "their sum is added to the potential" if self.engine == "clocked" else "in the order of arrival",
            "neuron_number": "(y * W + x) * C + c", "arithmetic": self.arithmetic.kind, "dtype": str(self.arithmetic.dtype),
            "fraction_bits": self.arithmetic.fraction_bits or None, "bound_in_thresholds": self.arithmetic.bound,
            "readout_exponent": self.arithmetic.readout_exponent, "seed": self.seed,
        }
        if self.engine == "event":
            t = self.time
            words |= {"order": describe_order(t, self.order), "barrier": t.barrier, "refractory_steps": t.refractory,
                      "window_steps": t.window, "delays": describe_delays(t.delays), "ticks_per_step": t.ticks,
                      "max_events": t.max_events or "8 for each neuron and step (64 with windows or refractory periods)"}
        return words


def _initial(network, initial):
    """v(0) in q: a float64 array [neurons] for each spiking layer; 0 for pool units."""
    sizes = [layer.size for layer in network.spiking]
    if isinstance(initial, (int, float, np.number)):
        arrays = [np.full(n, float(initial)) for n in sizes]
    else:
        arrays = [np.asarray(v, np.float64).reshape(-1) for v in initial]
    if [v.size for v in arrays] != sizes:
        raise InputError("initial", f"one array for each spiking layer, of {', '.join(map(str, sizes))} neurons",
                         [v.size for v in arrays], "give a number for all, or arrays by layer, channels last")
    if not all(np.isfinite(v).all() and (np.abs(v) <= 1000).all() for v in arrays):
        raise InputError("initial", "numbers from -1000 to 1000, in thresholds", "others", "0.5 is half a threshold")
    return [v * (not layer.pools) for v, layer in zip(arrays, network.spiking)]


def _in_words(initial):
    """v(0) for the provenance: the number, or that it is an array."""
    values = {float(v) for array in initial for v in np.unique(array)[:3]}
    return f"{max(values, key=abs):g} of a spike's charge" if len(values - {0.0}) <= 1 else "given by neuron, " + hash_of(initial)


def hash_of(arrays):
    """Twelve hexadecimal digits: equal for equal arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()[:12]


def cores():
    """The number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
