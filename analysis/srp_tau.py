"""Accuracy against T for several lengths tau of SRP's first stage (SRP Fig. 6, Tab. 4).

    python analysis/srp_tau.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --taus 0,2,4,8,16

tau = 0 is none. On the left against T, as in SRP's figure; on the right against tau + T, the steps
that it takes in all, as SRP compares itself with others. Bars are 95 % intervals (Wilson). Writes
srp_tau.csv, srp_tau.png and srp_tau.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence

from matplotlib.figure import Figure

from eventsnn.exceptions import InputError
from eventsnn.studies import scripts
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

TITLE = (
    "Accuracy with its 95 % interval, low to high, after tau steps of SRP's first stage and T "
    "more; spikes and synaptic operations: of an image, those of the first stage among them"
)
FORMATS = {
    "accuracy": ("accuracy", ".1%"),
    "low": ("low", ".1%"),
    "high": ("high", ".1%"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
}


def draw(rows: list[scripts.Row], ann_accuracy: float, title: str) -> Figure:
    """Accuracy against T and against tau + T, one line a tau.

    rows: of all taus. ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(2, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    lines, in_all = {}, {}
    for tau, mine in scripts.grouped(rows, "tau").items():
        name = f"τ = {tau}" if tau else "without SRP"
        lines[name] = mine
        in_all[name] = [{**row, "T": row["tau"] + row["T"]} for row in mine]
    scripts.draw_accuracy(left, lines, ann_accuracy)
    scripts.draw_accuracy(right, in_all, ann_accuracy)
    right.set(xlabel="time steps τ + T", ylabel=None)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, left)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=500, out="runs/srp_tau")
    scripts.add_steps(parser, 32)
    words = "lengths of the first stage, separated by commas; 0: without SRP"
    parser.add_argument("--taus", default="0,2,4,8,16", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --taus. args: the options."""
    if not all(word.isdigit() for word in args.taus.split(",")):
        raise InputError(
            "--taus", "whole numbers separated by commas", args.taus, "for example --taus 0,4"
        )
    return [
        stored.Way({}, {"steps": args.steps, "srp": int(word)}, [args.seed])
        for word in args.taus.split(",")
    ]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    of_taus = {way.options["srp"]: way for way in ways(args)}
    taus = list(of_taus)
    source, out = stored.source_of(args), args.out
    ann_accuracy = stored.right_of(source)
    rows: list[scripts.Row] = []
    right = {}
    for tau in scripts.each(taus, "tau"):
        (result,) = source.runs(of_taus[tau])
        times = scripts.times(args)
        rows += [{"tau": tau, **row} for row in scripts.by_step(result, times, args.seed)]
        right |= {(tau, t): scripts.hits(result, t) for t in times}
        scripts.paired(
            rows, right, lambda row: (row["tau"], row["T"]), lambda key: (taus[0], key[1])
        )
        write_csv(out / "srp_tau.csv", rows)
    figure = draw(rows, ann_accuracy, scripts.title(source.graph, f"{len(source.labels)} images"))
    scripts.save(figure, out, "srp_tau", scripts.words(rows))
    scripts.show(TITLE, scripts.compact(rows), scripts.words(rows), FORMATS)
    print(f"\n{scripts.footnote(f'tau = {taus[0]}', args.seed)}")
    print(f"ANN {ann_accuracy:.1%} on {len(source.labels)} images")


if __name__ == "__main__":
    sys.exit(main())
