"""The twin's models whose spikes are worth more or less by their step (semantics, sections 4, 13).

theta is q here: what a spike of worth 1 stands for.
"""

from dataclasses import dataclass

from support.twin import Model, Staged


@dataclass
class Needs(Model):
    """Fires 1 if p >= least, which it takes; or -1 if p < under, which gives `least` back.

    least: of this step, a number of theta. under: likewise, or None.
    """

    least: int
    under: int | None = None

    def ties(self, p, S, theta):
        return p == (self.least if self.under is None else self.under) * theta

    def fire(self, p, S, theta):
        if self.under is not None:
            return ([(-1, 1)], p + self.least * theta) if p < self.under * theta else ([], p)
        return ([(1, 1)], p - self.least * theta) if p >= self.least * theta else ([], p)


@dataclass
class FewSpike(Staged):
    """Step t of T: p >= 2^(T-t), which it takes."""

    steps: int
    starts_at_0 = True

    def charge(self, step):
        return 2 ** (self.steps - step)

    def at(self, layer, neuron, t, left):
        return Needs(2 ** (self.steps - t))
