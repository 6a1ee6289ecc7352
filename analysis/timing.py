"""What the times of spikes cost: all layers keep their counts and send them at other times.

    python analysis/timing.py --net resnet20_qcfs.h5 --data cifar-10-batches-bin --steps 4,8

Each layer, from input to output, fires on what the layers before it send, and sends as many spikes
at other times: its own (kept), spread evenly (even), all at the beginning (first), or with its
steps shuffled, neuron by neuron and at random (shuffled; TPP, ICML 2025, where this was found). TPP
neurons, which hear everything first and then fire at random, stand beside them; --seeds N runs what
draws something N times. A second table compares shuffled times with even ones, on the same images.
A third asks why, layer by layer, for the last T: late inhibition, the overshoot of the charge,
unevenness errors in SRP's four cases, and whether errors cancel or add up on their way to the next
layer, on the first --look-at images. Writes timing.csv, shuffled.csv, layers.csv, timing.png and
timing.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import together
from eventsnn.studies import scripts, timing
from eventsnn.studies.sampled import with_intervals
from eventsnn.studies.trains import TIMES
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

TPP = "tpp"
SHUFFLED, EVEN = "shuffled", "even"
DRAWING = (SHUFFLED, TPP)  # the ways that draw something
TITLE = (
    "Accuracy (%) after T steps [95 % interval], all layers' spikes at these times; for the last "
    "T: mse, the readout's from the ANN's logits; spikes and synaptic operations of an image"
)
OF_SHUFFLED = (
    "Shuffled times against even ones: accuracy (%) after T steps [95 % interval]; gained: images "
    "that shuffled times alone have right"
)
FORMATS = {
    "mse": ("mse", ".3g"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
}
# of the panels by layer: column, what it is
PANELS = (
    ("I", "unevenness error I (% of neurons)"),
    ("coherence", "coherence of errors"),
)


def against_even(
    rows: list[scripts.Row], right: Mapping[tuple[str, int], NDArray[np.bool_]]
) -> list[scripts.Row]:
    """The rows of shuffled times, compared with even ones image by image: one Holm family, all T.

    rows: of all ways, as `scripts.by_step` makes them, with "times". right: (way, T) -> hits, bool
    [N] or [seeds, N].
    """
    compared = [dict(row) for row in scripts.only(rows, times=SHUFFLED)]
    scripts.paired(
        compared, right, lambda row: (row["times"], row["T"]), lambda key: (EVEN, key[1])
    )
    return compared


def draw(
    lines: Mapping[str, list[scripts.Row]],
    layers: Mapping[str, list[scripts.Row]],
    ann_accuracy: float,
    title: str,
) -> Figure:
    """Accuracy against T and layer by layer; unevenness, and how it adds up.

    lines: way -> rows, one for each T. layers: way -> rows, one for each layer. ann_accuracy: the
    ANN's. title: of the picture.
    """
    names = scripts.column(next(iter(layers.values())), "layer")
    figure = scripts.sheet(1, 6.4, max(4.2, 1.4 + 0.2 * len(names)))
    grid = figure.subplots(2, 2)
    scripts.draw_accuracy(grid[0, 0], lines, ann_accuracy)
    times = [row["T"] for rows in lines.values() for row in rows]
    grid[0, 0].set_xlim(min(times) / 1.3, max(times) * 1.3)
    panels = [("accuracy", "accuracy (%), up to this layer moved"), *PANELS]
    for axes, (key, label) in zip(grid.flat[1:], panels):
        _draw_layers(axes, layers, key)
        axes.set_ylabel(label, fontsize=9)
        scripts.layer_axis(axes, names)
        axes.set_xlim(-0.5, len(names) - 0.5)  # the first layer has no coherence
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, grid[0, 0])
    return figure


def _draw_layers(axes: Axes, layers: Mapping[str, list[scripts.Row]], key: str) -> None:
    """One line for each way. layers: way -> rows. key: the column."""
    for (colour, marker), rows in zip(scripts.LOOKS, layers.values()):
        factor = 100 if key == "accuracy" else 1
        values = scripts.column(rows, key, factor)
        axes.plot(np.arange(len(values)), values, color=colour, marker=marker, ms=3.5, lw=1.1)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/timing", several=True)
    words = "the numbers T, separated by commas; layers are asked about for the last"
    parser.add_argument("--steps", default="4,8", help=words)
    words = "neuron model whose spikes are moved, as for eventsnn.run"
    parser.add_argument("--neuron", default="if", help=words)
    words = "images, from the first on, of which it is asked what arrived at each layer"
    parser.add_argument("--look-at", type=int, default=50, metavar="N", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=20)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each T and each of the times, TPP last. args: the options."""
    found = []
    for steps in scripts.whole_numbers(args.steps, "--steps"):
        for times in (*TIMES, TPP):
            options: dict[str, Any] = {"steps": steps, "neuron": TPP}
            if times != TPP:
                options |= {"neuron": args.neuron, "study": "timing", "times": times}
                options["look_at"] = args.look_at
            drawn = range(args.seed, args.seed + (args.seeds if times in DRAWING else 1))
            found.append(stored.Way({}, options, drawn))
    return found


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    every = scripts.whole_numbers(args.steps, "--steps")
    if args.look_at < 1:
        raise InputError("--look-at", "a number of images from 1", args.look_at)
    source, out = stored.source_of(args), args.out
    rows: list[scripts.Row] = []
    layers: list[scripts.Row] = []
    right: dict[tuple[str, int], NDArray[np.bool_]] = {}
    for way in scripts.each(ways(args), "way"):
        steps, times = way.options["steps"], way.options.get("times", TPP)
        found = source.runs(way)
        runs = found if times == TPP else [each.result for each in found]
        (row,) = scripts.by_step(runs, [steps], args.seed)
        row |= scripts.squared_errors(runs, [steps], source.logits, args.seed)[steps]
        rows.append({"times": times, "seeds": len(runs), **row})
        right[times, steps] = scripts.hits(runs)
        if times != TPP:
            under = {"T": steps, "conditions": together(each.conditions for each in found)}
            samples = [each.samples for each in found]
            its = with_intervals(found[0].layers, samples, args.seed)
            layers += [{"times": times, **each, **under} for each in its]
        scripts.paired(
            rows, right, lambda row: (row["times"], row["T"]), lambda key: (TIMES[0], key[1])
        )
        write_csv(out / "timing.csv", rows)
        if layers:
            write_csv(out / "layers.csv", layers)
    shuffled = against_even(rows, right)
    write_csv(out / "shuffled.csv", shuffled)
    last = scripts.only(layers, T=every[-1])
    ann_accuracy = stored.right_of(source)
    images = len(source.images)
    how = (args.neuron, f"{images} images", f"layers at T = {every[-1]}")
    figure = draw(
        scripts.grouped(rows, "times"),
        scripts.grouped(last, "times"),
        ann_accuracy,
        scripts.title(source.graph, *how),
    )
    decided = scripts.words(rows)
    scripts.save(figure, out, "timing", decided)
    show(rows, shuffled, last, decided, args)
    print(f"ANN {ann_accuracy:.1%} on {images} images")


def show(
    rows: list[scripts.Row],
    shuffled: list[scripts.Row],
    layers: list[scripts.Row],
    decided: str,
    args: argparse.Namespace,
) -> None:
    """Prints the tables.

    rows: by way and T. shuffled: of `against_even`. layers: by way and layer. decided: the
    conditions.
    """
    shown = scripts.side_by_side(rows, "times", scripts.interval)
    for row in shown:
        mine = scripts.only(rows, times=row["times"])
        for its in mine:
            if its["p"] is not None:
                row[f"T = {its['T']}, gained : lost"] = scripts.discordant(its)
            else:
                row[f"T = {its['T']}, gained : lost"] = ""
        row |= {key: mine[-1][key] for key in ("seeds", "mse", "spikes", "operations")}
    scripts.show(TITLE, shown, decided, FORMATS)
    print(f"\n{scripts.footnote('kept times', args.seed, args.seeds)}\n")
    pairs = [_pair(row, *scripts.only(rows, times=EVEN, T=row["T"])) for row in shuffled]
    scripts.show(OF_SHUFFLED, pairs, scripts.words(shuffled))
    print(f"\n{scripts.footnote('even times', args.seed, args.seeds)}\n")
    asked = [{"times": row["times"], **_asked(row)} for row in layers]
    looked = f"{timing.TITLE}\nfirst {args.look_at} images at most, accuracy of all"
    scripts.show(looked, asked, scripts.words(layers), timing.FORMATS)


def _pair(shuffled: scripts.Row, even: scripts.Row) -> scripts.Row:
    """What is printed of both at one T. shuffled: after `against_even`."""
    found = {"T": shuffled["T"], SHUFFLED: scripts.interval(shuffled)}
    found[EVEN] = scripts.interval(even)
    return found | {"gained : lost": scripts.discordant(shuffled)}


def _asked(row: scripts.Row) -> scripts.Row:
    """What is printed of a layer. row: of `layers`."""
    return {key: row[key] for key in (*timing.SHOWN, "accuracy")}


if __name__ == "__main__":
    sys.exit(main())
