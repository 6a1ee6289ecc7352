"""The live microscope's kernel side: what a hand does becomes edits, and `replay` alone decides."""

import importlib
import json
import re
import sys
from dataclasses import replace as with_fields
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_pixels, small_graph
from support.traced import traced

import eventsnn
from eventsnn import Delay, Drop, InputError, Move, Swap
from eventsnn.notebook import scene
from eventsnn.notebook import widget as widgets
from eventsnn.notebook.gestures import recorded_spikes
from eventsnn.trace.microscope import observe
from eventsnn.trace.replay import replay
from eventsnn.trace.trace import NoSimulation

pytest.importorskip("anywidget")
HERE = Path(widgets.__file__).parent


@pytest.fixture(scope="module")
def result():
    graph = small_graph()
    pixels = random_pixels(np.random.default_rng(4), graph, 3)
    return eventsnn.simulate(eventsnn.convert(graph), pixels, steps=4, engine="event")


def ask(microscope, what, **more):
    """Sends a message of the page; returns in which words it was refused, or ""."""
    before = microscope.widget.refusal.get("count", 0)
    message = {"do": what, "of": microscope.widget.number, **more}
    microscope._answer(json.loads(json.dumps(message)))
    json.dumps(microscope.widget.picture, allow_nan=False)
    refusal = microscope.widget.refusal
    return refusal["words"] if refusal.get("count", 0) > before else ""


def editable(microscope):
    """The places of the arrivals that a hand can take hold of."""
    return [at for at, seq in enumerate(microscope.widget.picture["after"]["recorded"]) if seq >= 0]


def busy(run):
    """The microscope at the neuron of a run that hears most spikes."""
    heard = {place: observe(run.trace, *place).arrivals["spike"] for place in run.neurons(2)}
    return eventsnn.live(run.trace, *max(heard, key=lambda place: (heard[place] >= 0).sum()))


def same(one, other):
    """Whether two replays are equal, event by event."""
    return (
        str(one) == str(other)
        and one.spread == other.spread
        and np.array_equal(one.readouts, other.readouts)
        and np.array_equal(one.trace.spikes, other.trace.spikes)
        and np.array_equal(one.trace.deliveries, other.trace.deliveries)
    )


def test_it_begins_with_the_worst_neuron(result):
    microscope = eventsnn.live(result)
    worst = result.worst(20)
    mine = [each for each in worst if each.image == 0]
    first = next(each for each in mine if each.layer != result.network.layers[0].name)
    assert (microscope.layer, microscope.neuron) == (first.layer, first.neuron)
    picture = microscope.widget.picture
    told = [(row["neuron"], row["fired"], row["ideal"]) for row in picture["worst"]["rows"]]
    assert told[: len(mine)] == [(each.neuron, each.fired, each.ideal) for each in mine][:10]
    assert picture["images"] == 3 and picture["gestures"] == [] and picture["code"]
    assert microscope.before is microscope.after
    layer = eventsnn.live(result, layer="readout", image=2)
    assert (layer.layer, layer.neuron, layer.image) == ("readout", 0, 2)


def test_without_a_word_for_the_worst_it_begins_where_spikes_can_be_moved(result, monkeypatch):
    monkeypatch.setattr(type(result.simulation.neuron), "conserves", False)
    microscope = eventsnn.live(result)
    assert microscope.layer == result.network.layers[1].name and editable(microscope)
    worst = microscope.widget.picture["worst"]
    assert worst["rows"] == [] and worst["words"].isprintable() and "conserve" in worst["words"]


def test_the_picture_is_what_the_microscope_sees(result):
    microscope = eventsnn.live(result, 1, 5, image=1)
    seen, picture = result.observe(1, 5, 1), microscope.widget.picture
    for panel in (picture["before"], picture["after"]):
        assert panel["recorded"] == panel["spike"] == seen.arrivals["spike"].tolist()
        assert panel["step"] == (seen.arrivals["step"] + 1).tolist()
        for name in ("charge", "charged", "after"):
            assert panel[name] == pytest.approx(seen.in_thresholds(seen.arrivals[name]), abs=1e-6)
        assert panel["fired"] == seen.arrivals["fired"].tolist() and panel["words"] == seen.counts
    assert picture["thresholds"] == [1.0]
    row = picture["outputs"]["rows"][2]
    assert row["before"] == row["after"] == pytest.approx(result.readout()[1, 2])


def test_what_a_hand_does_is_what_replay_makes_of_the_edits(result):
    rng = np.random.default_rng(1)
    done = 0
    for layer, image in ((1, 0), (2, 1), (1, 2)):
        microscope = eventsnn.live(result, layer, image=image)
        for _ in range(8):
            at = int(rng.choice(editable(microscope)))
            what, more = [
                ("swap", {"by": int(rng.choice([1, -1]))}),
                ("place", {"gap": int(rng.integers(len(microscope.after.arrivals) + 1))}),
                ("drop", {}),
                ("shift", {"steps": float(rng.choice([0.25, 1.5, -0.5]))}),
            ][int(rng.integers(4))]
            count = len(microscope.edits)
            refused = ask(microscope, what, at=at, **more)
            assert refused.isprintable() and (len(microscope.edits) > count) == (not refused)
            done += not refused
        alone = result.replay(microscope.edits, image=image)
        assert same(microscope.replayed, alone)
        seen = observe(alone.trace, layer, microscope.neuron)
        assert np.array_equal(microscope.after.arrivals, seen.arrivals)
        net = seen.in_thresholds(seen.arrivals["charged"])
        assert microscope.widget.picture["after"]["charged"] == pytest.approx(net, abs=1e-6)
    assert done > 10


def test_neighbours_change_places(result):
    microscope = eventsnn.live(result, 1)
    panel = microscope.widget.picture["after"]["recorded"]
    at = next(i for i in editable(microscope) if i + 1 in editable(microscope))
    assert not ask(microscope, "swap", at=at, by=1)
    assert microscope.edits == (Swap(panel[at], panel[at + 1]),)
    now = microscope.widget.picture["after"]["recorded"]
    assert now[at : at + 2] == [panel[at + 1], panel[at]]
    assert not ask(microscope, "swap", at=at + 1, by=-1)
    assert microscope.widget.picture["after"]["recorded"][at : at + 2] == panel[at : at + 2]


def test_a_spike_stands_where_it_is_put(result):
    microscope = eventsnn.live(result, 2)
    panel = microscope.widget.picture["after"]
    recorded, step = panel["recorded"], panel["step"]
    here = [at for at in editable(microscope) if step[at] == 2]
    first, last = here[0], here[-1]
    assert len(here) > 3
    assert not ask(microscope, "place", at=last, gap=first)
    assert microscope.edits == (Move(recorded[last], recorded[first]),)
    assert not ask(microscope, "undo") and not microscope.edits
    # behind the last of a step there is nobody of that step to stand in front of
    assert not ask(microscope, "place", at=first, gap=last + 1)
    assert microscope.edits == (
        Move(recorded[first], recorded[last]),
        Swap(recorded[first], recorded[last]),
    )
    now = microscope.widget.picture["after"]
    assert now["recorded"][last] == recorded[first] and now["step"][last] == 2
    assert now["recorded"][first:last] == recorded[first + 1 : last + 1]
    assert not ask(microscope, "undo") and not microscope.edits, "one gesture, taken back whole"
    assert "another place" in ask(microscope, "place", at=first, gap=first)


def test_along_time_a_spike_comes_later_or_in_front_of_what_is_earlier():
    microscope = busy(traced(612, "jitter"))
    panel = microscope.widget.picture["after"]
    at = editable(microscope)[len(editable(microscope)) // 2]
    assert not ask(microscope, "shift", at=at, steps=0.25)
    assert microscope.edits == (Delay(panel["recorded"][at], 0.25),)
    now = microscope.widget.picture["after"]
    there = now["recorded"].index(panel["recorded"][at])
    assert now["tick"][there] == panel["tick"][at] + 256
    microscope.reset()
    at = next(i for i in reversed(editable(microscope)) if i - 2 in editable(microscope))
    early = panel["time"][at - 2] - panel["time"][at] - 1e-9
    refused = ask(microscope, "shift", at=at, steps=early)
    assert refused or microscope.edits == (Move(panel["recorded"][at], panel["recorded"][at - 2]),)
    assert "a tick" in ask(microscope, "shift", at=at, steps=0)


def test_a_dropped_spike_is_gone_until_it_is_undone(result):
    microscope = eventsnn.live(result, 1)
    at = editable(microscope)[2]
    seq = microscope.widget.picture["after"]["recorded"][at]
    assert not ask(microscope, "drop", at=at)
    assert microscope.edits == (Drop(seq),)
    picture = microscope.widget.picture
    assert seq not in picture["after"]["recorded"] and seq in picture["before"]["recorded"]
    assert picture["gestures"] == [[f"Drop(seq={seq})"]]
    assert not ask(microscope, "undo") and microscope.edits == ()
    assert seq in microscope.widget.picture["after"]["recorded"]
    assert "an edit to take back" in ask(microscope, "undo")
    microscope.edit(Drop(seq), Swap(seq + 1, seq + 2))
    microscope.edit(Drop(seq + 3))
    assert len(microscope.edits) == 3
    microscope.undo()
    assert len(microscope.edits) == 2
    assert not ask(microscope, "reset") and microscope.edits == ()
    assert microscope.replayed.first is None


@pytest.mark.parametrize("case", ["fifo", "random", "excitatory_first", "delays by neuron"])
def test_spikes_are_known_again_by_their_neuron_and_place(case):
    run = traced(620, case, "snm")
    found = replay(run.simulation, run.trace, run.pixels, [Drop(0), Drop(3)]).trace

    def names(trace):
        sent, keys = {}, []
        for layer, neuron in zip(trace.spikes["layer"].tolist(), trace.spikes["neuron"].tolist()):
            sent[layer, neuron] = sent.get((layer, neuron), -1) + 1
            keys.append((layer, neuron, sent[layer, neuron]))
        return keys

    recorded = {key: seq for seq, key in enumerate(names(run.trace))}
    edited, fresh = names(found), 0
    for layer, neuron in run.neurons(5):
        seen = observe(found, layer, neuron)
        mine = recorded_spikes(run.trace, found, seen)
        for seq, its in zip(seen.arrivals["spike"].tolist(), mine):
            assert its == (recorded.get(edited[seq], -1) if seq >= 0 else -1)
            fresh += seq >= 0 and its < 0
    assert len(found.spikes) != len(run.trace.spikes) or not fresh


def test_a_spike_that_only_an_edit_made_cannot_be_edited():
    microscope = eventsnn.live(traced(630, "fifo", "snm").trace, 4, 0)
    for at in editable(microscope)[:6]:
        ask(microscope, "drop", at=at)
        panel = microscope.widget.picture["after"]
        pairs = zip(panel["spike"], panel["recorded"])
        fresh = [i for i, (spike, seq) in enumerate(pairs) if spike >= 0 > seq]
        if fresh:
            edits = microscope.edits
            refused = ask(microscope, "swap", at=fresh[0], by=1)
            assert "only because of the edits" in refused and microscope.edits == edits
            return
        microscope.reset()
    raise AssertionError("no edit made a spike")


def test_what_is_refused_changes_nothing_and_is_told_in_a_line(result):
    microscope = eventsnn.live(result, 1)
    microscope.edit(Swap(*microscope.widget.picture["after"]["recorded"][1:3]))
    before = microscope.widget.picture, microscope.edits, microscope.replayed, microscope.after
    drive = microscope.widget.picture["after"]["source"].index(-1)
    last = len(microscope.after.arrivals)
    for what, more, words in (
        ("swap", {"at": drive, "by": 1}, "arrival 0: expected a recorded spike"),
        ("swap", {"at": last, "by": 1}, f"arrival: expected 0 to {last - 1}"),
        ("swap", {"at": "0", "by": 1}, "arrival: expected a whole number"),
        ("swap", {"at": 1, "by": 7}, "swap: expected 1 or -1"),
        ("place", {"at": 1, "gap": -1}, "gap: expected 0 to"),
        ("place", {"at": 1}, "gap: expected a whole number, found None"),
        ("shift", {"at": 1, "steps": "a"}, "steps: expected a number"),
        ("shift", {"at": 1, "steps": 1e9}, "steps: expected 0 to"),
        ("drop", {"at": None}, "arrival: expected a whole number, found None"),
        ("drop", {"at": 1, "of": 1}, "picture: expected an edit of what is shown"),
        ("choose", {"layer": 9}, "layer: expected one of"),
        ("choose", {"layer": [1]}, "layer: expected one of"),
        ("choose", {"neuron": 10**6}, "neuron: expected a number from 0 to"),
        ("choose", {"neuron": "<b>"}, "neuron: expected a number from 0 to"),
        ("choose", {"image": 3}, "image: expected 0 to 2"),
        ("choose", {"image": 0.5}, "image: expected a whole number"),
        ("jump", {}, "page: expected something that the microscope does, found 'jump'"),
    ):
        refused = ask(microscope, what, **more)
        assert refused.startswith(words) and refused.isprintable(), refused
        now = microscope.widget.picture, microscope.edits, microscope.replayed, microscope.after
        assert now[0] is before[0] and now[2] is before[2] and now[3] is before[3]
        assert now[1] == before[1]
    effect = next(s for s in result.trace(0).spikes if s["cause"] >= 0)
    with pytest.raises(InputError, match="seq, from 0 to"):
        microscope.edit(Drop(10**9))
    late = int(result.trace(0).spikes["seq"][-1])
    with pytest.raises(InputError, match="not before it is fired"):
        microscope.edit(Move(late, int(effect["cause"])))
    assert microscope.widget.picture is before[0] and microscope.edits == before[1]


def test_the_edits_in_python_give_the_same_replay(result):
    for recorded, name, image in ((result, "result", 1), (result.trace(1), "trace", None)):
        microscope = eventsnn.live(recorded, 1, image=image)
        for code_of in range(2):
            names = {name: recorded, "print": lambda *_: None}
            exec(microscope.code, names)
            assert names["replayed"].edits == microscope.edits
            assert same(names["replayed"], microscope.replayed)
            if not code_of:
                ask(microscope, "swap", at=editable(microscope)[1], by=1)
                ask(microscope, "shift", at=editable(microscope)[0], steps=1 / 3)
                assert len(microscope.edits) == 2


def test_each_image_keeps_its_edits(result):
    microscope = eventsnn.live(result, 1, 3)
    ask(microscope, "drop", at=editable(microscope)[0])
    first = microscope.edits
    assert not ask(microscope, "choose", image=2)
    layer = result.network.layers[1].name
    assert (microscope.image, microscope.layer, microscope.neuron) == (2, layer, 3)
    assert microscope.edits == ()
    assert not ask(microscope, "choose", image=0)
    assert microscope.edits == first and same(microscope.replayed, result.replay(first))
    assert not ask(microscope, "choose", layer=0)
    assert microscope.edits == first, "they are the image's, whatever neuron is looked at"
    microscope.choose(neuron=(1, 2, 0))
    assert microscope.neuron == result.network.layers[0].neuron(1, 2, 0)
    assert "1 edit" in repr(microscope) and repr(microscope).startswith("<LiveMicroscope of ")


def test_layers_are_counted_before_and_after(result):
    microscope = eventsnn.live(result, 1)
    trace = result.trace(0)
    for at in editable(microscope)[:4]:
        ask(microscope, "drop", at=at)
    alone = result.replay(microscope.edits)
    assert alone.spread
    for row in microscope.widget.picture["changes"]["rows"]:
        of = [each for each in alone.spread if each["layer"] == trace.names[row["layer"]]]
        for key in ("gained", "lost", "moved"):
            assert row[key] == sum(each[key] for each in of)
        counts = []
        for run, key in ((trace, "before"), (alone.trace, "after")):
            own = run.of(row["layer"])
            assert row[key] == len(own)
            size = result.network.layers[row["layer"]].size
            counts.append(np.bincount(own["neuron"], own["sign"], size))
        assert row["neurons"] == (counts[0] != counts[1]).sum()
    predictions = microscope.widget.picture["outputs"]["predictions"]
    assert predictions == list(alone.predictions)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda r: eventsnn.live(), "argument recorded, found none"),
        (lambda r: eventsnn.live(3), "recorded: expected .*found 3"),
        (lambda r: eventsnn.live(r.network), "recorded: expected .*found a Network"),
        (lambda r: eventsnn.live(r, "act"), "layer: expected one of .*'act'"),
        (lambda r: eventsnn.live(r, 99), "layer: expected one of .*99"),
        (lambda r: eventsnn.live(r, 1, -1), "neuron: expected a number from 0"),
        (lambda r: eventsnn.live(r, 1, "two"), "neuron: expected a number from 0 .*two"),
        (lambda r: eventsnn.live(r, neuron=3), "neuron: expected the layer .* for example layer="),
        (lambda r: eventsnn.live(r, image=3), "image: expected 0 to 2, found 3"),
        (lambda r: eventsnn.live(r, image="first"), "image: expected a whole number"),
        (lambda r: eventsnn.live(r, images=1), "did you mean image"),
        (lambda r: eventsnn.live(r.trace(), image=0), "image: expected none beside a trace"),
        (
            lambda r: eventsnn.live(eventsnn.simulate(r.network, r.images, steps=2)),
            "trace: expected engine 'event', found engine 'clocked'",
        ),
        (lambda r: eventsnn.live(r, 1).edit("swap"), "edits: expected Swap, Move, Drop or Delay"),
        (lambda r: eventsnn.live(r, 1).undo(), "undo: expected an edit"),
        (lambda r: eventsnn.live(r.trace()).choose(image=1), "image: expected 0, the trace's"),
    ],
)
def test_bad_input_is_one_line(result, call, words):
    with pytest.raises(InputError, match=words) as caught:
        call(result)
    assert str(caught.value).isprintable()


def test_a_trace_without_its_simulation_or_a_part_of_one_is_refused(result, tmp_path, monkeypatch):
    path = tmp_path / "trace.h5"
    trace = result.trace()
    partly = eventsnn.Trace(
        **{**vars(trace), "complete": False, "input_deliveries": trace.input_deliveries}
    )
    with pytest.raises(InputError, match="expected a trace of all layers"):
        eventsnn.live(partly)
    alone = eventsnn.Trace(**{**vars(trace), "simulation": NoSimulation(path)})
    with pytest.raises(InputError, match="the simulation that made it"):
        eventsnn.live(alone)
    monkeypatch.setattr(type(result.simulation.neuron), "holds", False)
    with pytest.raises(InputError, match="microscope"):
        eventsnn.live(result)


def test_without_anywidget_one_line_says_how_to_install_it(result, monkeypatch):
    widgets._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InputError, match="pip install anywidget") as caught:
        eventsnn.live(result)
    assert str(caught.value).isprintable()
    monkeypatch.undo()
    widgets._widget_class.cache_clear()
    assert eventsnn.live(result).widget


def test_names_of_files_stay_on_one_printable_line(result):
    layer = with_fields(result.network.layers[0], name="<img src=x>\n\x1b[31m\u202e" + "a" * 99)
    network = with_fields(result.network, layers=(layer, *result.network.layers[1:]))
    told = scene.layers(type("Simulation", (), {"network": network}))
    assert told[0]["name"].isprintable() and len(told[0]["name"]) <= 60


def test_the_page_makes_no_markup_of_text_and_loads_nothing():
    code, style = ((HERE / f"microscope.{end}").read_text() for end in ("js", "css"))
    words = "innerHTML outerHTML insertAdjacentHTML document.write eval( Function( import fetch("
    for word in (*words.split(), "XMLHttpRequest", "WebSocket", "setHTML", "DOMParser"):
        assert word not in code, word
    assert re.findall(r"https?://[^\"]*", code) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in style and "@import" not in style


def test_jupyter_shows_it(result):
    microscope = eventsnn.live(result)
    data = microscope._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == repr(microscope)


def test_the_benchmark_measures_edits_that_were_made(monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    benchmark = importlib.import_module("live")
    assert benchmark.main(["--steps", "1", "--layers", "act1,act2", "--edits", "3"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (first,), (second,) = ([row for row in rows if row[:1] == [name]] for name in ("act1", "act2"))
    assert first[2] == "0" and len(first) == 3, "no spike reaches it, so nothing was measured"
    assert second[2] == "3" and float(second[3].replace(",", "")) > 0
    assert benchmark.main(["--edits", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: --edits: expected a whole number from 1")
