"""The command `eventsnn report RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eventsnn.called import called
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, one_line, starting_threads

DESCRIPTION = """\
Write a run's results folder as one page of HTML, which needs no network: accuracy and rates, error
parts and cases by layer, costs, confusions, images that changed class, spikes and a neuron where
there is a trace, provenance, and the command that makes the run again.

  %(prog)s runs/sample-1a2b3c4d

exit status: 0, or 2 for wrong input, after one line
"""
MEMORY = ("room for the network and some images", "give a smaller --images, or 0")


def parser() -> Parser:
    """The options of the command."""
    result = Parser(
        prog=called("report"),
        description=DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("run", metavar="RUN", help="the results folder that a run left (its --out)")
    result.add_argument(
        "--out", metavar="FILE", help="the page (default: report.html in the folder)"
    )
    result.add_argument(
        "--images",
        metavar="N",
        help="images that error parts and cases are studied on, the first of the run (default: 32, "
        "or as many as the run simulated in 10 s; 0: none, and network, images and trace stay "
        "closed)",
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for wrong input, 130 when stopped.

    argv: the arguments; None: this process's.
    """
    return answer(lambda: _run(argv), MEMORY)


def _run(argv: Sequence[str] | None) -> int:
    given = parser().parse_args(argv)
    images = given.images
    if images is not None and not (images.isascii() and images.isdecimal()):
        do = "for example --images 100"
        raise InputError("--images", "a whole number from 0", repr(images), do)
    from eventsnn.pages.report import report

    with starting_threads():
        out = report(given.run, given.out, None if images is None else int(images), progress=True)
    print(f"report in {one_line(out, 1000)} ({out.stat().st_size / 1000:,.0f} KB)")
    return 0
