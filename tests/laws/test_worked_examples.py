"""The worked examples of SRP (Fig. 1) and DNISNM (Fig. 3 and 6) on the real engine, as
examples/arrival_order.py tells them.
"""

import numpy as np
import pytest
from support.worked import examples

from eventsnn.trace import bounds
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.microscope import DRIVE, ITSELF, observe
from eventsnn.trace.replay import replay


def in_thresholds(explanation, *names):
    return tuple(
        float(explanation.observation.in_thresholds(getattr(explanation, name))) for name in names
    )


# --- SRP, Fig. 1(b)-(d): W = [2, -1], theta = 1, T = 6, each input fires three times; a = ReLU(2 *
# 0.5 - 0.5) = 3/6 ---


@pytest.mark.parametrize(
    ("case", "counts", "left", "late"),
    [
        ("even", [0, 1, 0, 1, 0, 1], 0, 0),
        ("inhibition late", [1, 1, 1, 1, 0, 0], -1, -3),
        ("inhibition early", [0, 0, 0, 0, 1, 1], 1, 0),
    ],
)
def test_srp_figure_1(case, counts, left, late):
    trace = examples.srp(case)
    inputs = np.zeros((2, 6), int)
    np.add.at(inputs, (trace.of("inputs")["neuron"], trace.of("inputs")["step"]), 1)
    assert inputs.tolist() == list(examples.SRP[case])
    e = explain_neuron(trace, "target", 0)
    seen = e.observation
    assert [row["fired"] for row in e.steps] == counts
    assert (seen.fired, seen.ideal) == (sum(counts), 3)
    assert in_thresholds(e, "drive", "excitation", "inhibition", "arrived", "x_valid") == (
        0,
        6,
        -3,
        3,
        3 - late,
    )
    assert seen.in_thresholds(seen.end) == left
    assert set(seen.arrivals["source"][seen.arrivals["fired"] > 0]) == {ITSELF}
    readout = observe(trace, "readout", 0)
    assert readout.in_thresholds(readout.end) == sum(counts)


# --- DNISNM, Fig. 3 and 6: x = (1, 2, 3), w = (1, 2, -1), theta = 1; the ANN's output is 2 ---


@pytest.mark.parametrize(
    ("model", "case", "slots", "signs", "left"),
    [
        ("if", "in time", [0, 1], [1, 1], 0),
        ("if", "late", [0, 1, 2], [1, 1, 1], -1),
        ("snm", "in time", [0, 1], [1, 1], 0),
        ("snm", "late", [0, 1, 2, 4], [1, 1, 1, -1], 0),
    ],
)
def test_dnisnm_figures_3_and_6(model, case, slots, signs, left):
    """Slots of 200 ticks are the figures' t1 to t5. Late inhibition makes IF fire three times
    instead of two (Fig. 3); SNM stands at 0 after t4 with a memory of 3, and takes a spike back at
    t5 (Fig. 6).
    """
    trace = examples.dnisnm(model, case)
    inputs = trace.of("inputs")
    assert [inputs["tick"][inputs["neuron"] == n].tolist() for n in range(3)] == [
        [0],
        [0, 200],
        [0, 200, 400],
    ]
    e = explain_neuron(trace, "target", 0)
    seen, rows = e.observation, e.observation.arrivals
    assert (
        seen.spikes["tick"].tolist() == [200 * slot for slot in slots]
        and seen.spikes["sign"].tolist() == signs
    )
    assert seen.ideal == 2 and seen.in_thresholds(seen.end) == left
    assert in_thresholds(e, "drive", "excitation", "inhibition", "arrived") == (0, 5, -3, 2)
    delay = 200 * examples.DNISNM[case]
    assert rows["tick"][rows["charge"] < 0].tolist() == [delay, delay + 200, delay + 400]
    if case == "late":
        after_t4 = rows[rows["tick"] <= 600][-1]
        assert after_t4["after"] == 0 and rows["fired"][rows["tick"] <= 600].sum() == 3
        assert in_thresholds(e, "x_valid") == (5,) and len(e.late) == 3
        assert bounds.rerun(trace, seen, 1) == signs  # the excitation was first
    assert bounds.rerun(trace, seen, -1) == [1, 1] and e.inhibition_first == 2


def test_the_spike_that_late_inhibition_brought():
    trace = examples.dnisnm("if", "late")
    e = explain_neuron(trace, "target", 0)
    assert e.superfluous["seq"].tolist() == [e.observation.spikes["seq"][2]] == [7]
    # t3: the third inhibitory charge finds 3 thresholds, so what is left fires
    assert e.observation.in_thresholds(e.superfluous["v_before"][0]) == 2
    assert (
        str(e)
        == """\
target, neuron 0 (c 0, y 0, x 0), image 0: fired 3, ideal 2: 1 too many.
Arrived, in thresholds: drive 0, excitation 5 (3 spikes), inhibition -3 (3 spikes); \
v(0) = 0, v(T) = -1.
Late: 3 inhibitory arrivals, -3, after the last excitatory one: x = 2, x_valid = 5 (DNISNM eq. 17).
  -1 from inputs 2 in step 1, event 10
  -1 from inputs 2 in step 1, event 15
  -1 from inputs 2 in step 1, event 18
Sorted in each step: 2 with inhibition first, 3 with excitation first.
Had the inhibition come in time, it would not have fired: spike 7 (step 1)."""
    )


def test_causes_of_the_late_spike():
    """It was the late inhibition's own arrival, at the end of the rest, that let the neuron
    fire.
    """
    trace = examples.dnisnm("if", "late")
    chain = explain_spike(trace, 7)
    assert [
        (link.layer, link.position, link.tick, link.sign, link.charge) for link in chain.links
    ] == [("target", (0, 0, 0), 400, 1, None), ("inputs", (2, 0, 0), 0, 1, -1)]
    assert (chain.root, chain.drive) == ("drive", 3)
    second = explain_spike(trace, int(trace.of("inputs", 1)["seq"][1]))
    assert (second.root, len(second.links)) == ("itself", 1)
    assert (
        str(chain)
        == """\
spike 7: target 0 (c 0, y 0, x 0) fired +1 at 2 in step 1, tick 400
  fired by spike 2: inputs 2 (c 2, y 0, x 0) fired +1 at 3 in step 1, tick 0, brought -1
  fired by the drive of step 1, which brought +3"""
    )


@pytest.mark.parametrize(
    ("order", "spikes"),
    [("excitatory_first", 5), ("inhibitory_first", 2), ("fifo", 5), ("lifo", 2)],
)
def test_the_same_spikes_without_a_rest(order, spikes):
    """Event by event it fires from 2 to 5 times (law 6): floor(5 - 3) to floor(5)."""
    e = explain_neuron(examples.at_once(order)[2], "target", 0)
    assert (
        e.observation.fired == spikes
        and e.in_steps == e.in_any == (2, 5)
        and e.observation.ideal == 2
    )
    assert (e.steps[0]["fewest"], e.steps[0]["most"]) == (2, 5)
    assert set(e.observation.arrivals["source"]) == {DRIVE, 0}


def test_every_count_between_occurs_in_random_order():
    counts = {len(examples.at_once("random", seed)[2].of("target")) for seed in range(100)}
    assert counts == {2, 3, 4, 5}


def test_replay_puts_the_inhibition_in_time():
    simulation, pixels, trace = examples.at_once("fifo")
    again = replay(simulation, trace, pixels, examples.inhibition_in_time(trace))
    assert again.spread == [dict(layer="target", step=1, gained=0, lost=3, moved=0)]
    assert again.readouts.tolist() == [[5], [2]]
    assert again.first[0]["seq"] == trace.of("target")["seq"][2] and again.first[1] is None
    assert "First differing spike: none instead of target 0 firing +1 in step 1." in str(again)
    assert explain_neuron(again.trace, "target", 0).observation.fired == 2


@pytest.mark.slow
def test_the_script_tells_the_story_and_leaves_pictures(tmp_path, capsys):
    examples.main(["--out", str(tmp_path / "new")])
    said = capsys.readouterr().out
    for words in (
        "SRP Fig. 1: inhibition late\ntarget, neuron 0 (c 0, y 0, x 0), image 0: fired 4, ideal "
        "3: 1 too many.",
        "fired 2, ideal 3: 1 too few.",
        "DNISNM Fig. 6: SNM takes the spike back",
        "fired 3, took back 1, ideal 2, as the charge is worth.",
        "excitatory_first: 5 spikes",
        "  target: 0 gained, 3 lost, 0 moved, in step 1",
    ):
        assert words in said
    pictures = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert pictures == [
        "dnisnm_3_in_time.png",
        "dnisnm_3_late.png",
        "dnisnm_6_late.png",
        "srp_even.png",
        "srp_inhibition_early.png",
        "srp_inhibition_late.png",
    ]
    assert all((tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
