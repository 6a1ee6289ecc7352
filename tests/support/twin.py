"""The naive twin of the simulator: plain Python, written from the semantics alone, read to be
believed.

Section numbers (§) are those of the semantics document. The fast engines are compared with this
file spike for spike. It takes dense, already normalised networks (§1): a weight is a charge.

Numbers. Thresholds, weights, drive and potentials are Python ints in fixed point (unit 2**-F, §6)
or Python floats; `fractions.Fraction` works too. Arrays may be numpy arrays or nested lists; they
are turned into lists before anything is computed, so that every sum is a Python sum.

Steps are counted from 0 in all records (`drive[step]`, `counts[l][step]`, `Spike.step`): step k of
§3 has index k - 1. Only `Outcome.t_eq` is a k: the number of steps up to and with the last one that
moved anything.

Drive (§3). `drive[step][layer]` is a list with one charge per neuron, or None. A list is one
arrival for each neuron, also where the charge is zero. None is nothing: no arrival, so no
evaluation in asynchronous time.

Input events (§3, encoding `events`) are drive too. `events` is a list of (step, offset, input,
sign), sorted by step and offset: at `offset` ticks after the step's beginning (below
ticks_per_step; without meaning in clocked time) input number `input` has an event of sign 1 or -1.
`Net.inputs` says what charges it brings to whom. As with drive, what comes after the run's last
step is left out.

Models (§4). `model` is one model for all layers, or a list with one per layer (those of readout and
pools unused). A GN's weights are given per member: the charge theta * w / tau that one member's
spike brings.

More that a model may have (§13; see `Model`): a `leak` of the potential, own state with leaks of
its own (`initial`, `leaks`), spikes whose worth depends on the step (`charge`), a firing time of
its own (`when`). In fixed point all numbers of a network with a leak are given in the fine unit
2**-(F+16). `Staged` models fire in stages, see `two_stages`. In all that a model is asked, steps
are counted from 1.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

TICKS_PER_STEP = 1024


@dataclass
class Layer:
    """Spiking neurons of one threshold, or with a list of one threshold per neuron. A Net's last is
    the readout.

    pool: a layer of max pooling units (§10), see `Ledger.pool`. They count spikes: no threshold
    (theta is not used), no drive, no v(0), no refractory period and no window. All weights into it
    are 1: one spike, one count. minima: numbers of the units that take the minimum.
    """

    name: str
    size: int
    theta: int | float | list = 1
    pool: bool = False
    minima: frozenset = frozenset()

    def thresholds(self):
        theta = _plain(self.theta)
        return theta if isinstance(theta, list) else [theta] * self.size


@dataclass
class Projection:
    """weights[i][j]: charge that a +1 spike of source neuron j brings to target neuron i.

    mask[i][j] says whether that synapse exists; an explicit zero weight is still a synapse (§11).
    """

    source: int
    target: int
    weights: np.ndarray
    mask: np.ndarray | None = None

    def __post_init__(self):
        if self.mask is None:
            self.mask = np.ones(np.shape(self.weights), bool)


@dataclass
class Net:
    """Layers in topological order; projections in the order of summation and of delivery.

    inputs: projections from the input, of which the source is ignored. weights[i][j]: charge that a
    +1 event of input j brings to target neuron i; mask as elsewhere. Their targets are neurons or
    the readout, not pools.
    """

    layers: list[Layer]
    projections: list[Projection]
    inputs: list[Projection] = field(default_factory=list)

    @property
    def readout(self):
        """Index of the last layer: it only adds up what arrives and never fires (§1)."""
        return len(self.layers) - 1

    def outgoing(self, layer):
        return tuple(
            k for k, projection in enumerate(self.projections) if projection.source == layer
        )

    def check(self, drive, steps, loops=False, events=(), ticks_per_step=None):
        """Shapes fit, and (unless `loops`) every projection goes to a later layer; events are
        sorted and there.
        """
        self._check_inputs(events, ticks_per_step)
        sizes = [layer.size for layer in self.layers]
        for step in range(steps):
            found = [None if charges is None else len(charges) for charges in drive[step]]
            if len(found) != len(sizes) or any(
                n not in (None, size) for n, size in zip(found, sizes, strict=True)
            ):
                raise ValueError(
                    f"drive[{step}]: expected charges (or None) for layers of {sizes} neurons, "
                    f"found {found}"
                )
            for layer, charges in zip(self.layers, drive[step], strict=True):
                if layer.pool and charges is not None and any(charge != 0 for charge in charges):
                    raise ValueError(
                        f"drive[{step}]: expected None or zeros for pool {layer.name}, found "
                        f"{charges}"
                    )
        if self.layers[self.readout].pool:
            raise ValueError("layers: expected a readout as the last layer, found a pool")
        for k, projection in enumerate(self.projections):
            shape = (self.layers[projection.target].size, self.layers[projection.source].size)
            if np.shape(projection.weights) != shape or np.shape(projection.mask) != shape:
                raise ValueError(
                    f"projection {k}: expected weights and mask of shape {shape} (targets, "
                    f"sources), found {np.shape(projection.weights)} and "
                    f"{np.shape(projection.mask)}"
                )
            if projection.source >= projection.target and not loops:
                raise ValueError(
                    f"projection {k}: clocked time goes layer by layer, but layer "
                    f"{projection.source} projects to {projection.target}; use topological order"
                )
            if projection.source == self.readout:
                raise ValueError(f"projection {k}: the readout never fires and has no targets")
            weights = np.asarray(projection.weights)[_yes(projection.mask)]
            if self.layers[projection.target].pool and np.any(weights != 1):
                raise ValueError(
                    f"projection {k}: expected weights of 1 into a pool (one spike is one count)"
                )

    def _check_inputs(self, events, ticks_per_step):
        n = np.shape(self.inputs[0].weights)[1] if self.inputs else 0
        for k, projection in enumerate(self.inputs):
            shape = (self.layers[projection.target].size, n)
            if np.shape(projection.weights) != shape or np.shape(projection.mask) != shape:
                raise ValueError(
                    f"inputs {k}: expected weights and mask of shape {shape} (targets, inputs), "
                    f"found {np.shape(projection.weights)} and {np.shape(projection.mask)}"
                )
            if self.layers[projection.target].pool:
                raise ValueError(
                    f"inputs {k}: expected neurons or the readout as targets, found a pool, "
                    "which has no drive"
                )
        before = (0, 0)
        for place, (step, offset, number, sign) in enumerate(events):
            if (step, offset) < before:
                raise ValueError(
                    f"events[{place}]: expected them sorted by step and offset, "
                    f"found {(step, offset)} after {before}"
                )
            if offset < 0 or (ticks_per_step is not None and offset >= ticks_per_step):
                raise ValueError(
                    f"events[{place}]: expected an offset inside the step, found {offset}"
                )
            if not 0 <= number < n or sign not in (1, -1):
                raise ValueError(
                    f"events[{place}]: expected an input below {n} and a sign of 1 or -1, "
                    f"found {number} and {sign}"
                )
            before = (step, offset)


@dataclass
class Spike:
    """One spike; `seq` is its place in the order of emission, without gaps (a GN's members each
    have one).

    `tick` is None in clocked time. `member` is 1..tau for GN, 1..|n| for a pool whose maximum
    changed by n, and 1 for every other model. `cause` is the seq of the spike whose arrival fired
    it; None for drive, in clocked time, and where the neuron was evaluated by an event of its own
    (end of a refractory period or a window, a firing time of its own) or in its stage (`Staged`).
    `nth`: how many spikes this neuron sent before. `v_before` and `v_after` of a pool are its
    maximum.
    `own`: the neuron's own state (dict before, dict after) the evaluation that fired this spike;
    None for a model without.
    """

    seq: int
    step: int
    tick: int | None
    layer: int
    neuron: int
    sign: int
    member: int
    cause: int | None
    v_before: int | float
    v_after: int | float
    nth: int
    own: tuple | None = None


@dataclass
class Outcome:
    """What a run leaves.

    counts[l][step][i]: signed net number of spikes; zero for the readout. potentials[l][i]: at the
    end; the readout's is its v(0) and all that arrived. readout[step][i]: charge that has arrived
    there after each step, not divided (§3). arrived[l][i]: sum of all charge; zero for pools, which
    count spikes instead. A pool's potential is its maximum. synaptic_operations: delivered spikes
    times touched synapses (§11), except those into pools: what a pool does is a comparison, not an
    addition. equalities: see `Ledger.fire`. t_eq: see `Ledger.charge`. memory[l][i]: S of §4 at the
    end; of a pool its maximum, of the readout 0. Asynchronous time only: `deliveries` in the order
    taken from the queue, then those `under_way` at the end of the run (a number), in the queue's
    order. `input_deliveries`: (place in the list of events, tick), as delivered. own[layer][i]: the
    neuron's own state at the end (§13), {} where there is none. With a leak, potentials and own
    state are as of the neuron's last touch.
    """

    spikes: list[Spike]
    counts: list
    potentials: list
    readout: list
    arrived: list
    synaptic_operations: int
    equalities: int
    t_eq: int
    deliveries: list = field(default_factory=list)
    under_way: int = 0
    memory: list = field(default_factory=list)
    input_deliveries: list = field(default_factory=list)
    own: list = field(default_factory=list)

    def digests(self, steps):
        """digests[l][step], §17: of T steps; with two stages the step is that of the stage."""
        found = [[0] * steps for _ in self.counts]
        for spike in self.spikes:
            h = splitmix64(512 * spike.neuron + 2 + (spike.sign < 0))
            found[spike.layer][spike.step % steps] = (
                found[spike.layer][spike.step % steps] + h
            ) % 2**64
        return found


# --- Neuron models (§4, §13) ---


class Model:
    """What a model may say. Simple ones have fire(p, S, theta) -> ([(sign, member), ...], the new
    p), quantum(theta) (q of §4) and ties(p, S, theta) (see `Ledger.fire`), and need not inherit
    from this class. One that has own state or looks at the time has `emit` and `equal` instead.

    `now` is a tick (in clocked time, and under the order `clocked`, that of the step's beginning);
    `step` is counted from 1; `own` is the neuron's own state, a dict, which `emit` may write in
    place, also when it does not fire.
    """

    leak = 1  # of the potential, for a step: in (0, 1]
    leaks = {}  # the same for own state, by name; a name that is not there does not decay

    def initial(self, theta):
        """A neuron's own state at the beginning: {name: number}."""
        return {}

    def emit(self, p, S, theta, own, now, step):
        """What `fire` gives."""
        return self.fire(p, S, theta)

    def equal(self, p, S, theta, own, now, step):
        """What `ties` gives."""
        return self.ties(p, S, theta)

    def charge(self, step):
        """A whole number: how many weights a spike that is emitted in this step brings."""
        return 1

    def when(self, p, S, theta, own, now, step):
        """The tick, after now, at which the neuron would fire if nothing more arrived, or None."""
        return None


class Simple(Model):
    """A model that is not a `Model`, but has its fire, quantum and ties."""

    def __init__(self, model):
        self.fire, self.quantum, self.ties = model.fire, model.quantum, model.ties


class IF(Model):
    """Soft reset: 1 if p >= theta."""

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return p == theta

    def fire(self, p, S, theta):
        if p >= theta:
            return [(1, 1)], p - theta
        return [], p


@dataclass
class IFHard(Model):
    """Hard reset: 1 if p >= theta, then p = v_rest. v_rest below every theta, or it would fire for
    ever.
    """

    v_rest: int | float = 0

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return p == theta

    def fire(self, p, S, theta):
        if self.v_rest >= theta:
            raise ValueError(f"expected v_rest below theta, found {self.v_rest} and {theta}")
        if p >= theta:
            return [(1, 1)], self.v_rest
        return [], p


class SNM(Model):
    """DNISNM eq. 19-23: 1 if p >= theta; -1 if p <= -theta and S > 0."""

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return p == theta or (p == -theta and S > 0)

    def fire(self, p, S, theta):
        if p >= theta:
            return [(1, 1)], p - theta
        if p <= -theta and S > 0:
            return [(-1, 1)], p + theta
        return [], p


@dataclass
class Signed(Model):
    """Fast-SNN's: 1 if p >= theta; then, on what is left, -1 if p <= -low and S > 0. low: in the
    numbers that potentials have.
    """

    low: int | float

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return p == theta or (p == -self.low and S > 0)

    def fire(self, p, S, theta):
        fired = []
        if p >= theta:
            fired, p, S = [(1, 1)], p - theta, S + 1
        if p <= -self.low and S > 0:
            fired, p = [*fired, (-1, 1)], p + theta
        return fired, p


@dataclass
class STBIF(Model):
    """SpikeZIP eq. 1: 1 if p >= theta and S < s_max; -1 if p < 0 and S > 0."""

    s_max: int

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return (p == theta and S < self.s_max) or (p == 0 and S > 0)

    def fire(self, p, S, theta):
        if p >= theta and S < self.s_max:
            return [(1, 1)], p - theta
        if p < 0 and S > 0:
            return [(-1, 1)], p + theta
        return [], p


@dataclass
class GN(Model):
    """GN eq. 8-11: member i of 1..tau fires if p >= i * theta / tau, all judged by the same p; each
    takes theta / tau.

    In fixed point theta is divisible by tau. In floats the thresholds are (i * theta) / tau, the
    quantum is theta / tau, and m members take m * (theta / tau) in one subtraction.
    """

    tau: int

    def _part(self, i, theta):
        if isinstance(theta, int):
            if theta % self.tau:
                raise ValueError(
                    f"expected theta divisible by tau in fixed point, found {theta} and {self.tau}"
                )
            return i * theta // self.tau
        return i * theta / self.tau

    def quantum(self, theta):
        return self._part(1, theta)

    def ties(self, p, S, theta):
        return any(p == self._part(i, theta) for i in range(1, self.tau + 1))

    def fire(self, p, S, theta):
        fired = [(1, i) for i in range(1, self.tau + 1) if p >= self._part(i, theta)]
        return (fired, p - len(fired) * self.quantum(theta)) if fired else ([], p)


@dataclass
class Burst(Model):
    """BSN: as many spikes as p has thresholds, but no more than gamma; a member each."""

    gamma: int

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return any(p == i * theta for i in range(1, self.gamma + 1))

    def fire(self, p, S, theta):
        fired = [(1, i) for i in range(1, self.gamma + 1) if p >= i * theta]
        return fired, p - len(fired) * theta


@dataclass
class LIF(IF):
    """IF with a leak of its potential (§13)."""

    leak: float


class Adaptive(Model):
    """Fires 1 if p >= theta + a; then p -= theta, a += beta (§13). a starts at 0; it decays by
    `leak`, the potential does not.
    """

    def __init__(self, beta, leak=1):
        self.beta = beta
        self.leaks = {"a": leak}

    def initial(self, theta):
        return {"a": 0}

    def quantum(self, theta):
        return theta

    def equal(self, p, S, theta, own, now, step):
        return p == theta + own["a"]

    def emit(self, p, S, theta, own, now, step):
        if p < theta + own["a"]:
            return [], p
        own["a"] += self.beta
        return [(1, 1)], p - theta


class Staged(Model):
    """A model of two stages (§13). It fires in its stage only, see `two_stages`; `at` says what it
    is there, and `charge` is asked with the step of the stage. Where it goes by the tick, both are
    asked with the ticks since the step's beginning as well, and there is no clocked time.
    """

    starts_at_0 = False  # whether v(0) is 0
    by_tick = False

    def quantum(self, theta):
        return theta

    def at(self, layer, neuron, t, left):
        """The model of one neuron in step t of its stage, the first of the `left` that are left."""
        raise NotImplementedError


@dataclass
class TPP(Staged):
    """Two-phase probabilistic neuron (§13)."""

    seed: int
    image: int = 0
    starts_at_0 = True

    def at(self, layer, neuron, t, left):
        h = splitmix64(self.seed)
        for number in (self.image, layer, neuron, t):
            h = splitmix64(h ^ number)
        return Chance((h >> 11) * 2.0**-53, left)


@dataclass
class Chance(Model):
    """Fires 1 if u < p / (theta * left), in float64."""

    u: float
    left: int

    def quantum(self, theta):
        return theta

    def ties(self, p, S, theta):
        return False

    def fire(self, p, S, theta):
        if self.u < float(p) / (float(theta) * self.left):
            return [(1, 1)], p - theta
        return [], p


def depths(net):
    """Of each layer: how many spiking layers the longest path to it has, itself included. A pool
    has the largest depth of its sources.
    """
    found = []
    for number, layer in enumerate(net.layers):
        before = max((found[p.source] for p in net.projections if p.target == number), default=0)
        found.append(before if layer.pool else before + 1)
    return found


def two_stages(net, drive, v0, steps, model, events):
    """What a model of two stages makes of a run of T = `steps` steps (§13): (turns, drive, steps,
    events) of a run of (G + 1) T steps, where G is the largest depth of a spiking layer. Drive and
    input events come in the first T of them.

    turns[step]: {layer: (t, T - t + 1)} of the layers that are evaluated in this step, as the t-th
    of their stage: those of depth g in steps g T + 1 .. (g + 1) T. For other models turns is None,
    and the rest is as given.
    """
    models = model if isinstance(model, list) else [model] * len(net.layers)
    spiking = [n for n in range(net.readout) if not net.layers[n].pool]
    staged = [n for n in spiking if isinstance(models[n], Staged)]
    if not staged:
        return None, drive, steps, events
    name = type(models[staged[0]]).__name__
    if staged != spiking:
        raise ValueError(f"model: expected {name} in all spiking layers {spiking}, found {staged}")
    zeros = all(v == 0 for n in spiking for v in _plain(v0[n]))
    if models[staged[0]].starts_at_0 and not zeros:
        raise ValueError(f"{name}: expected v(0) of zeros, found {v0}")
    depth = depths(net)
    stages = max(depth[n] for n in spiking) + 1
    turns = [
        {n: (t, steps - t + 1) for n in spiking if depth[n] == g}
        for g in range(stages)
        for t in range(1, steps + 1)
    ]
    silence = [[None] * len(net.layers)] * (len(turns) - steps)
    return turns, [*drive[:steps], *silence], len(turns), [e for e in events if e[0] < steps]


def decay(x, dt, leak, ticks):
    """§13: by f[ticks] once for each whole step in dt, then by f[dt mod ticks] if that is not 0.

    f[d] = round(leak**(d / ticks) * 2**30). An int stays one: (x f + 2**29) >> 30; a float becomes
    x * (f * 2.0**-30).
    """
    if leak == 1:
        return x
    for d in [ticks] * (dt // ticks) + [dt % ticks] * (dt % ticks != 0):
        f = round(leak ** (d / ticks) * 2**30)
        x = (x * f + 2**29) >> 30 if isinstance(x, int) else x * (f * 2.0**-30)
    return x


def even_release(total, n):
    """`total` in n parts (§3, SpikeZIP 3.2; §6).

    Integers: part k = 1..n is floor(k * total / n) - floor((k - 1) * total / n), floor towards
    minus infinity. The parts add up to total exactly, differ by at most 1, and the remainder is
    spread evenly over the steps (a positive one lands late: 1 in 4 parts is 0, 0, 0, 1; a negative
    one early: -1 is -1, 0, 0, 0). Otherwise: n times total / n.
    """
    if isinstance(total, int | np.integer):
        return [k * int(total) // n - (k - 1) * int(total) // n for k in range(1, n + 1)]
    return [total / n] * n


def spread_parts(drive, n, unit=1):
    """A step's drive in n parts (§12): for each, of each layer a list, or None as in the drive.

    In a list None is no arrival: a neuron whose drive is 0 hears it once, in the first part. Whole
    numbers are released evenly, in units: part j is floor((j + 1) D / n) - floor(j D / n) of them.
    """

    def parts(charge):
        if charge == 0:
            return [charge] + [None] * (n - 1)
        if isinstance(charge, int | np.integer):
            return [unit * part for part in even_release(int(charge) // unit, n)]
        return even_release(charge, n)

    by_neuron = [None if row is None else [parts(charge) for charge in row] for row in drive]
    return [
        [None if row is None else [found[j] for found in row] for row in by_neuron]
        for j in range(n)
    ]


class Ledger:
    """Potentials, memories and records of one run; the two ways of time only decide when to charge
    and to fire.
    """

    def __init__(self, net, v0, steps, model, mask=None, ticks=TICKS_PER_STEP, turns=None):
        self.net = net
        self.ticks = ticks
        self.turns = turns  # of `Staged` models: see `two_stages`
        self.mask = [[True] * layer.size for layer in net.layers] if mask is None else _plain(mask)
        for layer, allowed in zip(net.layers, self.mask, strict=True):
            if len(allowed) != layer.size or (
                not all(allowed) and (layer.pool or layer is net.layers[net.readout])
            ):
                raise ValueError(
                    f"mask of layer {layer.name}: expected {layer.size} truth values, "
                    f"all True for a pool and for the readout, found {allowed}"
                )
        self.models = self._models(model)
        self.thetas = [layer.thresholds() for layer in net.layers]
        self.own = [
            [self.models[number].initial(theta) for theta in thetas]
            for number, thetas in enumerate(self.thetas)
        ]
        self.touched = [[0] * layer.size for layer in net.layers]  # tick of the last touch
        self.weights = [_plain(np.asarray(p.weights)) for p in net.projections]
        self.masks = [_plain(_yes(p.mask)) for p in net.projections]
        self.input_weights = [_plain(np.asarray(p.weights)) for p in net.inputs]
        self.input_masks = [_plain(_yes(p.mask)) for p in net.inputs]
        self.v = [list(_plain(potentials)) for potentials in v0]
        for layer, *found in zip(net.layers, self.v, self.thetas, strict=True):
            if [len(values) for values in found] != [layer.size] * 2:
                raise ValueError(
                    f"layer {layer.name}: expected {layer.size} potentials and thresholds, "
                    f"found {[len(values) for values in found]}"
                )
            if layer.pool and any(potential != 0 for potential in found[0]):
                raise ValueError(
                    f"layer {layer.name}: expected v(0) of zeros for a pool, found {found[0]}"
                )
        self.windows = [
            self._windows(layer) if net.layers[layer].pool else None
            for layer in range(len(net.layers))
        ]
        self.arrived = [[0] * layer.size for layer in net.layers]
        self.memory = [
            [0] * layer.size for layer in net.layers
        ]  # S of §4: signed sum of the spikes fired
        self.sent = [[0] * layer.size for layer in net.layers]  # spikes of either sign
        self.counts = [[[0] * layer.size for _ in range(steps)] for layer in net.layers]
        self.spikes = []
        self.readout = []
        self.starts = {}  # of each step so far, the tick at which it began
        self.operations = self.equalities = self.t_eq = 0

    def _models(self, model):
        """One for each layer; pools and the readout have a plain `Model`: no leak, no own state."""
        models = model if isinstance(model, list) else [model] * len(self.net.layers)
        models = [
            Model()
            if layer.pool or number == self.net.readout
            else one
            if isinstance(one, Model)
            else Simple(one)
            for number, (layer, one) in enumerate(zip(self.net.layers, models, strict=True))
        ]
        for one in models:
            if not all(0 < leak <= 1 for leak in (one.leak, *one.leaks.values())):
                raise ValueError(
                    f"expected leaks above 0 and at most 1, found {one.leak} and {one.leaks}"
                )
        return models

    def _windows(self, pool):
        """windows[i]: for each member (projection, source) of unit i's window the signed sum of its
        spikes so far.
        """
        return [
            {
                (k, j): 0
                for k, projection in enumerate(self.net.projections)
                if projection.target == pool
                for j, synapse in enumerate(self.masks[k][i])
                if synapse
            }
            for i in range(self.net.layers[pool].size)
        ]

    def brought(self, layer, i, step):
        """Clocked time: (projection, source, net spikes fired in this step) for each synapse of a
        neuron.
        """
        return [
            (k, j, self.counts[projection.source][step][j])
            for k, projection in enumerate(self.net.projections)
            if projection.target == layer
            for j, synapse in enumerate(self.masks[k][i])
            if synapse
        ]

    def input_charges(self, number, sign):
        """What an event of this input brings: (layer, i, charge) for each of its synapses, in order
        of delivery.
        """
        return [
            (p.target, i, sign * self.input_weights[k][i][number])
            for k, p in enumerate(self.net.inputs)
            for i in range(self.net.layers[p.target].size)
            if self.input_masks[k][i][number]
        ]

    def touch(self, layer, i, tick):
        """§13: what decays in a neuron decays by the time since its last touch; the first is at
        tick 0. Whoever charges or evaluates a neuron touches it first.
        """
        model, own = self.models[layer], self.own[layer][i]
        dt = tick - self.touched[layer][i]
        self.touched[layer][i] = tick
        self._check_size(layer, i)
        self.v[layer][i] = decay(self.v[layer][i], dt, model.leak, self.ticks)
        for name, leak in model.leaks.items():
            own[name] = decay(own[name], dt, leak, self.ticks)

    def _check_size(self, layer, i):
        """Whole numbers that decay are at most 2**61 in size (§13)."""
        model, own = self.models[layer], self.own[layer][i]
        decaying = [own[name] for name, leak in model.leaks.items() if leak != 1]
        decaying += [self.v[layer][i]] if model.leak != 1 else []
        for x in decaying:
            if isinstance(x, int) and abs(x) > 2**61:
                raise OverflowError(
                    f"neuron {i} of layer {self.net.layers[layer].name}: expected numbers that "
                    f"decay to be at most 2**61 in size, found {x}"
                )

    def worth(self, layer, step, tick=None):
        """§13: how many weights a spike of this layer's brings that is emitted in this step, and at
        this tick. A pool's bring one. With two stages the step is that of the stage.
        """
        if self.turns is not None and layer in self.turns[step]:
            since = self.since(layer, step, tick)
            return self.models[layer].charge(self.turns[step][layer][0], *since)
        return self.models[layer].charge(step + 1)

    def since(self, layer, step, tick):
        """[ticks since the step's beginning], or [] for a model that does not go by the tick."""
        by_tick = isinstance(self.models[layer], Staged) and self.models[layer].by_tick
        return [tick - self.starts[step]] if by_tick else []

    def charge(self, layer, i, charge, step):
        """Charge arrives. T_eq (§8): a step moved something if a charge other than 0 arrived
        anywhere (readout included) or anything fired, pools included (a spike that leaves a pool's
        maximum as it is moves nothing). In clocked time charges of spikes that cancel need no
        thought: the spikes were fired in the same step. Charges of input events that cancel count,
        as they do in asynchronous time.
        """
        self.v[layer][i] = self.v[layer][i] + charge
        self.arrived[layer][i] = self.arrived[layer][i] + charge
        self._check_size(layer, i)
        if charge != 0:
            self.t_eq = step + 1

    def fire(self, layer, i, step, tick, cause):
        """Evaluate once: ask the model, book what it fires (§4). Returns None if it does not fire,
        else the spikes to send; [] for a neuron that is masked out (§9): it integrates and resets
        and its memory S moves, but its spikes are neither sent nor counted nor recorded. (They
        moved its potential, so they count for T_eq.)

        Every call is one evaluation; it met equality if p equalled a threshold where the other
        strictness of that comparison would have decided differently (so p = 0 counts for ST-BIF
        only while S > 0). A model of two
        stages is evaluated in its stage only.
        """
        model, theta = self.models[layer], self.thetas[layer][i]
        if self.turns is not None:
            if layer not in self.turns[step]:
                return None
            model = model.at(layer, i, *self.turns[step][layer], *self.since(layer, step, tick))
        p, S = self.v[layer][i], self.memory[layer][i]
        own, now = self.own[layer][i], self.touched[layer][i]
        own_before = dict(own)
        self.equalities += model.equal(p, S, theta, own, now, step + 1)
        fired, p_after = model.emit(p, S, theta, own, now, step + 1)
        both = (own_before, dict(own)) if own else None
        if not fired:
            self._check_size(layer, i)
            return None
        spikes, v_before = [], p
        for n, (sign, member) in enumerate(fired, start=1):
            v_after = p_after if n == len(fired) else p - n * model.quantum(theta)
            if self.mask[layer][i]:
                spikes.append(
                    self.emit(layer, i, step, tick, sign, member, cause, v_before, v_after, both)
                )
            self.memory[layer][i] += sign
            v_before = v_after
        self.v[layer][i] = p_after
        self._check_size(layer, i)
        self.t_eq = step + 1
        return spikes

    def count(self, layer, i, member, n):
        """n spikes (of sign -1 if negative) of one member (projection, source) of its window reach
        a pool unit.
        """
        self.windows[layer][i][member] += n

    def pool(self, layer, i, step, tick, cause):
        """§10: send by how much the maximum over the window has changed since the last time, one
        spike for each 1; or the minimum, where the unit is one of its layer's `minima`.

        It is that of the running sums, which all start at 0. It may be below 0 (where delays
        let a spike that was taken back arrive before the one it takes back). A unit with an empty
        window stays at 0.
        """
        extreme = min if i in self.net.layers[layer].minima else max
        was, now = self.memory[layer][i], extreme(self.windows[layer][i].values(), default=0)
        sign = 1 if now > was else -1
        spikes = []
        for member in range(1, abs(now - was) + 1):
            v_before, v_after = was + (member - 1) * sign, was + member * sign
            spikes.append(self.emit(layer, i, step, tick, sign, member, cause, v_before, v_after))
        self.memory[layer][i] = self.v[layer][i] = now
        return spikes

    def emit(self, layer, i, step, tick, sign, member, cause, v_before, v_after, own=None):
        """Record one spike."""
        nth, seq = self.sent[layer][i], len(self.spikes)
        spike = Spike(seq, step, tick, layer, i, sign, member, cause, v_before, v_after, nth, own)
        self.spikes.append(spike)
        self.sent[layer][i] += 1
        self.counts[layer][step][i] += sign
        self.t_eq = step + 1
        return spike

    def end_step(self):
        """The readout after a step: all charge that has arrived there so far (§3)."""
        self.readout.append(list(self.arrived[self.net.readout]))

    def outcome(self):
        return Outcome(
            self.spikes,
            self.counts,
            self.v,
            self.readout,
            self.arrived,
            self.operations,
            self.equalities,
            self.t_eq,
            memory=self.memory,
            own=self.own,
        )


def run_clocked(net, drive, v0, steps, model, *, mask=None, events=()):
    """Clocked time (§5). Spikes are recorded by step, layer, neuron, member. mask[layer][neuron]:
    see `run_srp`.

    The order in which a charge is summed matters in floats only: the drive, then the charges of the
    step's input events in the list's order, then for each incoming projection in the list's order
    the charges of its spikes, sources in index order, a neuron that fired m times added m times;
    the sum is then added to the potential, to `arrived` and to the readout. A pool's turn comes in
    the same order of layers: it sends the change of its maximum since its last turn. A neuron is
    touched (§13) once a step, at its beginning. Two stages
    run longer, see `two_stages`.
    """
    net.check(drive, steps, events=events)
    turns, drive, steps, events = two_stages(net, drive, v0, steps, model, events)
    book = Ledger(net, v0, steps, model, mask, turns=turns)
    for step in range(steps):
        came_in = [
            [[] for _ in range(layer.size)] for layer in net.layers
        ]  # charges of this step's input events
        for when, _, number, sign in events:
            if when == step:
                for layer, i, charge in book.input_charges(number, sign):
                    came_in[layer][i].append(charge)
        for layer, size in enumerate(layer.size for layer in net.layers):
            for i in range(size):
                if net.layers[layer].pool:
                    for k, j, n in book.brought(layer, i, step):
                        book.count(layer, i, (k, j), n)
                    book.pool(layer, i, step, None, None)
                    continue
                total = _plain(drive[step][layer][i]) if drive[step][layer] is not None else 0
                for charge in came_in[layer][i]:
                    total += charge
                    if charge != 0:
                        book.t_eq = step + 1
                for k, j, n in book.brought(layer, i, step):
                    charge = book.weights[k][i][j] * book.worth(net.projections[k].source, step)
                    for _ in range(abs(n)):
                        total += charge if n > 0 else -charge
                        book.operations += 1
                book.touch(layer, i, step * book.ticks)
                book.charge(layer, i, total, step)
                if layer != net.readout:
                    book.fire(layer, i, step, None, None)
        book.end_step()
    return book.outcome()


# --- Asynchronous time (§5) ---

EXCITATORY = 1
INHIBITORY = -1
WHOLE = 0


class Parcel(NamedTuple):
    """What an order policy makes of a spike: one event that delivers it over some projections,
    whole or by half.

    The excitatory half are the synapses on which the charge is not negative (a zero charge counts
    here), the inhibitory half those on which it is. It is the charge's sign that decides: a
    negative spike excites where its weight is negative.
    """

    delay: int
    key: object
    projections: tuple[int, ...]
    half: int = WHOLE


class Delivery(NamedTuple):
    """A parcel as recorded. Spike and parcel are told by (layer, neuron, nth) and (projections,
    half).
    """

    layer: int
    neuron: int
    nth: int
    delay: int
    projections: tuple[int, ...]
    half: int


class Evaluation(NamedTuple):
    """An event of a neuron's own, for `reason` "window", "refractory", "when" or "clocked"."""

    layer: int
    neuron: int
    reason: str


class Waiting(NamedTuple):
    """Under `random`: one delivery, whichever, of the list of the tick at which this is due."""


class InputEvent(NamedTuple):
    """An event of the user's list, at its `place` there."""

    place: int
    number: int
    sign: int


# An order policy is a function (net, spike) -> list of parcels. Policies with parameters are made
# by a function.


def fifo(net, spike):
    """Order of emission: no delay, all keys equal, so the sequence number decides."""
    return [Parcel(0, 0, net.outgoing(spike.layer))]


def lifo(net, spike):
    """Deepest layer first, in it the latest emission first: key (-layer, -seq). In a chain of
    layers this is a stack. In 64 bits: -(layer * 2**40 + seq).
    """
    return [Parcel(0, (-spike.layer, -spike.seq), net.outgoing(spike.layer))]


def index(net, spike):
    """Key (layer, neuron); spikes of one neuron in order of emission. In 64 bits: layer * 2**40 +
    neuron.
    """
    return [Parcel(0, (spike.layer, spike.neuron), net.outgoing(spike.layer))]


def splitmix64(x):
    """One output of the generator SplitMix64 for the state x, in 64-bit arithmetic modulo 2**64."""
    low64 = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & low64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & low64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & low64
    return x ^ (x >> 31)


def spike_hash(seed, image, seq):
    """splitmix64(splitmix64(splitmix64(seed) ^ image) ^ seq): 64 bits that depend on nothing
    else.
    """
    return splitmix64(splitmix64(splitmix64(seed) ^ image) ^ seq)


def priority(seed, image=0):
    """Key = spike_hash(seed, image, seq) >> 1 (63 bits: not negative as a signed integer)."""
    return lambda net, spike: [
        Parcel(0, spike_hash(seed, image, spike.seq) >> 1, net.outgoing(spike.layer))
    ]


class random:
    """Uniform (§12): no delay, all keys equal, and a run asks `place` which one of a tick's list is
    taken. A run recognises this policy by its class.
    """

    def __init__(self, seed, image=0):
        self.seed, self.image = seed, image

    def __call__(self, net, spike):
        return fifo(net, spike)

    def place(self, taken, waiting):
        """floor(h m / 2**64) of m deliveries, h = spike_hash with the number of events taken before
        in place of a spike's. That counts deliveries (halves singly), input events and ends of
        rests and windows, own firing times (`when`) among them; not the drive, the evaluations of
        their stages, and what ends no more: a window that an evaluation has closed meanwhile, a
        firing time that another answer has replaced.
        """
        return spike_hash(self.seed, self.image, taken) * waiting >> 64


def jitter(seed, low, high, image=0):
    """A delay for each spike, uniform on low..high ticks: low + (((h >> 32) * (high - low + 1)) >>
    32), h = spike_hash. All keys equal: of what is due at one tick, the order of emission.
    """

    def policy(net, spike):
        delay = low + (((spike_hash(seed, image, spike.seq) >> 32) * (high - low + 1)) >> 32)
        return [Parcel(delay, 0, net.outgoing(spike.layer))]

    return policy


def _halves(net, spike, first, second):
    return [
        Parcel(0, (net.projections[k].target, waits), (k,), half)
        for k in net.outgoing(spike.layer)
        for waits, half in enumerate((first, second))
    ]


def excitatory_first(net, spike):
    """Two parcels for each outgoing projection, in the list's order, the excitatory half's before
    the other's.

    The key is (target layer, does this half wait: 0 or 1); in 64 bits 2 * target + waits. What goes
    to an earlier layer always comes first; so when the first half is delivered to layer t, all its
    sources have done all they will do at this tick, and every first half bound for t comes before
    every waiting half bound for t. A key without the target, or a spike delivered to all its
    targets at once, would not do: over a skip connection 1 -> 3 a half would arrive before 1 -> 2
    -> 3 has brought the other half it should wait for.
    """
    return _halves(net, spike, EXCITATORY, INHIBITORY)


def inhibitory_first(net, spike):
    """`excitatory_first` with the halves exchanged."""
    return _halves(net, spike, INHIBITORY, EXCITATORY)


def clocked(net, spike):
    """Arrivals charge at once; every neuron is evaluated once a step, at the step's last tick,
    layer by layer, and fires at most once (GN: once per member). Equals `run_clocked` spike for
    spike wherever sums are exact (in floats the order of summation is that of delivery). A run
    recognises this policy by identity.
    """
    return [Parcel(0, 0, net.outgoing(spike.layer))]


def replay(deliveries):
    """The deliveries of a recorded run, in a new order if the list was edited.

    A spike is told by (layer, neuron, nth); its parcels get the recorded delay, and as key their
    place in the list: so the list decides among parcels due at one tick. A spike that is not in the
    list (the edit made it) goes whole, without delay, after all listed parcels of its tick, in
    order of emission. An unedited list gives the recorded run again. `delays` of `run_async` are
    part of the recorded ones: leave them out.
    """
    places = {}
    for place, delivery in enumerate(deliveries):
        parcel = Parcel(delivery.delay, place, delivery.projections, delivery.half)
        places.setdefault((delivery.layer, delivery.neuron, delivery.nth), []).append(parcel)

    def policy(net, spike):
        outgoing = net.outgoing(spike.layer)
        parcels = places.get((spike.layer, spike.neuron, spike.nth))
        if parcels is None:
            return [Parcel(0, len(deliveries), outgoing)]
        delivered = [
            (k, half)
            for parcel in parcels
            for k in parcel.projections
            for half in ((EXCITATORY, INHIBITORY) if parcel.half == WHOLE else (parcel.half,))
        ]
        if sorted(delivered) != sorted(
            (k, half) for k in outgoing for half in (EXCITATORY, INHIBITORY)
        ):
            raise ValueError(
                f"replay: expected spike {spike.nth} of neuron {spike.neuron} in layer "
                f"{spike.layer} to be delivered once over each of its projections, found {parcels}"
            )
        return parcels

    return policy


@dataclass
class PerProjection:
    """ticks[k]: delay over projection k. Every spike is then one event for each outgoing
    projection.
    """

    ticks: list


@dataclass
class PerNeuron:
    """ticks[layer][neuron]: delay of that neuron's spikes, over all its projections at once."""

    ticks: list


def run_async(
    net,
    drive,
    v0,
    steps,
    model,
    order,
    *,
    barrier=True,
    refractory=0,
    window=0,
    delays=None,
    max_events=1_000_000,
    ticks_per_step=TICKS_PER_STEP,
    mask=None,
    events=(),
    spread=1,
    unit=1,
    group=1,
):
    """Asynchronous time (§5). `refractory`, `window` and delays are in ticks. mask[layer][neuron]:
    see `run_srp`.

    The queue is ordered by (time, phase, key, sequence number). The phase is -1 for input events, 0
    for deliveries and 1 for evaluations: at one tick input events come first, in the list's order,
    and a neuron's own event after every delivery. The key of an input event is its place in the
    list, that of an evaluation (layer, neuron), that of a delivery the order policy's. The sequence
    number counts everything put into the queue. `delays` (PerProjection or PerNeuron) are added to
    the policy's own. The policy `delays` of §5 is `fifo` with this argument.

    A step: its drive arrives at tick `start`, before any event due then, and its input events at
    start + offset, each as one arrival at each of its targets, projection by projection, in index
    order. The events due before start + ticks_per_step follow. With `barrier` those due later
    follow too, as long as any delivery or open window is in the queue, and the next step starts at
    start + ticks_per_step or, if that was later, at the tick of the last event. The end of a
    refractory period alone does not hold a step up: it is left to the step it falls in (else r =
    one step would not mean one spike a step). Without `barrier` steps start every ticks_per_step. A
    pool has neither refractory period nor window: it answers to every spike at once (under the
    order `clocked` at its turn in the step's evaluation). The run ends with the last step; what is
    due then or later stays undelivered (`Outcome.under_way`). `max_events`: so many events other
    than those of the input are taken from the queue, in the whole run, before it is an error.

    A neuron is asked `when` (§13) after each evaluation, except one that begins its refractory
    period, and not under the order `clocked`; with two stages the model that it is at that moment
    is asked, after an evaluation that fired nothing. Its answer is an evaluation of its own at that
    tick and lasts until the next evaluation; like the end of a refractory period it does not hold a
    step up. An arrival that only charges (`window`) leaves it as it is.

    Two stages (`two_stages`): after a step's drive, before anything is taken from the queue, the
    layers whose stage it is are evaluated, in topological order, neurons in index order, once each;
    their arrivals only charge. Under the order `clocked` that is at their turn at the step's end,
    as in clocked time.

    Spread drive (§12): a step is `spread` short steps, each of which is what a step is above, with
    a part of the step's drive, see `spread_parts`, and the input events of its own time. Whole
    numbers are shared out in units of `unit`, which is 2**16 where there is a leak (§13).

    Groups (§12): of `group` deliveries at most, which only charge; see `_Run.deliver`.
    """
    models = model if isinstance(model, list) else [model]
    staged = [type(one).__name__ for one in models if isinstance(one, Staged)]
    net.check(drive, steps, order is not clocked and not staged, events, ticks_per_step)
    turns, drive, steps, events = two_stages(net, drive, v0, steps, model, events)
    if turns is not None and (not barrier or refractory or window or spread > 1):
        raise ValueError(
            f"{staged[0]}: expected a barrier, no refractory period, no window and no spread"
        )
    if order is clocked and (refractory or window or delays or spread > 1):
        raise ValueError(
            "order clocked: expected no refractory period, window, delays or spread; "
            "a step is all of them"
        )
    if group > 1 and (window or order is clocked or turns is not None):
        raise ValueError("group: expected no window, another order than clocked and one stage")
    if spread < 1 or ticks_per_step % spread:
        raise ValueError(f"spread: expected a divisor of {ticks_per_step} ticks, found {spread}")
    book = Ledger(net, v0, steps, model, mask, ticks_per_step, turns)
    run = _Run(net, book, order, refractory, window, delays, max_events, group)
    start, short = 0, ticks_per_step // spread
    for step in range(steps):
        for part, charges in enumerate(spread_parts(drive[step], spread, unit)):
            end = start + short
            run.begin_step(step, start, charges)
            for place, (when, offset, number, sign) in enumerate(events):
                if when == step and offset // short == part:
                    run.put_input(start + offset % short, InputEvent(place, number, sign))
            if order is clocked:
                run.evaluate_all_at(end - 1)
            while run.queue and (run.queue[0][0] < end or (barrier and run.is_under_way())):
                run.take()
            start = max(end, run.now) if barrier else end
        run.book.end_step()
    outcome = run.book.outcome()
    left = run.left()
    outcome.deliveries = run.delivered + [_recorded(spike, parcel) for spike, parcel in left]
    outcome.under_way = len(left)
    if run.is_under_way():
        outcome.t_eq = steps
    outcome.input_deliveries = run.input_delivered
    return outcome


class _Run:
    """The queue and what goes in and out of it."""

    def __init__(self, net, book, order, refractory, window, delays, max_events, group):
        self.net = net
        self.book = book
        self.order = order
        self.delays = delays
        self.refractory = refractory
        self.window = window
        self.max_events = max_events
        self.group = group
        self.grouped = 0  # deliveries of the group that is under way
        self.reached = {}  # by it: (layer, neuron or unit) -> seq of the last that did
        self.queue = []  # heap of (time, phase, key, sequence number, event)
        self.put = self.taken = 0
        self.lists = {}  # under `random`: tick -> the deliveries that wait for it
        self.counted = 0  # events taken, as `random.place` counts them
        self.step = self.start = self.now = 0
        self.rests_until = [[0] * layer.size for layer in net.layers]
        self.window_end = [[None] * layer.size for layer in net.layers]
        self.own_time = [[None] * layer.size for layer in net.layers]  # the answer to `when`
        self.delivered = []
        self.input_delivered = []

    def begin_step(self, step, start, drive):
        """§5.1: layers in topological order, neurons in index order, one arrival each. Then those
        of two stages whose stage it is.
        """
        self.step, self.start, self.now = step, start, start
        self.book.starts[step] = start
        for layer, charges in enumerate(drive):
            if charges is not None and not self.net.layers[layer].pool:
                for i, charge in enumerate(charges):
                    if charge is not None:
                        self.arrive(layer, i, _plain(charge), None)
        if self.book.turns is not None and self.order is not clocked:
            for layer in self.book.turns[step]:
                for i in range(self.net.layers[layer].size):
                    self.evaluate(layer, i, None)

    def evaluate_all_at(self, tick):
        for layer in range(self.net.readout):
            for i in range(self.net.layers[layer].size):
                self.put_evaluation(tick, layer, i, "clocked")

    def arrive(self, layer, i, charge, cause):
        """§5.2: charge, then evaluate at once or open a window. A model of two stages is only
        charged."""
        self.touch(layer, i)
        self.book.charge(layer, i, charge, self.step)
        if layer == self.net.readout or self.order is clocked or self.book.turns is not None:
            return
        if self.window == 0:
            self.answer(layer, i, cause)
        elif self.window_end[layer][i] is None:
            self.window_end[layer][i] = self.now + self.window
            self.put_evaluation(self.now + self.window, layer, i, "window")

    def answer(self, layer, i, cause):
        """Evaluates at an arrival; one of a group waits for the group's end."""
        if self.group > 1 and cause is not None:
            self.reached[layer, i] = cause
        else:
            self.evaluate(layer, i, cause)

    def touch(self, layer, i):
        """§13: under the order `clocked` every touch counts as at the step's beginning."""
        self.book.touch(layer, i, self.start if self.order is clocked else self.now)

    def evaluate(self, layer, i, cause):
        """§5.2: fire while the model says so; with a refractory period once (GN: once per member).
        A neuron that fired at t rests for t <= now < t + r; whatever would evaluate it then (an
        arrival, the end of a window) leaves that to the period's end. An evaluation closes an open
        window: "w after the first arrival since its last evaluation". A masked-out neuron fires and
        rests as any other, but sends nothing. A pool sends its changes. A model of two
        stages fires once. At last the
        neuron is asked for its own firing time (§13), which replaces what it said before.
        """
        if self.net.layers[layer].pool:
            for spike in self.book.pool(layer, i, self.step, self.now, cause):
                self.send(spike)
            return
        if self.now < self.rests_until[layer][i]:
            return
        self.window_end[layer][i] = self.own_time[layer][i] = None
        self.touch(layer, i)
        while (spikes := self.book.fire(layer, i, self.step, self.now, cause)) is not None:
            for spike in spikes:
                self.send(spike)
            if self.order is clocked or self.book.turns is not None:
                return
            if self.refractory:
                self.rests_until[layer][i] = self.now + self.refractory
                self.put_evaluation(self.now + self.refractory, layer, i, "refractory")
                return
        if self.order is not clocked:
            self.ask_when(layer, i)

    def ask_when(self, layer, i):
        book = self.book
        model = book.models[layer]
        if book.turns is not None:
            since = book.since(layer, self.step, self.now)
            model = model.at(layer, i, *book.turns[self.step][layer], *since)
        tick = model.when(
            book.v[layer][i],
            book.memory[layer][i],
            book.thetas[layer][i],
            dict(book.own[layer][i]),
            self.now,
            self.step + 1,
        )
        if tick is None:
            return
        if tick <= self.now:
            raise ValueError(
                f"when: expected a tick after {self.now} from neuron {i} of layer "
                f"{self.net.layers[layer].name}, found {tick}"
            )
        self.own_time[layer][i] = tick
        self.put_evaluation(tick, layer, i, "when")

    def send(self, spike):
        """§5.3: the spike becomes an event, or several, at now + delay."""
        for parcel in self.order(self.net, spike):
            if isinstance(self.delays, PerProjection):
                for k in parcel.projections:
                    delay = parcel.delay + self.delays.ticks[k]
                    self.put_delivery(spike, Parcel(delay, parcel.key, (k,), parcel.half))
            elif isinstance(self.delays, PerNeuron):
                delay = parcel.delay + self.delays.ticks[spike.layer][spike.neuron]
                self.put_delivery(spike, Parcel(delay, *parcel[1:]))
            else:
                self.put_delivery(spike, parcel)

    def put_delivery(self, spike, parcel):
        if not parcel.projections:
            return
        tick, event = self.now + parcel.delay, (spike, parcel)
        if isinstance(self.order, random):
            self.lists.setdefault(tick, []).append(event)
            event = Waiting()
        self._put(tick, 0, parcel.key, event)

    def put_evaluation(self, tick, layer, i, reason):
        self._put(tick, 1, (layer, i), Evaluation(layer, i, reason))

    def put_input(self, tick, event):
        self._put(tick, -1, event.place, event)

    def _put(self, time, phase, key, event):
        heapq.heappush(self.queue, (time, phase, key, self.put, event))
        self.put += 1

    def is_under_way(self):
        """§5.4: is there a delivery (or an input event) in the queue, or a window that is still
        open? One that ended in a rest is, until the rest ends.
        """
        return any(end is not None for row in self.window_end for end in row) or any(
            not isinstance(event, Evaluation) for *_, event in self.queue
        )

    def _closes_window(self, time, evaluation):
        """False for a window that another evaluation has closed meanwhile."""
        return (
            evaluation.reason == "window"
            and self.window_end[evaluation.layer][evaluation.neuron] == time
        )

    def left(self):
        """What is still under way, in the order in which it would be taken; under `random` tick by
        tick in the order of the lists.
        """
        found = [
            event
            for *_, event in sorted(self.queue, key=lambda entry: entry[:4])
            if not isinstance(event, Evaluation | Waiting)
        ]
        return found + [event for tick in sorted(self.lists) for event in self.lists[tick]]

    def pick(self):
        """§12: takes one of the list of the tick that is due, and puts the last into its place."""
        waiting = self.lists[self.now]
        place = self.order.place(self.counted, len(waiting))
        event, last = waiting[place], waiting.pop()
        if place < len(waiting):
            waiting[place] = last
        return event

    def take(self):
        if isinstance(self.queue[0][-1], InputEvent):
            self.now, *_, event = heapq.heappop(self.queue)
            self.counted += 1
            self.deliver_input(event)
            return
        if self.taken == self.max_events:
            events = [event for *_, event in self.queue if isinstance(event, Evaluation)]
            events += [event[0] for event in self.left() if not isinstance(event, InputEvent)]
            layers = sorted({event.layer for event in events})
            names = ", ".join(self.net.layers[layer].name for layer in layers)
            raise RuntimeError(
                f"expected the queue to empty within max_events = {self.max_events} events, found "
                f"{len(self.queue)} more in step {self.step}; still firing: {names}; "
                "look for a loop that excites itself, or raise max_events"
            )
        self.now, _, _, _, event = heapq.heappop(self.queue)
        self.taken += 1
        if isinstance(event, Waiting):
            event = self.pick()
        if not isinstance(event, Evaluation):
            self.counted += 1
            self.deliver(*event)
        elif event.reason == "window" and not self._closes_window(self.now, event):
            pass  # closed meanwhile
        elif event.reason == "when" and self.own_time[event.layer][event.neuron] != self.now:
            pass  # another answer stands
        else:
            self.counted += event.reason != "clocked"
            self.evaluate(event.layer, event.neuron, None)

    def deliver_input(self, event):
        """Drive (§3), so no synaptic operation; each arrival is evaluated before the next."""
        self.input_delivered.append((event.place, self.now))
        for layer, i, charge in self.book.input_charges(event.number, event.sign):
            self.arrive(layer, i, charge, None)

    def deliver(self, spike, parcel):
        """§5.3: projections in the list's order, targets in index order; each arrival is evaluated
        before the next.

        Groups (§12): the delivery only charges. A group ends with its F-th delivery, or where what
        is next in the queue is due later or is no delivery; then all that it reached is evaluated,
        in the order of (layer, index). The cause is the last delivery that reached it.
        """
        self.bring(spike, parcel)
        self.grouped += 1
        goes_on = bool(self.queue) and self.queue[0][:2] == (self.now, 0)
        if self.group > 1 and (self.grouped == self.group or not goes_on):
            reached, self.reached, self.grouped = self.reached, {}, 0
            for layer, i in sorted(reached):
                self.evaluate(layer, i, reached[layer, i])

    def bring(self, spike, parcel):
        """The charges of a delivery."""
        self.delivered.append(_recorded(spike, parcel))
        for k in parcel.projections:
            weights = self.book.weights[k]
            mask = self.book.masks[k]
            target = self.net.projections[k].target
            for i in range(self.net.layers[target].size):
                if mask[i][spike.neuron]:
                    charge = spike.sign * weights[i][spike.neuron]  # into a pool: the spike's sign
                    if not self.net.layers[target].pool:
                        charge = charge * self.book.worth(spike.layer, spike.step, spike.tick)
                    half = INHIBITORY if charge < 0 else EXCITATORY
                    if parcel.half not in (WHOLE, half):
                        continue
                    if self.net.layers[target].pool:
                        self.book.count(target, i, (k, spike.neuron), spike.sign)
                        if self.order is not clocked:
                            self.answer(target, i, spike.seq)
                    else:
                        self.book.operations += 1
                        self.book.t_eq = self.step + 1
                        self.arrive(target, i, charge, spike.seq)


# --- The quantised network (§7) ---


def equilibrium(net, totals, v0, s_max):
    """What ST-BIF neurons come to once drive has ended and nothing fires any more (§7, laws 2 and
    3), in integers.

    totals[layer]: for each neuron the sum of all its drive (input events included), or None. s_max
    is one for all layers, or a list with one per layer. Returns (S[layer], a list for each layer
    but the readout; the readout): for a neuron S = clip(floor((sum of arrivals + v(0)) / theta), 0,
    s_max), for a pool unit the largest or smallest S in its window, and for the readout the sum of
    arrivals, without its v(0), as in `Outcome.readout`.
    """
    net.check([totals], 1)
    S = []
    for number, layer in enumerate(net.layers):
        incoming = [p for p in net.projections if p.target == number]
        if layer.pool:
            windows = [
                [n for p in incoming for j, n in enumerate(S[p.source]) if p.mask[i][j]]
                for i in range(layer.size)
            ]
            extremes = [min if i in layer.minima else max for i in range(layer.size)]
            S.append([of(window, default=0) for of, window in zip(extremes, windows, strict=True)])
            continue
        arrived = [0] * layer.size if totals[number] is None else list(_plain(totals[number]))
        for p in incoming:
            for i in range(layer.size):
                arrived[i] += sum(
                    int(p.weights[i][j]) * n for j, n in enumerate(S[p.source]) if p.mask[i][j]
                )
        if number == net.readout:
            return S, arrived
        most = s_max[number] if isinstance(s_max, list) else s_max
        S.append(
            [
                min(max((y + v) // theta, 0), most)
                for y, v, theta in zip(arrived, _plain(v0[number]), layer.thresholds(), strict=True)
            ]
        )


# --- The readout (§3) ---


def result_after(outcome, step, first=0):
    """The output after `step` steps of an encoding that is divided, as fractions; None where there
    is none. first: d of the delayed readout, the steps that do not count.
    """
    if step <= first:
        return None
    before = outcome.readout[first - 1] if first else [0] * len(outcome.readout[0])
    counted = [now - then for now, then in zip(outcome.readout[step - 1], before, strict=True)]
    return [Fraction(charge, step - first) for charge in counted]


# --- SRP (§9) ---


def run_srp(run, net, drive, v0, tau, steps, model, epsilon=0, **options):
    """SRP, Algorithm 1: stage one of tau steps, which decides who takes part in stage two of
    `steps` steps.

    `run` is `run_clocked` or `run_async`, with its `options`. Returns (outcome of stage one, mask,
    outcome of stage two). mask[layer][neuron] = v(tau) >= epsilon, a charge; True for pools and the
    readout. Stage two is a run of its own: it starts from v0 with nothing under way, and its drive
    (input events too) begins anew with step 0. Not for models of two
    stages.
    """
    for one in model if isinstance(model, list) else [model]:
        if isinstance(one, Staged):
            raise ValueError(f"run_srp: expected a model of one stage, found {type(one).__name__}")
    first = run(net, drive, v0, tau, model, **options)
    mask = [
        [layer.pool or number == net.readout or v >= epsilon for v in first.potentials[number]]
        for number, layer in enumerate(net.layers)
    ]
    return first, mask, run(net, drive, v0, steps, model, mask=mask, **options)


def _recorded(spike, parcel):
    return Delivery(
        spike.layer, spike.neuron, spike.nth, parcel.delay, parcel.projections, parcel.half
    )


def _yes(mask):
    return np.asarray(mask, bool)


def _plain(x):
    """numpy arrays and scalars as Python lists and numbers."""
    if isinstance(x, np.ndarray | np.generic):
        return x.tolist()
    return [_plain(entry) for entry in x] if isinstance(x, list | tuple) else x
