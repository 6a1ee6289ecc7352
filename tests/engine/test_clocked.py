"""The clocked engine against the naive twin, count for count, and the laws that hold in clocked
time.
"""

import time

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.networks import Builder, pixel_range, random_graph, random_pixels

from eventsnn import InputError, convert
from eventsnn.engine.clocked import driver as clocked_driver
from eventsnn.network.network import INPUT
from eventsnn.result import Simulation
from eventsnn.simulation import compile as tables
from eventsnn.simulation.encoding import Encoding, events_of
from eventsnn.simulation.time import Time

STEPS = 6


def simulation_of(seed, **options):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph)
    return Simulation(
        convert(graph), steps=STEPS, pixel_range=pixel_range(pixels), **options
    ), pixels


@pytest.mark.parametrize("arithmetic", ["fixed", "float64"])
@pytest.mark.parametrize("seed", range(14))
def test_the_engine_is_the_twin(seed, arithmetic):
    simulation, pixels = simulation_of(seed, arithmetic=arithmetic)
    batch = simulation.run(pixels[:1], neurons=True)
    outcome = twin.run_clocked(
        twin_net(simulation),
        twin_drive(simulation, pixels[0]),
        twin_start(simulation),
        STEPS,
        twin.IF(),
    )
    last = len(simulation.network.layers) - 1
    for layer, (s, v) in enumerate(
        zip(by_layer(simulation, batch.counts[0]), by_layer(simulation, batch.potentials[0]))
    ):
        if layer != last:
            assert s.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])]
            assert batch.spikes[0, layer].tolist() == [
                sum(map(abs, spikes)) for spikes in outcome.counts[layer]
            ]
        assert v.tolist() == list(outcome.potentials[layer])
    assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
    assert batch.operations.sum() == outcome.synaptic_operations
    assert batch.ties.sum() == outcome.equalities
    assert batch.spikes.sum() > 0
    assert batch.digests[0].tolist() == outcome.digests(STEPS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "neuron, model", [("if", twin.IF()), ("snm", twin.SNM()), ("if-hard", twin.IFHard(0))]
)
def test_residual_blocks_are_the_twins(neuron, model):
    """ResNet-20's two blocks: an identity shortcut, and a strided one with a 1x1 convolution."""
    b = Builder(np.random.default_rng(15), (2, 6, 6))
    x = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])), "QCFS")
    y = b.activation(b.bn(b.conv(x, 4, pads=[1, 1, 1, 1])), "QCFS")
    x = b.activation(b.add("Add", [b.bn(b.conv(y, 4, pads=[1, 1, 1, 1])), x]), "QCFS")
    y = b.activation(b.bn(b.conv(x, 6, pads=[1, 1, 1, 1], strides=[2, 2])), "QCFS")
    short = b.bn(b.conv(x, 6, 1, strides=[2, 2]))
    x = b.activation(b.add("Add", [b.bn(b.conv(y, 6, pads=[1, 1, 1, 1])), short]), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [b.add("GlobalAveragePool", [x])])))
    pixels = random_pixels(np.random.default_rng(16), graph, 1)
    simulation = Simulation(
        convert(graph), steps=STEPS, neuron=neuron, pixel_range=pixel_range(pixels)
    )
    assert len(simulation.network.projections) == 8
    batch = simulation.run(pixels, neurons=True)
    outcome = twin.run_clocked(
        twin_net(simulation),
        twin_drive(simulation, pixels[0]),
        twin_start(simulation),
        STEPS,
        model,
    )
    for layer, s in enumerate(by_layer(simulation, batch.counts[0])[:-1]):
        assert s.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])] and s.any()
    assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
    assert batch.digests[0].tolist() == outcome.digests(STEPS)


@pytest.mark.parametrize("seed", range(20, 32))
def test_conservation(seed):
    """Law 1: v(T) = v(0) + everything that arrived - theta * S(T), exactly, for every neuron."""
    simulation, pixels = simulation_of(
        seed, initial=float(np.random.default_rng(seed).uniform(-1, 1))
    )
    batch = simulation.run(pixels, neurons=True)
    net = twin_net(simulation)
    for n, image in enumerate(pixels):
        counts = by_layer(simulation, batch.counts[n])
        potentials = by_layer(simulation, batch.potentials[n])
        arrived = [
            d.astype(object) * STEPS for d in by_layer(simulation, simulation.drive(image)[0])
        ]
        for p in net.projections:
            arrived[p.target] = arrived[p.target] + p.weights.astype(object) @ counts[
                p.source
            ].astype(object)
        for layer, start in enumerate(twin_start(simulation)):
            expected = (
                np.array(start, object)
                + arrived[layer]
                - simulation.arithmetic.one.item() * counts[layer].astype(object)
            )
            assert potentials[layer].tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(40, 46))
def test_weight_normalisation_is_threshold_balancing(seed):
    """Law 5: normalised weights and thresholds of 1 give the spikes of the weights as they are with
    thresholds theta.

    In exact arithmetic: thresholds are made powers of two, by which floats can be divided without
    rounding.
    """
    simulation, pixels = simulation_of(seed, arithmetic="float64")
    network = simulation.network
    balanced = twin_net(simulation)
    scale = [2.0 ** (k % 3 - 1) for k in range(len(network.layers) - 1)] + [1.0]
    for layer, factor in zip(balanced.layers, scale):
        layer.theta = factor
    for p in balanced.projections:
        p.weights = p.weights * scale[p.target]
    drive = [
        [np.asarray(d) * f for d, f in zip(step, scale)]
        for step in twin_drive(simulation, pixels[0])
    ]
    start = [[v * f for v in values] for values, f in zip(twin_start(simulation), scale)]
    outcome = twin.run_clocked(balanced, drive, start, STEPS, twin.IF())
    batch = simulation.run(pixels[:1], neurons=True)
    for layer, s in enumerate(by_layer(simulation, batch.counts[0])[:-1]):
        assert s.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])]


@pytest.mark.parametrize("seed", range(50, 54))
def test_workers_and_batches_change_nothing(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    network, pixels = convert(graph), random_pixels(rng, graph, 9)
    one = network.run(pixels, steps=STEPS, workers=1, batch=9, neurons=True).batch
    for workers, batch in ((2, 1), (3, 4), (5, 2)):
        other = network.run(pixels, steps=STEPS, workers=workers, batch=batch, neurons=True).batch
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.ARRAYS)


@pytest.mark.parametrize("neuron", ["if", "snm", "gn"])
@pytest.mark.parametrize("seed", range(4))
def test_threads_that_share_an_image_change_nothing(seed, neuron):
    simulation, pixels = simulation_of(seed, neuron=neuron)
    drive = simulation.drive(pixels[0])
    alone = simulation.engine.run(drive)
    for threads in (2, 3):
        shared = simulation.engine.run(drive, threads=threads)
        for name in ("v", "s", "spikes", "operations", "ties", "readout", "digests"):
            assert np.array_equal(getattr(shared, name), getattr(alone, name)), name
        for ours, theirs in zip(shared.begins.tolist(), alone.begins.tolist()):
            assert (
                shared.log[ours[0] : ours[-1]].tolist()
                == alone.log[theirs[0] : theirs[-1]].tolist()
            )
            assert np.diff(ours).tolist() == np.diff(theirs).tolist()
    batches = [batch for _, batch in simulation.stream(pixels[:1], workers=2)]
    assert len(batches) == 1 and batches[0].operations.sum() == alone.operations.sum() > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_log_without_room_is_made_longer(threads, monkeypatch):
    """64 sites that fire in each step, layer after layer: more than two blocks of them."""
    b = Builder(np.random.default_rng(3), (2, 8, 8))
    x = "input"
    for _ in range(6):
        x = b.activation(b.conv(x, 4, 3, pads=[1, 1, 1, 1]), "QCFS")
    graph = b.graph(b.gemm(b.add("Flatten", [x])))
    pixels = random_pixels(np.random.default_rng(4), graph, 1)
    simulation = Simulation(convert(graph), steps=STEPS, initial=3, pixel_range=pixel_range(pixels))
    drive = simulation.drive(pixels[0])
    enough, answers = simulation.engine.run(drive), []
    assert enough.spikes.sum() > 0

    kernel = clocked_driver.run_layers

    def watched(*args):
        answers.append(kernel(*args))
        return answers[-1]

    monkeypatch.setattr(clocked_driver, "FIRST_ROOM", 0)
    monkeypatch.setattr(clocked_driver, "run_layers", watched)
    simulation.engine._log_room = 0
    again = simulation.engine.run(drive, threads=threads)
    assert not all(answers) and all(answers[-threads:])
    for name in ("v", "s", "spikes", "operations", "ties", "readout"):
        assert np.array_equal(getattr(again, name), getattr(enough, name)), name


def test_a_thread_that_fails_stops_the_others():
    simulation, pixels = simulation_of(0)

    def kernel(net, work, fires):
        if work.part == 1:
            raise MemoryError
        for _ in range(100_000):  # a quarter of an hour, for the busiest machine
            if work.done[-1]:
                return False
            time.sleep(0.01)
        raise AssertionError("it waits for ever")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(clocked_driver, "run_layers", kernel)
        simulation.engine.run(simulation.drive(pixels[0]), threads=3)


def test_more_bits_come_closer_to_float64():
    """At F bits a weight is off by at most 2^-(F + 1), so potentials of a layer without history
    converge.
    """
    simulation, pixels = simulation_of(60, arithmetic="float64")
    exact = simulation.run(pixels, neurons=True)
    errors = []
    for bits in (6, 14, 24):
        rough, _ = simulation_of(60, fraction_bits=bits)
        batch = rough.run(pixels, neurons=True)
        first = slice(0, simulation.network.layers[0].size)
        total = batch.potentials[:, first] / 2.0**bits + batch.counts[:, first]
        errors.append(np.abs(total - exact.potentials[:, first] - exact.counts[:, first]).max())
        assert errors[-1] <= STEPS * 2.0 ** -(bits + 1)
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("seed", range(70, 76))
def test_the_bound_holds_and_is_used(seed):
    """No potential leaves the proven bound, and one more bit would not fit 32."""
    simulation, pixels = simulation_of(seed)
    arithmetic = simulation.arithmetic
    assert arithmetic.dtype == np.int32 and arithmetic.fraction_bits >= 20
    assert arithmetic.bound * 2.0 ** (arithmetic.fraction_bits + 1) > 0.9 * 2**31
    reached = (
        np.abs(simulation.run(pixels, neurons=True).potentials).max()
        / 2.0**arithmetic.fraction_bits
    )
    assert reached <= arithmetic.bound


def test_wide_potentials_where_32_bits_leave_too_few():
    rng = np.random.default_rng(80)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph)
    network = convert(graph)
    long = Simulation(network, steps=5000, pixel_range=pixel_range(pixels), fraction_bits=21)
    assert long.arithmetic.dtype == np.int64 and long.arithmetic.fraction_bits == 21
    same_f = Simulation(network, steps=8, pixel_range=pixel_range(pixels), fraction_bits=18)
    wide = Simulation(network, steps=8, pixel_range=pixel_range(pixels), fraction_bits=40)
    assert same_f.arithmetic.dtype == np.int32 and wide.arithmetic.dtype == np.int64
    assert long.run(pixels[:1]).spikes.sum() > 0
    with pytest.raises(InputError, match="fraction bits"):
        Simulation(network, steps=2**16, pixel_range=(-1e9, 1e9), fraction_bits=40)


@pytest.mark.slow
def test_float32_is_close_and_says_so():
    simulation, pixels = simulation_of(90, arithmetic="float32")
    exact, _ = simulation_of(90, arithmetic="float64")
    a, b = simulation.run(pixels, neurons=True), exact.run(pixels, neurons=True)
    assert a.readout.dtype == np.float32 and simulation.describe()["fraction_bits"] is None
    assert np.mean(a.counts == b.counts) > 0.95


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"steps": 2**17}, {"initial": float("nan")}, {"arithmetic": "float16"}]
)
def test_settings_that_make_no_sense(bad):
    with pytest.raises(InputError):
        Simulation(convert(random_graph(np.random.default_rng(1))), **({"steps": 4} | bad))


def test_images_that_do_not_fit():
    network = convert(random_graph(np.random.default_rng(2)))
    c, h, w = network.graph.input_shape
    with pytest.raises(InputError, match="shape"):
        network.run(np.zeros((1, c, h, w + 1), np.uint8))
    with pytest.raises(InputError, match="finite"):
        network.run(np.full((1, c, h, w), np.nan))
    with pytest.raises(InputError, match="labels from 0 to 3"):
        network.run(np.zeros((1, c, h, w), np.uint8), labels=np.array([4]))


def test_results_say_what_they_are():
    rng = np.random.default_rng(3)
    graph = random_graph(rng)
    result = convert(graph).run(random_pixels(rng, graph, 5), labels=np.zeros(5, int), steps=4)
    said = repr(result)
    assert all(words in said for words in ("5 images, ", "; T = 4; ", "fixed point"))
    assert [row["T"] for row in result.table()] == [1, 2, 4] and "<table>" in result._repr_html_()
    assert result.accuracy(2) == np.mean(result.predictions(2) == 0)
    assert result.rates().shape == (len(result.network.spiking),) and (result.rates() <= 1).all()
    assert np.array_equal(result.readout().argmax(axis=1), result.predictions())
    with pytest.raises(InputError, match="step"):
        result.readout(5)


@pytest.mark.parametrize("engine", ["clocked", "event"])
@pytest.mark.parametrize("seed", range(4))
def test_tables_hold_each_weight_once_however_they_are_filled(seed, engine, monkeypatch):
    """Also where spikes can be negative: there are no negated copies."""
    whole, pixels = simulation_of(seed, neuron="snm", engine=engine)
    blocks = [p.map.blocks.size for p in whole.network.projections if p.source != INPUT]
    assert (
        whole.engine.tables.weights.size == sum(blocks)
        and whole.engine.tables.weights.dtype == whole.arithmetic.dtype
    )
    for chunk in (1, 50):
        monkeypatch.setattr(tables, "CHUNK", chunk)
        parts, _ = simulation_of(seed, neuron="snm", engine=engine)
        assert all(np.array_equal(a, b) for a, b in zip(whole.engine.tables, parts.engine.tables))


def test_lists_of_negative_spikes_may_be_long():
    """Of 1,500 channels that fire 1,350 take it back in one step, more than a list holds; the event
    engine has no lists.
    """
    rng, size = np.random.default_rng(8), 1500
    b = Builder(rng, (size, 1, 1))
    conv = b.add(
        "Conv",
        ["input"],
        {"kernel_shape": [1, 1], "group": size},
        {"W": np.ones((size, 1, 1, 1), np.float32)},
    )
    graph = b.graph(
        b.gemm(b.add("Flatten", [b.add("QCFS", [conv], {"lambda": 1.0, "levels": 4})]), 5)
    )
    signs = np.where(np.arange(size) % 10, -1, 1)
    rows = [(0, c, 1) for c in range(size)] + [
        (step, c, signs[c]) for step in (1.5, 2.5) for c in range(size)
    ]  # a tenth fires on
    events = [events_of(rows, (size, 1, 1), STEPS, 1024)]
    options = {
        "steps": STEPS,
        "neuron": "snm",
        "initial": 0,
        "encoding": Encoding(kind="events"),
        "inputs": events,
    }
    clocked = Simulation(convert(graph), **options)
    batch, same = (
        simulation.run(events, neurons=True)
        for simulation in (
            clocked,
            Simulation(convert(graph), engine="event", time=Time(order="clocked"), **options),
        )
    )
    assert (batch.spikes[0, 0, 1], batch.counts[0, :size].sum()) == (size, size // 10 * 3)
    for name in ("readout", "spikes", "operations", "counts", "potentials"):
        assert np.array_equal(getattr(batch, name), getattr(same, name)), name
