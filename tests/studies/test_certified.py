"""Intervals of spike counts hold in every order of arrival, are reached where they can be, and
certify no class that some order changes.
"""

from itertools import permutations, product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compare import by_layer, twin_drive, twin_net
from support.networks import (
    Builder,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
    skipping_graph,
    yolo_graph,
)
from support.ways import FEW_BITS

from eventsnn import InputError, convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.data.images import Images
from eventsnn.neurons import IF
from eventsnn.neurons.contract import emit, settle
from eventsnn.result import simulate
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import certified, intervals, to_readout
from eventsnn.studies.certified import certify

MODELS = {"if": {}, "snm": {}, "gn": dict(tau=3), "st-bif": {}}


def wild_graph(rng):
    """Three layers past which the first reaches, with weights of twice the size."""
    graph = skipping_graph(rng)
    for node in graph.nodes:
        if "W" in node.params:
            node.params["W"] *= 2
    return graph


GRAPHS = {
    "wild": wild_graph,
    "quantised": quantised_graph,
    "pooled": pooled_graph,
    "random": random_graph,
    "skipping": skipping_graph,
    "yolo": lambda rng: yolo_graph(rng, "QCFS"),
}
# numbers of 4 bits find what finer ones hide
pytestmark = pytest.mark.filterwarnings("ignore:.*rounding to fixed point, F = ")
ORDERS = ("fifo", "lifo", "index", "random", "excitatory_first", "inhibitory_first", "jitter")
MOST_EVENTS = 10**5


def network_of(seed, make, images=2, model="if"):
    rng = np.random.default_rng(seed)
    graph = GRAPHS[make](rng)
    for node in graph.activations if model == "st-bif" else ():
        if "levels" not in node.attrs:
            object.__setattr__(node, "op", "QCFS")
            node.attrs.clear()
            node.attrs.update({"lambda": 1.0, "levels": 3})
        node.attrs.setdefault("levels", 3)
    return convert(graph), random_pixels(rng, graph, images)


def names_of(network):
    return [layer.name for layer in network.spiking if not layer.pools]


def counts_of(network, values):
    """{layer's name: its columns} of [N, neurons]."""
    return dict(
        zip(
            [layer.name for layer in network.layers],
            np.split(values, np.cumsum([layer.size for layer in network.layers])[:-1], axis=1),
        )
    )


def ran(network, pixels, **time):
    """An event run, or None where firing multiplies without end."""
    try:
        # st-bif runs with constant input here, which people are kept from
        with mock.patch.object(Encoding, "check_model"):
            return simulate(
                network, pixels, engine="event", neurons=True, max_events=MOST_EVENTS, **time
            )
    except InputError as error:
        if "max_events" not in str(error):
            raise
        return None


# --- sound ---


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(list(GRAPHS)),
    st.sampled_from(list(MODELS)),
    st.sampled_from(["constant", "even", "rate"]),
    st.sampled_from([FEW_BITS, 4]),
    st.integers(1, 5),
    st.lists(st.sampled_from(ORDERS), min_size=2, max_size=3),
    st.sampled_from([0.5, 1.2]),
)
def test_every_count_is_in_its_interval_in_every_order(
    seed, make, model, encoding, bits, steps, orders, initial
):
    network, pixels = network_of(seed, make, 1, model)
    names = names_of(network)
    options = dict(
        steps=steps,
        neuron=model,
        encoding=encoding,
        fraction_bits=bits,
        initial=initial,
        seed=seed % 97,
        **MODELS[model],
    )
    if encoding == "even":
        options["encoding"] = ending(steps)
    found = certify(network, pixels, keep=names, **options)
    for order in orders:
        if (result := ran(network, pixels, order=order, **options)) is None:
            continue
        counts = counts_of(network, result.batch.counts)
        for name in names:
            fewest, most = (found.neurons[name][end][:, -1] for end in ("fewest", "most"))
            assert (
                not found.given_up.any()
                and (fewest <= counts[name]).all()
                and (counts[name] <= most).all()
            )
        classes = result.batch.readout.argmax(axis=2)
        assert ((found.classes == classes) | (found.classes == -1)).all()


def ending(steps):
    """Drive that ends before the run does, but in runs of one step."""
    return Encoding(kind="even", release=max(1, steps // 2))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("make", GRAPHS)
def test_delays_within_a_barrier_change_nothing(make, model):
    network, pixels = network_of(3, make, 2, model)
    found = certify(network, pixels, steps=3, neuron=model, keep=names_of(network), **MODELS[model])
    delays = [np.arange(layer.size) % 7 / 4 for layer in network.spiking]
    result = ran(
        network, pixels, steps=3, neuron=model, order="random", delays=delays, **MODELS[model]
    )
    for name, counts in counts_of(network, result.batch.counts).items():
        if name in found.neurons:
            fewest, most = (found.neurons[name][end][:, -1] for end in ("fewest", "most"))
            assert (fewest <= counts).all() and (counts <= most).all()


# --- one layer free, the others clocked: in plain Python ---


def arrivals(projections, sent, target, neuron):
    """The charge of each spike that arrives at a neuron; sent: layer -> [(neuron, sign)] of one
    step.
    """
    return [
        sign * int(p.weights[neuron, j])
        for p in projections
        if p.target == target
        for j, sign in sent.get(p.source, ())
        if p.mask[neuron, j]
    ]


def plain(neuron):
    """The same neuron in Python's whole numbers."""
    return type(neuron)(
        *(value.item() if isinstance(value, np.generic) else value for value in neuron)
    )


def hybrid(simulation, image, free, rng):
    """Net counts [T][layer][neuron] and readout [T] where layers `free` answer each arrival, in
    random order, and others once a step.
    """
    net = twin_net(simulation)
    drive = twin_drive(simulation, image)
    layers = simulation.network.layers
    v = [values.tolist() for values in by_layer(simulation, simulation.resting)]
    s, neuron = [[0] * layer.size for layer in layers], plain(simulation.neuron)
    counts, readouts = [], []

    def answer(i, j, charge, once, spikes):
        v[i][j] += charge
        while n := emit(neuron, i, v[i][j], s[i][j]):
            v[i][j], s[i][j] = settle(neuron, v[i][j], n), s[i][j] + n
            spikes += [(j, 1 if n > 0 else -1)] * abs(n)
            if once:
                return

    for k in range(simulation.steps):
        sent: dict = {}
        for i, layer in enumerate(layers):
            spikes: list = []
            for j in range(layer.size):
                if layer.pools:
                    (p,) = (p for p in net.projections if p.target == i)
                    chosen = min if j in net.layers[i].minima else max
                    n = chosen(s[p.source][x] for x in np.flatnonzero(p.mask[j])) - s[i][j]
                    s[i][j] += n
                    spikes += [(j, 1 if n > 0 else -1)] * abs(n)
                    continue
                first = 0 if drive[k][i] is None else int(drive[k][i][j])
                rest = arrivals(net.projections, sent, i, j)
                if layer.node is None:
                    v[i][j] += first + sum(rest)
                elif i in free:
                    answer(i, j, first, False, spikes)
                    for charge in rng.permutation(rest).tolist() if rest else ():
                        answer(i, j, charge, False, spikes)
                else:
                    answer(i, j, first + sum(rest), True, spikes)
            sent[i] = spikes
        counts.append([list(values) for values in s])
        readouts.append(list(v[-1]))
    return counts, readouts


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("make", ["wild", "quantised", "pooled", "skipping"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_layers_that_are_free_among_clocked_ones(make, model, seed):
    network, pixels = network_of(seed, make, 1, model)
    options = dict(steps=4, neuron=model, fraction_bits=[None, 4][seed % 2], **MODELS[model])
    simulation = Simulation(network, pixel_range=pixel_range(pixels), **options)
    names, rng = names_of(network), np.random.default_rng(seed)
    whole = certify(network, pixels, one_by_one=True, **options)
    for n, name in enumerate(names):
        for free, certain in (([name], whole.alone[n]), (names[: n + 1], whole.up_to[n])):
            found = certify(network, pixels, free=free, keep=names, **options)
            assert np.array_equal(found.classes >= 0, certain)
            assert [row["free"] for row in found.layers] == [each in free for each in names]
            numbers = {i for i, layer in enumerate(network.spiking) if layer.name in free}
            for _ in range(3):
                counts, readouts = hybrid(simulation, pixels[0], numbers, rng)
                for i, layer in enumerate(network.spiking):
                    if not layer.pools:
                        fewest, most = (
                            found.neurons[layer.name][end][0] for end in ("fewest", "most")
                        )
                        mine = np.array([step[i] for step in counts])
                        assert (fewest <= mine).all() and (mine <= most).all()
                classes = np.argmax(readouts, axis=1)
                assert ((found.classes[0] == classes) | (found.classes[0] == -1)).all()
    assert np.array_equal(whole.up_to[-1], whole.classes >= 0)


# --- exact where they can be ---


@pytest.mark.parametrize("encoding", ["constant", "even", "rate"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("make", GRAPHS)
def test_with_no_free_layer_it_is_the_clocked_run(make, model, encoding):
    network, pixels = network_of(5, make, 3, model)
    options = dict(steps=5, neuron=model, encoding=encoding, seed=4, **MODELS[model])
    if encoding == "even":
        options["encoding"] = ending(5)
    names = names_of(network)
    found = certify(network, pixels, free=[], keep=names, **options)
    with mock.patch.object(Encoding, "check_model"):
        result = network.run(pixels, neurons=True, **options)
    counts = counts_of(network, result.batch.counts)
    for row in found.layers:
        fewest, most = (found.neurons[row["layer"]][end][:, -1] for end in ("fewest", "most"))
        assert (
            np.array_equal(fewest, most)
            and np.array_equal(most, counts[row["layer"]])
            and (row["exact"], row["widest"]) == (1, 0)
        )
    assert np.array_equal(found.classes, result.batch.readout.argmax(axis=2)) and np.array_equal(
        found.classes, found.predicted
    )
    assert found.widens is None


@pytest.mark.parametrize("encoding", ["constant", "even"])
@pytest.mark.parametrize("make", GRAPHS)
def test_st_bif_is_certain_after_every_step(make, encoding):
    """At rest or not: within a barrier every step ends in the one state that its charges allow."""
    network, pixels = network_of(8, make, 3, "st-bif")
    for steps in (1, 2, 4):
        options = dict(
            steps=steps, neuron="st-bif", encoding=ending(steps) if encoding == "even" else encoding
        )
        found = certify(network, pixels, keep=names_of(network), **options)
        result = ran(network, pixels, order="inhibitory_first", **options)
        assert (found.classes >= 0).all() and all(
            (row["exact"], row["widest"]) == (1, 0) for row in found.layers
        )
        assert np.array_equal(found.classes, result.batch.readout.argmax(axis=2))
        counts = counts_of(network, result.batch.counts)
        assert all(
            np.array_equal(found.neurons[name]["fewest"][:, -1], counts[name])
            for name in found.neurons
        )


@pytest.mark.parametrize("encoding", ["constant", "rate"])
@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("model", ["if", "snm", "gn"])
def test_both_ends_are_reached_in_the_second_layer(model, bits, encoding):
    """The halves of the two extreme orders give every neuron of the second layer its fewest and its
    most spikes at once.

    With random spikes of the input, SNM takes spikes back in the first layer, too.
    """
    wide = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        b = Builder(rng, (2, 5, 5))
        first, op = b.activation(b.conv("input", 4, pads=[1, 1, 1, 1]), "QCFS"), "QCFS"
        second = b.activation(b.conv(first, 5, pads=[1, 1, 1, 1]), op)
        graph = b.graph(b.gemm(b.add("Flatten", [second], {"axis": 1})))
        network, pixels = convert(graph), random_pixels(rng, graph, 2)
        options = dict(
            steps=1 + 2 * seed, neuron=model, fraction_bits=bits, encoding=encoding, **MODELS[model]
        )
        found = certify(network, pixels, keep=[second], **options).neurons[second]
        for order, end in (("inhibitory_first", "fewest"), ("excitatory_first", "most")):
            counts = counts_of(network, ran(network, pixels, order=order, **options).batch.counts)[
                second
            ]
            assert np.array_equal(counts, found[end][:, -1])
        wide += (found["fewest"] != found["most"]).sum()
    assert wide > 100


def gemm(name, source, weights, bias):
    """A Gemm node; weights [targets, sources]."""
    return Node(
        name,
        "Gemm",
        (source,),
        {"transB": 1},
        {"B": np.array(weights, np.float32), "C": np.array(bias, np.float32)},
    )


def one_neuron(first, weights, bias=0.0):
    """Neurons driven by `first` charge a step each, and one behind them with these weights;
    thresholds 1.
    """
    clipped = {"lambda": 1.0, "levels": 8}
    nodes = (
        Node("flat", "Flatten", ("x",), {"axis": 1}),
        gemm("in", "flat", np.zeros((len(first), 1)), first),
        Node("sources", "QCFS", ("in",), clipped),
        gemm("between", "sources", [weights], [bias]),
        Node("one", "QCFS", ("between",), clipped),
        gemm("out", "one", [[1.0]], [0.0]),
    )
    return convert(Graph(nodes, "x", "out", (1, 1, 1)))


@pytest.mark.parametrize("model", ["if", "snm", "gn"])
def test_all_permutations_of_one_neuron(model):
    """Its fewest and most spikes after each step are those of the orders of arrivals inside steps,
    all tried.
    """
    rng, options = np.random.default_rng(0), dict(steps=2, neuron=model, fraction_bits=5)
    if model == "gn":
        options["tau"] = 2
    pixel, wide = np.zeros((1, 1, 1, 1), np.float32), 0
    for _ in range(12):
        network = one_neuron(
            rng.uniform(0.3, 1.4, 4) / (2 if model == "gn" else 1),
            rng.normal(0, 1, 4),
            rng.normal(0, 0.4),
        )
        found = certify(network, pixel, free=["one"], keep=["sources", "one"], **options)
        simulation = Simulation(network, pixel_range=(0, 0), **options)
        sources = found.neurons["sources"]["most"][0]
        (between,) = (p for p in twin_net(simulation).projections if p.target == 1)
        drive = int(by_layer(simulation, simulation.drive(pixel[0])[0])[1][0])
        p0 = by_layer(simulation, simulation.resting)[1].item()
        states, neuron = {(p0, 0)}, plain(simulation.neuron)
        for k in range(2):
            fired = np.diff(sources, axis=0, prepend=0)[k]
            charges = [int(w) for w, n in zip(between.weights[0], fired) for _ in range(n)]
            after = set()
            for (p, s), order in product(states, set(permutations(charges))):
                for charge in (drive, *order):
                    p += charge
                    while n := emit(neuron, 1, p, s):
                        p, s = settle(neuron, p, n), s + n
                after.add((p, s))
            states, ends = after, [f(s for _, s in after) for f in (min, max)]
            assert [found.neurons["one"][end][0, k, 0] for end in ("fewest", "most")] == ends
            wide += ends[0] < ends[1]
    assert wide > 3


# --- classes ---


@pytest.mark.parametrize("model", ["if", "snm"])
def test_a_class_is_certain_exactly_where_all_counts_of_the_last_layer_give_it(model):
    """Every corner of the last layer's intervals is tried; readouts tie often, and then the first
    class wins.
    """
    rng = np.random.default_rng(2)
    certain = 0
    open_ = 0
    ties = 0
    pixel, clipped = np.zeros((1, 1, 1, 1), np.float32), {"lambda": 1.0, "levels": 8}
    for _ in range(60):
        nodes = (
            Node("flat", "Flatten", ("x",), {"axis": 1}),
            gemm("in", "flat", np.zeros((4, 1)), rng.uniform(0.3, 1.2, 4)),
            Node("first", "QCFS", ("in",), clipped),
            gemm("between", "first", rng.normal(0, 1.2, (3, 4)), rng.normal(0, 0.3, 3)),
            Node("second", "QCFS", ("between",), clipped),
            gemm(
                "out",
                "second",
                rng.integers(-2, 3, (3, 3)),
                rng.integers(0, 2, 3) * rng.integers(0, 2),
            ),
        )
        network = convert(Graph(nodes, "x", "out", (1, 1, 1)))
        options = dict(steps=3, neuron=model, fraction_bits=6)
        found = certify(network, pixel, keep=["second"], **options)
        simulation = Simulation(network, pixel_range=(0, 0), **options)
        weights = next(p for p in twin_net(simulation).projections if p.target == 2).weights.astype(
            np.int64
        )
        drive = by_layer(simulation, simulation.drive(pixel[0])[0])[2].astype(np.int64)
        for k in range(3):
            ends = zip(*(found.neurons["second"][end][0, k].tolist() for end in ("fewest", "most")))
            readouts = [
                (k + 1) * drive + weights @ counts
                for counts in product(*(range(a, b + 1) for a, b in ends))
            ]
            classes = {int(r.argmax()) for r in readouts}
            ties += len(classes) == 1 and any((r == r.max()).sum() > 1 for r in readouts)
            assert found.classes[0, k] == (classes.pop() if len(classes) == 1 else -1)
            certain, open_ = certain + (found.classes[0, k] >= 0), open_ + (found.classes[0, k] < 0)
    assert certain > 20 and open_ > 10 and ties > 3


def test_what_is_too_wide_is_given_up(monkeypatch):
    network, pixels = network_of(0, "wild", 3)
    plain_one = certify(network, pixels, steps=4)
    widest = [row["widest"] for row in plain_one.layers]
    assert not plain_one.given_up.any() and max(widest) > 6
    monkeypatch.setattr(intervals, "LIMIT", 6)
    found = certify(network, pixels, steps=4, one_by_one=True)
    assert found.given_up.any() and (found.classes[found.given_up] == -1).all()
    assert (np.diff(found.given_up.astype(int), axis=1) >= 0).all() and max(
        row["widest"] for row in found.layers
    ) <= 6
    assert found.table()[-1]["given up"] == found.given_up[:, -1].mean() > 0
    assert not found.up_to[-1][found.given_up].any()
    monkeypatch.setattr(intervals, "LIMIT", 0)
    found = certify(network, pixels, steps=4, free=[])
    assert found.given_up[:, -1].all() and not (found.classes[:, -1] >= 0).any()


# --- what one gets ---


def test_what_is_said_of_an_image_that_was_given_up_depends_on_no_other(monkeypatch):
    monkeypatch.setattr(intervals, "LIMIT", 3)
    network, pixels = network_of(0, "wild", images=4)
    pixels[::2] *= 0.02  # so dark that little fires
    ends = (float(pixels.min()), float(pixels.max()))  # of all, whichever are run
    options = {"steps": 3, "one_by_one": True, "pixel_range": ends}
    whole = certified.certify(network, pixels, **options)
    alone = [certified.certify(network, pixels[i : i + 1], **options) for i in range(4)]
    lost = whole.given_up.all(axis=1)
    assert lost.any() and not lost.all()
    for k, row in enumerate(whole.layers):
        for name in ("mean width", "exact", "alone width"):
            mean = np.mean([each.layers[k][name] for each in alone])
            assert row[name] == pytest.approx(mean), (name, row["layer"])


def test_rows_and_words():
    network, pixels = network_of(6, "skipping", 4)
    labels = np.array([0, 1, 2, 1])
    images = Images("random", "test", 7 + np.arange(4), pixels, labels, (), (-1, 2))
    names = names_of(network)
    found = certify(network, images, steps=4, one_by_one=True, keep=names)
    assert [
        row["layer"] for row in found.layers
    ] == names and found.alone.shape == found.up_to.shape == (len(names), 4, 4)
    for row, alone, up_to in zip(found.layers, found.alone, found.up_to):
        width = (
            found.neurons[row["layer"]]["most"][:, -1]
            - found.neurons[row["layer"]]["fewest"][:, -1]
        )
        assert (row["mean width"], row["widest"], row["exact"]) == (
            width.mean(),
            width.max(),
            (width == 0).mean(),
        )
        assert (row["alone"], row["up to"]) == (alone[:, -1].mean(), up_to[:, -1].mean())
        assert (
            row["alone low"] <= row["alone"] <= row["alone high"]
            and row["neurons"] == width.shape[1]
        )
        single = certify(network, images, steps=4, free=[row["layer"]]).layers[
            names.index(row["layer"])
        ]
        assert row["alone width"] == single["mean width"]
    assert found.layers[0]["exact"] == 1 and found.widens == names[1]
    result = network.run(images, steps=4)
    for row in found.table():
        ours, k = found.classes[:, row["T"] - 1], row["T"]
        assert row["accuracy"] == result.accuracy(k) and row["certified"] == (ours >= 0).mean()
        assert row["certified and correct"] == (ours == labels).mean()
        assert row["same as run"] == (ours == result.predictions(k)).mean()
    assert f"counts hang on it from {names[1]}" in repr(found) and "<table>" in found._repr_html_()
    assert (
        "accuracy" not in certify(network, pixels, steps=2).table()[0]
        and certify(network, pixels, steps=2).alone is None
    )
    assert (
        certify(network, pixels, steps=2, labels=labels).table()[0]["accuracy"]
        == found.table()[0]["accuracy"]
    )


def test_the_run_beside_it_may_be_asynchronous():
    network, pixels = network_of(6, "quantised", 3)
    options = dict(steps=3, engine="event", order="random", seed=3)
    found, result = certify(network, pixels, **options), network.run(pixels, **options)
    assert np.array_equal(found.predicted, result.batch.readout.argmax(axis=2))


def test_images_are_taken_in_parts(monkeypatch):
    network, pixels = network_of(9, "quantised", 5)
    whole = certify(
        network, pixels, steps=3, one_by_one=True, encoding="rate", seed=2, keep=names_of(network)
    )
    monkeypatch.setattr(certified, "CHUNK", 1)
    parts = certify(
        network, pixels, steps=3, one_by_one=True, encoding="rate", seed=2, keep=names_of(network)
    )
    for name in ("predicted", "classes", "given_up", "alone", "up_to"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.layers == parts.layers
    assert all(
        np.array_equal(whole.neurons[n][e], parts.neurons[n][e])
        for n in whole.neurons
        for e in ("fewest", "most")
    )


def test_kept_intervals_as_a_dataset():
    pytest.importorskip("xarray")
    network, pixels = network_of(6, "quantised", 2)
    name = names_of(network)[-1]
    found = certify(network, pixels, steps=3, keep=[name])
    arrays = found.neurons_to_xarray(name)
    assert arrays.most.dims == ("image", "step", "neuron") and arrays.step.values.tolist() == [
        1,
        2,
        3,
    ]
    assert np.array_equal(arrays.fewest, found.neurons[name]["fewest"]) and np.array_equal(
        arrays.most, found.neurons[name]["most"]
    )


class Other(IF):
    """A neuron of one's own that declares less than it keeps."""

    conserves = False


def test_what_is_refused():
    network, pixels = network_of(6, "quantised", 2)
    for options, match in (
        (dict(neuron="if-hard"), "another reset"),
        (dict(srp=2), "SRP"),
        (dict(arithmetic="float64"), "fixed"),
        (dict(encoding="events"), "encoding"),
        (dict(engine="event", refractory=1.0), "refractory"),
        (dict(engine="event", window=0.5), "window"),
        (dict(engine="event", barrier=False, delays=0.5), "barrier"),
        (dict(free=["nobody"]), "nobody"),
        (dict(keep=["nobody"]), "nobody"),
        (dict(fraction_bits=40), "fit 64 bits"),
        (dict(neuron=Other), "Other"),
    ):
        with pytest.raises(InputError, match=match):
            certify(network, pixels, steps=3, **options)
    with pytest.raises(InputError, match="keep="):
        certify(network, pixels, steps=2).neurons_to_xarray(names_of(network)[0])


def test_a_readout_too_large_for_a_matrix_is_refused(monkeypatch):
    network, pixels = network_of(6, "quantised", 2)
    monkeypatch.setattr(to_readout, "MAX_DENSE", 5)
    with pytest.raises(InputError, match="matrix"):
        certify(network, pixels, steps=2)
