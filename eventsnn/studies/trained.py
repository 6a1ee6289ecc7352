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
from eventsnn.inputs.loading import load_graph
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.studies import scripts, trainings
from eventsnn.views.tables import write_csv

REST = 256  # steps within which ST-BIF comes to rest
TITLE = (
    "Accuracy (%) of the spiking networks after T steps [95 % interval], and of their ANNs; "
    "spikes: of an image, after the last step; hours: of the processor, in training"
)
RECIPES = (
    "Mean ± standard deviation (n - 1) over the trainings of a recipe: accuracy (%) of the ANNs "
    "and after T steps, their loss (points), and spikes of an image"
)
# of a recipe's trainings: what a mean and a deviation are given of
NUMBERS = ("ANN", "accuracy", "loss", "spikes", "operations")
FORMATS = {"ANN": ("ANN", ".1%"), "spikes": ("spikes", ",.0f"), "hours": ("hours", ".3f")}


@dataclass(frozen=True)
class Way:
    """A trained network and how it is converted and run.

    label: its name in tables. net: a file or a name. conversion: options of `convert`; None: those
    of the command line. run: options of `simulate`. about: further columns of its rows. recipe:
    what it is a training of, where others of the same recipe are in the table; None: alone.
    """

    label: str
    net: str
    conversion: Mapping[str, Any] | None
    run: Mapping[str, Any]
    about: Mapping[str, Any]
    recipe: str | None = None


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


def compare(
    args: argparse.Namespace,
    ways: Sequence[Way],
    times: Sequence[int],
    name: str,
    where: str = "ways",
) -> None:
    """Runs all ways on the same images, prints the table and writes CSV files and the picture.

    Of recipes with several trainings a second table, trainings.csv, has mean and deviation.

    args: a script's options. ways: the first is the one that the others are compared with; all of
    a recipe have the same conversion and run. times: the T of the table, the largest at last. name:
    of the files. where: the option that ways are from, for messages. Raises InputError where ways
    of a recipe are no trainings of one.
    """
    _check_recipes(args, ways, where)
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
    recipes = {way.label: way.recipe for way in ways if way.recipe is not None}
    means = _means(rows, recipes)
    if means:
        write_csv(args.out / "trainings.csv", means)
    figure = _draw(timed, factors, recipes, title)
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
    if means:
        print()
        scripts.show(RECIPES, map(_said, means), scripts.words(means))
    trained = len({way.net for way in ways if way.recipe is not None})
    print(f"\n{scripts.footnote(first, args.seed, trainings=max(1, trained))}")


def _check_recipes(args: argparse.Namespace, ways: Sequence[Way], where: str) -> None:
    """Raises InputError where ways of a recipe are no trainings of one. All as of `compare`."""
    groups: dict[str, list[Way]] = {}
    for way in ways:
        if way.recipe is not None:
            groups.setdefault(way.recipe, []).append(way)
    for recipe, its in groups.items():
        if recipe in {way.label for way in ways}:
            do = "choose another name for the recipe"
            raise InputError(where, "a recipe with a name of its own", repr(recipe), do)
        for way in its:
            if (way.conversion, way.run) != (its[0].conversion, its[0].run):
                expected = f"trainings of {recipe!r}, converted and run alike"
                found, do = f"{its[0].label!r} and {way.label!r}", "name a recipe for each"
                raise InputError(where, expected, found, do)
        graphs = {way.label: load_graph(replace(args.settings, net=way.net)) for way in its}
        trainings.check(graphs, recipe, where)


def _means(rows: Sequence[scripts.Row], recipes: Mapping[str, str]) -> list[scripts.Row]:
    """Rows of `trainings.over` by T, with the conditions of each recipe. rows: of all ways."""
    decided = {recipes[row["net"]]: row["conditions"] for row in rows if row["net"] in recipes}
    means = trainings.over(rows, recipes, "T", NUMBERS)
    return [row | {"conditions": decided[row["recipe"]]} for row in means]


def _said(row: scripts.Row) -> scripts.Row:
    """A row of `_means` for the screen."""
    shown = {name: row[name] for name in ("recipe", "T", "trainings")}
    shown |= {name: trainings.words(row, name, 100) for name in ("ANN", "accuracy", "loss")}
    return shown | {"spikes": trainings.words(row, "spikes", 1, ",.0f")}


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
    rows: list[scripts.Row],
    factors: list[scripts.Row],
    recipes: Mapping[str, str],
    title: str,
) -> Figure:
    """Accuracy against T, and the layers' thresholds; of a recipe means, with a band of deviations.

    rows: of all networks, by T. factors: of all, by layer. recipes: name -> recipe.
    """
    figure = scripts.sheet(2, 4.1)
    left, right = figure.subplots(1, 2)
    lines = _lines(rows, recipes, "T", ("accuracy", "ANN"))
    bands = {*recipes.values()}
    scripts.draw_accuracy(left, lines, next(iter(lines.values()))[0]["ANN"], bands)
    left.set_title(title, fontsize=10, parse_math=False)
    its_factors = _lines(factors, recipes, "layer", ("threshold",))
    for k, (name, its) in enumerate(its_factors.items()):
        colour, marker = scripts.LOOKS[k % len(scripts.LOOKS)]
        layers, values = scripts.column(its, "layer"), scripts.column(its, "threshold")
        right.plot(layers, values, color=colour, marker=marker, ms=3.5, lw=1)
        if name in bands:
            ends = (scripts.column(its, end) for end in ("low", "high"))
            right.fill_between(layers, *ends, color=colour, alpha=0.2, lw=0)
    right.set(xlabel="layer", ylabel="threshold (ANN's activation)")
    scripts.plain(right)
    scripts.legend_below(figure, left)
    return figure


def _lines(
    rows: Sequence[scripts.Row], recipes: Mapping[str, str], by: str, numbers: Sequence[str]
) -> dict[str, list[scripts.Row]]:
    """Name -> rows of a line: a network's own, or the means of a recipe's trainings.

    "low" and "high" of a recipe are the ends of the band of the first of `numbers`. by, numbers: as
    of `trainings.over`.
    """
    means = scripts.grouped(trainings.over(rows, recipes, by, numbers), "recipe")
    lines: dict[str, list[scripts.Row]] = {}
    for net, its in scripts.grouped(rows, "net").items():
        recipe = recipes.get(net)
        if recipe is None:
            lines[net] = its
        elif recipe not in lines:
            mine = means[recipe]
            label = f"{recipe}: mean of {mine[0]['trainings']} trainings, ± deviation"
            lines[recipe] = [
                row | trainings.ends(row, numbers[0]) | {"label": label} for row in mine
            ]
    return lines
