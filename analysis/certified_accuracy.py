"""The share of images whose class no order of arrivals can change, beside the accuracy.

    python analysis/certified_accuracy.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8

It says, too, how deep that reaches. Of every neuron an interval of spike counts is computed that
holds whatever the order of arrivals was in asynchronous time, from the drive down to the readout
(`eventsnn.studies.intervals`); a class is certified if it has the largest readout for all counts
inside. The accuracy is that of clocked time. An interval of a million spikes is given up, and its
image with it. Where no image is certified, the layers say why: the mean width of their intervals,
and the share that is certified where order is free in one layer alone, or in it and all before it,
and all others are clocked (--whole leaves that out: it takes as many times as long as there are
layers). ST-BIF is released evenly (SpikeZIP 3.2). Writes certified_accuracy.csv (by T), layers.csv
(by layer, at the last T), depth.csv (by layer and T), certified_accuracy.png and
certified_accuracy.svg.
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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from eventsnn import statistics
from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import share
from eventsnn.studies import scripts
from eventsnn.studies.intervals import LIMIT
from eventsnn.studies.setting import pick
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
SHARES = (
    "accuracy",
    "certified",
    "certified and correct",
    "same as run",
    "given up",
    "alone",
    "up to",
    "exact",
)
BY_STEP = "Images (%) after T steps whose class no order of arrival can change, beside the accuracy"
BY_LAYER = (
    "Intervals of spike counts over all orders, T = {}: mean width and the widest (spikes), "
    "neurons with width 0 (exact, %); images certified where order is free in this layer "
    "alone, and in all up to it (%)"
)
FORMATS = {key: (key, ".1%") for key in SHARES}
FORMATS |= {"neurons": ("neurons", ","), "widest": ("widest", ",")}


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is certified: a way for each of --neurons. args: the options."""
    found = []
    for neuron in args.neurons.split(","):
        encoding = "even" if neuron == "st-bif" else "constant"
        options = {"study": "certificate", "neuron": neuron, "encoding": encoding}
        options |= {"steps": args.steps, "one_by_one": not args.whole}
        found.append(stored.Way({}, options, [args.seed]))
    return found


def measure(
    source: stored.Live | stored.Stored, way: stored.Way, times: Sequence[int]
) -> tuple[list[list[scripts.Row]], dict[tuple[str, int], NDArray[np.bool_]]]:
    """(rows by T, by layer, and by layer and T of a neuron model; (neuron, T) -> certified).

    source: of the certificates. way: which. times: the numbers T. There are no rows of the third
    kind with --whole.
    """
    neuron, steps = way.options["neuron"], way.options["steps"]
    (found,) = source.runs(way)
    depth = []
    if found.alone is not None and found.up_to is not None:
        for t in times:
            for row, alone, up_to in zip(found.layers, found.alone, found.up_to):
                shares = share("alone", alone[:, t - 1]) | share("up to", up_to[:, t - 1])
                depth.append({"T": t, "layer": row["layer"], **shares})
    by_layer = [{"T": steps} | row for row in found.layers]
    of_model = {"neuron": neuron, "images": len(found.classes)}
    under = {"conditions": conditions(found.simulation)}
    tables = []
    for rows in (found.table(times), by_layer, depth):
        tables.append([of_model | row | under for row in rows])
    certified = {(neuron, t): found.classes[:, t - 1] >= 0 for t in times}
    return tables, certified


def draw(by_step: list[scripts.Row], by_layer: list[scripts.Row], title: str) -> Figure:
    """Accuracy and certified share against T, widths by layer, certified share by layer.

    by_step, by_layer: rows of `measure`, of which each neuron model has a colour. title: of the
    picture.
    """
    neurons = scripts.distinct(by_step, "neuron")
    layers = scripts.distinct(by_layer, "layer")
    alone, last = "alone" in by_layer[0], f"T = {by_layer[0]['T']}"
    figure = scripts.sheet(3 if alone else 2, 4.0, 0.1 * len(layers) - 1.6 if alone else 0)
    first, widths, *others = figure.subplots(1, 3 if alone else 2)
    for k, (neuron, (colour, marker)) in enumerate(zip(neurons, LOOKS * len(neurons))):
        thick = 1.3 + 1.1 * (len(neurons) - 1 - k)  # so that lines can be seen behind others
        look = {"color": colour, "marker": marker, "ms": 3 + thick, "lw": thick}
        _draw_steps(first, scripts.only(by_step, neuron=neuron), look)
        here = scripts.only(by_layer, neuron=neuron)
        x = np.arange(len(layers))
        widths.plot(x, scripts.column(here, "mean width"), ls="-", **look)
        for axes in others:
            widths.plot(x, scripts.column(here, "alone width"), ls=":", mfc="white", **look)
            ours = {**look, "clip_on": False}
            axes.plot(x, scripts.column(here, "alone", 100), ls=":", mfc="white", **ours)
            axes.plot(x, scripts.column(here, "up to", 100), ls="-", **ours)
    t = scripts.distinct(by_step, "T")
    first.set_xscale("log", base=2)
    first.set_xticks(t, [str(step) for step in t])
    first.set(xlabel="time steps T", ylabel="images (%)", ylim=(0, 100))
    first.set_title("accuracy and certified share", fontsize=10)
    first.plot([], [], color="0.4", ls="-", label="accuracy")
    first.plot([], [], color="0.4", ls="--", label="certified")
    widths.set_yscale("symlog", linthresh=1)
    widths.set_ylim(0, None)
    widths.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    widths.set(ylabel=f"mean width (spikes), {last}")
    widths.set_title("intervals of spike counts", fontsize=10)
    if max(scripts.column(by_layer, "widest")) >= LIMIT:
        widths.axhline(LIMIT, color="0.4", lw=1, ls="-.", label="given up")
    for axes in others:
        axes.set(ylabel=f"certified images (%), {last}", ylim=(0, 100))
        axes.set_title("where order is free", fontsize=10)
        look = {"color": "0.4", "marker": "o", "ms": 4}
        words = "order free in this layer alone"
        first.plot([], [], ls=":", mfc="white", label=words, **look)
        first.plot([], [], ls="-", label="and in all before it", **look)
    for axes in (widths, *others):
        scripts.layer_axis(axes, layers)
    scripts.plain(first, "y")
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure)
    return figure


def _draw_steps(axes: Axes, rows: list[scripts.Row], look: dict[str, Any]) -> None:
    """Accuracy and certified share of one model against T, with their intervals."""
    t, label = scripts.column(rows, "T"), rows[0]["neuron"].upper()
    for key, style in (("accuracy", "-"), ("certified", "--")):
        label = label if style == "-" else None
        axes.plot(t, scripts.column(rows, key, 100), ls=style, **look, label=label, clip_on=False)
        ends = (scripts.column(rows, f"{key} {end}", 100) for end in ("low", "high"))
        axes.fill_between(t, *ends, color=look["color"], alpha=0.08, lw=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=20, out="runs/certified_accuracy")
    scripts.add_steps(parser, 8)
    words = "models, separated by commas: if, gn, snm, st-bif"
    parser.add_argument("--neurons", default="if,snm", help=words)
    words = "the whole network only, not layer by layer"
    parser.add_argument("--whole", action="store_true", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=20)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source = stored.source_of(args)
    tables: dict[str, list[scripts.Row]] = {"certified_accuracy": [], "layers": [], "depth": []}
    neurons, certified = args.neurons.split(","), {}
    for way in ways(args):
        found, its = measure(source, way, scripts.times(args))
        certified |= its
        for (name, rows), more in zip(tables.items(), found):
            rows += more
            if name == "certified_accuracy":
                scripts.paired(
                    rows,
                    certified,
                    lambda row: (row["neuron"], row["T"]),
                    lambda key: (neurons[0], key[1]),
                )
            if rows:
                write_csv(args.out / f"{name}.csv", rows)
    by_step, by_layer, _ = tables.values()
    figure = draw(by_step, by_layer, scripts.title(source.graph, f"{len(source.images)} images"))
    decided = scripts.words(by_step)
    scripts.save(figure, args.out, "certified_accuracy", decided)
    scripts.show(BY_STEP, scripts.compact(_shown(by_step, "images")), decided, FORMATS)
    print(f"gained : lost are certified images, {statistics.footnote(neurons[0])}\n")
    heading = BY_LAYER.format(by_layer[0]["T"])
    scripts.show(heading, _shown(by_layer, "images", "T", "free"), decided, FORMATS)


def _shown(rows: list[scripts.Row], *dropped: str) -> list[scripts.Row]:
    """Rows without these columns and without the ends of intervals."""
    ends = (" low", " high")
    dropped = (*dropped, "conditions")
    keys = [key for key in rows[0] if key not in dropped and not key.endswith(ends)]
    return [pick(row, keys) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
