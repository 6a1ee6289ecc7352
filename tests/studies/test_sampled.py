"""Means with their intervals (semantics, section 15): images are what is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from support.networks import random_pixels, small_graph

import eventsnn
from eventsnn import statistics
from eventsnn.studies import asynchronism, cost, errors
from eventsnn.studies.sampled import Sample, with_intervals


def test_intervals_by_hand():
    """Two images, 0 and 1: a quarter of the resamples is 0, a quarter 1. A ratio 2 : 1 for every
    image has no width.
    """
    samples = {
        ("a", "mean"): Sample(np.array([0, 1])),
        ("a", "ratio"): Sample(np.array([2, 6]), np.array([1, 3])),
        ("b", "ratio"): Sample(np.array([1, 1]), np.array([0, 0])),
    }
    rows = [{"layer": "a", "mean": 0.5, "n": 9, "ratio": 2.0}]
    rows += [{"layer": "b", "mean": 7.0, "n": 9, "ratio": np.inf}]
    first, second = with_intervals(rows, [samples])
    assert list(first) == ["layer", "mean", "mean low", "mean high"] + [
        *("n", "ratio", "ratio low", "ratio high"),
    ]
    assert (first["mean"], first["mean low"], first["mean high"]) == (0.5, 0, 1)
    assert (first["ratio"], first["ratio low"], first["ratio high"]) == (2, 2, 2)
    assert (second["mean"], second["mean low"]) == (7, None), "no sample of that row"
    assert (second["ratio"], second["ratio low"]) == (np.inf, None)
    assert samples["a", "ratio"].mean == 2 and np.isnan(samples["b", "ratio"].mean)


def test_seeds_are_drawn_too():
    values = np.array([[0, 2, 4], [1, 3, 8]])
    samples = [{("a", "x"): Sample(each)} for each in values]
    (row,) = with_intervals([{"layer": "a", "x": 2.0}], samples, seed=3)
    expected = statistics.bootstrap(values, seed=3)
    assert (row["x"], row["x low"], row["x high"]) == expected[:3] and row["x"] == 3


def network(seed=0):
    """(spiking network, three images)."""
    graph = small_graph("QCFS")
    return eventsnn.convert(graph), random_pixels(np.random.default_rng(seed), graph, 3)


@pytest.mark.parametrize(
    ("study", "without"),
    [
        (lambda *given: errors.decompose(*given, steps=3), ("dead", "ann dead")),
        (lambda *given: errors.cases(*given, steps=3), ()),
        (
            lambda *given: asynchronism.measure(*given, steps=3),
            [f"{name} {r}" for name in asynchronism.PREDICTORS for r in ("r", "rho")],
        ),
    ],
)
def test_samples_are_what_each_image_alone_gives(study, without):
    """And their mean is the row's; all means have samples."""
    snn, pixels = network()
    found = study(snn, pixels)
    alone = [{row["layer"]: row for row in study(snn, pixels[[k]]).layers} for k in range(3)]
    for row in found.layers:
        means = row.keys() - {"layer", "neurons", "theta", *without}
        assert means == {column for layer, column in found.samples if layer == row["layer"]}
        for column in means:
            its = found.samples[row["layer"], column]
            assert its.mean == pytest.approx(row[column], nan_ok=True)
            over = np.ones(3) if its.divisor is None else its.divisor
            for k in np.flatnonzero(over):
                one = alone[k][row["layer"]][column]
                assert its.values[k] / over[k] == pytest.approx(one, abs=1e-12)


def test_costs_of_each_image():
    """Costs are linear: their mean is what the mean image costs."""
    snn, pixels = network()
    result = eventsnn.simulate(snn, pixels, steps=4)
    spikes, operations = (
        each.sum(axis=2).astype(float) for each in (result.spikes, result.operations)
    )
    found = cost.by_image(snn, spikes, operations)
    whole = cost.costs(snn, spikes.mean(axis=0), operations.mean(axis=0))
    for name, values in found.items():
        assert values.mean() == pytest.approx(whole[name])
        for k in range(3):
            assert values[k] == pytest.approx(cost.costs(snn, spikes[k], operations[k])[name])
    assert found.keys() == whole.keys() - {"ann_macs", "spikezip_ann_microjoule"}
    assert cost.spikezip_ann(snn) == whole["spikezip_ann_microjoule"]


def test_an_ann_that_is_silent_has_no_relative_error():
    """Where nothing is active the ratio has no interval, and the row says what it said."""
    graph = small_graph("QCFS")
    nodes = tuple(
        replace(node, params={name: 0 * value for name, value in node.params.items()})
        for node in graph.nodes
    )
    snn = eventsnn.convert(replace(graph, nodes=nodes))
    found = errors.decompose(snn, np.zeros((2, *graph.input_shape), np.float32), steps=2)
    for row in with_intervals(found.layers, [found.samples]):
        assert row["error"] == 0 and row["error low"] is None and row["total mean low"] == 0
