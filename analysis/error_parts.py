"""Where each layer's error comes from: clipping, quantisation, unevenness and inherited error.

    python analysis/error_parts.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --neurons if,snm

Above, a layer's error: the mean square of phi - a (SNN less ANN output) relative to that of a.
Below, the parts' shares of it, which add up to 1; a share below 0 works against the others.
Clipping, quantisation and unevenness error are those of GN (section 1) and SRP (section 3),
quantisation and unevenness DNISNM's discreteness and asynchronism error (sections 3.2 and 3.3);
what the layers before passed on stands apart; the first layer's input is right but for rounded
weights, so nearly all of its error is clipping and quantisation. st-bif is released evenly and runs
until it rests. Means and ratios have bootstrap intervals in the CSV, the error in the picture, too.
Writes error_parts.csv, error_parts.png and error_parts.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence

from eventsnn.exceptions import one_line
from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import scripts
from eventsnn.studies.error_pictures import parts_figure
from eventsnn.studies.sampled import with_intervals
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

REST = 256  # steps within which ST-BIF comes to rest


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/error_parts")
    parser.add_argument("--steps", type=int, default=8, help="T")
    words = "models, separated by commas: if, if-hard, snm, gn (4 members), st-bif"
    parser.add_argument("--neurons", default="if,snm", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is studied: a way for each of --neurons. args: the options."""
    found = []
    for neuron in dict.fromkeys(args.neurons.split(",")):
        time = {"steps": REST, "encoding": "even"} if neuron == "st-bif" else {"steps": args.steps}
        options = {"study": "parts", "neuron": neuron, **time}
        found.append(stored.Way({}, options, [args.seed]))
    return found


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source = stored.source_of(args)
    results, all_rows = {}, []
    for way in scripts.each(ways(args), "model"):
        (found,) = source.runs(way)
        neuron = way.options["neuron"]
        results[neuron] = with_intervals(found.layers, [found.samples], args.seed)
        under = {"conditions": conditions(found.simulation)}
        all_rows += [{"neuron": neuron, **row, **under} for row in results[neuron]]
        write_csv(args.out / "error_parts.csv", all_rows)
        print(f"{neuron.upper()}: the error grows most at {one_line(found.jump)}")
        print(f"{found.table()}\n")
    drawn = {name.upper(): rows for name, rows in results.items()}
    title = scripts.title(source.graph, f"T = {args.steps}", f"{len(source.images)} images")
    scripts.save(parts_figure(drawn, title), args.out, "error_parts", scripts.words(all_rows))
    print(f"in the CSV: {bootstrap_words(seed=args.seed)}")


if __name__ == "__main__":
    sys.exit(main())
