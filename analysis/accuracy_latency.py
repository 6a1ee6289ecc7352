"""Accuracy, distance to the ANN and cost of each neuron model and strategy against T.

SRP Tab. 1-4, GN Tab. 2, DNISNM Tab. 2 and 4, Fig. 7 and 8, SpikeZIP Tab. 3, on one's own network.

    python analysis/accuracy_latency.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin
    python analysis/accuracy_latency.py --net vgg16_relu.h5 --data cifar-10-batches-bin \\
        --steps 128 --models if+max+zero,if+max,if+dni

Models: if, if-hard, snm, gn-N (GN, N members), st-bif (SpikeZIP; even release, then until nothing
moves), or what --neuron takes and tells after each step (signed, burst:5, phase:8), each with any
of +srp (SRP, 4 steps first; their cost is in the figures), +dni (DNISNM's thresholds), +max (the
layer's largest activation), +zero (v(0) = 0) and +rate (the input fires at random; with --seeds N
it is run N times). So DNISNM's Fig. 7 compares if+max+zero (RMP), if+max (OPI) and if+dni, its
Fig. 8 if+max and snm+max. Thresholds not trained are found on 128 training images. The printed
table has accuracies in percent with 95 % intervals, the best of all steps and the first T that
reaches it (SpikeZIP Tab. 3), and the cost after the last step; the CSV also the loss, ANN less SNN
(DNISNM Tab. 4), and the mean squared error of the readout. Writes accuracy_latency.csv,
accuracy_latency.png and accuracy_latency.svg.
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
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.studies import scripts, seeds
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

REST = 256  # steps within which ST-BIF comes to rest
# (model, T) -> hits, bool [N], or [seeds, N]
Hits = dict[tuple[str, Any], NDArray[np.bool_]]
# word behind a plus -> (convert options, run options)
WORDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "srp": ({}, {"srp": 4}),
    "dni": ({"thresholds": "dni"}, {}),
    "max": ({"thresholds": "max"}, {}),
    "zero": ({}, {"initial": 0.0}),
    "rate": ({}, {"encoding": "rate"}),
}
TITLE = (
    "Accuracy (%) after T steps [95 % interval]; best: of all steps, first at best T; spikes "
    "and synaptic operations: of an image, after the last step"
)
FORMATS = {
    "best": ("best", ".1%"),
    "T_eq": ("T_eq", ".1f"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
}


def options(name: str, steps: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(convert options, run options) of a model.

    name: as for --models. steps: the largest T. Raises InputError for names that there are not.
    """
    model, *more = name.split("+")
    chosen: dict[str, Any] = {}
    settings: dict[str, Any] = {"neuron": model, "steps": steps}
    if model.startswith("gn-"):
        if not model[3:].isdecimal():
            raise InputError("--models", "gn-N, N members", repr(model), "for example gn-4")
        settings |= {"neuron": f"gn:{int(model[3:])}"}
    if model == "st-bif":
        settings |= {"encoding": "even", "steps": max(REST, steps)}
    for word in more:
        if word not in WORDS:
            raise InputError("--models", f"{', '.join(WORDS)} behind a plus", repr(word))
        chosen |= WORDS[word][0]
        settings |= WORDS[word][1]
    return chosen, settings


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --models. args: the options."""
    found = []
    for name in args.models.split(","):
        chosen, settings = options(name, args.steps)
        found.append(stored.Way(chosen, settings, seeds.seeds_of(args, settings)))
    return found


def measure(
    args: argparse.Namespace, source: stored.Live | stored.Stored, name: str, way: stored.Way
) -> tuple[list[scripts.Row], Hits]:
    """(one row for each T, and "rest" for st-bif, of a model; the hits of each).

    A row has accuracy, loss, mean squared error and cost, and the best accuracy of all steps with
    its T. args: the options. source: what is run. name: the model, as for --models. way: how it is
    run.
    """
    steps, settings = args.steps, way.options
    logits = source.logits
    runs = source.runs(way)
    last, rests = settings["steps"], settings.get("encoding") == "even"
    times = list(dict.fromkeys([*scripts.times(args), last]))
    rows = scripts.by_step(runs, times, args.seed)
    errors = scripts.squared_errors(runs, times, logits, args.seed)
    accuracies = [float(scripts.hits(runs, t).mean()) for t in range(1, last + 1)]
    ann_accuracy = stored.right_of(source)
    for row in rows:
        row |= {
            "ann": ann_accuracy,
            "loss": ann_accuracy - row["accuracy"],
            **errors[row["T"]],
            "best": max(accuracies),
            "best T": accuracies.index(max(accuracies)) + 1,
            "T_eq": float(np.mean([run.batch.t_eq for run in runs])) if rests else None,
        }
    right: Hits = {(name, t): scripts.hits(runs, t) for t in times}
    if rests:
        rows[-1]["T"] = "rest"
        right[name, "rest"] = right.pop((name, last)) if last != steps else right[name, last]
    return [{"model": name, "seeds": len(runs), **row} for row in rows], right


def draw(lines: Mapping[str, list[scripts.Row]], ann_accuracy: float, title: str) -> Figure:
    """Accuracy and mean squared error against T.

    lines: model -> rows. ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(2, 4.1)
    left, right = figure.subplots(1, 2)
    scripts.draw_accuracy(left, lines, ann_accuracy)
    left.set_title(title, fontsize=10, parse_math=False)
    scripts.draw_errors(right, lines)
    scripts.legend_below(figure, left)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=500, out="runs/accuracy_latency", several=True)
    models = "if,if+srp,gn-2,gn-4,gn-6,gn-8,snm,st-bif"
    words = "names as above, separated by commas"
    parser.add_argument("--models", default=models, help=words)
    scripts.add_steps(parser, 32)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source = stored.source_of(args)
    rows: list[scripts.Row] = []
    right: Hits = {}
    models = args.models.split(",")
    of_models = dict(zip(models, ways(args)))
    drawn = [way.options for way in of_models.values()]
    seeds.check_ways(args, drawn, "for example --models if,if+rate")
    for name in scripts.each(models, "model"):
        found, its = measure(args, source, name, of_models[name])
        rows += found
        right |= its
        scripts.paired(
            rows,
            right,
            lambda row: (row["model"], row["T"]),
            lambda key: (models[0], args.steps if key[1] == "rest" else key[1]),
        )
        write_csv(args.out / "accuracy_latency.csv", rows)
    timed = [row for row in rows if row["T"] != "rest"]
    ann_accuracy, title = (
        rows[0]["ann"],
        scripts.title(source.graph, f"{len(source.labels)} images"),
    )
    figure = draw(scripts.grouped(timed, "model"), ann_accuracy, title)
    decided = scripts.words(rows)
    scripts.save(figure, args.out, "accuracy_latency", decided)
    last = {row["model"]: row for row in rows}  # of the largest T, or of rest
    shown = scripts.side_by_side(timed, "model", scripts.interval)
    for row in shown:
        for key in ("seeds", "best", "best T", "T_eq", "spikes", "operations"):
            row[key] = last[row["model"]][key]
        row["gained : lost"] = scripts.discordant(last[row["model"]])
    scripts.show(TITLE, shown, decided, FORMATS)
    print(f"\n{scripts.footnote(models[0], args.seed, args.seeds)}")
    print(f"ANN {ann_accuracy:.1%} on {len(source.labels)} images")


if __name__ == "__main__":
    sys.exit(main())
