"""What is refused of models, orders and encodings, in one line, before anything is compiled."""

import numpy as np
import pytest
from eventsnn.encoding import InputSpikes, Shares
from support.dynamic import Soft
from support.networks import quantised_graph, random_graph, random_pixels
from support.orders import Placed
from support.ways import FEW_BITS

import eventsnn
from eventsnn import InputError, convert, neurons, simulate
from eventsnn.neurons import MODELS, Setting, made
from eventsnn.neurons.check import check_class
from eventsnn.simulation.time import ORDERS


class Plain(Soft):
    """Integrate-and-fire, with all that it declares kept."""

    __slots__ = ()
    holds = True


class Network:
    """Nothing that these models ask for."""


def setting(q=None):
    return Setting(np.int64(2**20) if q is None else q, Network(), 8, 0)


def static(function):
    return staticmethod(function)


def changed(**changes):
    changes = {"__slots__": (), **changes}
    return type("Changed", (Plain,), changes)


def without(name):
    """Plain's class without one attribute."""
    fields = {key: value for key, value in vars(Soft).items() if not key.startswith("__")}
    fields |= {"holds": True, "__slots__": ()}
    del fields[name]
    return type("Changed", (Soft.__mro__[1],), fields)


@pytest.mark.parametrize(
    "name", ["words", "conserves", "confluent", "holds", "signed", "reset", "emit", "settle"]
)
def test_a_model_that_lacks_a_field_is_named(name):
    with pytest.raises(InputError, match=rf"neuron 'Changed': expected .*{name}.*, found none"):
        made(without(name), setting())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"emit": static(lambda neuron, layer, v, s: 0)}, r"emit\(neuron, layer, v, s\)"),
        ({"settle": static(lambda neuron, p: p)}, r"settle\(neuron, p, n\).*found settle"),
        ({"emit": lambda self, layer, p, s: 0}, "one that is not static"),
        ({"band": None}, r"a method band\(\)"),
        ({"conserves": 1}, "conserves: True or False"),
        ({"reset": "half"}, "reset: one of subtract, zero, none"),
        ({"stages": 3}, "stages: 1 or 2"),
    ],
)
def test_a_model_of_another_form_is_refused(changes, match):
    with pytest.raises(InputError, match=match):
        made(changed(**changes), setting())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"settle": static(lambda neuron, p, n: p // 2)}, "as it subtracts"),
        ({"settle": static(lambda neuron, p, n: p - neuron.theta // 2)}, "as it subtracts"),
        ({"confluent": True}, "confluent counts"),
        (
            {
                "emit": static(
                    lambda neuron, layer, p, s: (
                        1 if p >= neuron.theta else -1 if p < -neuron.theta else 0
                    )
                )
            },
            "no spike inside band|no negative spikes",
        ),
        ({"band": lambda self: (None, 4 * self.theta)}, "no spike inside band"),
        ({"emit": static(lambda neuron, layer, p, s: max(0, p // neuron.theta))}, "at most 1"),
        (
            {"emit": static(lambda neuron, layer, p, s: 0.5 if p >= neuron.theta else 0)},
            "a whole number of spikes",
        ),
        (
            {
                "emit": static(lambda neuron, layer, p, s: 1 if p >= neuron.theta else 0),
                "settle": static(lambda neuron, p, n: p),
                "conserves": False,
                "reset": "none",
            },
            "comes to rest",
        ),
        ({"tie": static(lambda neuron, layer, p, s: 2)}, "tie: true or false"),
        ({"emit": static(lambda neuron, layer, p, s: p / 0)}, "ZeroDivisionError"),
        ({"reset": "zero", "conserves": False}, "one number, as it resets to zero"),
        ({"reset": "zero"}, "declarations that agree"),
        ({"decay": lambda self: (0.5,)}, "conserves, with a leak"),
        ({"decay": lambda self: (0.5,), "conserves": False}, "holds, with a leak"),
        ({"decay": lambda self: (0.5, 0.5), "conserves": False, "holds": False}, "nothing else"),
        ({"decay": lambda self: (0,), "conserves": False, "holds": False}, "leaks above 0"),
        ({"confluent": True, "conserves": False}, "confluent, and does not conserve"),
        (
            {"stages": 2, "decay": lambda self: (0.5,), "conserves": False, "holds": False},
            "two stages, with a leak",
        ),
        ({"own": ("a",), "most": static(lambda neuron: 3)}, "more than one spike at once"),
        ({"charge": static(lambda neuron, step: 0.5)}, "charge: whole numbers"),
    ],
)
def test_a_model_that_does_not_do_as_it_declares_is_refused(changes, match):
    with pytest.raises(InputError, match=match) as caught:
        made(changed(**changes), setting())
    assert "\n" not in str(caught.value)


def test_every_shipped_model_keeps_what_it_declares():
    network = convert(quantised_graph(np.random.default_rng(1)))
    for name in MODELS:
        for q in (np.int64(2**20), np.float64(1)):
            made(name, setting(q)._replace(network=network))


def test_it_is_refused_before_anything_is_compiled(monkeypatch):
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    network = convert(graph)
    monkeypatch.setattr("eventsnn.simulation.clocked.build", None)  # nothing gets that far
    for neuron in (changed(confluent=True), lambda q: q, lambda q: 1 / 0, 7, "gn:0"):
        with pytest.raises(InputError, match="neuron"):
            simulate(network, pixels, neuron=neuron)


def test_a_function_that_makes_a_model_still_does():
    model = made(lambda q: neurons.GN(q, 3), setting())
    assert model.members == 3
    assert made(neurons.GN(members=3), setting()) == model == made("gn:3", setting())


@pytest.mark.parametrize("neuron", ["if", "snm", neurons.IF(), neurons.LIF(leak=0.5)])
def test_members_of_other_models_have_no_effect_and_are_refused(neuron):
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    with pytest.raises(InputError, match="tau: expected group neurons"):
        simulate(convert(graph), random_pixels(rng, graph, 1), neuron=neuron, tau=3)


@pytest.mark.parametrize(
    "options",
    [
        {"jitter": "uniform:1"},
        {"engine": "event", "jitter": "uniform:1"},
        {"refractory": 1.0},
        {"order": "random"},
        {"srp_epsilon": 0.1},
        {"arithmetic": "float64", "fraction_bits": 12},
        {"encoding": "rate", "bias_once": True},
    ],
    ids=str,
)
def test_an_option_without_effect_is_refused_in_python(options):
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    with pytest.raises(InputError) as caught:
        simulate(convert(graph), random_pixels(rng, graph, 1), **options)
    assert "--" not in str(caught.value), "flags are for the command line"


# --- orders and encodings ----------------------------------------------------------------------


def order_of(place, halves=0):
    return type("Mine", (tuple,), {"_fields": (), "place": staticmethod(place), "halves": halves})


@pytest.mark.parametrize(
    ("order", "match"),
    [
        (order_of(lambda order, s: (0, 0)), r"place\(order, s\)"),
        (order_of(lambda order, spike: (-1, 0)), "the delay in ticks from 0"),
        (order_of(lambda order, spike: 3), "whole numbers"),
        (order_of(lambda order, spike: (0.5, 0)), "whole numbers"),
        (order_of(lambda order, spike: (0, 0), halves=7), "halves"),
        (order_of(lambda order, spike: spike.colour), "AttributeError"),
    ],
)
def test_an_order_of_another_form_is_refused(order, match):
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    with pytest.raises(InputError, match=match):
        simulate(convert(graph), random_pixels(rng, graph, 1), engine="event", order=order())
    with pytest.raises(InputError, match="order 'mine'"):
        eventsnn.register("order", "mine", 3)
    assert "mine" not in ORDERS


class Empty(Shares):
    """No shares at all."""


class Twice(Shares):
    def shares(self, steps):
        return np.full(steps, 2.0)


class TooMany(InputSpikes):
    def send(self, x, step, seed, image):
        return np.full(x.shape, 2)


class Halves(InputSpikes):
    def send(self, x, step, seed, image):
        return 0.5 * x


class Latency(InputSpikes):
    """One spike for each input: the larger, the sooner."""

    words = "latency: one spike, the larger the sooner"

    def send(self, x, step, seed, image):
        return ((np.ceil((1 - np.abs(x)) * 4) + 1 == step) * np.sign(x)).astype(int)


def test_encodings_of_another_form_are_refused():
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    pixels, network = random_pixels(rng, graph, 1), convert(graph)
    for encoding, match in (
        (Empty(), r"a method shares\(steps\)"),
        (Twice(), "shares that add up to 4"),
        (TooMany(), "at most 1 spikes a step"),
        (Halves(), "whole numbers of shape"),
        (3, "encoding"),
        (type("Torn", (Twice,), {"spiking": True})(), "spiking as its base has it"),
    ):
        with pytest.raises(InputError, match=match):
            simulate(network, pixels, steps=4, encoding=encoding)
    with pytest.raises(InputError, match="a subclass of"):
        eventsnn.register("encoding", "mine", dict)


def test_an_encoding_of_spikes_runs_in_both_engines():
    rng = np.random.default_rng(1)
    graph = random_graph(rng)
    pixels, network = random_pixels(rng, graph, 2), convert(graph)
    one = simulate(network, pixels, steps=5, encoding=Latency())
    other = simulate(network, pixels, steps=5, encoding=Latency(), engine="event", order="clocked")
    assert np.array_equal(one.batch.readout, other.batch.readout) and one.spikes.sum() > 0


def test_classes_are_checked_by_name():
    check_class("plain", Plain)
    with pytest.raises(InputError, match="neuron 'list': expected a NamedTuple"):
        check_class("list", list)


def test_st_bif_hears_the_image_once_unless_somebody_insists(capsys, tmp_path):
    from eventsnn.run import main

    rng = np.random.default_rng(0)
    graph = quantised_graph(rng)
    pixels, network = random_pixels(rng, graph, 2), convert(graph)
    even = simulate(network, pixels, steps=30, neuron="st-bif", encoding="even")
    found = simulate(network, pixels, steps=30, neuron="st-bif")
    assert np.array_equal(found.batch.readout, even.batch.readout)
    assert found.simulation.encoding.kind == "even"
    for encoding in ("constant", "rate"):
        with pytest.raises(InputError, match="encoding: expected encoding='even'"):
            simulate(network, pixels, neuron="st-bif", encoding=encoding)
    given = ["--neuron", "st-bif", "--out", str(tmp_path / "r")]
    capsys.readouterr()  # kernels may have been compiled, which is said
    assert main([*given, "--encoding", "constant"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--encoding: expected --encoding even" in line


def test_an_order_that_delivers_some_spikes_too_early_is_refused():
    """No trial meets every spike, so the kernel looks, too."""
    graph = random_graph(np.random.default_rng(7))
    pixels = random_pixels(np.random.default_rng(7), graph, 1)
    with pytest.raises(InputError, match="expected delays of 0 ticks or more.*in step"):
        simulate(
            convert(graph),
            pixels,
            steps=4,
            engine="event",
            order=Placed(early=1),
            fraction_bits=FEW_BITS,
        )


def plain_helper(x):
    return x


def test_what_numba_cannot_compile_is_told_in_a_line():
    def emit(neuron, layer, p, s):
        return plain_helper(1) if p >= neuron.theta else 0

    graph = random_graph(np.random.default_rng(7))
    pixels = random_pixels(np.random.default_rng(7), graph, 1)
    with pytest.raises(InputError, match="plain_helper.*put @numba.njit before") as caught:
        simulate(convert(graph), pixels, steps=2, neuron=changed(emit=static(emit)))
    assert len(str(caught.value).splitlines()) == 1
