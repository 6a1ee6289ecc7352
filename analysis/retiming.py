"""The least retiming of input events that flips a class, beside retimings drawn at random.

    python analysis/retiming.py --net fashion_qcfs --data fashion-mnist --limit 20

The input is events, as of an event camera: each may come in another step, one slot of an input and
a step holds one spike, and none is added or lost (Yu et al., Time Is All It Takes, arXiv
2602.03284). An image becomes a recording: in each step an input x fires sign(x) with probability
|x| / x_max, and an event brings x_max (encoding rate, drawn with --seed). For each of --neurons and
each limit of --within (steps that a spike is moved at most; 0: any) a search that is guided by the
margin's derivatives and confirmed by runs has --seconds for each recording that the clocked run has
right (`eventsnn.adversary.retime`). Beside each least retiming stand --draws draws at random, each
with as many moves as it takes. --save FOLDER keeps each retimed recording as a file
(`adversary.read_retimed`). Writes retiming.csv (a row for each model and limit), recordings.csv
(for each recording), retiming.png and retiming.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.studies import scripts
from eventsnn.studies.adversary import Retimings, retime
from eventsnn.studies.adversary.attacks import FORMATS, NAMES
from eventsnn.studies.adversary.retiming import TITLE
from eventsnn.views.tables import write_csv

ANY = 0
FORMATS = FORMATS | {"accuracy": ("accuracy", ".1%"), "replays": ("replays", ",.0f")}


def recordings_of(
    pixels: NDArray[np.float64], numbers: NDArray[np.int64], steps: int, seed: int
) -> tuple[list[NDArray[np.float64]], float]:
    """(each image's input events, float64 [E, 3], what one of them brings).

    A row is a time in steps, an input, a sign. pixels: preprocessed [N, C, H, W]. numbers: of the
    images in their data set, int64 [N]. steps: T. seed: of the draws.
    """
    largest = float(np.abs(pixels).max()) or 1.0
    found = []
    for image, number in zip(pixels, numbers.tolist()):
        x = image.ravel()
        draws = np.random.default_rng([seed, number]).random((steps, x.size))
        times, inputs = np.nonzero(draws < np.abs(x) / largest)
        found.append(np.column_stack([times, inputs, np.sign(x[inputs])]))
    return found, largest


def row_of(found: Retimings, neuron: str, within: int) -> scripts.Row:
    """A row of the table. found: the attacks. neuron: the model. within: the limit in steps."""
    row: scripts.Row = {"neuron": neuron, "within": _steps(within)}
    row["accuracy"] = len(found.attacks) / found.images
    row |= dict(next(iter(found.table())))
    row["movable"] = float(np.median([each.movable for each in found.attacks]))
    return {**row, "conditions": found.conditions}


def recordings(found: Retimings, neuron: str, within: int) -> list[scripts.Row]:
    """A row for each attacked recording; parameters as in `row_of`."""
    rows = []
    for each in found.attacks:
        row: scripts.Row = {"neuron": neuron, "within": _steps(within), "image": each.image}
        row |= {"class": each.right, "becomes": each.predicted, "flipped": each.flips}
        row |= {"movable": each.movable}
        for name, words in NAMES.items():
            row |= {words: getattr(each.budget, name), f"random {words}": each.random_median(name)}
        row["random flipped"] = sum(flips for _, flips in each.random)
        rows.append(row | {"replays": each.replays, "seconds": round(each.seconds, 1)})
    return rows


def _steps(within: int) -> str:
    return "any" if within == ANY else str(within)


def draw(rows: Sequence[scripts.Row], title: str) -> Figure:
    """The share of recordings flipped against the share of spikes moved, a panel a limit.

    rows: of all recordings. title: of the picture.
    """
    limits = scripts.grouped(list(rows), "within")
    figure = scripts.sheet(max(2, len(limits)), 4.0)
    panels = figure.subplots(1, len(limits), squeeze=False, sharey=True)[0]
    for axes, (within, some) in zip(panels, limits.items()):
        for (colour, _), (neuron, its) in zip(
            scripts.LOOKS, scripts.grouped(some, "neuron").items()
        ):
            for words, style in (("B0", "-"), ("random B0", "--")):
                if words == "B0":
                    mine = [row for row in its if row["flipped"]]
                else:  # half of the draws or more
                    mine = [row for row in its if 2 * row["random flipped"] >= row["draws"]]
                x = np.sort([100 * row[words] / row["movable"] for row in mine])
                y = 100 * np.arange(len(x) + 1) / len(its)
                label = neuron.upper() if words == "B0" else None
                x = np.concatenate([[0.01], x, [100]])
                axes.step(x, [*y, y[-1]], where="post", color=colour, ls=style, label=label)
        axes.set(xscale="log", xlim=(0.01, 100), ylim=(-2, 102))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_xlabel("input spikes moved (%), B0")
        by = f"at most {within} step" + ("" if within == "1" else "s")
        by = "any number of steps" if within == "any" else by
        axes.set_title(f"each by {by}", fontsize=10)
        scripts.plain(axes)
    panels[0].set_ylabel("recordings flipped (%)")
    for style, name in (("-", "adversary"), ("--", "at random")):
        panels[0].plot([], [], color="0.4", ls=style, label=name)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, panels[0])
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=20, out="runs/retiming")
    add = parser.add_argument
    add("--steps", type=int, default=8, help="T, the number of time steps")
    add("--neurons", default="if,snm,gn:4", help="models, separated by commas")
    words = "steps that a spike is moved at most, separated by commas; 0: any number"
    add("--within", default="1,0", metavar="STEPS", help=words)
    words = "how long the search on one recording goes on"
    add("--seconds", type=float, default=20.0, help=words)
    add("--replays", type=int, metavar="N", help="how many runs a recording takes at most")
    add("--draws", type=int, default=3, metavar="N", help="how often retimings are drawn at random")
    add("--save", metavar="FOLDER", help="a folder for the retimed recordings")
    return scripts.run(study, parser, argv)


def limits_of(words: str) -> list[int]:
    """The limits of --within. words: what was given. Raises InputError for anything else."""
    if not all(word.isdecimal() for word in words.split(",")):
        expected = "whole numbers from 0, separated by commas"
        raise InputError("--within", expected, repr(words), "for example --within 1,0")
    return [int(word) for word in words.split(",")]


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    for name in ("steps", "draws"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name}", "a whole number from 1", getattr(args, name))
    limits = limits_of(args.within)
    graph, images, _ = scripts.given(args)
    network = scripts.network_of(args, graph, images)
    pixels = graph.preprocessing(images.pixels)
    events, largest = recordings_of(pixels, images.indices, args.steps, args.seed)
    common: dict[str, Any] = {"labels": images.labels, "steps": args.steps, "seed": args.seed}
    common |= {"seconds": args.seconds, "replays": args.replays, "draws": args.draws}
    common["encoding"] = Encoding(kind="events", unit=largest)
    rows: list[scripts.Row] = []
    each: list[scripts.Row] = []
    for neuron in args.neurons.split(","):
        for within in limits:
            save = args.save and Path(args.save) / f"{neuron.replace(':', '-')}-{_steps(within)}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if rows else "default", RoundedWeights)
                binf = within or None
                found = retime(network, events, neuron=neuron, binf=binf, save=save, **common)
            rows.append(row_of(found, neuron, within))
            some = recordings(found, neuron, within)
            each += [{**row, "draws": args.draws} for row in some]
            write_csv(args.out / "retiming.csv", rows)
            write_csv(args.out / "recordings.csv", each)
    decided = scripts.words(rows)
    words = scripts.title(graph, f"T = {args.steps}", f"{len(images)} recordings")
    scripts.save(draw(each, words), args.out, "retiming", decided)
    shown = [{k: v for k, v in row.items() if k != "kind"} for row in rows]
    scripts.show(TITLE, scripts.bare(shown), decided, FORMATS)
    print("\neach least retiming was confirmed by a run")


if __name__ == "__main__":
    sys.exit(main())
