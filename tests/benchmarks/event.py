"""Asynchronous time against Brian2, NEST, brainevent, and the limit: the same additions and
threshold tests by hand in C (limit.c).

    python tests/benchmarks/event.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8
    --limit 1 --layer act9

Two tables, each measured in turn in one run on one core, in processor time: median, lowest and
highest of the repeats. First, whole images spike by spike (IF, fifo, no trace): ours and the limit.
The limit is a simulation of its own with a list for a queue; it checks that its spikes and
potentials are ours. Second, what arrives at one layer from another, without biases: the same
weights, and as input the spikes that a clocked run of the first image has there, each at the
beginning of its step. Brian2 (Cython, float64), NEST (iaf_psc_delta) and brainevent (JAX and numba,
float32) know clocked time only: their spikes are to be compared with order `clocked`, NEST's with a
hard reset, as it has no other. Structured connectivity: they keep each synapse of the convolution
by itself, as they are made for random ones; we keep its kernels. Operations are the additions of
the input's spikes. Needs brian2, nest-simulator and brainevent[cpu] for their rows, gcc for the
limit's.
"""

from __future__ import annotations

import sys
import time

import measuring
import numpy as np
from layer import PEERS, OneLayer, in_32_bits, layer_of
from limit import compiled

import eventsnn
from eventsnn.simulation.simulation import Simulation


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
    name = layer_of(network, args.layer)
    limit = compiled()
    whole_images(args, network, pixels, limit)
    one_layer(args, network, pixels[0], name, limit)


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
    seconds = measuring.alternate(ways, args.repeats, time.process_time)
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


def one_layer(args, network, image, name, limit):
    """The second table."""
    part = OneLayer(network, image, name, args.steps)
    ways = {}
    counts = {}
    by_hand = "limit in C, if, fifo"
    for neuron, order in (("if", "fifo"), ("if", "clocked"), ("if-hard", "clocked")):
        simulation = part.simulation(neuron, order, args.fraction_bits)
        run = in_32_bits(simulation, part.events)
        way = f"eventsnn, {neuron}, {order}"
        ways[way] = lambda simulation=simulation: simulation.image(part.events)
        counts[way] = part.spikes(run)
        if limit and by_hand not in ways:
            ways[by_hand] = limit.event(simulation, run, part.events)
            counts[by_hand] = counts[way]
    absent = []
    for way, peer in PEERS.items():
        if why := measuring.lacking(peer.packages, peer.modules):
            absent.append(measuring.absent(way, why))
            continue
        ways[way], count = part.elsewhere(peer, args)
        ways[way]()
        counts[way] = count()
    seconds = measuring.alternate(ways, args.repeats, time.process_time)
    ours = next(iter(ways))
    rows = [
        measuring.row(
            way,
            seconds[way],
            seconds[ours],
            each=1,
            operations=part.operations,
            spikes=f"{counts[way]:,}",
        )
        for way in ways
    ]
    measuring.show(part.words, rows + absent)


if __name__ == "__main__":
    sys.exit(main())
