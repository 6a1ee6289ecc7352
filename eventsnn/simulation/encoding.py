"""How an image becomes charge: what arrives at the beginning of each step, or at the times of input
events (semantics, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.engine.drive import add_charge, rate_spikes
from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT

KINDS = ("constant", "even", "rate", "events")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """kind: one of KINDS. release: n of `even`, the steps over which input and biases are spread
    (None: the most levels of an activation, SpikeZIP 3.2). bias_once: biases arrive whole in step
    1, as in some authors' code. unit: the input that one event of `events` stands for, in the
    network's own units (after preprocessing).
    """

    kind: str = "constant"
    release: int | None = None
    bias_once: bool = False
    unit: float = 1.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError("encoding", f"one of {', '.join(KINDS)}", repr(self.kind))
        if self.release is not None and not (
            isinstance(self.release, (int, np.integer)) and 1 <= self.release <= 2**16
        ):
            raise InputError(
                "release", "a whole number of steps from 1 to 65,536", repr(self.release)
            )
        if self.release is not None and self.kind != "even":
            raise InputError(
                "release",
                "encoding 'even'",
                f"encoding {self.kind!r}",
                "choose --encoding even, or leave --release out",
            )
        if self.bias_once and self.kind not in ("constant", "even"):
            raise InputError(
                "bias_once",
                "encoding 'constant' or 'even'",
                f"encoding {self.kind!r}",
                "with spiking inputs biases come in every step: leave it out",
            )
        if not (np.isfinite(self.unit) and self.unit > 0):
            raise InputError("unit", "a number above 0", self.unit)

    @property
    def divides(self):
        """Whether the readout is an average over steps (not for `even`, where all charge comes
        once).
        """
        return self.kind != "even"

    def parts(self, network):
        """n of `even`."""
        if self.release is not None:
            return int(self.release)
        levels = [
            layer.node.attrs["levels"] for layer in network.spiking if "levels" in layer.node.attrs
        ]
        if not levels:
            raise InputError(
                "encoding 'even'",
                "activations with levels (QCFS, QuantRelu), or the number of steps to release the input in",
                "a network without levels",
                "give --release N",
            )
        return max(levels)

    def drive_steps(self, network, steps):
        """The number of steps in which drive arrives."""
        return min(self.parts(network), steps) if self.kind == "even" else steps

    def range(self, ends, inputs=None):
        """(lowest, highest) input in one step, each float64 [C], for preprocessed pixels between
        `ends` [2, C] or these events.
        """
        if self.kind == "rate":
            return np.full(ends.shape[1], -np.abs(ends).max()), np.full(
                ends.shape[1], np.abs(ends).max()
            )
        if self.kind == "events":
            most = max(
                (
                    int(np.unique(e[:, [0, 2]], axis=0, return_counts=True)[1].max())
                    for e in inputs or ()
                    if len(e)
                ),
                default=0,
            )
            return np.full(ends.shape[1], -most * self.unit), np.full(
                ends.shape[1], most * self.unit
            )
        return ends.min(axis=0), ends.max(axis=0)

    def describe(self, network):
        """In words, for the results' provenance."""
        bias = "biases whole in step 1" if self.bias_once else "biases likewise"
        return {
            "constant": "constant: W x + b of layers that see the input, b of every other, at the beginning of each step"
            + (", but biases in step 1 only" if self.bias_once else ""),
            "even": f"even: W x in {self.parts(network) if self.kind == 'even' else 0} parts, in as many steps, {bias}, then nothing",
            "rate": "rate: each input value x fires sign(x) with probability |x| / x_max in each step; biases in each step",
            "events": f"events: the user's own, each worth an input of {self.unit:g}; biases in each step",
        }[self.kind]


def input_spikes(shape, steps, *, events=None, x=None, largest=1.0, seed=0, number=0, first=0):
    """Yield the input's spikes of each step, whole numbers int64 [sites, C].

    shape: (C, H, W). events: the user's own, int64 [E, 4] (`events_of`); or else x: float [sites,
    C], preprocessed, of which each value fires with probability min(1, |x| / largest), by a hash of
    seed, number (the image's) and step, counted from `first`.
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


def events_of(given, shape, steps, ticks):
    """Input events as int64 [E, 4], in the order of time: step, ticks after its start, input's
    number (channels last), sign.

    given: rows (time in steps, input index c * H * W + y * W + x, sign) as a list or array [E, 3],
    or an AER array, structured with fields t (steps), x, y and p: with two input channels p (0, 1)
    is the channel, with one it is the sign (0 and -1: negative). Events at one time keep their
    order. Raises InputError for events outside the input or outside 0 <= time < steps.
    """
    c, h, w = shape
    given = np.asarray(given) if not isinstance(given, np.ndarray) else given
    if given.dtype.names:
        missing = {"t", "x", "y", "p"} - set(given.dtype.names)
        if missing:
            raise InputError(
                "events", "an AER array with fields x, y, t, p", f"no {', '.join(sorted(missing))}"
            )
        if c > 2:
            raise InputError(
                "events",
                "a network with one or two input channels for x, y, t, p",
                f"{c} channels",
                "give (time, input index, sign) instead",
            )
        time, x, y, p = (given[name].astype(np.float64) for name in ("t", "x", "y", "p"))
        inside = (
            (x >= 0) & (x < w) & (y >= 0) & (y < h) & np.isin(p, (-1, 0, 1) if c == 1 else (0, 1))
        )
        channel, sign = (
            (np.where(inside, p, 0), np.ones(len(p)))
            if c == 2
            else (np.zeros(len(p)), np.where(p > 0, 1, -1))
        )
        site = y * w + x
    else:
        if given.size == 0:
            given = np.zeros((0, 3))
        if given.ndim != 2 or given.shape[1] != 3 or given.dtype.kind not in "iuf":
            raise InputError(
                "events",
                "rows (time, input index, sign), or an AER array with fields x, y, t, p",
                f"an array of shape {list(given.shape)} and type {given.dtype}",
            )
        time, at, sign = given.astype(np.float64).T
        inside = (at >= 0) & (at < c * h * w) & (at == np.floor(at)) & np.isin(sign, (-1, 1))
        channel, site = np.divmod(np.where(inside, at, 0), h * w)
    inside &= (time >= 0) & (time < steps)
    if not inside.all():
        first = int(np.argmin(inside))
        raise InputError(
            "events",
            f"times from 0 to {steps} (excluded), inputs inside {c}x{h}x{w} and signs of 1 or -1",
            f"event {first}: {given[first].tolist()}",
            "times count in steps",
        )
    at = np.floor(time * ticks).astype(np.int64)
    rows = np.stack(
        [at // ticks, at % ticks, (site * c + channel).astype(np.int64), sign.astype(np.int64)],
        axis=1,
    )
    return rows[np.argsort(at, kind="stable")]


def by_site(image):
    """[C, H, W] -> [H * W, C]"""
    return np.ascontiguousarray(image.reshape(len(image), -1).T)


def bias_of(network, arithmetic, scales):
    """What arrives whatever the image is: the biases, in the arithmetic's dtype, [neurons], readout
    included.

    scales: q per normalised threshold, float64 [layers].
    """
    return np.concatenate(
        [
            arithmetic.quantise(layer.bias * scale).reshape(-1)
            for layer, scale in zip(network.layers, scales)
        ]
    )


def drive_of(network, arithmetic, image, scales, bias):
    """What one presentation of an image brings: W x + b to layers that see the input, b to the
    others.

    image: preprocessed [C, H, W]. scales, bias: see `bias_of`. Returns the arithmetic's dtype,
    [neurons], readout included.
    """
    x, result, first = by_site(image).astype(np.float64), bias.copy(), 0
    for i, layer in enumerate(network.layers):
        seen = [p for p in network.into(i) if p.source == INPUT]
        total = np.array(layer.bias) if seen else None
        for p in seen:
            blocks = p.map.blocks
            add_charge(
                p.map.p,
                p.map.r,
                p.map.k * blocks[0].size,
                blocks.shape[2],
                blocks.shape[3],
                blocks.reshape(-1),
                x,
                total,
            )
        if seen:
            result[first : first + layer.size] = arithmetic.quantise(total * scales[i]).reshape(-1)
        first += layer.size
    return result


def add_inputs(network, blocks_of, spikes, out):
    """Add the charge of spiking inputs, whole numbers [sites, C], to `out` [neurons], with the
    arithmetic's own weights.
    """
    first = 0
    for i, layer in enumerate(network.layers):
        for p in network.into(i):
            if p.source == INPUT:
                blocks = blocks_of(p)
                add_charge(
                    p.map.p,
                    p.map.r,
                    p.map.k * blocks[0].size,
                    blocks.shape[2],
                    blocks.shape[3],
                    blocks.reshape(-1),
                    spikes.astype(out.dtype),
                    out[first : first + layer.size].reshape(len(layer.bias), -1),
                )
        first += layer.size


def even_parts(total, count):
    """`total` [neurons] in `count` rows that add up to it (SpikeZIP 3.2); whole numbers differ by
    at most 1, evenly spread.
    """
    if total.dtype.kind == "f":
        return np.repeat((total / total.dtype.type(count))[None], count, axis=0)
    sums = np.arange(count + 1, dtype=np.int64)[:, None] * total.astype(np.int64) // count
    return np.diff(sums, axis=0).astype(total.dtype)
