"""Clocked time against SpikingJelly, a plain torch loop, and the limit: the same additions by hand
in C (limit.c).

    python tests/benchmarks/clocked.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8,32
    --limit 64

Same network, images, T and cores, measured in turn in one run: milliseconds an image (median,
lowest and highest of the repeats); a table for each T and batch. Batch 1 is one image after the
other (eight of them); we run an image on one core, torch on all. In a batch torch stacks the
images, as many at once as prove fastest, and each of our cores takes whole ones. SpikingJelly and
torch run in two ways: all steps of a layer at once (multi), and all layers of a step (single,
loop). "limit in C" adds up what our spikes bring, and checks that the sums are ours; its neurons do
not fire. Giga operations a second count our additions, whatever torch multiplies. Needs torch and
spikingjelly for their rows, gcc for the limit's.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import NamedTuple

import measuring
import numpy as np
from limit import compiled

import eventsnn
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.scripts import whole_numbers

run_and_drive = attrgetter("run", "drive")

ONE_BY_ONE = 8  # images at batch 1
BFLOAT16 = {"avx512_bf16", "amx_bf16"}


class Way(NamedTuple):
    """How torch runs the network: `Dense`'s options."""

    mode: str
    dtype: str = "float32"
    jelly: bool = False

    @property
    def lacking(self):
        """What stands in its way here, in words, or ""."""
        if self.dtype == "bfloat16" and not BFLOAT16 & set(measuring.flags_of_processor()):
            return "the processor has no units for bfloat16"
        return measuring.lacking(("torch", "spikingjelly") if self.jelly else ("torch",))


WAYS = {
    "SpikingJelly multi, float32": Way("m", jelly=True),
    "SpikingJelly single, float32": Way("s", jelly=True),
    "torch multi, float32": Way("m"),
    "torch loop, float32": Way("s"),
    "torch multi, bfloat16": Way("m", "bfloat16"),
    "torch loop, bfloat16": Way("s", "bfloat16"),
}


def main(argv=None):
    parser = measuring.options(__doc__)
    parser.add_argument("--batches", default="1,64", help="batch sizes, separated by commas")
    return measuring.run(study, parser, argv)


def study(args):
    """Measure every way at every batch size and print a table for each."""
    batches = whole_numbers(args.batches, "--batches")
    network = eventsnn.convert(eventsnn.load(args.net))
    images = eventsnn.load_images(args.data, limit=args.limit)
    simulation = Simulation(network, steps=args.steps)
    dense = torch_ways(network, args.steps, args.cores)
    limit = compiled()
    for batch in batches:
        pixels = images.pixels[: batch if batch > 1 else ONE_BY_ONE]
        print_table(args, batch, simulation, dense, limit, pixels)


def torch_ways(network, steps, cores):
    """Name -> `Dense`, or None where something stands in its way."""
    ways = dict.fromkeys(WAYS)
    for name, way in WAYS.items():
        if not way.lacking:
            import torch
            from dense import Dense, keep_memory

            keep_memory()
            torch.set_num_threads(cores)
            dtype = getattr(torch, way.dtype)
            ways[name] = Dense(network, steps, dtype, way.mode, jelly=way.jelly)
    return ways


def print_table(args, batch, simulation, dense, limit, pixels):
    """One table: each way at this batch size."""
    parts = [pixels[at : at + batch] for at in range(0, len(pixels), batch)]
    ready = [simulation.network.graph.preprocessing(part) for part in parts]
    found = simulation.run(pixels)
    spikes, operations = found.spikes[:, :-1].sum(axis=(0, 2)), found.operations.sum()
    ours = f"eventsnn, {simulation.arithmetic.kind} point"
    ways = {
        ours: lambda: [list(simulation.stream(part, workers=args.cores, batch=1)) for part in parts]
    }
    counts = {ours: spikes, "limit in C": spikes}
    for name, net in dense.items():
        if net is not None:
            net.choose(ready[0])
            ways[name] = lambda net=net: [net(x) for x in ready]
            counts[name] = sum(net.spikes(x) for x in ready)
    if limit:
        calls = [
            limit.clocked(simulation, *run_and_drive(simulation.image(image))) for image in pixels
        ]
        ways["limit in C"] = lambda: in_threads(calls, 1 if batch == 1 else args.cores)
    seconds, rows = measuring.alternate(ways, args.repeats), []
    for name in (ours, *dense, "limit in C"):
        if name in ways:
            off = np.abs(counts[name] - spikes) / np.maximum(spikes, 1)
            more = {
                "at once": dense[name].at_once if name in dense else 1,
                "spikes": f"{counts[name].sum() / len(pixels):,.0f}",
                "largest difference in a layer": f"{off.max():.2%}",
            }
            rows.append(
                measuring.row(
                    name,
                    seconds[name],
                    seconds[ours],
                    each=len(pixels),
                    operations=operations,
                    **more,
                )
            )
        else:
            why = WAYS[name].lacking if name in WAYS else "no gcc"
            rows.append(measuring.absent(name, why))
    measuring.show(f"batch {batch}, T = {simulation.steps}, {len(pixels)} images: an image", rows)


def in_threads(calls, workers):
    """Call all of them on so many threads."""
    if workers == 1:
        for call in calls:
            call()
        return
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


if __name__ == "__main__":
    sys.exit(main())
