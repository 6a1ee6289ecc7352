"""The twin's models whose spikes are worth more or less by their step (semantics, sections 4, 13).

theta is q here: what a spike of worth 1 stands for.
"""

from dataclasses import dataclass

from support.twin import Model, Staged


@dataclass
class Part(Model):
    """Fires 1 if p >= least theta, which it takes."""

    least: int

    def ties(self, p, S, theta):
        return p == self.least * theta

    def fire(self, p, S, theta):
        return ([(1, 1)], p - self.least * theta) if p >= self.least * theta else ([], p)


@dataclass
class FewSpike(Staged):
    """Step t of T: p >= 2^(T-t), which it takes."""

    steps: int
    starts_at_0 = True

    def charge(self, step):
        return 2 ** (self.steps - step)

    def at(self, layer, neuron, t, left):
        return Part(2 ** (self.steps - t))


@dataclass
class Radix(Staged):
    """m = clip(floor(p / theta), 0, top), noted in step 1 of T; step t fires bit T - t of it."""

    steps: int
    top: int

    def initial(self, theta):
        return {"code": 0}

    def charge(self, step):
        return 2 ** (self.steps - step)

    def at(self, layer, neuron, t, left):
        return Digit(self.steps, self.top, t)


@dataclass
class Digit(Model):
    """`Radix` in step t."""

    steps: int
    top: int
    t: int

    def equal(self, p, S, theta, own, now, step):
        return self.t == 1 and any(p == k * theta for k in range(1, self.top + 1))

    def emit(self, p, S, theta, own, now, step):
        if self.t == 1:
            own["code"] = sum(p >= k * theta for k in range(1, self.top + 1))
        digits = format(own["code"], f"0{self.steps}b")
        if digits[self.t - 1] == "0":
            return [], p
        return [(1, 1)], p - theta * 2 ** (self.steps - self.t)


@dataclass
class Phase(Model):
    """A spike a step if p >= 2^(K-k) theta in phase k of K, which it takes."""

    period: int

    def initial(self, theta):
        return {"last": 0}

    def quantum(self, theta):
        return theta

    def charge(self, step):
        while step > self.period:
            step -= self.period
        return 2 ** (self.period - step)

    def equal(self, p, S, theta, own, now, step):
        return own["last"] != step and p == self.charge(step) * theta

    def emit(self, p, S, theta, own, now, step):
        if own["last"] == step or p < self.charge(step) * theta:
            return [], p
        own["last"] = step
        return [(1, 1)], p - self.charge(step) * theta


@dataclass
class TSC(Staged):
    """m = min(floor(p / theta), T): a spike in step 1 if m > 0, and its end in step m + 1."""

    steps: int

    def charge(self, step):
        return self.steps - step + 1

    def at(self, layer, neuron, t, left):
        # what is left is p - T theta after the first spike
        return Switch(left, t - self.steps if t > 1 else None)


@dataclass
class Switch(Model):
    """On in step 1, of which under is None; off as soon as p < under theta, if it is on. Either is
    worth `left` theta.
    """

    left: int
    under: int | None

    def ties(self, p, S, theta):
        if self.under is None:
            return p == theta
        return S > 0 and p == self.under * theta

    def fire(self, p, S, theta):
        if self.under is None:
            return ([(1, 1)], p - self.left * theta) if p >= theta else ([], p)
        off = S > 0 and p < self.under * theta
        return ([(-1, 1)], p + self.left * theta) if off else ([], p)


@dataclass
class TTFS(Staged):
    """One spike, in the first step t of T with p >= (T - t + 1) theta, which it takes."""

    steps: int

    def charge(self, step):
        return self.steps - step + 1

    def at(self, layer, neuron, t, left):
        return First(left)


@dataclass
class First(Model):
    """Fires 1 if p >= left theta and it has not fired."""

    left: int

    def ties(self, p, S, theta):
        return S == 0 and p == self.left * theta

    def fire(self, p, S, theta):
        if S == 0 and p >= self.left * theta:
            return [(1, 1)], p - self.left * theta
        return [], p


@dataclass
class ExactTTFS(Staged):
    """One spike, at the first tick with p >= left theta, which it takes; left: what is left of the
    ticks of all steps of its stage.
    """

    steps: int
    ticks: int
    by_tick = True

    def charge(self, step, since):
        return self.steps * self.ticks - (step - 1) * self.ticks - since

    def at(self, layer, neuron, t, left, since):
        return FirstTick(self.charge(t, since), self.ticks - since)


@dataclass
class FirstTick(First):
    """`First`, with as many ticks to come in this step, the one that is now included."""

    to_come: int

    def when(self, p, S, theta, own, now, step):
        for later in range(1, self.to_come):
            if First(self.left - later).fire(p, S, theta)[0]:
                return now + later
        return None
