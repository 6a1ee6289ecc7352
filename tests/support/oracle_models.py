"""The oracle's arithmetic and neuron models (semantics, sections 4, 6 and 13)."""

import math
from fractions import Fraction

import numpy as np


class Fixed:
    """Whole numbers of 2^-(bits + finer) thresholds, rounded at 2^-bits; the readout's unit is
    2^exponent thresholds (section 6). doubtful: how many numbers stood too near a half for floating
    point to say how they are rounded.
    """

    def __init__(self, bits, exponent=0, finer=0):
        self.bits, self.exponent, self.finer = bits, exponent, finer
        self.one = 1 << (bits + finer)
        self.doubtful = 0

    def take(self, value, kind="fires"):
        """A float in q as a number, rounded to the nearest, halves to even."""
        scaled = value * 2.0 ** (self.bits - (self.exponent if kind == "adds" else 0))
        gap = abs(scaled - math.floor(scaled) - 0.5)
        if gap < 2e-15 * (abs(scaled) + 2.0**self.bits):
            self.doubtful += float(np.float32(value)) != value  # as it stands in the file: exact
        return round(scaled) << self.finer

    def part(self, whole, k, n):
        """Part k = 1..n of a drive handed out in n parts, whole numbers of 2^-bits."""
        whole >>= self.finer
        return (k * whole // n - (k - 1) * whole // n) << self.finer


class Floating:
    """float32 or float64: rounded once when taken, then at every addition."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype).type
        self.one = self.dtype(1)
        self.doubtful = 0

    def take(self, value, kind="fires"):
        """A float in q as a number."""
        if self.dtype is np.float32 and value:
            near = np.float32(value)
            for side in (-np.inf, np.inf):
                middle = (float(near) + float(np.nextafter(near, np.float32(side)))) / 2
                self.doubtful += abs(value - middle) < 2e-15 * (abs(value) + 1)
        return self.dtype(value)

    def part(self, whole, k, n):
        """Part k = 1..n of a drive handed out in n parts."""
        return self.dtype(whole / self.dtype(n))


# --- neuron models (sections 4 and 13) ----------------------------------------------------------


class IF:
    """Fires 1 if p >= theta."""

    parts = staticmethod(lambda levels: 1)
    leak = (1.0, 1.0)  # of the potential, and of the state a

    def fires(self, n, one):
        """(spikes fired, whether p met a threshold) at the potential that a neuron has."""
        return int(n.v >= one), n.v == one

    def settle(self, n, count, one):
        """What firing does to the potential."""
        n.v -= count * one
        n.net += count


class IFHard(IF):
    """Soft reset's p - theta becomes v_rest = 0."""

    def settle(self, n, count, one):
        """Section 4's second row."""
        n.v = one - one
        n.net += count


class SNM(IF):
    """Takes a spike back at -theta, if it has fired more than it took back."""

    def fires(self, n, one):
        """DNISNM eq. 19-23."""
        if n.v <= -one and n.net > 0:
            return -1, n.v == -one
        return int(n.v >= one), n.v == one


class STBIF(IF):
    """Fires up to S_max = levels spikes; takes back below 0."""

    parts = staticmethod(lambda levels: levels)

    def fires(self, n, one):
        """SpikeZIP eq. 1."""
        if n.v < 0 and n.net > 0:
            return -1, False
        more, fewer = n.net < n.levels, n.net > 0
        return int(n.v >= one and more), more and n.v == one or fewer and n.v == 0


class GN(IF):
    """tau members on one potential, which is counted in theta / tau here."""

    def __init__(self, tau):
        self.tau = tau
        self.parts = lambda levels: tau

    def fires(self, n, one):
        """GN eq. 11."""
        members = [i for i in range(1, self.tau + 1) if n.v >= i * one]
        return len(members), any(n.v == i * one for i in range(1, self.tau + 1))


class LIF(IF):
    """IF whose potential decays."""

    def __init__(self, leak):
        self.leak = (leak, 1.0)


class Adaptive(IF):
    """IF whose threshold rises by beta with each spike; the rise decays."""

    def __init__(self, beta, leak):
        self.beta, self.leak = beta, (1.0, leak)

    def fires(self, n, one):
        """Section 13."""
        return int(n.v >= one + n.a), n.v == one + n.a

    def settle(self, n, count, one):
        """p -= theta and a += beta."""
        super().settle(n, count, one)
        n.a += self.rise


class TPP(IF):
    """Hears everything first, then fires by chance."""

    def __init__(self, seed):
        self.seed = seed


def mixed(x):
    """splitmix64 of a number."""
    x = (x + 0x9E3779B97F4A7C15) & (2**64 - 1)
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return x ^ (x >> 31)


def chained(*values):
    """splitmix64 chained over whole numbers."""
    h = 0
    for value in values:
        h = mixed(h ^ value)
    return h


def ticks_of(lengths, given=None):
    """The ticks of a step: the least common multiple of 1,024 and all denominators."""
    return given or math.lcm(1024, *(Fraction(x).denominator for x in lengths))
