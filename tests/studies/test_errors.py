"""The error's four parts and SRP's four cases: sums, hand-computed neurons, the papers' examples,
naive counts, Theorem 1.
"""

import importlib.util
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from support.networks import pooled_graph, quantised_graph, random_graph, random_pixels
from support.worked import examples

from eventsnn import InputError, convert
from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, Node
from eventsnn.network.linear import pooled
from eventsnn.network.network import INPUT
from eventsnn.studies import errors, setting, unevenness
from eventsnn.studies.by_image import Given
from eventsnn.views.tables import text_table

MODELS = {
    "if": {},
    "if from 0.2": dict(initial=0.2),
    "srp": dict(srp=3),
    "snm": dict(neuron="snm"),
    "hard reset": dict(neuron="if-hard"),
    "gn": dict(neuron="gn", tau=3),
    "st-bif": dict(neuron="st-bif", encoding="even", steps=60),
    "rate": dict(encoding="rate", seed=3),
    "random order": dict(engine="event", order="random", refractory=1.0),
    "srp in random order": dict(engine="event", order="random", srp=2),
}


def network_of(seed, make=quantised_graph):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph, 3)


def observed(network, pixels, *, steps=5, **settings):
    """Counts, potentials and masks [N, neurons] by layer, from a run of its own."""
    result = network.run(pixels, steps=steps, neurons=True, **settings)
    ends = np.cumsum([layer.size for layer in network.layers])[:-1]
    return result.simulation, [
        np.split(values, ends, axis=1)
        for values in (result.batch.counts, result.batch.potentials, result.batch.masks)
    ]


def by_neuron(values, layer):
    return (
        values.reshape(len(values), layer.grid[0], -1).transpose(0, 2, 1).reshape(len(values), -1)
    )


# --- the four parts ---


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("make", [quantised_graph, pooled_graph, random_graph])
def test_the_parts_add_up_to_the_total_which_is_phi_less_a(model, make):
    settings = {"steps": 5} | MODELS[model]
    if model == "st-bif" and make is random_graph:
        make = quantised_graph
    network, pixels = network_of(4, make)
    names = [layer.name for layer in network.spiking if not layer.pools]
    found = errors.decompose(network, pixels, keep=names, **settings)
    simulation, (counts, _, _) = observed(network, pixels, **settings)
    values = ann.forward(
        network.graph, network.graph.preprocessing(pixels), keep=names, dtype=np.float64
    )
    assert [row["layer"] for row in found.layers] == names
    for i, layer in enumerate(network.spiking):
        if layer.pools:
            continue
        top = simulation.quanta[i] * (
            1 if settings.get("encoding") == "even" else settings["steps"]
        )
        parts, a = found.neurons[layer.name], by_neuron(values[layer.name], layer)
        np.testing.assert_allclose(
            parts["total"], layer.theta * counts[i] / top - a, rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(
            sum(parts[part] for part in errors.PARTS), parts["total"], rtol=0, atol=1e-12
        )
        assert (
            np.array_equal(parts["clipping"], np.minimum(a, layer.theta) - a)
            and (parts["clipping"] <= 0).all()
        )
        for part in ("unevenness", "inherited"):
            spikes = parts[part] * top / layer.theta
            np.testing.assert_allclose(spikes, np.rint(spikes), atol=1e-9)
        row = next(row for row in found.layers if row["layer"] == layer.name)
        assert (
            row["ann square"] == pytest.approx(np.square(a).mean()) and row["neurons"] == layer.size
        )
        for part in ("total", *errors.PARTS):
            assert row[f"{part} mean"] == pytest.approx(parts[part].mean())
            assert row[f"{part} square"] == pytest.approx(np.square(parts[part]).mean())
        assert sum(row[f"{part} share"] for part in errors.PARTS) == pytest.approx(
            1 if parts["total"].any() else 0
        )
        assert row["dead"] == pytest.approx(np.mean(~counts[i].any(axis=0))) and row[
            "ann dead"
        ] == pytest.approx(np.mean(~a.any(axis=0)))
        assert row["saturated"] == pytest.approx(np.mean(counts[i] >= top))


def test_each_part_where_only_it_can_be():
    """One neuron of theta 1 with v(0) = 1/2 and T = 4, driven by x: clipping above 1, quantisation
    below; nothing else.
    """
    nodes = (
        Node(
            "y", "Conv", ("x",), {"kernel_shape": [1, 1]}, {"W": np.ones((1, 1, 1, 1), np.float32)}
        ),
        Node("a", "Clip", ("y",), {"min": 0, "max": 2.0}),
        Node(
            "out",
            "Conv",
            ("a",),
            {"kernel_shape": [1, 1]},
            {"W": np.ones((1, 1, 1, 1), np.float32)},
        ),
    )
    graph = Graph(nodes, "x", "out", (1, 1, 1), source="one neuron")
    pixels = np.array([-1, 0, 0.125, 0.3, 1, 1.5, 3], np.float32).reshape(-1, 1, 1, 1)
    network = convert(graph, thresholds="max", calibration=np.ones((1, 1, 1, 1), np.float32))
    found = errors.decompose(network, pixels, steps=4, keep=["a"], pixel_range=(-1, 3))
    parts = {name: values[:, 0] for name, values in found.neurons["a"].items()}
    assert parts["clipping"] == pytest.approx([0, 0, 0, 0, 0, -0.5, -1])
    assert parts["quantisation"] == pytest.approx([0, 0, 0.125, -0.05, 0, 0, 0], abs=1e-7)
    assert not parts["unevenness"].any() and not parts["inherited"].any()


@pytest.mark.parametrize("model", ["if", "snm", "srp"])
def test_qcfs_networks_with_as_many_levels_as_steps_are_neither_clipped_nor_quantised(model):
    network, pixels = network_of(1)
    for node in network.graph.activations:
        node.attrs["levels"] = 4
    rows = errors.decompose(network, pixels, **{"steps": 4} | MODELS[model]).layers
    assert all(row["clipping square"] == row["quantisation square"] == 0 for row in rows)
    assert model == "srp" or rows[0]["total square"] == 0, (
        "a first layer with constant drive makes no error"
    )


def test_at_rest_st_bif_is_even_and_group_neurons_with_a_member_a_level_have_no_error():
    network, pixels = network_of(2)
    rows = errors.decompose(network, pixels, neuron="st-bif", encoding="even", steps=200).layers
    assert all(row["unevenness square"] == 0 and row["error"] < 1e-4 for row in rows)
    for node in network.graph.activations:
        node.attrs["levels"] = 4
    assert all(
        row["error"] < 1e-4
        for row in errors.decompose(network, pixels, neuron="gn", tau=4, steps=1).layers
    )


@pytest.mark.parametrize("dead", ["layer_max", "silent"])
def test_thresholds_of_each_neuron(dead):
    rng = np.random.default_rng(5)
    graph = random_graph(rng)
    network = convert(graph, thresholds="dni", dead=dead, calibration=random_pixels(rng, graph, 1))
    pixels = random_pixels(rng, graph)
    layer = next(layer for layer in network.spiking if layer.name == network.spiking[1].name)
    found = errors.decompose(network, pixels, steps=6, keep=[layer.name]).neurons[layer.name]
    simulation, (counts, _, _) = observed(network, pixels, steps=6)
    a = by_neuron(
        ann.forward(graph, graph.preprocessing(pixels), keep=[layer.name], dtype=np.float64)[
            layer.name
        ],
        layer,
    )
    assert np.ndim(layer.theta) and found["total"] == pytest.approx(
        layer.theta.reshape(-1) * counts[1] / 6 - a
    )
    assert sum(found[part] for part in errors.PARTS) == pytest.approx(found["total"])
    assert errors.cases(network, pixels, steps=6).counterexamples == 0
    assert errors.cases(network, pixels, steps=6, levels="own").layers[1]["II"] > 0


def test_the_average_input_is_that_of_law_1():
    """Rebuilt from drive and spikes, and from v(T) = v(0) + T x - q S, it is the same, to the last
    bit.
    """
    network, pixels = network_of(6, pooled_graph)
    simulation, pixels, numbers = setting.prepare(network, pixels, 5, {"neuron": "snm"})
    for _, batch, totals in setting.chunks(simulation, Given(pixels, numbers), False, None):
        for i, layer in enumerate(network.layers):
            here = network.columns(i)
            if not layer.pools:
                charge = totals[:, here] + errors.arrived(simulation, i, batch.counts)
                assert np.array_equal(
                    charge - batch.counts[:, here] * simulation.arithmetic.one.item(),
                    batch.potentials[:, here],
                )


def test_chunks_do_not_matter(monkeypatch):
    network, pixels = network_of(7)
    whole = (
        errors.decompose(network, pixels, steps=5, srp=2),
        errors.cases(network, pixels, steps=5, srp=2),
    )
    monkeypatch.setattr(setting, "CHUNK", 1)
    parts = (
        errors.decompose(network, pixels, steps=5, srp=2),
        errors.cases(network, pixels, steps=5, srp=2),
    )
    assert whole[1].layers == parts[1].layers and whole[1].theorem == parts[1].theorem
    for one, other in zip(whole[0].layers, parts[0].layers):
        assert one == pytest.approx(other)


# --- the four cases ---


def two_inputs(rows):
    """Two neurons and, with these weights from them, others; all thresholds are 1."""

    def dense(name, source, weights):
        return Node(
            name,
            "Conv",
            (source,),
            {"kernel_shape": [1, 1]},
            {"W": np.array(weights, np.float32)[:, :, None, None]},
        )

    nodes = (
        Node("inputs", "ClippedRelu", ("pixels",), {"lambda": 1.0}),
        dense("weights", "inputs", rows),
        Node("target", "ClippedRelu", ("weights",), {"lambda": 1.0}),
        dense("out", "target", [[1] * len(rows)]),
    )
    return convert(Graph(nodes, "pixels", "out", (2, 1, 1), source="two inputs"))


def test_whom_srp_silenced_is_counted_by_the_anns_activation():
    """Against masks of a run, neuron by neuron; a is 0, between, or lambda, in T steps."""
    network, pixels = network_of(7)
    found = errors.cases(network, pixels, steps=5, srp=2)
    simulation = found.simulation
    batch = simulation.run(pixels, neurons=True)
    drive = setting.all_drives(simulation, pixels, np.arange(len(pixels)))
    ann = unevenness.own_spikes(simulation, pixels, drive, "steps")
    some = 0
    for (i, layer), row in zip(setting.neuron_layers(network).items(), found.silenced):
        mute, top = ~batch.masks[:, network.columns(i)], setting.top_of(simulation, i)
        kinds = {"at 0": ann[i] == 0, "between": (ann[i] > 0) & (ann[i] < top)}
        kinds["at lambda"] = ann[i] == top
        for name, those in kinds.items():
            assert row[name] == pytest.approx(100 * (mute & those).mean()), (layer.name, name)
        assert row["silenced"] == pytest.approx(100 * mute.mean())
        some += mute.sum()
    assert some > 0
    assert all(row["silenced"] == 0 for row in errors.cases(network, pixels, steps=5).silenced)


def test_every_case_by_hand():
    """SRP Fig. 1 and 2. One input fires in steps 1-3 (v(0) = 3, no drive), the other in steps 4-6
    (v(0) = -3, drive 1 a step).
    """
    rows = {
        (1, 0): (3, 3, 0, 0),  # weights: spikes, the ANN's, case, residual potential
        (1, -1): (3, 0, 1, -3),
        (2, -1): (4, 3, 2, -1),
        (-1, 2): (2, 3, 3, 1),
        (-2, 4): (2, 6, 4, 4),
        (0, 0): (0, 0, 0, 0),
    }
    network, pixels = two_inputs(list(rows)), np.array([0, 1], np.float32).reshape(1, 2, 1, 1)
    settings = dict(steps=6, initial=[np.array([3.0, -3.0]), np.zeros(len(rows))])
    spikes, whole, case, left = np.transpose(list(rows.values()))
    simulation, (counts, potentials, _) = observed(network, pixels, **settings)
    assert np.array_equal(counts[1][0], spikes) and np.array_equal(
        potentials[1][0], left * simulation.arithmetic.one
    )
    assert np.array_equal(errors.classify(spikes, whole, 6), case)
    found = errors.cases(network, pixels, **settings)
    percent = found.layers[1]
    assert [percent[f"I case {k}"] for k in errors.CASES] == pytest.approx(
        [100 / 6] * 4
    ) and percent["I"] == pytest.approx(400 / 6)
    theorem = found.theorem[1]
    assert (
        theorem["v < 0, case 1"],
        theorem["v < 0, case 2"],
        theorem["v >= 0, case 3"],
        theorem["v >= 0, case 4"],
    ) == (1, 1, 1, 1)
    assert (
        theorem["v >= 0, none"],
        theorem["v < 0, none"],
        theorem["conditions hold"],
        theorem["exceptions"],
    ) == (2, 0, 0, 0)
    parts = errors.decompose(network, pixels, keep=["target"], **settings).neurons["target"]
    assert parts["unevenness"][0] == pytest.approx((spikes - whole) / 6)
    # the ANN: inputs 0 and 1, whose second one the SNN halves
    ann_spikes = np.array([0, 0, 0, 6, 6, 0])
    assert np.array_equal(errors.classify(spikes, ann_spikes, 6), [1, 1, 1, 4, 4, 0])
    assert [percent[f"II case {k}"] for k in errors.CASES] == pytest.approx([50, 0, 0, 100 / 3])


@pytest.mark.parametrize(
    ("case", "expected"), [("even", 0), ("inhibition late", 2), ("inhibition early", 3)]
)
def test_srp_figure_1(case, expected):
    fired = len(examples.srp(case).of("target"))
    assert errors.classify(np.array([fired]), np.array([3]), 6) == expected


def test_an_output_of_more_than_a_spike_a_step_is_no_case():
    assert errors.classify(np.array([7, 6, 1]), np.array([6, 6, 0]), 6).tolist() == [5, 0, 1]


def naive(network, pixels, levels, settings):
    """[case counts of I, of II] by layer: neuron by neuron, in fractions, from dense matrices and
    the ANN's own forward pass.
    """
    simulation, (counts, _, _) = observed(network, pixels, **settings)
    one, steps = simulation.arithmetic.one.item(), settings["steps"]
    tops = [int(q) * steps for q in simulation.quanta]
    found = []
    kept = ann.forward(
        network.graph,
        network.graph.preprocessing(pixels),
        keep=[la.name for la in network.spiking],
        dtype=np.float64,
    )
    ideal = [None] * len(network.layers)
    first = np.cumsum([0] + [layer.size for layer in network.layers])
    drive = [steps * simulation.drive(image)[0].astype(object) for image in pixels]

    def charge_of(i, source):
        total = np.array([d[first[i] : first[i + 1]] for d in drive])
        for p in network.into(i):
            if p.source != INPUT:
                blocks = simulation.blocks(p).astype(np.float64)
                total = total + (
                    source[p.source] @ replace(p.map, weights=blocks, factor=None).dense()
                ).astype(object)
        return total

    def case_of(s, a):
        """s and a as shares of theta."""
        if s > a:
            return 1 if a == 0 else 2 if a < 1 else 5
        return 0 if s == a else 3 if a < 1 else 4

    for i, layer in enumerate(network.spiking):
        if layer.pools:
            (p,) = network.into(i)
            if levels == "steps":
                ideal[i] = pooled(
                    p.map, ideal[p.source].reshape(len(pixels), -1, layer.grid[0])
                ).reshape(len(pixels), -1)
            continue
        most = tops[i] if levels == "steps" else layer.node.attrs["levels"]

        def quantised(charge, i=i, most=most):
            return min(max((Fraction(charge, one) * most / tops[i] + Fraction(1, 2)) // 1, 0), most)

        ideal[i] = (
            np.array(
                [[int(quantised(int(c))) for c in row] for row in charge_of(i, ideal)], np.int64
            )
            if levels == "steps"
            else None
        )
        own = by_neuron(
            np.rint(kept[layer.name] * (layer.node.attrs.get("levels", 1) / layer.theta)), layer
        )
        mine = [[0] * 6, [0] * 6]
        for n, row in enumerate(charge_of(i, counts)):
            for j, charge in enumerate(row):
                s = Fraction(int(counts[i][n, j]), tops[i])
                second = Fraction(int((ideal[i] if levels == "steps" else own)[n, j]), most)
                mine[0][case_of(s, Fraction(int(quantised(int(charge))), most))] += 1
                mine[1][case_of(s, second)] += 1
        found.append(mine)
    return found


@pytest.mark.parametrize("levels", errors.LEVELS)
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (quantised_graph, {}),
        (pooled_graph, {}),
        (quantised_graph, dict(srp=3)),
        (quantised_graph, dict(neuron="gn", tau=2)),
        (quantised_graph, dict(engine="event", order="excitatory_first", max_events=10**6)),
        (quantised_graph, dict(neuron="snm")),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_percentages_are_those_of_a_naive_count(levels, make, settings, seed):
    settings = {"steps": 6} | settings
    network, pixels = network_of(seed, make)
    found = errors.cases(network, pixels, levels=levels, **settings)
    expected = naive(network, pixels, levels, settings)
    assert len(found.layers) == len(expected)
    for row, counts in zip(found.layers, expected):
        for error, mine in zip(("I", "II"), counts):
            assert [row[f"{error} case {k}"] for k in errors.CASES] == pytest.approx(
                [100 * n / sum(mine) for n in mine[1:5]]
            )
            assert row[error] == pytest.approx(100 * sum(mine[1:5]) / sum(mine))


# --- Theorem 1 ---


@pytest.mark.parametrize("seed", range(6))
def test_theorem_1_has_no_counterexample_where_its_conditions_hold(seed):
    network, pixels = network_of(seed, [quantised_graph, pooled_graph, random_graph][seed % 3])
    found = errors.cases(network, pixels, steps=[1, 4, 7][seed % 3])
    assert found.counterexamples == 0 and sum(row["exceptions"] for row in found.theorem) == 0
    neurons = sum(layer.size for layer in network.spiking if not layer.pools)
    assert sum(row["conditions hold"] for row in found.theorem) == neurons * len(pixels)
    for row in found.theorem:
        assert (
            row["v >= 0, case 1"]
            == row["v >= 0, case 2"]
            == row["v < 0, case 3"]
            == row["v < 0, case 4"]
            == 0
        )


def test_theorem_1_does_not_speak_of_other_neurons():
    network, pixels = network_of(1)
    assert errors.cases(network, pixels, steps=6).counterexamples == 0
    for settings in (
        dict(levels="own"),
        dict(neuron="snm"),
        dict(initial=0.9),
        dict(engine="event", order="fifo"),
    ):
        found = errors.cases(network, pixels, steps=6, **settings)
        assert (
            sum(row["conditions hold"] for row in found.theorem) == 0 and found.counterexamples == 0
        )
    assert (
        sum(
            row["exceptions"] for row in errors.cases(network, pixels, steps=6, initial=0.9).theorem
        )
        > 0
    )
    masked = errors.cases(network, pixels, steps=6, srp=2)
    _, (_, _, masks) = observed(network, pixels, steps=6, srp=2)
    assert [row["conditions hold"] for row in masked.theorem] == [
        int(mask.sum()) for mask in masks[:-1]
    ]
    assert masked.counterexamples == 0


# --- what one gets ---


def test_tables_and_words():
    network, pixels = network_of(3)
    found = errors.decompose(network, pixels, steps=4)
    cases = errors.cases(network, pixels, steps=4)
    assert found.jump in repr(found) and found.jump in [row["layer"] for row in found.layers]
    growth = np.diff([0, *(row["error"] for row in found.layers)])
    assert found.layers[int(growth.argmax())]["layer"] == found.jump
    assert "0 counterexamples" in repr(cases)
    for result in (found, cases):
        assert (
            "<table>" in result._repr_html_()
            and len(text_table(result.table()).splitlines()) == len(result.layers) + 1
        )
        for convert_to, package in ((result.to_pandas, "pandas"), (result.to_xarray, "xarray")):
            if importlib.util.find_spec(package) is None:
                with pytest.raises(InputError, match=package):
                    convert_to()
            else:
                table = convert_to()
                assert list(np.asarray(table[list(result.layers[0])[2]])) == [
                    list(row.values())[2] for row in result.layers
                ]


def test_what_is_refused():
    network, pixels = network_of(3)
    for settings, match in (
        (dict(arithmetic="float64"), "fixed"),
        (dict(encoding="events"), "encoding"),
        (dict(neuron="st-bif", encoding="constant"), "even"),
        (dict(engine="event", barrier=False, delays=0.5), "barrier"),
        (dict(keep=["nobody"]), "nobody"),
    ):
        with pytest.raises(InputError, match=match):
            errors.decompose(network, pixels, **settings)
    with pytest.raises(InputError, match="own"):
        errors.cases(network, pixels, levels="theirs")
    with pytest.raises(InputError, match="images"):
        errors.cases(network, pixels[:, :, 1:])
