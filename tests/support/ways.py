"""Ways of time and models, for the engines and for the twin, and how the two are compared."""

import numpy as np
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.networks import pixel_range, random_graph, random_pixels

from eventsnn import convert
from eventsnn.engine.event import layout
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

STEPS = 4


TICKS = 1024

# fraction bits with which potentials have 32 bits in any time, so that no kernel is compiled twice
FEW_BITS = 16


MODELS = {"if": twin.IF(), "if-hard": twin.IFHard(0), "snm": twin.SNM()}


CASES = {
    "fifo": ({}, {"order": twin.fifo}),
    "lifo": ({"order": "lifo"}, {"order": twin.lifo}),
    "index": ({"order": "index"}, {"order": twin.index}),
    "random": ({"order": "random"}, {"order": twin.random(5, 3)}),
    "priority": ({"order": "priority"}, {"order": twin.priority(5, 3)}),
    "excitatory_first": ({"order": "excitatory_first"}, {"order": twin.excitatory_first}),
    "inhibitory_first": ({"order": "inhibitory_first"}, {"order": twin.inhibitory_first}),
    "clocked": ({"order": "clocked"}, {"order": twin.clocked}),
    "jitter": ({"order": "jitter", "jitter": "uniform:0.5"}, {"order": twin.jitter(5, 0, 512, 3)}),
    "free-running": (
        {"order": "jitter", "jitter": "uniform:2", "barrier": False},
        {"order": twin.jitter(5, 0, 2048, 3), "barrier": False},
    ),
    "refractory": ({"refractory": 1.0}, {"order": twin.fifo, "refractory": 1024}),
    "refractory, random": (
        {"order": "random", "refractory": 0.25},
        {"order": twin.random(5, 3), "refractory": 256},
    ),
    "refractory, excitatory_first": (
        {"order": "excitatory_first", "refractory": 0.25},
        {"order": twin.excitatory_first, "refractory": 256},
    ),
    "refractory, inhibitory_first, delays": (
        {"order": "inhibitory_first", "refractory": 0.375, "delays": "by projection"},
        {"order": twin.inhibitory_first, "refractory": 384},
    ),
    "window": (
        {"order": "jitter", "jitter": "uniform:0.5", "window": 0.25},
        {"order": twin.jitter(5, 0, 512, 3), "window": 256},
    ),
    "window, fifo": ({"window": 1.25}, {"order": twin.fifo, "window": 1280}),
    "window, refractory, free": (
        {
            "order": "jitter",
            "jitter": "uniform:1",
            "window": 0.75,
            "refractory": 1.5,
            "barrier": False,
        },
        {"order": twin.jitter(5, 0, 1024, 3), "window": 768, "refractory": 1536, "barrier": False},
    ),
    "window, halves": (
        {"order": "excitatory_first", "window": 0.5},
        {"order": twin.excitatory_first, "window": 512},
    ),
    "spread, random": (
        {"order": "random", "spread": 64},
        {"order": twin.random(5, 3), "spread": 64},
    ),
    "spread of all ticks, inhibitory_first": (
        {"order": "inhibitory_first", "spread": 32, "ticks": 32},
        {"order": twin.inhibitory_first, "spread": 32, "ticks_per_step": 32},
    ),
    "spread, refractory": (
        {"order": "lifo", "refractory": 0.375, "spread": 3},
        {"order": twin.lifo, "refractory": 1152, "spread": 3, "ticks_per_step": 3072},
    ),
    "spread, jitter, refractory": (
        {"order": "jitter", "jitter": "uniform:0.5", "refractory": 0.25, "spread": 8},
        {"order": twin.jitter(5, 0, 512, 3), "refractory": 256, "spread": 8},
    ),
    "spread, window": (
        {"order": "excitatory_first", "window": 0.25, "spread": 8},
        {"order": twin.excitatory_first, "window": 256, "spread": 8},
    ),
    "spread, window, refractory, free": (
        {
            "order": "jitter",
            "jitter": "uniform:1",
            "window": 0.25,
            "refractory": 0.5,
            "barrier": False,
            "spread": 16,
        },
        {
            "order": twin.jitter(5, 0, 1024, 3),
            "window": 256,
            "refractory": 512,
            "barrier": False,
            "spread": 16,
        },
    ),
    "group": ({"group": 5}, {"order": twin.fifo, "group": 5}),
    "group, random, refractory": (
        {"order": "random", "group": 7, "refractory": 0.25},
        {"order": twin.random(5, 3), "group": 7, "refractory": 256},
    ),
    "group of all, inhibitory_first": (
        {"order": "inhibitory_first", "group": 2**31 - 1},
        {"order": twin.inhibitory_first, "group": 2**31 - 1},
    ),
    "group, spread, delays by neuron": (
        {"order": "lifo", "group": 3, "delays": "by neuron", "barrier": False, "spread": 8},
        {"order": twin.lifo, "group": 3, "barrier": False, "spread": 8},
    ),
    "delays by projection": ({"order": "delays", "delays": "by projection"}, {"order": twin.fifo}),
    "delays by neuron": (
        {"order": "random", "delays": "by neuron", "barrier": False},
        {"order": twin.random(5, 3), "barrier": False},
    ),
    "random, delays by projection": (
        {"order": "random", "delays": "by projection", "barrier": False},
        {"order": twin.random(5, 3), "barrier": False},
    ),
    "random, window, refractory": (
        {"order": "random", "delays": "by neuron", "window": 0.75, "refractory": 1.5},
        {"order": twin.random(5, 3), "window": 768, "refractory": 1536},
    ),
    "priority, delays by neuron": (
        {"order": "priority", "delays": "by neuron", "barrier": False},
        {"order": twin.priority(5, 3), "barrier": False},
    ),
}


def in_case(case, network, rng):
    """The options of `Time` and of the twin's run for one of CASES, with random delays where it has
    any.
    """
    mine, others = (dict(options) for options in CASES[case])
    names = [layer.name for layer in network.layers]
    pairs = [(names[p.source], names[p.target]) for p in network.projections if p.source >= 0]
    if mine.get("delays") == "by projection":
        steps = rng.integers(0, 6, len(pairs)) / 4
        mine["delays"] = dict(zip(pairs, steps.tolist()))
        others["delays"] = twin.PerProjection([int(x * TICKS) for x in steps])
    elif mine.get("delays") == "by neuron":
        mine["delays"] = [rng.integers(0, 9, layer.size) / 8 for layer in network.spiking]
        others["delays"] = twin.PerNeuron(
            [(x * TICKS).astype(int).tolist() for x in mine["delays"]]
        )
    return mine, others


def both(seed, case, model, arithmetic="fixed", make=random_graph, models=None, **options):
    """The engine's run with its records, and the twin's outcome, of the same image.

    models: simulation -> the twin's model, for others than MODELS. options: of the Simulation.
    """
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    network = convert(graph)
    mine, others = in_case(case, network, rng)
    if arithmetic == "fixed":
        options = {"fraction_bits": FEW_BITS, **options}
    simulation = Simulation(
        network,
        steps=STEPS,
        engine="event",
        neuron=model,
        time=Time(**mine),
        seed=5,
        arithmetic=arithmetic,
        pixel_range=pixel_range(pixels),
        **options,
    )
    recorder = Recorder()
    found = simulation.image(pixels[0], 3, recorder)
    run, simulation = found.run, found.ran
    outcome = twin.run_async(
        twin_net(simulation),
        twin_drive(simulation, pixels[0]),
        twin_start(simulation),
        STEPS,
        models(simulation) if models else MODELS[model],
        unit=1 << simulation.arithmetic.finer,
        **others,
    )
    return simulation, run, recorder.records(), outcome


def assert_same(simulation, run, records, outcome):
    spikes, potentials, deliveries = records
    first = [0, *np.cumsum([layer.size for layer in simulation.network.layers])]
    assert len(spikes) == len(outcome.spikes) > 0
    for row, (before, after, *own), spike in zip(spikes, potentials, outcome.spikes):
        cause = -1 if spike.cause is None else spike.cause
        assert row[layout.S_TICK :].tolist() == [
            spike.tick,
            spike.step,
            first[spike.layer] + spike.neuron,
            spike.sign,
            spike.member,
            cause,
        ]
        assert (before, after) == (spike.v_before, spike.v_after)
        if spike.own is not None:
            assert own == [x for states in spike.own for x in states.values()]
    last = len(first) - 2
    for layer, potential in enumerate(by_layer(simulation, run.state.v)):
        assert potential.tolist() == list(outcome.potentials[layer])
        if layer < last:
            tally = [0] * STEPS
            for spike in outcome.spikes:
                tally[spike.step] += spike.layer == layer
            assert run.state.tallies[0, layer].tolist() == tally
    assert run.state.digests[1].tolist() == outcome.digests(STEPS)
    assert run.readout.tolist() == [list(charge) for charge in outcome.readout]
    assert run.state.tallies[1].sum() == outcome.synaptic_operations
    assert run.state.tallies[2].sum() == outcome.equalities
    taken = [
        (d.layer, d.neuron, d.nth)
        for d in outcome.deliveries[: len(outcome.deliveries) - outcome.under_way]
    ]
    nth, sent = [], {}
    for number in spikes[:, layout.S_NEURON]:
        nth.append(sent.get(number, 0))
        sent[number] = nth[-1] + 1
    layer_of = np.searchsorted(first, spikes[:, layout.S_NEURON], side="right") - 1
    seqs = deliveries[:, layout.D_SPIKE]
    assert [
        (layer_of[q], spikes[q, layout.S_NEURON] - first[layer_of[q]], nth[q]) for q in seqs
    ] == taken
