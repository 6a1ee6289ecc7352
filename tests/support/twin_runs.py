"""The twin on random networks, and what is asked of it: shared by its tests."""

import numpy as np
from support import twin
from support.twin import (
    GN,
    IF,
    SNM,
    STBIF,
    TICKS_PER_STEP,
    IFHard,
    Layer,
    Net,
    Projection,
)

SEEDS = range(12)
STEPS = 5
THETA = 24
MODELS = {"if": IF(), "snm": SNM(), "stbif": STBIF(3), "gn": GN(4), "hard": IFHard(-2)}
SOFT = ["if", "snm", "stbif", "gn"]
ORDERS = {
    "fifo": {},
    "lifo": {"order": twin.lifo},
    "index": {"order": twin.index},
    "random": {"order": twin.random(3)},
    "priority": {"order": twin.priority(3)},
    "excitatory": {"order": twin.excitatory_first},
    "inhibitory": {"order": twin.inhibitory_first},
    "jitter": {"order": twin.jitter(5, 0, 3 * TICKS_PER_STEP)},
    "jitter without barrier": {"order": twin.jitter(5, 1, 3 * TICKS_PER_STEP), "barrier": False},
    "refractory": {"refractory": TICKS_PER_STEP},
    "refractory and jitter": {"order": twin.jitter(6, 0, 900), "refractory": 700, "barrier": False},
    "window": {"order": twin.jitter(7, 0, 500), "window": 300},
    "window, refractory, random": {"order": twin.random(8), "window": 900, "refractory": 2500},
    "clocked": {"order": twin.clocked},
}


def random_net(rng, layers=4, theta=THETA, skip=0.5, pools=()):
    """A chain with random skip connections, missing synapses and explicit zeros; the last layer is
    the readout.
    """
    net = Net(
        [Layer(f"layer{n}", int(rng.integers(2, 5)), theta, n in pools) for n in range(layers)], []
    )
    for target in range(1, layers):
        for source in range(target):
            if source == target - 1 or rng.random() < skip:
                shape = net.layers[target].size, net.layers[source].size
                weights = rng.integers(-theta, theta + 1, shape) * (rng.random(shape) < 0.9)
                if target in pools:
                    weights = np.ones(shape, int)
                net.projections.append(Projection(source, target, weights, rng.random(shape) < 0.9))
    return net


def random_drive(rng, net, steps=STEPS, quiet=0):
    """Strong drive to the first layer, weak to all others; then `quiet` steps of nothing."""
    drive = [
        [rng.integers(-THETA // 6, THETA // 6, layer.size).tolist() for layer in net.layers]
        for _ in range(steps)
    ]
    for charges in drive:
        charges[0] = rng.integers(-THETA // 2, 2 * THETA, net.layers[0].size).tolist()
        charges[:] = [
            None if layer.pool else part for layer, part in zip(net.layers, charges, strict=True)
        ]
    return drive + [[None] * len(net.layers)] * quiet


def start(net, fraction=2):
    """v(0) = theta / fraction; 0 at pools and at the readout."""
    spiking = [
        [0 if layer.pool else theta // fraction for theta in layer.thresholds()]
        for layer in net.layers[:-1]
    ]
    return [*spiking, [0] * net.layers[-1].size]


def run(net, drive, model, *, order=twin.fifo, v0=None, **options):
    return twin.run_async(net, drive, v0 or start(net), len(drive), model, order, **options)


def clock(net, drive, model, v0=None, **options):
    return twin.run_clocked(net, drive, v0 or start(net), len(drive), model, **options)


def either(way, net, drive, model, **options):
    """`way`: the clocked engine, or the name of an order."""
    return (
        clock(net, drive, model, **options)
        if way == "engine"
        else run(net, drive, model, **ORDERS[way], **options)
    )


def facts(outcome):
    """Everything about the spikes that does not depend on the way of time."""
    return [
        (s.seq, s.step, s.layer, s.neuron, s.sign, s.member, s.v_before, s.v_after)
        for s in outcome.spikes
    ]


def totals(outcome, layer):
    return [
        sum(step[i] for step in outcome.counts[layer]) for i in range(len(outcome.counts[layer][0]))
    ]


def same(one, other):
    """Do a run in clocked time and one under the order `clocked` agree in everything that both
    have?
    """
    attributes = (
        "counts",
        "potentials",
        "readout",
        "arrived",
        "synaptic_operations",
        "equalities",
        "t_eq",
    )
    return facts(one) == facts(other) and all(
        getattr(one, a) == getattr(other, a) for a in attributes
    )


def delivered(outcome):
    return [(d.layer, d.neuron, d.nth) for d in outcome.deliveries]


def trains_into_one_neuron(trains, weights, theta=1):
    """Source j fires in the steps where trains[j] is 1: its theta is 1, and so is its drive
    there.
    """
    n = len(trains)
    net = Net(
        [Layer("sources", n, 1), Layer("neuron", 1, theta), Layer("readout", 1)],
        [Projection(0, 1, [weights]), Projection(1, 2, [[1]])],
    )
    return (
        net,
        [[list(charges), [0], None] for charges in zip(*trains, strict=True)],
        [[0] * n, [0], [0]],
    )


def trains_into_pools(windows, trains, weights):
    """Source j of theta 1 sends trains[j][step] by ST-BIF (whose drive is what it sends); unit i
    pools windows[i].
    """
    n = len(trains)
    members = [[j in window for j in range(n)] for window in windows]
    net = Net(
        [Layer("sources", n, 1), Layer("pool", len(windows), pool=True), Layer("readout", 1)],
        [Projection(0, 1, np.ones((len(windows), n), int), members), Projection(1, 2, [weights])],
    )
    drive = [[list(charges), None, None] for charges in zip(*trains, strict=True)]
    return net, drive, [[0] * n, [0] * len(windows), [0]]


def pooled(seed, **options):
    """A random net of five layers of which one or two are pools, and its drive."""
    rng = np.random.default_rng(seed)
    net = random_net(rng, layers=5, pools=[(1,), (2,), (3,), (1, 2), (1, 3)][seed % 5])
    return net, random_drive(rng, net, **options)


def masked(rng, net):
    return [
        rng.random(layer.size) < (2 if layer.pool or layer is net.layers[-1] else 0.6)
        for layer in net.layers
    ]


def one_neuron_with_inputs(weights, theta=4):
    """Input j brings weights[j] to the one neuron, and nothing to the readout."""
    return Net(
        [Layer("neuron", 1, theta), Layer("readout", 1)],
        [Projection(0, 1, [[1]])],
        [Projection(None, 0, [weights])],
    )


def random_events(rng, net, steps, inputs=3, quiet=0):
    """Gives the net an input that reaches two of its layers, and returns up to six events a
    step.
    """
    targets = [0, int(rng.choice([n for n in range(1, len(net.layers)) if not net.layers[n].pool]))]
    for target in targets:
        shape = net.layers[target].size, inputs
        net.inputs.append(
            Projection(
                None, target, rng.integers(-THETA, THETA + 1, shape), rng.random(shape) < 0.8
            )
        )
    return sorted(
        (
            step,
            int(rng.integers(0, 4)) * 300,
            int(rng.integers(0, inputs)),
            int(rng.choice([1, -1])),
        )
        for step in range(steps - quiet)
        for _ in range(rng.integers(0, 7))
    )
