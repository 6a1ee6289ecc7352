"""Groups of deliveries (semantics, section 12). Against the twin they run in all of
`support.ways.CASES`.
"""

import numpy as np
import pytest
from support.cases import gemm, spiking
from support.networks import pixel_range, pooled_graph, random_graph, random_pixels

from eventsnn import InputError, convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.engine.event import layout
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import intervals
from eventsnn.trace.bounds import has_bounds
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import observe
from eventsnn.trace.replay import branch, play, replay, run_at
from eventsnn.trace.trace import Recorder

FLAT = Node("flat", "Flatten", ("x",))


def three_to_one(weights, **time):
    """Three neurons that fire in step 1, in index order, and the trace of what one makes of it."""
    count = len(weights)
    nodes = (
        FLAT,
        gemm("g", "flat", np.eye(count)),
        spiking("a", "g"),
        gemm("h", "a", [weights]),
        spiking("b", "h"),
        gemm("out", "b", [[1]]),
    )
    network = convert(Graph(nodes, "x", "out", (1, 1, count)))
    simulation = Simulation(network, steps=1, engine="event", initial=0, time=Time(**time))
    drive = np.zeros(len(simulation.resting), simulation.arithmetic.dtype)
    drive[:count] = simulation.arithmetic.one
    return play(simulation, drive)[1]


@pytest.mark.parametrize(
    "group, refractory, spikes",
    [
        (1, 0, [(1, 0), (2, 1)]),  # (event, cause)
        (2, 0, [(2, 1), (2, 1)]),
        (2, 1.0, [(2, 1)]),
        (3, 0, [(3, 2)]),
        (2**31 - 1, 0, [(3, 2)]),
    ],
)
def test_a_group_charges_and_is_evaluated_once(group, refractory, spikes):
    """Charges of 1, 1 and -1 thresholds."""
    trace = three_to_one([1, 1, -1], group=group, refractory=refractory)
    fired = trace.of("b")
    assert list(zip(fired["event"].tolist(), fired["cause"].tolist())) == spikes


def test_a_neuron_is_fired_by_the_last_delivery_that_reached_it():
    """The third delivery has a synapse to the first of two neurons, the fourth to none."""
    weights = [[1, 0, -0.5, 0], [1, 0, 0, 0]]
    nodes = (
        FLAT,
        gemm("g", "flat", np.eye(4)),
        spiking("a", "g"),
        gemm("h", "a", weights),
        spiking("b", "h"),
        gemm("out", "b", [[1, 1]]),
    )
    network = convert(Graph(nodes, "x", "out", (1, 1, 4)))
    simulation = Simulation(network, steps=1, engine="event", initial=0.5, time=Time(group=4))
    drive = np.zeros(len(simulation.resting), simulation.arithmetic.dtype)
    drive[:4] = simulation.arithmetic.one
    trace = play(simulation, drive)[1]
    # an explicit 0 of a Gemm is a synapse all the same (section 11)
    assert [(s["neuron"], s["cause"]) for s in trace.of("b")] == [(0, 3), (1, 3)]
    rows = observe(trace, "b", 0).arrivals
    assert rows["fired"].tolist() == [0, 0, 0, 0, 1] and rows["spike"][-1] == 3


def runs(seed=3, make=pooled_graph, steps=3, image=0, **options):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    time = {name: options.pop(name) for name in list(options) if hasattr(Time, name)}
    simulation = Simulation(
        convert(graph),
        steps=steps,
        engine="event",
        time=Time(**time),
        pixel_range=pixel_range(pixels),
        **options,
    )
    return simulation, pixels[image]


@pytest.mark.parametrize("group", [2, 2**31 - 1])
def test_small_buffers_change_nothing(group):
    """A unit of a pool changes by more spikes than there is room for, and so does a neuron."""
    simulation, pixels = runs(group=group, initial=40.0, fraction_bits=14)
    drive = simulation.drive(pixels)
    whole = simulation.engine.begin(drive, sink=Recorder()).run()
    recorder = Recorder()
    again = simulation.engine.begin(drive, sink=recorder)
    again.state = again.state._replace(heap=again.state.heap[:8], fifo=again.state.fifo[:8])
    again.run()
    assert np.array_equal(again.state.digests, whole.state.digests)
    spikes = recorder.records()[0]
    assert len(spikes) == whole.state.tallies[0].sum()
    assert group == 2 or spikes[:, layout.S_MEMBER].max() > 8


@pytest.mark.parametrize("order", ["fifo", "random", "excitatory_first"])
def test_a_run_goes_on_from_the_middle_of_a_group(order):
    simulation, pixels = runs(seed=5, make=random_graph, group=5, order=order)
    trace = play(simulation, simulation.drive(pixels))[1]
    whole = play(simulation, simulation.drive(pixels))[0]
    for number in range(1, len(trace.deliveries), 7):
        run = run_at(trace, number)
        assert run.state.at[run.state.at.argmin()] >= 0
        went_on = branch(run).run()
        assert np.array_equal(went_on.state.digests, whole.state.digests)


def test_traces_are_read_replayed_and_explained(tmp_path):
    simulation, pixels = runs(seed=5, make=random_graph, group=6, order="random")
    path = tmp_path / "trace-0.h5"
    simulation.run(pixels[None], sinks=[TraceFile(path, simulation, 0)])
    trace = read_trace(path, simulation)
    assert replay(simulation, trace, pixels).first is None
    caused = np.flatnonzero(trace.spikes["cause"] >= 0)
    later = 0
    for seq in caused[::9].tolist():
        spike = trace.spikes[seq]
        chain = explain_spike(trace, seq)
        assert chain.links[1].seq == spike["cause"]
        e = explain_neuron(trace, int(spike["layer"]), int(spike["neuron"]))
        assert e.in_steps is None and e.inhibition_first is None
        of_cause = trace.deliveries[trace.deliveries["spike"] == spike["cause"]]
        later += spike["event"] > of_cause["event"][-1]
    assert len(caused) > 20 and later
    assert not has_bounds(simulation)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"group": 0}, "group: expected a whole number from 1 to 2,147,483,647, found 0"),
        ({"group": -1}, "group: expected a whole number from 1"),
        ({"group": 1.5}, "group: expected a whole number from 1"),
        ({"group": 2, "window": 0.5}, "group: expected no window, .*found window=0.5"),
        ({"group": 2, "order": "clocked"}, "group: expected another order, found order='clocked'"),
        ({"group": 2, "neuron": "tpp"}, "TPP: expected .*found group=2"),
        ({"group": 2, "engine": "clocked"}, "group: expected engine='event'"),
    ],
)
def test_groups_that_make_no_sense(options, words):
    simulation = three_to_one([1, 1]).simulation
    image = np.zeros((1, 1, 1, 2), np.float32)
    with pytest.raises(InputError, match=f"^[^\n]*{words}[^\n]*$"):
        simulation.network.run(image, **{"steps": 2, "engine": "event", **options})


def test_the_command_line_refuses_in_its_own_words():
    with pytest.raises(InputError, match="^--group: expected no window, .* found --window 0.5"):
        Settings(engine="event", group=2, window=0.5)
    with pytest.raises(InputError, match="^--group: expected --engine event"):
        Settings(group=2)
    ids = [Settings(engine="event", **more).id("a") for more in ({}, {"group": 1}, {"group": 2})]
    assert ids[0] == ids[1] != ids[2]


def test_intervals_are_not_proven_for_them():
    with pytest.raises(InputError, match="expected neurons that answer every arrival .*group 4"):
        intervals.check(runs(group=4)[0])
