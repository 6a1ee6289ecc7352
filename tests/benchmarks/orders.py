"""What a spike costs in each order of arrival, in times of `fifo`.

    python tests/benchmarks/orders.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 1

Whole images by the event engine (IF, no trace), measured in turn in one run on one core. Orders
give different spikes, and a spike reaches more or fewer neurons by its layer, so beside the time of
one spike the table has the operations of one, and the events taken from the queue for it: halves
and ends of windows and rests are events of their own.
"""

from __future__ import annotations

import sys
from functools import partial

import measuring
import numpy as np

import eventsnn
from eventsnn.engine.event.queue import TAKEN
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time

ORDERS = {
    "fifo": {},
    "random": {"order": "random"},
    "priority": {"order": "priority"},
    "lifo": {"order": "lifo"},
    "index": {"order": "index"},
    "excitatory_first, refractory 1": {"order": "excitatory_first", "refractory": 1.0},
    "inhibitory_first": {"order": "inhibitory_first"},
    "delays, 0.25": {"order": "delays", "delays": 0.25},
    "jitter, 0.5": {"order": "jitter", "jitter": "uniform:0.5"},
    "jitter, 0.5, 2^20 ticks": {"order": "jitter", "jitter": "uniform:0.5", "ticks": 2**20},
    "jitter, free-running": {"order": "jitter", "jitter": "uniform:2", "barrier": False},
    "random, delays 0.25": {"order": "random", "delays": 0.25},
    "refractory 1": {"refractory": 1.0},
    "window 0.25": {"window": 0.25},
    "jitter, window 0.25": {"order": "jitter", "jitter": "uniform:0.5", "window": 0.25},
    "clocked": {"order": "clocked"},
}


def main(argv=None):
    return measuring.run(study, measuring.options(__doc__, limit=1), argv)


def study(args):
    """Measure and print the table."""
    network = eventsnn.convert(eventsnn.load(args.net))
    pixels = eventsnn.load_images(args.data, limit=args.limit).pixels
    ways, spikes, operations, events = {}, {}, {}, {}
    for name, time in ORDERS.items():
        simulation = Simulation(network, steps=args.steps, engine="event", time=Time(**time))
        states = [simulation.image(image).run.state for image in pixels]
        spikes[name], operations[name], _ = sum(s.tallies.sum(axis=(1, 2)) for s in states)
        events[name] = sum(int(s.at[TAKEN]) for s in states)
        ways[name] = partial(images, simulation, pixels)
    seconds = measuring.alternate(ways, args.repeats)
    of_one = {name: np.median(seconds[name]) / spikes[name] for name in ways}
    rows = [
        measuring.row(
            name,
            seconds[name],
            seconds["fifo"],
            each=len(pixels),
            operations=operations[name],
            beside="times fifo",
            **{
                "spikes": f"{spikes[name] / len(pixels):,.0f}",
                "ns a spike": f"{1e9 * of_one[name]:.0f}",
                "a spike, times fifo's": f"{of_one[name] / of_one['fifo']:.2f}",
                "operations a spike": f"{operations[name] / spikes[name]:.0f}",
                "events a spike": f"{events[name] / spikes[name]:.2f}",
            },
        )
        for name in ways
    ]
    title = f"event: orders of arrival, {args.limit} images, T = {args.steps}, one core"
    measuring.show(title, rows)


def images(simulation, pixels):
    """Run the images; nothing is returned, so that `alternate` takes the time."""
    for image in pixels:
        simulation.image(image)


if __name__ == "__main__":
    sys.exit(main())
