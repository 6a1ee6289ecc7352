"""A network in the numbers of one simulation: what every engine is given, and what an engine is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsnn import neurons
from eventsnn.arguments import Count, checked
from eventsnn.engine.event.core_arrays import Served
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.neurons.contract import (
    NOWHERE,
    is_dynamic,
    leaks,
    own_states,
    stages_of,
    worth_here,
)
from eventsnn.simulation import arithmetic as numbers
from eventsnn.simulation.declared import declare
from eventsnn.simulation.encoding import (
    Encoding,
    _check_size,
    add_inputs,
    bias_of,
    by_site,
    drive_of,
    spikes_of_events,
)
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.time import Time
from eventsnn.values import as_array, shown


@dataclass
class Outcome:
    """What one image gives with either engine. L: layers, the readout last. T: steps.

    readout: the arithmetic's dtype [T, classes], charge that has arrived after each step, of an
    engine all, after `two_stages` what counts (`Prepared.counted`). spikes:
    int64 [L, T], of either sign. operations: int64 [L, T], synaptic operations by target layer.
    ties: int64 [L], evaluations in which a potential met a threshold exactly. v: v(T), the
    arithmetic's dtype [neurons]. s: net spikes, whole numbers [neurons]. mute: uint8 [neurons], 1
    where SRP silenced a neuron. drive: [D, neurons], what arrived at the beginning of each step
    (see `Prepared.drive`).

    run: the engine's own record of the image. ran: the simulation that ran it, which is another
    than was asked where potentials needed 64 bits. digests, order_digests: uint64 [L, T], hashes of
    the spikes (semantics, section 17), or None. stage_one: int64 [2, L], spikes and operations of
    SRP's first stage, or None. under_way: how many spikes and open windows wait after the last
    step, without a barrier. served: of order "cores" what its cores did (of SRP's second stage
    alone), or None. widened: whether it was run again in 64 bits, as 32 did not hold a potential.
    """

    readout: NDArray[Any]
    spikes: NDArray[np.int64]
    operations: NDArray[np.int64]
    ties: NDArray[np.int64]
    v: NDArray[Any]
    s: NDArray[Any]
    mute: NDArray[np.uint8]
    drive: NDArray[Any]
    run: Any
    ran: Prepared
    digests: NDArray[np.uint64] | None = None
    order_digests: NDArray[np.uint64] | None = None
    stage_one: NDArray[np.int64] | None = None
    under_way: int = 0
    served: Served | None = None
    widened: bool = False

    def __repr__(self) -> str:
        layers, steps = self.spikes.shape
        return f"<Outcome: {layers} layers, {steps} steps, {int(self.spikes.sum()):,} spikes>"


class Sink(Protocol):
    """What takes the records of one image while it runs (a recorder or a file of `trace`)."""

    def __call__(
        self, spikes: NDArray[np.int64], potentials: NDArray[Any], deliveries: NDArray[np.int64]
    ) -> None:
        """Takes the next records, in order, as the event kernel writes them.

        spikes: int64 [R, 7]. potentials: the arithmetic's dtype [R, 2], before and after each
        spike. deliveries: int64 [R, 5]. (See `engine.event.layout`.)
        """

    def restart(self) -> None:
        """Forgets what came: the image begins again."""

    def finish(self, simulation: Any, run: Any) -> None:
        """Ends the image. simulation: the one that ran it. run: its finished `EventRun`."""


class Engine:
    """What an engine offers; `simulation.ENGINES` names the classes, which need not inherit.

    An engine has `image` and the five attributes; the rest is as here unless it does better.

    prepared: the network in the simulation's numbers. name: as the option `engine` has it.
    asynchronous: whether spikes arrive one by one, in an order. records: whether it can hand single
    spikes to a `Sink`. layerwise: whether each layer runs to its end before the next, so that a
    layer can be run again on other spikes. begins: whether each image begins at the v(0) that
    `prepared.resting` has then, so that it may have its own. watches: whether an image in which a
    potential of 32 bits reaches `arithmetic.limit` is run again in 64; an engine that does not gets
    64 bits where no bound proves 32. fits: whether its potentials hold what
    one event can bring; if not, it is made again in 64 bits. result_dtype: of readout and
    potentials.
    """

    name: ClassVar[str]
    asynchronous: ClassVar[bool]
    records: ClassVar[bool]
    layerwise: ClassVar[bool] = False
    begins: ClassVar[bool] = False
    watches: ClassVar[bool] = False
    fits: bool
    result_dtype: np.dtype[Any]

    def __init__(self, prepared: Prepared) -> None:
        """Compiles the network into the arrays that the kernels read."""

    def image(
        self,
        image: NDArray[Any],
        number: int = 0,
        *,
        stage: int = 0,
        steps: int | None = None,
        mute: NDArray[np.uint8] | None = None,
        sink: Sink | None = None,
        threads: int = 1,
    ) -> Outcome:
        """The `Outcome` of one stage of one image.

        image: raw pixels [C, H, W], or input events int64 [E, 4]. number: the image's, for
        randomness. stage: 1 for SRP's first, else 0. steps: of the run (None: all of the stage).
        mute: uint8 [neurons], 1 where spikes are not sent. sink: takes the records. threads: how
        many may share the image. Raises what `Prepared.drive` and the engine raise.
        """
        raise NotImplementedError

    def batch(
        self,
        images: Any,
        numbers: Sequence[int],
        *,
        stage: int = 0,
        mutes: Sequence[NDArray[np.uint8]] | None = None,
        sinks: Sequence[Sink | None] | None = None,
        threads: int = 1,
    ) -> Iterator[Outcome]:
        """Yields the `Outcome` of one stage of each of some images, one after the other.

        An engine that runs images together does so here. images: N of them. numbers: theirs. mutes,
        sinks: one for each image, or None. stage, threads, and what is raised: as for `image`.
        """
        for i, image in enumerate(images):
            yield self.image(
                image,
                int(numbers[i]),
                stage=stage,
                mute=mutes[i] if mutes else None,
                sink=sinks[i] if sinks else None,
                threads=threads,
            )

    def warm_up(self, image: NDArray[Any], sink: Sink | None = None) -> None:
        """Compiles, or loads, all that the engine needs to run images.

        image: raw pixels [C, H, W], or input events int64 [E, 4]. sink: one if records are wanted
        later.
        """
        declare()
        self.image(image, steps=1, sink=sink)

    def describe(self) -> dict[str, Any]:
        """How charges are added up and in what order spikes arrive, for the results' provenance."""
        return {}


class Prepared:
    """A network with its neurons, arithmetic and encoding; `Simulation` adds an engine.

    `Simulation` documents the parameters, and what is raised. quanta: float64 [L], how many spikes
    a layer's threshold is worth. scales: float64 [L], q per normalised threshold and readout unit.
    neuron: the model's NamedTuple, in the arithmetic's numbers. bias: the arithmetic's dtype
    [neurons], what arrives whatever the image is. resting: likewise, v(0). drive_steps: steps in
    which drive arrives. input_unit: what one spike of the input stands for. stages: 1, or 2 where
    neurons hear everything before they fire. seed: of the input and of neurons; order_seed: of the
    order, the same unless `Simulation.reordered` gave another. offset: steps in which each image
    finds its v(0) (COS), 0: none; shift_limit: the most that |v(0)| can then be, in q; begins_at:
    v(0) of one image, or None. starts: of images with a v(0) of their own that of each, [images,
    neurons] in the arithmetic's numbers (resting is then the first's), or None. converted: the
    network as it was given, without the biases of a shift, which network has.
    """

    engine: Engine

    def __init__(
        self,
        network: Network,
        specification: Specification,
        *,
        time: Time,
        encoding: str | Encoding | None,
        pixel_range: tuple[float, float],
        inputs: Sequence[NDArray[np.int64]] | None,
    ) -> None:
        self.network = self.converted = network
        self.specification = specification
        self.pixel_range = pixel_range
        self.steps = steps = specification.steps
        self.seed = self.order_seed = specification.seed
        self.srp = specification.srp
        self.srp_epsilon = specification.srp_epsilon
        self.readout_from = specification.readout_from
        self.offset = specification.offset
        self.begins_at: NDArray[Any] | None = None
        self.starts: NDArray[Any] | None = None
        self.shift_limit = 0.0
        self.time = time.resolved()
        initial, longest = specification.initial, max(steps, self.srp)
        sample = self._make_neuron(2**20)  # of any numbers
        given = encoding if isinstance(encoding, Encoding) else Encoding(kind=encoding)
        self.encoding = replace(given.of_model(sample), steps=longest)
        self.encoding.check_readout_from(self.readout_from)
        self.stages = stages_of(sample)
        self._check_model(sample, initial)
        self.drive_steps = self.encoding.drive_steps(network, longest)
        own_start = 0.0 if specification.shift else getattr(sample, "initial", 0.5)
        if specification.shift:
            self.network = network = self._shifted(sample)
        self.initial = initial_potentials(network, own_start if initial is None else initial)
        ends = _preprocessed(network, pixel_range)
        largest = float(np.abs(ends).max())
        self.input_unit = self.encoding.unit if self.encoding.kind == "events" else largest
        most = int(type(sample).most(sample))
        at = (NOWHERE._replace(step=step, ticks=self.time.ticks) for step in range(1, longest + 1))
        self.worth = max(int(worth_here(sample, here)) for here in at)
        if most * longest >= 2**31:
            expected = "fewer than 2^31 spikes in all steps"
            found = f"up to {most:,} in each of {longest:,}"
            raise InputError("neuron", expected, found, "choose fewer steps")
        self.quanta = neurons.quanta(sample, network)
        self._reach: dict[str, Any] = dict(
            steps=longest,
            quanta=self.quanta,
            most=most,
            limits=getattr(sample, "limits", None),
            signed=sample.signed,
            drive_steps=1 if self.encoding.code.once else None,
            pixel_range=self.encoding.range(ends, inputs),
            worth=self.worth,
            waits=bool(own_states(sample)) or self.stages > 1 or hasattr(sample, "when"),
            bias_once=self.encoding.bias_once,
        )
        choose = partial(
            numbers.choose,
            network,
            kind=specification.arithmetic,
            fraction_bits=specification.fraction_bits,
            decays=bool(leaks(sample)),
            watches=not (is_dynamic(type(sample)) or self.offset),
            **self._reach,
        )
        largest = max((float(np.abs(v).max()) for v in self.initial), default=0.0)
        self.arithmetic = choose(initial=largest)
        if self.offset and self.arithmetic.kind == "fixed":
            # no shift goes further, and from there a neuron fires in every step
            self.shift_limit = self.arithmetic.bound + largest + steps + 2
            largest = self.shift_limit
            self.arithmetic = choose(initial=largest)
        self._reach["initial"] = largest
        units = [self.arithmetic.scale(network, i) for i in range(len(network.layers))]
        self.scales = self.quanta * units
        self._prepare()

    def _prepare(self) -> None:
        """Makes what depends on the arithmetic's dtype."""
        self.neuron = self._make_neuron(self.arithmetic.one)
        self.bias = bias_of(self.network, self.arithmetic, self.scales)
        if self.begins_at is not None:
            self.resting = self.begins_at.astype(self.arithmetic.dtype)
            return
        v0 = self._quantised()
        self.starts = v0 if self._images else None
        self.resting = v0[0] if self._images else v0

    def _quantised(self) -> NDArray[Any]:
        """v(0) of all neurons, readout included, in the arithmetic's numbers."""
        first = self.network.first
        v0 = np.zeros((*self._images, int(first[-1])), self.arithmetic.dtype)
        for begin, initial in zip(first, self.initial):
            v0[..., begin : begin + initial.shape[-1]] = self.arithmetic.quantise(initial)
        return v0

    @property
    def _images(self) -> tuple[int, ...]:
        """(how many images have a v(0) of their own,), or () where there is one for all."""
        return self.initial[0].shape[:-1] if self.initial else ()

    def _shifted(self, sample: Any) -> Network:
        """The network whose neurons' biases bring half the charge of a spike in all steps (Opt).

        sample: the model. With encoding "even" biases come once in all.
        """
        times = self.steps if self.encoding.divides else 1
        quanta = neurons.quanta(sample, self.network)
        layers = [
            layer
            if layer.pools or layer.node is None
            else replace(layer, bias=layer.bias + np.where(layer.theta, 0.5 / (times * q), 0.0))
            for layer, q in zip(self.network.layers, quanta)
        ]
        return replace(self.network, layers=tuple(layers))

    def _make_neuron(self, q: Any) -> Any:
        """The model whose spike's charge is q."""
        given = neurons.with_members(self.specification.neuron, self.specification.tau)
        ticks = self.time.ticks
        return neurons.made(given, neurons.Setting(q, self.network, self.steps, self.seed, ticks))

    def _check_model(self, sample: Any, initial: Any) -> None:
        """Raises InputError for what goes with no such model; sample: the model."""
        where = f"neuron {type(sample).__name__}"
        time, pools = self.time, any(layer.pools for layer in self.network.layers)
        if self.stages > 1 and self.srp:
            do = "leave out ⟦srp⟧"
            raise InputError(where, "one stage of hearing before it fires", f"srp {self.srp}", do)
        if self.stages > 1 and self.readout_from:
            expected, found = "a result after every step", "one after the last"
            raise InputError(named("readout_from"), expected, found, f"{where} has no other")
        fixed = self.stages > 1 and getattr(sample, "initial", 0.5) == 0
        given = 0 if initial is None else initial
        if fixed and any(v.any() for v in initial_potentials(self.network, given)):
            expected, do = "v(0) = 0, as it has none of its own", "leave out ⟦initial⟧"
            raise InputError(where, expected, f"initial {shown(initial)}", do)
        if self.stages > 1 and self.specification.shift:
            expected, found = "biases as they are, as it begins at 0", "half a threshold more"
            raise InputError(named("shift"), expected, found, f"{where} needs no shift")
        if self.stages > 1 and (time.refractory or time.window or not time.barrier):
            expected = "a barrier, no refractory period and no window: it fires once a step"
            do = "leave out ⟦refractory⟧, ⟦window⟧ and ⟦barrier=False⟧"
            raise InputError(where, expected, repr(time), do)
        if self.stages > 1 and time.spread > 1:
            found = named("spread", time.spread)
            do = "leave it out: such neurons hear all of a step before they fire"
            raise InputError(where, "a drive that comes once a step", found, do)
        if self.stages > 1 and time.group > 1:
            found = named("group", time.group)
            do = "leave it out: such neurons hear all before they fire"
            raise InputError(where, "no groups", found, do)
        if self.stages > 1 and time.order == "cores":
            do = "choose another order: such neurons hear all before they fire"
            raise InputError(where, "no cores", named("order", "cores"), do)
        if hasattr(sample, "charge") and pools:
            expected = "a network without max pooling, which counts spikes"
            raise InputError(where, expected, "a MaxPool", "convert with ⟦max_pooling=average⟧")

    def widths(self) -> list[int]:
        """The bits that a potential of each layer takes in fixed point, the sign's among them.

        They are proven in clocked time, and where the model has limits (semantics, section 6); a
        pool's is of no potential. In floating point they are those of the number. Readout last.
        """
        its = self.arithmetic
        if its.dtype.kind == "f":
            return [8 * its.dtype.itemsize] * len(self.network.layers)
        reached = numbers._reach(self.network, **self._reach).every()
        scales = [its.scale(self.network, i) for i in range(len(reached))]
        return [
            numbers._width(bound * scale, rounding * 2**its.finer, its.bits)
            for (bound, rounding), scale in zip(reached, scales)
        ]

    @property
    def all_steps(self) -> int:
        """The steps in which anything happens: T, or (G + 1) T with two stages.

        G: the largest depth of a spiking layer (semantics, section 13).
        """
        return self.steps if self.stages == 1 else self.steps * (max(self.depths, default=0) + 1)

    @property
    def depths(self) -> list[int]:
        """How many layers each spiking layer is from the input; a pool is where its source is."""
        depths: list[int] = []
        for i, layer in enumerate(self.network.spiking):
            before = [depths[p.source] for p in self.network.into(i) if p.source != INPUT]
            depths.append(max(before, default=0) + (not layer.pools))
        return depths

    def wider(self) -> Prepared:
        """The same simulation, number for number, in 64 bits; what overflowed in 32 does not."""
        other = copy.copy(self)
        other.arithmetic = self.arithmetic.wider()
        other._prepare()
        return other

    def blocks(self, projection: Projection) -> NDArray[Any]:
        """A projection's weights in the arithmetic's numbers, [K, G, ci, co].

        A weight is the charge of one spike (or unit of input), in q; 1 into a pool.
        """
        if self.network.layers[projection.target].pools:
            return np.ones(projection.map.weights.shape, self.arithmetic.dtype)
        return self.arithmetic.quantise(projection.map.blocks * self.factor(projection))

    def factor(self, projection: Projection) -> float:
        """What a projection's weights are multiplied by before they are rounded.

        They count in q of source and target then, and in the readout's unit.
        """
        scale = self.arithmetic.scale(self.network, projection.target)
        factor = float(numbers.factors(self.quanta, projection) * scale)
        return factor * self.input_unit if projection.source == INPUT else factor

    @checked
    def check_step(self, step: int) -> None:
        """Raises InputError for a number of steps after which there is no result. step: from 1."""
        if not 1 <= step <= self.steps:
            raise InputError("step", f"1 to {self.steps}", step)
        if step <= self.readout_from:
            expected = f"{self.readout_from + 1} to {self.steps}, after those that do not count"
            do = f"{named('readout_from', self.readout_from)} leaves out the steps before"
            raise InputError("step", expected, step, do)
        if self.stages > 1 and step != self.steps:
            model = type(self.neuron).__name__
            raise InputError("step", f"{self.steps}, the only one after which {model} tells", step)

    @checked
    def output(self, charge: NDArray[Any], step: Count) -> NDArray[np.float64]:
        """The readout after `step` steps in units of the ANN's output, float64.

        charge: what counts by then (`counted`), the arithmetic's numbers of any shape. It is
        averaged over the steps that count, but not with encoding "even".
        """
        counting = step - self.readout_from
        return self.arithmetic.readout(charge) / (counting if self.encoding.divides else 1)

    def counted(self, readout: NDArray[Any]) -> NDArray[Any]:
        """What counts of the charge at the readout (semantics, section 3: delayed readout).

        readout: [T, classes], all that has arrived after each step. Returns the like, less what had
        arrived after step `readout_from`; 0 up to that step.
        """
        first = self.readout_from
        if not first:
            return readout
        charge = readout.astype(self.engine.result_dtype)
        charge[first:] -= charge[first - 1]
        charge[:first] = 0
        return charge

    def drive(self, image: NDArray[Any], number: int = 0, stage: int = 0) -> NDArray[Any]:
        """What arrives at the beginning of each step: [D, neurons] in the arithmetic's numbers.

        Row min(t, D - 1) is that of step t, counted from 0. image: raw pixels [C, H, W], or input
        events int64 [E, 4] (`events_of`). number: the image's, for randomness. stage: 1 for SRP's
        first, else 0, likewise. Raises InputError where the rows would need more than 2 GiB.
        """
        encoding, bias = self.encoding, self.bias
        code = encoding.code
        steps = self.srp if stage else self.steps
        if encoding.kind == "events" and self.engine.asynchronous:
            return bias[None]  # the events themselves come one by one
        if code.spiking:
            _check_size(bias, steps)
            rows = np.repeat(bias[None], steps, axis=0)
            for row, spikes in zip(rows, self._input_spikes(image, number, stage, steps)):
                if spikes.any():
                    add_inputs(self.network, self.blocks, spikes, row)
            return rows
        pixels = self.network.graph.preprocessing(image[None], np.float64)[0]
        total = drive_of(self.network, self.arithmetic, pixels, self.scales, bias)
        finer = self.arithmetic.finer
        return code.rows(encoding, self.network, total, bias, steps, finer)

    def _input_spikes(
        self, image: NDArray[Any], number: int, stage: int, steps: int
    ) -> Iterator[NDArray[np.int64]]:
        """The input's spikes of each step, int64 [H * W, C]."""
        shape = self.network.graph.input_shape
        if self.encoding.kind == "events":
            return spikes_of_events(shape, steps, image)
        x = by_site(self.network.graph.preprocessing(image[None], np.float64)[0])
        first = stage << 32  # so that the stages draw different spikes
        return self.encoding.code.spikes(x, self.input_unit, steps, self.seed, number, first)

    def silenced(self, v: NDArray[Any]) -> NDArray[np.uint8]:
        """uint8 [neurons]: 1 where SRP's second stage sends no spikes (semantics, section 9).

        v: the arithmetic's dtype [neurons], potentials after the first stage. A neuron is silent
        where they are below epsilon.
        """
        layers = self.network.layers
        sizes = [layer.size for layer in layers]
        least = np.repeat(self.srp_epsilon * self.quanta * self.arithmetic.one.item(), sizes)
        sends = np.repeat([layer.pools or layer.node is None for layer in layers], sizes)
        return ((v < least) & ~sends).astype(np.uint8)

    def equilibrium(
        self,
        spikes: NDArray[np.int64],
        operations: NDArray[np.int64],
        drive: NDArray[Any],
        image: NDArray[Any],
        under_way: int = 0,
    ) -> int:
        """T_eq: the last step, from 1, in which a neuron fired or charge arrived; 0: none.

        It is T with two stages, and where something is still under way after the last step
        (semantics, section 8). spikes, operations: int64 [L, T]. drive: [D, neurons], what `drive`
        returns. image: as there. under_way: as in `Outcome`.
        """
        if self.stages > 1 or under_way:
            return self.steps
        moved = (spikes + operations).sum(axis=0) > 0
        arrives = np.asarray(np.atleast_2d(drive).any(axis=1))
        moved[: len(arrives)] |= arrives[: self.steps]
        moved[len(arrives) : min(self.drive_steps, self.steps)] |= arrives[-1]
        if self.encoding.kind == "events":
            moved[image[:, 0]] = True
        return int(np.flatnonzero(moved)[-1]) + 1 if moved.any() else 0


def initial_potentials(network: Network, initial: Any) -> list[NDArray[np.float64]]:
    """v(0) in q: a float64 array [neurons] for each spiking layer; 0 for pool units.

    Of images with a v(0) of their own they are [images, neurons]. network: whose layers. initial: a
    number for all, or one array for each spiking layer, of as many values as it has neurons, or all
    of them [images, neurons]. Raises InputError for other sizes, and for numbers beyond 1000.
    """
    sizes = [layer.size for layer in network.spiking]
    if isinstance(initial, np.ndarray) and not initial.ndim:
        initial = initial.item()
    if isinstance(initial, (int, float, np.number)) and not isinstance(initial, bool):
        # one number in memory for all neurons of a layer
        arrays = [np.broadcast_to(float(initial), n) for n in sizes]
    else:
        given = [] if isinstance(initial, str) or not hasattr(initial, "__iter__") else initial
        found = [as_array(v) for v in given]
        if not found or any(v is None or v.dtype.kind not in "iuf" or not v.size for v in found):
            expected = "a number, or an array of numbers for each spiking layer"
            raise InputError("initial", expected, shown(initial))
        arrays = [np.array(v, np.float64) for v in found]
        by_image = [v.ndim == 2 and v.shape[1:] == (n,) for v, n in zip(arrays, sizes)]
        images = {v.shape[0] for v, own in zip(arrays, by_image) if own}
        if not (images and all(by_image) and len(images) == 1 and len(arrays) == len(sizes)):
            arrays = [v.reshape(-1) for v in arrays]
        if any(v.shape[-1] != n for v, n in zip(arrays, sizes)) or len(arrays) != len(sizes):
            expected = f"one array for each spiking layer, of {', '.join(map(str, sizes))} neurons"
            do = (
                "give a number for all, or arrays by layer, channels last, or all [images, neurons]"
            )
            raise InputError("initial", expected, [getattr(v, "shape", ()) for v in found], do)
    for v in arrays:
        wrong = ~(np.abs(v) <= 1000)
        if wrong.any():
            expected = "numbers from -1000 to 1000, in thresholds"
            raise InputError("initial", expected, f"{v[wrong][0]:g}", "0.5 is half a threshold")
    nothing = np.zeros(())
    return [
        np.broadcast_to(nothing, v.shape) if layer.pools else v
        for v, layer in zip(arrays, network.spiking)
    ]


def _preprocessed(network: Network, pixel_range: tuple[float, float]) -> NDArray[np.float64]:
    """The lowest and the highest raw pixel after preprocessing, float64 [2, C]."""
    channels = network.graph.input_shape[0]
    pixels = np.stack([np.full((channels, 1, 1), pixel) for pixel in pixel_range])
    return network.graph.preprocessing(pixels, np.float64)[:, :, 0, 0]
