"""The twin reproduces the papers' worked examples, with no tolerance."""

import pytest
from support import twin
from support.twin import (
    GN,
    IF,
    SNM,
    STBIF,
    Layer,
    Net,
    Projection,
)
from support.twin_runs import (
    clock,
    run,
    trains_into_one_neuron,
)


@pytest.mark.parametrize(
    ("excitation", "inhibition", "counts", "left"),
    [
        (
            [0, 1, 0, 1, 0, 1],
            [0, 1, 0, 1, 0, 1],
            [0, 1, 0, 1, 0, 1],
            0,
        ),  # (b) even: 3/6, as the ANN
        (
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 1, 1, 1],
            [1, 1, 1, 1, 0, 0],
            -1,
        ),  # (c) inhibition late: one spike too many
        (
            [0, 0, 0, 1, 1, 1],
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 1, 1],
            1,
        ),  # (d) inhibition early: one too few
    ],
)
def test_srp_figure_1(excitation, inhibition, counts, left):
    """W = [2, -1], theta = 1, T = 6, each input fires three times: a = ReLU(2 * 0.5 - 0.5) =
    3/6.
    """
    net, drive, v0 = trains_into_one_neuron([excitation, inhibition], [2, -1])
    outcome = clock(net, drive, IF(), v0)
    assert [step[0] for step in outcome.counts[1]] == counts
    assert outcome.potentials[1] == [left]
    assert outcome.readout[-1] == [sum(counts)]


IN_TIME, LATE = [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("model", "inhibition", "counts", "left"),
    [
        (IF(), IN_TIME, [1, 1, 0, 0, 0], 0),
        (IF(), LATE, [1, 1, 1, 0, 0], -1),
        (SNM(), LATE, [1, 1, 1, 0, -1], 0),
        (SNM(), IN_TIME, [1, 1, 0, 0, 0], 0),
    ],
)
def test_dnisnm_figures_3_and_6(model, inhibition, counts, left):
    """x = (1, 2, 3) as spike counts, w = (1, 2, -1), theta 1: the ANN's output is 2. Late
    inhibition makes IF fire three times (fig. 3); SNM stands at 0 with memory 3 after t4 and takes
    a spike back at t5 (fig. 6).
    """
    net, drive, v0 = trains_into_one_neuron(
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], inhibition], [1, 2, -1]
    )
    outcome = clock(net, drive, model, v0)
    assert [step[0] for step in outcome.counts[1]] == counts
    assert outcome.potentials[1] == [left]
    assert clock(net, drive[:4], model, v0).potentials[1] == [0]


def test_dnisnm_figure_3_event_by_event():
    """The same six spikes in one step: inhibition last gives all five excitatory units, inhibition
    first gives two.
    """
    net = Net(
        [Layer("sources", 3, 1), Layer("neuron", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1, 2, -1]]), Projection(1, 2, [[1]])],
    )
    drive, v0 = [[[1, 2, 3], [0], None]], [[0] * 3, [0], [0]]
    assert run(net, drive, IF(), v0=v0, order=twin.excitatory_first).readout == [[5]]
    assert run(net, drive, IF(), v0=v0, order=twin.inhibitory_first).readout == [[2]]
    assert run(net, drive, SNM(), v0=v0, order=twin.excitatory_first).readout == [[2]]


def test_gn_figure_2_staircase():
    """T = 4, constant input x: IF climbs in steps of theta/T, GN of tau = 4 in steps of theta/(tau
    T), up to theta.
    """
    theta = 64
    net = Net([Layer("neuron", 1, theta), Layer("readout", 1)], [Projection(0, 1, [[1]])])

    def staircase(model, v0):
        return [
            clock(net, [[[x], None]] * 4, model, [[v0], [0]]).readout[-1][0] for x in range(-8, 80)
        ]

    assert staircase(IF(), 32) == [0] * 16 + [1] * 16 + [2] * 16 + [3] * 16 + [4] * 24
    assert staircase(GN(4), 8) == [0] * 10 + [n for n in range(1, 16) for _ in range(4)] + [16] * 18
    # the activation 0.125 of GN 2.1: IF says 1/4 after four steps, GN exactly 2/16
    assert (staircase(IF(), 32)[8 + 8], staircase(GN(4), 8)[8 + 8]) == (1, 2)


def test_gn_members_fire_in_order_of_threshold_and_inhibit_each_other():
    net = Net([Layer("neuron", 1, 8), Layer("readout", 1)], [Projection(0, 1, [[3]])])
    outcome = clock(net, [[[7], None], [[20], None]], GN(4), [[0], [0]])
    assert [(s.step, s.member, s.v_before, s.v_after) for s in outcome.spikes] == [
        (0, 1, 7, 5),
        (0, 2, 5, 3),
        (0, 3, 3, 1),  # 7 reaches 2, 4, 6 but not 8
        (1, 1, 21, 19),
        (1, 2, 19, 17),
        (1, 3, 17, 15),
        (1, 4, 15, 13),
    ]
    assert outcome.readout == [[9], [21]] and outcome.potentials[0] == [13]
    # asynchronous: again and again, 4 + 4 + 2 members of 21
    outcome = run(net, [[[21], None]], GN(4), v0=[[0], [0]])
    assert [s.member for s in outcome.spikes] == [
        1,
        2,
        3,
        4,
        1,
        2,
        3,
        4,
        1,
        2,
    ] and outcome.potentials[0] == [1]


def test_spikezip_equation_1():
    """V_thr = 4, S_max = 2, V_0 = 2; every branch of Theta, and both equalities."""
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    inputs = [6, 0, 5, -6, 0, -3, -1, -9, 10]
    outcome = clock(net, [[[x], None] for x in inputs], STBIF(2), [[2], [0]])
    #    V + V_in:  8  4  5 (S = S_max)  -1  3  0 (not < 0)  -1  -6 (S = 0)  4
    assert [step[0] for step in outcome.counts[0]] == [1, 1, 0, -1, 0, 0, -1, 0, 1]
    assert [s.v_after for s in outcome.spikes] == [4, 0, 3, 3, 0]
    assert outcome.equalities == 3  # 4 twice, 0 with S = 1 once
    # equalities that decide nothing are not counted: 4 with S = S_max, 0 with S = 0
    outcome = clock(
        net, [[[x], None] for x in (8, 0, 4, -5)] + [[None, None]] * 3, STBIF(2), [[0], [0]]
    )
    #    V + V_in:  8  4  4 (S = S_max)  -1  3  3  3
    assert [step[0] for step in outcome.counts[0]] == [
        1,
        1,
        0,
        -1,
        0,
        0,
        0,
    ] and outcome.equalities == 1
    assert clock(net, [[None, None]], STBIF(2), [[0], [0]]).equalities == 0


def test_dnisnm_equation_21():
    """theta = 4: at -theta it takes a spike back only while its memory is above 0; equalities
    likewise.
    """
    net = Net([Layer("neuron", 1, 4), Layer("readout", 1)], [Projection(0, 1, [[1]])])
    outcome = clock(net, [[[x], None] for x in (-4, 0, 8, -7, -1, -4)], SNM(), [[0], [0]])
    #    p:  -4 (memory 0)  -4 (memory 0)  4  -7 (memory 1)  -4 (memory 0)  -8
    assert [step[0] for step in outcome.counts[0]] == [0, 0, 1, -1, 0, 0]
    assert outcome.equalities == 1
    outcome = clock(net, [[[x], None] for x in (4, -4, -4)], SNM(), [[0], [0]])
    assert [step[0] for step in outcome.counts[0]] == [1, -1, 0] and outcome.equalities == 2
