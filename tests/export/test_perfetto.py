"""Chrome trace events: every spike is a slice, every cause an arrow, in one file of plain JSON."""

import json

import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn.ann.graph import Graph
from eventsnn.export.perfetto import write_perfetto


@pytest.fixture(scope="module", params=["fifo", "jitter"])
def result(request):
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=1)
    settings = {"steps": 2, "engine": "event", "neuron": "snm", "order": request.param}
    return eventsnn.simulate(network, images, **settings)


def events_of(trace, folder):
    write_perfetto(trace, folder / "spikes.json")
    return json.loads((folder / "spikes.json").read_text())


def of_phase(found, phase):
    return [event for event in found["traceEvents"] if event["ph"] == phase]


def test_every_spike_is_a_slice_of_its_neuron(result, tmp_path):
    trace = result.trace(0)
    found = events_of(trace, tmp_path)
    slices = [event for event in of_phase(found, "X") if event["pid"] > 0]
    spikes = trace.spikes
    assert [event["args"]["seq"] for event in slices] == spikes["seq"].tolist()
    assert [event["pid"] - 1 for event in slices] == spikes["layer"].tolist()
    assert [event["tid"] - 1 for event in slices] == spikes["neuron"].tolist()
    assert [event["name"] == "taken back" for event in slices] == (spikes["sign"] < 0).tolist()
    assert {event["dur"] for event in slices} == {1}


def test_slices_stand_at_their_ticks_or_in_their_order_where_time_shows_nothing(result, tmp_path):
    trace = result.trace(0)
    found = events_of(trace, tmp_path)
    times = [event["ts"] for event in of_phase(found, "X") if event["pid"] > 0]
    at_once = np.isin(trace.spikes["tick"], trace.starts).all()
    assert ("order of emission" in found["otherData"]["unit"]) == at_once
    assert times == trace.spikes["seq" if at_once else "tick"].tolist()
    steps = [event for event in of_phase(found, "X") if event["pid"] == 0]
    assert [event["name"] for event in steps] == ["step 1", "step 2"]
    assert steps[0]["ts"] + steps[0]["dur"] == steps[1]["ts"]


def test_an_arrow_goes_from_every_cause_to_what_it_fired(result, tmp_path):
    trace = result.trace(0)
    found = events_of(trace, tmp_path)
    slices = {e["args"]["seq"]: e for e in of_phase(found, "X") if e["pid"] > 0}
    starts, ends = of_phase(found, "s"), of_phase(found, "f")
    caused = trace.spikes[trace.spikes["cause"] >= 0]
    assert [event["id"] for event in ends] == caused["seq"].tolist()
    for start, end in zip(starts, ends):
        effect = slices[end["id"]]
        cause = slices[effect["args"]["cause"]]
        for at, arrow in ((cause, start), (effect, end)):
            assert all(at[key] == arrow[key] for key in ("pid", "tid", "ts"))


def test_layers_and_neurons_have_their_names(result, tmp_path):
    trace = result.trace(0)
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in of_phase(events_of(trace, tmp_path), "M")
        if event["name"].endswith("_name")
    }
    assert names[1, 0] == trace.names[0]
    spike = trace.spikes[-1]
    assert names[spike["layer"] + 1, spike["neuron"] + 1] == f"neuron {spike['neuron']}"


def test_a_run_without_a_spike_gives_a_file_that_opens(tmp_path):
    builder = Builder(np.random.default_rng(0), (1, 4, 4))
    silent = builder.add("ClippedRelu", [builder.conv("input", bias=False)], {"lambda": 1e6})
    out = builder.gemm(builder.add("Flatten", [silent]))
    network = eventsnn.convert(Graph(tuple(builder.nodes), "input", out, (1, 4, 4)))
    pixels = np.zeros((1, 1, 4, 4), np.uint8)
    result = eventsnn.simulate(network, pixels, steps=2, engine="event")
    assert not len(result.trace(0).spikes)
    found = events_of(result.trace(0), tmp_path)
    assert [event["name"] for event in of_phase(found, "X")] == ["step 1", "step 2"]
