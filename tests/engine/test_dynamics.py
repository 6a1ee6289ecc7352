"""Models with a leak, states, weighted spikes, firing times and stages (semantics, section 13).

Both engines are the naive twin, event by event; and the laws that the models declare.
"""

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.dynamic import ALIKE_IN_EVENTS, DYNAMIC, IN_FLOATS, STAGED, some
from support.networks import (
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
)
from support.ways import CASES, FEW_BITS, assert_same, both, in_case

from eventsnn import InputError, convert, simulate
from eventsnn.engine.event import layout
from eventsnn.neurons.contract import worth
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.trace import Recorder, record

STEPS = 4
ORDERS = ("fifo", "lifo", "index", "random", "excitatory_first", "inhibitory_first", "clocked")


def simulation_of(seed, model, make=random_graph, steps=STEPS, **options):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 2)
    options = {"seed": 5, **options}
    if options.get("arithmetic", "fixed") == "fixed":
        options = {"fraction_bits": FEW_BITS, **options}
    network = convert(graph)
    ends = pixel_range(pixels)
    return Simulation(network, steps=steps, neuron=model, pixel_range=ends, **options), pixels


def graphs(model):
    """Spikes of changing worth cannot be pooled."""
    return random_graph if model in ("weighted", "phase:3") else pooled_graph


def staged_graphs(model):
    return (random_graph, pooled_graph) if model == "tpp" else (quantised_graph,)


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["fixed", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize("model", some(DYNAMIC, ALIKE_IN_EVENTS))
@pytest.mark.parametrize("case", CASES)
def test_the_event_engine_is_the_twin(case, model, arithmetic):
    if arithmetic != "fixed" and model not in IN_FLOATS:
        return  # such a model counts in whole numbers
    mine, twins = DYNAMIC[model]
    make = graphs(model) if len(case) % 2 else random_graph
    assert_same(*both(200 + len(case), case, mine, arithmetic, make, twins))


@pytest.mark.parametrize("encoding", ["constant", "even", "rate"])
@pytest.mark.parametrize("model", some(DYNAMIC))
def test_the_clocked_engine_is_the_twin(model, encoding):
    mine, twins = DYNAMIC[model]
    if encoding == "even":
        encoding = Encoding(kind="even", release=2)
    for seed in range(3):
        simulation, pixels = simulation_of(seed, mine, graphs(model), encoding=encoding)
        batch = simulation.run(pixels[:1], neurons=True)
        outcome = twin.run_clocked(
            twin_net(simulation),
            twin_drive(simulation, pixels[0]),
            twin_start(simulation),
            STEPS,
            twins(simulation),
        )
        for layer, v in enumerate(by_layer(simulation, batch.potentials[0])):
            assert v.tolist() == list(outcome.potentials[layer])
        for layer, s in enumerate(by_layer(simulation, batch.counts[0])[:-1]):
            assert s.tolist() == [sum(spikes) for spikes in zip(*outcome.counts[layer])]
        assert batch.readout[0].tolist() == [list(charge) for charge in outcome.readout]
        assert batch.operations.sum() == outcome.synaptic_operations
        assert batch.ties.sum() == outcome.equalities
        assert batch.spikes.sum() == len(outcome.spikes) > 0


@pytest.mark.parametrize("model", some(DYNAMIC, ALIKE_IN_EVENTS))
def test_order_clocked_is_the_clocked_engine(model):
    mine, _ = DYNAMIC[model]
    clocked, pixels = simulation_of(20, mine, graphs(model))
    events, _ = simulation_of(20, mine, graphs(model), engine="event", time=Time(order="clocked"))
    a, b = clocked.run(pixels, neurons=True), events.run(pixels, neurons=True)
    assert a.spikes.sum() > 0
    for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("options", [{}, {"engine": "event"}], ids=["clocked", "event"])
@pytest.mark.parametrize("model", [pytest.param("lif:1", marks=pytest.mark.long), "adaptive:0,0.5"])
def test_without_leak_or_rise_they_are_if(model, options):
    one, pixels = simulation_of(30, model, pooled_graph, **options)
    other, _ = simulation_of(30, "if", pooled_graph, **options)
    a, b = one.run(pixels, neurons=True), other.run(pixels, neurons=True)
    for name in ("spikes", "operations", "ties", "counts", "t_eq"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    if one.arithmetic.fraction_bits == other.arithmetic.fraction_bits:
        finer = one.arithmetic.finer
        assert np.array_equal(a.readout, b.readout.astype(np.int64) << finer)


def test_threads_that_share_an_image_change_nothing():
    for model in ("lif:0.7", "adaptive:0.3,0.6", "tpp"):
        simulation, pixels = simulation_of(24, model, pooled_graph)
        drive = simulation.drive(pixels[0])
        alone = simulation.engine.run(drive)
        shared = simulation.engine.run(drive, threads=3)
        for name in ("v", "s", "spikes", "operations", "ties", "readout", "own"):
            assert np.array_equal(getattr(shared, name), getattr(alone, name)), (model, name)


def test_charge_is_kept_where_a_model_says_so():
    """Law 1: what arrived is in the potential and in the spikes that were sent."""
    for model in ("adaptive:0.3,0.6", "tpp"):
        simulation, pixels = simulation_of(40, model, engine="event", time=Time(order="random"))
        found = simulation.image(pixels[0], 3)
        outcome = twin.run_async(
            twin_net(simulation),
            twin_drive(simulation, pixels[0]),
            twin_start(simulation),
            STEPS,
            twins_of(simulation, model),
            twin.random(5, 3),
        )
        q = simulation.arithmetic.one.item()
        arrived = [sum(charges) for charges in outcome.arrived[:-1]]
        for layer, (v, s) in enumerate(
            zip(by_layer(simulation, found.v)[:-1], by_layer(simulation, found.s)[:-1])
        ):
            start = sum(twin_start(simulation)[layer])
            assert v.sum() == start + arrived[layer] - q * s.sum()


def twins_of(simulation, model):
    if model == "tpp":
        return twin.TPP(5, 3)
    return DYNAMIC["adaptive"][1](simulation)


# --- two stages ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", some(STAGED, ALIKE_IN_EVENTS))
@pytest.mark.parametrize("case", ["fifo", "lifo", "halves", "jitter", "delays by neuron"])
def test_two_stages_are_the_twins(case, model):
    case = {"halves": "excitatory_first"}.get(case, case)
    for seed, make in enumerate(staged_graphs(model), start=50):
        rng = np.random.default_rng(seed)
        simulation, pixels = simulation_of(seed, model, make, engine="event")
        mine, others = in_case(case, simulation.network, rng)
        mine.pop("barrier", None), others.pop("barrier", None)
        simulation, _ = simulation_of(seed, model, make, engine="event", time=Time(**mine))
        recorder = Recorder()
        found = simulation.image(pixels[0], 3, recorder)
        outcome = twin.run_async(
            twin_net(simulation),
            twin_drive(simulation, pixels[0]),
            twin_start(simulation),
            STEPS,
            STAGED[model](simulation),
            **others,
        )
        first = simulation.network.first
        spikes, potentials, _ = recorder.records()
        assert len(spikes) == len(outcome.spikes) > 0
        for row, both_potentials, spike in zip(spikes, potentials, outcome.spikes):
            assert row[1:5].tolist() == [
                spike.tick,
                spike.step,
                first[spike.layer] + spike.neuron,
                spike.sign,
            ]
            assert both_potentials[:2].tolist() == [spike.v_before, spike.v_after]
        assert found.ties.sum() == outcome.equalities
        assert found.readout[-1].tolist() == list(outcome.readout[-1])
        assert not found.readout[:-1].any()
        assert found.operations.sum() == outcome.synaptic_operations
        for layer, v in enumerate(by_layer(simulation, found.v)):
            assert v.tolist() == list(outcome.potentials[layer])


@pytest.mark.parametrize("model", some(STAGED, ALIKE_IN_EVENTS))
def test_no_order_changes_two_stages(model):
    for make in staged_graphs(model):
        clocked, pixels = simulation_of(60, model, make)
        expected = clocked.run(pixels, neurons=True)
        assert expected.spikes.sum() > 0
        for order in ORDERS:
            events, _ = simulation_of(60, model, make, engine="event", time=Time(order=order))
            found = events.run(pixels, neurons=True)
            for name in ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"):
                assert np.array_equal(getattr(found, name), getattr(expected, name)), (order, name)


@pytest.mark.parametrize("model", some(name for name in STAGED if name != "tpp"))
def test_codes_send_what_all_their_charge_is_worth(model):
    """m = clip(floor(p / q), 0, top) of p before they fire; m q is sent, and p - m q is left."""
    simulation, pixels = simulation_of(65, model, quantised_graph)
    batch = simulation.run(pixels[:1], neurons=True)
    net, q = twin_net(simulation), simulation.arithmetic.one.item()
    heard = [np.array(v) for v in twin_start(simulation)]
    for step in twin_drive(simulation, pixels[0]):
        heard = [p + drive for p, drive in zip(heard, step)]
    left, sent = by_layer(simulation, batch.potentials[0]), 0
    for layer, p in enumerate(heard[:-1]):
        top = {"few-spike": 2**STEPS - 1, "tsc": STEPS, "ttfs": STEPS}.get(model)
        m = np.clip(p // q, 0, simulation.neuron.tops[layer] if top is None else top)
        assert left[layer].tolist() == (p - m * q).tolist()
        sent += m.sum()
        for projection in net.projections:
            if projection.source == layer:
                heard[projection.target] += projection.weights.astype(np.int64) @ m
    assert sent > 50 and batch.readout[0, -1].tolist() == heard[-1].tolist()


@pytest.mark.parametrize("model", some(("phase:3", "few-spike", "tsc"), ALIKE_IN_EVENTS))
@pytest.mark.parametrize("order", ["fifo", "random"])
def test_law_1_where_the_charge_of_a_spike_depends_on_the_step(model, order):
    """v(T) = v(0) + what arrived - the charges fired; a spike brings its targets what it cost."""
    make, time = (random_graph if model == "phase:3" else quantised_graph), Time(order=order)
    simulation, pixels = simulation_of(68, model, make, steps=7, engine="event", time=time)
    recorder = Recorder()
    found = simulation.image(pixels[0], 0, recorder)
    spikes = recorder.records()[0]
    fired = np.zeros(len(simulation.resting), np.int64)
    for step, neuron, sign in spikes[:, [layout.S_STEP, layout.S_NEURON, layout.S_SIGN]].tolist():
        fired[neuron] += sign * worth(simulation.neuron, step % 7 + 1)
    assert len({worth(simulation.neuron, step) for step in range(1, 8)}) > 2 and fired.any()
    sent, p = by_layer(simulation, fired), [np.array(v, np.int64) for v in twin_start(simulation)]
    for step in twin_drive(simulation, pixels[0]):
        p = [v if drive is None else v + drive for v, drive in zip(p, step)]
    for projection in twin_net(simulation).projections:
        p[projection.target] += projection.weights.astype(np.int64) @ sent[projection.source]
    left = np.concatenate(p) - simulation.arithmetic.one.item() * fired
    assert left.tolist() == found.v.tolist()
    assert left[-4:].tolist() == found.readout[-1].tolist()


def test_codes_may_begin_elsewhere_where_they_have_a_beginning():
    simulation, pixels = simulation_of(66, "ttfs", quantised_graph, initial=0)
    other, _ = simulation_of(66, "ttfs", quantised_graph)
    assert not simulation.resting.any() and other.resting.any()
    assert simulation.run(pixels).spikes.sum() < other.run(pixels).spikes.sum()
    with pytest.raises(InputError, match="FewSpike: expected v"):
        simulation_of(66, "few-spike", initial=0.5)
    sizes = [layer.size for layer in simulation.network.spiking]
    zeros = [np.zeros(n) for n in sizes]
    assert not simulation_of(66, "few-spike", initial=zeros)[0].resting.any()
    zeros[-1][-1] = 0.25
    with pytest.raises(InputError, match="FewSpike: expected v"):
        simulation_of(66, "few-spike", initial=zeros)


@pytest.mark.parametrize(
    ("model", "options", "match"),
    [
        ("radix", {"make": random_graph}, "for radix neurons"),
        ("radix", {"make": quantised_graph, "steps": 31}, "at most 30 steps"),
        ("few-spike", {"steps": 31}, "at most 30 steps"),
        ("phase", {"make": pooled_graph}, "without max pooling"),
        ("ttfs", {"make": pooled_graph}, "without max pooling"),
        ("phase:31", {}, "from 1 to 30"),
    ],
)
def test_what_codes_refuse(model, options, match):
    with pytest.raises(InputError, match=match):
        simulation_of(67, model, **options)


def test_tpp_tells_nothing_before_the_end():
    simulation, pixels = simulation_of(61, "tpp")
    result = simulate(simulation.network, pixels, steps=STEPS, neuron="tpp")
    assert result.readout().any() and len(result.table()) == 1
    with pytest.raises(InputError, match="4, the only one after which TPP tells"):
        result.predictions(2)
    with pytest.raises(InputError, match="a result after every step"):
        result.to_xarray()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"refractory": 1.0}, "no refractory period"),
        ({"window": 0.5}, "no refractory period and no window"),
        ({"barrier": False, "delays": 0.5}, "a barrier"),
        ({"srp": 2}, "one stage"),
        ({"initial": 0.5}, r"v\(0\) = 0"),
        ({"spread": 2}, "once a step, found spread=2; leave it out"),
        ({"group": 2}, "no groups, found group=2; leave it out"),
    ],
)
def test_what_tpp_refuses(options, match):
    simulation, pixels = simulation_of(62, "tpp")
    with pytest.raises(InputError, match=match):
        simulate(simulation.network, pixels, neuron="tpp", engine="event", **options)


# --- traces ----------------------------------------------------------------------------------


def test_a_trace_holds_the_states_before_and_after_each_spike(tmp_path):
    simulation, pixels = simulation_of(70, "adaptive:0.3,0.6", engine="event")
    _, trace = record(simulation, pixels[0], 3)
    spikes = trace.spikes
    spiking = np.array([not layer.pools for layer in simulation.network.layers])
    mine = spikes[spiking[spikes["layer"]]]
    assert len(mine) and (mine["a_after"] - mine["a_before"] == simulation.neuron.rise).all()
    assert (mine["a_before"] > 0).any()
    path = tmp_path / "trace.h5"
    simulation.image(pixels[0], 3, TraceFile(path, simulation, 3))
    assert np.array_equal(read_trace(path, simulation).spikes, spikes)


@pytest.mark.parametrize("model", ["lif:0.7", "adaptive:0.3,0.6"])
def test_a_recorded_run_is_played_again(model):
    simulation, pixels = simulation_of(71, model)
    result = simulate(
        simulation.network, pixels, steps=STEPS, neuron=model, engine="event", order="random"
    )
    again = result.replay()
    assert np.array_equal(again.trace.spikes["tick"], result.trace().spikes["tick"])


# --- studies ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["lif", "adaptive", "phase", *STAGED])
def test_studies_refuse_by_name_what_they_do_not_hold_for(model):
    from eventsnn import asynchronism, certified, errors, surgery

    simulation, pixels = simulation_of(80, model, quantised_graph)
    network, name = simulation.network, type(simulation.neuron).__name__
    studies = [
        lambda: errors.decompose(network, pixels, steps=4, neuron=model),
        lambda: errors.cases(network, pixels, steps=4, neuron=model),
        lambda: asynchronism.measure(network, pixels, steps=4, neuron=model),
        lambda: certified.certify(network, pixels, steps=4, neuron=model),
        lambda: surgery.costs(network, pixels, steps=4, neuron=model, labels=np.zeros(2, int)),
    ]
    if model in ("lif", "adaptive", "tpp"):  # each is compiled once more
        result = simulate(network, pixels, steps=4, neuron=model, engine="event")
        studies += [lambda: result.explain(0, 0), lambda: result.observe(0, 0)]
    for study in studies:
        with pytest.raises(InputError, match=f"{name}, which declares holds = False"):
            study()


def test_a_leaky_network_forgets():
    """A leak takes charge away: fewer spikes, and in a quiet step less potential."""
    plain, pixels = simulation_of(90, "if", steps=8)
    leaky, _ = simulation_of(90, "lif:0.5", steps=8)
    assert leaky.run(pixels).spikes[:, 0].sum() < plain.run(pixels).spikes[:, 0].sum()
