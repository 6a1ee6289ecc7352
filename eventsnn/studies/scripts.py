"""What the scripts in analysis/ have in common.

These are options, errors in one line, accuracies with intervals, and pictures in two formats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullLocator, StrMethodFormatter

from eventsnn.data.images import Images, load_images
from eventsnn.exceptions import InputError
from eventsnn.plugins import load_plugins
from eventsnn.readers import load
from eventsnn.result import Result
from eventsnn.statistics import wilson
from eventsnn.views.tables import report_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eventsnn.ann.graph import Graph

# colour and marker of each line
LOOKS = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#000000", "P"),
    ("#56B4E9", "X"),
    ("#999999", "p"),
)
APART = 0.045  # of a doubling of T, between the bars of neighbouring lines
MOST_NAMES = 40  # with more layers not all are named
CALIBRATION = 128  # training images that thresholds are found on

Row = dict[str, Any]


def options(words: str | None, *, limit: int, out: str) -> argparse.ArgumentParser:
    """An ArgumentParser with --net, --data, --limit and --out.

    words: the script's docstring. limit, out: what the two options are by default.
    """
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=words, formatter_class=as_written)
    add = parser.add_argument
    add("--net", default="sample", help="checkpoint, or 'sample'")
    add("--data", default="sample", help="images with labels, as for eventsnn.run")
    add("--limit", type=int, default=limit, help="number of test images")
    add("--plugin", help="files of Python that register models and the like (docs/extend)")
    add("--out", type=Path, default=Path(out), help="folder for pictures and tables")
    return parser


def run(
    study: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Makes the folder and calls study(args).

    study: the script's work. parser: its options. argv: its arguments (None: the command line's).
    Returns the exit status: 0, or 2 after one line for wrong input.
    """
    args = parser.parse_args(argv)
    try:
        load_plugins(args.plugin)
        args.out.mkdir(parents=True, exist_ok=True)
        study(args)
    except (InputError, OSError) as error:
        words = error.flags if isinstance(error, InputError) else error
        print(f"error: {words}", file=sys.stderr)
        return 2
    return 0


def given(args: argparse.Namespace) -> tuple[Graph, Images, Images]:
    """(graph, test images, calibration images) as --net, --data and --limit say.

    args: those of `options`. Raises InputError for files that cannot be read.
    """
    graph = load(args.net)
    images = load_images(args.data, limit=args.limit)
    return graph, images, load_images(args.data, split="train", limit=CALIBRATION)


def title(graph: Graph, *words: str) -> str:
    """A picture's title: the architecture of a graph, and `words` behind it, between commas."""
    return ", ".join([graph.meta.get("arch", "network"), *words])


def whole_numbers(words: str, option: str) -> list[int]:
    """The numbers, from 1, of an option such as --members 1,2,4.

    words: what was given. option: its name, for the message. Raises InputError for anything else.
    """
    if not all(word.isdecimal() and int(word) for word in words.split(",")):
        raise InputError(
            option,
            "whole numbers from 1, separated by commas",
            repr(words),
            f"for example {option} 1,4",
        )
    return [int(word) for word in words.split(",")]


def accuracy(result: Result, step: int) -> Row:
    """The share of hits with its 95 % interval (Wilson): {"images", "accuracy", "low", "high"}.

    result: with labels. step: after how many steps.
    """
    hits = round(result.accuracy(step) * len(result))
    low, high = wilson(hits, len(result))
    return {"images": len(result), "accuracy": hits / len(result), "low": low, "high": high}


def by_step(result: Result, steps: Iterable[int]) -> list[Row]:
    """One row for each T of `steps`: accuracy, and spikes and operations per image.

    result: with labels. Spikes and operations of SRP's first stage are among them.
    """
    before = np.zeros(2)
    if result.batch.stage_one is not None:
        before = result.batch.stage_one.sum(axis=(0, 2))
    rows = []
    for t in steps:
        spikes = result.spikes[:, :, :t].sum() + before[0]
        operations = result.operations[:, :, :t].sum() + before[1]
        row = {"T": t, **accuracy(result, t)}
        row["spikes"] = float(spikes / len(result))
        row["operations"] = float(operations / len(result))
        rows.append(row)
    return rows


def interval(row: Row) -> str:
    """A row's accuracy and its interval in percent, as a cell of a table. row: of `by_step`."""
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.0f}-{100 * row['high']:.0f}]"


def column(rows: Iterable[Row], key: str, factor: float = 1) -> list[Any]:
    """Column `key` of rows, times a factor."""
    return [row[key] if factor == 1 else factor * row[key] for row in rows]


def only(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The rows in which the columns have these values. values: column -> value."""
    return [row for row in rows if values.items() <= row.items()]


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """The values in column `key` of rows, each once, in order."""
    return list(dict.fromkeys(row[key] for row in rows))


def grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """The rows by value: {value in column `key`: its rows}, in order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def side_by_side(rows: Iterable[Row], key: str, cell: Callable[[Row], Any]) -> list[Row]:
    """Rows as the papers' tables have them: one for each value, with a column for each T.

    rows: with T. key: the column whose values they are. cell: row -> what stands there.
    """
    table = []
    for value, mine in grouped(rows, key).items():
        cells = {f"T = {row['T']}": cell(row) for row in mine}
        table.append({key: value} | cells)
    return table


def draw_accuracy(axes: Axes, lines: Mapping[str, Sequence[Row]], ann_accuracy: float) -> None:
    """Draws accuracy against T: bars are 95 % intervals, dashes the ANN.

    axes: where. lines: label -> rows of `by_step`. ann_accuracy: the ANN's.
    """
    for k, (label, rows) in enumerate(lines.items()):
        colour, marker = LOOKS[k % len(LOOKS)]
        values = 100 * np.array(column(rows, "accuracy"))
        ends = 100 * np.array([column(rows, end) for end in ("low", "high")])
        x = np.array(column(rows, "T")) * 2 ** (APART * (k - (len(lines) - 1) / 2))
        bars = np.abs(ends - values)
        axes.errorbar(x, values, bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.45)
        axes.plot(x, values, color=colour, marker=marker, ms=4.5, lw=1.3, label=label)
    axes.axhline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN")
    axes.set_ylabel("accuracy (%)")
    step_axis(axes, max(max(column(rows, "T")) for rows in lines.values()))


def draw_errors(axes: Axes, lines: Mapping[Any, Sequence[Row]]) -> None:
    """Draws the mean squared error of the readout against T.

    axes: where. lines: label -> rows with T and mse.
    """
    for (colour, marker), rows in zip(LOOKS * len(lines), lines.values()):
        t, errors = column(rows, "T"), column(rows, "mse")
        axes.plot(t, errors, color=colour, marker=marker, ms=4.5, lw=1.3)
    all_rows = [row for rows in lines.values() for row in rows]
    step_axis(axes, max(column(all_rows, "T")))
    error_axis(axes, column(all_rows, "mse"))


def step_axis(axes: Axes, most: int, label: str = "time steps T") -> None:
    """Makes the horizontal axis logarithmic in steps.

    axes: whose. most: the largest step. label: what stands under the axis.
    """
    ticks = [t for t in report_steps(most) if t == most or 1.4 * t < most]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    plain(axes)


def error_axis(axes: Axes, errors: Iterable[float]) -> None:
    """Makes the vertical axis logarithmic, for mean squared errors of the readout.

    axes: whose. errors: all that are drawn; those of a readout that is the ANN's to the last digit
    fall off the axis.
    """
    visible = [error for error in errors if error > 1e-6] or [1.0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(0.5 * min(visible), 2 * max(visible))
    axes.set_ylabel("mean squared error")
    axes.set_title("readout against the ANN's output", fontsize=10)


def layer_axis(axes: Axes, names: Sequence[str]) -> None:
    """Writes the layers' names under the places 0, 1, … of the horizontal axis.

    axes: whose. names: of all layers.
    """
    shown = range(0, len(names), (len(names) - 1) // MOST_NAMES + 1)
    axes.set_xticks(shown, [names[i] for i in shown], rotation=90, fontsize=7, parse_math=False)
    axes.margins(x=0.01)
    plain(axes, "y")


def plain(axes: Axes, grid: Any = "both") -> None:
    """Draws a light grid behind the picture, and takes the frame above and on the right away.

    axes: of the picture. grid: "x", "y" or "both".
    """
    axes.grid(axis=grid, color="0.88", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, out: Path, name: str) -> None:
    """Writes a figure as PNG and SVG. out: the folder. name: of the files, without suffix."""
    figure.savefig(out / f"{name}.png", dpi=150)
    figure.savefig(out / f"{name}.svg")
