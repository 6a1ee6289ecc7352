"""What each neuron model and strategy makes of one network: accuracy, distance to the ANN and cost against T.

    python analysis/neuron_models.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 500
    python analysis/neuron_models.py --net vgg16_relu.h5 --data cifar-10-batches-bin --limit 500 --models if,snm,snm+dni

Models: if, if-hard, if+srp (SRP, 4 steps first; its cost is in the figures), snm, gn-N (GN, N members), st-bif (SpikeZIP;
even release, then until nothing moves) and any of them with +dni (DNISNM's thresholds, found on 128 training images). GN
Table 1 compares the mean squared error of GN's and IF's readout; the ratio stands in the table. Writes models.csv,
models.png and models.svg.
"""
from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn import ann, scripts
from eventsnn.checks import InputError
from eventsnn.simulate import run
from eventsnn.tables import text_table, wilson, write_csv

STEPS = 1, 2, 4, 8, 16, 32
REST = 256  # steps within which ST-BIF comes to rest
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"


def options(name):
    """(convert options, run options) of a model's name."""
    model, *more = name.split("+")
    chosen, settings = {}, {"neuron": model, "steps": max(STEPS)}
    if model.startswith("gn-"):
        if not model[3:].isdecimal():
            raise InputError("--models", "gn-N, N members", repr(model), "for example gn-4")
        settings |= {"neuron": "gn", "tau": int(model[3:])}
    if model == "st-bif":
        settings |= {"encoding": "even", "steps": REST}
    for word in more:
        if word == "dni":
            chosen["thresholds"] = "dni"
        elif word == "srp":
            settings["srp"] = 4
        else:
            raise InputError("--models", "srp or dni behind a plus", word)
    return chosen, settings


def measure(graph, images, calibration, outputs, name, progress):
    """One row for each T: accuracy with its interval, mean squared error of the readout, spikes and operations per image."""
    chosen, settings = options(name)
    result = run(eventsnn.convert(graph, calibration=calibration, **chosen), images, batch=4, progress=progress, **settings)
    before = result.batch.stage_one.sum(axis=(0, 2)) if result.batch.stage_one is not None else np.zeros(2)
    rows = []
    for t in [*STEPS, *([REST] if settings["steps"] == REST else [])]:
        hits = round(result.accuracy(t) * len(images))
        low, high = wilson(hits, len(images))
        rows.append({"model": name, "T": "rest" if t == REST else t, "accuracy": hits / len(images), "low": low, "high": high,
                     "mse": float(np.square(result.readout(t) - outputs).mean()),
                     "spikes": float((result.spikes[:, :, :t].sum() + before[0]) / len(images)),
                     "operations": float((result.operations[:, :, :t].sum() + before[1]) / len(images)),
                     "T_eq": float(result.batch.t_eq.mean()) if t == REST else None})
    return rows


def draw(rows, ann_accuracy, title):
    """Accuracy and mean squared error against T, one line a model."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, name in zip(COLOURS * 3, dict.fromkeys(row["model"] for row in rows)):
        mine = [row for row in rows if row["model"] == name and row["T"] != "rest"]
        t = [row["T"] for row in mine]
        left.plot(t, [100 * row["accuracy"] for row in mine], "o-", ms=3.5, color=colour, label=name)
        right.plot(t, [row["mse"] for row in mine], "o-", ms=3.5, color=colour)
    left.axhline(100 * ann_accuracy, color="0.4", ls="--", lw=1)
    left.annotate("ANN", (1, 100 * ann_accuracy), color="0.4", fontsize=8, va="bottom")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(STEPS, [str(t) for t in STEPS])
        axes.set_xlabel("T (steps)")
        axes.grid(alpha=0.3)
    right.set_yscale("log")
    visible = [row["mse"] for row in rows if row["mse"] > 1e-6]  # a readout that is the ANN's to the last digit falls off the picture
    right.set_ylim(0.5 * min(visible), 2 * max(visible))
    left.set(ylabel="accuracy (%)", title=title)
    right.set(ylabel="mean squared error", title="readout against the ANN's output")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=500, out="runs/neuron_models")
    parser.add_argument("--models", default="if,if+srp,gn-2,gn-4,gn-6,gn-8,snm,st-bif", help="names as above, separated by commas")
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images = eventsnn.load(args.net), eventsnn.load_images(args.data, limit=args.limit)
    calibration = eventsnn.load_images(args.data, split="train", limit=128)
    outputs, out, rows = ann.predict(graph, images.pixels), args.out, []
    for name in tqdm(args.models.split(","), unit="model", disable=None, delay=2):
        rows += measure(graph, images, calibration, outputs, name, sys.stderr.isatty())
        write_csv(out / "models.csv", rows)
    ann_accuracy = float(np.mean(outputs.argmax(axis=1) == images.labels))
    figure = draw(rows, ann_accuracy, f"{graph.meta.get('arch', 'network')}, {len(images)} images")
    scripts.save(figure, out, "models")
    plain = {row["T"]: row["mse"] for row in rows if row["model"] == "if"}
    shown = [{**row, "MSE / IF's": row["mse"] / plain[row["T"]] if row["T"] in plain else None} for row in rows]
    formats = {k: (k, ".1%") for k in ("accuracy", "low", "high", "MSE / IF's")} | {"mse": ("MSE", ".3g"), "T_eq": ("T_eq", ".1f")}
    print(text_table(shown, formats | {k: (k, ",.0f") for k in ("spikes", "operations")}))
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images; pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
