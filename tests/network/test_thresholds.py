"""Thresholds from rules, given ones, those of functions: what comes of them, what is refused."""

import numpy as np
import pytest
from support.networks import Builder, random_graph, random_pixels, small_graph

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.network import check, rules, thresholds
from eventsnn.network.rules import BUILT_IN, RULES, Rule
from eventsnn.network.thresholds import choose_thresholds


def graph_of(op="Relu"):
    """Two activations: "first" of maps, "last" of a flat vector."""
    b = Builder(np.random.default_rng(3), (2, 5, 5))
    x = b.activation(b.conv("input", 3), op)
    return b.graph(b.gemm(b.activation(b.gemm(b.add("Flatten", [x]), 6), op)))


GRAPH = graph_of()
MAPS, FLAT = (node.name for node in GRAPH.activations)
PIXELS = random_pixels(np.random.default_rng(4), GRAPH, 7)
SHAPES = {name: GRAPH.shapes[name] for name in (MAPS, FLAT)}


@pytest.fixture
def rule():
    """Adds rules for a test: function of (name, Rule)."""
    added = []

    def add(name, thing):
        RULES.add(name, thing)
        added.append(name)

    yield add
    for name in added:
        RULES.remove(name)


def same(one, other):
    """Two networks are equal to the bit."""
    assert [x.name for x in one.layers] == [x.name for x in other.layers]
    for a, b in zip(one.layers, other.layers):
        assert type(a.theta) is type(b.theta)
        assert np.array_equal(a.theta, b.theta) and np.array_equal(a.bias, b.bias)
    for a, b in zip(one.projections, other.projections):
        assert (a.source, a.target) == (b.source, b.target)
        assert np.array_equal(a.map.blocks, b.map.blocks)


def half(layer, activations):
    return activations.max() / 2


def refused(match, given, graph=GRAPH, **options):
    """The one line with which thresholds are refused."""
    with pytest.raises(InputError, match=match) as caught:
        convert(graph, thresholds=given, calibration=PIXELS, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    return str(caught.value)


@pytest.mark.parametrize("name", ["max", "percentile", "dni"])
@pytest.mark.parametrize("seed", range(4))
def test_given_numbers_make_the_network_of_the_rule_that_found_them(name, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 9)
    thetas = choose_thresholds(graph, name, pixels=pixels)
    found = convert(graph, thresholds=name, calibration=pixels)
    given = convert(graph, thresholds=thetas)
    same(given, found)
    same(convert(graph, thresholds=lambda layer, _: thetas[layer], calibration=pixels), found)
    assert given.thresholds == "given"
    assert check.deviation(given, pixels)[0] < 1e-12


def test_own_parameters_may_be_given():
    graph = small_graph()
    thetas = {node.name: node.attrs["lambda"] for node in graph.activations}
    same(convert(graph, thresholds=thetas), convert(graph))


def test_numbers_of_many_kinds_are_taken():
    one = np.full(SHAPES[MAPS], 2.0)
    flat = [1 + i for i in range(6)]
    for maps in (one, one.astype(np.float32), one.astype(np.int8), one.tolist(), np.asarray(2)):
        for number in (1, 1.0, np.float32(1), np.ones((), np.int64)):
            thetas = choose_thresholds(GRAPH, {MAPS: maps, FLAT: number})
            assert np.all(thetas[MAPS] == 2) and thetas[FLAT] == 1.0
            assert type(thetas[FLAT]) is float
    thetas = choose_thresholds(GRAPH, {FLAT: flat, MAPS: one})
    assert list(thetas) == [MAPS, FLAT]
    assert thetas[FLAT].tolist() == flat and thetas[FLAT].dtype == np.float64
    assert thetas[MAPS] is not one, "what the user changes later changes nothing"


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1)])
def test_a_vector_gives_each_channel_its_threshold(shape):
    channels = np.array([1.0, 2.0, 3.0])
    given = convert(GRAPH, thresholds={MAPS: channels.reshape(shape), FLAT: 1})
    full = np.broadcast_to(channels[:, None, None], SHAPES[MAPS])
    same(given, convert(GRAPH, thresholds={MAPS: full, FLAT: 1}))
    assert (given.layers[0].theta == channels).all()


def test_a_function_sees_the_activations_on_all_calibration_images_once():
    seen = {}

    def most(layer, activations):
        assert layer not in seen
        seen[layer] = activations
        return activations.max(axis=0) + 1

    network = convert(GRAPH, thresholds=most, calibration=PIXELS)
    x = GRAPH.preprocessing(PIXELS)
    values = ann.forward(GRAPH, x, keep=(MAPS, FLAT))
    assert list(seen) == [MAPS, FLAT] and network.thresholds == "function most"
    for name, activations in seen.items():
        assert activations.dtype == np.float32
        assert np.array_equal(activations, values[name])
    assert np.array_equal(network.layers[1].theta[0], values[FLAT].max(axis=0) + 1)


@pytest.mark.parametrize("held", [1, 7 * 30, 2**27])
def test_layers_are_held_one_by_one_where_they_are_large(monkeypatch, held):
    monkeypatch.setattr(thresholds, "HELD", held)
    monkeypatch.setattr(thresholds, "CHUNK", 2 * 27)
    whole = convert(GRAPH, thresholds=lambda _, a: float(a.max()), calibration=PIXELS)
    same(whole, convert(GRAPH, thresholds="max", calibration=PIXELS))


def test_a_function_needs_calibration_images():
    assert thresholds.needs_calibration(GRAPH, half)
    assert not thresholds.needs_calibration(GRAPH, {MAPS: 1, FLAT: 1})
    for nothing in (None, PIXELS[:0]):
        with pytest.raises(InputError, match="calibration: expected .*images"):
            convert(GRAPH, thresholds=half, calibration=nothing)


def test_an_output_that_fires_has_a_threshold_to_give():
    given = {MAPS: 1, FLAT: 2}
    fires = f"{GRAPH.output}:fires"
    assert fires in refused("none for", given, readout="fires")
    assert convert(GRAPH, thresholds={**given, fires: 3}, readout="fires").layers[2].theta == 3


# --- what is refused ---------------------------------------------------------------------------


def test_layers_are_named_exactly():
    line = refused("thresholds: expected layers among", {MAPS: 1, FLAT + "x": 1})
    assert f"found '{FLAT}x'; did you mean '{FLAT}'?" in line and MAPS in line
    assert "a threshold for each" in refused("'conv'|'zzz'", {MAPS: 1, FLAT: 1, "zzz": 1})
    assert f"found none for {FLAT};" in refused("every layer", {MAPS: 1})
    assert f"{MAPS}, {FLAT}" in refused("every layer", {})
    refused("found 3", {3: 1.0})
    refused("pool", {"pool": 1, MAPS: 1, FLAT: 1})


NONSENSE = [
    (0, "above 0, found 0;"),
    (-1.5, "above 0, found -1.5"),
    (float("inf"), "to 3.4e[+]38, found inf"),
    (float("nan"), "above 0, found nan"),
    (1e-60, "from 1.18e-38 to 3.4e[+]38, found 1e-60"),
    (1e60, "found 1e[+]60"),
    ("1", "a number, or .* found str '1'"),
    (None, "found NoneType None"),
    (True, "found bool True"),
    (1j, "found complex"),
    (10**400, "found int 1000"),
    ({"a": 1}, "found dict"),
    ([1, [2, 3]], "found list"),
    ([1.0] * 5 + [True], "found list"),
    ([1.0] * 5 + [None], "found list"),
    ([1.0] * 5 + [0], r"above 0, found 0 at \[5\]"),
    ([1.0] * 4 + [float("nan"), -1], r"above 0, found nan at \[4\]"),
    ([1.0] * 5, r"an array of shape \[6\], found shape \[5\]"),
    ([[1.0] * 6], r"found shape \[1, 6\]"),
    (np.ones(6, bool), "found ndarray"),
    (np.array([]), r"found shape \[0\]"),
    (object(), "found object"),
]


@pytest.mark.parametrize("theta, words", NONSENSE, ids=[words for _, words in NONSENSE])
def test_thresholds_that_are_none(theta, words):
    line = refused(f"^thresholds: layer '{FLAT}': expected .*{words}", {MAPS: 1, FLAT: theta})
    assert "units of the activation" in line
    line = refused(
        f"^thresholds: layer '{FLAT}': expected .*{words}",
        lambda layer, activations: 1.0 if layer == MAPS else theta,
    )
    assert "this is what the function <lambda> gave" in line


def test_maps_say_which_shapes_they_take():
    shape = list(SHAPES[MAPS])
    for wrong in (np.ones(2), np.ones(shape[1:]), np.ones((1, *shape)), np.ones((9, 3))):
        line = refused("expected a number, or", {MAPS: wrong, FLAT: 1})
        assert f"{shape} or [3], found shape {list(wrong.shape)}" in line


def test_functions_that_fail_are_named_with_the_layer():
    def fails(layer, activations):
        if layer == FLAT:
            raise KeyError("no\nsuch")
        return 1

    line = refused(f"thresholds: layer '{FLAT}': expected a threshold from the function", fails)
    assert "the function fails, found KeyError: 'no\\nsuch'" in line
    assert "TypeError" in refused(f"layer '{MAPS}'", lambda: 1)

    def refuses(layer, activations):
        raise InputError("mine", "more", "less")

    assert "InputError: mine: expected more" in refused(f"layer '{MAPS}'", refuses)


@pytest.mark.parametrize("given", [None, 1.0, [1.0, 2.0], np.ones(2)], ids=str)
def test_what_is_no_way_to_find_thresholds(given):
    refused(r"^thresholds: expected a rule \(auto, max.*a mapping of layers or a function", given)


def test_an_unknown_rule_is_answered_with_all_that_there_are():
    refused("^thresholds: expected one of auto, max, percentile, tcl, qcfs, lsq, dni,", "best")


@pytest.mark.parametrize(
    "given, words",
    [
        ("max", "thresholds='max'"),
        ("dni", "thresholds='dni'"),
        (half, "thresholds from a function"),
        ({MAPS: 1, FLAT: 1}, "thresholds given as a mapping"),
    ],
    ids=["max", "dni", "function", "mapping"],
)
def test_options_without_effect_are_refused(given, words):
    expected = "^percentile: expected thresholds='auto' or thresholds='percentile', found "
    assert words in refused(expected, given, percentile=99.0)
    if given != "dni":
        assert words in refused("^dead: expected thresholds='dni', found", given, dead="silent")


def test_the_percentile_of_auto_is_refused_where_no_layer_needs_it():
    words = "percentile: expected thresholds='auto' or .*, found thresholds='auto', which here is "
    with pytest.raises(InputError, match=words):
        convert(small_graph(), percentile=50.0)


def test_a_preset_says_that_a_mapping_was_given():
    line = refused("compat 'snm-code'", {MAPS: 1, FLAT: 1}, compat="snm-code")
    assert "found a mapping" in line


# --- rules of one's own ------------------------------------------------------------------------


def test_a_rule_is_used_by_its_name(rule):
    rule("half", Rule("half of the largest activation", half, calibrated=True))
    network = convert(GRAPH, thresholds="half", calibration=PIXELS)
    same(network, convert(GRAPH, thresholds=half, calibration=PIXELS))
    assert network.thresholds == "half (half of the largest activation)"
    assert thresholds.needs_calibration(GRAPH, "half")
    with pytest.raises(
        InputError, match="auto, max, .*dni, slip, mse, spike-norm, local, half, found 'quarter'"
    ):
        convert(GRAPH, thresholds="quarter")


def test_a_rule_of_the_activations_own_parameters(rule):
    graph = small_graph()
    rule("twice", Rule("twice lambda", lambda node: 2 * node.attrs["lambda"]))
    network = convert(graph, thresholds="twice")
    assert [layer.theta for layer in network.spiking] == [
        2 * node.attrs["lambda"] for node in graph.activations
    ]
    assert not thresholds.needs_calibration(graph, "twice")
    line = refused(f"thresholds 'twice': layer '{MAPS}': expected a threshold", "twice")
    assert "KeyError: 'lambda'" in line


def test_a_rule_may_name_another_for_each_layer(rule):
    choice = Rule("dni for maps", lambda node: "dni" if node.name == MAPS else "percentile")
    rule("mixed", choice)
    network = convert(GRAPH, thresholds="mixed", calibration=PIXELS)
    assert network.thresholds == "dni, percentile 99.9"
    one, two = (choose_thresholds(GRAPH, name, pixels=PIXELS) for name in ("dni", "percentile"))
    assert np.array_equal(choose_thresholds(GRAPH, "mixed", pixels=PIXELS)[MAPS], one[MAPS])
    assert network.layers[1].theta == two[FLAT]
    rule("lost", Rule("lost", lambda node: "nowhere"))
    assert "'nowhere'" in refused(f"^thresholds 'lost': layer '{MAPS}': expected one of", "lost")
    rule("here", Rule("here", lambda node: "there"))
    rule("there", Rule("there", lambda node: "here"))
    refused("rules that name each other: here, there", "here")


def test_a_rule_takes_the_options_that_it_says(rule):
    def own(layer, activations, percentile, dead):
        return np.percentile(activations, percentile) * (2 if dead == "silent" else 1)

    words = "a percentile, or twice"
    rule("own", Rule(words, own, calibrated=True, uses=("percentile", "dead")))
    one = convert(GRAPH, thresholds="own", calibration=PIXELS, percentile=90.0)
    two = convert(GRAPH, thresholds="own", calibration=PIXELS, percentile=90.0, dead="silent")
    assert two.layers[0].theta == 2 * one.layers[0].theta
    assert one.thresholds == f"own 90 ({words})"


class Mean:
    """The largest mean of an image, some images at a time."""

    def __init__(self, shape, images):
        self.most = 0.0
        self.waiting = images

    def add(self, activations):
        self.waiting -= len(activations)
        self.most = max(self.most, *activations.reshape(len(activations), -1).mean(axis=1), 0)

    def theta(self):
        assert not self.waiting
        return self.most


def test_a_running_rule_sees_some_images_at_a_time(rule, monkeypatch):
    monkeypatch.setattr(thresholds, "CHUNK", 2 * 27)
    rule("mean", Rule("the largest mean", Mean, calibrated=True, running=True))
    network = convert(GRAPH, thresholds="mean", calibration=PIXELS)
    x = GRAPH.preprocessing(PIXELS)
    values = ann.forward(GRAPH, x, keep=(FLAT,))[FLAT]
    assert network.layers[1].theta == pytest.approx(values.mean(axis=1).max(), rel=1e-5)
    rule("none", Rule("no method", lambda shape, images: 3, calibrated=True, running=True))
    assert "'add'" in refused(f"thresholds 'none': layer '{MAPS}'", "none")


@pytest.mark.parametrize(
    "thing, words",
    [
        (half, "wrap the function: Rule"),
        (Rule("", half), "words that describe it"),
        (Rule("words", 3), "a function as theta, found 3"),
        (Rule("words", half, running=True), "calibrated=True"),
        (Rule("words", half, whole=True), "calibrated=True, since it is whole"),
        (Rule("words", half, True, True, whole=True), "running or whole, found both"),
        (Rule("words", half, uses=("tau",)), "uses among percentile, dead, steps, found 'tau'"),
    ],
    ids=["function", "words", "theta", "running", "whole", "both", "uses"],
)
def test_rules_that_cannot_be_used(thing, words):
    with pytest.raises(InputError, match="threshold rule 'mine'") as caught:
        RULES.add("mine", thing)
    assert words in str(caught.value) and "mine" not in RULES


def test_a_rule_of_another_place_cannot_take_a_name(rule):
    rule("mine", Rule("half", half, calibrated=True))
    RULES.add("mine", Rule("half again", half, calibrated=True))  # the cell runs again
    with pytest.raises(InputError, match="a name that is free, found that of .*half"):
        RULES.add("mine", Rule("mean", Mean, calibrated=True, running=True))
    with pytest.raises(InputError, match="eventsnn's own threshold rule"):
        RULES.add("max", Rule("half", half, calibrated=True))


def test_the_built_in_rules_come_first_and_in_their_order():
    assert list(RULES)[:7] == ["auto", "max", "percentile", "tcl", "qcfs", "lsq", "dni"]
    assert RULES.group == "eventsnn.threshold_rules"
    assert {option for r in BUILT_IN.values() for option in r.uses} == set(rules.OPTIONS)
