"""Recorded events as input: exact in time, by channel or sign; also on the command line."""

import json
from fractions import Fraction

import numpy as np
import pytest
from support.event_files import RECORD, aedat4, some_events
from support.networks import Builder, small_graph

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.simulation.event_inputs import input_events

SCALES = (100.0, 1000.0, 0.7, 333.0, 4096.0)


def encoding(scale=500.0, **more):
    return eventsnn.Encoding(kind="events", time_scale=scale, **more)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("ticks", [1024, 1, 1000])
def test_times_are_rounded_down_to_ticks_exactly(scale, ticks):
    steps, shape = 9, (2, 6, 6)
    events = some_events(3, 400, last=int(10 * scale) + 9)
    found, late = input_events(events, shape, steps, ticks, encoding(scale))
    expected = []
    for t, x, y, p in events.tolist():
        tick = Fraction(t) * ticks / Fraction(scale)
        if tick < steps * ticks:
            at = int(tick)  # rounds down
            expected.append((at // ticks, at % ticks, (y * 6 + x) * 2 + p, 1))
    assert late == len(events) - len(expected)
    assert found.tolist() == [list(row) for row in expected]


def test_polarity_is_channel_sign_or_nothing():
    events = np.array([(0, 1, 2, 0), (10, 3, 4, 1)], RECORD)
    two, one = (2, 6, 6), (1, 6, 6)
    ways = {
        (None, two): [26, 1, 55, 1],
        ("channels", two): [26, 1, 55, 1],
        (None, one): [13, -1, 27, 1],
        ("signed", one): [13, -1, 27, 1],
        ("merge", one): [13, 1, 27, 1],
    }
    for (way, shape), expected in ways.items():
        found, _ = input_events(events, shape, 4, 1, encoding(polarity=way))
        assert found[:, 2:].ravel().tolist() == expected
    for way, channels in (("signed", 2), ("channels", 1), (None, 3), ("merge", 2)):
        with pytest.raises(InputError, match="events: expected a network whose input has"):
            input_events(events, (channels, 6, 6), 4, 1, encoding(polarity=way))


def test_a_larger_sensor_is_binned_where_it_is_a_whole_multiple():
    events = np.array([(0, 11, 23, 1), (1, 0, 0, 1)], RECORD)
    found, _ = input_events(events, (1, 6, 6), 4, 1, encoding(sensor=(12, 24)))
    assert found[:, 2].tolist() == [35, 0]
    for sensor, words in (((13, 6), "whole multiples"), ((6, 6), "x below 6"), ((), "sensor=")):
        with pytest.raises(InputError, match=words):
            input_events(events, (1, 6, 6), 4, 1, encoding(sensor=sensor))


def test_recordings_lists_and_data_sets_give_the_same(tmp_path):
    graph = small_graph()
    every = [some_events(seed, last=1500) for seed in range(6)]
    for label in range(4):
        (tmp_path / str(label)).mkdir()
    for i, events in enumerate(every):
        (tmp_path / str(i % 4) / f"{i}.aedat4").write_bytes(aedat4(events))
    recordings = eventsnn.load_events(tmp_path)
    network = eventsnn.convert(graph, thresholds="auto")

    class Tonic:  # as its data sets are: no __iter__, a tuple for each
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return every[i], i % 4

    rows = [[(t / 500, (p * 6 + y) * 6 + x, 1) for t, x, y, p in e.tolist()] for e in every]
    results = [
        eventsnn.simulate(network, recordings, steps=4, encoding=encoding()),
        eventsnn.simulate(network, Tonic(), steps=4, encoding=encoding()),
        eventsnn.simulate(network, rows, labels=[0, 1, 2, 3, 0, 1], steps=4, encoding="events"),
        eventsnn.simulate(
            network, recordings, steps=4, encoding=encoding(), engine="event", order="clocked"
        ),
    ]
    for other in results:
        assert other.labels.tolist() == [0, 1, 2, 3, 0, 1]
        np.testing.assert_array_equal(other.readout(), results[0].readout())
        np.testing.assert_array_equal(other.counts(0), results[0].counts(0))
    assert results[0].spikes.sum() > 0
    trace = results[3].trace(2)
    np.testing.assert_array_equal(trace.inputs[:, 2], results[3]._image(2)[:, 2])


def test_options_of_recordings_say_what_they_need():
    for given, words in (
        ({"kind": "constant", "time_scale": 5.0}, "time_scale: expected encoding='events'"),
        ({"kind": "events", "polarity": "merge"}, "give time_scale"),
        ({"kind": "events", "time_scale": 0.0}, "time_scale"),
        ({"kind": "events", "time_scale": 1.0, "sensor": (3,)}, "width and height"),
    ):
        with pytest.raises(InputError, match=words):
            eventsnn.Encoding(**given)
    network = eventsnn.convert(small_graph(), thresholds="auto")
    recordings = eventsnn.Recordings("a", "test", np.arange(1), (some_events(),))
    with pytest.raises(InputError, match="time_scale=1000"):
        eventsnn.simulate(network, recordings, steps=2, encoding="events")
    late = eventsnn.simulate(network, recordings, steps=2, encoding=encoding(1000.0)).note
    assert "come after step 2, and are left out" in late and "no event" not in late


def test_recordings_without_an_event_are_said():
    network = eventsnn.convert(small_graph(), thresholds="auto")
    events = (some_events(), some_events()[:0])
    recordings = eventsnn.Recordings("a", "test", np.arange(2), events)
    result = eventsnn.simulate(network, recordings, steps=2, encoding=encoding())
    assert "1 of 2 recordings have no event within 2 steps" in result.note


def test_recordings_on_the_command_line(tmp_path, capsys):
    write_native(small_graph(), tmp_path / "net.h5")
    for i in range(8):
        folder = tmp_path / "set" / str(i % 4)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.aedat4").write_bytes(aedat4(some_events(i, last=2500), sensor=(12, 12)))
    given = ["--net", str(tmp_path / "net.h5"), "--data", str(tmp_path / "set"), "--steps", "4"]
    events = ["--encoding", "events", "--time-scale", "500"]
    out = tmp_path / "out"
    traced = ["--engine", "event", "--trace", "spikes", "--order", "clocked"]
    assert main([*given, *events, *traced, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for words in ("come after step 4", "'0' is 0", "mean input"):
        assert words in said
    summary = json.loads((out / "summary.json").read_text())
    assert "500 microseconds a step" in summary["semantics"]["drive"]
    assert "2x2 pixels of the sensor" in summary["semantics"]["drive"]
    network = eventsnn.convert(eventsnn.load(tmp_path / "net.h5"), thresholds="auto")
    result = eventsnn.simulate(
        network, eventsnn.load_events(tmp_path / "set"), steps=4, encoding=encoding()
    )
    assert summary["snn_accuracy"]["4"] == result.accuracy()
    assert summary["spikes_per_image"] == result.spikes.sum() / 8
    assert len(eventsnn.open_results(out).trace(0).inputs) == len(result._image(0))
    clocked = tmp_path / "clocked"
    assert main([*given, *events, "--out", str(clocked), "--quiet", "--batch", "3"]) == 0
    again = json.loads((clocked / "summary.json").read_text())
    assert again["spikes_per_image"] == summary["spikes_per_image"]
    capsys.readouterr()
    for wrong, words in (
        (["--encoding", "events"], "--time-scale"),
        (["--time-scale", "500"], "--encoding events"),
        ([*events, "--pixel-range", "0,1"], "--pixel-range"),
        ([*events, "--resize", "6"], "--resize"),
        ([*events, "--polarity", "merge"], "input has 1 channel"),
        ([*events, "--sensor", "13,13"], "--sensor"),
        ([*events, "--data", "sample"], "--data"),
    ):
        assert main([*given, *wrong]) == 2, wrong
        assert words in capsys.readouterr().err
    assert main([*given[:2], "--data", str(tmp_path / "set" / "0" / "0.aedat4")]) == 2
    assert "--encoding events" in capsys.readouterr().err


def test_one_channel_takes_the_sign(tmp_path):
    b = Builder(np.random.default_rng(1), (1, 6, 6))
    x = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS")
    network = eventsnn.convert(b.graph(b.gemm(b.add("Flatten", [x]))), thresholds="auto")
    events = [some_events(1)]
    way = {way: encoding(polarity=way) for way in ("signed", "merge")}
    found = {k: eventsnn.simulate(network, events, steps=8, encoding=e) for k, e in way.items()}
    signed = eventsnn.simulate(network, events, steps=8, encoding=encoding())
    np.testing.assert_array_equal(signed.readout(), found["signed"].readout())
    assert (found["merge"].readout() != signed.readout()).any()
