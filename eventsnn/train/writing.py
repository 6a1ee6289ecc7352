"""What a training leaves: the network as a checkpoint of eventsnn, and its learning curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.files.writing import new_file
from eventsnn.readers import load, save
from eventsnn.readers.torch.module import load_torch
from eventsnn.train.files import CURVES, NORMS
from eventsnn.train.recipe import Recipe
from eventsnn.train.sets import Sets


def graph_of(
    module: Any, recipe: Recipe, sets: Sets, accuracy: float, about: dict[str, Any]
) -> Graph:
    """A trained module as a Graph that says where it comes from.

    module: the network; it stays as it is. recipe, sets: it was trained with. accuracy: on all test
    images. about: names of data and classes, as a recipe may give them. Raises InputError as
    `load_torch` does, and for names that do not fit.
    """
    shape = tuple(sets.train.shape[1:])
    graph = load_torch(module.cpu(), shape, preprocessing=sets.preprocessing)
    how = f"{recipe.epochs} epochs, seed {recipe.seed}"
    data = about.get("data", sets.name)
    meta: dict[str, Any] = {
        "arch": recipe.arch,
        "activation": recipe.activation,
        "note": f"{recipe.activation}; trained on {data} by eventsnn.train, {how}",
    }
    if recipe.arch == "yolo":
        meta["note"] += f"; mAP at 0.5 {accuracy:.4f}"
    else:
        meta["test_accuracy"] = float(accuracy)
    classes = list(about.get("classes", sets.classes))
    if classes and len(classes) != sets.count:
        raise InputError("classes", f"{sets.count} names", len(classes), "repair the recipe")
    if classes:
        meta["classes"] = classes
    return replace(graph, source=recipe.arch, meta=meta)


def write_network(graph: Graph, path: Path) -> Graph:
    """Writes a graph as a checkpoint, and returns it as read back. path: the file."""
    save(graph, path)
    return load(path)


def write_curves(
    out: Path, curves: Sequence[dict[str, float]], norms: Sequence[dict[str, float]]
) -> None:
    """Writes curves.csv, norm_factors.csv and curves.png (TCL Fig. 3, 4 and 5) into a folder.

    out: the folder. curves: a row for each epoch. norms: likewise, name -> threshold.
    """
    _write_csv(out / CURVES, curves)
    if norms and norms[0]:
        rows = [{"epoch": row["epoch"]} | found for row, found in zip(curves, norms)]
        _write_csv(out / NORMS, rows)
    _draw(out / "curves.png", curves, norms)


def _write_csv(path: Path, rows: Sequence[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with new_file(path) as file:
        file.write(text.getvalue().encode())


def _draw(
    path: Path, curves: Sequence[dict[str, float]], norms: Sequence[dict[str, float]]
) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    from eventsnn.views.figures import BLUE, DPI, ORANGE, PANEL, Picture, legend_below

    epochs = [row["epoch"] for row in curves]
    names = list(norms[0]) if norms else []
    panels = 3 if names else 2
    figure = Picture(figsize=(PANEL * panels - (panels > 2), 3.4), layout="constrained")
    losses, accuracies, *others = figure.subplots(1, panels)
    for axes, kind, factor in ((losses, "loss", 1), (accuracies, "accuracy", 100)):
        for split, colour, mark in (("training", BLUE, "o"), ("test", ORANGE, "s")):
            values = [factor * row[f"{split}_{kind}"] for row in curves]
            axes.plot(epochs, values, color=colour, marker=mark, ms=3, lw=1.3, label=split)
    losses.set_ylabel("loss")
    accuracies.set_ylabel("accuracy (%)")
    for factors in others:
        for place, name in enumerate(names):
            shade = colormaps["viridis"](0.9 * place / max(1, len(names) - 1))
            factors.plot(epochs, [found[name] for found in norms], color=shade, lw=1.2)
        factors.set_ylabel("threshold (ANN's activation)")
        factors.set_title("layers: first dark, last light", fontsize=9)
    for axes in figure.axes:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.grid(color="0.88", lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    legend_below(figure, losses)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)
