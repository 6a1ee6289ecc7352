"""What each layer costs: its spikes are replaced by the ideal ones, and the rest of the network
runs on them.

    python analysis/layer_surgery.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200
    --steps 8

From input to output each layer gets first the right counts at the times of its own spikes, then
evenly spread spikes. What that wins is what wrong counts and wrong timing cost; all costs add up to
the way from the network as it runs to the ANN with as many levels as there are steps. Below, each
layer is replaced alone, all others running as they do. Right counts are those of the ideal
staircase at the layer's own average input, or with --counts ann the ANN's own. The pictures and
tables are eventsnn's own; no paper has them. Writes layer_surgery.csv, whole.csv, layer_surgery.png
and layer_surgery.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

import eventsnn
from eventsnn.studies import scripts, surgery
from eventsnn.views.plots import BLUE, ORANGE
from eventsnn.views.tables import text_table, write_csv

COLOURS = {"counts": ORANGE, "timing": BLUE}
MEANINGS = {"counts": "wrong counts", "timing": "wrong timing"}
WAYS = {"": "one after the other", "alone ": "alone"}


def draw(found, title):
    """Costs by layer on the left, the distance of the readout from the ANN's on the right; above
    one after the other, below alone.
    """
    rows, whole = found.layers, found.snn["square"] or 1.0
    x, width = np.arange(len(rows)), max(3.6, 1.4 + 0.17 * len(rows))
    figure = Figure(figsize=(2 * width, 5.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    for (way, words), (left, right) in zip(WAYS.items(), grid):
        above, below = np.zeros(len(rows)), np.zeros(len(rows))
        for kind, colour in COLOURS.items():
            points = 100 / found.images * np.array([row[f"{way}{kind} cost"] for row in rows])
            start = np.where(points > 0, above, below)
            left.bar(
                x, points, 0.78, start, color=colour, label=MEANINGS[kind] if not way else None
            )
            above, below = above + np.maximum(points, 0), below + np.minimum(points, 0)
        left.axhline(0, color="0.3", lw=0.8)
        left.set_title(f"replaced {words}", fontsize=10)
        left.set_ylabel("cost (points of accuracy)")
        for stage, look, meaning in (
            ("counts", dict(color=ORANGE, marker="o", ms=7, mfc="none"), "with right counts"),
            ("times", dict(color=BLUE, marker="s", ms=3.5), "with right counts and timing"),
        ):
            share = [100 * row[f"{way}{stage} square"] / whole for row in rows]
            right.plot(x, share, ls="", label=None if way else meaning, **look)
        right.axhline(100, color="0.3", lw=0.8, ls="--", label=None if way else "as it runs")
        right.set_ylim(-0.04 * right.get_ylim()[1], None)
        right.set_title(f"replaced {words}", fontsize=10)
        right.set_ylabel("squared distance\nfrom the ANN's output (%)")
        for axes in (left, right):
            scripts.layer_axis(axes, [row["layer"] for row in rows])
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/layer_surgery")
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument(
        "--counts",
        default="ideal",
        choices=("ideal", "ann"),
        help="right counts: the ideal staircase's, or the ANN's",
    )
    parser.add_argument("--neuron", default="if", help="neuron model, as for eventsnn.run")
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images, calibration = scripts.given(args)
    network = eventsnn.convert(graph, calibration=calibration)
    found = surgery.costs(
        network,
        images,
        counts=args.counts,
        steps=args.steps,
        neuron=args.neuron,
        progress=sys.stderr.isatty(),
    )
    write_csv(args.out / "layer_surgery.csv", found.layers)
    write_csv(
        args.out / "whole.csv",
        [{"network": name, **score} for name, score in (("SNN", found.snn), ("ANN", found.ann))],
    )
    words = f"{graph.meta.get('arch', 'network')}, {args.neuron}, T = {args.steps}, {args.counts} counts, {len(images)} images"
    scripts.save(draw(found, words), args.out, "layer_surgery")
    formats = {
        "accuracy": ("accuracy", ".1%"),
        "alone accuracy": ("alone accuracy", ".1%"),
        "neurons": ("neurons", ","),
    }
    formats |= {
        f"{way}{key}": (f"{way}{key}", ".2f")
        for way in WAYS
        for key in ("wrong", "counts", "timing")
    }
    formats |= {f"{way}square": (f"{way}square", ".2e") for way in WAYS}
    print(text_table(found.table(), formats))
    for name, score in (("as it runs", found.snn), ("ANN", found.ann)):
        print(
            f"{name}: accuracy {score['accuracy']:.1%} ({score['low']:.1%} to {score['high']:.1%}), square {score['square']:.2e}"
        )
    print(f"{repr(found)[1:-1]}\nstudy of eventsnn's own; pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
