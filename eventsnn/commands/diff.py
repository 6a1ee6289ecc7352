"""Where the spikes of two runs part, and which images change class.

    %(prog)s A B

A and B are the results folders of two runs of the same network on the same images: before and after
a change, in two orders, with two thresholds. Prints the settings that differ; the first step in
which spikes differ, the first layer in which they do then, and in which images; and the images that
changed class, with the exact McNemar test. No trace is needed: every run keeps a digest of the
spikes of each image, layer and step.

exit status: 0 where spikes, outputs and classes are the same, whatever the settings are; 1 where
they are not; 2 for wrong input, for runs that cannot be compared, and where a run has no digests
and nothing else differs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eventsnn.called import called
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, printable
from eventsnn.runs.differing import diff

MEMORY = ("room for the arrays of two runs", "compare runs with a smaller --limit")


def parser() -> Parser:
    """What the command takes."""
    result = Parser(
        prog=called("diff"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("a", metavar="A", help="the results folder of a run (its --out)")
    result.add_argument("b", metavar="B", help="that of another")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Prints how two runs differ; returns the exit status, as of diff(1).

    argv: the arguments; None: this process's.
    """
    return answer(lambda: _diff(argv), MEMORY)


def _diff(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    found = diff(args.a, args.b)
    print(printable(str(found)), flush=True)
    if found.equal is None:
        do = "run it again to compare spikes"
        raise InputError(f"{args.a} and {args.b}", "digests of both runs", found.untold, do)
    return 0 if found.equal else 1
