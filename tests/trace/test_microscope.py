"""The microscope: every arrival at a neuron, rebuilt from the trace alone, is what the engine and
the twin did.
"""

import io
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from support import twin
from support.compare import twin_net
from support.traced import traced
from support.ways import CASES

from eventsnn import InputError
from eventsnn.neurons import IF
from eventsnn.trace import short_steps
from eventsnn.trace.arrivals import incoming
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import DRIVE, ITSELF, observe, plot


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize("case", CASES)
def test_potentials_are_rebuilt_exactly(case, model):
    """observe itself refuses a v_before that is not the rebuilt one; here the ends, the counts, and
    law 1.
    """
    run = traced(400 + len(case), case, model)
    one, fired = run.simulation.arithmetic.one.item(), 0
    for layer, neuron in run.neurons(every=5):
        seen = observe(run.trace, layer, neuron)
        rows, number = seen.arrivals, run.first(layer) + neuron
        assert seen.end == run.run.state.v[number]
        assert seen.fired == run.run.state.memory[number, 0] == rows["fired"].sum()
        assert rows["before"][0] == seen.v0 and np.array_equal(
            rows["after"][:-1], rows["before"][1:]
        )
        assert np.array_equal(rows["before"] + rows["charge"], rows["charged"])
        assert seen.end == seen.v0 + rows["charge"].sum(dtype=np.int64) - one * seen.fired
        driven = rows[rows["source"] == DRIVE]
        assert (driven["part"] == 0).sum() == run.simulation.steps
        comes = np.atleast_2d(run.trace.drive)[:, number] != 0  # a drive of 0 comes once
        assert len(driven) == run.simulation.steps * (run.trace.spread if comes.all() else 1)
        assert not rows["charge"][rows["source"] == ITSELF].any()
        fired += len(seen.spikes)
    assert fired


@pytest.mark.parametrize("case", ["random", "free-running", "refractory, random", "clocked"])
def test_hard_reset_is_rebuilt_too(case):
    run = traced(450, case, "if-hard")
    for layer, neuron in run.neurons(every=3):
        assert observe(run.trace, layer, neuron).end == run.run.state.v[run.first(layer) + neuron]


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float64", pytest.param("float32", marks=pytest.mark.long)])
def test_floating_point_is_rebuilt_to_the_last_bit(arithmetic):
    run = traced(451, "random", "if", arithmetic)
    for layer, neuron in run.neurons(every=3):
        assert observe(run.trace, layer, neuron).end == run.run.state.v[run.first(layer) + neuron]


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize(
    "case",
    [
        "lifo",
        "random",
        "excitatory_first",
        "free-running",
        "refractory, random",
        "window, refractory, free",
        "delays by projection",
        "clocked",
    ],
)
def test_arrivals_are_those_of_the_twin(case, model, monkeypatch):
    """The same charges from the same spikes in the same order at every neuron."""
    run = traced(461 + 2 * len(case), case, model)
    arrivals = {}
    own = twin._Run.arrive

    def arrive(self, layer, i, charge, cause):
        arrivals.setdefault((layer, i), []).append(
            (self.step, charge, -1 if cause is None else cause)
        )
        own(self, layer, i, charge, cause)

    monkeypatch.setattr(twin._Run, "arrive", arrive)
    outcome = run.twin()
    assert len(outcome.spikes) == len(run.trace.spikes) > 0
    for layer, neuron in run.neurons(every=2):
        rows = observe(run.trace, layer, neuron).arrivals
        rows = rows[rows["source"] != ITSELF]
        assert (
            list(zip(rows["step"].tolist(), rows["charge"].tolist(), rows["spike"].tolist()))
            == arrivals[layer, neuron]
        )


def test_synapses_of_grouped_and_strided_projections():
    """`incoming` against the dense matrix, with and without a synapse, for every kind of linear
    path.
    """
    grouped = 0
    for seed in range(470, 482):
        run = traced(seed)
        projections = twin_net(run.simulation).projections
        spiking = [p for p in run.simulation.network.projections if p.source >= 0]
        for layer, neuron in run.neurons(every=7):
            found = incoming(run.simulation, layer, neuron)
            assert [s.number for s in found] == [
                q for q, p in enumerate(projections) if p.target == layer
            ]
            for synapses in found:
                dense = projections[synapses.number]
                grouped += spiking[synapses.number].map.blocks.shape[1] > 1
                assert synapses.source == dense.source
                assert np.array_equal(synapses.charge, dense.weights[neuron]) and np.array_equal(
                    synapses.reached, dense.mask[neuron]
                )
    assert grouped


@pytest.mark.parametrize("case", CASES)
def test_steps_start_when_they_did(case):
    """A barrier waits for all that is under way; nothing else delays a step."""
    run = traced(482, case)
    began, simulation = [], run.simulation
    again = simulation.engine.begin(simulation.drive(run.pixels), number=3)
    while again.step_number < simulation.steps:
        began.append(again.begins_at)
        again.run_step()
    assert run.trace.starts.tolist() == began and run.trace.end == again.begins_at
    n = simulation.time.spread
    if n > 1:  # each part of a drive begins a short step
        began = again.parts[:, 0].tolist()
        assert began[::n] == run.trace.starts.tolist()
    short = short_steps.of_taken(run.trace, run.trace.deliveries)
    assert np.array_equal(short // n, run.trace.deliveries["step"])
    ticks = run.trace.deliveries["tick"]
    for k, (start, end) in enumerate(zip(began, [*began[1:], run.trace.end])):
        mine = ticks[short == k]
        assert end >= start + simulation.time.ticks // n
        assert (start <= mine).all() and (mine <= end).all()
        if not simulation.time.window and simulation.time.barrier:
            assert end == max([start + simulation.time.ticks // n, *mine[-1:].tolist()])
    rows = observe(run.trace, 0, 0).arrivals
    driven = rows[rows["source"] == DRIVE]
    assert driven["tick"].tolist() == began and driven["charge"].any()


def test_the_ideal_count_is_the_staircase():
    counts = set()
    for case, most in (("random", 10**9), ("clocked", 4)):
        run = traced(484, case)
        one = run.simulation.arithmetic.one.item()
        for layer, neuron in run.neurons(readout=False):
            seen = observe(run.trace, layer, neuron)
            worth = (seen.v0.item() + int(seen.arrivals["charge"].sum(dtype=np.int64))) // one
            assert seen.ideal == min(max(worth, 0), most)
            counts.add(np.sign(worth - seen.ideal))
    assert counts == {-1, 0, 1}


class AtMostTwo(IF):
    """Fires while it has fired less than twice, as ST-BIF with S_max = 2 does."""

    @staticmethod
    def emit(neuron, layer, p, s):
        return int(p >= neuron.theta and s < 2)


def test_the_ideal_count_is_not_more_than_the_model_ever_fires():
    run = traced(484, "random")
    capped, counts = copy(run.simulation), set()
    capped.neuron = AtMostTwo(run.simulation.arithmetic.one)
    for layer, neuron in run.neurons(readout=False):
        seen = observe(run.trace, layer, neuron)
        assert replace(seen, simulation=capped).ideal == min(seen.ideal, 2)
        counts.add(seen.ideal)
    assert max(counts) > 2


def test_a_readout_neuron_only_adds_up():
    run = traced(485, "random", "snm")
    last = len(run.simulation.network.layers) - 1
    for neuron in range(run.simulation.network.readout.size):
        seen = observe(run.trace, "readout", neuron)
        assert seen.layer == last and seen.ideal is None and not len(seen.spikes)
        assert seen.end == run.run.readout[-1, neuron]
        assert seen.in_thresholds(seen.end) == run.simulation.arithmetic.readout(
            run.run.readout[-1, neuron]
        )


def test_a_trace_from_a_file_shows_the_same(tmp_path):
    run = traced(486, "excitatory_first", "snm")
    simulation, path = run.simulation, tmp_path / "trace.h5"
    simulation.run(run.pixels[None], numbers=[3], sinks=[TraceFile(path, simulation, 3)])
    trace = read_trace(path, simulation)
    for layer, neuron in run.neurons(every=9):
        assert np.array_equal(
            observe(trace, layer, neuron).arrivals, observe(run.trace, layer, neuron).arrivals
        )


def test_neurons_are_told_by_number_or_position():
    run = traced(487)
    layer = run.simulation.network.layers[0]
    c, y, x = layer.position(layer.size - 1)
    assert np.array_equal(
        observe(run.trace, layer.name, (c, y, x)).arrivals,
        observe(run.trace, 0, layer.size - 1).arrivals,
    )
    for bad in (-1, layer.size, 1.0, "a", (c + 1, y, x), (c, y)):
        with pytest.raises(
            InputError, match=f"neuron: expected a number from 0 to {layer.size - 1}"
        ):
            observe(run.trace, 0, bad)
    with pytest.raises(InputError, match="layer: expected one of"):
        observe(run.trace, "nowhere", 0)


def test_a_trace_that_the_network_does_not_explain_is_refused():
    run = traced(488, "random")
    spike = run.trace.spikes[-1]
    layer, neuron = int(spike["layer"]), int(spike["neuron"])
    changed = run.trace.spikes.copy()
    changed["v_before"][-1] += 1
    with pytest.raises(InputError, match=f"recorded at spike {len(changed) - 1}"):
        observe(replace(run.trace, spikes=changed), layer, neuron)
    caused = run.trace.spikes[run.trace.spikes["cause"] >= 0][0]
    without = run.trace.deliveries[run.trace.deliveries["spike"] != caused["cause"]]
    with pytest.raises(InputError, match="trace: expected"):
        observe(replace(run.trace, deliveries=without), int(caused["layer"]), int(caused["neuron"]))
    with pytest.raises(InputError, match="a part of one; record it without filters"):
        observe(replace(run.trace, complete=False), layer, neuron)


def test_the_picture_shows_arrivals_spikes_and_counts():
    run = traced(492, "excitatory_first", "snm")
    seen = max(
        (observe(run.trace, *place) for place in run.neurons(readout=False)),
        key=lambda o: (o.spikes["sign"] < 0).sum(),
    )
    assert (seen.spikes["sign"] < 0).any()
    figure = plot(seen, "a title")
    axes = figure.axes[0]
    lines = next(c for c in axes.collections if isinstance(c, LineCollection))
    drawn = np.array([segment[:, 1] for segment in lines.get_segments()])
    assert np.array_equal(
        drawn,
        seen.in_thresholds(np.stack([seen.arrivals["before"], seen.arrivals["charged"]], axis=1)),
    )
    sizes = [len(c.get_offsets()) for c in axes.collections if isinstance(c, PathCollection)]
    assert sizes[-2:] == [(seen.arrivals["fired"] > 0).sum(), (seen.arrivals["fired"] < 0).sum()]
    up, back = (int((seen.spikes["sign"] == sign).sum()) for sign in (1, -1))
    assert f"fired {up}, took back {back}, ideal {seen.ideal}" in [
        text.get_text() for text in axes.texts
    ]
    assert [handle.get_text() for handle in figure.legends[0].get_texts()][
        -1
    ] == "takes a spike back"
    levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert levels == [-1, 1]
    for drawing in (figure, plot(observe(run.trace, "readout", 0))):
        drawing.savefig(io.BytesIO(), format="png")


def test_notebooks_get_a_table():
    seen = observe(traced(490).trace, 0, 0)
    assert len(seen.table()) == len(seen.arrivals) and len(seen.table(2)) == 2
    assert seen._repr_html_().count("<tr>") == 1 + min(100, len(seen.arrivals))
    assert repr(seen).startswith(
        f"<Observation of {seen.name}, image 3: {len(seen.arrivals)} arrivals"
    )
