"""A network with its neurons, time, arithmetic and engine, ready to run image after image."""

from __future__ import annotations

import copy
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked_by
from eventsnn.engine.event.order import CLOCKED, is_kind
from eventsnn.exceptions import InputError, named, starting_threads
from eventsnn.network.network import Network
from eventsnn.network.own import with_own
from eventsnn.neurons.contract import by_tick
from eventsnn.registry import Registry
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.beginnings import check_begins, check_no_sinks, each, rows_of
from eventsnn.simulation.clocked import Clocked
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.event import Event
from eventsnn.simulation.offset import Offset, check_offset
from eventsnn.simulation.prepared import Engine, Outcome, Prepared, Sink
from eventsnn.simulation.processor import check_processor
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.srp import two_stages
from eventsnn.simulation.time import TICKS, Time
from eventsnn.values import shown


def check_engine(name: str, engine: Any) -> None:
    """Raises InputError for an engine without the surface of `prepared.Engine`.

    name: of the engine, for the message. engine: its class.
    """
    where = f"engine {name!r}"
    if not isinstance(engine, type):
        raise InputError(where, "a class", repr(engine), SEE)
    surface: Any = engine
    for attribute in (
        "name",
        "asynchronous",
        "records",
        "layerwise",
        "image",
        "batch",
        "warm_up",
        "describe",
    ):
        # the base's image does nothing
        if getattr(engine, attribute, Engine.image) is Engine.image:
            raise InputError(where, f"the attribute {attribute!r}", "none", SEE)
    for attribute in ("asynchronous", "records", "layerwise"):
        if not isinstance(getattr(engine, attribute), bool):
            found = repr(getattr(engine, attribute))
            raise InputError(where, f"{attribute}: True or False", found, SEE)
    wanted = list(signature(Engine.image).parameters)
    given = list(signature(surface.image).parameters)
    if given != wanted:
        raise InputError(
            where, f"image({', '.join(wanted[1:])})", f"image({', '.join(given[1:])})", SEE
        )


SEE = "see eventsnn.simulation.prepared.Engine"
ENGINES: Registry[Any] = Registry("engine", {"clocked": Clocked, "event": Event}, check_engine)


def _check_no_order(time: Time, engine: str) -> None:
    """Raises InputError for an option of time, which an engine without an order does not have."""
    for f in fields(Time):
        value = getattr(time, f.name)
        default = value in (None, TICKS) if f.name == "ticks" else value is f.default
        if not (default or (isinstance(f.default, (str, float, tuple)) and value == f.default)):
            do = "only the event engine has an order of arrival: leave it out, or choose that one"
            found = named("engine", engine)
            raise InputError(named(f.name), named("engine", "event"), found, do)


class Simulation(Prepared):
    """A network with its neurons, time, arithmetic and engine.

    network: what `eventsnn.convert` returns; one of a file of spiking neurons has its own model and
    v(0), which stand in for the defaults. steps: T, 1 to 65,536. engine: a name in ENGINES,
    "clocked" or "event". neuron: a model's name (`neurons.MODELS`) or a function of q, the charge
    of one spike, that returns a NamedTuple as in `neurons.contract`. tau: members of a group neuron
    (GN eq. 8). time: a `Time` for engine "event"; None: its defaults. initial: v(0) in q, a number
    or one array for each spiking layer, [neurons], or [images, neurons] where each image that is
    run has its own. shift: whether biases bring half a spike's
    charge in T steps (Opt), in place of a default v(0).

    encoding: an `Encoding` or its kind. srp: steps of SRP's first stage (SRP section 4; 0: none).
    srp_epsilon: in the second stage a neuron may send if v(srp) >= epsilon thresholds. arithmetic:
    "fixed", "float32" or "float64". offset: steps before the run in which each image finds its own
    v(0) (COS; 0: none). fraction_bits: F, or None for the largest that a bound on every
    potential allows. readout_from: after how many steps what reaches the readout begins to count
    (semantics, section 3). pixel_range: lowest and highest raw pixel, which the bound needs.
    inputs: for encoding "events" the input events of all images, int64 [E, 4] each, whose number
    the bound needs. seed: of everything random.

    Raises InputError for values outside these, for options that do not go together, for networks an
    engine cannot hold, and where numba is told of another processor than this one.
    """

    calibrated: Offset | None = None

    @checked_by(Specification)
    def __init__(
        self,
        network: Network,
        *,
        steps: int,
        engine: str = "clocked",
        neuron: Any = Specification.neuron,
        tau: int | None = Specification.tau,
        time: Time | None = None,
        initial: Any = Specification.initial,
        shift: bool = Specification.shift,
        encoding: str | Encoding | None = None,
        srp: int = Specification.srp,
        srp_epsilon: float = Specification.srp_epsilon,
        offset: int = Specification.offset,
        readout_from: int = Specification.readout_from,
        arithmetic: str = Specification.arithmetic,
        fraction_bits: int | None = Specification.fraction_bits,
        pixel_range: tuple[float, float] = (0, 255),
        inputs: Sequence[NDArray[np.int64]] | None = None,
        seed: int = Specification.seed,
    ) -> None:
        self._compile = ENGINES.find(engine, "engine")
        check_processor()
        time = time or Time()
        if not self._compile.asynchronous:
            _check_no_order(time, engine)
        if not pixel_range[0] <= pixel_range[1]:
            raise InputError("pixel_range", "the lowest and the highest pixel", pixel_range)
        kind = encoding.kind if isinstance(encoding, Encoding) else encoding
        if inputs is not None and kind != "events":
            expected, do = named("encoding", "events"), "leave inputs out: they have no effect"
            raise InputError("inputs", expected, named("encoding", str(kind)), do)
        neuron, initial = with_own(network, neuron, initial)
        super().__init__(
            network,
            Specification(
                steps=steps,
                initial=initial,
                shift=shift,
                arithmetic=arithmetic,
                fraction_bits=fraction_bits,
                neuron=neuron,
                tau=tau,
                srp=srp,
                srp_epsilon=srp_epsilon,
                offset=offset,
                readout_from=readout_from,
                seed=seed,
            ),
            time=time,
            encoding=encoding,
            pixel_range=pixel_range,
            inputs=inputs,
        )

    def _prepare(self) -> None:
        if self.arithmetic.watched and not getattr(self._compile, "watches", False):
            self.arithmetic = self.arithmetic.wider()
        super()._prepare()
        self._check_ticks()
        self.engine = self._compile(self)
        for attribute in ("fits", "result_dtype"):
            if not hasattr(self.engine, attribute):
                where = f"engine {self.engine.name!r}"
                raise InputError(where, f"the attribute {attribute!r}", "none", SEE)
        if not self.engine.fits:
            del self.engine  # before there is another
            self.arithmetic = self.arithmetic.wider()
            self._prepare()
            return
        if self.starts is not None:
            check_begins(self, named("initial"))
        if self.offset and self.begins_at is None:
            check_offset(self, self.offset)
            self.calibrated = Offset(self, self.offset)

    def _check_ticks(self) -> None:
        """Raises InputError for spikes whose tick tells what they are worth, and a clock."""
        order = self.time.order
        if not by_tick(type(self.neuron)) or (
            self._compile.asynchronous and order != "clocked" and not is_kind(order, CLOCKED)
        ):
            return
        found = "clocked" if self._compile.asynchronous else self._compile.name
        found = named("order" if self._compile.asynchronous else "engine", found)
        where = f"neuron {type(self.neuron).__name__}"
        expected = "asynchronous time, as a spike's tick says what it is worth"
        do = f"choose {named('engine', 'event')} and an order such as fifo"
        raise InputError(where, expected, found, do)

    def wider(self) -> Simulation:
        """The same simulation, number for number, in 64 bits; what overflowed in 32 does not."""
        other = super().wider()
        assert isinstance(other, Simulation)
        return other

    def on(self, engine: str, time: Time | None = None) -> Simulation:
        """The same simulation, number for number, by another engine.

        engine: a name in ENGINES. time: for an engine with an order; None: its defaults. Raises
        InputError for an engine that there is not, and for a time that cannot be.
        """
        other = copy.copy(self)
        other._compile = ENGINES.find(engine, "engine")
        other.time = (time or Time()).resolved()
        other._prepare()
        return other

    def reordered(self, order_seed: int, seed: int | None = None) -> Simulation:
        """The same simulation with another seed of its order, which takes next to no time.

        order_seed: of what a random order draws. seed: of the input (None: as it is). Raises
        InputError for another engine than "event".
        """
        if not isinstance(self.engine, Event):
            found = named("engine", self.engine.name)
            raise InputError("reordered", named("engine", "event"), found)
        other = copy.copy(self)
        other.order_seed = order_seed
        other.seed = self.seed if seed is None else seed
        other.engine = self.engine.reordered(other)
        if self.calibrated is not None:
            other.calibrated = self.calibrated.reordered(other)
        return other

    def warm_up(self, image: NDArray[Any], sink: Sink | None = None) -> None:
        """Runs one step of an image, so that all kernels are compiled.

        image: raw pixels [C, H, W], or input events int64 [E, 4]. sink: one if records are wanted
        later.
        """
        self.engine.warm_up(image, sink)

    def image(
        self,
        image: NDArray[Any],
        number: int = 0,
        sink: Sink | None = None,
        threads: int = 1,
        row: int | None = None,
    ) -> Outcome:
        """The `Outcome` of one image, after both of SRP's stages where there are two.

        image: raw pixels [C, H, W], or input events int64 [E, 4]. number: the image's, for
        randomness. sink: takes the records of the last stage. threads: how many may share the
        image. row: of v(0), where each image has its own (None: the only one). Raises what the
        engine raises.
        """
        self.check_pixels("image", image, 3)
        sinks = None if sink is None else [sink]
        rows = None if row is None else [row]
        return next(self._outcomes([image], [number], sinks, threads, rows))

    def _outcomes(
        self,
        images: Any,
        numbers: Sequence[int],
        sinks: Sequence[Sink | None] | None,
        threads: int,
        rows: Sequence[int] | None = None,
    ) -> Iterator[Outcome]:
        """Yields each image's `Outcome`, by what stages the simulation has."""
        if self.starts is not None:
            check_no_sinks(sinks, "initial", named("initial"))
            mine = rows_of(self, len(images), rows)
            return each(self, images, numbers, mine, threads)
        if rows is not None:
            expected = "a v(0) for each image"
            raise InputError("rows", expected, "one for all", "leave them out")
        if self.calibrated is None:
            return two_stages(self, images, numbers, sinks=sinks, threads=threads)
        return self.calibrated.run(images, numbers, sinks, threads)

    def check_pixels(self, where: str, pixels: Any, axes: int) -> None:
        """Raises InputError for what is no image, or images, of the network's.

        axes: 3 for one, 4 for several. Input events are as `events_of` makes them.
        """
        if self.encoding.kind == "events":
            good = axes == 4 or getattr(pixels, "shape", ())[1:] == (4,)
            expected = "input events [E, 4] (encoding.events_of)"
        else:
            size = self.network.graph.input_shape
            good = getattr(pixels, "ndim", 0) == axes and pixels.shape[-3:] == tuple(size)
            expected = f"raw pixels [{'N, ' * (axes == 4)}{', '.join(map(str, size))}]"
        if not good:
            raise InputError(where, expected, shown(pixels))

    def run(
        self,
        pixels: Any,
        *,
        numbers: Sequence[int] | NDArray[np.int64] | None = None,
        neurons: bool = False,
        sinks: Sequence[Sink | None] | None = None,
        threads: int = 1,
        rows: Sequence[int] | None = None,
    ) -> Batch:
        """Simulates images, one after the other; returns their `Batch`.

        pixels: raw images [N, C, H, W]; for encoding "events" a list of input events int64 [E, 4]
        (`encoding.events_of`). numbers: their positions in the data set (None: 0, 1, …), on which
        randomness depends. neurons: keep counts, potentials and masks. sinks: one for each image
        (or None), for its records (event engine). threads: how many share an image (clocked
        engine). rows: where each image has its own v(0), which row of it each has (None: 0, 1, …).
        Raises TooManyEvents if max_events did not suffice, and what else the engine
        raises.
        """
        batch = Batch.empty(
            len(pixels),
            len(self.network.layers),
            self.steps,
            self.network.readout.size,
            self.engine.result_dtype,
            neurons=len(self.resting) if neurons else 0,
            stages=self.srp > 0 or self.offset > 0,
        )
        self.check_pixels("pixels", pixels, 4)
        order = list(range(len(pixels)) if numbers is None else map(int, numbers))
        outcomes = self._outcomes(pixels, order, sinks, threads, rows)
        for i, found in enumerate(outcomes):
            batch.t_eq[i] = self.equilibrium(
                found.spikes, found.operations, found.drive, pixels[i], found.under_way
            )
            batch.keep(i, found)
        return batch

    def stream(
        self,
        pixels: Any,
        *,
        numbers: Sequence[int] | NDArray[np.int64] | None = None,
        workers: int | None = None,
        batch: int = 16,
        neurons: bool = False,
        sinks: Sequence[Sink | None] | None = None,
    ) -> Iterator[tuple[int, Batch]]:
        """Yields (start, Batch) for consecutive slices of `pixels`.

        Where there are fewer slices than threads, threads share images (clocked engine).

        pixels, numbers, neurons, sinks, and what is raised: as in `run`. workers: threads (None:
        one a core). batch: images of a slice.
        """
        workers = workers or cores()
        starts = range(0, len(pixels), max(1, batch))
        threads = max(1, min(workers, cores()) // max(1, len(starts)))
        all_numbers = np.arange(len(pixels)) if numbers is None else numbers
        if self.starts is not None:
            rows_of(self, len(pixels), None)
        pool = ThreadPoolExecutor(workers)

        def begin(start: int) -> Future[Batch]:
            part = slice(start, start + batch)
            with starting_threads():
                return pool.submit(
                    self.run,
                    pixels[part],
                    numbers=all_numbers[part],
                    neurons=neurons,
                    sinks=sinks[part] if sinks else None,
                    threads=threads,
                    rows=None if self.starts is None else range(len(pixels))[part],
                )

        waiting: deque[tuple[int, Future[Batch]]] = deque()

        def finished() -> tuple[int, Batch]:
            first, future = waiting.popleft()
            with starting_threads():
                return first, future.result()

        try:
            for start in starts:
                if len(waiting) == 2 * workers:
                    yield finished()
                waiting.append((start, begin(start)))
            while waiting:
                yield finished()
        finally:
            # whoever stops need not wait for what is queued
            pool.shutdown(wait=False, cancel_futures=True)

    def describe(self) -> dict[str, Any]:
        """What was simulated, in words and numbers, for the results' provenance."""
        stages = "none"
        if self.srp:
            stages = (
                f"{self.srp} steps, then neurons with v >= {self.srp_epsilon:g} thresholds send"
            )
        return {
            "engine": self.engine.name,
            "neuron": self.neuron.words,
            "initial_potential": in_words(self.initial),
            "steps": self.steps,
            "drive": self.encoding.describe(self.network),
            "encoding": self.encoding.name,
            "srp": stages,
            **({"offset_steps": self.offset} if self.offset else {}),
            **({"readout_from": self.readout_from} if self.readout_from else {}),
            "thresholds": self.network.thresholds,
            "normalisation": "weights normalised, all thresholds 1",
            "neuron_number": "(y * W + x) * C + c",
            "arithmetic": self.arithmetic.kind,
            "dtype": str(self.arithmetic.dtype),
            "fraction_bits": self.arithmetic.fraction_bits or None,
            "bound_in_q": self.arithmetic.bound,
            "readout_exponent": self.arithmetic.readout_exponent,
            "seed": self.seed,
            **self.engine.describe(),
        }


def in_words(initial: Sequence[NDArray[np.float64]]) -> str:
    """v(0) for the provenance: the number, or that it is an array."""
    values = {float(v) for array in initial for v in np.unique(array)[:3]}
    by = "image and neuron" if any(array.ndim > 1 for array in initial) else "neuron"
    if len(values - {0.0}) <= 1:
        return f"{max(values, key=abs, default=0):g} of a spike's charge"
    return f"given by {by}, {hash_of(initial)}"


def hash_of(arrays: Iterable[NDArray[Any]]) -> str:
    """Twelve hexadecimal digits: equal for equal arrays. arrays: of numbers, read as float64."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()[:12]


def cores() -> int:
    """The number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
