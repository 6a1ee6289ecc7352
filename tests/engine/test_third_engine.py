"""A third engine, the naive twin, behind the same options, stages and studies."""

import numpy as np
import pytest
from support.networks import pooled_graph, quantised_graph, random_graph, random_pixels
from support.twin_engine import Twin

import eventsnn
from eventsnn import InputError, convert, errors, simulate
from eventsnn.simulation.prepared import Engine
from eventsnn.simulation.simulation import ENGINES


@pytest.fixture(autouse=True)
def registered():
    eventsnn.register("engine", "twin", Twin)
    yield
    ENGINES.remove("twin")


@pytest.mark.parametrize("arithmetic", ["fixed", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"neuron": "snm"},
        {"neuron": "gn:3"},
        {"encoding": "rate", "seed": 3},
        {"srp": 3},
        {"srp": 5, "encoding": "rate", "seed": 4},
    ],
    ids=str,
)
def test_it_gives_what_the_clocked_engine_gives(options, arithmetic):
    for seed, make in ((0, random_graph), (1, quantised_graph), (2, pooled_graph)):
        rng = np.random.default_rng(seed)
        graph = make(rng)
        pixels = random_pixels(rng, graph, 2)
        network = convert(graph)
        given = dict(steps=4, arithmetic=arithmetic, neurons=True, **options)
        one = simulate(network, pixels, engine="clocked", **given).batch
        other = simulate(network, pixels, engine="twin", **given).batch
        for name in ("readout", "spikes", "counts", "potentials", "t_eq", "masks", "digests"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), (seed, name)
        assert one.operations.sum() == other.operations.sum()
        assert one.ties.sum() == other.ties.sum()
        if "srp" in options:
            assert np.array_equal(one.stage_one[:, 0], other.stage_one[:, 0])


def test_studies_run_on_it():
    rng = np.random.default_rng(5)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 2)
    network = convert(graph)
    one = errors.decompose(network, pixels, steps=4)
    other = errors.decompose(network, pixels, steps=4, engine="twin")
    assert str(one).replace("engine clocked", "engine twin") == str(other)


def test_what_it_does_not_declare_is_refused():
    rng = np.random.default_rng(6)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    network = convert(graph)
    result = simulate(network, pixels, steps=2, engine="twin")
    with pytest.raises(InputError, match="engine"):
        result.trace()
    with pytest.raises(InputError, match="engine 'clocked', found engine 'twin'|clocked"):
        eventsnn.surgery.costs(network, pixels, steps=2, engine="twin", labels=np.zeros(1, int))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"asynchronous": 1}, "asynchronous: True or False"),
        ({"image": Engine.image}, "the attribute 'image', found none"),
        ({"image": lambda self, picture: None}, r"image\(image, number, stage"),
        ({"records": None}, "records: True or False"),
    ],
)
def test_engines_without_the_declared_surface_are_refused(changes, match):
    wrong = type("Wrong", (Twin,), changes)
    with pytest.raises(InputError, match=match):
        eventsnn.register("engine", "wrong", wrong)
    with pytest.raises(InputError, match="a class"):
        eventsnn.register("engine", "wrong", lambda prepared: None)
    assert "wrong" not in ENGINES
