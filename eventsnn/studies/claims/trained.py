"""Claims that take trained networks, from the tables that analysis/training_figures.py wrote."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.statistics import mcnemar
from eventsnn.studies.claims.bench import Bench
from eventsnn.studies.claims.findings import Finding, NotRun
from eventsnn.studies.folder import RECORD

Row = Mapping[str, Any]
# options of training_figures that decide its tables -> their values where they are left out
OPTIONS = {
    "figure": None,
    "net": "fashion_relu",
    "net_arch": "resnet8",
    "width": 0.5,
    "data": None,
    "limit": "500",
    "epochs": 2,
    "training_images": 20000,
    "rate": 0.02,
    "precision": "float32",
    "seed": 0,
    "steps": 32,
    "report_steps": None,
    "trained": "runs/trained",
}
Judge = Callable[[Bench], list[Finding]]


def made_by(folder: Path) -> str | None:
    """The command that made the tables in a folder; None where there are none, or no study.json.

    folder: that `training_figures` left.
    """
    if not (folder / "training_figures.csv").is_file():
        return None
    try:
        options = json.loads((folder / RECORD).read_text("utf-8"))["options"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if not isinstance(options, dict):
        return None
    words = ["python", "analysis/training_figures.py"]
    for name, default in OPTIONS.items():
        value = options.get(name)
        if value is not None and str(value) != str(default):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*words, "--out", f"runs/training/{folder.name}"])


def row_of(rows: list[dict[str, Any]], net: str, t: Any) -> Row:
    """The row of a network at T, or "rest". Raises NotRun where the table lacks it."""
    for row in rows:
        if row["net"] == net and row["T"] == t:
            return row
    raise NotRun(f"a row of {net} at T = {t}, which the table lacks")


def better(figure: str, first: str, second: str, t: Any, least: float = 0.0) -> Judge:
    """That one network has more images right than another, on the same images.

    One of the two has to be the first of the figure, with which its table compares the others.
    figure: of training_figures. first, second: labels. t: T, or "rest".
    """

    def judge(bench: Bench) -> list[Finding]:
        rows = bench.table(figure)
        one, other = row_of(rows, first, t), row_of(rows, second, t)
        compared, sign = (one, 1) if one["gained"] is not None else (other, -1)
        if compared["gained"] is None or second != rows[0]["net"] and first != rows[0]["net"]:
            raise NotRun(f"{first} and {second} were not compared with each other")
        return [_paired(f"{first} against {second}, T = {t}", compared, sign, least)]

    return judge


def best(figure: str, first: str, others: Sequence[str], times: Sequence[Any]) -> Judge:
    """That the first network of a figure has more images right than all others, at every T.

    figure, first: as for `better`. others: labels. times: T, or "rest", of each.
    """
    judges = [better(figure, first, other, t) for other in others for t in times]
    return lambda bench: [found for judge in judges for found in judge(bench)]


def _paired(words: str, row: Row, sign: int, least: float) -> Finding:
    """A difference of accuracies with its interval, of discordant images (Wald, paired)."""
    gained, lost, images = (float(row[name]) for name in ("gained", "lost", "images"))
    share = sign * (gained - lost) / images
    variance = (gained + lost - (gained - lost) ** 2 / images) / images**2
    half = 1.96 * float(np.sqrt(variance))
    p = mcnemar(int(gained), int(lost))
    return Finding(words, share, share - half, share + half, least, None, p, "+.1%")


def faster(figure: str, first: str, second: str, most: float) -> Judge:
    """That training takes less than `most` times as long: a measured time, without an interval."""

    def judge(bench: Bench) -> list[Finding]:
        rows = bench.table(figure)
        one, other = (float(row_of(rows, net, 2)["hours"]) for net in (first, second))
        if not other:
            raise NotRun("hours of training, which the table lacks")
        value = one / other
        return [Finding(f"hours of {first}, of {second}'s", value, value, value, most=most)]

    return judge


def smaller_factors(figure: str, first: str, second: str) -> Judge:
    """That a network's thresholds are below another's, the mean of layers of the log of ratios."""

    def judge(bench: Bench) -> list[Finding]:
        rows = bench.table(figure, "norm_factors")
        of = {
            net: np.array([float(row["threshold"]) for row in rows if row["net"] == net])
            for net in (first, second)
        }
        if not len(of[first]) or len(of[first]) != len(of[second]):
            raise NotRun(f"thresholds of {first} and {second}, which the table lacks")
        logs = np.log(of[first] / of[second])
        half = _t(len(logs)) * logs.std(ddof=1) / np.sqrt(len(logs))
        value, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist()
        words = f"thresholds of {first}, of {second}'s, geometric mean of layers"
        return [Finding(words, value, low, high, most=1.0, form=".3f")]

    return judge


def _t(count: int) -> float:
    """Student's t of a two-sided 95 % interval of `count` values."""
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1))


def lower_ann(figure: str, first: str, second: str, margin: float) -> Judge:
    """That a network's ANN is below another's by more than a margin: two Wilson intervals.

    Tables have no paired comparison of ANNs, so the interval is that of independent shares.
    """

    def judge(bench: Bench) -> list[Finding]:
        rows = bench.table(figure)
        one, other = (
            next((row for row in rows if row["net"] == net), None) for net in (first, second)
        )
        if one is None or other is None:
            raise NotRun(f"ANNs of {first} and {second}, which the table lacks")
        a, b, n = float(one["ANN"]), float(other["ANN"]), float(one["images"])
        half = 1.96 * float(np.sqrt((a * (1 - a) + b * (1 - b)) / n))
        words = f"ANN of {first} less that of {second}"
        return [Finding(words, a - b, a - b - half, a - b + half, most=-margin, form="+.1%")]

    return judge
