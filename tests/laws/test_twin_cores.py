"""The twin under cores (semantics, section 12), on examples worked out by hand."""

import numpy as np
import pytest
from support import twin
from support.twin import IF, STBIF, Layer, Net, Projection
from support.twin_cores import ARBITRATIONS, run_cores
from support.twin_runs import MODELS, SEEDS, random_drive, random_net, start

STEP = 1024


def events(outcome, run):
    """(source layer, neuron, nth, tick) of each delivery, in order."""
    found = outcome.deliveries[: len(run.ticks_of)]
    return [(d.layer, d.neuron, d.nth, tick) for d, tick in zip(found, run.ticks_of)]


def chain(weights, theta):
    """Sources that fire at threshold 1, one neuron that they excite, and a readout."""
    n = len(weights)
    return Net(
        [Layer("sources", n, 1), Layer("neuron", 1, theta), Layer("readout", 1)],
        [Projection(0, 1, [weights]), Projection(1, 2, [[1]])],
    )


def test_two_spikes_wait_for_one_core():
    """Both are fired at tick 0 and arrive at 5. A service takes 3 + 2 * 1 ticks."""
    outcome, run = run_cores(
        chain([1, 1], 2),
        [[[1, 1], None, None]],
        [[0, 0], [0], [0]],
        1,
        IF(),
        service=(3, 2),
        latency=5,
    )
    assert events(outcome, run) == [(0, 0, 0, 10), (0, 1, 0, 15), (1, 0, 0, 25)]
    assert [(s.layer, s.tick, s.cause) for s in outcome.spikes] == [
        (0, 0, None),
        (0, 0, None),
        (1, 15, 1),
    ]
    assert [core.busy for core in run.cores] == [0, 10, 5]
    assert [core.longest for core in run.cores] == [0, 2, 1]
    assert run.end == STEP and outcome.readout == [[1]]


def test_an_event_touches_its_own_synapses_alone():
    """Source 0 has two synapses into layer 1, source 1 one: 20 and 10 ticks. Both have none to the
    second target but for source 1, whose spike is an event there all the same.
    """
    net = Net(
        [Layer("sources", 2, 1), Layer("a", 2, 9), Layer("b", 1, 9), Layer("readout", 1)],
        [
            Projection(0, 1, [[1, 0], [1, 1]], [[True, False], [True, True]]),
            Projection(0, 2, [[0, 1]], [[False, True]]),
            Projection(1, 3, [[1, 1]]),
            Projection(2, 3, [[1]]),
        ],
    )
    v0 = [[0, 0], [0, 0], [0], [0]]
    outcome, run = run_cores(net, [[[1, 1], None, None, None]], v0, 1, IF(), service=(0, 10))
    # at tick 0 core b serves the event of source 0, which touches nothing, and then that of 1
    assert events(outcome, run) == [(0, 0, 0, 0), (0, 1, 0, 10), (0, 0, 0, 20), (0, 1, 0, 30)]
    assert [core.busy for core in run.cores] == [0, 30, 10, 0]


def test_a_pool_weighs_nothing():
    net = Net(
        [Layer("sources", 2, 1), Layer("pool", 1, pool=True), Layer("readout", 1)],
        [Projection(0, 1, [[1, 1]]), Projection(1, 2, [[1]])],
    )
    outcome, run = run_cores(
        net, [[[1, 1], None, None]], [[0, 0], [0], [0]], 1, IF(), service=(2, 7)
    )
    assert events(outcome, run) == [(0, 0, 0, 2), (0, 1, 0, 4), (1, 0, 0, 11)]


def test_a_service_ends_before_an_arrival_queues_and_a_core_chooses():
    """Source 0's second spike, of the drive at tick 3, queues when the first one's service is over:
    a queue is never longer than 1. The neuron's spike is of that same end of service.
    """
    net = Net(
        [Layer("source", 1, 1), Layer("neuron", 1, 1), Layer("readout", 1)],
        [Projection(0, 1, [[1]]), Projection(1, 2, [[1]])],
    )
    outcome, run = run_cores(
        net,
        [[[1], None, None]] * 2,
        [[0]] * 3,
        2,
        IF(),
        service=(2, 1),
        barrier=False,
        ticks_per_step=3,
    )
    assert events(outcome, run) == [(0, 0, 0, 3)]
    assert [core.longest for core in run.cores] == [0, 1, 1]
    # the run ends at tick 6, when two services would end; both were under way until then
    assert run.end == 6 and outcome.under_way == 2
    assert [core.busy for core in run.cores] == [0, 6, 3]
    assert [tick for tick, _ in run.cores[1].choices] == [0, 3]


def sources_of_two_layers():
    """Two layers of two sources each project to a third; all fire at once, layer 1's spikes first
    in index order.
    """
    return Net(
        [Layer("a", 2, 1), Layer("b", 2, 1), Layer("c", 1, 99), Layer("readout", 1)],
        [
            Projection(0, 2, [[1, 1]]),
            Projection(1, 2, [[1, 1]]),
            Projection(2, 3, [[1]]),
        ],
    )


@pytest.mark.parametrize(
    ("arbitration", "expected"),
    [
        # at once each source fires twice: a0 a0 a1 a1 b0 b0 b1 b1
        ("fifo", "a0 a0 a1 a1 b0 b0 b1 b1"),
        ("index", "a0 a0 a1 a1 b0 b0 b1 b1"),
        ("round_robin", "a0 b0 a0 b0 a1 b1 a1 b1"),
    ],
)
def test_arbitration(arbitration, expected):
    outcome, run = run_cores(
        sources_of_two_layers(),
        [[[2, 2], [2, 2], None, None]],
        [[0, 0], [0, 0], [0], [0]],
        1,
        IF(),
        service=(1, 0),
        arbitration=arbitration,
    )
    served = [f"{'ab'[layer]}{neuron}" for layer, neuron, _, _ in events(outcome, run)]
    assert served == expected.split() and run.ticks_of == list(range(1, 9))


def test_index_takes_the_lowest_that_waits_and_round_robin_goes_on_across_steps():
    """In step 1 b1 and then a1 wait, in step 2 all. Round robin served a last in step 1."""
    drive = [[[0, 1], [0, 1], None, None], [[1, 1], [1, 1], None, None]]
    v0 = [[0, 0], [0, 0], [0], [0]]
    served = {}
    for arbitration in ("index", "round_robin"):
        net = sources_of_two_layers()
        outcome, run = run_cores(net, drive, v0, 2, IF(), service=(1, 0), arbitration=arbitration)
        served[arbitration] = [f"{'ab'[e[0]]}{e[1]}" for e in events(outcome, run)]
    assert served["index"] == "a1 b1 a0 a1 b0 b1".split()
    assert served["round_robin"] == "a1 b1 a0 b0 a1 b1".split()
    # one source of b alone in step 1: then it is a's turn, and with one of a alone it is b's
    for step_one, expected in (([[0, 0], [1, 0]], "b0 a0 b0"), ([[1, 0], [0, 0]], "a0 b0 a0")):
        drive = [[*step_one, None, None], [[1, 0], [1, 0], None, None]]
        outcome, run = run_cores(
            sources_of_two_layers(), drive, v0, 2, IF(), service=(1, 0), arbitration="round_robin"
        )
        assert [f"{'ab'[e[0]]}{e[1]}" for e in events(outcome, run)] == expected.split()


def test_random_counts_choices_alone():
    """Of 4, 3, 2 and 1 that wait it takes the place floor(h m / 2^64), h of the choices before."""
    net = chain([1, 1, 1, 1], 99)
    outcome, run = run_cores(
        net,
        [[[1] * 4, None, None]],
        [[0] * 4, [0], [0]],
        1,
        IF(),
        service=(1, 0),
        latency=3,
        arbitration="random",
        seed=7,
        image=2,
    )
    waiting, expected = [0, 1, 2, 3], []
    for count in range(4):
        place = twin.spike_hash(7, 2, count) * len(waiting) >> 64
        expected.append(waiting[place])
        waiting[place] = waiting[-1]
        waiting.pop()
    assert [neuron for _, neuron, _, _ in events(outcome, run)] == expected


def test_a_step_lasts_until_all_cores_rest():
    """A service of 1,500 ticks: step 2 begins when the second is over, and the readout is whole."""
    net = chain([1], 1)
    drive = [[[1], None, None]] * 2
    outcome, run = run_cores(net, drive, [[0]] * 3, 2, IF(), service=(1500, 0))
    assert events(outcome, run) == [
        (0, 0, 0, 1500),
        (1, 0, 0, 3000),
        (0, 0, 1, 4500),
        (1, 0, 1, 6000),
    ]
    assert outcome.readout == [[1], [2]] and run.end == 6000


def test_an_images_latency_is_when_its_class_stays():
    """Class 0 at first; class 1 at tick 10, class 0 again at 20, and class 1 from 30 on."""
    net = Net(
        [Layer("sources", 3, 1), Layer("readout", 2)],
        [Projection(0, 1, [[0, 2, 0], [1, 0, 2]])],
    )
    outcome, run = run_cores(net, [[[1, 1, 1], None]], [[0] * 3, [0, 0]], 1, IF(), service=(10, 0))
    assert outcome.readout == [[2, 3]]
    assert run.classes == [(0, 0), (10, 1), (20, 0), (30, 1)]
    assert run.last_class_since() == 30


def test_input_events_and_rests_take_no_cores_time():
    """An input event at tick 4 charges at once; a rest of 6 ticks ends while the core works."""
    net = Net(
        [Layer("neuron", 1, 4), Layer("readout", 1)],
        [Projection(0, 1, [[1]])],
        [Projection(None, 0, [[8]])],
    )
    outcome, run = run_cores(
        net,
        [[None, None]],
        [[0], [0]],
        1,
        IF(),
        service=(100, 0),
        refractory=6,
        events=[(0, 4, 0, 1)],
    )
    assert [s.tick for s in outcome.spikes] == [4, 10]
    assert events(outcome, run) == [(0, 0, 0, 104), (0, 0, 1, 204)]


def by_target(net, spike):
    return [twin.Parcel(0, net.projections[k].target, (k,)) for k in net.outgoing(spike.layer)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", MODELS)
def test_without_times_it_is_the_order_by_target_and_emission(model, seed):
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    drive = random_drive(rng, net)
    ours, _ = run_cores(net, drive, start(net), len(drive), MODELS[model])
    its = twin.run_async(net, drive, start(net), len(drive), MODELS[model], by_target)
    assert ours.spikes == its.spikes and ours.potentials == its.potentials
    assert ours.readout == its.readout and ours.deliveries == its.deliveries


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_conservation_and_confluence(seed, arbitration):
    """Laws 1 to 3: of every model, and of ST-BIF what it comes to."""
    rng = np.random.default_rng(seed)
    net = random_net(rng)
    drive = random_drive(rng, net, quiet=3)
    options = {"service": (7, 3), "latency": 11, "arbitration": arbitration, "seed": seed}
    for model in (IF(), MODELS["snm"], MODELS["gn"]):
        outcome, _ = run_cores(net, drive, start(net), len(drive), model, **options)
        for layer in range(net.readout):
            theta = net.layers[layer].thresholds()
            for i, v in enumerate(outcome.potentials[layer]):
                q = model.quantum(theta[i]) if hasattr(model, "quantum") else theta[i]
                fired = outcome.memory[layer][i] * q
                assert v == start(net)[layer][i] + outcome.arrived[layer][i] - fired
    outcome, run = run_cores(net, drive, start(net), len(drive), STBIF(3), **options)
    assert outcome.under_way == 0
    totals = [
        None
        if all(step[n] is None for step in drive)
        else np.sum([step[n] for step in drive if step[n] is not None], axis=0).tolist()
        for n in range(len(net.layers))
    ]
    S, readout = twin.equilibrium(net, totals, start(net), 3)
    assert outcome.memory[:-1] == S and outcome.readout[-1] == readout
