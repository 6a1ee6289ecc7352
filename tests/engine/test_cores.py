"""Order `cores` of the engine against the naive twin, event by event (semantics, section 12)."""

from itertools import product

import numpy as np
import pytest
from support import twin
from support.cases import gemm
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.models import models_of
from support.networks import (
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_graph,
    random_pixels,
    skipping_graph,
)
from support.twin_cores import ARBITRATIONS, run_cores
from support.ways import STEPS, assert_same

from eventsnn import InputError, convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.engine.event import layout
from eventsnn.exceptions import CoresTooSlow
from eventsnn.simulation import event
from eventsnn.simulation.batch import OF_CORES
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

TICKS = 1024
# (service, latency, more of time) in ticks
CASES = {
    "no time": ((0, 0), 0, {}),
    "by event": ((40, 0), 0, {}),
    "by weight": ((0, 1), 0, {"spread": 8}),
    "late": ((3, 2), 100, {"refractory": 256}),
    "free": ((8, 1), 0, {"barrier": False}),
    "free and late": ((1, 0), 700, {"barrier": False, "refractory": 1536, "spread": 4}),
}


def runs(seed, case, arbitration, model="if", make=random_graph, models=None, **options):
    """(simulation, its run, records, the twin's outcome, the twin's run) of the same image."""
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    (a, b), latency, more = CASES[case]
    time = {name: value / TICKS if name == "refractory" else value for name, value in more.items()}
    service = (a / TICKS, b / TICKS)
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        engine="event",
        neuron=model,
        time=Time(
            order="cores", service=service, latency=latency / TICKS, arbitration=arbitration, **time
        ),
        seed=5,
        pixel_range=pixel_range(pixels),
        **options,
    )
    recorder = Recorder()
    found = simulation.image(pixels[0], 3, recorder)
    ran = found.ran
    outcome, cores = run_cores(
        twin_net(ran),
        twin_drive(ran, pixels[0]),
        twin_start(ran),
        STEPS,
        (models or models_of)(ran),
        service=(a, b),
        latency=latency,
        arbitration=arbitration,
        seed=5,
        image=3,
        unit=1 << ran.arithmetic.finer,
        **more,
    )
    return ran, found, recorder.records(), outcome, cores


def assert_same_cores(simulation, found, records, outcome, cores):
    """Spikes, potentials, deliveries and their ticks, and all that is told of cores."""
    run, served = found.run, found.served
    assert_same(simulation, run, records, outcome)
    assert records[2][:, layout.D_TICK].tolist() == cores.ticks_of
    projections = [p for p in simulation.network.projections if p.source >= 0]
    q = (records[2][:, layout.D_PART] >> 3) - 1
    taken = outcome.deliveries[: len(q)]
    assert [(projections[i].source,) for i in q] == [(d.layer,) for d in taken]
    assert [(i,) for i in q] == [d.projections for d in taken]
    assert served.busy.tolist() == [core.busy for core in cores.cores]
    assert served.longest_queue.tolist() == [core.longest for core in cores.cores]
    assert served.end == cores.end and served.waiting.sum() == outcome.under_way
    classes = cores.classes
    rows = [classes[0]] + [b for a, b in zip(classes, classes[1:]) if a[1] != b[1]]
    assert served.classes[:, 1].tolist() == [found for _, found in rows]
    assert served.classes[-1, 0] == cores.last_class_since()
    assert found.under_way == outcome.under_way


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_engine_is_the_twin(case, arbitration):
    for seed, make in ((len(case), random_graph), (1, skipping_graph)):
        assert_same_cores(*runs(seed, case, arbitration, make=make))


@pytest.mark.long
@pytest.mark.parametrize("case, arbitration", [("late", "index"), ("free and late", "random")])
def test_st_bif_with_levels(case, arbitration):
    """Spikes of either sign; the second network has max pools, whose cores weigh nothing."""
    made = runs(2, case, arbitration, "st-bif", quantised_graph, encoding="even")
    assert_same_cores(*made)
    made = runs(2, case, arbitration, "st-bif", pooled_graph, encoding="even")
    assert_same_cores(*made)


@pytest.mark.long
@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("model", ["snm", "gn"])
def test_other_models(model, arbitration):
    for seed, case in product(range(3), CASES):
        make = pooled_graph if seed == 2 else quantised_graph
        assert_same_cores(*runs(seed, case, arbitration, model, make))


@pytest.mark.parametrize("seed", range(4))
def test_without_times_it_is_the_order_by_target_and_emission(seed):
    """Against the naive twin, whose order that is."""
    simulation, found, records, *_ = runs(seed, "no time", "fifo", make=skipping_graph)

    def by_target(net, spike):
        return [twin.Parcel(0, net.projections[k].target, (k,)) for k in net.outgoing(spike.layer)]

    rng = np.random.default_rng(seed)
    graph = skipping_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    outcome = twin.run_async(
        twin_net(simulation),
        twin_drive(simulation, pixels[0]),
        twin_start(simulation),
        STEPS,
        models_of(simulation),
        by_target,
    )
    assert_same(simulation, found.run, records, outcome)


def with_events(arbitration, **time):
    """A network that hears input events, its events, and its `Simulation`."""
    rng = np.random.default_rng(11)
    graph = random_graph(rng)
    c, h, w = graph.input_shape
    rows = sorted(
        (
            int(rng.integers(0, STEPS)),
            int(rng.integers(0, 4)) * 256,
            int(rng.integers(0, c * h * w)),
        )
        for _ in range(60)
    )
    events = np.array([[*row, rng.choice([-1, 1])] for row in rows])
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        engine="event",
        encoding=Encoding(kind="events", unit=1.5),
        inputs=[events],
        seed=5,
        time=Time(order="cores", arbitration=arbitration, **time),
    )
    return simulation, events


@pytest.mark.parametrize("arbitration", ["fifo", "random"])
def test_input_events_take_no_cores_time(arbitration):
    simulation, events = with_events(arbitration, service=(5 / TICKS, 0.0), latency=10 / TICKS)
    recorder = Recorder()
    found = simulation.image(events, 3, recorder)
    outcome, cores = run_cores(
        twin_net(simulation),
        [[part.tolist() for part in by_layer(simulation, simulation.bias)]] * STEPS,
        twin_start(simulation),
        STEPS,
        models_of(simulation),
        service=(5, 0),
        latency=10,
        arbitration=arbitration,
        seed=5,
        image=3,
        events=[tuple(row) for row in events.tolist()],
    )
    spikes, potentials, deliveries = recorder.records()
    deliveries = deliveries[deliveries[:, layout.D_SPIKE] >= 0]
    assert_same(simulation, found.run, (spikes, potentials, deliveries), outcome)
    assert deliveries[:, layout.D_TICK].tolist() == cores.ticks_of


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
def test_small_buffers_change_nothing(arbitration):
    simulation, found, *_ = runs(4, "free and late", arbitration)
    rng = np.random.default_rng(4)
    pixels = random_pixels(rng, random_graph(rng), 1)
    recorder = Recorder()
    drive = simulation.drive(pixels[0])
    run = simulation.engine.begin(drive, number=3, sink=recorder)
    small = {"delivery_record": run.state.delivery_record[:8].copy()}
    small["at_cores"], small["classes"] = run.state.at_cores.copy(), run.state.classes[:9].copy()
    run.state = run.state._replace(**small)
    queues = run.state.queues
    queues[:, 1] = 1  # rows of each
    run.run()
    assert np.array_equal(run.state.digests, found.run.state.digests)
    assert np.array_equal(run.served.longest_queue, found.served.longest_queue)
    assert np.array_equal(run.served.classes, found.served.classes)
    assert run.state.queues[:, 1].max() > 16


def test_memory_follows_the_work():
    """Queues are as long as what waits in them asks for, not as all spikes of a run would."""
    _, found, *_ = runs(4, "by event", "fifo")
    room = found.run.state.queues[:, 1]
    assert (room <= np.maximum(16, 4 * found.served.longest_queue + 4)).all()


def test_slow_cores_end_the_run_by_name(monkeypatch):
    simulation, *_ = runs(4, "free", "fifo")
    order = simulation.engine.order._replace(most=150, each=10**6)
    monkeypatch.setattr(simulation.engine, "order", order)
    rng = np.random.default_rng(4)
    pixels = random_pixels(rng, random_graph(rng), 1)
    name = simulation.network.layers[1].name
    words = rf"order 'cores': .* found more than 150 events .* busiest core is {name}: [1-9]"
    with pytest.raises(CoresTooSlow, match=words) as caught:
        simulation.run(pixels)
    assert caught.value.layers == (name,) and caught.value.waiting > 150
    monkeypatch.setattr(simulation.engine, "order", order._replace(most=10**9, fixed=2**50 - 1))
    with pytest.raises(CoresTooSlow, match="a service would end after 2.50 ticks"):
        simulation.run(pixels)


def test_what_a_result_says_of_cores():
    rng = np.random.default_rng(12)
    graph = skipping_graph(rng)
    pixels = random_pixels(rng, graph, 5)
    options = dict(engine="event", order="cores", service=(0.0, 1 / TICKS), steps=STEPS)
    network = convert(graph)
    result = network.run(pixels, labels=[0, 1, 2, 3, 0], **options)
    batch = result.batch
    assert batch.busy.shape == batch.longest_queue.shape == (5, len(network.layers))
    # with b = 1 tick a core is busy for as many ticks as it has operations
    assert np.array_equal(batch.busy, result.operations.sum(axis=2))
    assert (batch.undelivered == 0).all() and (batch.ended >= STEPS * TICKS).all()
    assert (result.latency <= batch.ended).all()
    last = result.predictions()
    for tick in (0, 1, 500, int(batch.ended.max()), 10**9):
        found = result.predictions_by(tick)
        settled = result.latency <= tick
        assert (found[settled] == last[settled]).all()
        assert result.accuracy_by(tick) == np.mean(found == result.labels)
    before = result.predictions_by(int(result.latency.min()) - 1) if result.latency.min() else None
    assert before is None or (before != last)[result.latency == result.latency.min()].all()
    rows = result.cores()
    assert [row["layer"] for row in rows] == [layer.name for layer in network.layers[1:]]
    assert all(0 <= row["busy"] <= 1 and row["longest"] >= row["queue"] for row in rows)
    for other in (network.run(pixels, batch=2, workers=2, labels=[0] * 5, **options),):
        assert all(
            np.array_equal(getattr(batch, name), getattr(other.batch, name)) for name in OF_CORES
        )
    with pytest.raises(InputError, match="cores: expected order='cores', found order='fifo'"):
        network.run(pixels, engine="event", steps=2).cores()


def test_the_readout_counts_from_a_step():
    """Its class is that of what counts; before, there is none."""
    rng = np.random.default_rng(13)
    graph = skipping_graph(rng)
    pixels = random_pixels(rng, graph, 3)
    result = convert(graph).run(
        pixels, engine="event", order="cores", service=(1 / TICKS, 0.0), steps=4, readout_from=2
    )
    starts = [result.simulation.image(pixels[i], i).run.starts[2] for i in range(3)]
    assert (result.latency >= starts).all()
    assert np.array_equal(result.predictions_by(10**9), result.predictions())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"service": (1.0,)}, "service: expected two numbers.*found 1"),
        ({"service": (0.0, -1.0)}, "service: expected numbers from 0 to 65,536"),
        ({"service": (0.0, 1 / 3), "ticks": 1000}, "service: expected whole ticks"),
        ({"latency": 1 / 3, "ticks": 1000}, "latency: expected whole ticks"),
        ({"arbitration": "best"}, "arbitration: expected one of fifo, index, round_robin, random"),
        ({"delays": 1.0}, "delays: expected another order, found order='cores'"),
        ({"group": 2}, "group: expected another order"),
        ({"window": 0.5}, "window: expected another order"),
        ({"jitter": "uniform:1"}, "jitter: expected order='jitter', found order='cores'"),
        ({"barrier": False}, "barrier=False: expected service or latency above 0"),
        ({"order": "fifo", "latency": 1.0}, "latency: expected order='cores', found order='fifo'"),
        ({"order": "lifo", "service": (1.0, 0.0)}, "service: expected order='cores'"),
        ({"order": "random", "arbitration": "index"}, "arbitration: expected order='cores'"),
        ({"neuron": "tpp"}, "TPP: expected no cores, found order='cores'"),
        ({"engine": "clocked"}, "order: expected engine='event'"),
    ],
)
def test_cores_that_make_no_sense(options, words):
    graph = random_graph(np.random.default_rng(306))
    image = np.zeros((1, *graph.input_shape), np.uint8)
    with pytest.raises(InputError, match=f"^[^\n]*{words}[^\n]*$"):
        convert(graph).run(image, **{"steps": 2, "engine": "event", "order": "cores", **options})


def test_services_that_are_too_long(monkeypatch):
    monkeypatch.setattr(event, "MOST_TICKS", 100)
    graph = random_graph(np.random.default_rng(306))
    image = np.zeros((1, *graph.input_shape), np.uint8)
    with pytest.raises(InputError, match="service: expected services of at most 2.50 ticks, found"):
        convert(graph).run(image, steps=2, engine="event", order="cores", service=(0.0, 1.0))


def test_a_network_without_neurons_has_nothing_to_serve():
    nodes = (Node("flat", "Flatten", ("x",)), gemm("out", "flat", [[1.0, 2.0]]))
    network = convert(Graph(nodes, "x", "out", (1, 1, 2)))
    with pytest.raises(InputError, match="order 'cores': expected a layer that fires, found none"):
        network.run(np.zeros((1, 1, 1, 2), np.uint8), steps=2, engine="event", order="cores")


@pytest.mark.long
@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("case", ["by weight", "by event"])
def test_confluence_and_the_anns_output(case, arbitration):
    """Laws 2 and 3: ST-BIF comes to the quantised ANN's output, however long cores take."""
    options = {"encoding": "even", "fraction_bits": 18}
    simulation, found, _, outcome, _ = runs(
        5, case, arbitration, "st-bif", quantised_graph, **options
    )
    rng = np.random.default_rng(5)
    pixels = random_pixels(rng, quantised_graph(rng), 1)
    net, limits = twin_net(simulation), [int(n) for n in simulation.neuron.limits]
    drive = twin_drive(simulation, pixels[0])
    totals = [
        None
        if all(step[n] is None for step in drive)
        else [sum(x) for x in zip(*(step[n] for step in drive if step[n] is not None))]
        for n in range(len(net.layers))
    ]
    S, readout = twin.equilibrium(
        net, totals, twin_start(simulation), [*limits, 0][: len(net.layers)]
    )
    assert outcome.memory[:-1] == S
    assert found.run.readout[-1].tolist() == readout
