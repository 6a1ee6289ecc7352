"""Where each layer's error comes from: clipping, quantisation, unevenness and inherited error,
layer by layer.

    python analysis/error_parts.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200
    --steps 8 --neurons if,snm

Above, a layer's error: the mean square of phi - a (SNN less ANN output) relative to that of a.
Below, the parts' shares of it, which add up to 1; a share below 0 works against the others.
Clipping, quantisation and unevenness error are those of GN (section 1) and SRP (section 3),
quantisation and unevenness DNISNM's discreteness and asynchronism error (sections 3.2 and 3.3);
what the layers before passed on stands apart; the first layer's input is right but for rounded
weights, so nearly all of its error is clipping and quantisation. st-bif is released evenly and runs
until it rests. Writes error_parts.csv, error_parts.png and error_parts.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn.studies import errors, scripts
from eventsnn.views.tables import text_table, write_csv

COLOURS = {
    "clipping": "#CC79A7",
    "quantisation": "#009E73",
    "unevenness": "#D55E00",
    "inherited": "#9AD0F0",
}
REST = 256  # steps within which ST-BIF comes to rest


def draw(results, title):
    """Relative error above, shares of its parts below; one column for each neuron model of results
    (name -> layers' rows).
    """
    layers = [row["layer"] for row in next(iter(results.values()))]
    figure = Figure(
        figsize=(max(3.4, 1.2 + 0.16 * len(layers)) * len(results), 5.2), layout="constrained"
    )
    grid = figure.subplots(
        2, len(results), sharex=True, sharey="row", squeeze=False, height_ratios=[2, 3]
    )
    x = np.arange(len(layers))
    for (above, below), (name, rows) in zip(grid.T, results.items()):
        above.bar(x, [100 * row["error"] for row in rows], 0.78, color="0.35")
        above.set_title(name.upper(), fontsize=10)
        ends = np.zeros((2, len(layers)))  # of the bars so far, downwards and upwards
        for part in errors.PARTS:
            share = np.array([100 * row[f"{part} share"] for row in rows])
            side = (share > 0).astype(int)
            below.bar(x, share, 0.78, ends[side, x], color=COLOURS[part], label=part)
            ends[side, x] += share
        below.axhline(0, color="black", lw=0.8)
        below.use_sticky_edges = False  # or the picture would end at the highest bar
        if not any(row["error"] for row in rows):
            below.text(0.5, 0.5, "no error", ha="center", va="center", transform=below.transAxes)
        for axes in (above, below):
            scripts.layer_axis(axes, layers)
    grid[0, 0].set_ylabel("error (% of the\nactivations' square)")
    grid[1, 0].set_ylabel("share of the error (%)")
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(
        *grid[1, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
    )
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/error_parts")
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument(
        "--neurons",
        default="if,snm",
        help="models, separated by commas: if, if-hard, snm, gn (4 members), st-bif",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images, calibration = scripts.given(args)
    network, results = eventsnn.convert(graph, calibration=calibration), {}
    for neuron in tqdm(dict.fromkeys(args.neurons.split(",")), unit="model", disable=None, delay=2):
        time = {"steps": REST, "encoding": "even"} if neuron == "st-bif" else {"steps": args.steps}
        found = errors.decompose(
            network, images, neuron=neuron, progress=sys.stderr.isatty(), **time
        )
        results[neuron] = found.layers
        write_csv(
            args.out / "error_parts.csv",
            [{"neuron": name, **row} for name, rows in results.items() for row in rows],
        )
        print(
            f"{neuron.upper()}: the error grows most at {found.jump}",
            text_table(found.table()),
            sep="\n",
            end="\n\n",
        )
    title = f"{graph.meta.get('arch', 'network')}, T = {args.steps}, {len(images)} images"
    scripts.save(draw(results, title), args.out, "error_parts")
    print(f"pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
