"""How an image becomes charge, in steps or at the times of input events (semantics, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.drive import add_charge, rate_spikes
from eventsnn.exceptions import InputError, named_fields
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.arithmetic import Arithmetic

KINDS = ("constant", "even", "rate", "events")


@named_fields
@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How input and biases are spread over the steps.

    kind: one of KINDS. release: n of `even`, the steps over which input and biases are spread
    (None: the most levels of an activation, SpikeZIP 3.2). bias_once: whether biases arrive whole
    in step 1, as in some authors' code. unit: the input that one event of `events` stands for, in
    the network's own units (after preprocessing).

    Raises InputError for values outside these, and for options that do not go together.
    """

    kind: str = "constant"
    release: int | None = None
    bias_once: bool = False
    unit: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("encoding", f"one of {', '.join(KINDS)}", repr(self.kind))
        found = f"encoding {self.kind!r}"
        if self.release is not None:
            whole = isinstance(self.release, (int, np.integer))
            if not (whole and 1 <= self.release <= 2**16):
                expected = "a whole number of steps from 1 to 65,536"
                raise InputError("release", expected, repr(self.release))
            if self.kind != "even":
                do = "choose --encoding even, or leave --release out"
                raise InputError("release", "encoding 'even'", found, do)
        if self.bias_once and self.kind not in ("constant", "even"):
            do = "with spiking inputs biases come in every step: leave it out"
            raise InputError("bias_once", "encoding 'constant' or 'even'", found, do)
        if not (np.isfinite(self.unit) and self.unit > 0):
            raise InputError("unit", "a number above 0", self.unit)

    @property
    def divides(self) -> bool:
        """Whether the readout is an average over steps; with `even` all charge comes once."""
        return self.kind != "even"

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
            raise InputError("encoding 'even'", expected, found, "give --release N")
        return max(levels)

    def drive_steps(self, network: Network, steps: int) -> int:
        """The number of steps in which drive arrives; network: as in `parts`. steps: T."""
        return min(self.parts(network), steps) if self.kind == "even" else steps

    def range(
        self, ends: NDArray[np.float64], inputs: Sequence[NDArray[np.int64]] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(lowest, highest) input in one step, each float64 [C].

        ends: float64 [2, C], the lowest and highest preprocessed pixel. inputs: the events of all
        images, for `events`, each int64 [E, 4] (`events_of`).
        """
        channels = ends.shape[1]
        if self.kind == "rate":
            largest = np.abs(ends).max()
            return np.full(channels, -largest), np.full(channels, largest)
        if self.kind == "events":
            most = max((_most_at_once(events) for events in inputs or ()), default=0)
            return np.full(channels, -most * self.unit), np.full(channels, most * self.unit)
        return ends.min(axis=0), ends.max(axis=0)

    def describe(self, network: Network) -> str:
        """The encoding in words, for the results' provenance; network: as in `parts`."""
        if self.kind == "constant":
            once = ", but biases in step 1 only" if self.bias_once else ""
            return (
                "constant: W x + b of layers that see the input, b of every other, "
                f"at the beginning of each step{once}"
            )
        if self.kind == "even":
            bias = "biases whole in step 1" if self.bias_once else "biases likewise"
            return (
                f"even: W x in {self.parts(network)} parts, in as many steps, {bias}, then nothing"
            )
        if self.kind == "rate":
            return (
                "rate: each input value x fires sign(x) with probability |x| / x_max in each step; "
                "biases in each step"
            )
        return f"events: the user's own, each worth an input of {self.unit:g}; biases in each step"


def _most_at_once(events: NDArray[np.int64]) -> int:
    """The most of these events that one input has in one step."""
    if not len(events):
        return 0
    _, counts = np.unique(events[:, [0, 2]], axis=0, return_counts=True)
    return int(counts.max())


def input_spikes(
    shape: tuple[int, int, int],
    steps: int,
    *,
    events: NDArray[np.int64] | None = None,
    x: NDArray[Any] | None = None,
    largest: float = 1.0,
    seed: int = 0,
    number: int = 0,
    first: int = 0,
) -> Iterator[NDArray[np.int64]]:
    """Yields the input's spikes of each step, whole numbers int64 [H * W, C].

    shape: (C, H, W). steps: how many. events: the user's own, int64 [E, 4] (`events_of`). Without
    them x: float [H * W, C], preprocessed. Each value of x fires with probability min(1, |x| /
    largest), by a hash of `seed`, `number` (the image's) and the step, counted from `first`.
    """
    c, h, w = shape
    for step in range(steps):
        spikes = np.zeros((h * w, c), np.int64)
        if events is not None:
            mine = events[events[:, 0] == step]
            np.add.at(spikes.reshape(-1), mine[:, 2], mine[:, 3])
        else:
            rate_spikes(x, largest, seed, number, step + first, spikes)
        yield spikes


def events_of(given: Any, shape: tuple[int, int, int], steps: int, ticks: int) -> NDArray[np.int64]:
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
    if not isinstance(given, np.ndarray):
        given = np.asarray(given)
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
    at = np.floor(time * ticks).astype(np.int64)
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
    parts = [
        arithmetic.quantise(layer.bias * scale).reshape(-1)
        for layer, scale in zip(network.layers, scales)
    ]
    return np.concatenate(parts)


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
    add_charge(p.map.p, p.map.r, rows, ci, co, blocks.reshape(-1), x, out)


def even_parts(total: NDArray[Any], count: int) -> NDArray[Any]:
    """`total` in `count` rows that add up to it (SpikeZIP 3.2): [count, neurons].

    Whole numbers differ by at most 1 and are evenly spread. total: the arithmetic's dtype,
    [neurons]. count: how many rows.
    """
    if total.dtype.kind == "f":
        return np.repeat((total / total.dtype.type(count))[None], count, axis=0)
    sums = np.arange(count + 1, dtype=np.int64)[:, None] * total.astype(np.int64) // count
    return np.diff(sums, axis=0).astype(total.dtype)
