"""Networks that were trained in different ways, side by side: accuracy of ANN and SNN against T.

TCL Fig. 6 and 7 and Tab. I, SpikeZIP Fig. 6 and Tab. 5, QCFS's levels, on networks that
eventsnn.train made.

    python analysis/trained_networks.py --net fashion_relu --thresholds max \\
        --nets fashion_relu+p99.9,fashion_tcl
    python analysis/trained_networks.py --net n/network.h5 --data cifar-10-batches-bin \\
        --steps 32 --nets p/network.h5,r/network.h5,pr/network.h5+st-bif

All are compared with --net, image by image. A network of --nets is a file or a name, with any of
+max (thresholds are the layers' largest activations), +pP (their percentile P, as +p99.9), +zero
(v(0) = 0), +snm and +st-bif (even release, then until nothing moves). The loss is what the
conversion costs: the ANN's accuracy less the SNN's. Writes trained_networks.csv, norm_factors.csv
(the threshold of each layer, TCL Fig. 7), trained_networks.png and trained_networks.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.studies import scripts
from eventsnn.views.tables import report_steps, text_table, write_csv

REST = 256  # steps within which ST-BIF comes to rest
NETS = "fashion_relu+max,fashion_relu+p99.9,fashion_tcl,fashion_qcfs,fashion_lsq+st-bif"
FIRST = "--net"
FORMATS = {"ANN": ("ANN", ".1%"), "spikes": ("spikes", ",.0f")}


def options(name: str, steps: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(network, convert options, run options) of a text of --nets.

    name: the text. steps: the largest T. Raises InputError for words that there are not.
    """
    net, *words = name.split("+")
    chosen: dict[str, Any] = {}
    settings: dict[str, Any] = {"steps": steps}
    for word in words:
        percentile = re.fullmatch(r"p(\d+(?:\.\d+)?)", word)
        if percentile:
            chosen |= {"thresholds": "percentile", "percentile": float(percentile[1])}
        elif word == "max":
            chosen |= {"thresholds": "max"}
        elif word == "zero":
            settings |= {"initial": 0.0}
        elif word == "snm":
            settings |= {"neuron": "snm"}
        elif word == "st-bif":
            settings |= {"neuron": "st-bif", "encoding": "even", "steps": max(REST, steps)}
        else:
            expected = "max, pP, zero, snm or st-bif behind a plus"
            raise InputError("--nets", expected, repr(word), f"for example --nets {NETS}")
    return net, chosen, settings


def measure(
    args: argparse.Namespace, name: str
) -> tuple[list[scripts.Row], dict[Any, Any], list[scripts.Row]]:
    """(a row for each T, and "rest" for st-bif; (name, T) -> hits; the layers' thresholds).

    args: the options. name: a text of --nets, or FIRST.
    """
    if name == FIRST:
        net, chosen, settings = args.settings.net, {}, {"steps": args.steps}
    else:
        net, chosen, settings = options(name, args.steps)
        chosen = {"thresholds": "auto"} | chosen
    its = argparse.Namespace(**vars(args))
    its.settings = replace(args.settings, net=net)
    name = _label(args) if name == FIRST else name
    graph, images, logits = scripts.given(its)
    network = scripts.network_of(its, graph, images, **chosen)
    result = simulate(
        network, images, batch=4, seed=args.seed, progress=sys.stderr.isatty(), **settings
    )
    times = list(dict.fromkeys([*report_steps(args.steps), settings["steps"]]))
    accuracy = float(np.mean(ann.classes_of(logits) == images.labels))
    rows = scripts.by_step(result, times, args.seed)
    right: dict[Any, Any] = {(name, t): scripts.hits(result, t) for t in times}
    if settings["steps"] != args.steps:
        rows[-1]["T"] = "rest"
        right[name, "rest"] = right.pop((name, settings["steps"]))
    told = [
        {"net": name, "ANN": accuracy, "loss": accuracy - row["accuracy"], **row} for row in rows
    ]
    return told, right, _norm_factors(name, network)


def _label(args: argparse.Namespace) -> str:
    """What the first network is called."""
    rule = args.settings.thresholds
    return args.settings.net + ("" if rule == "auto" else f" ({rule})")


def _norm_factors(name: str, network: Network) -> list[scripts.Row]:
    found = []
    for number, layer in enumerate(network.spiking, start=1):
        theta = np.asarray(layer.theta, np.float64)
        row = {"net": name, "layer": number, "activation": layer.name}
        found.append(row | {"threshold": float(theta.mean()), "largest": float(theta.max())})
    return found


def draw(
    lines: Mapping[str, list[scripts.Row]], factors: Mapping[str, list[scripts.Row]], title: str
) -> Figure:
    """Accuracy against T, and the layers' thresholds.

    lines, factors: text of --nets -> rows. title: of the picture.
    """
    figure = Figure(figsize=(10.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    first = next(iter(lines.values()))
    scripts.draw_accuracy(left, lines, first[0]["ANN"])
    left.set_title(title, fontsize=10, parse_math=False)
    for k, rows in enumerate(factors.values()):
        colour, marker = scripts.LOOKS[k % len(scripts.LOOKS)]
        its = scripts.column(rows, "threshold")
        right.plot(scripts.column(rows, "layer"), its, color=colour, marker=marker, ms=3.5, lw=1)
    right.set(xlabel="layer", ylabel="threshold")
    labels = left.get_legend_handles_labels()
    figure.legend(*labels, loc="outside right center", frameon=False, fontsize=8)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=500, out="runs/trained_networks")
    words = f"files and names as above, separated by commas (default: {NETS})"
    parser.add_argument("--nets", default=NETS, help=words)
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    return scripts.run(study, parser, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    names = args.nets.split(",")
    if len({*names}) < len(names):
        raise InputError("--nets", "different networks or words", repr(args.nets), "name each once")
    for name in names:
        options(name, args.steps)
    first = _label(args)
    rows: list[scripts.Row] = []
    factors: list[scripts.Row] = []
    right: dict[Any, Any] = {}
    for name in tqdm([FIRST, *names], unit="network", disable=None, delay=2):
        found, its, thresholds = measure(args, name)
        rows, right, factors = rows + found, right | its, factors + thresholds
    scripts.paired(
        rows,
        right,
        lambda row: (row["net"], row["T"]),
        lambda key: (first, args.steps if key[1] == "rest" else key[1]),
    )
    write_csv(args.out / "trained_networks.csv", rows)
    write_csv(args.out / "norm_factors.csv", factors)
    timed = [row for row in rows if row["T"] != "rest"]
    images = rows[0]["images"]
    figure = draw(
        scripts.grouped(timed, "net"), scripts.grouped(factors, "net"), f"{images} images"
    )
    decided = scripts.words(rows)
    scripts.save(figure, args.out, "trained_networks", decided)
    last = {row["net"]: row for row in rows}  # of the largest T, or of rest
    shown = scripts.side_by_side(timed, "net", scripts.interval)
    for row in shown:
        its = last[row["net"]]
        row |= {
            "ANN": its["ANN"],
            "spikes": its["spikes"],
            "gained : lost": scripts.discordant(its),
        }
    print(f"{text_table(shown, FORMATS)}\n{decided}")
    print(f"\n{scripts.footnote(first, args.seed)}")


if __name__ == "__main__":
    sys.exit(main())
