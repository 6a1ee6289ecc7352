"""What a page needs of a results folder, checked before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.runs.report import CHANGED, OPERATIONS
from eventsnn.runs.results import Results

DO = "it is damaged or of an older version: run again"
NUMBER = "a number"
TEXT = "text"
KINDS: dict[str, Any] = {TEXT: str, "a list": list, "a group": dict}
# where -> what must be there; "… or none" may be null
SUMMARY = {
    "ann_accuracy": "a number or none",
    "notes": "a list",
    "settings": "a group",
    "network": "a group",
    "network/sha256": TEXT,
    "network/file": TEXT,
    "network/preprocessing": TEXT,
    "data": "a group",
    "data/name": TEXT,
    "data/sha256": TEXT,
    "data/calibration": TEXT,
    "data/pixel_range_source": TEXT,
    "data/pixel_range": "a list",
    "semantics": "a group",
    "versions": "a group",
    "meaning": "a group",
    "cost_meaning": "a group",
    "cost_per_image": "a group",
    "running": "a group",
    "running/workers": NUMBER,
    "seconds_simulation": NUMBER,
}
OPTIONAL = {
    "equilibrium": ("mean_t_eq", "largest_t_eq", "images_not_at_rest"),
    "stage_one": ("steps", "spikes_per_image", OPERATIONS),
    "cores": ("ticks_per_step", "mean_end", "busy_of_busiest", "undelivered_per_image"),
}
CORES = ("busy", "queue", "longest", "undelivered")
LABELLED = ("accuracy", "accuracy_low", "accuracy_high", "only_snn_right", "only_ann_right")
ACCURACY = ("T", "agreement_with_ann", "readout_mse", "spikes_per_image", OPERATIONS)
LAYERS = ("neurons", "theta", "rate", "spikes_per_image", OPERATIONS, "ties_per_image")


def check(results: Results) -> None:
    """Raises InputError for the first thing that a page needs and that is not as a run leaves it.

    results: of the run.
    """
    summary, where = results.summary, f"{results.folder}: summary.json"
    for path, kind in SUMMARY.items():
        found: Any = summary
        for key in path.split("/"):
            found = found.get(key) if isinstance(found, dict) else None
        _check(f"{where}: {path}", found, kind)
    for key in summary["cost_per_image"]:
        _numbers(f"{where}: cost_per_image", summary["cost_per_image"], (key,))
    if summary.get("changed_ann_accuracy") is not None:
        _numbers(where, summary, ["changed_ann_accuracy"])
    for key, names in OPTIONAL.items():
        if key in summary:
            _check(f"{where}: {key}", summary[key], "a group")
            _numbers(f"{where}: {key}", summary[key], names)
    if "cores" in summary:
        _check(f"{where}: cores/busiest", summary["cores"].get("busiest"), TEXT)
        told = [key for key in ("mean_latency", "largest_latency") if key in summary["cores"]]
        _numbers(f"{where}: cores", summary["cores"], told)
    ends = summary["data"]["pixel_range"]
    _numbers(f"{where}: data/pixel_range", dict(enumerate(ends)), (0, 1))
    labels = summary["ann_accuracy"] is not None
    for row in results.accuracy:
        needed = (*ACCURACY, *(*LABELLED, "p_holm") * labels)
        _numbers(f"{results.folder}: accuracy.csv", row, needed)
        _numbers(f"{results.folder}: accuracy.csv", row, [key for key in CHANGED if key in row])
        if not labels and row.get("accuracy") is not None:
            raise InputError(f"{results.folder}: accuracy.csv", "no accuracy", "one", DO)
    steps = [row["T"] for row in results.accuracy]
    if steps != sorted(set(steps)) or not 1 <= steps[0] <= steps[-1] <= results.settings["steps"]:
        raise InputError(f"{results.folder}: accuracy.csv", "T in ascending order", steps, DO)
    for row in results.layers:
        _numbers(f"{results.folder}: layers.csv", row, (*LAYERS, *CORES * ("busy" in row)))
        for key in ("layer", "activation", "shape"):
            _check(f"{results.folder}: layers.csv: {key}", row.get(key), TEXT)


def _numbers(where: str, row: Mapping[Any, Any], keys: Any) -> None:
    for key in keys:
        _check(f"{where}: {key}", row.get(key), NUMBER)


def _check(where: str, value: Any, kind: str) -> None:
    """Raises InputError unless a value is of a kind."""
    if value is None and kind.endswith(" or none"):
        return
    kind = kind.removesuffix(" or none")
    if kind == NUMBER:
        good = type(value) in (int, float) and math.isfinite(value)
    else:
        good = isinstance(value, KINDS[kind])
    if not good:
        raise InputError(where, kind, "nothing" if value is None else repr(value), DO)
