"""Networks that were trained in different ways, side by side: accuracy of ANN and SNN against T.

`training_figures.py` trains and compares the networks of the papers' figures about training.

    python analysis/trained_networks.py --net fashion_relu --thresholds max \\
        --nets fashion_relu+p99.9,fashion_tcl
    python analysis/trained_networks.py --net n/network.h5 --data cifar-10-batches-bin \\
        --steps 32 --nets p/network.h5,r/network.h5,pr/network.h5+st-bif

All are compared with --net, image by image. A network of --nets is a file or a name, with any of
+max (thresholds are the layers' largest activations), +pP (their percentile P, as +p99.9), +zero
(v(0) = 0), +snm and +st-bif (even release, then until nothing moves). The loss is what the
conversion costs: the ANN's accuracy less the SNN's.

    python analysis/trained_networks.py --net 1/network.h5 \\
        --nets 1/network.h5=QCFS,2/network.h5=QCFS,3/network.h5=QCFS

Networks with the same =NAME at the end are trainings of one recipe, which differ in their seed
alone; --net is one of them where --nets names it again. A second table has mean and standard
deviation over trainings (n - 1 in its divisor; DNISNM Tab. 2 and 5), and in the picture a recipe is
a line in a band of one deviation. Writes trained_networks.csv, norm_factors.csv (the threshold of
each layer, TCL Fig. 7), trainings.csv (of recipes), trained_networks.png and trained_networks.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from eventsnn.exceptions import InputError
from eventsnn.studies import scripts
from eventsnn.studies.trained import Way, compare, way_of

NETS = "fashion_relu+max,fashion_relu+p99.9,fashion_tcl,fashion_qcfs,fashion_lsq+st-bif"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=500, out="runs/trained_networks")
    words = f"files and names as above, separated by commas (default: {NETS})"
    parser.add_argument("--nets", default=NETS, help=words)
    scripts.add_steps(parser, 32)
    return scripts.run(study, parser, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    recipes = dict(map(_named, args.nets.split(",")))
    if len(recipes) <= args.nets.count(","):
        raise InputError("--nets", "different networks or words", repr(args.nets), "name each once")
    rule = args.settings.thresholds
    label = args.settings.net + ("" if rule == "auto" else f" ({rule})")
    first = Way(label, args.settings.net, None, {"steps": args.steps}, {})
    if label in recipes and rule == "auto":  # --net again, to say its recipe
        first = replace(first, conversion={"thresholds": "auto"}, recipe=recipes.pop(label))
        if first.recipe is None:
            expected, do = "networks other than --net", "leave it out, or name its recipe behind ="
            raise InputError("--nets", expected, repr(label), do)
    ways = [way_of(name, args.steps, where="--nets") for name in recipes]
    ways = [first, *(replace(way, recipe=recipes[way.label]) for way in ways)]
    compare(args, ways, scripts.times(args), "trained_networks", "--nets")


def _named(text: str) -> tuple[str, str | None]:
    """(a network of --nets, the name of its recipe, or None)."""
    net, equals, recipe = text.rpartition("=")
    if not equals:
        return text, None
    if not (net and recipe):
        do = "for example a.h5=QCFS,b.h5=QCFS"
        raise InputError("--nets", "a network, =, and the name of its recipe", repr(text), do)
    return net, recipe


if __name__ == "__main__":
    sys.exit(main())
