"""The event engine against the naive twin, event by event, and against the clocked engine."""

import numpy as np
import pytest
from numba import njit
from support import twin
from support.networks import pixel_range, pooled_graph, random_graph, random_pixels, skipping_graph
from support.ways import CASES, FEW_BITS, MODELS, STEPS, assert_same, both

from eventsnn import InputError, convert, load, load_images
from eventsnn.engine import hashing
from eventsnn.engine.overflow import Overflow
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.replay import play
from eventsnn.trace.trace import Recorder


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_the_engine_is_the_twin(case, model):
    for seed in (1, 2):
        assert_same(*both(100 * seed + len(case), case, model))


def test_a_window_that_ends_in_a_rest_keeps_its_step_open(monkeypatch):
    rest = {"window": 0.25, "refractory": 1.5}, {"window": 256, "refractory": 1536}
    monkeypatch.setitem(CASES, "rest", (rest[0], {"order": twin.fifo, **rest[1]}))
    simulation, run, *others = both(1, "rest", "if", make=skipping_graph)
    assert_same(simulation, run, *others)
    assert others[1].spikes[-1].tick > STEPS * 1024


@pytest.mark.slow
@pytest.mark.parametrize("case", ["fifo", "random", "excitatory_first"])
def test_the_engine_is_the_twin_in_floating_point(case):
    assert_same(*both(7, case, "if", "float64"))


@pytest.mark.parametrize("model", ["if", "snm"])
def test_with_potentials_of_64_bits_it_is_the_twin(model):
    """As many fraction bits as clocked time allows are too many for 32 bits without a clock."""
    found = both(2, "random", model, fraction_bits=None)
    assert found[0].arithmetic.dtype == np.int64
    assert_same(*found)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(200, 206))
def test_order_clocked_is_the_clocked_engine(seed, model):
    """Law 5: the two engines check each other, spike for spike."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph)
    network, options = convert(graph), {"steps": STEPS, "neuron": model, "neurons": True}
    options["fraction_bits"] = FEW_BITS
    clocked = network.run(pixels, **options).batch
    events = network.run(pixels, engine="event", order="clocked", **options).batch
    for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "digests"):
        assert np.array_equal(getattr(clocked, name), getattr(events, name)), name


@pytest.mark.parametrize("model", ["if", "snm", "gn"])
def test_digests_of_pools_and_members_are_those_of_order_clocked(model):
    """A pool sends several spikes in a step, and of a group several members fire."""
    rng = np.random.default_rng(5)
    graph = pooled_graph(rng)
    network, pixels = convert(graph), random_pixels(rng, graph, 3)
    clocked = network.run(pixels, steps=STEPS, neuron=model)
    events = network.run(pixels, steps=STEPS, neuron=model, engine="event", order="clocked")
    assert clocked.digests.any() and np.array_equal(clocked.digests, events.digests)


def test_order_clocked_is_the_clocked_engine_on_the_bundled_network():
    network, images = convert(load("sample")), load_images("sample", limit=3)
    for neuron in ("if", "snm"):
        clocked = network.run(images, steps=16, neuron=neuron, neurons=True).batch
        events = network.run(
            images, steps=16, neuron=neuron, neurons=True, engine="event", order="clocked"
        ).batch
        for name in ("readout", "spikes", "operations", "ties", "counts", "potentials"):
            assert np.array_equal(getattr(clocked, name), getattr(events, name)), name


@pytest.mark.parametrize(
    "options",
    [{"order": "random"}, {"order": "excitatory_first"}, {"order": "jitter", "window": 0.25}],
)
def test_workers_change_nothing(options):
    rng = np.random.default_rng(300)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 7)
    network = convert(graph)
    runs = [
        network.run(
            pixels, steps=STEPS, engine="event", seed=9, workers=w, batch=b, neurons=True, **options
        ).batch
        for w, b in ((1, 7), (2, 2), (4, 1))
    ]
    for other in runs[1:]:
        assert all(
            np.array_equal(getattr(runs[0], name), getattr(other, name)) for name in other.ARRAYS
        )


def test_recording_changes_nothing():
    rng = np.random.default_rng(301)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        engine="event",
        time=Time(order="random"),
        pixel_range=pixel_range(pixels),
    )
    quiet, loud = simulation.image(pixels[0]).run, simulation.image(pixels[0], sink=Recorder()).run
    assert np.array_equal(quiet.state.digests, loud.state.digests) and quiet.state.digests.any()


def test_a_full_record_of_deliveries_is_handed_over():
    """A delivery that takes the last row of the record may still fire; nothing is lost and nothing
    refused.
    """
    rng = np.random.default_rng(308)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph), steps=STEPS, engine="event", pixel_range=pixel_range(pixels)
    )
    recorder = Recorder()
    run = simulation.engine.begin(simulation.drive(pixels[0]), sink=recorder)
    run.state = run.state._replace(delivery_record=run.state.delivery_record[:8].copy())
    run.run()
    plain = simulation.image(pixels[0]).run
    assert np.array_equal(run.state.digests, plain.state.digests)
    assert len(recorder.records()[2]) == len(recorder.records()[0]) == plain.state.tallies[0].sum()


def test_seed_and_image_decide_the_random_order():
    rng = np.random.default_rng(302)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    network = convert(graph)
    run = {}
    for seed, number in ((0, 0), (0, 0), (1, 0), (0, 1)):
        simulation = Simulation(
            network,
            steps=8,
            engine="event",
            time=Time(order="random"),
            seed=seed,
            pixel_range=pixel_range(pixels),
        )
        digest = simulation.image(pixels[0], number).run.state.digests[0].tolist()
        assert run.setdefault((seed, number), digest) == digest
    assert run[0, 0] != run[1, 0] and run[0, 0] != run[0, 1]


@njit
def firsts(n):
    """Of how many among n seeds the first spike comes before the second."""
    return sum(
        [hashing.spike_hash(seed, 0, 0) < hashing.spike_hash(seed, 0, 1) for seed in range(n)]
    )


def test_random_ties_are_fair():
    """Of two spikes emitted together, either is delivered first with probability 1/2 (4 standard
    deviations).
    """
    n = 20_000
    assert abs(firsts(n) - n / 2) < 4 * np.sqrt(n) / 2


@njit
def splitmix64(x):
    return hashing.splitmix64(x)


def test_splitmix_is_the_published_one():
    """The first outputs of SplitMix64 from state 0 are those of its reference implementation."""
    assert splitmix64(np.uint64(0)) == 0xE220A8397B1DCDAF
    assert splitmix64(np.uint64(0x9E3779B97F4A7C15)) == 0x6E789E6AA1B965F4


def test_an_inner_kernel_refuses_python():
    """There is no machine code by which Python could call it, also once a kernel has had it
    compiled.
    """
    splitmix64(np.uint64(0))
    for state in np.uint64(0), 0:
        with pytest.raises(TypeError, match="splitmix64 can be called by kernels only"):
            hashing.splitmix64(state)


@pytest.mark.parametrize(("steps", "bits"), [(1, 20), (6, 24)])
def test_overflow_in_32_bits_repeats_in_64(steps, bits):
    """Excitatory first makes potentials fall far; the run must come out as if they had been wide
    all along.
    """
    rng = np.random.default_rng(303)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 2)
    network = convert(graph)
    settings = dict(
        steps=steps, engine="event", order="excitatory_first", initial=30.0, neurons=True
    )
    narrow = network.run(pixels, fraction_bits=bits, **settings)
    assert narrow.simulation.arithmetic.dtype == np.int32
    engine = narrow.simulation.engine
    engine.bounds = engine.bounds._replace(
        band=engine.bounds.band._replace(floor=np.int32(-(2**bits)))
    )
    again = narrow.simulation.run(pixels, neurons=True)
    assert narrow.simulation.engine._wide.arithmetic.dtype == np.int64
    for name in ("spikes", "counts", "potentials", "digests", "order_digests"):
        assert np.array_equal(getattr(again, name), getattr(narrow.batch, name))


def test_what_only_64_bits_hold_comes_out_whole():
    rng = np.random.default_rng(311)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    result = convert(graph).run(
        pixels, steps=6, engine="event", order="excitatory_first", neurons=True
    )
    run = result.simulation.image(pixels[0]).run
    assert result.simulation.arithmetic.dtype == np.int32 and np.abs(run.state.v).max() > 2**31
    assert np.array_equal(result.batch.potentials[0], run.state.v) and np.array_equal(
        result.batch.readout[0], run.readout
    )


def test_max_events_names_the_layers():
    rng = np.random.default_rng(304)
    graph = random_graph(rng)
    with pytest.raises(
        InputError, match=f"max_events = 5 .*still firing: .*{graph.activations[0].name}"
    ):
        convert(graph).run(random_pixels(rng, graph, 1), steps=STEPS, engine="event", max_events=5)


def test_the_queue_grows():
    """A first layer of 4,096 neurons that all fire at once is more than the queue begins with."""
    from support.networks import Builder

    b = Builder(np.random.default_rng(305), (1, 64, 64))
    graph = b.graph(
        b.gemm(b.add("Flatten", [b.activation(b.conv("input", 2, pads=[1, 1, 1, 1]), "QCFS")]))
    )
    graph.nodes[0].params["W"][:], graph.nodes[0].params["B"][:] = 0, 10
    network = convert(graph)
    readouts = []
    image = np.zeros((1, 1, 64, 64), np.uint8)
    for policy in ("fifo", "random"):
        result = network.run(image, steps=1, engine="event", order=policy, initial=0)
        size, theta = network.layers[0].size, network.layers[0].theta
        assert result.spikes[0, 0, 0] == size * int(10 / theta)
        assert result.spikes[0, 0, 0] > len(
            result.simulation.engine.begin(
                np.zeros(len(result.simulation.resting), np.int32)
            ).state.fifo
        )
        readouts.append(result.batch.readout.tolist())
    assert readouts[0] == readouts[1], "each spike arrives, none is written over by another"


@pytest.mark.parametrize(
    "bad",
    [
        {"order": "sideways"},
        {"order": "delays"},
        {"order": "clocked", "window": 0.5},
        {"order": "jitter", "jitter": "normal:1"},
        {"order": "jitter", "jitter": "uniform:x"},
        {"refractory": -1.0},
        {"window": float("nan")},
        {"delays": {("a", "b"): 1.0}},
        {"delays": [np.zeros(3)]},
        {"neuron": "izhikevich"},
    ],
)
def test_settings_that_make_no_sense(bad):
    graph = random_graph(np.random.default_rng(306))
    with pytest.raises(InputError):
        convert(graph).run(
            np.zeros((1, *graph.input_shape), np.uint8), steps=2, engine="event", **bad
        )


def test_orders_need_the_event_engine():
    graph = random_graph(np.random.default_rng(307))
    with pytest.raises(InputError, match="engine='event'"):
        convert(graph).run(np.zeros((1, *graph.input_shape), np.uint8), steps=2, order="random")


def test_drive_that_32_bits_cannot_add_safely_runs_in_64():
    """What one arrival brings must be less than the margin in which potentials are watched, or a
    sum could wrap unseen.
    """
    rng = np.random.default_rng(303)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph), steps=2, engine="event", pixel_range=pixel_range(pixels), fraction_bits=14
    )
    drive = simulation.drive(pixels[0])[0]
    drive[0] = simulation.engine.bounds.margin + 1
    with pytest.raises(Overflow, match="drive"):
        simulation.engine.begin(drive)
    _, trace = play(simulation, drive)
    assert simulation.arithmetic.dtype == np.int32 and trace.simulation.arithmetic.dtype == np.int64
    first = trace.of(0, 0)
    assert (
        len(first)
        == (int(simulation.resting[0]) + 2 * int(drive[0])) // simulation.arithmetic.one.item()
        > 10
    )


def test_drive_may_come_in_other_integers():
    """Kernels read it as the numbers that they compute in, whatever it is."""
    rng = np.random.default_rng(303)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph), steps=2, engine="event", pixel_range=pixel_range(pixels), fraction_bits=14
    )
    drive = np.repeat(simulation.drive(pixels[0]), 2, axis=0)
    runs = [
        simulation.engine.begin(each).run()
        for each in (drive, drive.astype(np.int64), np.asfortranarray(drive))
    ]
    assert drive.dtype == np.int32 and runs[0].readout.any()
    assert all(
        np.array_equal(run.readout, runs[0].readout)
        and np.array_equal(run.state.v, runs[0].state.v)
        for run in runs
    )
