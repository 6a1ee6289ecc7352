"""`eventsnn.neurons.verify`: its simulator does as the twin, and wrong declarations are found."""

from functools import cache
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from support import twin
from support.small_twin import run_twin, singly

import eventsnn
from eventsnn.neurons import GN, MODELS, Setting, verify
from eventsnn.neurons.making import fitted
from eventsnn.neurons.verifying.laws import LAWS
from eventsnn.neurons.verifying.naive import TICKS, run
from eventsnn.neurons.verifying.small import Way, draw, draw_way
from eventsnn.neurons.verifying.trying import quantum

BUILT_IN = [*sorted(MODELS.own), "gn:1", "gn:7", "lif:0.3", "adaptive:beta=0.3,leak=0.5"]
# a few q, which come here, are no spike of the first of 8 phases
BUILT_IN[BUILT_IN.index("phase")] = "phase:2"

STARTS = {
    "tpp": 0.0,
    "few-spike": 0.0,
    "radix": 0.5,
    "tsc": 0.5,
    "ttfs": 0.5,
    "ttfs-exact": 0.5,
}  # v(0) of the models of two stages


BY_TICK = ("ttfs-exact",)  # models without clocked time


def made(neuron, small):
    """A model in Python's numbers."""
    for q in (64, 2**20):
        model = fitted(neuron, Setting(np.int64(q), small.seen(), small.steps, 0, TICKS))
        if quantum(model) == q:
            break
    return type(model)(*[x.item() if isinstance(x, np.generic) else x for x in model])


# --- the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize("neuron", BUILT_IN)
def test_its_simulator_gives_the_twins_spikes_and_potentials(neuron):
    fired = 0
    for seed in range(30):
        random = Random(seed)
        small = draw(random, STARTS.get(neuron))
        model = made(neuron, small)
        staged = neuron in STARTS
        ways = [Way("clocked engine"), Way("clocked")]
        if neuron in BY_TICK:
            ways = [draw_way(random, small, plain=True) for _ in range(3)]
        ways += [draw_way(random, small, plain=plain) for plain in (staged, True)]
        times = [(a.step, a.after) for a in small.arrivals]
        random.shuffle(times)
        if not staged:
            ways.append(Way("lifo", times=tuple(times), resting=True))
        for way in ways:
            ran = run(small, model, way)
            its = run_twin(small, model, way, None if staged else ran.steps)
            clocked = way.order in ("clocked engine", "clocked")
            spikes = [(s, None if clocked else t, i, n) for s, t, i, n in its.spikes]
            assert singly(ran, clocked) == spikes, (seed, way)
            assert (ran.p, ran.net) == (its.p, its.net), (seed, way)
            fired += len(spikes)
    assert fired > 150


# --- models that do as they declare -------------------------------------------------------------


@pytest.mark.parametrize("neuron", BUILT_IN)
def test_built_in_models_do_as_they_declare(neuron):
    result = verify(neuron, networks=25, quiet=True, compiled=neuron in ("st-bif", "adaptive"))
    assert result.holds and not result.broken
    declared = {verdict.law for verdict in result.laws if verdict.declared}
    assert {"rest", "most", "band"} <= declared
    assert ("clocked" in declared) == (neuron not in BY_TICK)
    assert ("confluent" in declared) == (neuron == "st-bif")
    assert ("stages" in declared) == (neuron in STARTS)


@pytest.mark.slow
def test_the_whole_default_takes_a_class_and_an_instance(capsys):
    assert verify(GN).holds and verify(GN(members=3)).holds
    said = capsys.readouterr().out
    assert said.startswith("GN: all 9 laws hold (seed 0)\n")
    assert "conserves  p = v(0) + arrivals - the charge of each spike holds on 200 networks" in said


# --- models that do not -------------------------------------------------------------------------


class _Q(NamedTuple):
    q: Any = None


class Right(_Q):
    """Integrate-and-fire with soft reset; those below change one thing."""

    __slots__ = ()
    words = "IF"
    conserves = True
    confluent = False
    holds = True
    signed = False
    reset = "subtract"

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q else 0

    @staticmethod
    def settle(neuron, p, n):
        return p - n * neuron.q

    @staticmethod
    def most(neuron):
        return 1

    @staticmethod
    def tie(neuron, layer, p, s):
        return p == neuron.q

    def band(self):
        return None, self.q


class Restless(Right):
    """After three spikes it fires for ever."""

    __slots__ = ()

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q or s >= 3 else 0

    def band(self):
        return -(10**9) * self.q, -(10**9) * self.q + 1


class Owing(Right):
    """It takes spikes back, and says that it does not."""

    __slots__ = ()

    @staticmethod
    def emit(neuron, layer, p, s):
        return -1 if p <= -neuron.q and s > 1 else Right.emit(neuron, layer, p, s)

    def band(self):
        return -self.q, self.q


class Hasty(Right):
    """It fires twice at 3 q, and says at most once."""

    __slots__ = ()

    @staticmethod
    def emit(neuron, layer, p, s):
        return 2 if p >= 3 * neuron.q else Right.emit(neuron, layer, p, s)


class _Limited(NamedTuple):
    q: Any = None
    limits: Any = np.zeros(0, np.int64)


class Boundless(_Limited):
    """It keeps its limit in the first layer alone."""

    __slots__ = ()
    words, conserves, confluent, holds, signed = "IF with limits", True, False, True, False
    reset = "subtract"
    settle, most, tie, band = Right.settle, Right.most, Right.tie, Right.band

    settle = staticmethod(Right.settle)
    most = staticmethod(Right.most)
    tie = staticmethod(Right.tie)

    def fit(self, setting):
        return self._replace(q=setting.q, limits=np.full(len(setting.network.layers), 2))

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q and (layer > 0 or s < neuron.limits[layer]) else 0


class Early(Right):
    """Its band reaches too far: it fires at q."""

    __slots__ = ()

    def band(self):
        return None, 2 * self.q


class Greedy(Right):
    """At 3 q and above a spike takes twice as much."""

    __slots__ = ()
    conserves = False

    @staticmethod
    def settle(neuron, p, n):
        return p - 2 * neuron.q if p >= 3 * neuron.q else p - neuron.q


class Leaving(Greedy):
    """It resets to zero, but from 3 q on leaves something."""

    __slots__ = ()
    reset = "zero"

    @staticmethod
    def settle(neuron, p, n):
        return neuron.q // 8 if p >= 3 * neuron.q else neuron.q - neuron.q


class Losing(Greedy):
    """Greedy, and says that it conserves."""

    __slots__ = ()
    conserves = True


class Impatient(Right):
    """Each evaluation without a spike lowers its threshold by an eighth, so that it fires of
    itself.
    """

    __slots__ = ()
    own = ("b",)

    @staticmethod
    def emit(neuron, layer, p, s, here):
        if p + here.own[here.number, 0] >= neuron.q:
            return 1
        here.own[here.number, 0] += neuron.q // 8
        return 0

    @staticmethod
    def settle(neuron, p, n, here):
        here.own[here.number, 0] = 0
        return p - neuron.q

    @staticmethod
    def tie(neuron, layer, p, s, here):
        return p + here.own[here.number, 0] == neuron.q

    def band(self):
        return -(10**6) * self.q, -(10**6) * self.q + 1


class Hopeful(Right):
    """Integrate-and-fire, whose counts hang on order, and which says that they do not."""

    __slots__ = ()
    confluent = True


class Hurried(Right):
    """Two stages, but it looks at the clock."""

    __slots__ = ()
    holds = False
    stages = 2
    initial = 0.0

    @staticmethod
    def emit(neuron, layer, p, s, here):
        return 1 if p >= neuron.q and here.now % 1024 == 0 else 0


ASKED = iter(range(10**9))


class Forgetful(Right):
    """Whether it fires depends on how often it, or another, was asked before."""

    __slots__ = ()
    holds = False

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q and next(ASKED) % 2 else 0


class Wrapping(Right):
    """Python's numbers have no end, compiled ones have 64 bits."""

    __slots__ = ()

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.q and p**11 % 7 else 0


# model -> (the laws that it breaks, further words of the counterexample)
WRONG = {
    Restless: ("rest", "it fires without end"),
    Owing: ("signed", "fires -1"),
    Hasty: ("most", "fires 2, most is 1"),
    Boundless: ("limits", "has fired 3 net spikes, its limit is 2"),
    Early: ("band", "fires inside band()"),
    Greedy: ("reset", "does not lose q for each spike"),
    Leaving: ("reset", "another potential after a spike"),
    Losing: ("conserves reset", "ends at p"),
    Impatient: ("holds", "the other way"),
    Hopeful: ("confluent", "net spikes, the other way to"),
    Hurried: ("stages", "in one of two orders"),
}


@cache
def found(model):
    return verify(model, quiet=True, compiled=False, networks=60)


@pytest.mark.parametrize("model", WRONG)
def test_a_wrong_declaration_is_found_on_a_network_to_follow_by_hand(model):
    laws, words = WRONG[model]
    result = found(model)
    assert set(result.broken) == set(laws.split()) and not result.holds
    examples = result.broken.values()
    assert any(words in str(example) for example in examples)
    for example in examples:
        small = example.trial.small
        assert len(small.layers) <= 2 and len(small.synapses) + len(small.arrivals) <= 4
        assert str(example).count("\n") < 40
        assert example.replay() == example.words


def test_what_hangs_on_hidden_things_is_found():
    result = verify(Forgetful, quiet=True, compiled=False, networks=30)
    assert list(result.broken) == ["clocked"]
    assert "clocked time" in str(result) and "order clocked" in str(result)
    assert any(result.broken["clocked"].replay() for _ in range(10))


def test_what_numba_reads_in_another_way_is_found():
    result = verify(Wrapping, quiet=True, networks=30)
    assert list(result.broken) == ["compiled"]
    assert "the same by what numba compiled:" in str(result)
    assert result.broken["compiled"].replay()


def test_what_numba_does_not_compile_is_said():
    result = verify(Forgetful, quiet=True, networks=1)
    assert "numba does not compile it: Untyped global name 'ASKED'" in str(result)


class Soft(twin.Model):
    """The twin's form of `Right`, of Hopeful and of those that change one thing."""

    def __init__(self, model):
        self.model = model

    def quantum(self, theta):
        return theta

    def equal(self, p, S, theta, own, now, step):
        return p == theta

    def emit(self, p, S, theta, own, now, step):
        n = self.model.emit(self.model, 0, p, S)
        sign = 1 if n > 0 else -1
        fired = [(sign, member) for member in range(1, abs(n) + 1)]
        return fired, self.model.settle(self.model, p, n) if n else p


@pytest.mark.parametrize("model", [Hopeful, Losing, Owing])
def test_a_counterexample_is_one_for_the_twin_too(model):
    for law, example in found(model).broken.items():
        small, ways = example.trial.small, example.trial.ways
        mine = made(model, small)
        runs = [run(small, mine, way) for way in ways]
        its = [run_twin(small, mine, way, r.steps, Soft(mine)) for way, r in zip(ways, runs)]
        assert [r.net for r in its] == [r.net for r in runs]
        assert [r.p for r in its] == [r.p for r in runs]
        if law == "confluent":
            assert its[0].net != its[1].net
        if law == "signed":
            assert min(sign for *_, sign in its[0].spikes) == -1
        if law == "conserves":
            (ran,) = runs
            q = mine.q
            sums = [small.start * q // 8 + h - q * s for h, s in zip(ran.heard, its[0].net)]
            assert sums != its[0].p


def test_another_seed_draws_other_networks():
    one, other, again = (
        verify(Hopeful, quiet=True, compiled=False, networks=20, seed=n) for n in (0, 1, 1)
    )
    assert one.broken.keys() == other.broken.keys()
    assert str(again) == str(other)
    assert repr(other) == "<Verified Hopeful: confluent of 9 laws: not as declared (seed 1)>"


def test_what_is_no_model_is_refused_in_a_line():
    class Both(Right):
        __slots__ = ()
        reset = "zero"

    for neuron, words in (
        ("lfi", "lif"),
        (3, "a model"),
        (int, "a NamedTuple of constants"),
        (Both, "declarations that agree"),
    ):
        with pytest.raises(eventsnn.InputError, match=words) as caught:
            verify(neuron)
        assert str(caught.value).isprintable()
    with pytest.raises(eventsnn.InputError, match="networks"):
        verify("if", networks=0)


def test_every_law_has_a_model_that_breaks_it():
    broken = {law for laws, _ in WRONG.values() for law in laws.split()}
    assert broken | {"clocked", "compiled"} == {law.name for law in LAWS}


# --- why there are no loops ---------------------------------------------------------------------


def test_one_recurrent_connection_breaks_confluence():
    """Neuron 0 excites 1; with 1 exciting 0 in turn, what 0 began stays when its cause is gone.

    In the twin alone: networks have no loops. Neuron 0 hears 8 and -8, in two orders.
    """
    layers = [twin.Layer("a", 2, 8), twin.Layer("readout", 1, 8)]
    counts = {}
    for loop in (False, True):
        mask = [[False, loop], [True, False]]
        net = twin.Net(layers, [twin.Projection(0, 0, [[0, 8], [8, 0]], mask)], [])
        counts[loop] = []
        for charges in ((8, -8), (-8, 8)):
            drive = [[[charge, 0], None] for charge in charges]
            models = [twin.STBIF(1), twin.IF()]
            done = twin.run_async(net, drive, [[0, 0], [0]], 2, models, twin.fifo)
            assert done.under_way == 0
            counts[loop].append(done.memory[0])
    assert counts == {False: [[0, 0], [0, 0]], True: [[1, 1], [0, 0]]}


def test_networks_have_no_loops(tmp_path):
    nodes = [
        eventsnn.Node("f", "Flatten", ("input",)),
        eventsnn.Node("s", "Add", ("f", "a")),
        eventsnn.Node("a", "ClippedRelu", ("s",), {"lambda": 1.0}),
    ]
    with pytest.raises(eventsnn.InputError, match="the cycle s -> a -> s"):
        eventsnn.convert(eventsnn.Graph(tuple(nodes), "input", "a", (1, 1, 1)))
