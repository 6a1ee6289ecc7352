"""Whether the papers' claims hold: each judged by a test with an interval, in one page.

    python analysis/claims.py --data fashion-mnist
    python analysis/claims.py --data fashion-mnist --only srp,gn-tab-1 --limit 100

Claims of SRP, DNISNM, SpikeZIP, GN and TCL that the bundled networks can judge are judged anew on
--limit images. Those that take training are judged from the tables of training_figures, one folder
a figure below --tables (the page names the commands); without them they are "not run". --only names
claims, or beginnings of their names. Writes claims.csv (a row a number), and with --page FILE the
page of the documents, docs/claims.md.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from eventsnn.files.writing import new_file
from eventsnn.studies import scripts
from eventsnn.studies.claims.bench import LSQ, QCFS, RELU, TCL, Bench
from eventsnn.studies.claims.findings import Judged
from eventsnn.studies.claims.page import chosen, corrected, judge, markdown, rows_of, summary
from eventsnn.studies.claims.trained import made_by
from eventsnn.views.tables import write_csv

NETS = {
    RELU: "fashion_relu",
    QCFS: "fashion_qcfs",
    LSQ: "fashion_lsq",
    TCL: "fashion_tcl",
}
TITLE = (
    "Claims of the papers and whether they hold; found: the number that decides, with its 95 % "
    "interval; why: what the number is, or what a claim would take"
)
FORMATS = {"found": ("found", ""), "why": ("why", "")}


def study(args: argparse.Namespace) -> None:
    """Judges all claims and writes the page. args: the options."""
    names = chosen(args.only)
    nets = {part: getattr(args, f"{part}_net") for part in NETS}
    bench = Bench(args.settings, nets, None if args.tables is None else Path(args.tables))
    found: list[Judged] = []
    for name in scripts.each(names, "claim"):
        found += judge(bench, [name], correct=False)
    judged = corrected(found)
    write_csv(args.out / "claims.csv", rows_of(judged))
    networks = f"Networks: {', '.join(nets.values())}; the first {args.settings.limit} test images."
    command = shlex.join(["python", "analysis/claims.py", *_given(args)])
    page = markdown(judged, command, networks, tables_of(bench.tables))
    if args.page is not None:
        Path(args.page).unlink(missing_ok=True)
        with new_file(args.page) as file:
            file.write(page.encode())
    scripts.show(TITLE, [shown(its) for its in judged], networks, FORMATS)
    print(f"\n{summary(judged)}")


def tables_of(folder: Path | None) -> list[str]:
    """The commands that made the tables of trainings below a folder; None: there is none."""
    folders = [] if folder is None or not folder.is_dir() else sorted(folder.iterdir())
    return [command for each in folders if (command := made_by(each)) is not None]


def shown(its: Judged) -> scripts.Row:
    """A claim as a row of the screen: the number that decides, and what it is of."""
    row: scripts.Row = {"claim": its.name, "verdict": its.verdict}
    if not its.findings:
        return {**row, "found": "", "why": its.why}
    first = next(each for each in its.findings if each.verdict == its.verdict)
    numbers = [format(x, first.form) for x in (first.value, first.low, first.high)]
    return {**row, "found": "{} [{}, {}]".format(*numbers), "why": first.what}


def _given(args: argparse.Namespace) -> list[str]:
    """The options that decide the page, as they are written."""
    words = ["--data", Path(args.settings.data or "").name, "--limit", str(args.settings.limit)]
    if args.tables is not None:
        words += ["--tables", "runs/training"]
    if args.only:
        words += ["--only", args.only]
    return words + (["--page", "docs/claims.md"] if args.page is not None else [])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    out = "runs/claims"
    without = ("net", "thresholds", "percentile", "dead", "max_pooling", "residual")
    parser = scripts.options(__doc__, limit=200, out=out, without=without)
    for part, net in NETS.items():
        words = f"the network for claims of {part} (default: {net})"
        parser.add_argument(f"--{part}-net", default=net, metavar="NET", help=words)
    parser.add_argument("--only", metavar="NAME,…", help="claims, or beginnings of their names")
    words = "the folder with a folder of training_figures for each figure (tcl-7, spikezip-6a, …)"
    parser.add_argument("--tables", metavar="FOLDER", help=words)
    parser.add_argument("--page", metavar="FILE", help="where the page goes, too: docs/claims.md")
    return scripts.run(study, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
