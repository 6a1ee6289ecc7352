"""Accuracy against T for several lengths tau of SRP's first stage, tau = 0 being none (SRP Fig. 6, Tab. 4).

    python analysis/srp_tau.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 500 --taus 0,2,4,8,16

On the left against T, as in SRP's figure; on the right against tau + T, the steps that it takes in all, as SRP compares itself with
others. Bars are 95 % intervals (Wilson). Writes srp_tau.csv, srp_tau.png and srp_tau.svg.
"""
from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn import ann, scripts
from eventsnn.checks import InputError
from eventsnn.simulate import report_steps, run
from eventsnn.tables import text_table, wilson, write_csv

LOOKS = (("#000000", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#0072B2", "D"), ("#CC79A7", "v"), ("#D55E00", "P"), ("#56B4E9", "X"))
APART = 0.045  # of a doubling of T, between the bars of neighbouring taus


def measure(network, images, tau, steps, progress):
    """One row for each T: accuracy with its interval, spikes and operations per image, those of the first stage among them."""
    result = run(network, images, steps=steps, srp=tau, progress=progress)
    before = result.batch.stage_one.sum(axis=(0, 2)) if tau else np.zeros(2)
    rows = []
    for t in report_steps(steps):
        hits = round(result.accuracy(t) * len(images))
        low, high = wilson(hits, len(images))
        rows.append({"tau": tau, "T": t, "images": len(images), "accuracy": hits / len(images), "low": low, "high": high,
                     "spikes": float((result.spikes[:, :, :t].sum() + before[0]) / len(images)),
                     "operations": float((result.operations[:, :, :t].sum() + before[1]) / len(images))})
    return rows


def draw(rows, ann_accuracy, title):
    """Accuracy against T and against tau + T, one line a tau."""
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    taus = list(dict.fromkeys(row["tau"] for row in rows))
    for k, tau in enumerate(taus):
        mine, (colour, marker) = [row for row in rows if row["tau"] == tau], LOOKS[k % len(LOOKS)]
        accuracy = 100 * np.array([row["accuracy"] for row in mine])
        bars = np.abs(100 * np.array([[row[end] for row in mine] for end in ("low", "high")]) - accuracy)
        for axes, before in ((left, 0), (right, tau)):
            x = (before + np.array([row["T"] for row in mine])) * 2 ** (APART * (k - (len(taus) - 1) / 2))
            axes.errorbar(x, accuracy, bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.45)
            axes.plot(x, accuracy, color=colour, marker=marker, ms=4.5, lw=1.3,
                      label=(f"τ = {tau}" if tau else "without SRP") if axes is left else None)
    for axes, label in ((left, "T"), (right, "τ + T")):
        axes.axhline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN" if axes is left else None)
        axes.set_xscale("log", base=2)
        ticks = report_steps(max(row["T"] for row in rows) + (max(taus) if axes is right else 0))
        ticks = [t for t in ticks if t & (t - 1) == 0 or axes is left]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.set_xlabel(f"time steps {label}")
        axes.grid(color="0.88", lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("accuracy (%)")
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=500, out="runs/srp_tau")
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    parser.add_argument("--taus", default="0,2,4,8,16", help="lengths of the first stage, separated by commas; 0: without SRP")
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    if not all(word.isdigit() for word in args.taus.split(",")):
        raise InputError("--taus", "whole numbers separated by commas", args.taus, "for example --taus 0,4")
    graph, images = eventsnn.load(args.net), eventsnn.load_images(args.data, limit=args.limit)
    network = eventsnn.convert(graph, calibration=eventsnn.load_images(args.data, split="train", limit=128))
    out, rows = args.out, []
    ann_accuracy = float(np.mean(ann.predict(graph, images.pixels).argmax(axis=1) == images.labels))
    for tau in tqdm([int(word) for word in args.taus.split(",")], unit="tau", disable=None, delay=2):
        rows += measure(network, images, tau, args.steps, sys.stderr.isatty())
        write_csv(out / "srp_tau.csv", rows)
    figure = draw(rows, ann_accuracy, f"{graph.meta.get('arch', 'network')}, {len(images)} images")
    scripts.save(figure, out, "srp_tau")
    print(text_table(rows, {k: (k, ".1%") for k in ("accuracy", "low", "high")} | {k: (k, ",.0f") for k in ("spikes", "operations")}))
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images; pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
