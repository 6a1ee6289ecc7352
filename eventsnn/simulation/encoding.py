"""How an image becomes charge, in steps or at the times of input events (semantics, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Count, checked, checked_fields
from eventsnn.engine.drive import add_charge, rate_spikes
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.options import Option, check_fields, option, parsed
from eventsnn.registry import Registry
from eventsnn.simulation.arithmetic import Arithmetic
from eventsnn.simulation.recorded import POLARITIES, Recorded
from eventsnn.values import as_array, shown

MAX_ROWS = 2**31  # bytes of drive for one image


class Code:
    """What an encoding does with an image; see `Shares` and `InputSpikes` for one of your own.

    words: it in a line. divides: whether the readout is averaged over the steps. once: whether all
    charge comes in the first steps, whatever T is. spiking: whether the input sends spikes, which
    bring its charge. options: field -> `Option`.
    """

    words = ""
    divides = True
    once = False
    spiking = False
    options: ClassVar[dict[str, Option]] = {}

    def drive_steps(self, encoding: Encoding, network: Network, steps: int) -> int:
        """The number of steps in which drive arrives.

        encoding: with its details. network: whose levels may count. steps: T.
        """
        return steps

    def range(
        self, encoding: Encoding, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(lowest, highest) input in one step, each float64 [C].

        encoding: with its details. ends: float64 [2, C], the lowest and highest preprocessed pixel.
        inputs: the events of all images, each int64 [E, 4].
        """
        return ends.min(axis=0), ends.max(axis=0)

    def describe(self, encoding: Encoding, network: Network) -> str:
        """The encoding in words; parameters as for `drive_steps`."""
        return self.words

    def rows(
        self,
        encoding: Encoding,
        network: Network,
        total: NDArray[Any],
        bias: NDArray[Any],
        steps: int,
        finer: int,
    ) -> NDArray[Any]:
        """What arrives at the beginning of each step: [D, neurons] in the arithmetic's numbers.

        The last row is that of all further steps. encoding, network: as above. total: W x + b,
        [neurons]. bias: b, likewise. steps: T. finer: bits that are 0 in each number.
        """
        raise NotImplementedError

    def spikes(
        self, x: NDArray[Any], largest: float, steps: int, seed: int, image: int, first: int
    ) -> Iterator[NDArray[np.int64]]:
        """Yields the input's spikes of each step, whole numbers int64 [H * W, C].

        x: float [H * W, C], preprocessed. largest: what a spike is worth. steps: how many. seed:
        of everything random. image: its number. first: the step that the first is, for randomness.
        """
        raise NotImplementedError


class Shares(Code):
    """Base of an encoding that spreads W x over the steps; biases come in every step.

    A class of one's own has shares(steps): float64 [steps], what W x is multiplied by in each step.
    They add up to the number of steps.
    """

    words = "W x in shares by step; biases in each step"

    def shares(self, steps: int) -> NDArray[np.float64]:
        """What W x is multiplied by in each step, float64 [steps]. steps: T."""
        raise NotImplementedError

    def checked(self, steps: int) -> NDArray[np.float64]:
        """`shares`, which must be as many numbers as steps, and add up to that. steps: T.

        Raises InputError for others.
        """
        found = np.asarray(self.shares(steps), np.float64)
        where = f"encoding {type(self).__name__!r}"
        if found.shape != (steps,) or not np.isfinite(found).all():
            raise InputError(where, f"{steps} shares, one a step", f"shape {list(found.shape)}")
        if abs(found.sum() - steps) > 1e-6 * steps:
            raise InputError(where, f"shares that add up to {steps}", f"{found.sum():g}")
        return found

    def range(
        self, encoding: Encoding, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Code.range`."""
        shares = self.checked(encoding.steps)
        products = np.stack([ends * shares.min(), ends * shares.max()])
        return products.min(axis=(0, 1)), products.max(axis=(0, 1))

    def rows(
        self,
        encoding: Encoding,
        network: Network,
        total: NDArray[Any],
        bias: NDArray[Any],
        steps: int,
        finer: int,
    ) -> NDArray[Any]:
        """See `Code.rows`: each share is rounded to the arithmetic's numbers."""
        shares = self.checked(steps)[:, None]
        weighted = total - bias
        if total.dtype.kind == "f":
            return (shares * weighted + bias).astype(total.dtype)
        whole = np.rint(shares * (weighted.astype(np.int64) >> finer)).astype(np.int64)
        return ((whole << finer) + bias).astype(total.dtype)


class InputSpikes(Code):
    """Base of an encoding in which the input sends spikes, each worth the largest input.

    A class of one's own has spiking(x, step, seed, image), which returns whole numbers [H * W, C]:
    the spikes of step 1, 2, …; `most`: how many of an input in a step, at most.
    """

    words = "spikes of the input; biases in each step"
    spiking = True
    most = 1

    def send(
        self, x: NDArray[np.float64], step: int, seed: int, image: int
    ) -> NDArray[np.integer[Any]]:
        """The input's spikes of one step, whole numbers [H * W, C].

        x: float64 [H * W, C], the preprocessed image over its largest value: -1 to 1. step: from 1.
        seed: of everything random. image: its number in the data set.
        """
        raise NotImplementedError

    def range(
        self, encoding: Encoding, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Code.range`."""
        largest = self.most * np.abs(ends).max()
        return np.full(ends.shape[1], -largest), np.full(ends.shape[1], largest)

    def spikes(
        self, x: NDArray[Any], largest: float, steps: int, seed: int, image: int, first: int
    ) -> Iterator[NDArray[np.int64]]:
        """See `Code.spikes`. Raises InputError for spikes that are not as declared."""
        where = f"encoding {type(self).__name__!r}"
        relative = np.asarray(x, np.float64) / largest
        for step in range(steps):
            found = np.asarray(self.send(relative, step + 1 + first, seed, image))
            if found.shape != x.shape or found.dtype.kind not in "iu":
                expected = f"whole numbers of shape {list(x.shape)}"
                raise InputError(where, expected, f"{found.dtype} of {list(found.shape)}")
            if found.size and np.abs(found).max() > self.most:
                raise InputError(where, f"at most {self.most} spikes a step", np.abs(found).max())
            yield found.astype(np.int64)


class _Constant(Code):
    def describe(self, encoding: Encoding, network: Network) -> str:
        once = ", but biases in step 1 only" if encoding.bias_once else ""
        return (
            "constant: W x + b of layers that see the input, b of every other, "
            f"at the beginning of each step{once}"
        )

    def rows(
        self,
        encoding: Encoding,
        network: Network,
        total: NDArray[Any],
        bias: NDArray[Any],
        steps: int,
        finer: int,
    ) -> NDArray[Any]:
        return np.stack([total, total - bias]) if encoding.bias_once else total[None]


class _Even(Code):
    divides = False
    once = True

    def drive_steps(self, encoding: Encoding, network: Network, steps: int) -> int:
        return min(encoding.parts(network), steps)

    def describe(self, encoding: Encoding, network: Network) -> str:
        bias = "biases whole in step 1" if encoding.bias_once else "biases likewise"
        count = encoding.parts(network)
        return f"even: W x in {count} parts, in as many steps, {bias}, then nothing"

    def rows(
        self,
        encoding: Encoding,
        network: Network,
        total: NDArray[Any],
        bias: NDArray[Any],
        steps: int,
        finer: int,
    ) -> NDArray[Any]:
        count = encoding.parts(network)
        _check_size(bias, count)
        parts = even_parts(total - bias if encoding.bias_once else total, count, finer)
        if encoding.bias_once:
            parts[0] += bias
        return np.concatenate([parts, np.zeros_like(parts[:1])])


class _Rate(InputSpikes):
    def describe(self, encoding: Encoding, network: Network) -> str:
        return (
            "rate: each input value x fires sign(x) with probability |x| / x_max in each step; "
            "biases in each step"
        )

    def spikes(
        self, x: NDArray[Any], largest: float, steps: int, seed: int, image: int, first: int
    ) -> Iterator[NDArray[np.int64]]:
        for step in range(steps):
            spikes = np.zeros(x.shape, np.int64)
            rate_spikes(x, largest, seed, image, step + first, spikes)
            yield spikes


class _Events(Code):
    spiking = True

    def range(
        self, encoding: Encoding, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # 1 at least, so that a weight fits where no image has an event
        most = max((_most_at_once(events) for events in inputs), default=0) or 1
        channels = ends.shape[1]
        return np.full(channels, -most * encoding.unit), np.full(channels, most * encoding.unit)

    def describe(self, encoding: Encoding, network: Network) -> str:
        unit = f"{encoding.unit:g}"
        words = f"events: the user's own, each worth an input of {unit}; biases in each step"
        recorded = encoding.recorded
        if recorded is not None:
            words += f"; {recorded.describe(network.graph.input_shape)}"
        return words


def check_code(name: str, code: Any) -> None:
    """Raises InputError for an encoding that is none.

    name: its name, for the message. code: a subclass of `Shares` or of `InputSpikes`.
    """
    where = f"encoding {name!r}"
    if not (isinstance(code, type) and issubclass(code, Code)):
        expected = "a subclass of eventsnn.encoding.Shares or InputSpikes"
        raise InputError(where, expected, repr(code))
    if not issubclass(code, (_Constant, _Even, _Rate, _Events)):
        if issubclass(code, Shares) and code.shares is Shares.shares:
            raise InputError(where, "a method shares(steps)", "none")
        if issubclass(code, InputSpikes) and code.send is InputSpikes.send:
            raise InputError(where, "a method send(x, step, seed, image)", "none")
        if not issubclass(code, (Shares, InputSpikes)):
            raise InputError(where, "a subclass of Shares or InputSpikes", code.__name__)
        if code.spiking is not issubclass(code, InputSpikes):
            raise InputError(where, "spiking as its base has it", repr(code.spiking))


ENCODINGS: Registry[Any] = Registry(
    "encoding",
    {"constant": _Constant, "even": _Even, "rate": _Rate, "events": _Events},
    check_code,
)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How input and biases are spread over the steps.

    kind: a name in ENCODINGS, with options of its own behind a colon, or a `Code`; None: what the
    model asks for, or else "constant". release: n of
    `even`, the steps over which input and biases are spread (None: the most levels of an
    activation, SpikeZIP 3.2). bias_once: whether biases arrive whole in step 1, as in some authors'
    code. unit: the input that one event of `events` stands for, in the network's own units (after
    preprocessing). time_scale: microseconds a step, of recorded events (None: times are in steps).
    polarity, sensor: of recorded events, see `recorded.Recorded`. steps: T, which the simulation
    fills in.

    Raises InputError for values outside these, and for options that do not go together.
    """

    kind: Any = option(
        None,
        "how an image arrives: in every step; evenly, in N parts in as many steps; as random "
        "spikes of the input, at rates that follow its values; or as recorded events, files of "
        "which are --data then; default: constant, st-bif even",
        "--encoding even --neuron st-bif",
        kind=None,
        choices=lambda: list(ENCODINGS),
    )
    release: int | None = option(
        None,
        "encoding even: N; default: the most levels of an activation",
        "--encoding even --release 8",
        kind=int,
        low=1,
        high=2**16,
    )
    bias_once: bool = option(
        False,
        "biases arrive whole in step 1, not in every step or part",
        "--encoding even --bias-once",
        kind=bool,
    )
    unit: float = 1.0
    time_scale: float | None = option(
        None,
        "encoding events: microseconds of a recording that are one step; time counts from each "
        "recording's first event",
        "--encoding events --time-scale 1000",
        kind=float,
        low=1e-6,
        high=1e12,
    )
    polarity: str | None = option(
        None,
        "encoding events: channels, off and on are two channels; signed, off is a negative event; "
        "merge, on and off are alike; default: channels of a network with two, signed with one",
        "--encoding events --time-scale 1000 --polarity merge",
        choices=POLARITIES,
    )
    sensor: tuple[int, ...] = option(
        (),
        "encoding events: WIDTH,HEIGHT of the sensor, the network's own or whole multiples, of "
        "which so many pixels are one input; default: what the files say, or else the network's",
        "--encoding events --time-scale 1000 --sensor 128,128",
        kind="steps",
        low=1,
        high=2**15,
    )
    steps: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.kind is None:
            return  # what the model asks for decides, see `of_model`
        found = named("encoding", self.name)
        if not isinstance(self.code, _Even) and self.release is not None:
            do = f"choose {named('encoding', 'even')}, or leave {named('release')} out"
            raise InputError(named("release"), named("encoding", "even"), found, do)
        if self.bias_once and not isinstance(self.code, (_Constant, _Even)):
            expected = f"{named('encoding', 'constant')} or even"
            do = "with such an encoding biases come in every step: leave it out"
            raise InputError(named("bias_once"), expected, found, do)
        if self.unit != 1 and not isinstance(self.code, _Events):
            do = "leave it out: only the user's own events have a unit"
            raise InputError("unit", named("encoding", "events"), found, do)
        self._check_recorded(found)
        if not (np.isfinite(self.unit) and self.unit > 0):
            raise InputError("unit", "a number above 0", self.unit)

    def _check_recorded(self, found: str) -> None:
        """Raises InputError for options of recordings without any. found: the encoding, named."""
        for name in ("time_scale", "polarity", "sensor"):
            if getattr(self, name) and not isinstance(self.code, _Events):
                do = f"leave {named(name)} out: only recorded events have it"
                raise InputError(named(name), named("encoding", "events"), found, do)
            if getattr(self, name) and self.time_scale is None:
                do = f"give {named('time_scale')}, the microseconds of a step"
                raise InputError(named(name), named("time_scale"), "none", do)
        if self.sensor and len(self.sensor) != 2:
            found = ", ".join(map(str, self.sensor))
            raise InputError(named("sensor"), "width and height", found)

    @property
    def recorded(self) -> Recorded | None:
        """How recordings become input; None where times are in steps."""
        if self.time_scale is None:
            return None
        sensor = (self.sensor[0], self.sensor[1]) if self.sensor else None
        return Recorded(self.time_scale, self.polarity, sensor)

    def of_model(self, neuron: Any) -> Encoding:
        """The encoding with a kind: its own, or what a model asks for.

        neuron: the model. Raises InputError for details that do not go with that kind.
        """
        if self.kind is not None:
            return self
        return replace(self, kind=getattr(neuron, "encoding", "constant"))

    def check_model(self, neuron: Any) -> None:
        """Raises InputError for an encoding with which a model's readout means nothing.

        neuron: the model. ST-BIF's spikes are not averaged over time (SpikeZIP 3.2). A user's own
        events are the user's own choice.
        """
        asked = getattr(neuron, "encoding", None)
        averaged = self.kind not in (None, "events") and self.divides
        if asked is not None and averaged:
            raise InputError(
                named("encoding"),
                f"{named('encoding', asked)}, as {type(neuron).__name__} neurons are not averaged "
                "over time",
                named("encoding", self.name),
                "leave it out, and give steps enough to come to rest",
            )

    def check_readout_from(self, steps: int) -> None:
        """Raises InputError where a readout that begins after some steps means nothing.

        steps: how many do not count (semantics, section 3).
        """
        where, found = named("readout_from"), named("encoding", self.name)
        if steps and not self.divides:
            do = "leave one of the two out"
            raise InputError(where, "an encoding whose readout is divided by steps", found, do)
        if steps and self.bias_once:
            do = "leave one of the two out: biases of step 1 would not count"
            raise InputError(where, "biases in every step", named("bias_once", True), do)

    @property
    def name(self) -> str:
        """The name of its kind."""
        return self.kind if isinstance(self.kind, str) else type(self.kind).__name__

    @property
    def code(self) -> Code:
        """What it does. Raises InputError for a kind that there is not."""
        if isinstance(self.kind, Code):
            check_code(self.name, type(self.kind))
            return self.kind
        _, code, given = parsed(ENCODINGS, self.kind, "encoding")
        found: Code = code(**given)
        return found

    @property
    def divides(self) -> bool:
        """Whether the readout is an average over steps; with `even` all charge comes once."""
        return self.code.divides

    def parts(self, network: Network) -> int:
        """n of `even`.

        network: whose levels count where there is no `release`. Raises InputError where it has
        none.
        """
        if self.release is not None:
            return int(self.release)
        nodes = [layer.node for layer in network.spiking if layer.node is not None]
        levels = [node.attrs["levels"] for node in nodes if "levels" in node.attrs]
        if not levels:
            expected = (
                "activations with levels (QCFS, QuantRelu), "
                "or the number of steps to release the input in"
            )
            found = "a network without levels"
            do = f"give {named('release', 'N')}"
            raise InputError("encoding 'even'", expected, found, do)
        return max(levels)

    def drive_steps(self, network: Network, steps: int) -> int:
        """The number of steps in which drive arrives; network: as in `parts`. steps: T."""
        return self.code.drive_steps(self, network, steps)

    def range(
        self, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(lowest, highest) input in one step, each float64 [C].

        ends: float64 [2, C], the lowest and highest preprocessed pixel. inputs: the events of all
        images, for `events`, each int64 [E, 4] (`events_of`).
        """
        return self.code.range(self, ends, inputs or ())

    def describe(self, network: Network) -> str:
        """The encoding in words, for the results' provenance; network: as in `parts`."""
        return self.code.describe(self, network)


def _check_size(row: NDArray[Any], count: int) -> None:
    """Raises InputError where `count` such rows of drive would need more than MAX_ROWS."""
    if row.nbytes * count > MAX_ROWS:
        expected = f"at most {MAX_ROWS / 2**30:.0f} GiB of drive for an image"
        found = f"{row.nbytes * count / 2**30:.1f} GiB"
        do = "choose fewer steps, or a shorter release"
        raise InputError("encoding", expected, found, do)


def _most_at_once(events: NDArray[np.int64]) -> int:
    """The most of these events that one input has in one step."""
    if not len(events):
        return 0
    _, counts = np.unique(events[:, [0, 2]], axis=0, return_counts=True)
    return int(counts.max())


def spikes_of_events(
    shape: tuple[int, int, int], steps: int, events: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Yields the input's spikes of each step, whole numbers int64 [H * W, C].

    shape: (C, H, W). steps: how many. events: the user's own, int64 [E, 4] (`events_of`).
    """
    c, h, w = shape
    for step in range(steps):
        spikes = np.zeros((h * w, c), np.int64)
        mine = events[events[:, 0] == step]
        np.add.at(spikes.reshape(-1), mine[:, 2], mine[:, 3])
        yield spikes


@checked
def events_of(
    given: Any, shape: tuple[int, int, int], steps: Count, ticks: Count
) -> NDArray[np.int64]:
    """Input events as int64 [E, 4], in the order of time.

    The columns are step, ticks after its start, number of the input (channels last) and sign.
    Events at one time keep their order.

    given: rows (time in steps, input index c * H * W + y * W + x, sign) as a list or array [E, 3];
    or an AER array, structured with fields t (steps), x, y and p. In an AER array with two input
    channels p (0, 1) is the channel; with one it is the sign (0 and -1: negative). shape: (C, H,
    W). steps: T. ticks: of a step. Raises InputError for arrays of another form, and for events
    outside the input or outside 0 <= time < steps.
    """
    c, h, w = shape
    array = as_array(given)
    if array is None:
        expected = "rows (time, input index, sign), or an AER array with fields x, y, t, p"
        raise InputError("events", expected, shown(given))
    given = array
    parse = _from_aer if given.dtype.names else _from_rows
    time, channel, site, sign, inside = parse(given, shape)
    inside &= (time >= 0) & (time < steps)
    if not inside.all():
        first = int(np.argmin(inside))
        expected = (
            f"times from 0 to {steps} (excluded), inputs inside {c}x{h}x{w} and signs of 1 or -1"
        )
        found = f"event {first}: {given[first].tolist()}"
        raise InputError("events", expected, found, "times count in steps")
    at = np.floor(time * ticks)
    # the product rounds: 0.29 is tick 29 of 100
    at += (at + 1) / ticks == time
    at -= at / ticks > time
    at = at.astype(np.int64)
    number = (site * c + channel).astype(np.int64)
    rows = np.stack([at // ticks, at % ticks, number, sign.astype(np.int64)], axis=1)
    return rows[np.argsort(at, kind="stable")]


Parsed = tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.bool_],
]


def _from_aer(given: NDArray[Any], shape: tuple[int, int, int]) -> Parsed:
    """(time, channel, site, sign, whether inside the input) of an AER array, [E] each."""
    c, h, w = shape
    missing = {"t", "x", "y", "p"} - set(given.dtype.names or ())
    if missing:
        expected = "an AER array with fields x, y, t, p"
        raise InputError("events", expected, f"no {', '.join(sorted(missing))}")
    if c > 2:
        expected = "a network with one or two input channels for x, y, t, p"
        do = "give (time, input index, sign) instead"
        raise InputError("events", expected, f"{c} channels", do)
    time, x, y, p = (given[name].astype(np.float64) for name in ("t", "x", "y", "p"))
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h) & np.isin(p, (-1, 0, 1) if c == 1 else (0, 1))
    if c == 2:
        channel = np.where(inside, p, 0)
        sign = np.ones(len(p))
    else:
        channel = np.zeros(len(p))
        sign = np.where(p > 0, 1.0, -1.0)
    return time, channel, y * w + x, sign, inside


def _from_rows(given: NDArray[Any], shape: tuple[int, int, int]) -> Parsed:
    """(time, channel, site, sign, whether inside the input) of rows [E, 3], [E] each."""
    c, h, w = shape
    if given.size == 0:
        given = np.zeros((0, 3))
    if given.ndim != 2 or given.shape[1] != 3 or given.dtype.kind not in "iuf":
        expected = "rows (time, input index, sign), or an AER array with fields x, y, t, p"
        found = f"an array of shape {list(given.shape)} and type {given.dtype}"
        raise InputError("events", expected, found)
    time, at, sign = given.astype(np.float64).T
    inside = (at >= 0) & (at < c * h * w) & (at == np.floor(at)) & np.isin(sign, (-1, 1))
    channel, site = np.divmod(np.where(inside, at, 0), h * w)
    return time, channel, site, sign, inside


def by_site(image: NDArray[Any]) -> NDArray[Any]:
    """An image site by site, [H * W, C]. image: [C, H, W]."""
    return np.ascontiguousarray(image.reshape(len(image), -1).T)


def bias_of(network: Network, arithmetic: Arithmetic, scales: NDArray[np.float64]) -> NDArray[Any]:
    """What arrives whatever the image is: the biases, [neurons], readout included.

    network: whose biases. arithmetic: whose dtype the result has. scales: q per normalised
    threshold, float64 [L].
    """
    found = np.empty(int(network.first[-1]), arithmetic.dtype)
    for i, (layer, scale) in enumerate(zip(network.layers, scales)):
        found[network.columns(i)] = arithmetic.quantise(layer.bias * scale).reshape(-1)
    return found


def drive_of(
    network: Network,
    arithmetic: Arithmetic,
    image: NDArray[Any],
    scales: NDArray[np.float64],
    bias: NDArray[Any],
) -> NDArray[Any]:
    """What one presentation of an image brings: W x + b, or b to layers that do not see the input.

    image: preprocessed, [C, H, W]. network, arithmetic, scales: see `bias_of`. bias: what that
    returns. Returns the arithmetic's dtype, [neurons], readout included.
    """
    x = by_site(image).astype(np.float64)
    result = bias.copy()
    for i, layer in enumerate(network.layers):
        seen = [p for p in network.into(i) if p.source == INPUT]
        if seen:
            total = np.array(layer.bias)
            for p in seen:
                _add(p, p.map.blocks, x, total)
            result[network.columns(i)] = arithmetic.quantise(total * scales[i]).reshape(-1)
    return result


def add_inputs(
    network: Network,
    blocks_of: Callable[[Projection], NDArray[Any]],
    spikes: NDArray[np.int64],
    out: NDArray[Any],
) -> None:
    """Adds the charge of spiking inputs to `out`, with the arithmetic's own weights.

    network: whose input spikes. blocks_of: function of a projection that returns its blocks [K, G,
    ci, co] in the arithmetic's numbers. spikes: whole numbers [H * W, C]. out: the arithmetic's
    dtype, [neurons].
    """
    for i, layer in enumerate(network.layers):
        for p in network.into(i):
            if p.source == INPUT:
                to = out[network.columns(i)].reshape(len(layer.bias), -1)
                _add(p, blocks_of(p), spikes.astype(out.dtype), to)


def _add(p: Projection, blocks: NDArray[Any], x: NDArray[Any], out: NDArray[Any]) -> None:
    """Adds to `out` [H * W, C] of the target what x [H * W, C] brings through these blocks."""
    _, _, ci, co = blocks.shape
    rows = p.map.k * blocks[0].size
    into = np.ascontiguousarray(out[:, p.map.columns])
    add_charge(p.map.p, p.map.r, rows, ci, co, blocks.reshape(-1), x, into)
    out[:, p.map.columns] = into


def even_parts(total: NDArray[Any], count: int, finer: int = 0) -> NDArray[Any]:
    """`total` in `count` rows that add up to it (SpikeZIP 3.2): [count, neurons].

    Whole numbers differ by at most 1 and are evenly spread. total: the arithmetic's dtype,
    [neurons]. count: how many rows. finer: bits that are 0 in each number, see `Arithmetic`.
    """
    if total.dtype.kind == "f":
        return np.repeat((total / total.dtype.type(count))[None], count, axis=0)
    whole, rest = np.divmod(total.astype(np.int64) >> finer, count)
    sums = np.arange(count + 1, dtype=np.int64)[:, None] * rest // count
    return ((whole + np.diff(sums, axis=0)) << finer).astype(total.dtype)
