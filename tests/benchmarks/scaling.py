"""What a run costs against activity, width, T, cores, and the length of the event queue.

    python tests/benchmarks/scaling.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 16

Activity and width: a 3x3 convolution of 16x16 neurons, in which a given share of the source's
neurons fires in every step (random weights). T and cores: the given network in clocked time. Queue:
the time to put in and take out one event while so many wait: all due at once in the order of
emission (the FIFO), in any (the list of order `random`) or by keys of their own (the heap), or at
times of their own (the ring), in processor time. Median, lowest and highest of the repeats.
"""

from __future__ import annotations

import sys
import time
from collections import namedtuple
from functools import partial

import measuring
import numpy as np

import eventsnn
from eventsnn.ann.graph import Graph, Node
from eventsnn.engine.event.queue import (
    COUNTED,
    NOW,
    SCALARS,
    QueueArrays,
    come_to,
    next_moment,
    put,
    queue_arrays,
    take,
)
from eventsnn.engine.event.ring import NEVER
from eventsnn.engine.jit import kernel
from eventsnn.simulation.simulation import Simulation

SIDE, CHANNELS, ACTIVITY = 16, 64, 0.1  # of the convolution, where nothing else is said
ACTIVITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
WIDTHS = (16, 32, 64, 128, 256)
STEPS = (1, 2, 4, 8, 16, 32)
LENGTHS = [2**k for k in range(0, 21, 4)]
MOVES = 2**18  # events that are put in and taken out


def main(argv=None):
    return measuring.run(study, measuring.options(__doc__, limit=16), argv)


def study(args):
    """Measure and print every table."""
    network = eventsnn.convert(eventsnn.load(args.net))
    pixels = eventsnn.load_images(args.data, limit=args.limit).pixels
    for engine in ("clocked", "event"):
        layers = {
            f"{share:.0%} active": layer(CHANNELS, share, engine, args.steps)
            for share in ACTIVITIES
        }
        measure(
            f"{engine}: {CHANNELS} channels, T = {args.steps}, against the share of neurons that "
            "fire in a step",
            layers,
            args,
        )
        layers = {
            f"{width} channels": layer(width, ACTIVITY, engine, args.steps) for width in WIDTHS
        }
        measure(f"{engine}: {ACTIVITY:.0%} active, T = {args.steps}, against width", layers, args)
    measure(
        "clocked: the network against T, one core",
        {f"T = {t}": (Simulation(network, steps=t), pixels) for t in STEPS},
        args,
    )
    simulation = Simulation(network, steps=args.steps)
    one = {
        f"{n} cores" if n > 1 else "1 core": (simulation, pixels, n)
        for n in range(1, args.cores + 1)
    }
    measure(f"clocked: the network at T = {args.steps} against cores", one, args)
    queue_lengths(args)


def measure(title, runs, args):
    """A table with a row for each of name -> (simulation, pixels, cores); without cores, on one."""
    ways, operations = {}, {}
    for name, (simulation, pixels, *cores) in runs.items():
        workers = cores[0] if cores else 1
        ways[name] = partial(in_parallel, simulation, pixels, workers)
        operations[name] = int(simulation.run(pixels).operations.sum())
    seconds = measuring.alternate(ways, args.repeats)
    first = next(iter(ways))
    measuring.show(
        title,
        [
            measuring.row(
                name,
                seconds[name],
                seconds[first],
                each=len(runs[name][1]),
                operations=operations[name],
                beside="times the first",
                **{"ops an image": f"{operations[name] / len(runs[name][1]):,.0f}"},
            )
            for name in ways
        ],
    )


def in_parallel(simulation, pixels, workers):
    """Run the images; on one core without threads."""
    return (
        simulation.run(pixels)
        if workers == 1
        else list(simulation.stream(pixels, workers=workers, batch=1))
    )


def layer(channels, share, engine, steps):
    """(simulation, one image) of a convolution whose source neurons fire in every step, or
    never.
    """
    random = np.random.default_rng(0)
    weight = random.normal(0, 1 / np.sqrt(9 * channels), (channels, channels, 3, 3))
    nodes = (
        Node("source", "ClippedRelu", ("input",), {"lambda": 1.0}),
        Node("conv", "Conv", ("source",), {"pads": [1, 1, 1, 1]}, {"W": weight}),
        Node("target", "ClippedRelu", ("conv",), {"lambda": 1.0}),
    )
    network = eventsnn.convert(Graph(nodes, "input", "target", (channels, SIDE, SIDE)))
    image = (random.random((1, channels, SIDE, SIDE)) < share).astype(np.uint8)
    return Simulation(network, steps=steps, engine=engine, pixel_range=(0, 1)), image


# an event queue by itself, with the fields that its kernels ask for
Waiting = namedtuple(
    "Waiting", ("at", *QueueArrays._fields, "uniform", "seed", "image"), defaults=(0, 0, 0)
)


def queue_lengths(args):
    """The queue's table."""
    random = np.random.default_rng(0)
    later = random.integers(1, 2**20, LENGTHS[-1] + MOVES)
    at_once = np.zeros_like(later)
    keys = random.integers(1, 2**62, len(later))
    ways = {
        "FIFO": (at_once, at_once, 0),
        "list of random": (at_once, at_once, 1),
        "ring": (later, at_once, 0),
        "heap": (at_once, keys, 0),
    }
    rows = []
    for name, given in ways.items():
        for length in LENGTHS:
            call = partial(moves, *given, length)
            seconds = measuring.alternate({name: call}, args.repeats)[name]
            low, middle, high = 1e9 * np.quantile(seconds, (0, 0.5, 1)) / MOVES
            rows.append(
                {
                    "": name,
                    "events that wait": f"{length:,}",
                    "ns an event": f"{middle:.1f} ({low:.1f}-{high:.1f})",
                }
            )
    measuring.show("event: the queue", rows)


def moves(times, keys, uniform, waiting):
    """Fill a queue with `waiting` events; returns the processor's seconds that it takes to put in
    and take out MOVES more, one by one.

    times: how many ticks after the one last taken each is due. keys: theirs. uniform: 1 for the
    list of order `random`.
    """
    arrays = queue_arrays(1 << int(waiting + 1).bit_length())
    queue = Waiting(np.zeros(SCALARS, np.int64), **arrays._asdict(), uniform=uniform)
    put_and_take(queue, times[:waiting], keys[:waiting], False)
    measured = slice(waiting, waiting + MOVES)
    start = time.thread_time()
    put_and_take(queue, times[measured], keys[measured], True)
    return time.thread_time() - start


@kernel
def put_and_take(queue, times, keys, taking):
    """Put in an event for each time, and take one out after each if `taking`."""
    at = queue.at
    for i in range(times.size):
        put(queue, 2 * (at[NOW] + times[i]), keys[i], i, i)
        if taking:
            moment = next_moment(queue, NEVER - 1)
            if moment > 2 * at[NOW]:
                come_to(queue, moment)
            take(queue, queue)
            at[COUNTED] += 1


if __name__ == "__main__":
    sys.exit(main())
