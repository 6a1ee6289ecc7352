"""What the scripts in analysis/ have in common.

These are options, inputs, errors in one line, paired comparisons, and pictures in two formats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from eventsnn import statistics
from eventsnn.exceptions import InputError, in_flags
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import calibration_pixels, converted, load_inputs
from eventsnn.network.rules import OPTIONS, RULES
from eventsnn.result import Result
from eventsnn.settings import (
    GROUPS,
    Settings,
    add_option,
    given_values,
    help_of,
    layout,
    option_in,
)
from eventsnn.simulation.conditions import conditions, together
from eventsnn.statistics import bootstraps, compare, wilson
from eventsnn.views import plots
from eventsnn.views.tables import report_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eventsnn.ann.graph import Graph
    from eventsnn.data.images import Images
    from eventsnn.network.network import Network

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
# groups of a run's options that scripts have, too, and what of them no script takes: a study
# varies what a preset decides, and compares readouts that add up
SHARED = ("input", "conversion")
DECIDED = ("compat", "readout")

Row = dict[str, Any]
PAIRED = ("gained", "lost", "p", "p Holm")  # the columns of `paired`


def options(
    words: str | None, *, limit: int, out: str, without: Collection[str] = ()
) -> argparse.ArgumentParser:
    """An ArgumentParser with the options of a run's input and conversion, --seed and --out.

    They are those of `eventsnn.run`, from the same fields of `Settings`, and mean the same.

    words: the script's docstring. limit, out: what the two options are by default. without: names
    of fields that the script decides itself.
    """
    parser = argparse.ArgumentParser(description=words, formatter_class=layout)
    groups = {key: parser.add_argument_group(GROUPS[key]) for key in (*SHARED, "simulation")}
    for f in fields(Settings):
        group = option_in(f).group
        shared = group in SHARED and f.name not in DECIDED
        if (shared or f.name == "seed") and f.name not in without:
            default = str(limit) if f.name == "limit" else None
            add_option(groups[group], f, help_of(f, default), default)
    parser.add_argument("--out", type=Path, default=Path(out), help="folder for pictures, tables")
    return parser


def run(
    study: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Makes the folder and calls study(args), where args.settings are the `Settings`.

    study: the script's work. parser: its options. argv: its arguments (None: the command line's).
    Returns the exit status: 0, or 2 after one line for wrong input.
    """
    args = parser.parse_args(argv)
    try:
        args.settings = _settings(args)
        args.seed = args.settings.seed
        args.out.mkdir(parents=True, exist_ok=True)
        study(args)
    except (InputError, OSError) as error:
        words = error.flags if isinstance(error, InputError) else error
        print(f"error: {words}", file=sys.stderr)
        return 2
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    """The Settings of the options that scripts share with a run."""
    known = {f.name for f in fields(Settings) if option_in(f).group in SHARED} | {"seed"}
    shared = {name: value for name, value in vars(args).items() if name in known}
    return Settings(**given_values(argparse.Namespace(**shared)))


def given(args: argparse.Namespace) -> tuple[Graph, Images]:
    """(graph, labelled images) as the options say, by the functions of `eventsnn.run`.

    args: those of `options`. Raises InputError for files that cannot be read, images that do not
    fit the network, and images without labels.
    """
    graph, images, notes = load_inputs(args.settings)
    for note in notes:
        print(f"note: {in_flags(note)}", file=sys.stderr)
    if images.labels is None:
        where = f"--data {args.settings.data or images.name}"
        raise InputError(where, "images with labels", "none", "give such --data")
    return graph, images


def network_of(args: argparse.Namespace, graph: Graph, images: Images, **changes: Any) -> Network:
    """The spiking network, converted and calibrated as `eventsnn.run` does it.

    args: those of `options`. graph: the ANN. images: those to classify. changes: fields of Settings
    that the study decides, as thresholds="dni"; options that such a rule does not use are those it
    would have by default. Raises InputError where the network has no spiking form, and where
    calibration images are needed and missing, or are those to classify.
    """
    settings = args.settings
    if "thresholds" in changes:
        used = RULES.find(changes["thresholds"], "--thresholds").uses
        unused = {f.name: f.default for f in fields(Settings) if f.name in OPTIONS}
        changes = {name: x for name, x in unused.items() if name not in used} | changes
    settings = replace(settings, **changes)
    thresholds = read_given(settings.thresholds_file)
    pixels, _, _ = calibration_pixels(graph, images, settings, thresholds)
    return converted(graph, pixels, settings, thresholds)


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


def by_step(result: Result, steps: Iterable[int], seed: int = 0) -> list[Row]:
    """One row for each T of `steps`: accuracy, and spikes and operations per image.

    The two means have bootstrap intervals, "spikes low" and so on. Spikes and operations of SRP's
    first stage are among them. "conditions" are the result's.

    result: with labels. steps: the numbers T. seed: of the bootstrap.
    """
    steps = list(steps)
    before = np.zeros((len(result), 2))
    if result.batch.stage_one is not None:
        before = result.batch.stage_one.sum(axis=2)
    columns = {}
    for t in steps:
        columns["spikes", t] = result.spikes[:, :, :t].sum(axis=(1, 2)) + before[:, 0]
        columns["operations", t] = result.operations[:, :, :t].sum(axis=(1, 2)) + before[:, 1]
    found = bootstraps(columns, seed=seed)
    rows = []
    for t in steps:
        row = {"T": t, **accuracy(result, t)}
        for name in ("spikes", "operations"):
            row[name], row[f"{name} low"], row[f"{name} high"] = found[name, t][:3]
        rows.append({**row, "conditions": conditions(result.simulation)})
    return rows


def hits(result: Result, step: int | None = None) -> NDArray[np.bool_]:
    """Which images are classified as labelled, bool [N].

    result: with labels. step: after how many steps (None: all). Raises InputError without labels.
    """
    if result.labels is None:
        raise InputError("hits", "images with labels", "none")
    return result.predictions(step) == result.labels


def paired(
    rows: Sequence[Row],
    right: Mapping[Any, NDArray[np.bool_]],
    key: Callable[[Row], Any],
    reference: Callable[[Any], Any],
) -> None:
    """Adds to rows how they compare with their reference, image by image: one Holm family.

    The columns are "gained", images that this way alone has right, "lost", those that the reference
    alone has right, "p" and "p Holm"; None in rows that are their own reference or have no hits.

    rows: of a table. right: name -> hits, bool [N]. key: row -> its name there. reference: name ->
    that of the way it is compared with.
    """
    names = {key(row) for row in rows} & right.keys()
    pairs = {}
    for name in sorted(names, key=str):
        other = reference(name)
        if name != other and other in right:
            pairs[name] = (right[name], right[other])
    found = compare(pairs)
    for row in rows:
        its = found.get(key(row))
        row["gained"] = its.gained if its else None
        row["lost"] = its.lost if its else None
        row["p"] = its.p if its else None
        row["p Holm"] = its.holm if its else None


def discordant(row: Row) -> str:
    """A row's discordant images and p, as a cell of a table. row: after `paired`."""
    return "" if row["p"] is None else f"{row['gained']} : {row['lost']}, p = {row['p Holm']:.2g}"


def compact(rows: Iterable[Row]) -> list[Row]:
    """Rows for the screen: the columns of `paired` as one, without ends of bootstrap intervals and
    without conditions, which `words` says of all.
    """
    shown = []
    for row in bare(rows):
        dropped = {name for name in row if name in PAIRED or name.endswith((" low", " high"))}
        kept = {name: value for name, value in row.items() if name not in dropped}
        shown.append(kept | {"gained : lost": discordant(row)})
    return shown


def bare(rows: Iterable[Row]) -> list[Row]:
    """Rows for the screen, without conditions, which `words` says of all."""
    return [{name: value for name, value in row.items() if name != "conditions"} for row in rows]


def words(rows: Iterable[Row]) -> str:
    """What decided the results of a table or a picture, as a line. rows: with "conditions"."""
    return str(together(row["conditions"] for row in rows))


def squared_errors(
    result: Result, steps: Iterable[int], logits: NDArray[Any], seed: int = 0
) -> dict[int, Row]:
    """T -> {"mse", "mse low", "mse high"}: the readout against the ANN's logits, bootstrapped.

    result: of a run. steps: the numbers T. logits: of `ann.forward.logits`, [N, classes]. seed: of
    the bootstrap.
    """
    columns = {t: np.square(result.readout(t) - logits).mean(axis=1) for t in steps}
    found = bootstraps(columns, seed=seed)
    return {t: dict(zip(("mse", "mse low", "mse high"), its[:3])) for t, its in found.items()}


def footnote(reference: str, seed: int) -> str:
    """What stands under a table of paired comparisons and of means with intervals.

    reference: the way that all others are compared with. seed: of the bootstrap.
    """
    return f"{statistics.footnote(reference)}\n{statistics.bootstrap_words(seed=seed)}"


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
    labels = [plots.shown(names[i]) for i in shown]
    axes.set_xticks(shown, labels, rotation=90, fontsize=7, parse_math=False)
    axes.margins(x=0.01)
    plain(axes, "y")


def plain(axes: Axes, grid: Any = "both") -> None:
    """Draws a light grid behind the picture, and takes the frame above and on the right away.

    axes: of the picture. grid: "x", "y" or "both".
    """
    axes.grid(axis=grid, color="0.88", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, out: Path, name: str, conditions: str) -> None:
    """Writes a figure as PNG and SVG.

    out: the folder. name: of the files, without suffix. conditions: what decided it, as `words`
    says it; it stands above the picture ("": nothing was simulated).
    """
    plots.caption(figure, conditions)
    plots.save(figure, out / f"{name}.png", dpi=150)
    plots.save(figure, out / f"{name}.svg")
