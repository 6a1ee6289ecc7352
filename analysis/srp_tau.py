"""Accuracy against T for several lengths tau of SRP's first stage, tau = 0 being none (SRP Fig. 6,
Tab. 4).

    python analysis/srp_tau.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 500 --taus
    0,2,4,8,16

On the left against T, as in SRP's figure; on the right against tau + T, the steps that it takes in
all, as SRP compares itself with others. Bars are 95 % intervals (Wilson). Writes srp_tau.csv,
srp_tau.png and srp_tau.svg.
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


def draw(rows, ann_accuracy, title):
    """Accuracy against T and against tau + T, one line a tau."""
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    lines = {
        f"τ = {tau}" if tau else "without SRP": mine
        for tau, mine in scripts.grouped(rows, "tau").items()
    }
    in_all = {
        name: [{**row, "T": row["tau"] + row["T"]} for row in mine] for name, mine in lines.items()
    }
    scripts.draw_accuracy(left, lines, ann_accuracy)
    scripts.draw_accuracy(right, in_all, ann_accuracy)
    right.set(xlabel="time steps τ + T", ylabel=None)
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=500, out="runs/srp_tau")
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    parser.add_argument(
        "--taus",
        default="0,2,4,8,16",
        help="lengths of the first stage, separated by commas; 0: without SRP",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    if not all(word.isdigit() for word in args.taus.split(",")):
        raise InputError(
            "--taus", "whole numbers separated by commas", args.taus, "for example --taus 0,4"
        )
    graph, images, calibration = scripts.given(args)
    network, out, rows = eventsnn.convert(graph, calibration=calibration), args.out, []
    ann_accuracy = float(np.mean(ann.predict(graph, images.pixels).argmax(axis=1) == images.labels))
    for tau in tqdm(
        [int(word) for word in args.taus.split(",")], unit="tau", disable=None, delay=2
    ):
        result = run(network, images, steps=args.steps, srp=tau, progress=sys.stderr.isatty())
        rows += [{"tau": tau, **row} for row in scripts.by_step(result, report_steps(args.steps))]
        write_csv(out / "srp_tau.csv", rows)
    figure = draw(rows, ann_accuracy, f"{graph.meta.get('arch', 'network')}, {len(images)} images")
    scripts.save(figure, out, "srp_tau")
    print(
        text_table(
            rows,
            {k: (k, ".1%") for k in ("accuracy", "low", "high")}
            | {k: (k, ",.0f") for k in ("spikes", "operations")},
        )
    )
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images; pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
