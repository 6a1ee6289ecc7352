"""What each layer costs: its spikes are replaced by the ideal ones, and the others run on them.

    python analysis/layer_surgery.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8

From input to output each layer gets first the right counts at the times of its own spikes, then
evenly spread spikes. What that wins is what wrong counts and wrong timing cost; all costs add up to
the way from the network as it runs to the ANN with as many levels as there are steps. Below, each
layer is replaced alone, all others running as they do. Right counts are those of the ideal
staircase at the layer's own average input, or with --counts ann the ANN's own. The pictures and
tables are eventsnn's own; no paper has them. Writes layer_surgery.csv, whole.csv, layer_surgery.png
and layer_surgery.svg.
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

from eventsnn import statistics
from eventsnn.simulation.conditions import conditions
from eventsnn.studies import scripts, surgery
from eventsnn.sweep import stored
from eventsnn.views.plots import BLUE, ORANGE
from eventsnn.views.tables import write_csv

COLOURS = {"counts": ORANGE, "timing": BLUE}
MEANINGS = {"counts": "wrong counts", "timing": "wrong timing"}
WAYS = {"": "one after the other", "alone ": "alone"}
# stage of a replacement -> (how it is drawn, its meaning)
STAGES: dict[str, tuple[dict[str, Any], str]] = {
    "counts": ({"color": ORANGE, "marker": "o", "ms": 7, "mfc": "none"}, "with right counts"),
    "times": ({"color": BLUE, "marker": "s", "ms": 3.5}, "with right counts and timing"),
}


def draw(found: surgery.Costs, title: str) -> Figure:
    """Costs by layer on the left, the distance of the readout from the ANN's on the right.

    Above one layer after the other is replaced, below each alone. found: what was measured. title:
    of the picture.
    """
    width = max(3.6, 1.4 + 0.17 * len(found.layers))
    figure = scripts.sheet(0, 5.6, 2 * width)
    grid = figure.subplots(2, 2, sharex=True)
    for (way, words), (left, right) in zip(WAYS.items(), grid):
        _draw_costs(left, found, way)
        _draw_distances(right, found, way)
        for axes in (left, right):
            axes.set_title(f"replaced {words}", fontsize=10)
            scripts.layer_axis(axes, scripts.column(found.layers, "layer"))
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure)
    return figure


def _draw_costs(axes: Axes, found: surgery.Costs, way: str) -> None:
    """Stacked bars, upwards what a layer costs and downwards what it wins."""
    above, below = np.zeros((2, len(found.layers)))
    for kind, colour in COLOURS.items():
        points = 100 / found.images * np.array(scripts.column(found.layers, f"{way}{kind} cost"))
        start = np.where(points > 0, above, below)
        label = None if way else MEANINGS[kind]
        axes.bar(np.arange(len(points)), points, 0.78, start, color=colour, label=label)
        above, below = above + np.maximum(points, 0), below + np.minimum(points, 0)
    axes.axhline(0, color="0.3", lw=0.8)
    axes.set_ylabel("cost (points of accuracy)")


def _draw_distances(axes: Axes, found: surgery.Costs, way: str) -> None:
    """Points, in percent of the distance of the network as it runs."""
    whole = found.snn["square"] or 1.0
    for stage, (look, meaning) in STAGES.items():
        squares = scripts.column(found.layers, f"{way}{stage} square", 100)
        share = [square / whole for square in squares]
        axes.plot(np.arange(len(share)), share, ls="", label=None if way else meaning, **look)
    axes.axhline(100, color="0.3", lw=0.8, ls="--", label=None if way else "as it runs")
    top = axes.get_ylim()[1]
    axes.set_ylim(-0.06 * top, 1.06 * top)
    axes.set_ylabel("squared distance\nfrom the ANN's output (%)")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/layer_surgery")
    parser.add_argument("--steps", type=int, default=8, help="T")
    words = "right counts: the ideal staircase's, or the ANN's"
    parser.add_argument("--counts", default="ideal", choices=("ideal", "ann"), help=words)
    parser.add_argument("--neuron", default="if", help="neuron model, as for eventsnn.run")
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=20)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is studied. args: the options."""
    options = {"counts": args.counts, "steps": args.steps, "neuron": args.neuron}
    return [stored.Way({}, {"study": "surgery", **options}, [args.seed])]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source, out = stored.source_of(args), args.out
    (found,) = source.runs(*ways(args))
    decided = conditions(found.simulation)
    under = {"conditions": decided}
    write_csv(out / "layer_surgery.csv", [{**row, **under} for row in found.layers])
    none = dict.fromkeys(scripts.PAIRED)
    both = ({"network": "SNN", **found.snn, **none}, {"network": "ANN", **found.ann})
    whole = [{**row, **under} for row in both]
    write_csv(out / "whole.csv", whole)
    how = (args.neuron, f"T = {args.steps}", f"{args.counts} counts", f"{found.images} images")
    scripts.save(draw(found, scripts.title(source.graph, *how)), out, "layer_surgery", str(decided))
    print(found.table())
    print(statistics.footnote("the network as it runs"))
    for name, score in (("as it runs", found.snn), ("ANN", found.ann)):
        interval = f"({score['low']:.1%} to {score['high']:.1%})"
        square = f"square {score['square']:.2e}"
        print(f"{name}: accuracy {score['accuracy']:.1%} {interval}, {square}")
    print(f"{repr(found)[1:-1]}\nstudy of eventsnn's own")


if __name__ == "__main__":
    sys.exit(main())
