"""Networks that were trained in different ways, side by side: accuracy, loss and thresholds."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.studies import scripts
from eventsnn.views.tables import write_csv

REST = 256  # steps within which ST-BIF comes to rest
TITLE = (
    "Accuracy (%) of the spiking networks after T steps [95 % interval], and of their ANNs; "
    "spikes: of an image, after the last step; hours: of the processor, in training"
)
FORMATS = {"ANN": ("ANN", ".1%"), "spikes": ("spikes", ",.0f"), "hours": ("hours", ".3f")}


@dataclass(frozen=True)
class Way:
    """A trained network and how it is converted and run.

    label: its name in tables. net: a file or a name. conversion: options of `convert`; None: those
    of the command line. run: options of `simulate`. about: further columns of its rows.
    """

    label: str
    net: str
    conversion: Mapping[str, Any] | None
    run: Mapping[str, Any]
    about: Mapping[str, Any]


def way_of(
    text: str, steps: int, label: str | None = None, *, where: str = "a network", **about: Any
) -> Way:
    """The way that a text names: a network, then words behind plus signs.

    text: as fashion_tcl+zero. steps: the largest T. label: its name; None: the text. where: what
    gave the text, in messages. about: further columns. Raises InputError for words that there are
    not.
    """
    net, *words = text.split("+")
    conversion: dict[str, Any] = {"thresholds": "auto"}
    settings: dict[str, Any] = {"steps": steps}
    for word in words:
        percentile = re.fullmatch(r"p(\d+(?:\.\d+)?)", word)
        if percentile:
            conversion |= {"thresholds": "percentile", "percentile": float(percentile[1])}
        elif word == "max":
            conversion |= {"thresholds": "max"}
        elif word == "zero":
            settings |= {"initial": 0.0}
        elif word == "snm":
            settings |= {"neuron": "snm"}
        elif word == "st-bif":
            settings |= {"neuron": "st-bif", "encoding": "even", "steps": max(REST, steps)}
        else:
            expected = "max, pP, zero, snm or st-bif behind a plus"
            raise InputError(where, expected, repr(word), "for example fashion_tcl+snm")
    return Way(text if label is None else label, net, conversion, settings, about)


def compare(args: argparse.Namespace, ways: Sequence[Way], times: Sequence[int], name: str) -> None:
    """Runs all ways on the same images, prints the table and writes CSV files and the picture.

    args: a script's options. ways: the first is the one that the others are compared with. times:
    the T of the table, the largest at last. name: of the files.
    """
    rows: list[scripts.Row] = []
    factors: list[scripts.Row] = []
    right: dict[Any, Any] = {}
    for way in scripts.each(ways, "network"):
        found, its, thresholds = _measure(args, way, times)
        rows, right, factors = rows + found, right | its, factors + thresholds
    first = ways[0].label
    scripts.paired(
        rows,
        right,
        lambda row: (row["net"], row["T"]),
        lambda key: (first, times[-1] if key[1] == "rest" else key[1]),
    )
    write_csv(args.out / f"{name}.csv", rows)
    write_csv(args.out / "norm_factors.csv", factors)
    timed = [row for row in rows if row["T"] != "rest"]
    title = f"{rows[0]['images']} images"
    figure = _draw(scripts.grouped(timed, "net"), scripts.grouped(factors, "net"), title)
    decided = scripts.words(rows)
    scripts.save(figure, args.out, name, decided)
    last = {row["net"]: row for row in rows}  # of the largest T, or of rest
    rest = any(row["T"] == "rest" for row in rows)
    shown = scripts.side_by_side(timed, "net", scripts.interval)
    for row, way in zip(shown, ways):
        its = last[row["net"]]
        row |= {"ANN": its["ANN"]}
        if rest:
            row |= {"at rest": scripts.interval(its) if its["T"] == "rest" else "-"}
        row |= {"spikes": its["spikes"], "gained : lost": scripts.discordant(its), **way.about}
    scripts.show(TITLE, shown, decided, FORMATS)
    print(f"\n{scripts.footnote(first, args.seed)}")


def _measure(
    args: argparse.Namespace, way: Way, times: Sequence[int]
) -> tuple[list[scripts.Row], dict[Any, Any], list[scripts.Row]]:
    """(a row for each T, and "rest" for st-bif; (label, T) -> hits; the layers' thresholds)."""
    its = argparse.Namespace(**vars(args))
    its.settings = replace(args.settings, net=way.net)
    graph, images, logits = scripts.given(its)
    network = scripts.network_of(its, graph, images, **(way.conversion or {}))
    result = simulate(network, images, batch=4, seed=args.seed, progress=True, **way.run)
    its_times = list(dict.fromkeys([*times, way.run["steps"]]))
    accuracy = float(np.mean(ann.classes_of(logits) == images.labels))
    rows = scripts.by_step(result, its_times, args.seed)
    right: dict[Any, Any] = {(way.label, t): scripts.hits(result, t) for t in its_times}
    if way.run["steps"] != times[-1]:
        rows[-1]["T"] = "rest"
        right[way.label, "rest"] = right.pop((way.label, way.run["steps"]))
    told = [
        {"net": way.label, "ANN": accuracy, "loss": accuracy - row["accuracy"], **row, **way.about}
        for row in rows
    ]
    return told, right, _norm_factors(way.label, network)


def _norm_factors(label: str, network: Network) -> list[scripts.Row]:
    found = []
    for number, layer in enumerate(network.spiking, start=1):
        theta = np.asarray(layer.theta, np.float64)
        row = {"net": label, "layer": number, "activation": layer.name}
        found.append(row | {"threshold": float(theta.mean()), "largest": float(theta.max())})
    return found


def _draw(
    lines: Mapping[str, list[scripts.Row]], factors: Mapping[str, list[scripts.Row]], title: str
) -> Figure:
    """Accuracy against T, and the layers' thresholds. lines, factors: label -> rows."""
    figure = scripts.sheet(2, 4.1)
    left, right = figure.subplots(1, 2)
    first = next(iter(lines.values()))
    scripts.draw_accuracy(left, lines, first[0]["ANN"])
    left.set_title(title, fontsize=10, parse_math=False)
    for k, rows in enumerate(factors.values()):
        colour, marker = scripts.LOOKS[k % len(scripts.LOOKS)]
        its = scripts.column(rows, "threshold")
        right.plot(scripts.column(rows, "layer"), its, color=colour, marker=marker, ms=3.5, lw=1)
    right.set(xlabel="layer", ylabel="threshold (ANN's activation)")
    scripts.plain(right)
    scripts.legend_below(figure, left)
    return figure
