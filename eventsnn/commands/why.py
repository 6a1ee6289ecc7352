"""Why the spiking network has an image wrong that its ANN has right.

    %(prog)s RUN 17
    %(prog)s RUN 17 --out why.png

Takes the image apart: how much of the margin between the two classes each layer cost, by wrong
counts, wrong times and the order of arrival; the smallest set of layers that restores the class;
the neurons that carry most of it, the late inhibition among them, and the first of these in full.
No trace is needed: the image runs again. Without IMAGE it is the first such image of the run.

With --out FILE the parts are drawn, and the microscope of the first neuron beside them, in a file
of the same name with -neuron at its end.

exit status: 0, or 2 after one line: for wrong input, and for an image that is right, or wrong in
the ANN, too
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from eventsnn.called import called
from eventsnn.commands import asking
from eventsnn.console import Parser, answer
from eventsnn.exceptions import printable
from eventsnn.plugins import load_plugins
from eventsnn.runs.why import why


def parser() -> Parser:
    """What the command takes."""
    result = Parser(
        prog=called("why"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.add_run(result)
    words = "its number in the data set"
    result.add_argument("image", metavar="IMAGE", nargs="?", help=words)
    asking.add_out(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Prints why an image is wrong; returns the exit status. argv: None for this process's."""
    return answer(lambda: _why(argv), asking.MEMORY)


def _why(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    load_plugins(args.plugin)
    asking.check_out(args.out)
    beside = None
    if args.out is not None:
        path = Path(args.out)
        beside = str(path.with_name(f"{path.stem}-neuron{path.suffix}"))
        asking.check_out(beside)
    image = None if args.image is None else asking.image_of(args.image, [17], "IMAGE")
    found = why(args.run, image, progress=True)
    print(printable(str(found)), flush=True)
    if args.out is not None:
        asking.draw(found.plot(), args.out)
        if beside is not None and found.worst is not None:
            asking.draw(found.plot_worst(), beside)
    return 0
