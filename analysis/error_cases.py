"""Unevenness errors I and II in SRP's four cases, with and without SRP (SRP Fig. 3 and 5).

    python analysis/error_cases.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --srp 4

They are counted layer by layer. Error I is what a layer makes itself: the ANN's activation is
recomputed from the SNN's own average input (SRP Def. 1, Fig. 3a-b). Error II is the whole
difference to the ANN (Def. 2, Fig. 3c-d and 5). Cases 1 and 2 fire too much (where the ANN is 0;
between 0 and lambda), 3 and 4 too little (between; where it is lambda). The ANN has as many levels
as the SNN has steps; --levels own keeps its own. A second table counts residual potentials by sign
and case: Theorem 1 of SRP, neuron by neuron. The CSV has bootstrap intervals of the percentages,
the picture those of their sums. A second picture has the sign of v(T) by case, layer by layer (SRP
Fig. 4), and whom SRP silenced: rightly where the ANN's activation is 0 (silenced.csv, % of
neurons). Writes error_cases.csv, theorem.csv, silenced.csv, and error_cases and residual as PNG and
SVG.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence

from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import errors, scripts
from eventsnn.studies.error_pictures import cases_figure, residual_figure
from eventsnn.studies.sampled import with_intervals
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/error_cases")
    parser.add_argument("--steps", type=int, default=8, help="T")
    words = "steps of SRP's first stage (SRP's tau); 0: without SRP only"
    parser.add_argument("--srp", type=int, default=4, help=words)
    words = "the ANN's levels: T (L := T), or its own"
    parser.add_argument("--levels", default="steps", choices=errors.LEVELS, help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is studied: the network without SRP, and with it. args: the options."""
    options = {"study": "cases", "steps": args.steps, "levels": args.levels}
    return [
        stored.Way({}, {**options, "srp": tau}, [args.seed]) for tau in dict.fromkeys((0, args.srp))
    ]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source, out = stored.source_of(args), args.out
    results = {}
    drawn: dict[str, list[scripts.Row]] = {}
    rows: list[scripts.Row] = []
    theorem: list[scripts.Row] = []
    for way in ways(args):
        tau = way.options["srp"]
        name = f"SRP (τ = {tau})" if tau else "without SRP"
        (found,) = source.runs(way)
        results[name] = found
        under = {"conditions": conditions(found.simulation)}
        drawn[name] = with_intervals(found.layers, [found.samples], args.seed)
        rows += [{"strategy": name, **row, **under} for row in drawn[name]]
        theorem += [{"strategy": name, **row, **under} for row in found.theorem]
        write_csv(out / "error_cases.csv", rows)
        write_csv(out / "theorem.csv", theorem)
    levels = "L := T" if args.levels == "steps" else "own L"
    title = scripts.title(source.graph, f"T = {args.steps}", levels, f"{len(source.images)} images")
    scripts.save(cases_figure(drawn, title), out, "error_cases", scripts.words(rows))
    plain, *masked = results.values()
    silenced = masked[0].silenced if masked else []
    if masked:
        under = {"conditions": conditions(masked[0].simulation)}
        write_csv(out / "silenced.csv", [{**row, **under} for row in silenced])
    figure = residual_figure(plain.theorem, silenced, plain.layers, title)
    scripts.save(figure, out, "residual", scripts.words(rows))
    for name, found in results.items():
        print(f"{name}\n{found.table()}")
        print("Theorem 1 of SRP, all layers: neurons by residual potential v and case")
        for key in found.theorem[0]:
            if key != "layer":
                print(f"  {key}: {sum(scripts.column(found.theorem, key)):,}")
        print()
    print(f"in the CSV: {bootstrap_words(seed=args.seed)}")


if __name__ == "__main__":
    sys.exit(main())
