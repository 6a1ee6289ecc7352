"""ttfs-exact: one spike, whose tick is the value (semantics, section 13)."""

import numpy as np
import pytest
from support import twin, twin_codes
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.networks import pixel_range, pooled_graph, quantised_graph, random_pixels
from support.ways import in_case

import eventsnn
from eventsnn import InputError, convert, simulate
from eventsnn.ann.forward import forward
from eventsnn.engine.event import layout
from eventsnn.engine.event.order import CLOCKED, Order
from eventsnn.neurons import Setting, made, verify
from eventsnn.neurons.contract import NOWHERE
from eventsnn.neurons.exact_time import ExactTTFS
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

NAMES = ("readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq")
# potentials of 64 bits everywhere, so that one kernel serves
F = 30


def simulation_of(
    seed=65, steps=4, time=None, neuron="ttfs-exact", make=quantised_graph, **options
):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 2)
    options = {"fraction_bits": F, "seed": 5, "pixel_range": pixel_range(pixels), **options}
    if options.get("arithmetic", "fixed") != "fixed":
        del options["fraction_bits"]
    simulation = Simulation(
        convert(graph), steps=steps, engine="event", neuron=neuron, time=time, **options
    )
    return simulation, pixels


def in_the_twin(simulation, pixels, **others):
    """The twin's outcome of the same image."""
    steps, ticks = simulation.steps, simulation.time.ticks
    return twin.run_async(
        twin_net(simulation),
        twin_drive(simulation, pixels),
        twin_start(simulation),
        steps,
        twin_codes.ExactTTFS(steps, ticks),
        ticks_per_step=ticks,
        **others,
    )


def assert_same_run(simulation, pixels, **others):
    """The engine's run of an image is the twin's, event by event; returns its records."""
    recorder = Recorder()
    found = simulation.image(pixels, 3, recorder)
    outcome = in_the_twin(found.ran, pixels, **others)
    first = simulation.network.first
    records = recorder.records()
    spikes, potentials, deliveries = records
    assert len(spikes) == len(outcome.spikes) > 0
    for row, (before, after), spike in zip(spikes, potentials, outcome.spikes):
        place = first[spike.layer] + spike.neuron
        assert row[1:5].tolist() == [spike.tick, spike.step, place, spike.sign]
        assert (before, after) == (spike.v_before, spike.v_after)
    sent = [(first[d.layer] + d.neuron, d.nth) for d in outcome.deliveries]
    seqs = deliveries[:, layout.D_SPIKE]
    assert [(n, 0) for n in spikes[seqs, layout.S_NEURON].tolist()] == sent
    assert found.ties.sum() == outcome.equalities
    assert found.operations.sum() == outcome.synaptic_operations
    assert found.readout[-1].tolist() == list(outcome.readout[-1])
    assert found.digests.tolist() == outcome.digests(simulation.steps)
    for layer, v in enumerate(by_layer(simulation, found.v)):
        assert v.tolist() == list(outcome.potentials[layer])
    return records


@pytest.mark.parametrize(
    "case", ["fifo", "lifo", "random", "inhibitory_first", "jitter", "delays by neuron"]
)
def test_the_event_engine_is_the_twin(case):
    """Delays of up to a step and its ends prolong steps; neurons fire at ticks of their own."""
    for seed, steps in ((65, 4), (66, 1)):
        simulation, pixels = simulation_of(seed, steps)
        mine, others = in_case(case, simulation.network, np.random.default_rng(seed))
        mine.pop("barrier", None), others.pop("barrier", None)
        simulation, _ = simulation_of(seed, steps, Time(**mine))
        spikes, _, _ = assert_same_run(simulation, pixels[0], **others)
        assert len(set(spikes[:, layout.S_TICK].tolist())) > 20


@pytest.mark.parametrize("ticks", [1, 2, 7])
def test_with_few_ticks_it_is_the_twin_and_meets_thresholds(ticks):
    time = Time(ticks=ticks, order="delays", delays=3.0)
    simulation, pixels = simulation_of(67, 3, time, initial=0)
    twins = twin.PerNeuron([[3 * ticks] * layer.size for layer in simulation.network.layers])
    assert_same_run(simulation, pixels[0], order=twin.fifo, delays=twins)


@pytest.mark.parametrize(("steps", "ticks"), [(1, 1024), (4, 1024), (3, 5), (8, 1)])
def test_a_neuron_sends_its_charge_on_the_grid_of_ticks(steps, ticks):
    """m = clip(floor(p / q), 0, T n); m q is sent, p - m q is left; its tick is T n - m."""
    simulation, pixels = simulation_of(65, steps, Time(ticks=ticks))
    recorder = Recorder()
    batch = simulation.run(pixels[:1], neurons=True, sinks=[recorder])
    spikes, q = recorder.records()[0], simulation.arithmetic.one.item()
    at = dict(spikes[:, [layout.S_NEURON, layout.S_TICK]].tolist())
    net, first = twin_net(simulation), simulation.network.first
    heard = [np.array(v) for v in twin_start(simulation)]
    for step in twin_drive(simulation, pixels[0]):
        heard = [p + drive for p, drive in zip(heard, step)]
    left, levels = by_layer(simulation, batch.potentials[0]), set()
    for layer, p in enumerate(heard[:-1]):
        m = np.clip(p // q, 0, steps * ticks)
        assert left[layer].tolist() == (p - m * q).tolist()
        begins = simulation.depths[layer] * steps * ticks
        for neuron, worth in enumerate(m.tolist()):
            expected = begins + steps * ticks - worth if worth else None
            assert at.get(first[layer] + neuron) == expected
        levels |= set(m.tolist())
        for projection in net.projections:
            if projection.source == layer:
                heard[projection.target] += projection.weights.astype(np.int64) @ m
    assert len(levels) > min(20, steps * ticks // 2)
    assert batch.readout[0, -1].tolist() == heard[-1].tolist()


def test_with_one_tick_it_is_ttfs():
    exact, pixels = simulation_of(69, 4, Time(ticks=1))
    steps, _ = simulation_of(69, 4, Time(ticks=1), "ttfs")
    a, b = exact.run(pixels, neurons=True), steps.run(pixels, neurons=True)
    assert a.spikes.sum() > 50
    for name in NAMES:
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    finer, _ = simulation_of(69, 4)
    assert not np.array_equal(finer.run(pixels).readout, a.readout)


def test_no_order_and_no_delay_changes_what_is_sent():
    first, pixels = simulation_of(70, 2)
    expected = first.run(pixels, neurons=True)
    assert expected.spikes.sum() > 50
    times = [Time(order=o) for o in ("lifo", "index", "random", "excitatory_first")]
    times += [Time(order="jitter", jitter=j) for j in ("uniform:3", "exponential:0.7")]
    times.append(Time(order="delays", delays=2.5))
    for time in times:
        found = simulation_of(70, 2, time)[0].run(pixels, neurons=True)
        for name in NAMES:
            assert np.array_equal(getattr(found, name), getattr(expected, name)), (time, name)


@pytest.mark.parametrize("steps", [1, 3])
def test_with_fine_ticks_it_is_the_ann_clipped(steps):
    """The error is what rounding to theta / n makes, so it falls with n, at any T."""
    errors = []
    for ticks in (4, 64, 2**16):
        simulation, pixels = simulation_of(
            71, steps, Time(ticks=ticks), make=clipped_graph, arithmetic="float64"
        )
        output = simulation.output(simulation.run(pixels).readout[:, -1], steps)
        graph = simulation.network.graph
        x = graph.preprocessing(pixels, np.float64)
        ann = forward(graph, x, dtype=np.float64)[graph.output].reshape(output.shape)
        errors.append(np.abs(output - ann).max())
    assert 0.01 < errors[0] and errors[1] < errors[0] / 4 and errors[2] < 1e-4
    assert simulation.run(pixels).spikes.sum() > 50


def clipped_graph(rng):
    """`quantised_graph` with a clip in place of each stair."""
    graph = quantised_graph(rng)
    nodes = [
        eventsnn.Node(node.name, "ClippedRelu", node.inputs, {"lambda": node.attrs["lambda"]})
        if node.is_activation
        else node
        for node in graph.nodes
    ]
    return eventsnn.Graph(tuple(nodes), graph.input, graph.output, graph.input_shape)


def test_many_ticks_in_one_step_fit_64_bits():
    """The largest spike is as heavy as a step, and with T = 1 as all that ever comes."""
    for steps, ticks in ((1, 2**20), (2, 2**20), (16, 2**20)):
        simulation, pixels = simulation_of(72, steps, Time(ticks=ticks), fraction_bits=None)
        assert simulation.arithmetic.dtype == np.int64 and simulation.worth == steps * ticks
        found = simulation.run(pixels[:1], neurons=True)
        exact, _ = simulation_of(72, steps, Time(ticks=ticks), arithmetic="float64")
        other = exact.run(pixels[:1], neurons=True)
        outputs = [
            s.output(b.readout[0, -1], steps) for s, b in ((simulation, found), (exact, other))
        ]
        assert np.abs(outputs[0]).max() > 0.1
        np.testing.assert_allclose(*outputs, atol=1e-4)


def test_what_32_bits_do_not_hold_is_run_in_64_with_the_same_numbers():
    narrow, pixels = simulation_of(73, 4, Time(ticks=64), fraction_bits=16)
    assert narrow.arithmetic.dtype == np.int32
    found = narrow.run(pixels, neurons=True)
    again = narrow.wider().run(pixels, neurons=True)
    for name in NAMES:
        assert np.array_equal(getattr(found, name), getattr(again, name)), name


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"engine": "clocked"}, "asynchronous time, .* found engine='clocked'; choose engine"),
        ({"engine": "event", "order": "clocked"}, "asynchronous time, .* found order='clocked'"),
        ({"engine": "event", "order": Order(CLOCKED)}, "asynchronous time, .* found order"),
        ({"engine": "event", "refractory": 1.0}, "no refractory period"),
        ({"engine": "event", "spread": 2}, "once a step, found spread=2"),
        ({"engine": "event", "group": 2}, "no groups"),
        ({"engine": "event", "ticks": 2**20, "steps": 17}, "at most 16,777,216 ticks in all steps"),
        ({"engine": "event", "srp": 2}, "one stage"),
    ],
    ids=str,
)
def test_what_it_refuses_in_one_line(options, match):
    simulation, pixels = simulation_of()
    with pytest.raises(InputError, match=match) as caught:
        simulate(simulation.network, pixels, **{"steps": 4, **options}, neuron="ttfs-exact")
    assert "\n" not in str(caught.value)


def test_it_refuses_max_pools_and_another_engine():
    with pytest.raises(InputError, match="without max pooling"):
        simulation_of(make=pooled_graph)
    simulation, _ = simulation_of()
    with pytest.raises(InputError, match="asynchronous time"):
        simulation.on("clocked")


def test_a_recorded_run_is_played_again():
    simulation, pixels = simulation_of(71, 2)
    result = simulate(
        simulation.network, pixels, steps=2, neuron="ttfs-exact", engine="event", order="random"
    )
    again = result.replay()
    assert np.array_equal(again.trace.spikes["tick"], result.trace().spikes["tick"])
    assert np.array_equal(again.run.readout[-1], result.simulation.run(pixels[:1]).readout[0, -1])


# --- the contract --------------------------------------------------------------------------------


class Absolute(ExactTTFS):
    """It looks at the run's ticks, not at the step's."""

    __slots__ = ()

    @staticmethod
    def charge(neuron, here):
        return max(1, 100_000 - here.now)

    @staticmethod
    def settle(neuron, p, n, here):
        return p - n * neuron.q * max(1, 100_000 - here.now)


class Network:
    """Nothing that the models ask for."""


class Twice(ExactTTFS):
    """It fires again and again."""

    __slots__ = ()

    @staticmethod
    def emit(neuron, layer, p, s, here):
        return 1 if p >= neuron.q else 0


class Half(ExactTTFS):
    """Its spikes are worth no whole numbers."""

    __slots__ = ()

    @staticmethod
    def charge(neuron, here):
        return 0.5


def test_a_model_whose_worth_goes_by_the_tick_fires_once_and_whole_numbers():
    setting = Setting(np.int64(2**20), Network(), 1, 0, 1)
    assert made("ttfs-exact", setting) == (2**20, 1, 1)
    with pytest.raises(InputError, match="one spike, as its worth depends on the tick"):
        made(Twice, setting)
    with pytest.raises(InputError, match="charge: whole numbers from 0"):
        made(Half, setting)


def test_worth_that_hangs_on_other_than_the_own_step_is_found():
    result = verify(Absolute, quiet=True, compiled=False, networks=40)
    assert "stages" in result.broken
    assert verify("ttfs-exact", quiet=True, networks=40).holds


def test_a_neuron_that_fired_does_nothing_more():
    """As where its charge was clipped and what is left is all that another spike would take."""
    model, here = ExactTTFS(8, 2, 4), NOWHERE._replace(step=2, now=5, began=4, ticks=4)
    assert [ExactTTFS.tie(model, 0, 24, s, here) for s in (0, 1)] == [True, False]
    assert [ExactTTFS.emit(model, 0, 24, s, here) for s in (0, 1)] == [1, 0]
    assert [ExactTTFS.when(model, 0, 16, s, here) for s in (0, 1)] == [6, -1]
