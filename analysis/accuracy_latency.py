"""Accuracy, distance to the ANN and cost of each neuron model and strategy against T.

SRP Tab. 1-4, GN Tab. 2, DNISNM Tab. 2 and 4, Fig. 7 and 8, SpikeZIP Tab. 3, on one's own network.

    python analysis/accuracy_latency.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 500
    python analysis/accuracy_latency.py --net vgg16_relu.h5 --data cifar-10-batches-bin --steps 128
    --models if+max+zero,if+max,if+dni

Models: if, if-hard, snm, gn-N (GN, N members), st-bif (SpikeZIP; even release, then until nothing
moves), each with any of +srp (SRP, 4 steps first; their cost is in the figures), +dni (DNISNM's
thresholds), +max (the layer's largest activation) and +zero (v(0) = 0). So DNISNM's Fig. 7 compares
if+max+zero (RMP), if+max (OPI) and if+dni, its Fig. 8 if+max and snm+max. Thresholds not trained
are found on 128 training images. The printed table has accuracies in percent with 95 % intervals,
the best of all steps and the first T that reaches it (SpikeZIP Tab. 3), and the cost after the last
step; the CSV also the loss, ANN less SNN (DNISNM Tab. 4), and the mean squared error of the
readout. Writes accuracy_latency.csv, accuracy_latency.png and accuracy_latency.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.result import run
from eventsnn.studies import scripts
from eventsnn.views.tables import report_steps, text_table, write_csv

REST = 256  # steps within which ST-BIF comes to rest
WORDS = {
    "srp": ({}, {"srp": 4}),
    "dni": ({"thresholds": "dni"}, {}),
    "max": ({"thresholds": "max"}, {}),
    "zero": ({}, {"initial": 0.0}),
}


def options(name, steps):
    """(convert options, run options) of a model's name."""
    model, *more = name.split("+")
    chosen, settings = {}, {"neuron": model, "steps": steps}
    if model.startswith("gn-"):
        if not model[3:].isdecimal():
            raise InputError("--models", "gn-N, N members", repr(model), "for example gn-4")
        settings |= {"neuron": "gn", "tau": int(model[3:])}
    if model == "st-bif":
        settings |= {"encoding": "even", "steps": max(REST, steps)}
    for word in more:
        if word not in WORDS:
            raise InputError("--models", f"{', '.join(WORDS)} behind a plus", repr(word))
        chosen, settings = chosen | WORDS[word][0], settings | WORDS[word][1]
    return chosen, settings


def measure(graph, images, calibration, outputs, name, steps, progress):
    """One row for each T (and "rest" for st-bif): accuracy, loss, mean squared error, cost; the
    best accuracy of all steps and its T.
    """
    chosen, settings = options(name, steps)
    result = run(
        eventsnn.convert(graph, calibration=calibration, **chosen),
        images,
        batch=4,
        progress=progress,
        **settings,
    )
    last = settings["steps"]
    rows = scripts.by_step(result, dict.fromkeys([*report_steps(steps), last]))
    accuracies = [result.accuracy(t) for t in range(1, last + 1)]
    ann_accuracy = float(np.mean(outputs.argmax(axis=1) == images.labels))
    for row in rows:
        row |= {
            "ann": ann_accuracy,
            "loss": ann_accuracy - row["accuracy"],
            "mse": float(np.square(result.readout(row["T"]) - outputs).mean()),
            "best": max(accuracies),
            "best T": accuracies.index(max(accuracies)) + 1,
            "T_eq": float(result.batch.t_eq.mean()) if "encoding" in settings else None,
        }
    if "encoding" in settings:
        rows[-1]["T"] = "rest"
    return [{"model": name, **row} for row in rows]


def draw(lines, ann_accuracy, title):
    """Accuracy and mean squared error against T; lines: model -> rows."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    scripts.draw_accuracy(left, lines, ann_accuracy)
    left.set_title(title, fontsize=10, parse_math=False)
    for (colour, marker), rows in zip(scripts.LOOKS * len(lines), lines.values()):
        right.plot(
            [row["T"] for row in rows],
            [row["mse"] for row in rows],
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.3,
        )
    scripts.step_axis(right, max(row["T"] for rows in lines.values() for row in rows))
    scripts.error_axis(right, [row["mse"] for rows in lines.values() for row in rows])
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=500, out="runs/accuracy_latency")
    parser.add_argument(
        "--models",
        default="if,if+srp,gn-2,gn-4,gn-6,gn-8,snm,st-bif",
        help="names as above, separated by commas",
    )
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images, calibration = scripts.given(args)
    outputs, rows = ann.predict(graph, images.pixels), []
    for name in tqdm(args.models.split(","), unit="model", disable=None, delay=2):
        rows += measure(graph, images, calibration, outputs, name, args.steps, sys.stderr.isatty())
        write_csv(args.out / "accuracy_latency.csv", rows)
    timed = [row for row in rows if row["T"] != "rest"]
    title = f"{graph.meta.get('arch', 'network')}, {len(images)} images"
    scripts.save(
        draw(scripts.grouped(timed, "model"), rows[0]["ann"], title), args.out, "accuracy_latency"
    )
    last = {row["model"]: row for row in rows}  # of the largest T, or of rest
    shown = scripts.side_by_side(timed, "model", scripts.interval)
    for row in shown:
        row |= {
            key: last[row["model"]][key]
            for key in ("best", "best T", "T_eq", "spikes", "operations")
        }
    print(
        text_table(
            shown,
            {"best": ("best", ".1%"), "T_eq": ("T_eq", ".1f")}
            | {k: (k, ",.0f") for k in ("spikes", "operations")},
        )
    )
    print(f"\nANN {rows[0]['ann']:.1%} on {len(images)} images; pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
