"""ST-BIF and group neurons against the naive twin in both engines, and the laws that belong to
them.
"""

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.models import MODELS, MORE, models_of
from support.networks import (
    Builder,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
)
from support.ways import CASES, FEW_BITS, assert_same, both

from eventsnn import InputError, convert
from eventsnn.neurons.contract import emit, settle
from eventsnn.simulation.encoding import Encoding, events_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.explain import explain_spike
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import observe
from eventsnn.trace.replay import replay
from eventsnn.trace.trace import record

STEPS = 5
SOME_CASES = ("fifo", "inhibitory_first", "refractory, random", "window", "group")


def simulation_of(seed, model, make=quantised_graph, order_seed=0, **options):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 2)
    options = {"steps": STEPS, "seed": order_seed, **MODELS.get(model, {}), **options}
    if options.get("arithmetic", "fixed") == "fixed":
        options = {"fraction_bits": FEW_BITS, **options}
    return Simulation(
        convert(graph), neuron=model.split()[0], pixel_range=pixel_range(pixels), **options
    ), pixels


@pytest.mark.parametrize("arithmetic", ["fixed", "float64"])
@pytest.mark.parametrize("encoding", ["constant", "even"])
@pytest.mark.parametrize("model", [*MODELS, *MORE])
def test_the_clocked_engine_is_the_twin(model, encoding, arithmetic):
    if arithmetic == "float64" and (model == "gn of 6" or model in MORE):
        # a sixth of a threshold is another number for the twin, which keeps thresholds, than for
        # the engine, which keeps sixths
        return
    for seed in range(6):
        simulation, pixels = simulation_of(seed, model, encoding=encoding, arithmetic=arithmetic)
        batch = simulation.run(pixels[:1], neurons=True)
        outcome = twin.run_clocked(
            twin_net(simulation),
            twin_drive(simulation, pixels[0]),
            twin_start(simulation),
            STEPS,
            models_of(simulation),
        )
        for layer, (s, v) in enumerate(
            zip(by_layer(simulation, batch.counts[0]), by_layer(simulation, batch.potentials[0]))
        ):
            assert v.tolist() == list(outcome.potentials[layer])
            if layer < len(simulation.network.layers) - 1:
                assert s.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])]
        assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
        assert (batch.operations.sum(), batch.ties.sum()) == (
            outcome.synaptic_operations,
            outcome.equalities,
        )
        assert (
            batch.t_eq.tolist() == [outcome.t_eq] and batch.spikes.sum() == len(outcome.spikes) > 0
        )


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_the_event_engine_is_the_twin(case, model):
    the_event_engine_is_the_twin(case, model)


@pytest.mark.slow
@pytest.mark.parametrize("model", MORE)
@pytest.mark.parametrize("case", SOME_CASES)
def test_the_event_engine_is_the_twin_in_some_orders(case, model):
    the_event_engine_is_the_twin(case, model)


def the_event_engine_is_the_twin(case, model):
    assert_same(
        *both(
            100 + len(case),
            case,
            model.split()[0],
            make=quantised_graph,
            models=models_of,
            **MODELS.get(model, {}),
            encoding="even" if len(case) % 2 else "constant",
        )
    )


@pytest.mark.parametrize("model", [*MODELS, *MORE])
def test_order_clocked_is_the_clocked_engine(model):
    for seed, encoding in (
        (20, "constant"),
        (21, "even"),
        (22, Encoding(kind="even", release=2, bias_once=True)),
        (23, "rate"),
    ):
        clocked, pixels = simulation_of(seed, model, encoding=encoding)
        events, _ = simulation_of(
            seed, model, encoding=encoding, engine="event", time=Time(order="clocked")
        )
        a, b = clocked.run(pixels, neurons=True), events.run(pixels, neurons=True)
        for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), (seed, name)


def test_the_negative_threshold_counts_in_units_of_the_activation():
    """In fixed point it is rounded to the grid, and at least one unit of it."""
    simulation, _ = simulation_of(32, "signed:0.1")
    thetas = [layer.theta for layer in simulation.network.spiking]
    one = simulation.arithmetic.one.item()
    assert simulation.neuron.lows[:-1].tolist() == [round(0.1 / theta * one) for theta in thetas]
    assert len(set(thetas)) > 1 and simulation.neuron.band() == (-min(simulation.neuron.lows), one)
    coarse, _ = simulation_of(32, "signed", fraction_bits=4)
    assert coarse.neuron.lows[:-1].tolist() == [1] * len(thetas)
    floats, _ = simulation_of(32, "signed", arithmetic="float64")
    assert floats.neuron.lows[:-1].tolist() == [1e-3 / theta for theta in thetas]


def test_signed_neurons_need_one_threshold_a_layer():
    rng = np.random.default_rng(33)
    graph = quantised_graph(rng)
    names = [node.name for node in graph.nodes if node.is_activation]
    given = {name: rng.uniform(0.5, 1.5, graph.shapes[name]) for name in names}
    network = convert(graph, thresholds=given)
    with pytest.raises(InputError, match="neuron Signed: expected one threshold for all neurons"):
        Simulation(network, steps=2, neuron="signed", pixel_range=(0, 1))


def test_bursts_are_integrate_and_fire_without_a_clock_and_of_one():
    """An evaluation goes on until p < theta; in clocked time bursts of 1 are IF."""
    orders = [{"engine": "event", "time": Time(order=order)} for order in ("fifo", "random")]
    for model, way in [("burst:2", orders[0]), ("burst:2", orders[1]), ("burst:1", {})]:
        one, pixels = simulation_of(31, model, pooled_graph, **way)
        other, _ = simulation_of(31, "if", pooled_graph, **way)
        a, b = one.run(pixels, neurons=True), other.run(pixels, neurons=True)
        assert a.spikes.sum() > 0
        for name in ("spikes", "operations", "counts", "t_eq"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("model", MODELS)
def test_threads_that_share_an_image_change_nothing(model):
    """Also behind pools, and where other parts' spikes come after drive has ended."""
    for seed in range(24, 28):
        simulation, pixels = simulation_of(
            seed, model, make=pooled_graph, encoding=Encoding(kind="even", release=1)
        )
        drive = simulation.drive(pixels[0])
        alone = simulation.engine.run(drive)
        assert alone.spikes[:, 1:].any()
        for threads in (2, 3):
            shared = simulation.engine.run(drive, threads=threads)
            for name in ("v", "s", "spikes", "operations", "ties", "readout"):
                assert np.array_equal(getattr(shared, name), getattr(alone, name)), (
                    seed,
                    threads,
                    name,
                )


def test_a_neuron_at_rest_meets_its_threshold_in_every_step():
    """Half a threshold is two spikes, in steps 1 and 2: p is q in step 2, and 0 from step 3 on."""
    b = Builder(np.random.default_rng(0), (1, 1, 1))
    conv = b.add(
        "Conv", ["input"], {"kernel_shape": [1, 1]}, {"W": np.ones((1, 1, 1, 1), np.float32)}
    )
    graph = b.graph(
        b.gemm(b.add("Flatten", [b.add("QCFS", [conv], {"lambda": 1.0, "levels": 4})]), 2)
    )
    pixels = np.full((1, 1, 1, 1), 0.5, np.float32)
    options = dict(steps=7, initial=0, encoding=Encoding(kind="even", release=1))
    options["fraction_bits"] = FEW_BITS
    for engine in ({}, {"engine": "event", "time": Time(order="clocked")}):
        batch = Simulation(
            convert(graph), neuron="st-bif", pixel_range=(0, 1), **options, **engine
        ).run(pixels)
        assert batch.spikes[0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0] and batch.ties[0].tolist() == [
            6,
            0,
        ]


def test_one_member_is_if():
    """Law 5: GN with tau = 1 is IF, in both engines."""
    for options in ({}, {"engine": "event"}):
        one, pixels = simulation_of(30, "gn", **{**options, "tau": 1})
        other, _ = simulation_of(30, "if", **options)
        a, b = one.run(pixels, neurons=True), other.run(pixels, neurons=True)
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in a.ARRAYS)


@pytest.mark.parametrize("levels", [4, 8])
def test_members_as_many_as_levels_are_the_quantised_network(levels):
    """Law 7: GN with tau = L, theta = lambda, is the QCFS network itself after one clocked step."""
    from eventsnn.ann import forward as ann

    for seed in range(40, 44):
        rng = np.random.default_rng(seed)
        graph = quantised_graph(rng)
        for node in graph.activations:
            node.attrs["levels"] = levels
        pixels = random_pixels(rng, graph, 8)
        result = convert(graph).run(pixels, steps=1, neuron="gn", tau=levels, arithmetic="float64")
        expected = ann.forward(graph, graph.preprocessing(pixels), dtype=np.float64)[graph.output]
        assert np.allclose(result.readout(), expected, rtol=0, atol=1e-9)


def test_the_staircases_of_gn_figure_2():
    """GN Fig. 2: the output of a single neuron after T = 4 steps against its constant input: T
    steps for IF, T * tau for tau members.
    """
    from eventsnn.neurons import GN

    one = 2**20
    for members in (1, 4):
        neuron = GN(one, members)
        inputs = np.arange(0, 1.3 * members * one, one // 8).astype(int).tolist()
        outputs = []
        for x in inputs:
            p, s = one // 2, 0
            for _ in range(4):
                p += x
                n = emit(neuron, 0, p, s)
                p, s = settle(neuron, p, n), s + n
            outputs.append(s)
        assert outputs == [min(max((4 * x + one // 2) // one, 0), 4 * members) for x in inputs]
        assert set(outputs) == set(range(4 * members + 1))


def test_even_release_needs_levels_or_a_number():
    rng = np.random.default_rng(50)
    graph = random_graph(rng)
    for node in graph.activations:
        object.__setattr__(node, "op", "ClippedRelu")
        node.attrs.clear()
        node.attrs["lambda"] = 1.0
    pixels = random_pixels(rng, graph, 1)
    with pytest.raises(InputError, match="levels"):
        convert(graph).run(pixels, encoding="even")
    with pytest.raises(InputError, match="quantised activation"):
        convert(graph).run(pixels, neuron="st-bif")
    assert (
        convert(graph).run(pixels, encoding=Encoding(kind="even", release=3), steps=6).spikes.sum()
        > 0
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": 0}, "tau: expected a whole number from 1"),
        ({"tau": 2.5}, "tau: expected a whole number from 1"),
        ({"encoding": "odd"}, "constant, even"),
        ({"srp": -1}, "srp: expected a whole number from 0"),
        ({"encoding": "rate", "bias_once": True}, "biases come in every step"),
        ({"initial": [np.zeros(3)]}, "one array for each"),
        ({"initial": float("nan")}, "-1000"),
    ],
)
def test_settings_that_make_no_sense(options, words):
    with pytest.raises(InputError, match=words):
        if "bias_once" in options:
            options = {"encoding": Encoding(kind=options["encoding"], bias_once=True)}
        simulation_of(1, "gn", **options)


def test_initial_potentials_can_be_arrays():
    simulation, pixels = simulation_of(60, "if")
    sizes = [layer.size for layer in simulation.network.spiking]
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-0.5, 0.9, n) for n in sizes]
    given, _ = simulation_of(60, "if", initial=arrays)
    outcome = twin.run_clocked(
        twin_net(given), twin_drive(given, pixels[0]), twin_start(given), STEPS, twin.IF()
    )
    assert given.run(pixels[:1]).readout[0].tolist() == [list(charge) for charge in outcome.readout]
    same, _ = simulation_of(60, "if", initial=[np.full(n, 0.5) for n in sizes])
    assert np.array_equal(same.run(pixels).readout, simulation.run(pixels).readout)
    assert (
        "given by neuron" in given.describe()["initial_potential"]
        and "0.5" in same.describe()["initial_potential"]
    )


# --- max pooling -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", ["if", "snm", *MODELS])
def test_pools_in_clocked_time_are_the_twins(model):
    for seed in range(70, 74):
        clocked, pixels = simulation_of(seed, model, pooled_graph)
        assert sum(layer.pools for layer in clocked.network.layers) == 3
        batch = clocked.run(pixels, neurons=True)
        outcome = twin.run_clocked(
            twin_net(clocked),
            twin_drive(clocked, pixels[0]),
            twin_start(clocked),
            STEPS,
            models_of(clocked),
        )
        assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
        assert (
            batch.spikes[0].sum() == len(outcome.spikes)
            and batch.operations[0].sum() == outcome.synaptic_operations
        )
        events, _ = simulation_of(
            seed, model, pooled_graph, engine="event", time=Time(order="clocked")
        )
        other = events.run(pixels, neurons=True)
        for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"):
            assert np.array_equal(getattr(batch, name), getattr(other, name)), (seed, name)


@pytest.mark.parametrize("model", ["if", "snm", *MODELS])
@pytest.mark.parametrize("case", CASES)
def test_pools_in_asynchronous_time_are_the_twins(case, model):
    assert_same(
        *both(
            100 + len(case),
            case,
            model.split()[0],
            make=pooled_graph,
            models=models_of,
            **MODELS.get(model, {}),
        )
    )


# --- SRP ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", ["if", "snm", *MODELS])
@pytest.mark.parametrize("make", [quantised_graph, pooled_graph])
def test_srp_in_clocked_time_is_the_twins(model, make):
    silenced = 0
    for seed, epsilon in ((80, 0.0), (81, 0.125), (82, 0.0), (83, -0.25)):
        simulation, pixels = simulation_of(seed, model, make, srp=3, srp_epsilon=epsilon)
        batch = simulation.run(pixels, neurons=True)
        net, start = twin_net(simulation), twin_start(simulation)
        one = simulation.arithmetic.one.item() * int(simulation.quanta[0] if "gn" in model else 1)
        for i in range(len(pixels)):
            if model == "st-bif" and epsilon:
                continue  # its thresholds differ from layer to layer, the twin takes one charge
            first, mask, second = twin.run_srp(
                twin.run_clocked,
                net,
                twin_drive(simulation, pixels[i]),
                start,
                3,
                STEPS,
                models_of(simulation),
                epsilon * one,
            )
            assert batch.masks[i].tolist() == [x for layer in mask for x in layer]
            assert batch.readout[i].tolist() == [list(charge) for charge in second.readout]
            assert batch.stage_one[i].sum(axis=1).tolist() == [
                len(first.spikes),
                first.synaptic_operations,
            ]
            assert (batch.spikes[i].sum(), batch.operations[i].sum()) == (
                len(second.spikes),
                second.synaptic_operations,
            )
            assert batch.potentials[i].tolist() == [x for layer in second.potentials for x in layer]
            silenced += (~batch.masks[i]).sum()
        events, _ = simulation_of(
            seed,
            model,
            make,
            srp=3,
            srp_epsilon=epsilon,
            engine="event",
            time=Time(order="clocked"),
        )
        other = events.run(pixels, neurons=True)
        for name in (
            "readout",
            "spikes",
            "operations",
            "ties",
            "counts",
            "potentials",
            "masks",
            "stage_one",
        ):
            assert np.array_equal(getattr(batch, name), getattr(other, name)), (seed, name)
    assert silenced


@pytest.mark.parametrize("case", ["fifo", "random", "excitatory_first", "refractory", "window"])
@pytest.mark.parametrize("model", ["if", "snm", "st-bif", "gn"])
def test_srp_in_asynchronous_time_is_the_twins(case, model):
    mine, others = CASES[case]
    simulation, pixels = simulation_of(
        90 + len(case), model, pooled_graph, srp=2, engine="event", order_seed=5, time=Time(**mine)
    )
    batch = simulation.run(pixels[:1], numbers=[3], neurons=True)
    first, mask, second = twin.run_srp(
        twin.run_async,
        twin_net(simulation),
        twin_drive(simulation, pixels[0]),
        twin_start(simulation),
        2,
        STEPS,
        models_of(simulation),
        **others,
    )
    assert batch.masks[0].tolist() == [x for layer in mask for x in layer] and not batch.masks.all()
    assert batch.readout[0].tolist() == [list(charge) for charge in second.readout]
    assert batch.stage_one[0].sum(axis=1).tolist() == [len(first.spikes), first.synaptic_operations]
    assert batch.spikes.sum() == len(second.spikes)


# --- input events ------------------------------------------------------------------------------


def input_events(rng, shape, count=30, steps=STEPS):
    """Rows (time, input index, sign), several at one time."""
    return [
        (t, int(rng.integers(np.prod(shape))), int(rng.choice([-1, 1])))
        for t in rng.integers(0, 8 * steps, count) / 8
    ]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("model", ["if", "st-bif"])
def test_input_events_are_the_twins(case, model):
    rng = np.random.default_rng(110)
    graph = pooled_graph(rng)
    mine, others = CASES[case]
    if "delays" in mine:
        return
    ticks = Time(**mine).resolved().ticks
    events = events_of(input_events(rng, graph.input_shape), graph.input_shape, STEPS, ticks)
    encoding = Encoding(kind="events", unit=0.5)
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        neuron=model,
        engine="event",
        seed=5,
        encoding=encoding,
        inputs=[events],
        time=Time(**mine),
    )
    batch = simulation.run([events], numbers=[3], neurons=True)
    outcome = twin.run_async(
        twin_net(simulation),
        twin_drive(simulation, events),
        twin_start(simulation),
        STEPS,
        models_of(simulation),
        events=[tuple(row) for row in events.tolist()],
        **others,
    )
    assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
    assert (
        batch.spikes.sum() == len(outcome.spikes)
        and batch.operations.sum() == outcome.synaptic_operations
    )
    assert batch.potentials[0].tolist() == [x for layer in outcome.potentials for x in layer]
    if case == "clocked":
        clocked = Simulation(
            convert(graph), steps=STEPS, neuron=model, encoding=encoding, inputs=[events]
        )
        other = clocked.run([events], neurons=True)
        assert all(
            np.array_equal(getattr(batch, name), getattr(other, name))
            for name in ("readout", "spikes", "counts", "potentials")
        )


def test_aer_arrays_and_rows_say_the_same():
    shape = 2, 4, 3
    rows = [(0.25, 0 * 12 + 1 * 3 + 2, 1), (0.5, 1 * 12 + 3 * 3 + 0, 1), (3.75, 5, 1)]
    aer = np.array(
        [(0.25, 2, 1, 0), (0.5, 0, 3, 1), (3.75, 2, 1, 0)],
        [("t", "f8"), ("x", "i2"), ("y", "i2"), ("p", "i1")],
    )
    assert np.array_equal(events_of(rows, shape, 4, 1024), events_of(aer, shape, 4, 1024))
    assert events_of(rows, shape, 4, 1024).tolist() == [
        [0, 256, 10, 1],
        [0, 512, 19, 1],
        [3, 768, 10, 1],
    ]
    one = np.array([(1.5, 2, 1, 1), (0.5, 0, 3, 0)], aer.dtype)
    assert events_of(one, (1, 4, 3), 4, 1024).tolist() == [[0, 512, 9, -1], [1, 512, 5, 1]]
    for bad, words in (
        ([(4.0, 0, 1)], "times from 0 to 4"),
        ([(0, 24, 1)], "inside 2x4x3"),
        ([(0, 1, 2)], "signs"),
        ([(1, 2)], "rows"),
        (np.zeros(2, [("t", "f8"), ("x", "i2")]), "no p, y"),
    ):
        with pytest.raises(InputError, match=words):
            events_of(bad, shape, 4, 1024)


def test_rate_coded_inputs_have_their_mean():
    """Each input fires with probability |x| / x_max: over many steps the drive is that of constant
    input.
    """
    simulation, pixels = simulation_of(120, "if", encoding="rate", steps=4000, arithmetic="float64")
    constant, _ = simulation_of(120, "if", arithmetic="float64")
    first = slice(0, simulation.network.layers[0].size)
    rows, expected = simulation.drive(pixels[0], 7)[:, first], constant.drive(pixels[0])[0, first]
    error = (rows.mean(axis=0) - expected) / (rows.std(axis=0) / np.sqrt(len(rows)))
    assert np.abs(error).max() < 5 and np.abs(error).std() < 1
    assert np.array_equal(rows, simulation.drive(pixels[0], 7)[:, first])
    assert not np.array_equal(rows, simulation.drive(pixels[0], 8)[:, first])


# --- the questions one asks of a run -----------------------------------------------------------


@pytest.mark.parametrize("model", ["if", "snm", "st-bif", "gn"])
def test_every_neuron_is_rebuilt_from_the_trace(model):
    """Microscope, causes and replay with pools and input events: what is rebuilt is what was
    recorded, or it raises.
    """
    rng = np.random.default_rng(110)
    graph = pooled_graph(rng)
    network = convert(graph)
    events = [input_events(rng, graph.input_shape, 60)]
    for order in ("fifo", "random", "excitatory_first"):
        result = network.run(
            events,
            steps=STEPS,
            engine="event",
            encoding=Encoding(kind="events", unit=0.7),
            neuron=model,
            order=order,
            fraction_bits=FEW_BITS,
        )
        trace, roots = result.trace(), set()
        for layer in (layer for layer in network.spiking if not layer.pools):
            for neuron in range(layer.size):
                seen = result.observe(layer.name, neuron)
                assert seen.fired == trace.of(layer.name, neuron)["sign"].sum()
        for seq in range(0, len(trace.spikes), 5):
            chain = explain_spike(trace, seq)
            roots.add(chain.root)
            assert [link.seq for link in chain.links][1:] == [
                trace.spikes["cause"][link.seq] for link in chain.links
            ][:-1]
        assert roots == {"drive", "input"}
        assert result.replay().first is None
    with pytest.raises(InputError, match="which pools"):
        result.observe(next(layer.name for layer in network.layers if layer.pools), 0)
    assert "one of" in str(pytest.raises(InputError, result.observe, "nowhere", 0).value)


def test_traces_with_masks_and_input_events_come_back_from_files(tmp_path):
    rng = np.random.default_rng(110)
    graph = pooled_graph(rng)
    events = events_of(input_events(rng, graph.input_shape, 60), graph.input_shape, STEPS, 1024)
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        engine="event",
        encoding="events",
        inputs=[events],
        srp=2,
        neuron="snm",
    )
    simulation.run([events], sinks=[TraceFile(tmp_path / "trace.h5", simulation, 0)])
    found, (_, expected) = read_trace(tmp_path / "trace.h5", simulation), record(simulation, events)
    for name in ("spikes", "deliveries", "input_deliveries", "mute", "inputs", "drive", "starts"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.mute.any() and len(found.input_deliveries) == 60
    assert replay(simulation, found, events).first is None
    with pytest.raises(InputError, match="another image"):
        replay(simulation, found, events[1:])
    silenced = int(np.flatnonzero(found.mute)[0])
    with pytest.raises(InputError, match="which SRP silenced"):
        layer = int(simulation.network.layer_of[silenced])
        observe(found, layer, silenced - int(simulation.network.first[layer]))


@pytest.mark.parametrize("kind", ["constant", "even", "rate", "events"])
def test_srp_may_take_longer_than_the_run(kind):
    """A first stage of more steps than T: its drive goes on as the encoding says, in both engines,
    and is not the last row again.
    """
    rng = np.random.default_rng(130)
    graph = quantised_graph(rng)
    images = random_pixels(rng, graph, 2)
    given, inputs = images, None
    if kind == "events":
        given = inputs = [
            events_of(input_events(rng, graph.input_shape, steps=3), graph.input_shape, 3, 1024)
            for _ in images
        ]
    batches = []
    for options in ({}, {"engine": "event", "time": Time(order="clocked")}):
        simulation = Simulation(
            convert(graph),
            steps=3,
            srp=8,
            encoding=kind,
            inputs=inputs,
            pixel_range=pixel_range(images),
            **options,
        )
        batches.append(simulation.run(given, neurons=True))
    for name in ("stage_one", "masks", "readout", "counts", "potentials"):
        assert np.array_equal(getattr(batches[0], name), getattr(batches[1], name)), name
    if kind == "rate":
        rows = simulation.drive(images[0], 0, 1)
        assert len(rows) == 8 and len(np.unique(rows, axis=0)) > 5
