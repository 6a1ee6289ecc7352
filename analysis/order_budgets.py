"""Images whose class no few moved spikes can change, against how many may be moved.

    python analysis/order_budgets.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --moved 1,10

The last layers (--free, one row each) run asynchronously under fifo, those before are clocked. In
each step up to m deliveries into each free layer may stand anywhere in their step, as whole spikes,
and what follows follows. A class is certified if it has the largest readout wherever they stand
(`eventsnn.studies.stages` has the proof). With more than a step has, m is any order of whole
spikes. The table has the certified share of each cell, the median of the smallest margin proven,
the width of the last layer's intervals, and the seconds an image takes. Writes order_budgets.csv,
images.csv (the smallest margin of each image), order_budgets.png and order_budgets.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import conditions
from eventsnn.studies import budgets, scripts
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv


def draw(rows: list[scripts.Row], title: str) -> Figure:
    """Certified share and the median margin proven against m, a line for each number of layers.

    rows: of `Budgets.rows`. title: of the picture.
    """
    figure = scripts.sheet(2, 3.8)
    shares, margins = figure.subplots(1, 2)
    moved = scripts.distinct(rows, "moved")
    places = np.arange(len(moved))
    for (colour, marker), (free, mine) in zip(
        scripts.LOOKS * len(rows), scripts.grouped(rows, "free").items()
    ):
        look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 4.5, "lw": 1.3}
        label = "the last layer free" if free == 1 else f"the last {free} layers free"
        shares.plot(places, scripts.column(mine, "certified", 100), label=label, **look)
        ends = (scripts.column(mine, f"certified {end}", 100) for end in ("low", "high"))
        shares.fill_between(places, *ends, color=colour, alpha=0.1, lw=0)
        margins.plot(places, scripts.column(mine, "least"), **look)
    shares.set(ylabel="certified images (%)", ylim=(0, 102))
    margins.axhline(0, color="0.4", ls="--", lw=1)
    margins.set(ylabel="smallest margin proven, median")
    for axes in (shares, margins):
        axes.set_xticks(places, [f"{m:,}" for m in moved])
        axes.set_xlabel("moved in each step and layer")
        scripts.plain(axes)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=20, out="runs/order_budgets")
    add = parser.add_argument
    add("--steps", type=int, default=8, help="T")
    add("--neuron", default="if", help="model: if or gn")
    words = "numbers of last layers that are free, separated by commas"
    add("--free", default="1,2", metavar="N,N,…", help=words)
    words = "deliveries moved in each step and layer, separated by commas"
    add("--moved", default="1,10,100", metavar="m,m,…", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=10)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is certified: a way for each of --free. args: the options."""
    moved = tuple(scripts.whole_numbers(args.moved, "--moved"))
    free = scripts.whole_numbers(args.free, "--free")
    for name, given in (("--moved", moved), ("--free", free)):
        if len(set(given)) < len(given):
            raise InputError(name, "numbers, each once", given)
    options = {"study": "budgets", "steps": args.steps, "neuron": args.neuron, "moved": moved}
    return [stored.Way({}, {**options, "last": last}, [args.seed]) for last in free]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    every = ways(args)
    source, out = stored.source_of(args), args.out
    rows: list[scripts.Row] = []
    margins: list[scripts.Row] = []
    for way in every:
        (found,) = source.runs(way)
        last = way.options["last"]
        under = {"conditions": conditions(found.simulation)}
        rows += [{**row, **under} for row in found.rows()]
        for m, its in zip(found.moved, found.least):
            for image, least in enumerate(its.tolist()):
                margins.append({"free": last, "moved": m, "image": image, "least": least, **under})
        write_csv(out / "order_budgets.csv", rows)
        write_csv(out / "images.csv", margins)
    title = scripts.title(source.graph, f"T = {args.steps}", f"{len(source.images)} images")
    decided = scripts.words(rows)
    scripts.save(draw(rows, title), out, "order_budgets", decided)
    heading = f"{budgets.TITLE}, {len(source.images):,} images"
    scripts.show(heading, scripts.bare(rows), decided, budgets.FORMATS)


if __name__ == "__main__":
    sys.exit(main())
