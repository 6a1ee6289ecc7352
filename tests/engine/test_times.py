"""Lengths in steps become whole ticks, or are refused (semantics, section 5)."""

import re
from fractions import Fraction

import numpy as np
import pytest
from support.cases import gemm, spiking

from eventsnn import InputError, convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.settings import Settings
from eventsnn.simulation.encoding import events_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import MAX_STEPS, MOST_TICKS, TICKS, Time, fraction_of

FIRST = Node("flat", "Flatten", ("x",))


def network():
    nodes = (FIRST, gemm("g", "flat", [[1]]), spiking("a", "g"), gemm("out", "a", [[1]]))
    return convert(Graph(nodes, "x", "out", (1, 1, 1)))


def simulation(**time):
    return Simulation(network(), steps=3, engine="event", time=Time(**time))


@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
def test_a_float_is_the_fraction_of_smallest_denominator_that_rounds_to_it(kind):
    rng = np.random.default_rng(0)
    most = 1000 if kind is np.float32 else MOST_TICKS
    for _ in range(500):
        bottom = int(rng.integers(1, most))
        fraction = Fraction(int(rng.integers(0, 4 * bottom)), bottom)
        number = kind(float(fraction))
        assert fraction_of(number) == fraction
    for number in rng.uniform(0, 60, 100):
        number = kind(number)
        found = fraction_of(number)
        assert kind(float(found)) == number
        # none of a smaller denominator does
        for bottom in range(1, min(found.denominator, 2000)):
            assert kind(round(float(number) * bottom) / bottom) != number


@pytest.mark.parametrize("number", [0, 0.0, 1, 65536.0, np.int32(7), np.float16(2050)])
def test_whole_numbers_are_themselves(number):
    assert fraction_of(number) == int(number)


@pytest.mark.parametrize(
    "time, ticks",
    [
        ({}, TICKS),
        ({"refractory": 0.25, "window": 1.5, "delays": 3 / 1024}, TICKS),
        ({"refractory": 0.1}, 5 * TICKS),
        ({"window": 1 / 3}, 3 * TICKS),
        ({"delays": 0.1}, 5 * TICKS),
        ({"delays": {("a", "out"): 1 / 7}}, 7 * TICKS),
        ({"delays": [np.array([1 / 3, 0.2]), np.array([0.5])]}, 15 * TICKS),
        ({"delays": [np.array([1 / 3], np.float32)]}, 3 * TICKS),
        ({"order": "jitter", "jitter": "uniform:0.3"}, 5 * TICKS),
        ({"order": "jitter", "jitter": "exponential:0.3"}, TICKS),
        ({"refractory": 0.1, "window": 1 / 3}, 15 * TICKS),
        ({"refractory": 1 / 2**20}, MOST_TICKS),
        ({"refractory": 0.1, "ticks": 10}, 10),
        ({"ticks": 1}, 1),
    ],
)
def test_ticks_are_as_many_as_it_takes(time, ticks):
    given = Time(**time)
    assert given.ticks == time.get("ticks") and given.resolved().ticks == ticks
    assert given.resolved().resolved() == given.resolved()


def test_a_simulation_knows_and_says_its_ticks():
    run = simulation(refractory=0.1, delays=1 / 3, order="delays")
    words = run.describe()
    assert run.time.ticks == words["ticks_per_step"] == 15 * TICKS
    assert words["refractory_steps"] == 0.1
    assert words["delays"] == f"{1 / 3!r} steps"
    assert "input events" in words["rounded_down_to_ticks"]
    assert run.time.in_ticks(0.1, "x") == 1536 and run.time.in_ticks(1 / 3, "x") == 5120
    assert run.engine.delays.tolist() == [5120, 0]


def test_delays_of_neurons_are_told_apart():
    runs = [simulation(order="delays", delays=[[delay]]) for delay in (0.1, 0.2, 0.1)]
    words = [run.describe()["delays"] for run in runs]
    assert words[0] == words[2] != words[1] and words[0].startswith("one for each neuron")
    assert runs[0].engine.delays.tolist() == [512, 0]


def nearest(error):
    """The two lengths that an error names."""
    return map(float, re.search(r"nearest .* are (\S+) and ([^\s;]+)", str(error)).groups())


REFUSED = [
    ({"refractory": 0.123456789}, "refractory"),
    ({"window": 0.1 + 2**-21}, "window"),
    ({"delays": 1 / 999983}, "delays"),
    ({"order": "jitter", "jitter": "uniform:0.123456789"}, "jitter"),
    ({"ticks": 1000, "refractory": 1 / 3}, "refractory"),
]


@pytest.mark.parametrize("time, name", REFUSED)
def test_what_is_not_whole_is_refused_with_the_nearest_that_can_be_had(time, name):
    with pytest.raises(InputError, match=f"^{name}: expected whole ticks") as caught:
        simulation(**time)
    low, high = nearest(caught.value)
    prefix = "uniform:" if name == "jitter" else ""
    given = float(str(time[name]).removeprefix(prefix))
    assert low < given < high and high - low < 1.01 / (time.get("ticks") or MOST_TICKS - TICKS)
    for near in (low, high):
        value = f"{prefix}{near!r}" if prefix else near
        assert Time(**{**time, name: value}).resolved().ticks <= MOST_TICKS


def test_the_nearest_go_with_the_times_before():
    with pytest.raises(InputError, match="^window: ") as caught:
        Time(refractory=1 / 3, window=1 / 1021).resolved()
    low, high = nearest(caught.value)
    assert low < 1 / 1021 < high
    for near in (low, high):
        assert Time(refractory=1 / 3, window=near).resolved().ticks % 3 == 0


def test_the_command_line_refuses_in_its_own_words():
    with pytest.raises(InputError, match="^--refractory: expected whole ticks.*other --ticks$"):
        Settings(engine="event", refractory=1 / 3, ticks=1000)
    assert Settings(engine="event", refractory=0.1, ticks=1000).time.resolved().ticks == 1000
    given = [Settings(engine="event", ticks=ticks).id("a") for ticks in (None, TICKS)]
    assert given[0] == Settings(engine="event").id("a") != given[1]


@pytest.mark.parametrize("jitter", ["uniform:-1", "uniform:nan", "exponential:inf", "uniform:"])
def test_jitters_that_are_no_lengths(jitter):
    with pytest.raises(InputError, match="^jitter: "):
        simulation(order="jitter", jitter=jitter)


def test_a_jitter_that_the_kernel_cannot_draw_is_refused():
    with pytest.raises(InputError, match="^jitter: expected at most"):
        simulation(order="jitter", jitter=f"uniform:{MAX_STEPS}", ticks=MOST_TICKS)


def test_times_of_events_are_rounded_down_to_ticks():
    for ticks in (100, 1000, 1024, 3072, 10):
        rows = [(k / ticks, 0, 1) for k in range(2 * ticks)]
        found = events_of(rows, (1, 1, 1), 2, ticks)
        assert (found[:, 0] * ticks + found[:, 1]).tolist() == list(range(2 * ticks))
        early = [(np.nextafter(k / ticks, 0), 0, 1) for k in range(1, 2 * ticks)]
        found = events_of(early, (1, 1, 1), 2, ticks)
        assert (found[:, 0] * ticks + found[:, 1]).tolist() == list(range(2 * ticks - 1))


def test_a_run_of_events_counts_in_the_ticks_that_it_chose():
    events = [[(0.1, 0, 1), (0.5, 0, 1)]]
    result = network().run(
        events, steps=2, engine="event", encoding="events", initial=0.0, refractory=0.1
    )
    assert result.simulation.time.ticks == 5 * TICKS
    assert result.trace(0).inputs[:, 1].tolist() == [512, 2560]


def test_what_the_clocked_engine_takes():
    assert Simulation(network(), steps=2, time=Time(ticks=TICKS)).time.ticks == TICKS
    with pytest.raises(InputError, match="^ticks: expected engine='event'"):
        Simulation(network(), steps=2, time=Time(ticks=1000))


def test_many_delays_take_no_time():
    rng = np.random.default_rng(1)
    time = Time(order="delays", delays=[rng.integers(0, 1000, 200_000) / 1000]).resolved()
    assert time.ticks == 125 * TICKS
