"""A v(0) for each image: twin, both engines, slices and threads, and what refuses it."""

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.networks import (
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
    small_graph,
)
from support.ways import CASES, FEW_BITS, MODELS, STEPS, assert_same

import eventsnn
from eventsnn import Images, InputError, Simulation, Time, convert, errors, simulate
from eventsnn.export import nir
from eventsnn.simulation.beginnings import beginning
from eventsnn.trace.trace import Recorder, record

COUNT = 5


def starts_of(network, seed, count=COUNT):
    """v(0) of each image: one array [images, neurons] a layer."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-0.8, 0.95, (count, layer.size)) for layer in network.spiking]


def made(make, seed, **options):
    """(network, pixels of COUNT images, v(0) of each, Simulation)."""
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, COUNT)
    network = convert(graph)
    starts = starts_of(network, seed)
    options = {"steps": STEPS, "fraction_bits": FEW_BITS, "seed": 5, **options}
    simulation = Simulation(network, initial=starts, pixel_range=pixel_range(pixels), **options)
    return network, pixels, starts, simulation


def by_twin(simulation, starts, image, row, run=twin.run_clocked, **options):
    """The twin's outcome of an image from its row of v(0), rounded to 2^-F here."""
    one = simulation.arithmetic.one.item()
    v0 = [[round(v * one) for v in array[row].tolist()] for array in starts]
    v0 = [
        [0] * len(v) if layer.pools else v for v, layer in zip(v0, simulation.network.spiking)
    ] + [[0] * simulation.network.readout.size]
    net, drive = twin_net(simulation), twin_drive(simulation, image)
    return run(net, drive, v0, STEPS, **options), v0


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize(
    ("make", "seed"), [(random_graph, 1), (quantised_graph, 5), (pooled_graph, 2)]
)
def test_each_image_is_the_twins_from_its_own_row(make, seed, model):
    _, pixels, starts, simulation = made(make, seed, neuron=model)
    batch = simulation.run(pixels, neurons=True)
    for i, image in enumerate(pixels):
        outcome, _ = by_twin(simulation, starts, image, i, model=MODELS[model])
        assert batch.counts[i].tolist() == [n for layer in outcome.memory for n in layer]
        assert batch.readout[i].tolist() == [list(charge) for charge in outcome.readout]
    alike = Simulation(
        simulation.network,
        steps=STEPS,
        initial=[v[0] for v in starts],
        neuron=model,
        fraction_bits=FEW_BITS,
        pixel_range=simulation.pixel_range,
    ).run(pixels)
    assert np.array_equal(alike.digests[0], batch.digests[0])
    assert not np.array_equal(alike.digests[1:], batch.digests[1:])


@pytest.mark.parametrize("case", ["fifo", "random", "excitatory_first"])
def test_event_by_event_it_is_the_twin(case):
    mine, others = CASES[case]
    _, pixels, starts, simulation = made(random_graph, 3, engine="event", time=Time(**mine))
    batch = simulation.run(pixels, numbers=[3] * COUNT)
    for i, image in enumerate(pixels):
        outcome, v0 = by_twin(
            simulation, starts, image, i, twin.run_async, model=twin.IF(), **others
        )
        its = beginning(simulation, simulation.starts[i])
        assert twin_start(its) == v0
        recorder = Recorder()
        found = its.image(image, 3, recorder)
        assert_same(found.ran, found.run, recorder.records(), outcome)
        assert np.array_equal(found.order_digests, batch.order_digests[i])


@pytest.mark.parametrize("options", [{}, {"engine": "event", "order": "random"}])
def test_slices_threads_and_sets_keep_each_images_row(options):
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(3), graph, COUNT)
    network = convert(graph)
    starts = starts_of(network, 4)
    how = {"steps": STEPS, "fraction_bits": FEW_BITS, "neurons": True, **options}
    whole = simulate(network, pixels, initial=starts, **how)
    for workers, batch in ((1, 2), (2, 1), (4, 2)):
        other = simulate(network, pixels, initial=starts, workers=workers, batch=batch, **how)
        assert np.array_equal(other.digests, whole.digests)
        assert np.array_equal(other.batch.potentials, whole.batch.potentials)
    # rows go by place, whatever the images' numbers are
    indices, ends = np.arange(10, 10 + COUNT), pixel_range(pixels)
    images = Images("here", "test", indices, pixels, None, (), pixel_range=ends)
    rows = [v[[4, 1]] for v in starts]
    part = simulate(network, images.take(np.array([4, 1])), initial=rows, **how)
    every = simulate(network, images, initial=starts, **how)
    assert np.array_equal(part.digests, every.digests[[4, 1]])
    # one image, one row; the same as one array for all
    alone, same = (
        simulate(network, pixels[2:3], initial=v0, **how)
        for v0 in ([v[2:3] for v in starts], [v[2] for v in starts])
    )
    assert np.array_equal(alone.digests, same.digests)


def test_both_engines_agree_with_stages_and_in_64_bits():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(3), graph, COUNT)
    network = convert(graph)
    starts = starts_of(network, 6)
    for options in ({"srp": 2}, {"offset": 3}, {"readout_from": 1}):
        clocked, event = (
            simulate(network, pixels, steps=STEPS, initial=starts, **engine, **options)
            for engine in ({}, {"engine": "event", "order": "clocked"})
        )
        assert np.array_equal(clocked.digests, event.digests)
        assert np.array_equal(clocked.batch.readout, event.batch.readout)
        one = simulate(
            network,
            pixels[1:2],
            steps=STEPS,
            initial=[v[1] for v in starts],
            fraction_bits=clocked.simulation.arithmetic.fraction_bits,
            pixel_range=clocked.simulation.pixel_range,
            **options,
        )
        if "offset" not in options:  # whose limit follows from the largest v(0)
            assert np.array_equal(one.digests[0], clocked.digests[1])
    # far potentials leave 32 bits in asynchronous time; each image still has its row
    far = [v * np.linspace(1, 900, COUNT)[:, None] for v in starts]
    how = dict(engine="event", steps=STEPS, order="excitatory_first", fraction_bits=20)
    together = simulate(network, pixels, initial=far, **how)
    assert together.simulation.engine._wide is not None
    for i in range(COUNT):
        ends = together.simulation.pixel_range
        v0 = [v[i] for v in far]
        alone = simulate(network, pixels[i : i + 1], initial=v0, pixel_range=ends, **how)
        assert np.array_equal(alone.digests[0], together.digests[i])


def test_it_is_said_and_what_has_one_start_refuses_it():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(3), graph, 2)
    network = convert(graph)
    starts = starts_of(network, 4, 2)
    simulation = Simulation(
        network, steps=STEPS, initial=starts, engine="event", time=Time(), pixel_range=(-9, 9)
    )
    assert "by image and neuron" in simulation.describe()["initial_potential"]
    assert "by image and neuron" in str(simulate(network, pixels, initial=starts).conditions)

    def refused(words, run):
        with pytest.raises(InputError, match=words) as caught:
            run()
        assert "\n" not in str(caught.value)

    bad = [v.copy() for v in starts]
    bad[1][1, 0] = np.nan
    one_row, short = [v[:1] for v in starts], [v[:, 1:] for v in starts]
    for words, initial in (
        ("initial: expected a row for each of 2 images, found 1 rows of v.0.", one_row),
        (r"108, 64 neurons, found .*\(2, 107\).*all \[images, neurons\]", short),
        (r"found .*\(2, 108\), \(64,\)", [starts[0], starts[1][0]]),
        (r"found .*\(1, 108\), \(2, 64\)", [starts[0][:1], starts[1]]),
        (r"found .*\(2, 108\)\]", starts[:1]),
        ("initial: expected numbers from -1000 to 1000.*nan", bad),
        ("initial: expected numbers from -1000 to 1000.*found", [v * 1e6 for v in starts]),
    ):
        refused(words, lambda: simulate(network, pixels, steps=2, initial=initial))  # noqa: B023
    refused("initial: expected one v.0. for all images", lambda: record(simulation, pixels[0]))
    one = "one v.0. for all images, found initial with 2 rows, one for each; give one array"
    how = dict(steps=STEPS, initial=starts)
    refused(f"errors: expected {one}", lambda: errors.decompose(network, pixels, **how))
    refused(f"calibrate: expected {one}", lambda: eventsnn.calibrate(network, pixels, **how))
    refused("NIR: expected one v.0. for all", lambda: nir.check(simulation, "generic"))
    refused("rows: expected a number from 0 to 1", lambda: simulation.image(pixels[0], row=2))
    refused("a row for each of 1 images", lambda: simulation.image(pixels[0]))
    plain = Simulation(network, steps=STEPS, pixel_range=(-9, 9))
    refused("rows: expected a v.0. for each", lambda: plain.run(pixels, rows=[0, 1]))
    for rows in ([0.5, 1], ["a", "b"], 3):
        refused("rows: expected a number from 0", lambda: simulation.run(pixels, rows=rows))  # noqa: B023
    assert np.array_equal(
        simulation.image(pixels[0], row=1).s,
        simulation.run(pixels, rows=[1, 1], neurons=True).counts[0],
    )
