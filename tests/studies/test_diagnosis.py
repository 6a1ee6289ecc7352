"""`eventsnn.diagnose`: a network damaged in one way is told so, in two ways both, a sound one none.

`EVENTSNN_TRAINED` names a folder of trained checkpoints (.h5) for the test marked `long`, and
`EVENTSNN_DATA` the data set that they were trained on.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.networks import Builder, small_graph

import eventsnn
from eventsnn import Encoding, InputError, Preprocessing, statistics
from eventsnn.ann.forward import forward
from eventsnn.ann.graph import Graph
from eventsnn.studies.diagnosis.remedies import Remedy, candidates
from eventsnn.studies.diagnosis.verdict import Verdict

COUNT, T = 100, 32


def pixels(seed=5, count=COUNT, low=-1.0):
    return np.random.default_rng(seed).uniform(low, 1, (count, 2, 6, 6)).astype(np.float32)


def classes(graph, x):
    return eventsnn.ann.predict(graph, x).argmax(axis=1)


def diagnosed(network, x, labels=None, **options):
    """The diagnosis on images that are right where the ANN is right, but for other labels."""
    graph = network if isinstance(network, Graph) else network.graph
    ends = float(x.min()) - 0.1, float(x.max()) + 0.1
    given = {"steps": T, "pixel_range": ends, "remedies": False, "calibration": x}
    labels = classes(graph, x) if labels is None else labels
    return eventsnn.diagnose(network, x, labels=labels, **{**given, **options})


def found(diagnosis, state="found"):
    """{(kind, layer)} of the verdicts in a state."""
    return {(v.kind, v.layer) for v in diagnosis.verdicts if v.state == state}


def damaged(graph, x, factors, **options):
    """The network with the thresholds of some layers (by number) multiplied."""
    network = eventsnn.convert(graph, calibration=x)
    thetas = {
        layer.name: layer.theta * factors.get(i, 1) for i, layer in enumerate(network.spiking)
    }
    return eventsnn.convert(graph, thresholds=thetas, **options)


@pytest.fixture(scope="module")
def relu():
    return small_graph("Relu")


# --- one damage, one verdict ---------------------------------------------------------------------


def test_thresholds_too_high(relu):
    found_ = diagnosed(damaged(relu, pixels(), {0: 20}), pixels())
    (verdict,) = [v for v in found_.verdicts if v.kind == "threshold too high"]
    assert (verdict.state, verdict.layer) == ("found", "relu2")
    assert verdict.number == found_.measured.result.rates()["relu2"] < 0.01
    assert f"rate {verdict.number:.2%}; the threshold is 20 times" in str(verdict)
    assert not {kind for kind, _ in found(found_)} & {"threshold too low", "dead layer", "outliers"}


def test_thresholds_too_low(relu):
    x = pixels()
    network = damaged(relu, x, {1: 0.1})
    found_ = diagnosed(network, x)
    (verdict,) = [v for v in found_.verdicts if v.kind == "threshold too low"]
    values = forward(relu, x, keep=["relu4"])["relu4"]
    assert (verdict.state, verdict.layer) == ("found", "relu4")
    assert verdict.number == pytest.approx(np.mean(values > network.layers[1].theta), abs=1e-4)
    kinds = {kind for kind, _ in found(found_)}
    assert not kinds & {"threshold too high", "dead layer", "outliers"}


def test_two_damages_at_once_are_both_named(relu):
    both = found(diagnosed(damaged(relu, pixels(), {0: 20, 1: 0.1}), pixels()))
    assert {("threshold too high", "relu2"), ("threshold too low", "relu4")} <= both


def test_dead_layers_and_what_only_hears_nothing(relu):
    b = Builder(np.random.default_rng(2), (2, 6, 6))
    x = b.activation(b.conv("input", 3, bias=False), "Relu")
    x = b.activation(b.conv(x, 4, bias=False), "Relu")
    graph = b.graph(b.gemm(b.add("Flatten", [x])))
    first, second = (node.name for node in graph.activations)
    found_ = diagnosed(damaged(graph, pixels(), {0: 1e4}), pixels())
    assert ("dead layer", first) in found(found_) and ("dead layer", second) not in found(found_)
    assert ("dead layer", second) in found(found_, "noted")
    words = {v.layer: str(v) for v in found_.verdicts if v.kind == "dead layer"}
    assert "% of the ANN's are active; its threshold is" in words[first]
    assert "nothing reaches it" in words[second]


def test_outliers(relu):
    x = pixels()
    x[7, 0, 0, 0] = 150  # one pixel, in a corner
    network = eventsnn.convert(relu, thresholds="max", calibration=x)
    its = [v for v in diagnosed(network, x).verdicts if v.kind == "outliers"]
    assert its and {v.state for v in its} == {"found"}
    values = forward(relu, x, keep=[its[0].layer])[its[0].layer]
    ratio = values.max() / np.percentile(values, 99.9)
    assert its[0].number == pytest.approx(ratio, rel=1e-4) and ratio > 3
    percentile = diagnosed(eventsnn.convert(relu, calibration=x), x)
    assert "outliers" not in {v.kind for v in percentile.verdicts}


def test_own_and_inherited_error(relu):
    found_ = diagnosed(damaged(relu, pixels(), {0: 8}), pixels(), steps=8)
    own = [v for v in found_.verdicts if v.kind == "own error"]
    rows = {row["layer"]: row for row in found_.measured.errors.layers}
    parts = ("clipping", "quantisation", "unevenness")
    shares = {
        name: sum(row[f"{part} square"] for part in parts) / row["ann square"]
        for name, row in rows.items()
    }
    assert [v.layer for v in own] == [max(shares, key=shares.get)]
    assert own[0].number == pytest.approx(shares[own[0].layer])
    (inherited,) = [v for v in found_.verdicts if v.kind == "inherited error"]
    assert inherited.number == 1 / 2 and "before relu4" in str(inherited)


def test_wrong_counts_against_wrong_timing(relu):
    """The shares are those of layer surgery."""
    x = pixels()
    network = eventsnn.convert(relu, calibration=x)
    found_ = diagnosed(network, x, neuron="if-hard")  # charge is lost, whenever it comes
    (verdict,) = [v for v in found_.verdicts if v.kind == "counts or timing"]
    assert verdict.state == "found" and "it is mostly counts" in str(verdict)
    some = found_.measured.images[::8][:12]
    costs = eventsnn.surgery.costs(network, some, steps=T, neuron="if-hard", progress=False)
    timing = sum(row["counts square"] - row["times square"] for row in costs.layers)
    assert verdict.number == pytest.approx(timing / costs.snn["square"])
    event = diagnosed(network, x, engine="event", neuron="if-hard")
    assert ("counts or timing", "") in found(event, "not known")


def test_ties():
    """Weights, pixels and thresholds on one grid meet each other exactly."""
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    name = b.activation(b.conv("input", 3, bias=False), "Relu")
    b.nodes[0].params["W"][:] = np.sign(b.nodes[0].params["W"])
    graph = b.graph(b.gemm(b.add("Flatten", [name])))
    x = np.sign(pixels())
    found_ = diagnosed(eventsnn.convert(graph, thresholds={name: 2.0}), x, initial=0)
    (verdict,) = [v for v in found_.verdicts if v.kind == "ties"]
    ties = found_.measured.result.batch.ties[:, 0].sum()
    assert verdict.number == ties / (COUNT * 48 * T) > 0.01 and verdict.layer == name


def test_few_fraction_bits(relu):
    x = pixels()
    found_ = diagnosed(eventsnn.convert(relu, calibration=x), x, fraction_bits=2)
    assert ("few fraction bits", "") in found(found_)
    remedies = [r.name for r in candidates(found_.measured, found_.verdicts, True)]
    assert "float64" in remedies


def test_signed_streams():
    b = Builder(np.random.default_rng(3), (2, 6, 6))
    x = b.conv("input", 3)
    turned = b.add("BatchNormalization", [x], {"epsilon": 0.0}, line(3, -1.0))
    above, below = b.activation(x, "Relu"), b.activation(turned, "Relu")
    leak = b.add("BatchNormalization", [below], {"epsilon": 0.0}, line(3, -0.3))
    end = b.gemm(b.add("Flatten", [b.add("Add", [above, leak])]))
    names = {above: "leaky:above", below: "leaky:below"}
    nodes = [
        replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(names.get(name, name) for name in node.inputs),
        )
        for node in b.graph(end).nodes
    ]
    graph = replace(b.graph(end), nodes=tuple(nodes))
    found_ = diagnosed(eventsnn.convert(graph, calibration=pixels()), pixels())
    (verdict,) = [v for v in found_.verdicts if v.kind == "signed stream"]
    sent = found_.measured.result.spikes.sum(axis=(0, 2))
    assert verdict.layer == "leaky:below" and verdict.number == sent[1] / sent[:2].sum()
    assert found_.sound


def line(channels, scale):
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return {"scale": scale * ones, "B": zeros, "input_mean": zeros, "input_var": ones}


def test_spikes_that_are_taken_back(relu):
    x = pixels()
    found_ = diagnosed(eventsnn.convert(relu, calibration=x), x, neuron="snm", steps=4)
    result = found_.measured.result
    for verdict in [v for v in found_.verdicts if v.kind == "signed stream"]:
        number = [layer.name for layer in result.network.layers].index(verdict.layer)
        sent, net = result.spikes[:, number].sum(), result.counts(number).sum()
        assert verdict.number == (sent - net) / (2 * sent) > 0.05


def test_max_pooling():
    x = pixels()
    graph = small_graph("Relu", "MaxPool")
    found_ = diagnosed(eventsnn.convert(graph, calibration=x), x, steps=2)
    (verdict,) = [v for v in found_.verdicts if v.kind == "max pooling"]
    row = found_.measured.errors.layers[1]
    assert verdict.number == row["unevenness square"] / row["ann square"]
    assert verdict.layer == "maxpool3" and "max pooling takes back" in str(verdict)
    remedies = [r.name for r in candidates(found_.measured, found_.verdicts, True)]
    assert "average pooling" in remedies


def test_a_saturated_readout(relu):
    x = pixels()
    fires = eventsnn.convert(relu, calibration=x, readout="fires")
    thetas = {layer.name: layer.theta for layer in fires.spiking}
    thetas[fires.spiking[-1].name] *= 0.02
    network = eventsnn.convert(relu, thresholds=thetas, readout="fires")
    found_ = diagnosed(network, x)
    assert ("saturated readout", "") in found(found_)
    (verdict,) = [v for v in found_.verdicts if v.kind == "saturated readout"]
    charge = found_.measured.result.readout()
    tied = (charge == charge.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert verdict.number == tied.mean() > 0.05


def test_accuracy_that_rises_and_falls(relu):
    """Biases that come once weigh less with every step."""
    end = relu.nodes[-1]
    bias = np.array([0.0, 3.0, 0.0, -2.0], np.float32)
    graph = replace(relu, nodes=(*relu.nodes[:-1], replace(end, params=end.params | {"C": bias})))
    x = pixels()
    once = Encoding(kind="constant", bias_once=True)
    found_ = diagnosed(eventsnn.convert(graph, calibration=x), x, encoding=once)
    (verdict,) = [v for v in found_.verdicts if v.kind == "rises and falls"]
    assert verdict.state == "found", found_
    m = found_.measured
    best = max(m.steps[:-1], key=lambda t: m.right(t).sum())
    assert verdict.number == pytest.approx(m.right(best).mean() - m.right().mean())
    assert f"at T = {best}" in str(verdict)
    names = [r.name for r in candidates(m, found_.verdicts, True)]
    assert {"T = 8", "T = 16"} <= set(names)


def test_accuracy_that_still_rises(relu):
    x = pixels()
    found_ = diagnosed(eventsnn.convert(relu, calibration=x), x, steps=4)
    assert ("still rising", "") in found(found_)


def test_what_no_verdict_tells_is_said_to_be_so(relu):
    """Half of the readout's weights are lost on the way from the ANN's labels."""
    x = pixels()
    found_ = diagnosed(eventsnn.convert(relu, calibration=x), x, initial=-30, neuron="if-hard")
    assert found_.measured.below and not found_.sound


# --- the ANN itself --------------------------------------------------------------------------


def coloured(preprocessing, count=COUNT):
    """(a network of three channels with a preprocessing, bytes, the classes that it gives)."""
    rng = np.random.default_rng(0)
    b = Builder(rng, (3, 6, 6))
    graph = b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 8), "Relu")]), out=6))
    graph = replace(graph, preprocessing=preprocessing)
    x = rng.integers(0, 256, (count, 3, 6, 6)).astype(np.uint8)
    return graph, x, classes(graph, x)


OWN = Preprocessing(1 / 255, np.array([0.45, 0.5, 0.4]), np.array([0.25, 0.2, 0.3]))
PLAIN = Preprocessing(1 / 255)


@pytest.mark.parametrize(
    ("right", "wrong", "pixel", "options"),
    [
        (OWN, OWN, "0 to 1", {"input_scale": "1"}),
        (PLAIN, Preprocessing(), "bytes", {"input_scale": "0.00392156863"}),
        (Preprocessing(), Preprocessing(1 / 255), "0 to 1", {"input_scale": "1"}),
        (OWN, replace(OWN, reverse=True), "bytes", {"input_channels": "same"}),
        (
            Preprocessing(
                1 / 255, np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            ),
            Preprocessing(1 / 255, known=False),
            "bytes",
            {
                "input_scale": "0.00392156863",
                "input_mean": "0.485,0.456,0.406",
                "input_std": "0.229,0.224,0.225",
            },
        ),
    ],
    ids=["divided twice", "bytes as they are", "0 to 1 divided", "channels", "mean and std"],
)
def test_wrong_preprocessing_is_told_and_restored(right, wrong, pixel, options):
    graph, x, labels = coloured(right)
    if pixel == "0 to 1":
        x = (x / 255).astype(np.float32)
        labels = classes(graph, x) if right.scale == 1 else labels
    graph = replace(graph, preprocessing=wrong)
    found_ = eventsnn.diagnose(graph, x, labels=labels, calibration=x, steps=64, remedies=False)
    assert found(found_) == {("preprocessing", "")}, found_
    assert found_.advice == options
    verdict = found_.verdicts[0]
    assert verdict.number > 0.95 and all(value in verdict.words for value in options.values())
    assert found_.measured.ann_right.mean() == verdict.number
    assert "first, prepare pixels as the ANN was trained" in str(found_)


def test_wrong_preprocessing_and_a_wrong_threshold_are_both_named():
    graph, x, labels = coloured(OWN)
    (node,) = graph.activations
    wrong = replace(graph, preprocessing=replace(OWN, reverse=True))
    theta = eventsnn.convert(graph, calibration=x).layers[0].theta
    network = eventsnn.convert(wrong, thresholds={node.name: 20 * theta})
    found_ = eventsnn.diagnose(network, x, labels=labels, steps=T, remedies=False)
    assert {("preprocessing", ""), ("threshold too high", node.name)} <= found(found_)


def test_an_ann_that_nothing_restores(relu):
    x = pixels()
    labels = np.random.default_rng(1).integers(0, 4, COUNT)
    found_ = diagnosed(eventsnn.convert(relu, calibration=x), x, labels)
    verdict = found_.verdicts[0]
    assert verdict.state == "found" and "none of the customary preprocessings" in str(verdict)


def test_without_labels_the_anns_classes_stand_in(relu):
    x = pixels()
    network = damaged(relu, x, {1: 0.1})
    with_labels = diagnosed(network, x)
    found_ = eventsnn.diagnose(
        network, x, steps=T, pixel_range=(-1.1, 1.1), calibration=x, remedies=False
    )
    assert ("preprocessing", "") in found(found_, "not known")
    assert found_.measured.against_ann == with_labels.measured.against_ann


# --- sound networks --------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Relu", "QCFS", "Clip"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sound_networks_are_called_sound(op, seed):
    """Images are such as trained networks see: one class is well ahead of the others."""
    graph, x = small_graph(op), pixels(seed, 4 * COUNT)
    outputs = np.sort(eventsnn.ann.predict(graph, x), axis=1)
    x = x[np.argsort(outputs[:, -2] - outputs[:, -1])[:COUNT]]
    found_ = diagnosed(eventsnn.convert(graph, calibration=x), x, steps=64)
    assert found_.sound, found_
    assert "sound" in repr(found_) and not found_.remedies


@pytest.mark.parametrize(("count", "told"), [(10, "too few to tell"), (40, "cannot tell")])
def test_what_few_images_cannot_tell_is_not_called_sound(relu, count, told):
    x = pixels()
    network = eventsnn.convert(relu, calibration=x)
    right = eventsnn.simulate(network, x, steps=8, pixel_range=(-1, 1)).predictions()
    lost = np.flatnonzero(right != classes(relu, x))[:3]
    kept = np.flatnonzero(right == classes(relu, x))[: count - len(lost)]
    found_ = diagnosed(network, x[np.sort([*lost, *kept])], steps=8)
    assert len(lost) == 3 and not found_.sound and not found_.wrong
    assert told in str(found_) and "nothing was found to be wrong, so far" in str(found_)


@pytest.mark.long
@pytest.mark.skipif("EVENTSNN_TRAINED" not in os.environ, reason="without trained checkpoints")
def test_trained_networks_are_called_sound():
    files = sorted(Path(os.environ["EVENTSNN_TRAINED"]).glob("*.h5"))
    data = os.environ["EVENTSNN_DATA"]
    images = eventsnn.load_images(data, limit=100)
    calibration = eventsnn.load_images(data, split="train", limit=128)
    wrong = {}
    for file in files:
        graph = eventsnn.load(file)
        found_ = eventsnn.diagnose(graph, images, steps=64, calibration=calibration)
        if not found_.sound:
            wrong[file.name] = repr(found_)
    assert files and not wrong


# --- remedies --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mended(relu):
    """A network with one threshold too low, and what was tried."""
    return diagnosed(damaged(relu, pixels(), {1: 0.1}), pixels(), remedies=True)


def test_the_best_is_chosen_on_one_half_and_confirmed_on_the_other(mended, relu):
    best, x = mended.remedy, pixels()
    m = mended.measured
    assert best.helps and best.name.startswith(("percentile", "largest"))
    network = eventsnn.convert(relu, calibration=x, **best.convert)
    result = eventsnn.simulate(network, x, steps=T, pixel_range=(x.min() - 0.1, x.max() + 0.1))
    right = result.predictions() == m.images.labels
    pairs = {half: (right[half::2], m.right()[half::2]) for half in (0, 1)}
    assert best.right == right[::2].sum() and best.whole == right.sum()
    assert best.confirmed == statistics.compare({1: pairs[1]})[1]
    tried = [r for r in mended.remedies if r.chosen]
    assert max(r.right for r in tried) == best.right
    family = statistics.holm([r.chosen.p for r in tried])
    assert [r.chosen.holm for r in tried] == family


def test_what_was_tried_is_shown(mended):
    text = str(mended)
    assert "Remedies, tried on 50 images" in text and ": confirmed; " in text
    assert f"{mended.remedy.whole / COUNT:.1%} of all {COUNT} are right then" in text
    frame = mended.to_pandas()
    assert list(frame.columns) == ["state", "layer", "verdict", "number", "words"]
    assert frame["state"].iloc[0] == "found"
    page = mended._repr_html_()
    assert page.count("<table>") == 2 and "confirmed" in page
    assert "⟦" not in text + page and "<Diagnosis: threshold too low" in repr(mended)
    verdict = Verdict("a", "", "found", 1.0, "choose ⟦arithmetic=float64⟧")
    assert str(verdict) == verdict.row()["words"] == "choose arithmetic='float64'"


def test_a_p_too_small_for_a_float_is_no_zero_in_a_remedy():
    pair = statistics.compare({1: (np.ones(9, bool), np.zeros(9, bool))})[1]._replace(p=0.0)
    assert "p < 1e-300" in Remedy("a", chosen=pair, confirmed=pair).row()["on the other half"]


def test_without_calibration_images_thresholds_are_not_tried(relu):
    network = damaged(relu, pixels(), {1: 0.1})
    found_ = diagnosed(network, pixels(), calibration=None, remedies=True)
    row = next(r for r in found_.remedies if r.name.startswith("percentile"))
    assert "calibration" in row.why_not and row.chosen is None


def test_st_bif_is_tried_where_there_are_levels():
    graph, x = small_graph("QCFS"), pixels()
    network = eventsnn.convert(graph, thresholds={n.name: 9.0 for n in graph.activations})
    found_ = diagnosed(network, x, steps=4)
    names = [r.name for r in candidates(found_.measured, found_.verdicts, True)]
    assert "ST-BIF neurons" in names and "activations' own thresholds" in names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stpes": 3}, "did you mean steps"),
        ({"steps": 0}, "steps"),
        ({"labels": [1]}, "labels"),
    ],
)
def test_wrong_input(relu, options, words):
    with pytest.raises(InputError, match=words):
        eventsnn.diagnose(relu, pixels(), calibration=pixels(), **options)


def test_thresholds_that_were_found_with_wrong_pixels_are_found_again_or_noted():
    graph, x, labels = coloured(OWN)
    wrong = replace(graph, preprocessing=replace(OWN, reverse=True))
    network = eventsnn.convert(wrong, thresholds="max", calibration=x)
    options = {"labels": labels, "steps": T, "remedies": False}
    again = eventsnn.diagnose(network, x, calibration=x, **options)
    right = eventsnn.convert(graph, thresholds="max", calibration=x)
    assert again.measured.network.layers[0].theta == right.layers[0].theta
    noted = eventsnn.diagnose(network, x, **options)
    assert ("thresholds", "") in found(noted, "noted") and noted.advice == again.advice


def test_a_remedy_that_cannot_be_run_is_listed_with_the_reason(relu, monkeypatch):
    """Also where that shows on the other half only."""
    from eventsnn.studies.diagnosis import remedies

    network, ran = damaged(relu, pixels(), {1: 0.1}), []

    def run(network, images, options, shown):
        ran.append(options)
        if options.get("srp"):
            raise InputError("srp", "this", "that")
        if images.indices[0] == 1:
            raise InputError("queue", "one that empties", "more")
        return before(network, images, options, shown)

    before = remedies.run
    monkeypatch.setattr(remedies, "run", run)
    found_ = diagnosed(network, pixels(), remedies=True)
    whys = {r.name: r.why_not for r in found_.remedies if r.why_not}
    assert whys.pop("SRP, 4 steps first") == "expected this, found that"
    assert [*whys.values()] == ["on the other half: expected one that empties, found more"]
    assert found_.remedy is None and "none of them is better" in str(found_)
    assert "none of them is better than" not in str(found_) and "not confirmed: " in str(found_)
    assert "not tried: SRP, 4 steps first: expected this, found that" in str(found_)
