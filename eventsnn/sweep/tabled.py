"""A store's runs as rows: accuracy and cost of each run after some steps, or of each image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.ann.tops import MANY, TOP, in_top
from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.statistics import wilson
from eventsnn.sweep import studied
from eventsnn.sweep.opened import open as open_store
from eventsnn.sweep.store import Store
from eventsnn.values import shown
from eventsnn.views.tables import Table, optional, report_steps

BY = ("run", "image")
TITLE = (
    "After T steps, with the 95 % interval of accuracy; spikes and synaptic operations: of an "
    "image, up to T; ann: the ANN's accuracy on the same images"
)
FORMATS = {
    "T": ("T", ""),
    "images": ("images", ","),
    **{name: (name, ".2%") for name in ("accuracy", "low", "high", "top5", "ann")},
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
}


@checked
def table(
    path: str | os.PathLike[str],
    steps: Sequence[int] | None = None,
    *,
    network: str | None = None,
    by: str = "run",
) -> Table:
    """The runs of a store, or their images, as rows.

    path: of the store. steps: the numbers T of steps (None: 1, 2, 4, … and each run's last).
    network: the name of one of its groups (None: all that hold runs, or else all). by: "run", one
    row for each run and T: options that tell runs apart, T, images, accuracy with its 95 % interval
    where there are labels, top5 of more than ten classes, the ANN's accuracy, spikes and synaptic
    operations an image; or "image", a row for each image: its number, label, class and the ANN's,
    spikes and operations. Images that are not there yet are left out, and runs without any. Of a
    group that holds a study the rows are those of `studied.rows_of`.

    Raises InputError for what is no store, and for steps that are none.
    """
    if by not in BY:
        raise InputError("by", "run or image", shown(by))
    groups = Store(path).record()["groups"]
    of_runs = [name for name, group in groups.items() if not group.get("study")]
    names = (of_runs or list(groups)) if network is None else [network]
    rows: list[dict[str, Any]] = []
    title = TITLE
    for name in names:
        data = open_store(path, name)
        prefix = {"network": name} if len(names) > 1 else {}
        found = _rows(data, steps, by)
        if data.attrs.get("study"):
            if steps is not None:
                do = f"leave it out: {name} has studies, each of its own T"
                raise InputError("steps", "none", shown(steps), do)
            found, title = studied.rows_of(data, by), studied.TITLE
        rows += [{**prefix, **row} for row in found]
    keys = dict.fromkeys(key for row in rows for key in row)
    return Table([{key: row.get(key) for key in keys} for row in rows], title, FORMATS)


@checked
def to_pandas(
    path: str | os.PathLike[str],
    steps: Sequence[int] | None = None,
    *,
    network: str | None = None,
    by: str = "run",
) -> Any:
    """`table` as a DataFrame; needs pandas. Parameters, and what is raised: as there."""
    return optional("pandas").DataFrame(table(path, steps, network=network, by=by))


def _rows(data: Any, steps: Sequence[int] | None, by: str) -> Iterator[dict[str, Any]]:
    """The rows of one network. data: of `open`."""
    names = [key for key in data.coords if data[key].dims == ("run",)]
    names = [key for key in names if key not in ("run", "key", "settings", "steps")]
    labels, ann = data.label.values, data.ann.values
    for place in range(data.sizes["run"]):
        here = np.flatnonzero(data.done.values[place])
        if not len(here):
            continue
        its = data.isel(run=place, image=here)
        last = int(its.steps)
        chosen = report_steps(last) if steps is None else [_step(t) for t in steps]
        chosen = [t for t in chosen if t <= last]
        options = {key: its[key].item() for key in names}
        readout = its.readout.values
        sums = {
            key: its[key].values.sum(axis=2).cumsum(axis=1) + before(its, key)
            for key in ("spikes", "operations")
        }
        classes = None if np.isnan(ann[here]).any() else classes_of(ann[here])
        for t in chosen:
            values = readout[:, t - 1]
            if np.isnan(values).any():
                continue  # no result after that step
            row = {**options, "T": t}
            found = {key: value[:, t - 1] for key, value in sums.items()}
            if by == "run":
                yield {**row, **_of_run(values, labels[here], classes, found)}
            else:
                columns = {
                    "image": its.image.values,
                    "label": labels[here],
                    "class": classes_of(values),
                    "ann": np.full(len(here), -1) if classes is None else classes,
                    **found,
                }
                for i in range(len(here)):
                    yield {**row, **{key: int(value[i]) for key, value in columns.items()}}


def before(data: Any, name: str) -> NDArray[np.int64] | int:
    """What SRP's first stage took, [image, 1]; 0 where there is none.

    data: of one run. name: spikes or operations.
    """
    key = f"stage_one_{name}"
    if key not in data:
        return 0
    found: NDArray[np.int64] = data[key].values.sum(axis=1)[:, None]
    return found


def _step(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
        raise InputError("steps", "whole numbers from 1", shown(given))
    return int(given)


def _of_run(
    readout: NDArray[Any],
    labels: NDArray[np.int64],
    ann: NDArray[np.int64] | None,
    sums: dict[str, NDArray[np.int64]],
) -> dict[str, Any]:
    """A run's row after one T. readout: [N, classes]. labels: [N]. ann: the ANN's classes."""
    count = len(readout)
    row: dict[str, Any] = {"images": count}
    if (labels >= 0).all():
        right = int((classes_of(readout) == labels).sum())
        row |= dict(zip(("accuracy", "low", "high"), (right / count, *wilson(right, count))))
        if readout.shape[1] > MANY:
            row["top5"] = float(np.mean(in_top(readout, labels, TOP)))
        if ann is not None:
            row["ann"] = float(np.mean(ann == labels))
    return row | {key: float(values.mean()) for key, values in sums.items()}
