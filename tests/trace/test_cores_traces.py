"""Traces of runs under cores (semantics, section 12): read, replayed, taken apart and explained."""

import numpy as np
import pytest
from support.networks import pixel_range, random_pixels, skipping_graph

from eventsnn import InputError, convert
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import observe
from eventsnn.trace.replay import Delay, Drop, begin, branch, play, replay, run_at

TIMES = {
    "fifo": {"service": (0.0, 1 / 1024), "latency": 0.125},
    "random": {"service": (3 / 1024, 0.0), "arbitration": "random", "refractory": 0.25},
    "free": {"service": (0.0, 1 / 512), "arbitration": "round_robin", "barrier": False},
}


def simulation_of(case, seed=3):
    rng = np.random.default_rng(seed)
    graph = skipping_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph),
        steps=4,
        engine="event",
        time=Time(order="cores", **TIMES[case]),
        pixel_range=pixel_range(pixels),
    )
    return simulation, pixels


@pytest.mark.parametrize("case", TIMES)
def test_traces_are_read_replayed_and_explained(case, tmp_path):
    simulation, pixels = simulation_of(case)
    path = tmp_path / "trace-0.h5"
    simulation.run(pixels, sinks=[TraceFile(path, simulation, 0)])
    trace = read_trace(path, simulation)
    assert replay(simulation, trace, pixels[0]).first is None
    caused = np.flatnonzero(trace.spikes["cause"] >= 0)
    late = 0
    for seq in caused[::9].tolist():
        spike = trace.spikes[seq]
        chain = explain_spike(trace, seq)
        assert chain.links[1].seq == spike["cause"]
        of_cause = trace.deliveries[trace.deliveries["spike"] == spike["cause"]]
        assert spike["tick"] in of_cause["tick"]
        late += spike["tick"] > trace.spikes["tick"][spike["cause"]]
    assert len(caused) > 20 and late
    for layer, neuron in ((1, 3), (2, 5), (3, 0)):
        rows = observe(trace, layer, neuron).arrivals
        assert (np.diff(rows["tick"]) >= 0).all()
    text = str(explain_neuron(trace, 1, 3))
    assert "act" in text or trace.names[1] in text


def test_another_arbitration_is_another_run(tmp_path):
    simulation, pixels = simulation_of("fifo")
    path = tmp_path / "trace-0.h5"
    simulation.run(pixels, sinks=[TraceFile(path, simulation, 0)])
    time = Time(order="cores", arbitration="index", **TIMES["fifo"])
    with pytest.raises(InputError, match="arbitration fifo.*|arbitration index"):
        read_trace(path, simulation.on("event", time))


def test_edits_change_the_list_of_deliveries():
    simulation, pixels = simulation_of("fifo")
    _, trace = play(simulation, simulation.drive(pixels[0]))
    edited = replay(simulation, trace, pixels[0], [Drop(3), Delay(8, 0.5)])
    delivered = edited.trace.deliveries
    assert 3 not in delivered["spike"]
    moved = delivered["tick"][delivered["spike"] == 8]
    before = trace.deliveries["tick"][trace.deliveries["spike"] == 8]
    assert (np.sort(moved) - np.sort(before) == 512).all()


def test_a_replay_stops_and_goes_on_but_cores_do_not_change_their_order():
    simulation, pixels = simulation_of("random")
    drive = simulation.drive(pixels[0])
    whole, trace = play(simulation, drive)
    for number in range(1, len(trace.deliveries), 37):
        run = run_at(trace, number)
        assert np.array_equal(branch(run).run().state.digests, whole.state.digests)
        again = branch(run, trace).run()
        assert np.array_equal(again.state.digests, whole.state.digests)
    run = begin(simulation, drive)
    run.run_step()
    assert np.array_equal(branch(run).run().state.digests, whole.state.digests)
    with pytest.raises(
        InputError, match="branch: expected a run in a recorded order, found .*cores"
    ):
        branch(run, trace)
