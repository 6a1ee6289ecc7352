"""What a spike costs in each order of arrival, in times of `fifo`.

    python tests/benchmarks/orders.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 1

Whole images by the event engine (IF, no trace), in turn in one run on one core, in processor time.
Orders give different spikes, and a spike reaches more or fewer neurons by its layer, so beside the
time of one spike the table has the operations of one, and the events taken from the queue for it:
halves and ends of windows and rests are events of their own. The second table is what no queue can
spare: the same deliveries from a list, in the sequence in which the order has them, which only
charge. Where neighbours in that sequence are of other layers, weights and potentials are in no near
cache.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import measuring
import numpy as np

import eventsnn
from eventsnn.engine.event import kernels, layout
from eventsnn.engine.event.queue import TAKEN
from eventsnn.engine.jit import kernel
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

ORDERS = {
    "fifo": {},
    "random": {"order": "random"},
    "priority": {"order": "priority"},
    "lifo": {"order": "lifo"},
    "index": {"order": "index"},
    "inhibitory_first": {"order": "inhibitory_first"},
    "excitatory_first, refractory 1": {"order": "excitatory_first", "refractory": 1.0},
    "delays 0.25": {"order": "delays", "delays": 0.25},
    "random, delays 0.25": {"order": "random", "delays": 0.25},
    "jitter 0.5": {"order": "jitter", "jitter": "uniform:0.5"},
    "jitter 0.5, 2^20 ticks": {"order": "jitter", "jitter": "uniform:0.5", "ticks": 2**20},
    "jitter 2, free-running": {"order": "jitter", "jitter": "uniform:2", "barrier": False},
    "refractory 1": {"refractory": 1.0},
    "window 0.25": {"window": 0.25},
    "jitter 0.5, window 0.25": {"order": "jitter", "jitter": "uniform:0.5", "window": 0.25},
    "clocked": {"order": "clocked"},
    "cores": {"order": "cores"},
    "cores, by weight": {"order": "cores", "service": (0.0, 1 / 1024), "latency": 0.25},
    "cores, index": {"order": "cores", "service": (0.0, 1 / 1024), "arbitration": "index"},
    "cores, random": {"order": "cores", "service": (0.0, 1 / 1024), "arbitration": "random"},
}


def main(argv=None):
    return measuring.run(study, measuring.options(__doc__, limit=1), argv)


def study(args):
    """Measure and print both tables."""
    network = eventsnn.convert(eventsnn.load(args.net))
    pixels = eventsnn.load_images(args.data, limit=args.limit).pixels
    whole, charging, spikes, operations, events = {}, {}, {}, {}, {}
    for name, time_ in ORDERS.items():
        simulation = Simulation(network, steps=args.steps, engine="event", time=Time(**time_))
        states = [simulation.image(image).run.state for image in pixels]
        spikes[name], operations[name], _ = sum(s.tallies.sum(axis=(1, 2)) for s in states)
        events[name] = sum(int(s.at[TAKEN]) for s in states)
        whole[name] = partial(images, simulation, pixels)
        charging[name] = partial(charges, simulation, pixels[0], *sequence(simulation, pixels[0]))
    common = f"{len(pixels)} images, T = {args.steps}, one core"
    for title, ways in ((f"event: orders, {common}", whole), ("the charges alone", charging)):
        seconds = measuring.alternate(ways, args.repeats)
        of_one = {name: np.median(seconds[name]) / spikes[name] for name in ways}
        if ways is charging:  # of the first image
            of_one = {name: np.median(seconds[name]) / ways[name].args[3] for name in ways}
        rows = [
            measuring.row(
                name,
                seconds[name],
                seconds["fifo"],
                each=len(pixels) if ways is whole else 1,
                operations=operations[name],
                beside="times fifo",
                **{
                    "ns a spike": f"{1e9 * of_one[name]:.0f}",
                    "a spike, times fifo's": f"{of_one[name] / of_one['fifo']:.2f}",
                    "spikes": f"{spikes[name] / len(pixels):,.0f}",
                    "operations a spike": f"{operations[name] / spikes[name]:.0f}",
                    "events a spike": f"{events[name] / spikes[name]:.2f}",
                },
            )
            for name in ways
        ]
        measuring.show(title, rows)


def images(simulation, pixels):
    """Run the images; returns the processor's seconds."""
    start = time.thread_time()
    for image in pixels:
        simulation.image(image)
    return time.thread_time() - start


def sequence(simulation, image):
    """(`what` of all deliveries of an image in their order, how many spikes there are)."""
    recorder = Recorder()
    simulation.image(image, sink=recorder)
    spikes, _, deliveries = recorder.records()
    number = spikes[deliveries[:, layout.D_SPIKE], layout.S_NEURON]
    layer = simulation.engine.tables.layer_of[number].astype(np.int64)
    part = deliveries[:, layout.D_PART]
    what = number << layout.NUMBER_BIT | layer << layout.LAYER_BIT | part << layout.HALF_BIT
    return what, len(spikes)


def charges(simulation, image, what, count):
    """Deliver all in turn, and evaluate nobody; returns the processor's seconds."""
    run = simulation.engine.begin(simulation.drive(image))
    rules = run.rules._replace(quiet=1, window=0)
    start = time.thread_time()
    deliver_all(run.net, run.calls, rules, run.band, run.state, what)
    return time.thread_time() - start


@kernel
def deliver_all(net, calls, rules, band, state, what):
    """`kernels.deliver` of each."""
    for i in range(what.size):
        kernels.deliver(net, calls, rules, band, state, what[i], 0)


if __name__ == "__main__":
    sys.exit(main())
