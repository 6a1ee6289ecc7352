"""How a run is ordered, in words: for every order and option of time, and true of real traces."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support import twin
from support.networks import pooled_graph, quantised_graph, random_graph, random_pixels

import eventsnn
from eventsnn import InputError, convert
from eventsnn.commands.main import main as command
from eventsnn.run import main
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import ORDERS, Time

STEPS = 3
LAW = (Path(eventsnn.__file__).parents[1] / "docs" / "semantics.md").read_text()


def network_of(make=random_graph, seed=8):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    return convert(graph), random_pixels(rng, graph)


def words_of(time=None, engine="event", make=random_graph, **settings):
    network, _ = network_of(make)
    simulation = Simulation(network, steps=STEPS, engine=engine, time=time, **settings)
    return {rule.title: rule.words for rule in eventsnn.ordering(simulation).rules}


# what each order says of what is due at one tick
SAID = {
    "fifo": "in the order in which they were fired",
    "lifo": "the deepest layer first, and of one layer the newest first",
    "index": "by layer and neuron; those of one neuron in the order in which they were fired",
    "random": "each is the next with probability 1/m, by a hash of (seed 0, image, number of",
    "priority": "the smallest hash of (seed 0, image, spike) first",
    "excitatory_first": "every excitatory half before any inhibitory one",
    "inhibitory_first": "every inhibitory half before any excitatory one",
    "jitter": "0 to 512 ticks (0.5 steps), all equally likely",
    "delays": "its neuron's delay (0.25 steps)",
    "clocked": "in the order in which it was fired",
    "cores": "takes the event that came first, of equals the one that was fired first",
}


def test_every_order_is_told():
    assert SAID.keys() == set(ORDERS)
    for order, words in SAID.items():
        time = Time(order=order, delays=0.25 if order == "delays" else None)
        assert words in words_of(time)["cores" if order == "cores" else "delivery"], order


# of these the spike that is taken is the one with the smallest of all that wait
KEYS = {
    "fifo": lambda spike, number: (spike["seq"],),
    "lifo": lambda spike, number: (-spike["layer"], -spike["seq"]),
    "index": lambda spike, number: (spike["layer"], spike["neuron"], spike["seq"]),
    "priority": lambda spike, number: (twin.spike_hash(0, number, int(spike["seq"])) >> 1,),
}


@pytest.mark.parametrize("order", KEYS)
def test_what_is_told_of_an_order_is_true(order):
    network, pixels = network_of()
    trace = network.run(pixels[:1], steps=STEPS, engine="event", order=order).trace(0)
    spikes, deliveries = trace.spikes, trace.deliveries
    key = [KEYS[order](spike, trace.number) for spike in spikes]
    assert len(deliveries) > 20
    taken = set()
    for row in deliveries:
        # fired before this event was taken, in this step, and not delivered yet
        there = (spikes["event"] < row["event"]) & (spikes["step"] == row["step"])
        waiting = [int(seq) for seq in spikes["seq"][there] if seq not in taken]
        assert key[row["spike"]] == min(key[seq] for seq in waiting)
        taken.add(int(row["spike"]))


def test_what_is_told_of_random_is_true():
    """Its list by the trace's own event numbers: without windows all events count."""
    network, pixels = network_of()
    trace = network.run(pixels[:1], steps=STEPS, engine="event", order="random").trace(0)
    spikes, waiting, fired = trace.spikes, [], 0
    assert len(trace.deliveries) > 20
    for row in trace.deliveries:
        before = int(row["event"]) - 1
        while fired < len(spikes) and spikes["event"][fired] <= before:
            waiting.append(fired)
            fired += 1
        place = twin.spike_hash(0, trace.number, before) * len(waiting) >> 64
        assert waiting[place] == row["spike"]
        waiting[place] = waiting[-1]
        waiting.pop()
    assert not waiting


@pytest.mark.parametrize("order, first", [("excitatory_first", 1), ("inhibitory_first", 2)])
def test_what_is_told_of_halves_is_true(order, first):
    network, pixels = network_of()
    trace = network.run(pixels[:1], steps=STEPS, engine="event", order=order).trace(0)
    rows = trace.deliveries
    between = [p for p in network.projections if p.source >= 0]
    target = np.array([p.target for p in between])[rows["projection"]]
    assert {1, 2} == set(rows["half"].tolist())
    for step in range(STEPS):
        for layer in set(target.tolist()):
            mine = rows["half"][(rows["step"] == step) & (target == layer)]
            second = np.flatnonzero(mine != first)
            assert not len(second) or (mine[second[0] :] != first).all()


def test_options_of_time_are_told():
    said = words_of(Time(refractory=1))["evaluation"]
    assert "fires once" in said and "not again within 1 steps (1,024 ticks)" in said
    said = words_of(Time(window=0.25))
    assert "0.25 steps (256 ticks) after the first arrival" in said["evaluation"]
    assert "opens the neuron's window" in said["drive"]
    said = words_of(Time(order="jitter", jitter="exponential:0.25", barrier=False))
    assert "exponential of mean 256 ticks (0.25 steps)" in said["delivery"]
    assert "Free running: a step begins every 1,024 ticks" in said["end of a step"]
    assert "waits until no spike and no open window" in words_of(Time())["end of a step"]
    network, _ = network_of()
    names = [layer.name for layer in network.layers]
    p = next(p for p in network.projections if p.source >= 0)
    pair = names[p.source], names[p.target]
    said = words_of(Time(order="delays", delays={pair: 0.5}))["delivery"]
    assert f"{pair[0]} > {pair[1]}: 0.5 steps; others none" in said and "a parcel" in said
    arrays = [np.full(layer.size, 0.5) for layer in network.spiking]
    assert "each neuron has its own" in words_of(Time(delays=arrays))["delivery"]
    assert "than 1,234 are an error" in words_of(Time(max_events=1234))["limit"]
    assert "and than 1,000,000, are an error" in words_of(Time())["limit"]


def test_engines_models_and_pools_are_told():
    said = words_of(engine="clocked")
    assert "no effect" in said["arrival"] and "one after the other" in said["time"]
    said = words_of(Time(order="clocked"))
    assert "At the end of the step the layers are evaluated" in said["evaluation"]
    assert "nobody is evaluated yet" in said["drive"] and "limit" not in said
    assert "of either sign" in words_of(neuron="snm")["evaluation"]
    assert "up to 3 spikes at once" in words_of(neuron="gn:3")["evaluation"]
    assert "hears all 3 steps" in words_of(neuron="tpp")["stages"]
    assert "decays" in words_of(neuron="lif")["leak"]
    assert "All this twice: 2 steps" in words_of(engine="clocked", srp=2)["SRP"]
    assert "maximum" in words_of(make=pooled_graph)["pools"]
    assert "at once" in words_of(make=pooled_graph)["pools"]
    assert "at once" not in words_of(Time(order="clocked"), make=pooled_graph)["pools"]
    assert "not divided" in words_of(make=quantised_graph, neuron="st-bif")["readout"]
    assert "after step 1 counts" in words_of(engine="clocked", readout_from=1)["readout"]


class Newest(NamedTuple):
    """Newest first."""

    halves: int = 0

    @staticmethod
    def place(order, spike):
        return 0, -spike.seq - 1


def test_a_policy_of_ones_own_is_told_by_its_own_words():
    said = words_of(Time(order=Newest()))["delivery"]
    assert "the policy's key (Newest: Newest first.)" in said


def test_the_texts_are_the_laws():
    """Its words for what is easily told wrong stand in section 5."""
    law = " ".join(LAW[LAW.index("## 5.") : LAW.index("## 6.")].split())
    for words in (
        "(deepest layer, then newest first)",
        "Arrivals charge at once",
        "arrivals charge at once, evaluation waits for the step's end, layer by layer",
        "an arrival at exactly that tick comes before",
        "Any evaluation closes the window",
        "ends of refractory periods do not",
        "or at the tick of the last event taken if that is later",
        "zero counts as excitatory",
        "in index order of the target neurons",
    ):
        assert words.lower() in law.lower(), words


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    out = tmp_path_factory.mktemp("ordered") / "r"
    given = ["--engine", "event", "--limit", "2", "--steps", "2", "--trace", "spikes", "--quiet"]
    assert main([*given, "--out", str(out)]) == 0
    return out


def test_the_queue_of_a_trace_is_drawn(traced):
    found = eventsnn.ordering(traced)
    trace = found.trace
    from eventsnn.trace.ordering import _queue

    bars, waiting = _queue(trace)
    first = trace.deliveries[trace.deliveries["step"] == 0]
    assert sorted(bars[:, 1].tolist()) == first["event"].tolist()
    assert all((counts >= 0).all() and counts[-1] == 0 for counts in waiting)
    for event in (0, 100, int(first["event"][-1]) // 2):
        there = (bars[:, 0] <= event) & (bars[:, 1] > event)
        assert sum(int(counts[event]) for counts in waiting) == there.sum()


def test_the_page_stands_alone(traced, tmp_path, capsys):
    page = tmp_path / "ordering.html"
    assert command(["explain", str(traced), "--ordering", "--out", str(page)]) == 0
    told = capsys.readouterr().out
    assert str(eventsnn.ordering(traced)) in told
    html = page.read_text()
    assert "<svg role=" in html and "aria-label" in html and "lang=" in html
    assert not re.findall(r'(?:src|href)="(?!#)', html) and "<script" not in html
    assert "@import" not in html and "url(" not in html.replace("url(#", "")
    assert "prefers-color-scheme" in html or "color-scheme: light dark" in html


def test_without_a_trace_the_page_says_so(tmp_path):
    simulation = Simulation(network_of()[0], steps=STEPS, engine="event")
    found = eventsnn.ordering(simulation)
    assert "No trace" in found.html() and found.trace is None and repr(found)
    with pytest.raises(InputError, match="trace: expected a trace"):
        found.plot()
    with pytest.raises(InputError, match="ends in .html"):
        found.save(tmp_path / "a.txt")
    with pytest.raises(InputError, match="image: expected a Result or a folder"):
        eventsnn.ordering(simulation, 0)
    with pytest.raises(InputError, match="run: expected"):
        eventsnn.ordering(3)


@pytest.mark.parametrize(
    "words, told",
    [
        (["--ordering", "--layer", "act1"], "--layer: expected no --ordering beside it"),
        (["--ordering", "--out", "a.png"], "--out: expected a file that ends in .html"),
        (["--ordering", "--image", "0"], "--image: expected --out beside it"),
        (["--ordering", "--image", "1", "--out", "a.html"], "make it: eventsnn run"),
    ],
)
def test_bad_input_is_one_line(traced, capsys, words, told):
    assert command(["explain", str(traced), *words]) == 2
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1
