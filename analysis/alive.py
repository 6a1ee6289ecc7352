"""Networks that live without a clock: what brings IF neurons back under an order of arrival.

    python analysis/alive.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin

Three cures, alone and together: a step's drive spread over the step (--spread), finer thresholds,
so that a neuron fires more spikes that are worth less (--scale, a factor of all thresholds), and
v(0) of each channel calibrated layer by layer on training images (`eventsnn.calibrate`), under the
first of --orders. Every way runs under each of --orders on the same images, and is compared with
the untouched network under that order, image by image; "clocked" is the untouched network in
clocked time. Without a rest a neuron may fire more than its ANN's activation is clipped to. With
--rest it rests after each spike, and those of a step are worth a threshold at most: for networks
that clip much. The second table has the calibration of all cures together. Writes alive.csv,
layers.csv, alive.png, alive.svg, and what a run needs: network.h5, the network with the v(0) of all
cures, and thresholds.json.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import eventsnn
from eventsnn import Calibration, Graph, Images, Network, Result, calibrate, convert
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.files.writing import new_file
from eventsnn.inputs.loading import load_calibration
from eventsnn.result import simulate
from eventsnn.studies import scripts
from eventsnn.studies.up_to import thresholds_of
from eventsnn.views.tables import write_csv

NAME = "alive"
CURES = ("spread", "thresholds", "v(0)")
UNTOUCHED, CLOCKED = "untouched", "clocked"
TITLE = (
    "Accuracy with its 95 % interval, low to high, by cure and order of arrival; spikes and "
    "synaptic operations: of an image"
)
FORMATS = {key: (key, ".1%") for key in scripts.SHARE}


class Way(NamedTuple):
    """A set of cures.

    spread: parts of a step's drive. scale: of all thresholds. calibrated: whether v(0) is.
    """

    spread: int
    scale: float
    calibrated: bool

    @property
    def name(self) -> str:
        """The cures in words."""
        chosen = (self.spread > 1, self.scale != 1, self.calibrated)
        return " + ".join(cure for cure, on in zip(CURES, chosen) if on) or UNTOUCHED


def ways(spread: int, scale: float) -> list[Way]:
    """All sets of cures, those with few first. spread, scale: of the cures; 1 is none."""
    several = product(dict.fromkeys((1, spread)), dict.fromkeys((1.0, scale)), (False, True))
    return sorted((Way(*each) for each in several), key=lambda way: way.name.count("+"))


def scaled(network: Network, scale: float) -> Network:
    """A network with all thresholds times a factor."""
    if scale == 1:
        return network
    thetas = thresholds_of(network)
    return convert(
        network.graph, thresholds={name: theta * scale for name, theta in thetas.items()}
    )


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    orders = args.orders.split(",")
    _check(args, orders)
    graph, images, logits = scripts.given(args)
    network, out = scripts.network_of(args, graph, images), args.out
    training = load_calibration(graph, args.settings)
    rows: list[scripts.Row] = []
    right: dict[tuple[str, str], NDArray[np.bool_]] = {}
    keep(rows, right, CLOCKED, CLOCKED, run(args, network, images, CLOCKED))
    last: Calibration | None = None
    for way in scripts.each(ways(args.spread, args.scale), "way"):
        its = scaled(network, way.scale)
        options: dict[str, Any] = {"spread": way.spread}
        options["refractory"] = way.scale if args.rest else 0.0
        if way.calibrated:
            last = calibrate(
                its, training, steps=args.steps, rounds=args.rounds, seed=args.seed,
                order=orders[0], progress=False, **options,
            )  # fmt: skip
            options["initial"] = last.initial
        for order in orders:
            keep(rows, right, way.name, order, run(args, its, images, order, **options))
        scripts.paired(rows, right, key, lambda its: (UNTOUCHED, its[1]))
        write_csv(out / "alive.csv", rows)
    assert last is not None
    write_csv(out / "layers.csv", [{**row, "conditions": last.conditions} for row in last.layers])
    leave(last, out)
    ann_accuracy = float(np.mean(ann.classes_of(logits) == images.labels))
    decided = scripts.words(rows)
    scripts.save(draw(rows, orders, ann_accuracy, heading(args, graph, images)), out, NAME, decided)
    scripts.show(TITLE, scripts.compact(rows), decided, FORMATS)
    print(f"\n{scripts.footnote('the untouched network, under the same order', args.seed)}\n")
    print(last.table())
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images")
    print(f"all cures in a run, from the folder:\n  {command(args, orders[0])}")


def _check(args: argparse.Namespace, orders: Sequence[str]) -> None:
    """Raises InputError for cures that are none and for what cannot be."""
    if args.rounds < 1:
        raise InputError("--rounds", "a number of runs from 1", args.rounds)
    if not 0 < args.scale <= 1:
        raise InputError("--scale", "a factor above 0, at most 1", args.scale, "1 is no cure")
    if args.spread < 1:
        raise InputError("--spread", "a number of parts from 1", args.spread, "1 is no cure")
    if CLOCKED in orders:
        found, do = "clocked", "leave it out: the untouched network runs in clocked time anyway"
        raise InputError("--orders", "orders without a clock", found, do)


def key(row: scripts.Row) -> tuple[str, str]:
    """What a row is of: (cures, order)."""
    return row["cure"], row["order"]


def run(
    args: argparse.Namespace, network: Network, images: Images, order: str, **options: Any
) -> Result:
    """The `Result` of IF neurons under an order. options: of `simulate`."""
    its = {"steps": args.steps, "seed": args.seed, "order": order, "progress": False}
    return simulate(network, images, engine="event", **its, **options)


def keep(
    rows: list[scripts.Row],
    right: dict[tuple[str, str], NDArray[np.bool_]],
    cure: str,
    order: str,
    result: Result,
) -> None:
    """Adds the row of a result, and which images it has right."""
    (row,) = scripts.by_step(result, [result.simulation.steps], result.simulation.seed)
    rows.append({"cure": cure, "order": order, **row})
    right[cure, order] = scripts.hits(result)


def leave(last: Calibration, out: Any) -> None:
    """Writes network.h5 and thresholds.json into the folder `out`."""
    eventsnn.save(last.graph, out / "network.h5")
    thetas = {name: np.asarray(x).tolist() for name, x in thresholds_of(last.network).items()}
    with new_file(out / "thresholds.json") as file:
        file.write(json.dumps(thetas).encode())


def command(args: argparse.Namespace, order: str) -> str:
    """The command of a run with all cures. order: under which v(0) was calibrated."""
    words = ["eventsnn", "run", "--net", "network.h5"]
    words += ["--thresholds", "thresholds.json", "--engine", "event", "--order", order]
    words += ["--steps", str(args.steps)] + ["--spread", str(args.spread)] * (args.spread > 1)
    words += ["--refractory", f"{args.scale:g}"] * args.rest
    return shlex.join(words)


def heading(args: argparse.Namespace, graph: Graph, images: Images) -> str:
    """The title of the picture."""
    return scripts.title(graph, "if", f"T = {args.steps}", f"{len(images)} images")


def draw(rows: list[scripts.Row], orders: Sequence[str], ann_accuracy: float, title: str) -> Figure:
    """Accuracy of each set of cures under each order, and what it costs in spikes.

    rows: of all ways. orders: their names. ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(2, 4.2, 2.0)
    shares, spikes = figure.subplots(1, 2, sharey=True)
    clocked = scripts.only(rows, order=CLOCKED)[0]
    names = scripts.distinct([row for row in rows if row is not clocked], "cure")
    height = 0.8 / len(orders)
    for k, ((colour, _), order) in enumerate(zip(scripts.LOOKS * len(orders), orders)):
        mine = scripts.only(rows, order=order)
        y = np.arange(len(mine)) + (k - (len(orders) - 1) / 2) * height
        values = np.array(scripts.column(mine, "accuracy", 100))
        ends = [scripts.column(mine, end, 100) for end in ("low", "high")]
        bars = np.abs(np.array(ends) - values)
        shares.barh(y, values, height, xerr=bars, color=colour, ecolor="0.3", label=order)
        spikes.barh(y, scripts.column(mine, "spikes", 1e-3), height, color=colour)
    shares.axvline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN")
    for axes, at in ((shares, 100 * clocked["accuracy"]), (spikes, 1e-3 * clocked["spikes"])):
        label = "clocked, untouched" if axes is shares else None
        axes.axvline(at, color="0.2", ls=":", lw=1.2, label=label)
        scripts.plain(axes)
    shares.set_yticks(np.arange(len(names)), names, parse_math=False)
    shares.invert_yaxis()
    shares.set_xlabel("accuracy (%)")
    spikes.set_xlabel("spikes of an image (thousands)")
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, shares)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/alive")
    add = parser.add_argument
    add("--steps", type=int, default=8, help="T")
    add("--orders", default="fifo,random", metavar="ORDER,…", help="orders of arrival")
    add("--spread", type=int, default=4, metavar="N", help="parts of a step's drive; 1: no cure")
    add("--scale", type=float, default=0.5, metavar="X", help="of all thresholds; 1: no cure")
    words = "a rest after each spike: the spikes of a step are worth a threshold at most"
    add("--rest", action="store_true", help=words)
    words = "runs of each layer in a calibration of v(0)"
    add("--rounds", type=int, default=5, metavar="N", help=words)
    return scripts.run(study, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
