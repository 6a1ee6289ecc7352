"""What a sweep costs beside its cells.

    python tests/benchmarks/sweeping.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin

The first table: as many workers as --cores, of this machine and of Dask, against as many bare
processes which compute a share of the same cells each, and write nothing. Six orders, --limit
images, starting and ending of all processes included. The second: one process, whose cells last
--seconds, against a loop that computes them and writes nothing. All ways are measured in turn, and
the ratio is that of each repeat to the bare one beside it: median, lowest and highest.
"""

from __future__ import annotations

import math
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import measuring

from eventsnn.exceptions import TooManyEvents
from eventsnn.simulation.simulation import cores
from eventsnn.sweep import Plan, sweep
from eventsnn.sweep.computing import Bench
from eventsnn.sweep.planned import Planned
from eventsnn.views.tables import text_table

ORDERS = ("fifo", "priority", "index", "random", "excitatory_first", "inhibitory_first")
CELLS = 20  # of the second table


def main(argv=None):
    parser = measuring.options(__doc__, limit=200)
    parser.add_argument("--size", type=int, default=20, help="images of a cell")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a cell, in the second table")
    return measuring.run(study, parser, argv)


def study(args):
    options = {"net": args.net, "data": args.data, "steps": args.steps, "engine": "event"}
    images = {"count": args.limit, "size": args.size}
    plan = Plan(options=options, images=images, grid={"order": list(ORDERS)})
    cells = list(Planned(plan).cells())
    bare_loop([cells[-1]], 1)  # compiles what there is to compile
    ways = {"bare processes": lambda: bare_processes(cells, args.cores)}
    ways["processes"] = lambda: swept(plan, "processes", args.cores)
    if find_spec("distributed"):
        ways["dask"] = lambda: swept(plan, "dask", args.cores)
    title = f"{len(cells)} cells on {args.cores} workers"
    show(title, measured(ways, args.repeats))
    overhead(args, options)


def overhead(args, options):
    """Measure and print the second table. options: of the runs."""
    options = {**options, "order": "random"}
    found = Bench(cores())
    plan = Plan(options=options, images={"count": args.size, "size": args.size})
    cells = list(Planned(plan).cells())
    found.compute(cells[-1])
    each = found.compute(cells[-1]).seconds / cells[-1].size
    size = max(1, math.ceil(args.seconds / each))
    images = {"count": min(args.limit, size * CELLS), "size": min(size, args.limit)}
    seeds = math.ceil(CELLS * images["size"] / images["count"])
    plan = Plan(options=options, images=images, grid={"seed": list(range(seeds))})
    cells = list(Planned(plan).cells())
    ways = {
        "bare loop": lambda: bare_loop(cells, cores()),
        "serial": lambda: swept(plan, "serial", None),
    }
    title = f"{len(cells)} cells of {images['size']} images, {each * images['size']:.2f} s"
    show(title, measured(ways, args.repeats))


def bare_loop(cells, threads):
    """Computes cells. threads: of each, as a sweep's workers have."""
    bench = Bench(threads)
    for cell in cells:
        with suppress(TooManyEvents):  # an order in which firing explodes fails in a sweep, too
            bench.compute(cell)


def bare_processes(cells, count):
    """Shares cells among processes: to each a stretch of every run, as many images as to others."""
    context = multiprocessing.get_context("spawn")
    shares = [cells[k::count] for k in range(count)]
    processes = [
        context.Process(target=bare_loop, args=(share, max(1, cores() // count)))
        for share in shares
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise OSError("a bare process failed")


def swept(plan, executor, workers):
    folder = Path(tempfile.mkdtemp())
    try:
        sweep(plan, folder / "store", executor=executor, workers=workers, progress=False)
    finally:
        shutil.rmtree(folder)


def measured(ways, repeats):
    """Way -> seconds of each repeat; the ways in turn, each repeat in another order."""
    seconds = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in sorted(ways, reverse=bool(repeat % 2)):
            began = time.perf_counter()
            ways[way]()
            seconds[way].append(time.perf_counter() - began)
    return seconds


def show(title, seconds):
    """Prints a table; the first way is what the others are compared with."""
    bare = next(iter(seconds.values()))
    rows = []
    for way, found in seconds.items():
        ratios = sorted(one / other for one, other in zip(found, bare))
        middle = statistics.median(ratios)
        told = f"{middle:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        rows.append({"": way, "seconds": f"{statistics.median(found):.2f}", "ratio": told})
    print(f"\n{title}\n{text_table(rows)}")


if __name__ == "__main__":
    sys.exit(main())
