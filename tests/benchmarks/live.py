"""What an edit costs in the live microscope, from the page's message to the picture as text.

    python tests/benchmarks/live.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin

Processor time of this process: the replay, the neuron, the tables and the JSON. In each layer the
worst neuron is looked at, and spikes that reach it are swapped and dropped in turn, each edit on
top of those before it.
"""

from __future__ import annotations

import json
import sys
import time

import measuring
import numpy as np

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.views.tables import text_table


def main(argv=None):
    parser = measuring.options(__doc__, limit=1)
    parser.add_argument("--layers", default="", help="names, separated by commas; '': all")
    parser.add_argument("--order", default="fifo", help="order of arrival")
    parser.add_argument("--edits", type=int, default=20, help="how many in each layer")
    return measuring.run(study, parser, argv)


def study(args):
    """Measure and print a row for each layer."""
    if args.edits < 1:
        raise InputError("--edits", "a whole number from 1", args.edits)
    network = eventsnn.convert(eventsnn.load(args.net))
    images = eventsnn.load_images(args.data, limit=1)
    result = eventsnn.simulate(
        network, images, steps=args.steps, engine="event", order=args.order, workers=1
    )
    microscope = eventsnn.live(result)
    names = args.layers.split(",") if args.layers else [layer.name for layer in network.layers]
    rows = [row(microscope, name, args.edits) for name in names]
    trace = result.trace()
    print(f"T = {args.steps}, order {args.order}, {len(trace.spikes):,} spikes; milliseconds")
    print(text_table(rows))


def row(microscope, layer, count):
    """Edits at one layer's worst neuron."""
    microscope.choose(layer)
    microscope.reset()
    rng = np.random.default_rng(0)
    times = []
    for _ in range(4 * count):  # some are refused
        recorded = microscope.widget.picture["after"]["recorded"]
        places = [at for at, seq in enumerate(recorded) if seq >= 0]
        if not places or len(microscope.edits) == count:
            break
        what = ("swap", "drop")[len(microscope.edits) % 2]
        message = {"do": what, "at": int(rng.choice(places)), "by": 1}
        before, began = len(microscope.edits), time.process_time()
        microscope._answer({**message, "of": microscope.widget.number})
        json.dumps(microscope.widget.picture)
        if len(microscope.edits) > before:
            times.append(1000 * (time.process_time() - began))
    arrivals = len(microscope.after.arrivals)
    found = {"layer": layer, "arrivals": arrivals, "edits": len(times)}
    measured = {"median": float(np.median(times)), "most": max(times)} if times else {}
    return {**found, "median": None, "most": None, **measured}


if __name__ == "__main__":
    sys.exit(main())
