"""Numbers the engines compute in: fixed point by default, so that order never hides in rounding.

In fixed point, weights, drive and potentials are integers in units of 2^-F, and q, the charge of
one spike, is 2^F: a threshold, or a part of it (semantics, section 2).
F is the largest for which a bound on every reachable potential fits 32 bits. Where that F is below
20, F is 20 and potentials are watched where 32 bits hold the charge of a step, else 64 bits are
taken (semantics, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import Count, Numbers, checked, checked_fields
from eventsnn.exceptions import InputError
from eventsnn.network.linear import LinearMap, add_taps
from eventsnn.network.network import INPUT, Network, Projection

KINDS = ("fixed", "float32", "float64")
LEAST_F, MOST_F = 20, 40
FINER = 16  # bits more of what decays (semantics, section 13)
DECAYING = 2**61  # the largest size of what decays
LEAST_LIMIT = 2**30  # a lower one would be reached soon
COARSER = 2  # more of the readout's exponent where potentials are watched, as it only ever grows
LEAST_EXPONENT = -900  # of the readout's unit: 2^900 is a number of float64, and some more are
FEW_STEPS = 4
CHUNK = 2**18  # weights that are looked at at once


@checked_fields
@dataclass(frozen=True)
class Arithmetic:
    """The numbers of a simulation: their kind, and in fixed point their unit.

    kind: one of KINDS. dtype: of weights, drive and potentials. fraction_bits: F (0 in floating
    point). bound: the largest potential that can be reached, in q. readout_exponent: e, 0 in
    floating point; the readout counts in units of 2^e thresholds, so that large outputs (e above 0)
    do not cost the other layers their precision, and small ones (below 0) keep theirs. finer: bits
    more that every number has, for models that decay: numbers are whole numbers of 2^-(F + finer)
    then. limit: where a potential of 32 bits may leave them, the size that none may reach, in units
    of 2^-F; from one step below it to the next all is within 32 bits. 0: the bound proves all.
    """

    kind: str
    dtype: np.dtype[Any]
    fraction_bits: int
    bound: float
    readout_exponent: int
    finer: int = 0
    limit: int = 0

    @property
    def watched(self) -> bool:
        """Whether engines look at each potential, and run an image again in 64 bits."""
        return self.limit > 0

    def wider(self) -> Arithmetic:
        """The same numbers in 64 bits."""
        return replace(self, dtype=np.dtype(np.int64), limit=0)

    @property
    def bits(self) -> int:
        """Numbers are whole numbers of 2^-bits q: F, or more where something decays."""
        return self.fraction_bits + self.finer

    @property
    def one(self) -> Any:
        """q, the charge of one spike, as a scalar of the arithmetic's dtype."""
        return self.dtype.type(2**self.bits)

    @checked
    def quantise(self, values: Numbers) -> NDArray[Any]:
        """The arithmetic's numbers, rounded to the nearest (halves to even).

        values: in q, of any shape. Returns the same shape in the arithmetic's dtype.
        """
        if self.dtype.kind == "f":
            return np.asarray(values, self.dtype)
        scaled = np.asarray(np.ldexp(np.asarray(values, np.float64), self.fraction_bits))
        whole = np.rint(scaled, out=scaled).astype(self.dtype)
        return whole << self.finer if self.finer else whole

    def scale(self, network: Network, target: int) -> float:
        """The factor from thresholds to a layer's own units: 1, and 2^-e for the readout.

        network: whose layers. target: the layer's number.
        """
        return 2.0**-self.readout_exponent if target == len(network.layers) - 1 else 1.0

    @checked
    def readout(self, values: Numbers) -> NDArray[np.float64]:
        """The readout in units of the ANN's output, float64. values: the arithmetic's numbers."""
        return np.ldexp(np.asarray(values, np.float64), self.readout_exponent - self.bits)

    def __str__(self) -> str:
        if self.dtype.kind == "f":
            return self.kind
        bits = self.dtype.itemsize * 8
        more = f" and {self.finer} bits more" if self.finer else ""
        told = ", so they are watched" if self.watched else ""
        return (
            f"fixed point, F = {self.fraction_bits}{more}, {bits}-bit potentials "
            f"(at most {self.bound:.1f} q, the charge of one spike{told})"
        )


@checked
def choose(
    network: Network,
    *,
    kind: str = "fixed",
    steps: Count,
    initial: float,
    pixel_range: tuple[NDArray[np.float64], NDArray[np.float64]],
    quanta: NDArray[np.float64] | None = None,
    most: int = 1,
    limits: NDArray[np.int64] | None = None,
    signed: bool = False,
    drive_steps: int | None = None,
    fraction_bits: int | None = None,
    worth: int = 1,
    waits: bool = False,
    decays: bool = False,
    watches: bool = False,
    bias_once: bool = False,
) -> Arithmetic:
    """The arithmetic for a clocked run of `steps` steps.

    For asynchronous time the bound is a choice of F, not a proof, except with `limits`; there the
    engine watches potentials.

    network: what runs. kind: one of KINDS. steps: T. initial: the largest absolute v(0), in q.
    pixel_range: (lowest, highest) preprocessed input, each float64 [C]. quanta: float64 [L], how
    many spikes each layer's threshold is worth; None: 1. most: the most spikes of a neuron in one
    step. limits: int64 [L], the most net spikes of a neuron of each layer, or None. signed: whether
    spikes can be negative. (For these four see `neurons.contract`.) drive_steps: drive arrives in
    the first so many steps; None: in all. fraction_bits: F, or None for the largest. worth: the
    most that a spike is worth. waits: whether a neuron may let any charge add up before it fires.
    decays: whether something decays, which takes 16 bits more. watches: whether engines watch
    potentials of 32 bits where the bound does not prove them. bias_once: whether biases arrive
    whole in the first step, so that later ones, or this one, have a drive without the other part.

    Raises InputError for an unknown kind, for fraction bits that 64 bits do not hold, and for
    potentials for which there are none.
    """
    if kind not in KINDS:
        raise InputError("arithmetic", f"one of {', '.join(KINDS)}", repr(kind))
    if kind != "fixed":
        return Arithmetic(kind, np.dtype(kind), 0, float("inf"), 0)
    if quanta is None:
        quanta = np.ones(len(network.layers))
    reach = _reach(
        network,
        steps=steps,
        initial=initial,
        pixel_range=pixel_range,
        quanta=quanta,
        most=most,
        limits=limits,
        signed=signed,
        drive_steps=drive_steps,
        worth=worth,
        waits=waits,
        bias_once=bias_once,
    )
    layers = reach.every()
    hidden = max((bound for bound, _ in layers[:-1]), default=layers[-1][0])
    slack = max(rounding for _, rounding in layers)
    readout = layers[-1][0]
    if not np.isfinite([hidden, slack, readout]).all():
        do = "its weights are too large, or its thresholds too small"
        raise InputError("fixed point", "potentials that are numbers", "overflow", do)
    exponent = 0
    if readout and hidden:
        exponent = max(LEAST_EXPONENT, int(np.ceil(np.log2(readout) - np.log2(hidden))))
    bound = max(hidden, np.ldexp(readout, -exponent))
    in_32 = _largest_f(32, bound, slack)
    # what one step brings stays free for arrivals, and with few steps that is most of the bound
    wide = 64 if steps > FEW_STEPS else 62
    in_64 = _largest_f(DECAYING.bit_length() - FINER if decays else wide, bound, slack)
    least = LEAST_F if fraction_bits is None else min(fraction_bits, LEAST_F + 1)
    asked = watches and in_32 < least <= min(LEAST_F, in_64) and not decays
    limit = reach.limit(least, exponent + COARSER) if asked else 0
    if fraction_bits is not None:
        f = fraction_bits
    elif limit:
        f = least
    else:
        f = min(in_32, in_64) if in_32 >= LEAST_F else in_64
    if in_64 < 1:
        expected = "potentials that 64 bits can hold"
        found = f"potentials up to {bound:.3g} times the charge of one spike"
        do = "choose fewer steps, or ⟦arithmetic=float64⟧"
        raise InputError("fixed point", expected, found, do)
    if f > in_64:
        charges = f"{bound:.3g} times the charge of one spike"
        expected = f"at most {in_64} for potentials up to {charges} in 64 bits"
        do = "choose fewer bits or fewer steps, or ⟦arithmetic=float64⟧"
        raise InputError("fraction bits", expected, f, do)
    if limit:
        exponent += COARSER
        bound = max(hidden, np.ldexp(readout, -exponent))
    narrow = limit or (f <= in_32 and not decays)
    dtype = np.dtype(np.int32 if narrow else np.int64)
    finer = FINER if decays else 0
    return Arithmetic("fixed", dtype, int(f), float(bound), exponent, finer, limit)


def _reach(
    network: Network,
    *,
    steps: int,
    initial: float,
    pixel_range: tuple[NDArray[np.float64], NDArray[np.float64]],
    quanta: NDArray[np.float64],
    most: int,
    limits: NDArray[np.int64] | None,
    signed: bool,
    drive_steps: int | None,
    worth: int,
    waits: bool,
    bias_once: bool,
) -> _Reach:
    """How far potentials can go. All parameters are those of `choose`."""
    return _Reach(
        network,
        steps,
        initial,
        pixel_range,
        quanta,
        most,
        limits,
        signed,
        drive_steps or steps,
        worth,
        waits,
        bias_once,
    )


def _width(bound: float, rounding: float, bits: int) -> int:
    """The fewest bits, with the sign's, that hold every potential up to a bound.

    bound: on |potential|, in q. rounding: in units of 2^-bits q. bits: a potential is a whole
    number of 2^-bits q.
    """
    found = 1
    while max(bound, 1.0) * 2.0**bits + rounding >= 2.0 ** (found - 1):
        found += 1
    return found


def factors(quanta: NDArray[np.float64], projection: Projection) -> float:
    """What a projection's weights are multiplied by, so that they count in q of target and source.

    quanta: float64 [L], how many spikes each layer's threshold is worth.
    """
    source = 1 if projection.source == INPUT else quanta[projection.source]
    return quanta[projection.target] / source


def _largest_f(bits: int, bound: float, slack: float) -> int:
    """The largest F with which `bits` bits hold q, potentials up to `bound` and their rounding."""
    f, most = MOST_F, max(bound, 1.0)
    while f > 0 and most * 2.0**f + slack >= 2.0 ** (bits - 1):
        f -= 1
    return f


def parts(m: LinearMap) -> Iterator[LinearMap]:
    """Yields maps with some of a map's blocks each, as there can be 10^8 weights. m: the map."""
    many = max(1, CHUNK // m.weights[0].size)
    for first in range(0, len(m.weights), many):
        yield m.some(slice(first, first + many))


def _sums(
    m: LinearMap,
    factor: float,
    above: float | NDArray[np.float64],
    below: float | NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(most, least) that each block brings each target: float64 [K, target channels] each.

    At most, positive weights meet the input `above` and negative ones `below`; at least, the other
    way round.
    """
    most, least = [], []
    for part in parts(m):
        blocks = part.blocks
        up, down = np.maximum(blocks, 0) * factor, np.minimum(blocks, 0) * factor
        most.append((up * above + down * below).sum(2))
        least.append((up * below + down * above).sum(2))
    shape = len(m.weights), -1
    return np.concatenate(most).reshape(shape), np.concatenate(least).reshape(shape)


class _Reach(NamedTuple):
    """How far potentials can go; the fields are parameters of `choose`."""

    network: Network
    steps: int
    initial: float
    pixel_range: tuple[NDArray[np.float64], NDArray[np.float64]]
    quanta: NDArray[np.float64]
    most: int
    limits: NDArray[np.int64] | None
    signed: bool
    drive_steps: int
    worth: int
    waits: bool
    bias_once: bool

    def every(self) -> list[tuple[float, float]]:
        """`of` each layer; it holds where the F of `choose` does."""
        return [self.of(layer) for layer in range(len(self.network.layers))]

    def of(self, target: int) -> tuple[float, float]:
        """(bound on |potential| in q, bound on its rounding error in units) for one layer.

        In one step a neuron gains at most P (its positive drive and weights) and loses at most N.
        One that fires `most` q when it reaches them stays below 1 + P + (steps - 1) * max(0, P -
        most); going down has no such limit. Where net spikes have limits, so has all that ever
        arrived, in any order. The readout never fires.
        """
        if self.network.layers[target].pools:
            return 1.0, 0.0
        low, high = self._drive(target)
        up, down, fan_in = self._arrivals(target)
        fires = target < len(self.network.layers) - 1
        high = np.maximum(high, 0)
        low = np.maximum(-low, 0)
        steps, initial = self.steps, self.initial
        if self.limits is not None:
            highest = max(1, initial) * fires + up + self.drive_steps * high
            lowest = initial * fires + down + self.drive_steps * low + self.limits[target] * fires
            rounding = 0.5 * fan_in.max() + self.drive_steps
            return float(max(highest.max(), lowest.max())), float(rounding)
        if self.signed:
            up = down = up + down
        up = up + high
        down = down + low
        if fires and not self.waits:
            highest = max(1, initial) + up + (steps - 1) * np.maximum(0, up - self.most)
        else:
            highest = initial * fires + steps * up
        lowest = initial * fires + steps * down
        rounding = steps * (0.5 * fan_in.max() + 1)
        return float(max(highest.max(), lowest.max())), float(rounding)

    def limit(self, fraction_bits: int, exponent: int) -> int:
        """The size from which a potential may leave 32 bits within a step; 0: there is too little.

        Beyond it is room for all that a step brings any layer's neuron, in whatever order it is
        added up, and for the spikes that it takes back.

        fraction_bits: F. exponent: e, of the readout's unit.
        """
        one, room = 2.0**fraction_bits, 0.0
        free = self._replace(limits=None)
        for target, layer in enumerate(self.network.layers):
            if layer.pools:
                continue
            low, high = free._drive(target)
            up, down, fan_in = free._arrivals(target)
            if self.signed:
                up = down = up + down
            most = max((up + np.maximum(high, 0)).max(), (down + np.maximum(-low, 0)).max())
            if target == len(self.network.layers) - 1:
                most = np.ldexp(most, -exponent)
            room = max(room, (most + self.most) * one + 0.5 * fan_in.max() + 1)
        limit = int(2**31 - 1 - min(room, 2.0**31))
        return limit if limit >= LEAST_LIMIT and self.initial * one < limit else 0

    def _drive(self, target: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(lowest, highest) drive of one step in q, [H * W, C] each: biases and the input's."""
        bias = self.network.layers[target].bias
        low = bias * self.quanta[target]
        high = bias * self.quanta[target]
        for p in self.network.into(target):
            if p.source == INPUT:
                m, factor = p.map, factors(self.quanta, p)
                lowest, highest = (x.reshape(m.weights.shape[1], -1, 1) for x in self.pixel_range)
                most, least = _sums(m, factor, highest, lowest)
                add_taps(m, least, low[:, m.columns])
                add_taps(m, most, high[:, m.columns])
        if self.bias_once:
            own = bias * self.quanta[target]
            return np.minimum(low, np.minimum(low - own, own)), np.maximum(
                high, np.maximum(high - own, own)
            )
        return low, high

    def _arrivals(
        self, target: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(gain, loss) by spikes in q, [H * W, C] each, and how many can arrive, [H * W].

        They are those of one step, or of all steps where net spikes have limits.
        """
        bias = self.network.layers[target].bias
        up, down = np.zeros(bias.shape), np.zeros(bias.shape)
        fan_in = np.zeros(len(bias))
        for p in self.network.into(target):
            if p.source != INPUT:
                m, factor = p.map, factors(self.quanta, p)
                times = self.most * self.worth if self.limits is None else self.limits[p.source]
                most, least = _sums(m, factor, 1, 0)
                add_taps(m, times * most, up[:, m.columns])
                add_taps(m, -times * least, down[:, m.columns])
                fan_in += times * m.weights.shape[2] * np.bincount(m.r, minlength=len(fan_in))
        return up, down, fan_in
