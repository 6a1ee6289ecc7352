"""Sampled orders are runs of the engine, the same for any number of workers and after a kill; what
is said of the distribution of a class follows from them.
"""

import csv
from functools import cache

import numpy as np
import pytest
from support.networks import random_graph, random_pixels, skipping_graph

import eventsnn
from eventsnn import InputError, convert, order_sampling, simulate
from eventsnn.statistics import wilson
from eventsnn.studies import sampled_orders
from eventsnn.studies.certified import certify

LABELS = np.array([0, 1, 2])


@cache
def network(seed=5):
    return convert(random_graph(np.random.default_rng(seed)))


def pixels(count=3):
    return random_pixels(np.random.default_rng(7), network().graph, count)


def measured(**options):
    given = {"orders": 6, "steps": 5, "neuron": "snm", "seed": 3} | options
    return order_sampling.measure(network(), pixels(), **given)


@pytest.mark.parametrize("order", ["random", "priority"])
def test_each_order_is_the_run_with_its_seed(order):
    found = measured(order=order, labels=LABELS)
    assert found.order_seeds.tolist() == [[[3, 4, 5, 6, 7, 8]]]
    outputs = []
    for o, seed in enumerate(found.order_seeds[0, 0].tolist()):
        ran = simulate(
            network(), pixels(), engine="event", order=order, steps=5, neuron="snm", seed=seed
        )
        assert np.array_equal(found.readouts[:, 0, 0, o], ran.readout())
        assert np.array_equal(found.classes[:, 0, 0, o], ran.predictions())
        outputs.append(ran.readout())
    assert np.std(outputs, axis=0).max() > 0, "orders differ"


def test_encoding_seeds_and_orders_are_seeds_of_their_own():
    found = measured(orders=2, encoding="rate", encoding_seeds=2, fractions=[16, 12])
    assert (found.encoding_seeds, found.fractions) == ([3, 4], [16, 12])
    assert found.order_seeds.ravel().tolist() == list(range(3, 11))
    both = {"engine": "event", "order": "random", "steps": 5, "neuron": "snm"}
    for f, bits in enumerate(found.fractions):
        for seed in (3, 4):
            ran = simulate(
                network(), pixels(), encoding="rate", seed=seed, fraction_bits=bits, **both
            )
            simulation = ran.simulation
            other = simulation.reordered(int(found.order_seeds[seed - 3, f, 1]))
            assert (other.seed, other.order_seed) != (simulation.seed, simulation.order_seed)
            readout = other.run(pixels()).readout[:, -1]
            expected = other.output(readout, 5)
            assert np.array_equal(found.readouts[:, seed - 3, f, 1], expected)
            # the input is that of the encoding's seed, whatever the order's is
            own = [simulation.drive(image, 1) for image in pixels()]
            assert np.array_equal(own, [other.drive(image, 1) for image in pixels()])


def test_a_reordered_simulation_in_64_bits_keeps_its_seeds():
    """What overflows in 32 bits is run again in 64, in the same order and with the same input."""
    both = {"engine": "event", "order": "random", "steps": 5, "fraction_bits": 20}
    ran = simulate(network(), pixels(), seed=3, **both)
    simulation = ran.simulation
    expected = [simulation.reordered(s).run(pixels()).readout for s in (3, 4)]
    assert not np.array_equal(*expected)
    assert simulation.arithmetic.dtype == np.int32
    bounds = simulation.engine.bounds
    floor = np.int32(-(2**simulation.arithmetic.fraction_bits) // 4)
    simulation.engine.bounds = bounds._replace(band=bounds.band._replace(floor=floor))
    for _ in range(2):
        for seed, readout in zip((3, 4), expected):
            other = simulation.reordered(seed)
            assert np.array_equal(other.run(pixels()).readout, readout)
            assert other.engine._wide.order_seed == seed
            simulation.engine.share_wider(other.engine)


def test_workers_and_a_kill_change_nothing(tmp_path):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    found = measured(orders=25, kept=whole, workers=1)
    text = whole.read_text()
    assert len(text.splitlines()) == 1 + 3 * 25
    assert np.array_equal(measured(orders=25, workers=4).readouts, found.readouts)
    for end in (0, 30, len(text) // 2, len(text) - 1, len(text)):
        cut.write_text(text[:end])  # killed there, also in the midst of a line
        again = measured(orders=25, kept=cut, workers=3)
        assert np.array_equal(again.readouts, found.readouts)
        rows = [sorted(csv.reader(path.read_text().splitlines())) for path in (cut, whole)]
        assert rows[0] == rows[1], "each order once"


def test_what_is_kept_is_not_run_again(tmp_path, monkeypatch):
    kept = tmp_path / "orders.csv"
    found = measured(kept=kept)
    monkeypatch.setattr("eventsnn.studies.drawn._run", None)
    assert np.array_equal(measured(kept=kept).readouts, found.readouts)
    with pytest.raises(InputError, match=r"orders.csv: expected orders of this network"):
        measured(kept=kept, initial=0.25)
    kept.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="orders.csv: expected orders of a readout of .*a, b"):
        measured(kept=kept)


def made(readouts, labels=None):
    """An `OrderSampling` of given readouts [N, O, K]."""
    readouts = np.asarray(readouts, float)[:, None, None]
    n, _, _, orders, _ = readouts.shape
    its = simulate(network(), pixels(1), engine="event", order="random", steps=5, neuron="snm")
    seeds = np.arange(orders)[None, None]
    numbers = np.arange(n)
    return order_sampling.OrderSampling(its.simulation, readouts, numbers, labels, [0], [0], seeds)


def with_classes(*counts):
    """Readouts in which image i has class k counts[i][k] times, by a margin of 2."""
    return [np.repeat(2 * np.eye(len(row)), row, axis=0) for row in counts]


def test_shares_intervals_and_stability_by_hand():
    found = made(with_classes((90, 10, 0), (0, 50, 50), (59, 41, 0), (61, 39, 0)))
    assert found.probabilities()[0].tolist() == [0.9, 0.1, 0]
    assert found.top.tolist() == [0, 1, 0, 0], "of equals the first"
    assert found.intervals()[0, 1].tolist() == list(wilson(10, 100))
    assert wilson(59, 100)[0] < 0.5 < wilson(61, 100)[0]
    assert found.stable.tolist() == [True, False, False, True]
    margins = found.margins()[0, 0, 0]
    assert np.count_nonzero(margins == 2) == 90 and np.count_nonzero(margins == -2) == 10
    row = found.rows()[0]
    assert (row["least"], row["greatest"], row["classes"]) == (-2, 2, 2)
    assert row["margin"] == pytest.approx(0.9 * 2 - 0.1 * 2)


def test_one_output_alone_has_two_classes():
    found = made(np.array([[[1.0], [2.0], [-3.0]], [[-1.0], [0.0], [5.0]]]))
    assert found.top.tolist() == [1, 0]
    assert found.margins()[:, 0, 0].tolist() == [[1, 2, -3], [1, 0, -5]]


def test_entropy_is_nearer_the_truth_than_that_of_shares():
    """Miller 1955: to first order the bias is that of the multinomial's classes."""
    p = np.array([0.5, 0.3, 0.2])
    truth = -(p * np.log2(p)).sum()
    counts = np.random.default_rng(0).multinomial(50, p, size=800)
    entropy, bias = made(with_classes(*counts)).entropy()
    assert bias == pytest.approx(np.full(800, -2 / (100 * np.log(2)))), "all three were seen"
    raw = (entropy + bias).mean() - truth
    assert raw == pytest.approx(bias.mean(), rel=0.35) and raw < 0
    assert abs(entropy.mean() - truth) < abs(raw) / 3
    one = made(with_classes((30, 0, 0))).entropy()
    assert (one[0][0], one[1][0]) == (0, 0)


def test_the_summary_counts_images():
    found = made(with_classes((90, 10), (10, 90), (100, 0)), np.array([0, 0, 1]))
    row = found.summary()
    assert (row["stable"], row["one class"], row["right"]) == (1, 1 / 3, 1 / 3)
    assert row["stable and right"] == 1 / 3
    assert row["accuracy"] == pytest.approx((0.9 + 0.1 + 0) / 3)
    assert row["P"] == pytest.approx((0.9 + 0.9 + 1) / 3)
    assert row["P low"] <= row["P"] <= row["P high"]
    assert "stable" in repr(found) and "P low" in found._repr_html_()


def test_components_of_what_was_varied():
    found = measured(orders=3, encoding="rate", encoding_seeds=2, fractions=[20, 18, 16])
    rows = {row["of"]: row for row in found.components(resamples=50)}
    assert list(rows) == list(sampled_orders.TERMS)
    assert [row["df"] for row in rows.values()] == [2, 3, 2, 4, 6, 36]
    margins = found.margins()
    assert rows["orders"]["variance"] == pytest.approx(margins.var(axis=3, ddof=1).mean())
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    few = [row["of"] for row in measured(orders=3).components(resamples=0)]
    assert few == ["images", "orders"]
    with pytest.raises(InputError, match="components: expected two images"):
        order_sampling.measure(network(), pixels(1), orders=2, neuron="snm").components()


def test_a_certified_class_is_that_of_every_sampled_order():
    certain = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        graph = skipping_graph(rng)
        its, images = convert(graph), random_pixels(rng, graph, 4)
        options = {"steps": 3, "neuron": "snm", "progress": False}
        classes = certify(its, images, **options).classes[:, -1]
        found = order_sampling.measure(its, images, orders=4, **options)
        for c, drawn in zip(classes, found.classes.reshape(4, -1)):
            assert c < 0 or (drawn == c).all()
            certain += c >= 0
    assert certain


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"orders": 1}, "orders: expected 2 or more"),
        ({"order": "fifo"}, "sampled orders: expected an order that draws .*order='fifo'"),
        ({"engine": "clocked"}, "order"),
        ({"neuron": "tpp"}, "hears everything before it fires"),
        ({"encoding_seeds": 2}, "encoding_seeds: expected an encoding that draws"),
        ({"encoding": "events"}, "encoding: expected images"),
        ({"fractions": [16, 16]}, "fractions: expected numbers of fraction bits, each once"),
        ({"fractions": [16], "fraction_bits": 16}, "fractions: expected no fraction_bits"),
        ({"fractions": [16], "arithmetic": "float64"}, "fractions: expected arithmetic='fixed'"),
        ({"fractions": [50]}, "fraction_bits"),
        ({"ordre": "random"}, "did you mean order"),
    ],
)
def test_what_cannot_be_sampled_is_said_in_a_line(options, words):
    with pytest.raises(InputError, match=words) as caught:
        measured(**options)
    assert "\n" not in str(caught.value)


def test_floating_point_is_sampled_too():
    found = measured(arithmetic="float64", neuron="if", steps=2)
    assert found.readouts.shape == (3, 1, 1, 6, network().readout.size) and found.fractions == [0]
    assert eventsnn.order_sampling is order_sampling
