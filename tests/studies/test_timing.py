"""Trains moved in time: what arrives is what the event engine records, the rest is what surgery and
`errors.cases` find.
"""

import numpy as np
import pytest
from support.networks import pooled_graph, quantised_graph, random_pixels

from eventsnn import InputError, convert
from eventsnn.studies import asynchronism, errors, surgery, timing
from eventsnn.studies.equivalence import arrived, excitation, staircases
from eventsnn.studies.setting import all_drive, numbers_of, tops_of
from eventsnn.studies.timing import heights


def network_of(seed, make=quantised_graph, images=3):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph, images)


@pytest.mark.parametrize(
    ("model", "make"), [("if", pooled_graph), ("snm", quantised_graph), ("gn:3", quantised_graph)]
)
def test_late_inhibition_is_what_the_event_engine_records(model, make):
    network, pixels = network_of(3, make)
    found = timing.measure(network, pixels, times="kept", steps=5, neuron=model)
    recorded = asynchronism.measure(network, pixels, steps=5, neuron=model, order="clocked")
    late = [row["late"] for row in found.layers]
    assert late == pytest.approx([row["late"] for row in recorded.layers]) and max(late) > 0
    rows = errors.cases(network, pixels, steps=5, neuron=model).layers
    for row, other in zip(found.layers, rows):
        assert {key: row[key] for key in other} == other
    plain = network.run(pixels, steps=5, neuron=model)
    assert np.array_equal(found.result.batch.digests, plain.batch.digests)
    assert found.layers[0]["overshoot"] == 0, "constant drive never turns"
    assert max(row["overshoot"] for row in found.layers) > 0


@pytest.mark.parametrize("times", surgery.TIMES)
def test_moved_layers_are_those_of_surgery(times):
    network, pixels = network_of(4, pooled_graph)
    labels = np.array([0, 1, 2])
    options = dict(times=times, steps=5, labels=labels, seed=3)
    found = timing.measure(network, pixels, **options)
    names = list(numbers_of(network))
    for k, name in enumerate(names):
        other = surgery.replace_layers(network, pixels, names[: k + 1], counts="own", **options)
        right = other.predictions() == labels
        assert found.hits[name].tolist() == right.tolist()
        assert found.layers[k]["accuracy"] == right.mean()
    for array in ("digests", "readout", "operations"):
        assert np.array_equal(getattr(found.result.batch, array), getattr(other.batch, array))


def test_the_mean_step_is_that_of_the_spikes():
    network, pixels = network_of(5)
    found = timing.measure(network, pixels, times="first", steps=6)
    spikes = found.result.spikes.sum(axis=0)[:-1]
    means = (spikes * np.arange(1, 7)).sum(axis=1) / spikes.sum(axis=1)
    assert [row["step"] for row in found.layers] == pytest.approx(means.tolist())


@pytest.mark.parametrize(
    ("drive", "excited", "inhibited", "expected"),
    [
        ([0, 0, 0], [4, 0, 0], [0, -1, -2], (3, 11, 8)),
        ([0, 0, 0], [4, 0, 1], [0, -1, -2], (0, 11, 9)),
        ([0, 0, 0], [4, 0, 0], [-9, 0, -2], (2, 2, 0)),
        ([1, 1, 1], [4, 0, 0], [0, -1, -4], (0, 12, 9)),
        ([-1, -1, -1], [4, 0, 0], [0, 0, -2], (4, 10, 6)),
        ([2, 0, 0], [0, 0, 0], [0, -1, -1], (2, 9, 7)),
        ([0, 0, 0], [0, 0, 5], [-1, -1, 0], (0, 10, 10)),
        ([-3, 0, 0], [0, 0, 0], [0, 0, 0], (3, 4, 4)),
    ],
)
def test_heights_by_hand(drive, excited, inhibited, expected):
    given = [np.array(each)[None, :, None] for each in (drive, excited, inhibited)]
    found = heights(*given, np.array([7]))
    assert tuple(each.item() for each in found) == expected


def test_the_overshoot_is_that_of_sums_of_charge():
    network, pixels = network_of(11, images=1)
    found = timing.measure(network, pixels, times="kept", steps=6)
    simulation = found.simulation
    outcome = simulation.image(pixels[0])
    one = simulation.arithmetic.one.item()
    sent = np.zeros((6, len(simulation.resting)), np.int64)
    for row, (name, i) in zip(found.layers, numbers_of(network).items()):
        assert row["layer"] == name
        here = network.columns(i)
        drive = np.arange(1, 7)[:, None] * outcome.drive[0, here].astype(np.int64)
        sums = simulation.resting[here] + drive + arrived(simulation, i, sent.cumsum(axis=0))
        worth = np.clip(sums // one, 0, 6)
        assert row["overshoot"] == pytest.approx((worth.max(axis=0) - worth[-1]).mean())
        sent[:, here] = surgery.train_of(simulation, outcome.run, i)
    assert max(row["overshoot"] for row in found.layers) > 0


@pytest.mark.parametrize("model", ["if", "snm"])
def test_excitation_is_what_the_event_engine_records(model):
    network, pixels = network_of(13, pooled_graph if model == "if" else quantised_graph, 1)
    recorded = asynchronism.measure(network, pixels, steps=7, neuron=model, order="clocked")
    simulation = timing.measure(network, pixels, times="kept", steps=7, neuron=model).simulation
    run = simulation.image(pixels[0]).run
    sent = np.zeros((7, len(simulation.resting)), np.int64)
    for i in range(len(network.spiking)):
        sent[:, network.columns(i)] = surgery.train_of(simulation, run, i)
    assert (sent < 0).any() == (model == "snm")
    for name, i in list(numbers_of(network).items())[1:]:
        brought = excitation(simulation, i, sent)
        assert brought.sum(axis=0).tolist() == recorded.neurons[name].excitation[0].tolist()
        assert ((brought >= 0) & (brought >= arrived(simulation, i, sent))).all()


def test_coherence_is_that_of_sums_over_synapses():
    """Neuron by neuron: the charge that each error alone would bring."""
    network, pixels = network_of(13, images=2)
    found = timing.measure(network, pixels, times="shuffled", steps=4, seed=5)
    simulation, batch = found.simulation, found.result.batch
    plain = surgery.replace_layers(
        network,
        pixels,
        list(numbers_of(network)),
        counts="own",
        times="shuffled",
        steps=4,
        seed=5,
        neurons=True,
    )
    assert np.array_equal(plain.batch.digests, batch.digests)
    half = simulation.arithmetic.one.item() // 2
    drives = np.stack([all_drive(simulation, image, n) for n, image in enumerate(pixels)])
    ann, _ = staircases(simulation, drives + half, tops_of(simulation))
    wrong = plain.batch.counts - ann
    one = simulation.arithmetic.one.item()
    for row, (name, i) in zip(found.layers, numbers_of(network).items()):
        here = network.columns(i)
        assert row["bias"] == pytest.approx(wrong[:, here].mean())
        together, alone = 0.0, 0.0
        for errors_of in wrong:
            each = np.diag(errors_of)[np.flatnonzero(errors_of)]
            brought = arrived(simulation, i, each) / one
            together += np.square(brought.sum(axis=0)).sum()
            alone += np.square(brought).sum()
        assert row["apart"] == pytest.approx(together / (2 * network.layers[i].size))
        if alone:
            assert row["coherence"] == pytest.approx(together / alone), name
        else:
            assert np.isnan(row["coherence"])
    assert found.layers[-1]["apart"] > 0


def test_some_images_are_looked_at_and_all_are_run():
    network, pixels = network_of(6, images=5)
    labels = np.zeros(5, np.int64)
    some = timing.measure(network, pixels, steps=4, labels=labels, look_at=2)
    whole = timing.measure(network, pixels, steps=4, labels=labels)
    two = timing.measure(network, pixels[:2], steps=4)
    keys = ("step", "late", "overshoot", "I", "II")
    for row, of_two, of_all in zip(some.layers, two.layers, whole.layers):
        assert [row[key] for key in keys] == [of_two[key] for key in keys]
        assert row["accuracy"] == of_all["accuracy"] and of_two["accuracy"] is None
    assert len(some.result) == 5 and some.looked_at == 2 and whole.looked_at == 5


def test_chunks_do_not_matter(monkeypatch):
    network, pixels = network_of(7, images=4)
    whole = timing.measure(network, pixels, steps=4, srp=2)
    for module in ("replacing", "looked"):
        monkeypatch.setattr(f"eventsnn.studies.{module}.CHUNK", 1)
    parts = timing.measure(network, pixels, steps=4, srp=2)
    for row, other in zip(whole.layers, parts.layers):
        assert row == pytest.approx(other, nan_ok=True)


def test_tables_and_words():
    network, pixels = network_of(8)
    found = timing.measure(network, pixels, steps=4, labels=np.array([0, 1, 2]))
    text = str(found.table())
    assert "times shuffled" in text and "times shuffled" in repr(found)
    assert "accuracy" in found.table()[0]
    assert "accuracy" not in timing.measure(network, pixels, steps=4).table()[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(times="late"), "times: expected one of kept, even, first, shuffled"),
        (dict(engine="event"), "engine 'clocked'"),
        (dict(neuron="tpp"), "declares holds = False"),
        (dict(look_at=0), "look_at"),
        (dict(arithmetic="float64"), "surgery: expected fixed point"),
    ],
)
def test_what_is_refused(options, words):
    network, pixels = network_of(9)
    with pytest.raises(InputError, match=words):
        timing.measure(network, pixels, **options)
