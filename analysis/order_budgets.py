"""Images whose class no few moved spikes can change, against how many may be moved.

    python analysis/order_budgets.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --moved 1,10

The last layers (--free, one row each; all: every layer) are free, those before are clocked. In each
step up to m deliveries into each free layer are moved, as whole spikes, and what follows follows.
Under --order fifo (each free layer hears one) and cores (by target layer, then emission) they stand
anywhere in their step; with m every it is any order of whole spikes, and so it holds for a budget
B-infinity of a tick, since a step waits for what comes later. Under --order clocked they come a
step later, and m every is B-infinity = 1 tick. A class is certified if it has the largest readout
wherever they stand (`eventsnn.studies.stages` and `late` have the proofs). The table has the
certified share of each cell, the median of the smallest margin proven, the width of the last
layer's intervals, and the seconds an image takes. Writes order_budgets.csv, images.csv (the
smallest margin of each image), order_budgets.png and order_budgets.svg.
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
from eventsnn.inputs.loading import load_graph
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import conditions
from eventsnn.studies import budgets, scripts
from eventsnn.studies.proofs import EVERY, ORDERS, check_order
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
        axes.set_xticks(places, [m if isinstance(m, str) else f"{m:,}" for m in moved])
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
    add("--neuron", default="if", help="model: if or gn; under order clocked also snm, st-bif")
    words = f"of the free layers: {', '.join(ORDERS)}"
    add("--order", default="fifo", help=words)
    words = "numbers of last layers that are free, or all, separated by commas"
    add("--free", default="1,2", metavar="N,N,…", help=words)
    words = "deliveries moved in each step and layer, or every, separated by commas"
    add("--moved", default="1,10,100", metavar="m,m,…", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=10)


def numbers(text: str, where: str, word: str, stands_for: int | str) -> list[int | str]:
    """Whole numbers from 1 and a word, between commas. Raises InputError for anything else.

    text: they. where: the option. word: that may stand among them. stands_for: what it means.
    """
    words = text.split(",")
    plain = ",".join(each for each in words if each.strip() != word)
    found: list[int | str] = [*scripts.whole_numbers(plain, where)] if plain else []
    for place, each in enumerate(words):
        if each.strip() == word:
            found.insert(place, stands_for)
    if len(set(found)) < len(found):
        raise InputError(where, "numbers, each once", text)
    return found


def ways(args: argparse.Namespace, network: Network | None = None) -> list[stored.Way]:
    """What is certified: a way for each of --free.

    args: the options. network: that runs (None: it is read where "all" stands for its layers).
    """
    moved = tuple(numbers(args.moved, "--moved", EVERY, EVERY))
    layers = 0
    if "all" in args.free:
        network = network or stored.network_of(args, load_graph(args.settings))
        layers = len(network.spiking)
    check_order(args.order)
    options = {"study": "budgets", "engine": "event", "order": args.order}
    options |= {"steps": args.steps, "neuron": args.neuron, "moved": moved}
    if args.order == "clocked":
        options["ticks"] = 1
    free = numbers(args.free, "--free", "all", layers)
    return [stored.Way({}, {**options, "last": last}, [args.seed]) for last in free]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source, out = stored.source_of(args), args.out
    rows: list[scripts.Row] = []
    margins: list[scripts.Row] = []
    for way in ways(args, source.network()):
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
