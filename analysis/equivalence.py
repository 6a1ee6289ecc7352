"""Is the spiking network the quantised ANN? SpikeZIP's Theorem 1, counted neuron by neuron.

    python analysis/equivalence.py --net resnet20_qrelu.h5 --data cifar-10-batches-bin --limit 100

Runs ST-BIF neurons with even release to equilibrium, in clocked time and under several orders of arrival, and compares
every neuron's net spikes and the readout with the quantised ANN in the same whole numbers (`eventsnn.equivalence`). SpikeZIP (section 4)
reports a distance of 0.5 between the two outputs for its own implementation. Asynchronous orders have a refractory
period of a step or release inhibition first: where neurons may answer every arrival at once, firing multiplies from layer to
layer in deep networks. Prints a table and writes equivalence.csv.
"""
from __future__ import annotations

import sys

import numpy as np
from tqdm import tqdm

import eventsnn
from eventsnn import ann, scripts
from eventsnn.equivalence import quantised
from eventsnn.simulate import run
from eventsnn.tables import text_table, write_csv

ORDERS = {
    "clocked engine": {},
    "fifo, 1 spike a step": dict(engine="event", order="fifo", refractory=1.0),
    "random, 1 spike a step": dict(engine="event", order="random", refractory=1.0),
    "inhibitory first": dict(engine="event", order="inhibitory_first"),
}
BATCH = 10


def measure(network, images, steps, outputs, label, bar, **time):
    """One row: differing neurons and outputs, T_eq, spikes and operations per image, distance to the ANN's float output."""
    differing = wrong = distance = 0
    t_eq, spikes, operations = [], 0, 0
    for first in range(0, len(images), BATCH):
        part = images.take(np.arange(first, min(first + BATCH, len(images))))
        result = run(network, part, steps=steps, neuron="st-bif", encoding="even", neurons=True, batch=1, **time)
        counts, readout = quantised(result.simulation, part.pixels)
        differing += int((result.batch.counts != counts).sum())
        wrong += int((result.batch.readout[:, -1] != readout).sum())
        distance += float(np.square(result.readout() - outputs[first:first + len(part)]).sum())
        t_eq += result.batch.t_eq.tolist()
        spikes, operations = spikes + int(result.spikes.sum()), operations + int(result.operations.sum())
        bar.update(len(part))
    return {"order": label, "images": len(images), "neurons": network.neurons, "differing neurons": differing, "differing outputs": wrong,
            "mean squared distance to the float ANN": distance / outputs.size, "mean T_eq": float(np.mean(t_eq)), "largest T_eq": max(t_eq),
            "spikes": spikes / len(images), "operations": operations / len(images)}


def main(argv=None):
    parser = scripts.options(__doc__, limit=100, out="runs/equivalence")
    parser.add_argument("--steps", type=int, default=128, help="the most steps; more than any image needs to come to rest")
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the table."""
    network, images = eventsnn.convert(eventsnn.load(args.net)), eventsnn.load_images(args.data, limit=args.limit)
    outputs = ann.predict(network.graph, images.pixels)
    rows = []
    with tqdm(total=len(ORDERS) * len(images), unit="image", disable=None, delay=2) as bar:
        for label, time in ORDERS.items():
            rows.append(measure(network, images, args.steps, outputs, label, bar, **time))
            write_csv(args.out / "equivalence.csv", rows)
    formats = {"mean squared distance to the float ANN": ("MSE to float ANN", ".2e"), "spikes": ("spikes", ",.0f"),
               "operations": ("operations", ",.0f"), "mean T_eq": ("mean T_eq", ".1f"), "neurons": ("neurons", ",")}
    print(text_table(rows, formats))


if __name__ == "__main__":
    sys.exit(main())
