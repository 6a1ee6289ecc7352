"""Spread drive (semantics, section 12). Against the twin it runs in all of `support.ways.CASES`."""

import h5py
import numpy as np
import pytest
from support.cases import gemm, spiking

from eventsnn import InputError, convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.engine.drive import Shares
from eventsnn.settings import Settings
from eventsnn.simulation.encoding import Encoding, even_parts
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import MOST_TICKS, TICKS, Time
from eventsnn.studies import intervals
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import DRIVE, observe
from eventsnn.trace.replay import play, replay

FLAT = Node("flat", "Flatten", ("x",))


def one_neuron(steps=2, **options):
    """A neuron and a readout, v(0) = 0; and the charge of a threshold."""
    nodes = (FLAT, gemm("g", "flat", [[1]]), spiking("a", "g"), gemm("out", "a", [[1]]))
    time = {name: options.pop(name) for name in list(options) if hasattr(Time, name)}
    simulation = Simulation(
        convert(Graph(nodes, "x", "out", (1, 1, 1))),
        steps=steps,
        engine="event",
        initial=0,
        time=Time(**time),
        **options,
    )
    return simulation, int(simulation.arithmetic.one)


def driven(charge, simulation, **options):
    """The trace of a run in which each step brings this charge to the neuron, none to the other."""
    return play(simulation, np.array([charge, 0], simulation.arithmetic.dtype), **options)[1]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("finer", [0, 16])
def test_parts_are_whole_units_that_add_up(dtype, finer):
    rng = np.random.default_rng(0)
    most = 2 ** (np.iinfo(dtype).bits - 3)
    drive = (rng.integers(-most, most, 200) >> finer << finer).astype(dtype)
    drive[:4] = np.array([0, 1, -1, 5]) << finer
    for count in (1, 2, 3, 7, 64, 1000):
        shares = Shares(drive, count, finer)
        parts = np.stack([shares.next() for _ in range(count)])
        assert parts.dtype == dtype and np.array_equal(parts, even_parts(drive, count, finer))
        assert np.array_equal(parts.sum(axis=0, dtype=object), drive.astype(object))
        units = drive.astype(object) >> finer
        for j in (0, count // 2, count - 1):
            expected = (j + 1) * units // count - j * units // count
            assert np.array_equal(parts[j].astype(object) >> finer, expected)
    assert Shares(np.float32([1, -2]), 3).next().tolist() == (np.float32([1, -2]) / 3).tolist()


def test_a_current_fires_when_its_parts_reach_the_threshold():
    for spread, ticks in ((1, [0, 1024]), (4, [768, 1792]), (1024, [1023, 2047])):
        simulation, one = one_neuron(spread=spread)
        trace = driven(one, simulation)
        assert trace.of(0)["tick"].tolist() == ticks and trace.spread == spread
    assert trace.parts[:, 0].tolist() == list(range(2048))


def test_a_drive_of_0_comes_once_and_a_part_of_0_is_an_arrival():
    simulation, _ = one_neuron(spread=4)
    trace = driven(3, simulation)  # units: 0, 1, 1, 1
    rows = [observe(trace, layer, 0).arrivals for layer in (0, 1)]
    assert [rows[0]["source"].tolist(), rows[1]["source"].tolist()] == [[DRIVE] * 8, [DRIVE] * 2]
    assert rows[0]["charge"].tolist() == 2 * [0, 1, 1, 1] and rows[1]["part"].tolist() == [0, 0]
    assert rows[0]["part"].tolist() == 2 * [0, 1, 2, 3]


def test_a_part_waits_for_the_queue_only_with_a_barrier():
    times = {}
    for barrier in (True, False):
        options = {"order": "delays", "delays": 0.75, "barrier": barrier}
        simulation, one = one_neuron(spread=4, **options)
        trace = driven(4 * one, simulation)
        times[barrier] = trace.parts[:, 0].tolist()
        assert trace.of(0)["tick"].tolist() == times[barrier]
        assert trace.starts.tolist() == times[barrier][::4]
    assert times == {True: [768 * j for j in range(8)], False: [256 * j for j in range(8)]}


def test_an_input_event_keeps_its_distance_from_its_part():
    events = np.array([[0, 0, 0, 1], [0, 614, 0, 1]])
    for spread, ticks in ((1, [0, 614]), (4, [0, 1024 + 614 - 512])):
        time = {"order": "delays", "delays": 0.75, "spread": spread}
        simulation, _ = one_neuron(encoding="events", inputs=[events], **time)
        assert driven(0, simulation, inputs=events).of(0)["tick"].tolist() == ticks


def test_drive_is_told_from_the_input_event_before_it():
    """0.25 of the drive, 0.5 of the event, and again 0.25 of the drive, which fires."""
    events = np.array([[0, 0, 0, 1]])
    encoding = Encoding(kind="events", unit=0.5)
    simulation, one = one_neuron(encoding=encoding, inputs=[events], spread=4)
    trace = driven(one, simulation, inputs=events)
    spike = trace.of(0)[0]
    assert (spike["tick"], spike["event"]) == (256, 1)
    chain = explain_spike(trace, 0)
    assert (chain.root, chain.drive, chain.part) == ("drive", 0.25, 1)
    assert str(chain).endswith("fired by part 2 of the drive of step 1, which brought +0.25")
    assert observe(trace, 0, 0).arrivals["fired"].tolist()[:3] == [0, 0, 1]


def test_explanations_speak_of_short_steps():
    simulation, one = one_neuron(spread=4)
    e = explain_neuron(driven(one, simulation), 0, 0)
    assert e.in_steps == (2, 2) and [row["drive"] for row in e.steps] == [one, one]
    assert [(row["fired"], row["fewest"], row["most"]) for row in e.steps] == [(1, 1, 1)] * 2
    assert "stays in its short step" in str(e)


def test_the_readout_is_that_of_the_step():
    """All of the drive has come by the end of a step, whatever its parts."""
    simulation, one = one_neuron(spread=8)
    whole, _ = one_neuron()
    readouts = [play(s, np.array([one // 3, 5], np.int32))[0].readout for s in (simulation, whole)]
    assert readouts[0][:, 0].tolist() == readouts[1][:, 0].tolist() == [5, 10]


# --- trace files ---------------------------------------------------------------------------------


def written(folder, **options):
    simulation, _ = one_neuron(pixel_range=(0, 3), **options)
    sink = TraceFile(folder / "trace-0.h5", simulation, 0)
    pixels = np.full((1, 1, 1, 1), 2.5, np.float32)
    simulation.run(pixels, sinks=[sink])
    return folder / "trace-0.h5", simulation, pixels


def test_a_trace_file_knows_the_parts(tmp_path):
    path, simulation, pixels = written(tmp_path, spread=4)
    trace = read_trace(path, simulation)
    assert trace.parts.shape == (8, 3) and trace.parts[:, 2].any() and trace.spread == 4
    assert replay(simulation, trace, pixels[0]).first is None
    with pytest.raises(InputError, match="expected a trace with spread 2, found one with spread 4"):
        read_trace(path, one_neuron(pixel_range=(0, 3), spread=2)[0])


@pytest.mark.parametrize(
    "damage",
    [
        lambda parts: parts[:-1],
        lambda parts: parts[:4],
        lambda parts: parts + [1, 0, 0],
        lambda parts: parts + [0, 0, 1],
        lambda parts: parts[[0, 1, 2, 3, 4, 6, 5, 7]],
        lambda parts: parts * [1, 2, 1],
        lambda parts: np.minimum(parts, [10**6, 1, 10**6]),
    ],
)
def test_parts_that_cannot_be_are_refused(damage, tmp_path):
    path, simulation, _ = written(tmp_path, spread=4)
    with h5py.File(path, "r+") as file:
        parts = damage(file["parts"][:])
        del file["parts"]
        file["parts"] = parts
    with pytest.raises(InputError, match="trace-0.h5: /(parts|deliveries)"):
        read_trace(path, simulation)


def test_a_trace_without_its_parts_is_refused(tmp_path):
    path, simulation, _ = written(tmp_path, spread=4)
    with h5py.File(path, "r+") as file:
        del file["parts"]
    with pytest.raises(InputError, match="/parts: expected 4 rows for each step, found none"):
        read_trace(path, simulation)


def test_older_traces_have_one_part(tmp_path):
    """They do not say so: their drive comes whole."""
    path, simulation, _ = written(tmp_path)
    with h5py.File(path, "r+") as file:
        for name in ("semantics", "decides"):
            text = file.attrs[name]
            text = text.decode() if isinstance(text, bytes) else text
            for word in ('"spread": 1, ', '"group": 1, '):
                assert word in text
                text = text.replace(word, "")
            file.attrs[name] = text
    assert read_trace(path, simulation).spread == 1
    for other in ({"spread": 4}, {"group": 4}):
        with pytest.raises(InputError, match="expected a trace with (spread|group) 4"):
            read_trace(path, one_neuron(pixel_range=(0, 3), **other)[0])


# --- ticks, and what is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    "time, ticks",
    [
        ({"spread": 3}, 3 * TICKS),
        ({"spread": 1000}, 125 * TICKS),
        ({"spread": 6, "refractory": 0.2}, 15 * TICKS),
        ({"spread": 7, "ticks": 21}, 21),
        ({"spread": MOST_TICKS}, MOST_TICKS),
    ],
)
def test_a_spread_divides_the_ticks(time, ticks):
    assert Time(**time).resolved().ticks == ticks


@pytest.mark.parametrize(
    "options, words",
    [
        ({"spread": 0}, "spread: expected a whole number from 1 to 1,048,576, found 0"),
        ({"spread": -4}, "spread: expected a whole number from 1"),
        ({"spread": 2.0}, "spread: expected a whole number from 1"),
        ({"spread": 3, "ticks": 1000}, "spread: expected a divisor of 1,000, the ticks .*found 3"),
        ({"spread": 1999}, "spread: expected a divisor of a multiple of 1,024, at most 1,048,576"),
        ({"spread": 2**19, "steps": 64}, "spread: expected at most 16,777,216 parts in 64 steps"),
        (
            {"spread": 2, "order": "clocked"},
            "spread: expected another order, found order='clocked'",
        ),
        ({"spread": 2, "neuron": "tpp"}, "TPP: expected a drive that comes once a step"),
        ({"spread": 2, "engine": "clocked"}, "spread: expected engine='event'"),
    ],
)
def test_spreads_that_make_no_sense(options, words):
    simulation, _ = one_neuron()
    image = np.zeros((1, 1, 1, 1), np.float32)
    with pytest.raises(InputError, match=f"^[^\n]*{words}[^\n]*$"):
        simulation.network.run(image, **{"steps": 2, "engine": "event", **options})


def test_the_command_line_refuses_in_its_own_words():
    with pytest.raises(InputError, match="^--spread: expected a divisor .* choose other --ticks"):
        Settings(engine="event", spread=3, ticks=1000)
    with pytest.raises(InputError, match="^--spread: expected --engine event"):
        Settings(spread=3)
    ids = [Settings(engine="event", **more).id("a") for more in ({}, {"spread": 1}, {"spread": 2})]
    assert ids[0] == ids[1] != ids[2]


def test_intervals_are_not_proven_for_it():
    with pytest.raises(InputError, match="intervals: expected a drive that comes once a step"):
        intervals.check(one_neuron(spread=2)[0])
