"""Causes and bounds: chains are followed on the twin's record, bounds are held against every order
there is.
"""

from itertools import permutations, product

import numpy as np
import pytest
from support import twin
from support.compare import twin_net
from support.networks import pixel_range
from support.traced import traced
from support.ways import CASES, FEW_BITS
from support.worked import examples

from eventsnn import InputError
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace import bounds
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.microscope import DRIVE, ITSELF, observe
from eventsnn.trace.replay import play
from eventsnn.trace.trace import record


def fires(potential, charges, theta):
    """How often a soft-reset IF neuron fires that is evaluated at every arrival."""
    count = 0
    for charge in charges:
        potential += charge
        while potential >= theta:
            potential, count = potential - theta, count + 1
    return count


def extremes(counts):
    counts = list(counts)
    return min(counts), max(counts)


# --- law 6, against brute force ---


@pytest.mark.parametrize("seed", range(30))
def test_bounds_of_arrivals_are_those_of_all_orders(seed):
    rng = np.random.default_rng(seed)
    theta, charges = 10, rng.integers(-15, 16, rng.integers(0, 7))
    v = int(rng.integers(-20, theta))
    assert bounds.of_arrivals(v, charges, theta) == extremes(
        fires(v, order, theta) for order in permutations(charges.tolist())
    )


@pytest.mark.parametrize("seed", range(30))
def test_bounds_with_arrivals_in_their_steps_are_those_of_all_such_orders(seed):
    rng = np.random.default_rng(seed)
    theta, start = 10, int(rng.integers(-10, 25))
    steps = [
        (int(rng.integers(-8, 12)), rng.integers(-15, 16, rng.integers(0, 4))) for _ in range(3)
    ]
    orders = product(
        *([[drive, *order] for order in permutations(charges.tolist())] for drive, charges in steps)
    )
    assert bounds.in_steps(start, steps, theta) == extremes(
        fires(start, sum(order, []), theta) for order in orders
    )


@pytest.mark.parametrize("seed", range(40))
def test_bounds_over_any_order_are_those_of_all_orders(seed):
    """Also where v(0) is above theta, and where no charge excites or none inhibits."""
    rng = np.random.default_rng(seed)
    theta, start = 10, int(rng.integers(-10, 40))
    charges = rng.integers(*[(-15, 16), (-15, 0), (0, 16), (-30, 5)][seed % 4], rng.integers(1, 7))
    assert bounds.in_any(start, charges, theta) == extremes(
        fires(start, order, theta) for order in permutations(charges.tolist())
    )


@pytest.mark.parametrize(
    "case",
    ["fifo", "lifo", "random", "jitter", "excitatory_first", "inhibitory_first", "free-running"],
)
def test_law_6_on_the_traces_of_the_engine(case):
    """The run falls within the bounds of each step and of all; the halves reach the ends of each
    step.
    """
    apart = 0
    for seed in (500, 501, 502):
        run = traced(seed, case)
        for layer, neuron in run.neurons(every=4, readout=False):
            e = explain_neuron(run.trace, layer, neuron)
            for row in e.steps:
                assert row["fewest"] <= row["fired"] <= row["most"]
                assert case != "inhibitory_first" or row["fired"] == row["fewest"]
                assert case != "excitatory_first" or row["fired"] == row["most"]
                apart += row["fewest"] < row["most"]
            fired = sum(row["fired"] for row in e.steps)
            assert (
                e.in_any[0]
                <= e.in_steps[0]
                <= fired
                == e.observation.fired
                <= e.in_steps[1]
                <= e.in_any[1]
            )
            assert e.in_steps == (e.inhibition_first, e.excitation_first)
            assert len(e.superfluous) == fired - e.in_steps[0]
    assert apart > 10


def test_bounds_of_a_step_are_those_of_all_orders_of_its_arrivals():
    """Recorded arrivals of the engine, where at most six came in a step."""
    apart = 0
    for seed in range(510, 516):
        run = traced(seed, "random")
        theta = run.simulation.arithmetic.one.item()
        for layer, neuron in run.neurons(every=3, readout=False):
            e = explain_neuron(run.trace, layer, neuron)
            for step, row in enumerate(e.steps):
                drive, *spikes = e.observation.arrivals[e.observation.arrivals["step"] == step]
                if 2 <= len(spikes) <= 6:
                    orders = permutations([s["charge"].item() for s in spikes])
                    counts = extremes(
                        drive["fired"] + fires(drive["after"].item(), order, theta)
                        for order in orders
                    )
                    assert (row["fewest"], row["most"]) == counts
                    apart += row["fewest"] < row["most"]
    assert apart > 5


# --- one neuron ---


@pytest.mark.parametrize("model", ["if", "snm", "if-hard"])
@pytest.mark.parametrize("case", CASES)
def test_the_neuron_run_again_alone_does_what_it_did(case, model):
    run, fired = traced(520 + len(case), case, model), 0
    for layer, neuron in run.neurons(every=3, readout=False):
        seen = observe(run.trace, layer, neuron)
        fired += len(seen.spikes)
        e = explain_neuron(run.trace, layer, neuron)
        if run.simulation.time.group > 1:  # groups end by what arrives elsewhere
            assert bounds.rerun(run.trace, seen) is e.inhibition_first is e.in_steps is None
            continue
        assert bounds.rerun(run.trace, seen) == seen.spikes["sign"].tolist()
        assert None not in (e.inhibition_first, e.excitation_first)
    assert fired


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"window": 0.25, "refractory": 1.0},
        {"window": 0.5, "refractory": 0.5},
        {"window": 1.5, "refractory": 0.25},
        {"window": 0.25, "refractory": 0.3, "order": "jitter", "jitter": "uniform:2"},
        {"window": 0.75, "refractory": 0.1, "order": "jitter", "jitter": "uniform:0.5"},
        {"window": 0.1, "refractory": 2.3, "order": "jitter", "jitter": "exponential:0.7"},
        {"window": 0.3, "refractory": 0.7, "order": "inhibitory_first", "barrier": False},
        {"window": 1.0, "order": "random"},
    ],
)
@pytest.mark.parametrize("model", ["if", "snm"])
def test_windows_and_rests_of_a_neuron_alone(options, model):
    """Exact wherever an answer is given; none is only where a rest ends as the step does."""
    given = fired = 0
    for seed in (570, 571):
        run = traced(seed)
        simulation = Simulation(
            run.simulation.network,
            steps=4,
            engine="event",
            neuron=model,
            time=Time(**options),
            seed=seed,
            pixel_range=pixel_range(run.pixels[None]),
            fraction_bits=FEW_BITS,
        )
        _, trace = record(simulation, run.pixels)
        for layer, neuron in run.neurons(readout=False):
            seen = observe(trace, layer, neuron)
            again = bounds.rerun(trace, seen)
            assert again is None or again == seen.spikes["sign"].tolist()
            if again is None:
                rests = seen.spikes["tick"] + simulation.time.in_ticks(
                    simulation.time.refractory, ""
                )
                assert simulation.time.barrier and np.isin(rests, [*trace.starts, trace.end]).any()
            given, fired = given + (again is not None), fired + len(seen.spikes)
    assert fired and given > 300


def test_inhibition_within_the_window_forestalls_a_spike():
    """Drive 2 is evaluated at 0.25 and fires; inhibition that comes at 0.5 would have kept it from
    that, had it come with the drive.
    """
    time = Time(order="delays", delays=[[0.5], [0]], window=0.25, ticks=1000)
    simulation = Simulation(
        examples.one_neuron([-1]), steps=1, engine="event", time=time, initial=0, pixel_range=(0, 3)
    )
    run, trace = play(
        simulation, np.array([1, 1, 0], simulation.arithmetic.dtype) * simulation.arithmetic.one
    )
    e = explain_neuron(trace, "target", 0)
    assert e.observation.spikes["tick"].tolist() == [250] and (trace.end, run.begins_at) == (
        1000,
        1000,
    )
    assert (e.inhibition_first, e.excitation_first) == (0, 1) and e.superfluous[
        "tick"
    ].tolist() == [250]


def test_inhibition_in_time_acts_during_the_rest():
    """Drive 2 at 0 fires at 0 and, after a rest of 0.3 steps, at 300; the inhibition of 0.4 steps
    later would have forestalled that.
    """
    time = Time(order="delays", delays=[[0.4], [0]], refractory=0.3, ticks=1000)
    simulation = Simulation(
        examples.one_neuron([-1]), steps=1, engine="event", time=time, initial=0, pixel_range=(0, 3)
    )
    _, trace = play(
        simulation, np.array([1, 2, 0], simulation.arithmetic.dtype) * simulation.arithmetic.one
    )
    e = explain_neuron(trace, "target", 0)
    assert e.observation.spikes["tick"].tolist() == [0, 300]
    assert bounds.rerun(trace, e.observation, -1) == [1] and bounds.rerun(
        trace, e.observation, 1
    ) == [1, 1]
    assert e.superfluous["tick"].tolist() == [300]


@pytest.mark.parametrize("case", ["random", "spread, random"])
def test_what_is_late_in_a_step_came_after_its_last_excitation_drive_among_it(case):
    late = 0
    for seed in (530, 531):
        run = traced(seed, case, "if")
        for layer, neuron in run.neurons(every=2, readout=False):
            e = explain_neuron(run.trace, layer, neuron)
            rows = e.observation.arrivals[e.observation.arrivals["source"] != ITSELF]
            for step, told in zip(np.unique(rows["step"]), e.steps, strict=True):
                charges = rows["charge"][rows["step"] == step].tolist()
                last = max((i for i, c in enumerate(charges) if c > 0), default=-1)
                assert told["late"] == sum(c for c in charges[last + 1 :] if c < 0)
                late += told["late"] < 0
    assert late > 10


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize("case", ["random", "free-running", "refractory, random", "clocked"])
def test_what_arrived_adds_up(case, model):
    late = 0
    for seed in (530, 531):
        run = traced(seed, case, model)
        for layer, neuron in run.neurons(every=2, readout=False):
            e = explain_neuron(run.trace, layer, neuron)
            rows = e.observation.arrivals[e.observation.arrivals["source"] != ITSELF]
            assert e.drive == e.steps[0]["drive"] * run.simulation.steps
            assert (
                e.arrived
                == e.drive + e.excitation + e.inhibition
                == rows["charge"].sum(dtype=np.int64)
            )
            for name in ("drive", "excitation", "inhibition"):
                assert sum(row[name] for row in e.steps) == getattr(e, name)
            s_n2 = 0
            for (
                row
            ) in rows:  # the inhibition since the last excitatory arrival, started again at each
                together = (
                    case == "clocked" and (rows["charge"][rows["step"] == row["step"]] > 0).any()
                )
                s_n2 = 0 if row["charge"] > 0 or together else s_n2 + min(0, row["charge"].item())
            assert e.late["charge"].sum(dtype=np.int64) == s_n2 and e.x_valid == e.arrived - s_n2
            late += s_n2 < 0
    assert late > 10


def test_models_and_times_without_bounds():
    for case, model in (
        ("random", "snm"),
        ("random", "if-hard"),
        ("refractory", "if"),
        ("window", "if"),
        ("clocked", "if"),
    ):
        e = explain_neuron(traced(532, case, model).trace, 0, 0)
        assert (
            e.in_steps is None and e.in_any is None and {row["most"] for row in e.steps} == {None}
        )
        assert "Any order" not in str(e) and "None" not in str(e)
    assert explain_neuron(traced(532, "random").trace, 0, 0).in_steps


@pytest.mark.slow
def test_spikes_that_snm_would_not_fire_are_counted_by_sign():
    """Every spike beyond what the rerun fires of its sign: those too many, and those that took them
    back.
    """
    signs = set()
    for seed in range(540, 546):
        run = traced(seed, "excitatory_first", "snm")
        for layer, neuron in run.neurons(every=2, readout=False):
            e = explain_neuron(run.trace, layer, neuron)
            again = bounds.rerun(run.trace, e.observation, -1)
            for sign in (1, -1):
                mine = e.observation.spikes[e.observation.spikes["sign"] == sign]
                gone = e.superfluous[e.superfluous["sign"] == sign]
                assert len(gone) == max(0, len(mine) - again.count(sign))
                assert gone["seq"].tolist() == mine["seq"].tolist()[len(mine) - len(gone) :]
                signs |= {sign} if len(gone) else set()
    assert signs == {1, -1}


def test_an_explanation_in_a_notebook():
    e = explain_neuron(traced(533, "random").trace, 0, 0)
    assert e._repr_html_().count("<tr>") == 1 + 4 and "fewest" in e._repr_html_()
    assert repr(e).startswith("<Explanation of ")


def test_the_readout_is_not_explained():
    with pytest.raises(InputError, match="layer: expected one that fires, found 'readout'"):
        explain_neuron(traced(534).trace, "readout", 0)


# --- chains ---


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize(
    "case",
    [
        "fifo",
        "random",
        "excitatory_first",
        "delays by projection",
        "free-running",
        "refractory, random",
    ],
)
def test_chains_follow_the_twins_causes(case, model):
    run = traced(550 + len(case), case, model)
    outcome, projections = run.twin(), twin_net(run.simulation).projections
    one = run.simulation.arithmetic.one.item()
    names = run.trace.names
    longest = 0
    taken_back = [
        s.seq for s in outcome.spikes if s.cause is not None and outcome.spikes[s.cause].sign < 0
    ]
    assert taken_back or (model, case) != ("snm", "excitatory_first")
    for seq in [*range(0, len(outcome.spikes), 7), *taken_back[:20]]:
        chain, expected = explain_spike(run.trace, seq), [outcome.spikes[seq]]
        while expected[-1].cause is not None:
            expected.append(outcome.spikes[expected[-1].cause])
        assert [link.seq for link in chain.links] == [spike.seq for spike in expected]
        for link, spike in zip(chain.links, expected):
            assert (link.layer, link.neuron, link.step, link.tick, link.sign) == (
                names[spike.layer],
                spike.neuron,
                spike.step,
                spike.tick,
                spike.sign,
            )
            assert link.position == run.simulation.network.layers[spike.layer].position(
                spike.neuron
            )
            assert (link.before, link.after) == (spike.v_before / one, spike.v_after / one)
        assert chain.links[0].charge is None
        for link, source, target in zip(chain.links[1:], expected[1:], expected):
            weights = next(
                p.weights
                for p in projections
                if (p.source, p.target) == (source.layer, target.layer)
            )
            assert link.charge == weights[target.neuron][source.neuron] * source.sign / one
        first = observe(run.trace, expected[-1].layer, expected[-1].neuron).arrivals
        row = first[
            (first["fired"] != 0) & (first["spike"] == -1) & (first["step"] == expected[-1].step)
        ][0]
        if not run.simulation.time.refractory:
            assert (
                row["source"] == DRIVE
                and chain.root == "drive"
                and chain.drive == row["charge"] / one
            )
        longest = max(longest, len(chain.links))
    assert longest >= 2


@pytest.mark.parametrize("case", ["clocked", "window"])
def test_what_is_evaluated_later_has_no_single_cause(case):
    run = traced(560, case)
    for seq in range(0, len(run.trace.spikes), 11):
        chain = explain_spike(run.trace, seq)
        assert chain.root == "itself" and len(chain.links) == 1 and chain.drive == 0
        assert str(chain).endswith(
            "an evaluation of its own: the end of a step, a window or a refractory period"
        )


def test_spikes_at_the_end_of_a_rest_are_told_from_those_of_drive(monkeypatch):
    """The twin tells which of its evaluations are the neuron's own; they are the ones that nothing
    brought a charge to.
    """
    itself = set()
    taken = twin._Run.take
    run = traced(561, "refractory, random")

    def take(self):
        event, before = self.queue[0][-1], len(self.book.spikes)
        taken(self)
        if isinstance(event, twin.Evaluation):
            itself.update(spike.seq for spike in self.book.spikes[before:])

    monkeypatch.setattr(twin._Run, "take", take)
    roots = {spike.seq for spike in run.twin().spikes if spike.cause is None}
    for seq in roots:
        assert explain_spike(run.trace, seq).root == ("itself" if seq in itself else "drive")
    assert itself and roots - itself


@pytest.mark.parametrize("seq", [-1, 10**6, 1.5, "a"])
def test_spikes_that_are_not_there(seq):
    with pytest.raises(InputError, match="spike: expected a number from 0 to"):
        explain_spike(traced(562).trace, seq)
