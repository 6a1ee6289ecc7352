"""Numbers the engines compute in: fixed point by default, so that order never hides in rounding.

In fixed point weights, drive and potentials are integers in units of 2^-F, thresholds are 2^F, and
F is the largest for which a bound on every reachable potential fits 32 bits; where that would leave
F below 20, 64 bits are taken (semantics, section 6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.network.network import INPUT

KINDS = ("fixed", "float32", "float64")
LEAST_F, MOST_F = 20, 40
CHUNK = 2**20  # weights that are looked at at once


@dataclass(frozen=True)
class Arithmetic:
    """kind: one of KINDS. fraction_bits: F (0 in floating point). bound: the largest potential that
    can be reached, in thresholds. readout_exponent e: the readout counts in units of 2^e
    thresholds, so that large outputs do not cost the other layers their precision (0 in floating
    point).
    """

    kind: str
    dtype: np.dtype
    fraction_bits: int
    bound: float
    readout_exponent: int

    @property
    def one(self):
        """A threshold, as a scalar of the arithmetic's dtype."""
        return self.dtype.type(2**self.fraction_bits)

    def quantise(self, values):
        """Values in thresholds -> the arithmetic's numbers, rounded to the nearest (halves to
        even).
        """
        if self.dtype.kind == "f":
            return np.asarray(values, self.dtype)
        scaled = np.asarray(np.ldexp(np.asarray(values, np.float64), self.fraction_bits))
        return np.rint(scaled, out=scaled).astype(self.dtype)

    def scale(self, network, target):
        """The factor from thresholds to a layer's own units: 1, and 2^-e for the readout."""
        return 2.0**-self.readout_exponent if target == len(network.layers) - 1 else 1.0

    def readout(self, values):
        """The readout's numbers -> float64, in units of the ANN's output."""
        return np.ldexp(np.asarray(values, np.float64), self.readout_exponent - self.fraction_bits)

    def __str__(self):
        if self.dtype.kind == "f":
            return self.kind
        return f"fixed point, F = {self.fraction_bits}, {self.dtype.itemsize * 8}-bit potentials (bound {self.bound:.1f} thresholds)"


def choose(
    network,
    *,
    kind="fixed",
    steps,
    initial,
    pixel_range,
    quanta=None,
    most=1,
    limits=None,
    signed=False,
    drive_steps=None,
    fraction_bits=None,
):
    """The arithmetic for a clocked run of `steps` steps, drive arriving in the first `drive_steps`
    of them (None: in all).

    For asynchronous time the bound is a choice of F, not a proof (but with `limits` it is one);
    there the engine watches potentials. initial: the largest absolute v(0), in q. pixel_range:
    (lowest, highest) preprocessed input, each float64 [C]. quanta, limits: of each layer, most,
    signed: of the neurons, see `neurons.contract`. fraction_bits: a given F instead of the largest.
    """
    if kind not in KINDS:
        raise InputError("arithmetic", f"one of {', '.join(KINDS)}", repr(kind))
    if kind != "fixed":
        return Arithmetic(kind, np.dtype(kind), 0, float("inf"), 0)
    quanta = np.ones(len(network.layers)) if quanta is None else quanta
    reach = [
        _reach(
            network,
            i,
            steps,
            initial,
            pixel_range,
            quanta,
            most,
            limits,
            signed,
            drive_steps or steps,
        )
        for i in range(len(network.layers))
    ]
    hidden = max(bound for bound, _ in reach[:-1])
    readout, rounding = reach[-1]
    exponent = max(0, int(np.ceil(np.log2(readout / hidden)))) if readout else 0
    bound = max(hidden, np.ldexp(readout, -exponent))
    slack = max(r for _, r in reach)

    def largest(bits):
        f = MOST_F
        while f > 0 and bound * 2.0**f + slack >= 2.0 ** (bits - 1):
            f -= 1
        return f

    f = (
        fraction_bits
        if fraction_bits is not None
        else largest(32)
        if largest(32) >= LEAST_F
        else largest(64)
    )
    bits = 32 if f <= largest(32) else 64
    if largest(64) < 1:
        raise InputError(
            "fixed point",
            "potentials that 64 bits can hold",
            f"potentials up to {bound:.3g} thresholds",
            "choose fewer steps, or arithmetic='float64'",
        )
    if f > largest(64):
        raise InputError(
            "fraction bits",
            f"at most {largest(64)} for potentials up to {bound:.3g} thresholds in 64 bits",
            f,
            "choose fewer bits or fewer steps, or arithmetic='float64'",
        )
    return Arithmetic("fixed", np.dtype(f"int{bits}"), int(f), float(bound), exponent)


def factors(quanta, projection):
    """By what a projection's weights are multiplied so that they count in q of target and
    source.
    """
    return quanta[projection.target] / (
        1 if projection.source == INPUT else quanta[projection.source]
    )


def _sums(m, factor, above, below):
    """What each block brings each target where positive weights meet the input `above` and negative
    ones `below`, some blocks at a time, as there can be 10^8 weights: float64 [K, target
    channels].
    """
    many = max(1, CHUNK // m.weights[0].size)
    parts = (m.some(slice(first, first + many)).blocks for first in range(0, len(m.weights), many))
    sums = [
        (np.maximum(part, 0) * factor * above + np.minimum(part, 0) * factor * below).sum(2)
        for part in parts
    ]
    return np.concatenate(sums).reshape(len(m.weights), -1)


def _reach(network, target, steps, initial, pixel_range, quanta, most, limits, signed, drive_steps):
    """(bound on |potential| in q, bound on its rounding error in units) for one layer.

    In one step a neuron gains at most P (its positive drive and weights) and loses at most N. One
    that fires `most` q when it reaches them stays below 1 + P + (steps - 1) * max(0, P - most);
    going down has no such limit. Where net spikes have limits, so has all that ever arrived, in any
    order. The readout never fires.
    """
    layer = network.layers[target]
    if layer.pools:
        return 1.0, 0.0
    up, down = (np.zeros(layer.bias.shape) for _ in range(2))
    low, high = (layer.bias * quanta[target] for _ in range(2))
    fan_in = np.zeros(len(layer.bias))
    for p in network.into(target):
        m, factor = p.map, factors(quanta, p)
        if p.source == INPUT:
            lowest_pixel, highest_pixel = (
                x.reshape(m.weights.shape[1], -1, 1) for x in pixel_range
            )
            np.add.at(low, m.r, _sums(m, factor, lowest_pixel, highest_pixel)[m.k])
            np.add.at(high, m.r, _sums(m, factor, highest_pixel, lowest_pixel)[m.k])
        else:
            times = most if limits is None else limits[p.source]
            np.add.at(up, m.r, times * _sums(m, factor, 1, 0)[m.k])
            np.add.at(down, m.r, -times * _sums(m, factor, 0, 1)[m.k])
            np.add.at(fan_in, m.r, times * m.weights.shape[2])
    fires, high, low = target < len(network.layers) - 1, np.maximum(high, 0), np.maximum(-low, 0)
    if limits is not None:
        highest = max(1, initial) * fires + up + drive_steps * high
        lowest = initial * fires + down + drive_steps * low + limits[target] * fires
        return float(max(highest.max(), lowest.max())), float(0.5 * fan_in.max() + drive_steps)
    if signed:
        up = down = up + down
    up, down = up + high, down + low
    highest = max(1, initial) + up + (steps - 1) * np.maximum(0, up - most) if fires else steps * up
    lowest = initial * fires + steps * down
    return float(max(highest.max(), lowest.max())), float(steps * (0.5 * fan_in.max() + 1))
