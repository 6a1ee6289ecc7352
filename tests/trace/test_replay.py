"""Replay: an unedited list gives the recorded run again, an edited one what the naive twin makes of
the same list.
"""

from dataclasses import replace as with_fields

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_net
from support.traced import IMAGE, traced
from support.ways import CASES
from support.worked import examples

from eventsnn import InputError
from eventsnn.engine.event.queue import TAKEN, QueueArrays, waiting
from eventsnn.simulation.time import Time
from eventsnn.trace.edits import edited, named
from eventsnn.trace.microscope import DRIVE, observe
from eventsnn.trace.replay import (
    Delay,
    Drop,
    Move,
    Replays,
    Swap,
    begin,
    branch,
    first_difference,
    play,
    recorded_order,
    replay,
    run_at,
    spread,
    state_at,
)
from eventsnn.trace.trace import Recorder, spike_type, structured

HALVES = {
    "excitatory_first": (twin.EXCITATORY, twin.INHIBITORY),
    "window, halves": (twin.EXCITATORY, twin.INHIBITORY),
    "inhibitory_first": (twin.INHIBITORY, twin.EXCITATORY),
}


def same_run(one, other):
    """Whether two runs are equal to the last array of their state, scratch and records apart."""
    apart = "at", "found", "spike_record", "spike_potentials", "delivery_record"
    apart += QueueArrays._fields
    kept = [name for name in one.state._fields if name not in apart]
    return np.array_equal(one.readout, other.readout) and all(
        np.array_equal(getattr(one.state, n), getattr(other.state, n)) for n in kept
    )


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize("case", CASES)
def test_an_unedited_replay_is_the_recorded_run(case, model):
    for seed in (600, 601):
        run = traced(seed + len(case), case, model)
        again = replay(run.simulation, run.trace, run.pixels)
        assert len(run.trace.spikes)
        assert np.array_equal(again.trace.spikes, run.trace.spikes) and np.array_equal(
            again.trace.deliveries, run.trace.deliveries
        )
        assert same_run(again.run, run.run)
        assert (
            again.first is None
            and again.spread == []
            and again.notes == []
            and "Every spike is the same." in str(again)
        )
        assert np.array_equal(again.readouts[0], again.readouts[1])


# --- edits, against the twin ---


def twin_list(run, outcome, edit):
    """The twin's deliveries, edited by the same words in the twin's own terms; and the spike that
    is dropped.
    """
    spikes, sent = outcome.spikes, {}
    for spike in spikes:
        sent[spike.layer, spike.neuron, spike.nth] = spike
    line = list(outcome.deliveries[: len(outcome.deliveries) - outcome.under_way])
    due = [sent[d[:3]].tick + d.delay for d in line]
    of = {
        seq: [i for i, d in enumerate(line) if sent[d[:3]].seq == seq]
        for seq in set(edit)
        if isinstance(seq, int)
    }

    def put(entry, tick):
        return entry._replace(delay=tick - sent[entry[:3]].tick)

    if isinstance(edit, Swap):
        old = list(line)
        for i, j in zip(of[edit.a], of[edit.b], strict=True):
            line[i], line[j] = put(old[j], due[i]), put(old[i], due[j])
    elif isinstance(edit, Move):
        to = of[edit.before][0]
        moved = [put(line[i], due[to]) for i in of[edit.seq]]
        line = [
            e
            for i, d in enumerate(line)
            for e in ([*moved, d] if i == to else [] if i in of[edit.seq] else [d])
        ]
    elif isinstance(edit, Delay):
        late = round(edit.steps * run.simulation.time.ticks)
        line = [put(d, due[i] + late) if i in of[edit.seq] else d for i, d in enumerate(line)]
    return line


def twin_policy(run, outcome, case, edit):
    """`twin.replay` of the edited list; unlisted spikes go in as many parcels as listed ones,
    dropped and undelivered ones not at all.
    """
    line = twin_list(run, outcome, edit)
    listed, known = twin.replay(line), {d[:3] for d in line}
    recorded = {(s.layer, s.neuron, s.nth) for s in outcome.spikes}
    delivered = {d[:3] for d in outcome.deliveries[: len(outcome.deliveries) - outcome.under_way]}
    dropped = {
        (s.layer, s.neuron, s.nth)
        for s in outcome.spikes
        if isinstance(edit, Drop) and s.seq == edit.seq
    }

    def policy(net, spike):
        name, outgoing = (spike.layer, spike.neuron, spike.nth), net.outgoing(spike.layer)
        if name in dropped or name in recorded and name not in delivered:
            return []
        if name in known:
            return listed(net, spike)
        if case in HALVES:
            return [
                twin.Parcel(0, len(line), (k,), half) for k in outgoing for half in HALVES[case]
            ]
        if case == "delays by projection":
            return [twin.Parcel(0, len(line), (k,)) for k in outgoing]
        return [twin.Parcel(0, len(line), outgoing)]

    return policy


def some_edits(run, rng, count):
    """Edits that can be, of spikes that were delivered whole."""
    trace, found = run.trace, []
    parts = np.bincount(trace.deliveries["spike"], minlength=len(trace.spikes))
    usual = np.flatnonzero(parts == parts.max())
    while len(found) < count:
        a, b = (int(x) for x in rng.choice(usual, 2, replace=False))
        near = int(usual[min(len(usual) - 1, np.searchsorted(usual, a) + 1)])
        edit = [
            Swap(a, near),
            Move(a, near),
            Move(near, a),
            Swap(a, b),
            Move(b, a),
            Drop(a),
            Delay(a, 0.25),
        ][len(found) % 7]
        try:
            edited(trace, [edit])
        except InputError:
            continue
        found.append(edit)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "fifo",
        "lifo",
        "index",
        "random",
        "excitatory_first",
        "inhibitory_first",
        "jitter",
        "free-running",
        "refractory, random",
        "window, refractory, free",
        "delays by projection",
        "delays by neuron",
    ],
)
def test_an_edited_replay_is_the_twins(case):
    changed = 0
    for seed, model in ((620, "if"), (621, "snm")):
        run, rng = traced(seed + len(case), case, model), np.random.default_rng(seed)
        outcome = run.twin()
        for edit in some_edits(run, rng, 7):
            again = replay(run.simulation, run.trace, run.pixels, [edit])
            expected = run.twin(order=twin_policy(run, outcome, case, edit), delays=None)
            assert [tuple(s)[2:] for s in again.trace.spikes.tolist()] == [
                (
                    s.tick,
                    s.step,
                    s.layer,
                    s.neuron,
                    s.sign,
                    s.member,
                    -1 if s.cause is None else s.cause,
                    s.v_before,
                    s.v_after,
                )
                for s in expected.spikes
            ], edit
            for potentials, others in zip(
                by_layer(run.simulation, again.run.state.v), expected.potentials
            ):
                assert potentials.tolist() == list(others)
            assert again.run.readout.tolist() == [list(charge) for charge in expected.readout]
            changed += bool(again.spread)
    assert changed


def test_a_dropped_spike_brings_nothing():
    run = traced(630, "random")
    readout = len(run.trace.names) - 1
    projections = twin_net(run.simulation).projections
    last = [
        s
        for s in run.trace.spikes
        if any(p.source == s["layer"] and p.target == readout for p in projections)
    ]
    only = [
        s
        for s in last
        if not any(p.source == s["layer"] and p.target != readout for p in projections)
    ]
    for spike in only[:5]:
        again = replay(run.simulation, run.trace, run.pixels, [Drop(int(spike["seq"]))])
        weights = next(p.weights for p in projections if p.source == spike["layer"])[
            :, spike["neuron"]
        ]
        assert np.array_equal(run.run.readout[-1] - again.run.readout[-1], weights)
        assert again.first is None and len(again.trace.deliveries) == len(run.trace.deliveries) - 1
        assert np.allclose(
            np.diff(again.readouts, axis=0)[0],
            -run.simulation.arithmetic.readout(weights) / 4,
            rtol=1e-12,
        )
    assert only


def test_edits_follow_each_other():
    """Two swaps of the same spikes cancel; a delay and its delivery are at the tick asked for."""
    run = traced(631, "jitter")
    a, b = (edit for edit in some_edits(run, np.random.default_rng(1), 1)[0])
    twice = replay(run.simulation, run.trace, None, [Swap(a, b), Swap(b, a)])
    assert np.array_equal(twice.trace.deliveries, run.trace.deliveries)
    late = replay(run.simulation, run.trace, None, [Delay(a, 0.125)] * 2)
    before, after = (
        t.deliveries["tick"][t.deliveries["spike"] == a] for t in (run.trace, late.trace)
    )
    assert (after - before).tolist() == [256]
    gone = replay(run.simulation, run.trace, None, [Drop(a)])
    assert a not in gone.trace.deliveries["spike"]
    kept = replay(gone.trace.simulation, gone.trace, None)  # the trace of a replay can be replayed
    assert np.array_equal(kept.trace.spikes, gone.trace.spikes) and np.array_equal(
        kept.trace.deliveries, gone.trace.deliveries
    )


def test_spikes_of_different_layers_can_change_places():
    """In halves, their deliveries are of different numbers."""
    run = traced(633, "excitatory_first")
    parts = np.bincount(run.trace.deliveries["spike"], minlength=len(run.trace.spikes))
    pairs = [
        (int(a), int(b))
        for a in np.flatnonzero(parts == parts.max())
        for b in np.flatnonzero(parts == parts.min())
    ]
    assert parts.max() > parts.min() > 0
    again = replay(run.simulation, run.trace, None, [Swap(*pairs[0])])
    assert np.bincount(again.trace.deliveries["spike"]).max() == parts.max()
    place, _ = edited(run.trace, [Swap(*pairs[0])])
    assert sorted(place) == list(range(len(run.trace.deliveries)))


def test_replayed_traces_go_under_the_microscope():
    run = traced(632, "random", "snm")
    again = replay(run.simulation, run.trace, None, some_edits(run, np.random.default_rng(2), 1))
    for layer, neuron in run.neurons(every=5):
        assert (
            observe(again.trace, layer, neuron).end == again.run.state.v[run.first(layer) + neuron]
        )


def test_what_cannot_be_carried_out_is_said():
    """A spike cannot come before the one that fires it; a spike that the edit undoes is not
    there.
    """
    simulation, pixels, trace = examples.at_once("fifo")
    target = trace.of("target")
    effect, cause = int(target["seq"][0]), int(target["cause"][0])
    again = replay(simulation, trace, pixels, [Move(effect, before=cause)])
    assert again.notes == [
        f"{Move(effect, cause)}: the order stays, since one is fired only after the other has been "
        "delivered."
    ]
    assert again.notes[0] in str(again) and again.first is None
    last = int(target["seq"][-1])
    again = replay(
        simulation, trace, pixels, [*examples.inhibition_in_time(trace), Swap(last, effect)]
    )
    assert again.notes == [f"{Swap(last, effect)}: spike {last} is not fired any more."]


# --- what changed ---


def spikes_of(trace, rows):
    """A record of spikes (layer, neuron, step, sign)."""
    s = np.zeros(len(rows), spike_type(np.int32))
    for i, (layer, neuron, step, sign) in enumerate(rows):
        s[i]["layer"] = layer
        s[i]["neuron"] = neuron
        s[i]["step"] = step
        s[i]["sign"] = sign
        s[i]["member"] = 1
    return s


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([(0, 0, 0, 1)], [(0, 0, 0, 1)], []),
        ([(0, 0, 0, 1)], [], [(0, 1, 0, 1, 0)]),
        ([], [(1, 2, 3, 1)], [(1, 4, 1, 0, 0)]),
        ([(0, 0, 0, 1)], [(0, 0, 2, 1)], [(0, 1, 0, 0, 1)]),
        (
            [(0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 2, 1)],
            [(0, 0, 1, 1), (0, 0, 2, 1)],
            [(0, 1, 0, 1, 0)],
        ),
        ([(0, 0, 0, 1), (0, 0, 1, 1)], [(0, 0, 3, 1)], [(0, 1, 0, 0, 1), (0, 2, 0, 1, 0)]),
        (
            [(0, 0, 1, 1)],
            [(0, 0, 0, 1), (0, 0, 3, 1), (0, 0, 3, 1)],
            [(0, 2, 0, 0, 1), (0, 4, 2, 0, 0)],
        ),
        ([(0, 0, 1, 1)], [(0, 1, 1, 1)], [(0, 2, 1, 1, 0)]),
        ([(0, 0, 1, 1)], [(0, 0, 1, -1)], [(0, 2, 1, 1, 0)]),
        ([(0, 0, 0, 1), (0, 0, 0, -1)], [(0, 0, 0, -1), (0, 0, 0, 1)], []),
    ],
)
def test_gained_lost_and_moved(old, new, expected):
    trace = traced(640).trace
    found = spread(with_fields(trace, spikes=spikes_of(trace, old)), spikes_of(trace, new))
    assert [
        (trace.names.index(r["layer"]), r["step"], r["gained"], r["lost"], r["moved"])
        for r in found
    ] == expected


def test_the_first_difference():
    trace = traced(640).trace
    rows = [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 0, -1)]
    one, other, longer = (spikes_of(trace, r) for r in (rows[:2], rows[::2], rows))
    assert first_difference(one, one) is None
    assert first_difference(one, other) == (one[1], other[1])
    assert first_difference(one, longer) == (None, longer[2]) and first_difference(longer, one) == (
        longer[2],
        None,
    )
    shifted = one.copy()
    shifted["tick"] += 5
    assert first_difference(one, shifted) is None


@pytest.mark.parametrize("case", ["random", "jitter", "refractory, random"])
def test_the_report_counts_every_spike(case):
    differing = 0
    for seed in (650, 651, 652):
        run = traced(seed, case)
        drops = [Drop(int(seq)) for seq in np.unique(run.trace.deliveries["spike"])[::10]]
        for edits in (
            [],
            drops,
            *([edit] for edit in some_edits(run, np.random.default_rng(seed), 6)),
        ):
            again = replay(run.simulation, run.trace, None, edits)
            for layer, name in enumerate(run.trace.names):
                rows = [row for row in again.spread if row["layer"] == name]
                change = len(again.trace.of(layer)) - len(run.trace.of(layer))
                assert sum(row["gained"] - row["lost"] for row in rows) == change
            readouts = [
                run.simulation.arithmetic.readout(r.readout[-1]) / run.simulation.steps
                for r in (run.run, again.run)
            ]
            assert np.array_equal(again.readouts, readouts)
            assert again.predictions == tuple(r.argmax() for r in readouts)
            assert ("Every spike is the same." in str(again)) == (again.first is None)
            assert str(again).count(" gained, ") == len({row["layer"] for row in again.spread})
            assert again._repr_html_().count("<tr>") == (
                len(again.spread) + 1 if again.spread else 0
            )
            gained, lost, moved = (
                sum(row[name] for row in again.spread) for name in ("gained", "lost", "moved")
            )
            assert repr(again).endswith(
                f"edits: {gained} spikes gained, {lost} lost, {moved} moved>"
            )
            differing += bool(again.spread)
    assert differing


# --- snapshots ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    ["random", "free-running", "window, refractory, free", "clocked", "delays by projection"],
)
def test_a_run_goes_on_from_a_snapshot_as_often_as_one_likes(case):
    run = traced(660, case, "snm")
    stepping = begin(run.simulation, run.trace.drive, IMAGE, sink=Recorder())
    stepping.run_step()
    stepping.run_step()
    one, other = branch(stepping), stepping.snapshot()
    assert same_run(one.run(), run.run) and same_run(other.run(), run.run)
    assert stepping.step_number == 2 and not same_run(stepping, run.run)
    assert same_run(stepping.run(), run.run)


@pytest.mark.parametrize("case", ["random", "jitter", "excitatory_first", "delays by projection"])
def test_an_edited_future_leaves_the_past_alone(case):
    run = traced(661, case)
    trace, recorder = run.trace, Recorder()
    stepping = begin(run.simulation, trace.drive, IMAGE, recorded_order(trace), recorder)
    while stepping.step_number < 2:
        stepping.run_step()
    past = stepping.snapshot()
    future = [
        int(seq) for seq in np.unique(trace.deliveries["spike"]) if trace.spikes["step"][seq] >= 2
    ]
    edits = [Drop(seq) for seq in future[::3]]
    mine = Recorder()
    other = branch(stepping, trace, edits, mine)
    assert same_run(other, past)
    other.run()
    whole = replay(run.simulation, trace, run.pixels, edits)
    assert same_run(other, whole.run) and whole.spread
    assert {row["step"] for row in whole.spread} <= {3, 4}
    first = len(trace.spikes[trace.spikes["step"] < 2])
    spikes, deliveries = structured(run.simulation, first, *mine.records())
    assert np.array_equal(spikes, whole.trace.spikes[first:])
    assert np.array_equal(deliveries, whole.trace.deliveries[whole.trace.deliveries["step"] >= 2])
    assert same_run(stepping, past) and same_run(stepping.run(), run.run)
    with pytest.raises(
        InputError,
        match="edits: expected spikes of step 3 or later, where the run stands, found spike 0",
    ):
        branch(past, trace, [Drop(0)])
    with pytest.raises(InputError, match="branch: expected a run with a sink"):
        branch(begin(run.simulation, trace.drive), sink=Recorder())


@pytest.mark.parametrize(
    "case", ["random", "excitatory_first", "free-running", "window, refractory, free"]
)
def test_the_state_at_any_event_is_what_the_microscope_rebuilds(case):
    run = traced(663, case, "snm")
    arrivals = {place: observe(run.trace, *place).arrivals for place in run.neurons(every=6)}
    moved = 0
    for number in run.trace.deliveries["event"][[3, len(run.trace.deliveries) // 2, -2]].tolist():
        state = state_at(run.trace, number)
        spikes = run.trace.spikes[run.trace.spikes["event"] < number]
        step = run.trace.deliveries["step"][run.trace.deliveries["event"] == number][0]
        for (layer, neuron), rows in arrivals.items():
            past = rows[
                np.where(rows["source"] == DRIVE, rows["step"] <= step, rows["event"] < number)
            ]
            assert state.v[run.first(layer) + neuron] == past["after"][-1]
            moved += past["after"][-1] != past["before"][0]
            mine = spikes[(spikes["layer"] == layer) & (spikes["neuron"] == neuron)]
            assert state.memory[run.first(layer) + neuron, :2].tolist() == [
                mine["sign"].sum(),
                len(mine),
            ]
    assert moved
    assert np.array_equal(state_at(run.trace, 10**9).v, run.run.state.v)
    for trace, number in ((run.trace, 0), (run.trace, 1.5), (traced(664, "clocked").trace, 1)):
        with pytest.raises(InputError, match="an event's number, from 1, in asynchronous time"):
            state_at(trace, number)


@pytest.mark.parametrize("case", sorted(set(CASES) - {"clocked"}))
def test_a_run_goes_on_from_any_event(case):
    run, amid = traced(664 + len(case), case, "snm"), 0
    events = int(run.run.state.at[TAKEN])
    for number in (1, 2, events // 3, events // 2, events - 1, events, events + 1):
        recorder = Recorder()
        stopped = run_at(run.trace, number, sink=recorder)
        copy = stopped.snapshot()
        amid += stopped.inside and len(waiting(stopped.state)) > 1
        assert stopped.state.at[TAKEN] == number - 1 and copy.inside == stopped.inside
        assert same_run(stopped.run(), run.run) and same_run(copy.run(), run.run)
        trace = recorder.trace(run.simulation, stopped, IMAGE)
        for name in "spikes", "deliveries", "starts", "end":
            assert np.array_equal(getattr(trace, name), getattr(run.trace, name))
        assert np.array_equal(copy.starts, run.trace.starts)
    assert amid


@pytest.mark.parametrize(
    "case",
    [
        "fifo",
        "lifo",
        "random",
        "jitter",
        "excitatory_first",
        "free-running",
        "window, refractory, free",
        "delays by projection",
        "delays by neuron",
    ],
)
def test_the_future_of_any_event_can_be_edited(case):
    """What is under way keeps its place among what comes, wherever the edits move that to."""
    run = traced(668, case)
    tried = 0
    changed = 0
    spikes, rng = run.trace.spikes, np.random.default_rng(3)
    for number in run.trace.deliveries["event"][:: max(1, len(run.trace.deliveries) // 6)].tolist()[
        1:
    ]:
        stopped = run_at(run.trace, number, sink=Recorder())
        step = stopped.step_number
        future = (spikes["step"] > step) | (spikes["step"] == step) & (spikes["event"] >= number)
        chosen = [edit for edit in some_edits(run, rng, 60) if future[list(named(edit))].all()][:12]
        here = run.trace.deliveries[
            (run.trace.deliveries["event"] >= number) & (run.trace.deliveries["step"] == step)
        ]
        here = here["spike"][future[here["spike"]]]
        if (
            len(set(here)) > 1 and spikes["tick"][here[-1]] == spikes["tick"][here[0]]
        ):  # all between, under way or not, move on by one
            chosen.append(Move(int(here[-1]), int(here[0])))
        for edit in chosen:
            whole, mine = replay(run.simulation, run.trace, None, [edit]), Recorder()
            assert same_run(branch(stopped, run.trace, [edit], mine).run(), whole.run)
            _, deliveries = structured(run.simulation, 0, *mine.records())
            assert np.array_equal(
                deliveries, whole.trace.deliveries[whole.trace.deliveries["event"] >= number]
            )
            assert same_run(run_at(run.trace, number, [edit]).run(), whole.run)
            tried, changed = tried + 1, changed + bool(whole.first)
        with pytest.raises(
            InputError, match=f"spikes fired from event {number} on, where the run stands"
        ):
            branch(
                stopped,
                run.trace,
                [
                    Drop(
                        int(
                            run.trace.deliveries["spike"][run.trace.deliveries["event"] == number][
                                0
                            ]
                        )
                    )
                ],
            )
    assert tried > 10 and changed


# --- what is refused ---


def test_edits_that_cannot_be_are_refused():
    run = traced(670, "jitter")
    trace = run.trace
    last, first = int(trace.deliveries["spike"][-1]), int(trace.deliveries["spike"][0])
    for edit, words in (
        (Move(last, before=first), "a place for spike"),
        (Swap(first, last), "not before it is fired"),
        (Drop(-1), "spikes by their seq"),
        (Drop(len(trace.spikes)), "spikes by their seq"),
        (Drop(0.5), "by their seq"),
        (Delay(first, -1), "0 to 65536 steps|0 to 65,536 steps"),
        (Delay(first, 0), "a delay of a tick or more, found 0 steps"),
        (Swap(first, first), f"two different spikes, found spike {first} twice"),
        (Move(last, before=last), f"two different spikes, found spike {last} twice"),
        ("drop 3", "Swap, Move, Drop or Delay"),
    ):
        with pytest.raises(InputError, match=words):
            replay(run.simulation, trace, run.pixels, [edit])
    with pytest.raises(InputError, match=f"a spike that is delivered, found spike {first}"):
        replay(run.simulation, trace, run.pixels, [Drop(first), Move(last, before=first)])


def test_what_is_not_the_traces_is_refused():
    run, other = traced(671, "random"), traced(672, "random")
    with pytest.raises(InputError, match="simulation: expected the one that made the trace"):
        replay(other.simulation, run.trace)
    longer = traced(671, "fifo").simulation
    with pytest.raises(InputError, match="found another order"):
        replay(longer, run.trace)
    with pytest.raises(InputError, match="pixels: expected the image of the trace, number 3"):
        replay(run.simulation, run.trace, run.pixels + 1)
    changed = run.trace.spikes.copy()
    changed["v_after"][3] += 1
    with pytest.raises(InputError, match="a trace that this simulation reproduces"):
        replay(run.simulation, with_fields(run.trace, spikes=changed))


def test_what_overflows_in_32_bits_is_played_in_64():
    run = traced(676, "random")
    narrow = run.simulation
    assert narrow.arithmetic.dtype == np.int32
    engine = narrow.engine
    engine.bounds = engine.bounds._replace(
        band=engine.bounds.band._replace(ceiling=narrow.arithmetic.one)
    )
    again, trace = play(narrow, run.trace.drive, IMAGE)
    assert trace.simulation.arithmetic.dtype == np.int64 and again.state.v.dtype == np.int64
    assert all(
        np.array_equal(trace.spikes[name], run.trace.spikes[name])
        for name in trace.spikes.dtype.names
    )


def test_too_many_events_are_an_input_error():
    run = traced(674)
    run.simulation.time = Time(max_events=5).resolved()
    with pytest.raises(InputError, match="max_events: expected a queue that empties"):
        play(run.simulation, run.trace.drive)


def test_replays_of_one_trace_are_those_that_replay_gives_one_by_one():
    run = traced(611, "jitter", "snm")
    replays = Replays(run.simulation, run.trace, run.pixels)
    rng = np.random.default_rng(2)
    for edits in ((), *((edit,) for edit in some_edits(run, rng, 6)), some_edits(run, rng, 3)):
        mine, alone = (
            replays.replay(edits),
            replay(run.simulation, run.trace, run.pixels, edits),
        )
        assert str(mine) == str(alone) and same_run(mine.run, alone.run)
        assert mine.spread == alone.spread and mine.edits == alone.edits
        assert np.array_equal(mine.readouts, alone.readouts)
        for name in ("spikes", "deliveries"):
            assert np.array_equal(getattr(mine.trace, name), getattr(alone.trace, name))
    assert repr(replays).startswith(f"<Replays of image {IMAGE}, ")
