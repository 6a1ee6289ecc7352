"""What the scripts in analysis/ have in common: options, errors in one line, accuracies with
intervals, pictures in two formats.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullLocator, StrMethodFormatter

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.views.tables import report_steps, wilson

LOOKS = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#000000", "P"),
    ("#56B4E9", "X"),
    ("#999999", "p"),
)  # colour and marker of each line
APART = 0.045  # of a doubling of T, between the bars of neighbouring lines
MOST_NAMES = 40  # with more layers not all are named
CALIBRATION = 128  # training images that thresholds are found on


def options(words, *, limit, out):
    """An ArgumentParser with --net, --data, --limit and --out; words: the script's docstring."""
    parser = argparse.ArgumentParser(
        description=words, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", default="sample", help="checkpoint, or 'sample'")
    parser.add_argument("--data", default="sample", help="images with labels, as for eventsnn.run")
    parser.add_argument("--limit", type=int, default=limit, help="number of test images")
    parser.add_argument(
        "--out", type=Path, default=Path(out), help="folder for pictures and tables"
    )
    return parser


def run(study, parser, argv=None):
    """Make the folder and call study(args); returns the exit status: 0, or 2 after one line for
    wrong input.
    """
    args = parser.parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        study(args)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def given(args):
    """(graph, test images, calibration images) as --net, --data and --limit say."""
    return (
        eventsnn.load(args.net),
        eventsnn.load_images(args.data, limit=args.limit),
        eventsnn.load_images(args.data, split="train", limit=CALIBRATION),
    )


def whole_numbers(words, option):
    """The numbers, from 1, of an option such as --members 1,2,4."""
    if not all(word.isdecimal() and int(word) for word in words.split(",")):
        raise InputError(
            option,
            "whole numbers from 1, separated by commas",
            repr(words),
            f"for example {option} 1,4",
        )
    return [int(word) for word in words.split(",")]


def accuracy(result, step):
    """{"images", "accuracy", "low", "high"} of a `Result` after `step` steps: the share of hits
    with its 95 % interval (Wilson).
    """
    hits = round(result.accuracy(step) * len(result))
    low, high = wilson(hits, len(result))
    return {"images": len(result), "accuracy": hits / len(result), "low": low, "high": high}


def by_step(result, steps):
    """One row for each T of `steps`: accuracy, spikes and operations per image, those of SRP's
    first stage among them.
    """
    before = (
        result.batch.stage_one.sum(axis=(0, 2))
        if result.batch.stage_one is not None
        else np.zeros(2)
    )
    return [
        {
            "T": t,
            **accuracy(result, t),
            "spikes": float((result.spikes[:, :, :t].sum() + before[0]) / len(result)),
            "operations": float((result.operations[:, :, :t].sum() + before[1]) / len(result)),
        }
        for t in steps
    ]


def interval(row):
    """A row's accuracy and its interval in percent, as a cell of a table."""
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.0f}-{100 * row['high']:.0f}]"


def grouped(rows, key):
    """{value of column `key`: its rows}, in order."""
    groups: dict = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def side_by_side(rows, key, cell):
    """Rows as the papers' tables have them: one for each value of column `key`, a column for each
    T; cell(row) stands there.
    """
    return [
        {key: value} | {f"T = {row['T']}": cell(row) for row in mine}
        for value, mine in grouped(rows, key).items()
    ]


def draw_accuracy(axes, lines, ann_accuracy):
    """Accuracy against T, one line for each label -> rows of `by_step`; bars are 95 % intervals,
    dashes the ANN.
    """
    for k, (label, rows) in enumerate(lines.items()):
        colour, marker = LOOKS[k % len(LOOKS)]
        values = 100 * np.array([row["accuracy"] for row in rows])
        bars = np.abs(
            100 * np.array([[row[end] for row in rows] for end in ("low", "high")]) - values
        )
        x = np.array([row["T"] for row in rows]) * 2 ** (APART * (k - (len(lines) - 1) / 2))
        axes.errorbar(x, values, bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.45)
        axes.plot(x, values, color=colour, marker=marker, ms=4.5, lw=1.3, label=label)
    axes.axhline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN")
    axes.set_ylabel("accuracy (%)")
    step_axis(axes, max(row["T"] for rows in lines.values() for row in rows))


def step_axis(axes, most, label="time steps T"):
    """Make the horizontal axis logarithmic in steps up to `most`."""
    ticks = [t for t in report_steps(most) if t == most or 1.4 * t < most]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    plain(axes)


def error_axis(axes, errors):
    """Make the vertical axis logarithmic, for mean squared errors of the readout; what is the ANN's
    to the last digit falls off it.
    """
    visible = [error for error in errors if error > 1e-6] or [1.0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(0.5 * min(visible), 2 * max(visible))
    axes.set_ylabel("mean squared error")
    axes.set_title("readout against the ANN's output", fontsize=10)


def layer_axis(axes, names):
    """Write the layers' names under the places 0, 1, … of the horizontal axis."""
    shown = range(0, len(names), (len(names) - 1) // MOST_NAMES + 1)
    axes.set_xticks(shown, [names[i] for i in shown], rotation=90, fontsize=7, parse_math=False)
    axes.margins(x=0.01)
    plain(axes, "y")


def plain(axes, grid="both"):
    """A light grid behind the picture, and no frame above and on the right."""
    axes.grid(axis=grid, color="0.88", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure, out, name):
    """The figure as PNG and SVG."""
    figure.savefig(out / f"{name}.png", dpi=150)
    figure.savefig(out / f"{name}.svg")
