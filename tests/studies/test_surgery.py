"""Surgery on layers: recorded spikes given back change nothing, replaced ones do what they do in
the naive twin; costs add up.
"""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.models import models_of
from support.networks import (
    mobile_graph,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
)

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, Node
from eventsnn.result import Simulation
from eventsnn.statistics import wilson
from eventsnn.studies import errors, replacing, setting, surgery
from eventsnn.studies.equivalence import arrived as arrived_at
from eventsnn.studies.equivalence import staircases
from eventsnn.studies.trains import with_train
from eventsnn.views.tables import text_table

MODELS = {
    "if": dict(steps=5),
    "if from 0.2": dict(steps=5, initial=0.2),
    "snm": dict(steps=7, neuron="snm"),
    "gn": dict(steps=4, neuron="gn", tau=3),
    "srp": dict(steps=5, srp=2),
    "rate": dict(steps=6, encoding="rate", seed=3),
    "st-bif": dict(steps=12, neuron="st-bif", encoding="even"),
}


def network_of(seed, make=quantised_graph, images=2):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph, images)


def targets_of(network):
    return {layer.name: i for i, layer in enumerate(network.spiking) if not layer.pools}


# --- the engine: layers whose spikes are given ---


@example(seed=373, model="hard reset", make=quantised_graph)  # joins flat vectors: 38 GiB once
@given(
    seed=st.integers(0, 10**6),
    model=st.sampled_from([*MODELS, "hard reset"]),
    make=st.sampled_from([quantised_graph, pooled_graph]),
)
@settings(max_examples=20, deadline=None)
def test_recorded_spikes_given_back_change_nothing(seed, model, make):
    network, pixels = network_of(seed, make, 1)
    options = MODELS.get(model, dict(steps=5, neuron="if-hard"))
    simulation = Simulation(network, pixel_range=pixel_range(pixels), **options)
    found = simulation.image(pixels[0])
    run, drive = found.run, found.drive
    for layer in range(len(network.layers)):
        again = simulation.engine.run(drive, mute=run.mute, given=layer, before=run)
        assert all(np.array_equal(one, other) for one, other in zip(run, again))
    for layer in targets_of(network).values():
        train = surgery.train_of(simulation, run, layer)
        assert np.array_equal(train.sum(axis=0), run.sent[network.columns(layer)])
        assert np.array_equal(abs(train).sum(axis=1), run.spikes[layer])
    result = surgery.replace_layers(
        network, pixels, targets_of(network), counts="own", times="kept", neurons=True, **options
    )
    assert np.array_equal(result.batch.readout[0], run.readout) and np.array_equal(
        result.batch.counts[0], run.sent
    )
    assert np.array_equal(result.spikes[0], run.spikes) and np.array_equal(
        result.operations[0], run.operations
    )
    assert np.array_equal(result.batch.ties[0], run.ties) and np.array_equal(
        result.batch.potentials[0], run.v
    )


def test_ties_of_given_layers_stay():
    nodes = (
        Node(
            "y", "Conv", ("x",), {"kernel_shape": [1, 1]}, {"W": np.ones((1, 1, 1, 1), np.float32)}
        ),
        Node("a", "QCFS", ("y",), {"lambda": 1.0, "levels": 4}),
        Node(
            "out",
            "Conv",
            ("a",),
            {"kernel_shape": [1, 1]},
            {"W": np.ones((1, 1, 1, 1), np.float32)},
        ),
    )
    network = convert(Graph(nodes, "x", "out", (1, 1, 1), source="one neuron"))
    pixels = np.full((1, 1, 1, 1), 0.5, np.float32)
    found = surgery.replace_layers(network, pixels, ["a"], steps=4)
    assert found.batch.ties.tolist() == network.run(pixels, steps=4).batch.ties.tolist() == [[2, 0]]


# --- the naive way ---


class Relay:
    """A twin's neuron that fires just what it is charged with: drive prescribes its spikes."""

    def quantum(self, theta):
        return 1

    def ties(self, p, S, theta):
        return False

    def fire(self, p, S, theta):
        return [(1 if p > 0 else -1, member) for member in range(1, abs(p) + 1)], 0


def naive_hash(*numbers):
    """splitmix64 chained over whole numbers."""
    h = 0
    for number in numbers:
        h = twin.splitmix64(h ^ number)
    return h


def naive_train(own, count, times, most, drawn=(0, 0, 0, 0)):
    """The spikes of one neuron in each step, moved one by one; drawn: (seed, image, layer,
    neuron).
    """
    steps, train = len(own), list(own)
    if times == "shuffled":
        kept = naive_train(own, count, "kept", most)
        order = sorted((naive_hash(*drawn, t), t) for t in range(1, steps + 1))
        return [kept[t - 1] for _, t in order]
    if times == "kept":
        while sum(train) > count:
            train[max(t for t in range(steps) if train[t] > 0)] -= 1
        while sum(train) < count:
            taken_back = [t for t in range(steps) if train[t] < 0]
            train[max(taken_back or [t for t in range(steps) if train[t] < most])] += 1
        return train
    train = [0] * steps
    for k in range(1, count + 1):
        if times == "first":
            train[(k - 1) // most] += 1
        else:
            train[
                min(
                    t
                    for t in range(steps)
                    if Fraction(count * (t + 1), steps) + Fraction(1, 2) >= k
                )
            ] += 1
    return train


def naive(simulation, image, plan, mask, number=0):
    """The twin's Outcome where layers are replaced one after the other; plan: [(layer, counts,
    times)].
    """
    steps, one = simulation.steps, simulation.arithmetic.one.item()
    drive = [
        [None if row is None else [int(x) for x in row] for row in rows]
        for rows in twin_drive(simulation, image, number)
    ]
    net, start = twin_net(simulation), twin_start(simulation)
    models = models_of(simulation)
    models = list(models) if isinstance(models, list) else [models] * len(net.layers)
    ann_counts = by_layer(simulation, ann_of(simulation, image, number)[0])
    most = getattr(simulation.neuron, "members", 1)

    def run():
        return twin.run_clocked(net, drive, start, steps, models, mask=mask)

    outcome = run()
    for layer, counts, times in plan:
        own = list(zip(*outcome.counts[layer]))
        top = int(simulation.quanta[layer]) * (steps if simulation.encoding.divides else 1)
        ideal = [
            min(max((v + x) // one, 0), top) for v, x in zip(start[layer], outcome.arrived[layer])
        ]
        wanted = {"own": map(sum, own), "ideal": ideal, "ann": ann_counts[layer].tolist()}[counts]
        trains = [
            naive_train(spikes, count, times, most, (simulation.seed, number, layer, neuron))
            for neuron, (spikes, count) in enumerate(zip(own, wanted))
        ]
        models[layer] = Relay()
        start[layer] = [0] * len(trains)
        mask[layer] = [True] * len(trains)
        net.projections = [p for p in net.projections if p.target != layer]
        for step in range(steps):
            drive[step][layer] = [spikes[step] for spikes in trains]
        outcome = run()
    return outcome


def ann_of(simulation, image, number=0):
    """(counts, readout) of the ANN with L := T, for one image, in the simulation's numbers: every
    neuron starts from half a spike.
    """
    half = np.repeat(
        [
            simulation.arithmetic.one.item() // 2 if layer.node else 0
            for layer in simulation.network.layers
        ],
        [layer.size for layer in simulation.network.layers],
    )
    tops = [setting.top_of(simulation, i) for i in range(len(simulation.network.layers))]
    counts, readout = staircases(
        simulation, (setting.all_drive(simulation, image, number) + half)[None], tops
    )
    return counts[0], readout[0]


def mask_of(simulation, image, number=0):
    """Which neurons may send: the network's own SRP mask, by layer."""
    return [
        (mute == 0).tolist()
        for mute in by_layer(simulation, simulation.image(image, number).run.mute)
    ]


@pytest.mark.parametrize("times", surgery.TIMES)
@pytest.mark.parametrize("counts", surgery.COUNTS)
@pytest.mark.parametrize("model", MODELS)
def test_replaced_layers_do_what_they_do_in_the_twin(model, counts, times):
    for seed, make in ((5, pooled_graph), (6, quantised_graph), (7, random_graph)):
        if model == "st-bif" and make is random_graph:
            continue
        network, pixels = network_of(seed, make)
        names = list(targets_of(network))
        chosen = names[:1] + names[2:] if seed % 2 else names[-1:]
        result = surgery.replace_layers(
            network, pixels, chosen, counts=counts, times=times, neurons=True, **MODELS[model]
        )
        for n, image in enumerate(pixels):
            plan = [(targets_of(network)[name], counts, times) for name in chosen]
            outcome = naive(result.simulation, image, plan, mask_of(result.simulation, image, n), n)
            assert result.batch.readout[n].tolist() == [list(charge) for charge in outcome.readout]
            for layer, sent in enumerate(by_layer(result.simulation, result.batch.counts[n])[:-1]):
                assert sent.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])]
            expected = [[sum(map(abs, step)) for step in layer] for layer in outcome.counts]
            assert [[int(x) for x in steps] for steps in result.spikes[n][:-1]] == expected[:-1]
            others = [
                i for i in range(len(network.layers)) if i not in {layer for layer, _, _ in plan}
            ]
            assert result.operations[n, others].sum() == outcome.synaptic_operations


def test_spikes_that_were_added_may_be_followed_by_negative_ones():
    """A replaced layer's last spike of all can be negative; the charge that arrives behind it is
    what its spikes are worth.
    """
    network, pixels = network_of(72, images=1)
    simulation = Simulation(network, steps=7, neuron="snm", pixel_range=(-1, 2))
    found = simulation.image(pixels[0])
    run, drive = found.run, found.drive
    for layer in targets_of(network).values():
        train = surgery.train_of(simulation, run, layer)
        train[:, -1], train[:, 0] = [1, 0, 0, 0, 0, 0, -1], 1
        before = with_train(simulation, run, layer, train)
        again = simulation.engine.run(drive, mute=before.mute, given=layer + 1, before=before)
        for i in range(layer + 1, len(network.layers)):
            here = network.columns(i)
            arrived = (
                setting.all_drive(simulation, pixels[0], 0)[here]
                + arrived_at(simulation, i, again.sent[None])[0]
            )
            kept = again.v[here] + simulation.arithmetic.one.item() * again.s[here].astype(np.int64)
            assert np.array_equal(kept, simulation.resting[here] + arrived), (layer, i)


# --- counts ---


@pytest.mark.parametrize("times", ["even", "first"])
@pytest.mark.parametrize("make", [pooled_graph, mobile_graph])
@pytest.mark.parametrize("model", [*MODELS, "hard reset"])
def test_all_layers_ideal_are_the_staircases(model, make, times):
    if model == "st-bif" and make is mobile_graph:
        make = quantised_graph
    network, pixels = network_of(8, make)
    options = MODELS.get(model, dict(steps=5, neuron="if-hard", initial=0.3))
    found = surgery.replace_layers(
        network, pixels, targets_of(network), counts="ideal", times=times, neurons=True, **options
    )
    simulation = found.simulation
    tops = [setting.top_of(simulation, i) for i in range(len(network.layers))]
    totals = simulation.resting + np.stack(
        [setting.all_drive(simulation, image, n) for n, image in enumerate(pixels)]
    )
    counts, readout = staircases(simulation, totals, tops)
    assert np.array_equal(found.batch.counts, counts) and np.array_equal(
        found.batch.readout[:, -1], readout
    )
    found = surgery.replace_layers(
        network, pixels, targets_of(network), counts="ann", times=times, neurons=True, **options
    )
    for n, image in enumerate(pixels):
        counts, readout = ann_of(simulation, image, n)
        assert np.array_equal(found.batch.counts[n], counts) and np.array_equal(
            found.batch.readout[n, -1], readout
        )


def test_with_as_many_levels_as_steps_the_last_layer_makes_it_the_ann():
    network, pixels = network_of(10, pooled_graph, 6)
    for node in network.graph.activations:
        node.attrs["levels"] = 4
    outputs = ann.predict(network.graph, pixels)
    for counts in ("ideal", "ann"):
        found = surgery.costs(
            network, pixels, steps=4, counts=counts, labels=outputs.argmax(axis=1)
        )
        assert (
            found.layers[-1]["times hits"] == found.ann["hits"] == 6
            and found.layers[-1]["times square"] < 1e-10
        )
        assert found.snn["square"] > 1e-3 and found.ann["square"] == 0
    assert found.layers[-1]["alone counts square"] < 1e-10, (
        "the ANN's last layer alone is the ANN's output, too"
    )


def test_wrong_alone_is_the_unevenness_error():
    network, pixels = network_of(31, images=20)
    found = surgery.costs(network, pixels, steps=6, labels=np.zeros(20, int))
    rows = errors.cases(network, pixels, steps=6).layers
    assert [100 * row["alone wrong"] for row in found.layers] == pytest.approx(
        [row["I"] for row in rows]
    ) and rows[1]["I"] > 0
    found = surgery.costs(network, pixels, steps=6, labels=np.zeros(20, int), counts="ann")
    assert [100 * row["alone wrong"] for row in found.layers] == pytest.approx(
        [row["II"] for row in rows]
    )


# --- times ---


@pytest.mark.parametrize(
    ("own", "count", "times", "most", "expected"),
    [
        ([1, 0, 1, 0, 1], 3, "kept", 1, [1, 0, 1, 0, 1]),
        ([1, 0, 1, 0, 1], 1, "kept", 1, [1, 0, 0, 0, 0]),
        ([0, 1, 0, 0, 0], 3, "kept", 1, [0, 1, 0, 1, 1]),
        ([1, 0, 1, 0, 1], 5, "kept", 1, [1, 1, 1, 1, 1]),
        ([1, 0, 1, 0, 1], 0, "kept", 1, [0, 0, 0, 0, 0]),
        ([1, 1, -1, 1, -1], 2, "kept", 1, [1, 1, -1, 1, 0]),
        ([1, 1, -1, 1, -1], 4, "kept", 1, [1, 1, 0, 1, 1]),
        ([1, 1, -1, 1, -1], 0, "kept", 1, [1, 1, -1, 0, -1]),
        ([1, 1, -1, 0, 0], 0, "kept", 1, [1, 0, -1, 0, 0]),
        ([2, 0, 3, 1, 0], 3, "kept", 3, [2, 0, 1, 0, 0]),
        ([2, 0, 3, 1, 0], 10, "kept", 3, [2, 0, 3, 2, 3]),
        ([1, 1, 1, 0, 0], 0, "even", 1, [0, 0, 0, 0, 0]),
        ([1, 1, 1, 0, 0], 1, "even", 1, [0, 0, 1, 0, 0]),
        ([1, 1, 1, 0, 0], 2, "even", 1, [0, 1, 0, 1, 0]),
        ([1, 1, 1, 0, 0], 3, "even", 1, [1, 0, 1, 0, 1]),
        ([1, 1, 1, 0, 0], 5, "even", 1, [1, 1, 1, 1, 1]),
        ([0, 0], 1, "even", 1, [1, 0]),
        ([0, 0, 0, 0], 6, "even", 2, [2, 1, 2, 1]),
        ([0, 0, 0, 0, 1], 3, "first", 1, [1, 1, 1, 0, 0]),
        ([0, 0, 0, 0, 1], 0, "first", 1, [0, 0, 0, 0, 0]),
        ([0, 0, 0], 7, "first", 4, [4, 3, 0]),
        ([0, 0, 0], -2, "first", 1, [-1, -1, 0]),
        ([0, 0, 0, 0], -2, "even", 1, [0, -1, 0, -1]),
    ],
)
def test_times_by_hand(own, count, times, most, expected):
    own = np.array(own)[:, None]
    before = own.copy()
    assert surgery.timed(own, np.array([count]), times, most)[:, 0].tolist() == expected
    assert np.array_equal(own, before), "the recorded spikes stay"


@st.composite
def trains(draw):
    """(own spikes, a count, most): what an unsigned or signed neuron can have sent, never below 0
    net spikes.
    """
    most, steps = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    lowest, train = -draw(st.integers(0, most)), []
    for _ in range(steps):
        train.append(draw(st.integers(max(lowest, -sum(train)), most)))
    return train, draw(st.integers(0, most * steps)), most


@given(trains())
@settings(max_examples=300, deadline=None)
def test_times_are_those_of_spikes_moved_one_by_one(drawn):
    own, count, most = drawn
    for times in surgery.TIMES:
        train = surgery.timed(np.array(own)[:, None], np.array([count]), times, most)[:, 0].tolist()
        assert train == naive_train(own, count, times, most)
        assert sum(train) == count and max(train) <= most
        assert times == "shuffled" or min(np.cumsum(train)) >= 0
    assert (
        surgery.timed(np.array(own)[:, None], np.array([sum(own)]), "kept", most)[:, 0].tolist()
        == own
    )


def test_every_permutation_of_steps_is_as_likely():
    neurons = 12_000
    steps = np.repeat(np.arange(4)[:, None], neurons, axis=1)
    same = np.full(neurons, 6)
    found = surgery.timed(steps, same, "shuffled", 3, surgery.Drawn(seed=7, image=2, layer=1))
    seen = Counter(map(tuple, found.T.tolist()))
    assert sum((count - neurons / 24) ** 2 for count in seen.values()) / (neurons / 24) < 44.2
    assert len(seen) == 24, "44.2: chi-square of 23 degrees at 0.5 %"
    for other in (surgery.Drawn(8, 2, 1), surgery.Drawn(7, 3, 1), surgery.Drawn(7, 2, 2)):
        others = surgery.timed(steps, same, "shuffled", 3, other)
        alike = (found == others).all(axis=0).mean()
        assert 0.03 < alike < 0.055, "as many as of two draws: 1 in 24"


def test_shuffled_times_depend_on_the_seed_and_on_the_image_alone():
    network, pixels = network_of(13, images=3)
    options = dict(counts="own", times="shuffled", steps=6, neurons=True)
    names = list(targets_of(network))
    found = surgery.replace_layers(network, pixels, names, seed=1, **options)
    alone = surgery.replace_layers(network, pixels[:1], names, seed=1, **options)
    assert np.array_equal(found.batch.digests[:1], alone.batch.digests)
    other = surgery.replace_layers(network, pixels, names, seed=2, **options)
    assert str(found.conditions).endswith("; counts own; times shuffled; seed 1")
    assert str(other.conditions).endswith("; seed 2") and "seed 1" in str(found.table().title)
    assert not np.array_equal(found.batch.digests, other.batch.digests)
    plain = network.run(pixels, steps=6, neurons=True)
    first = network.columns(0)
    assert np.array_equal(found.batch.counts[:, first], plain.batch.counts[:, first])
    assert not np.array_equal(found.batch.digests[:, 0], plain.batch.digests[:, 0])


# --- costs ---


@pytest.mark.slow
@pytest.mark.parametrize(("counts", "model"), [("ideal", "if"), ("ann", "srp"), ("ideal", "gn")])
def test_costs_are_those_of_the_twin_and_add_up(counts, model):
    network, pixels = network_of(21, pooled_graph, 2)
    labels, options = np.array([0, 1]), MODELS[model]
    found = surgery.costs(network, pixels, counts=counts, labels=labels, **options)
    simulation = found.simulation
    outputs = ann.predict(network.graph, pixels)
    targets = targets_of(network)
    assert [row["layer"] for row in found.layers] == list(targets)

    def score(plan):
        last = np.array(
            [
                naive(simulation, image, plan, mask_of(simulation, image, n), n).readout[-1]
                for n, image in enumerate(pixels)
            ]
        )
        readout = (
            last
            / 2.0**simulation.arithmetic.fraction_bits
            * 2.0**simulation.arithmetic.readout_exponent
            / options["steps"]
        )
        hits = int((last.argmax(axis=1) == labels).sum())
        return {
            "hits": hits,
            "accuracy": hits / 2,
            "low": wilson(hits, 2)[0],
            "high": wilson(hits, 2)[1],
            "square": pytest.approx(np.mean((readout - outputs) ** 2), abs=1e-12),
        }

    assert found.snn == score([])
    assert (
        found.ann["hits"] == (outputs.argmax(axis=1) == labels).sum() and found.ann["square"] == 0
    )
    before, hits = [], found.snn["hits"]
    for row, i in zip(found.layers, targets.values()):
        for path, earlier, start in (("", before, hits), ("alone ", [], found.snn["hits"])):
            stages = {
                "counts": score([*earlier, (i, counts, "kept")]),
                "times": score([*earlier, (i, counts, "even")]),
            }
            assert {
                stage: {key: row[f"{path}{stage} {key}"] for key in stages[stage]}
                for stage in stages
            } == stages
            assert row[f"{path}counts cost"] == stages["counts"]["hits"] - start
            assert row[f"{path}timing cost"] == stages["times"]["hits"] - stages["counts"]["hits"]
        before, hits = [*before, (i, counts, "even")], row["times hits"]
    assert (
        sum(row["counts cost"] + row["timing cost"] for row in found.layers)
        == found.layers[-1]["times hits"] - found.snn["hits"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("counts", ["ideal", "ann"])
def test_each_layer_stands_behind_those_before_it(counts):
    network, pixels = network_of(31, images=60)
    labels = ann.predict(network.graph, pixels).argmax(axis=1)
    found = surgery.costs(network, pixels, counts=counts, steps=4, labels=labels)
    names, hits = list(targets_of(network)), found.snn["hits"]
    as_it_runs = network.run(pixels, steps=4).predictions() == labels
    for n, row in enumerate(found.layers, start=1):
        for way, chosen in (("", names[:n]), ("alone ", names[n - 1 : n])):
            result = surgery.replace_layers(
                network, pixels, chosen, counts=counts, steps=4, labels=labels
            )
            assert row[f"{way}times hits"] == round(60 * result.accuracy())
            right = result.predictions() == labels
            assert row[f"{way}times gained"] == np.sum(right & ~as_it_runs)
            assert row[f"{way}times lost"] == np.sum(as_it_runs & ~right)
        assert (
            row["counts cost"] == row["counts hits"] - hits
            and row["timing cost"] == row["times hits"] - row["counts hits"]
        )
        hits = row["times hits"]
    assert len({row["times hits"] for row in found.layers}) > 2, "it matters here"


def test_chunks_do_not_matter(monkeypatch):
    network, pixels = network_of(12, images=5)
    labels = np.array([0, 1, 2, 3, 0])
    whole = surgery.costs(network, pixels, steps=5, srp=2, labels=labels)
    monkeypatch.setattr(replacing, "CHUNK", 1)
    parts = surgery.costs(network, pixels, steps=5, srp=2, labels=labels)
    assert [whole.snn, whole.ann, *whole.layers] == [
        pytest.approx(each) for each in (parts.snn, parts.ann, *parts.layers)
    ]


def test_a_result_like_any_other():
    network, pixels = network_of(13, images=3)
    labels = np.array([0, 1, 2])
    plain = network.run(pixels, steps=6, srp=2, labels=labels, neurons=True)
    found = surgery.replace_layers(network, pixels, [], steps=6, srp=2, labels=labels, neurons=True)
    for name in plain.batch.ARRAYS:
        assert np.array_equal(getattr(plain.batch, name), getattr(found.batch, name)), name
    assert found.table() == plain.table() and repr(found) == repr(plain)
    assert surgery.replace_layers(network, pixels, [], steps=6).batch.counts is None


def test_tables_and_words():
    network, pixels = network_of(14, pooled_graph, 4)
    found = surgery.costs(network, pixels, steps=4, labels=np.array([0, 1, 2, 3]))
    rows = found.table()
    assert [row["layer"] for row in rows] == list(targets_of(network))
    for shown, row in zip(rows, found.layers):
        assert (
            shown["counts"] == 100 * row["counts cost"] / 4
            and shown["alone timing"] == 100 * row["alone timing cost"] / 4
        )
        assert (
            shown["wrong"] == 100 * row["wrong"]
            and shown["alone accuracy"] == row["alone times accuracy"]
        )
    assert (
        f"{found.snn['accuracy']:.2%} as it runs" in repr(found)
        and "<table>" in found._repr_html_()
    )
    assert list(targets_of(network))[0] in text_table(rows)


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(engine="event"), "engine 'clocked'"),
        (dict(arithmetic="float64"), "surgery: expected fixed point"),
        (dict(counts="true"), "counts: expected one of own, ideal, ann"),
        (dict(times="late"), "times: expected one of kept, even, first"),
        (dict(neuron="st-bif", encoding="constant"), "encoding='even'"),
        (dict(neuron="st-bif", encoding="even", steps=1), "choose more steps"),
        (dict(layers=["nobody"]), "'nobody'"),
        (dict(layers=["maxpool6"]), "'maxpool6'"),
        (dict(steps=0), "steps"),
    ],
)
def test_what_is_refused(options, words):
    network, pixels = network_of(15, pooled_graph)
    assert "maxpool6" in [layer.name for layer in network.layers]
    with pytest.raises(InputError, match=words):
        surgery.replace_layers(network, pixels, **{"layers": [], **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "labels"),
        (dict(labels=np.array([0, 9])), "labels from 0 to 3"),
        (dict(labels=np.array([0])), "a label for each of 2 images"),
        (dict(labels=np.array([0, 1]), counts="own"), "own counts are not wrong"),
        (dict(labels=np.array([0, 1]), engine="event"), "clocked"),
    ],
)
def test_what_has_no_costs(options, words):
    network, pixels = network_of(15, pooled_graph)
    with pytest.raises(InputError, match=words):
        surgery.costs(network, pixels, **options)
