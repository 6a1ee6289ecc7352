"""Asynchronous time against Brian2, NEST, and the limit: the same additions and threshold tests by
hand in C (limit.c).

    python tests/benchmarks/event.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8
    --limit 1 --layer act9

Two tables, each measured in turn in one run on one core: median, lowest and highest of the repeats.
First, whole images spike by spike (IF, fifo, no trace): ours and the limit. The limit is a
simulation of its own with a list for a queue; it checks that its spikes and potentials are ours.
Second, what arrives at one layer from another, without biases: the same weights, and as input the
spikes that a clocked run of the first image has there, each at the beginning of its step. Brian2
(Cython, float64) and NEST (iaf_psc_delta) know clocked time only: their spikes are to be compared
with order `clocked`, NEST's with a hard reset, as it has no other. Operations are the additions of
the input's spikes. Needs brian2 and nest-simulator for their rows, gcc for the limit's.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import measuring
import numpy as np
import others
from limit import compiled

import eventsnn
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.network import INPUT, Network, Projection
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time


def main(argv=None):
    parser = measuring.options(__doc__, limit=1)
    parser.add_argument(
        "--fraction-bits", type=int, default=20, help="F; 32 bits must hold every potential"
    )
    parser.add_argument("--layer", help="layer of the second table; default: the last but one")
    return measuring.run(study, parser, argv)


def study(args):
    """Measure and print both tables."""
    network = eventsnn.convert(eventsnn.load(args.net))
    pixels = eventsnn.load_images(args.data, limit=args.limit).pixels
    names = [layer.name for layer in network.spiking]
    name = args.layer or names[-2]
    if name not in names[1:]:
        raise InputError("--layer", f"one of {', '.join(names[1:])}", repr(name))
    limit = compiled()
    whole_images(args, network, pixels, limit)
    one_layer(args, network, pixels[0], names.index(name), limit)


def whole_images(args, network, pixels, limit):
    """The first table."""
    simulation = Simulation(
        network, steps=args.steps, engine="event", fraction_bits=args.fraction_bits
    )
    runs = [in_32_bits(simulation, image) for image in pixels]
    tallies = sum(run.state.tallies for run in runs).sum(axis=(1, 2))
    ways = {"eventsnn, fifo": lambda: [simulation.image(image) for image in pixels]}
    if limit:
        calls = [limit.event(simulation, run) for run in runs]
        ways["limit in C"] = lambda: [call() for call in calls]
    seconds = measuring.alternate(ways, args.repeats)
    rows = [
        measuring.row(
            way,
            seconds[way],
            seconds["eventsnn, fifo"],
            each=len(pixels),
            operations=tallies[1],
            **{"ns a spike": f"{1e9 * np.median(seconds[way]) / tallies[0]:.0f}"},
        )
        for way in ways
    ]
    measuring.show(
        f"T = {args.steps}, {len(pixels)} images, {tallies[0] / len(pixels):,.0f} spikes and "
        f"{tallies[1] / len(pixels):,.0f} operations each: an image",
        rows,
    )


def in_32_bits(simulation, image):
    """The `EventRun` of an image."""
    found = simulation.image(image)
    run = found.run
    if found.ran is not simulation or run.state.v.dtype != np.int32:
        raise InputError(
            "potentials", "numbers that 32 bits hold", "larger ones", "choose fewer --fraction-bits"
        )
    return run


def one_layer(args, network, image, number, limit):
    """The second table."""
    projection = max(network.into(number), key=lambda p: len(p.map.k) * p.map.blocks[0].size)
    source, layer = network.layers[projection.source], network.layers[number]
    part = isolated(source, layer, projection)
    events = spikes_of(network, image, projection.source, args.steps)
    ways = {}
    counts = {}
    by_hand = "limit in C, if, fifo"
    for neuron, order in (("if", "fifo"), ("if", "clocked"), ("if-hard", "clocked")):
        simulation = Simulation(
            part,
            steps=args.steps,
            engine="event",
            neuron=neuron,
            time=Time(order=order),
            encoding="events",
            inputs=[events],
            fraction_bits=args.fraction_bits,
        )
        run = in_32_bits(simulation, events)
        way = f"eventsnn, {neuron}, {order}"
        ways[way] = lambda simulation=simulation: simulation.image(events)
        counts[way] = run.state.memory[: layer.size, 0].sum()
        if limit and by_hand not in ways:
            ways[by_hand], counts[by_hand] = limit.event(simulation, run, events), counts[way]
    i, j, weight = others.synapses(projection.map)
    operations = int(np.bincount(i, minlength=source.size)[events[:, 2]].sum())
    simulators = {
        "Brian2, if": ("brian2", others.brian),
        "NEST, if-hard": ("nest-simulator", others.nest),
    }
    for way, (package, make) in simulators.items():
        if measuring.version(package):
            ways[way], count = make(i, j, weight, source.size, layer.size, events, args)
            ways[way]()
            counts[way] = count()
    seconds, ours = measuring.alternate(ways, args.repeats), next(iter(ways))
    rows = [
        measuring.row(
            way,
            seconds[way],
            seconds[ours],
            each=1,
            operations=operations,
            spikes=f"{counts[way]:,}",
        )
        for way in ways
    ]
    rows += [measuring.absent(way) for way in simulators if way not in ways]
    measuring.show(
        f"{source.name} to {layer.name}, T = {args.steps}: {len(i):,} synapses, {len(events):,} "
        f"spikes come in, {operations:,} operations",
        rows,
    )


def isolated(source, layer, projection):
    """A network of one layer without biases, whose input has the shape of `source`."""
    graph = Graph((Node("act", "Relu", ("input",)),), "input", "act", source.grid, Preprocessing())
    silent = replace(layer, bias=np.zeros_like(layer.bias))
    readout = replace(silent, name="readout", theta=1.0, node=None)
    return Network(
        (silent, readout),
        (Projection(INPUT, 0, projection.map), Projection(0, 1, linear.identity(layer.grid))),
        graph,
    )


def spikes_of(network, image, number, steps):
    """The spikes of a layer in a clocked run, as input events int64 [E, 4]
    (`encoding.events_of`).
    """
    simulation = Simulation(network, steps=steps)
    run, tables = simulation.image(image).run, simulation.engine.tables
    first, last = (int(site) * steps for site in tables.first_site[number : number + 2])
    cell = np.repeat(np.arange(last - first), np.diff(run.first[first : last + 1]))
    inside = cell // steps * tables.channels[number] + run.log[run.first[first] : run.first[last]]
    events = np.stack([cell % steps, np.zeros_like(cell), inside, np.ones_like(cell)], axis=1)
    return events[np.lexsort((inside, events[:, 0]))]


if __name__ == "__main__":
    sys.exit(main())
