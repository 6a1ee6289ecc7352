"""Unevenness errors I and II in SRP's four cases, layer by layer, with and without SRP (SRP Fig. 3
and 5).

    python analysis/error_cases.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200
    --steps 8 --srp 4

Error I is what a layer makes itself: the ANN's activation is recomputed from the SNN's own average
input (SRP Def. 1, Fig. 3a-b). Error II is the whole difference to the ANN (Def. 2, Fig. 3c-d and
5). Cases 1 and 2 fire too much (where the ANN is 0; between 0 and lambda), 3 and 4 too little
(between; where it is lambda). The ANN has as many levels as the SNN has steps; --levels own keeps
its own. A second table counts residual potentials by sign and case: Theorem 1 of SRP, neuron by
neuron. Writes error_cases.csv, theorem.csv, error_cases.png and error_cases.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

import eventsnn
from eventsnn.studies import errors, scripts
from eventsnn.views.plots import CASES
from eventsnn.views.tables import text_table, write_csv


def draw(results, title):
    """Stacked bars by layer: errors I and II from top to bottom, results (name -> Cases) from left
    to right.
    """
    layers = [row["layer"] for row in next(iter(results.values())).layers]
    width = max(3.4, 1.2 + 0.16 * len(layers))
    figure = Figure(figsize=(width * len(results), 5.2), layout="constrained")
    grid = figure.subplots(2, len(results), sharex=True, sharey="row", squeeze=False)
    x = np.arange(len(layers))
    for column, (name, found) in enumerate(results.items()):
        for row, error in enumerate(("I", "II")):
            axes, below = grid[row, column], np.zeros(len(layers))
            for case, (colour, meaning) in CASES.items():
                share = np.array([r[f"{error} case {case}"] for r in found.layers])
                axes.bar(
                    x,
                    share,
                    0.78,
                    below,
                    color=colour,
                    label=meaning if (row, column) == (0, 0) else None,
                )
                below += share
            axes.set_title(f"error {error}, {name}", fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("neurons (%)")
    for axes in grid.flat:
        scripts.layer_axis(axes, layers)
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/error_cases")
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument(
        "--srp",
        type=int,
        default=4,
        help="steps of SRP's first stage (SRP's tau); 0: without SRP only",
    )
    parser.add_argument(
        "--levels",
        default="steps",
        choices=errors.LEVELS,
        help="the ANN's levels: T (L := T), or its own",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images, calibration = scripts.given(args)
    network, out, results = eventsnn.convert(graph, calibration=calibration), args.out, {}
    for tau in dict.fromkeys((0, args.srp)):
        name = f"SRP (τ = {tau})" if tau else "without SRP"
        results[name] = errors.cases(
            network,
            images,
            steps=args.steps,
            levels=args.levels,
            srp=tau,
            progress=sys.stderr.isatty(),
        )
        for file, rows in (
            (
                "error_cases",
                [{"strategy": n, **row} for n, found in results.items() for row in found.layers],
            ),
            (
                "theorem",
                [{"strategy": n, **row} for n, found in results.items() for row in found.theorem],
            ),
        ):
            write_csv(out / f"{file}.csv", rows)
    levels = "L := T" if args.levels == "steps" else "own L"
    figure = draw(
        results,
        f"{graph.meta.get('arch', 'network')}, T = {args.steps}, {levels}, {len(images)} images",
    )
    scripts.save(figure, out, "error_cases")
    formats = {
        f"{error} case {k}": (f"{error}.{k}", ".3f") for error in ("I", "II") for k in errors.CASES
    }
    formats |= {"I": ("I", ".2f"), "II": ("II", ".2f"), "neurons": ("neurons", ",")}
    for name, found in results.items():
        total = {
            key: sum(row[key] for row in found.theorem)
            for key in found.theorem[0]
            if key != "layer"
        }
        print(
            f"{name}: percent of neurons and images",
            text_table(found.layers, formats),
            "Theorem 1, all layers:",
            *(f"  {key}: {count:,}" for key, count in total.items()),
            "",
            sep="\n",
        )
    print(f"pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
