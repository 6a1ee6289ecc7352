"""Which classes are taken for which, and the images that changed class between ANN and SNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError
from eventsnn.pages.markup import (
    STEPS,
    Column,
    Element,
    data,
    element,
    paragraph,
    scrolling,
    table,
)
from eventsnn.pages.overview import is_map
from eventsnn.pages.pictures import image
from eventsnn.runs.results import Results

MOST_CLASSES = 20  # of more, the commonest confusions are listed
MOST_PAIRS = 60
MOST_CHANGED = 100
MAP = "The output is a map of places, not of classes, so nothing here has one class."


class Decided(NamedTuple):
    """The classes of a run's images after T steps.

    numbers: int64 [N], the images' in their data set. ann, snn: int64 [N], classes. labels: int64
    [N], or None. names: of the classes, () where they are not known. classes: how many. steps: T.
    """

    numbers: NDArray[np.int64]
    ann: NDArray[np.int64]
    snn: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    names: Sequence[str]
    classes: int
    steps: int

    def name(self, k: int) -> str:
        """A class's number, with its name where it has one."""
        return f"{k} {self.names[k]}" if k < len(self.names) else str(k)


def decided(results: Results, names: Sequence[str]) -> Decided | None:
    """The classes of a run's images; None where the output is a map.

    results: of the run. names: of the classes. Raises InputError where run.h5 cannot be read, and
    where its classes do not have the accuracy that the run found.
    """
    if is_map(results):
        return None
    there, last = results.contents(), results.accuracy[-1]
    readout, output = results.read("readout")[:, last["T"] - 1], results.read("images/ann_output")
    labels = results.read("images/label").astype(np.int64) if "images/label" in there else None
    outputs, snn = readout.shape[-1], classes_of(readout)
    if last["accuracy"] is not None:
        hits = -1 if labels is None else int((snn == labels).sum())
        if hits != round(last["accuracy"] * len(snn)):
            expected, do = "the accuracy of run.h5", "the folder is damaged: run again"
            raise InputError(f"{results.folder}: accuracy.csv", expected, last["accuracy"], do)
    return Decided(
        results.read("images/index"),
        classes_of(output.reshape(len(output), -1)),
        snn,
        labels,
        names,
        max(outputs, 2, 0 if labels is None else int(labels.max()) + 1),
        last["T"],
    )


def confusion(found: Decided | None) -> list[Element]:
    """A matrix of classes, or the commonest confusions of many. found: of `decided`."""
    if found is None:
        return [paragraph(MAP)]
    rows = found.ann if found.labels is None else found.labels
    of = "the ANN's class" if found.labels is None else "the label"
    if found.classes > MOST_CLASSES:
        return _pairs(found, rows, of)
    counts = np.zeros((found.classes, found.classes), np.int64)
    np.add.at(counts, (rows, found.snn), 1)
    caption = (
        f"Images by {of} (rows) and by the SNN's class after {found.steps} steps (columns). "
        "Framed: the same class. Shades go with the share of the row."
    )
    return [_matrix(found, counts, caption, of)]


def _matrix(found: Decided, counts: NDArray[np.int64], caption: str, of: str) -> Element:
    head = element("tr", element("th", f"{of}, down; SNN, across", scope="col"))
    for k in range(found.classes):
        head.append(element("th", found.name(k), scope="col", class_="n"))
    head.append(element("th", "same", scope="col", class_="n"))
    body = element("tbody")
    for k, line in enumerate(counts.tolist()):
        row, whole = element("tr", data(found.name(k), tag="th")), sum(line)
        for j, count in enumerate(line):
            shade = -(-STEPS * count // whole) if whole else 0
            look = [*[f"s{shade}"] * bool(shade), *["same"] * (j == k)]
            row.append(data(count, ",", class_=" ".join(look)))
        row.append(data(line[k] / whole if whole else None, ".1%"))
        body.append(row)
    label = "confusion-caption"
    title = element("caption", caption, id=label)
    made = element("table", title, element("thead", head), body, class_="matrix")
    return scrolling(made, "confusion-table", label)


def _pairs(found: Decided, rows: NDArray[np.int64], of: str) -> list[Element]:
    """The commonest confusions, where a matrix would be too large."""
    wrong = rows != found.snn
    pairs, counts = np.unique(
        np.stack([rows[wrong], found.snn[wrong]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    lines = [
        {
            "from": found.name(int(pairs[i, 0])),
            "to": found.name(int(pairs[i, 1])),
            "images": int(counts[i]),
        }
        for i in order
    ]
    if not lines:
        return [paragraph(f"All {len(rows):,} images have {of}.")]
    caption = (
        f"The {len(lines)} commonest of {len(counts):,} pairs of classes that are confused, of "
        f"{found.classes:,} classes: {of}, the SNN's class after {found.steps} steps, images."
    )
    columns = (Column("from", of), Column("to", "SNN"), Column("images", "images", ","))
    return [table("confusion-table", caption, lines, columns)]


def changed(
    found: Decided | None, results: Results, images: Images | None, why: str
) -> list[Element]:
    """The images whose class is another in the SNN than in the ANN.

    found: of `decided`. results: of the run. images: all of the run, or None. why: there are none.
    """
    if found is None:
        return [paragraph(MAP)]
    moved = np.flatnonzero(found.ann != found.snn)
    told = [_told(found, len(moved), results)]
    if not len(moved):
        return told
    order = moved
    if found.labels is not None:  # what the SNN loses comes first
        lost = (found.ann == found.labels)[moved]
        order = np.concatenate([moved[lost], moved[~lost]])
    order = order[:MOST_CHANGED]
    rows = [_row(found, int(i), results, images) for i in order]
    pictured = any(row["picture"] is not None for row in rows)
    columns = [
        Column("image", "image"),
        *[Column("picture", "picture", sorts=False)] * pictured,
        *[Column("label", "label")] * (found.labels is not None),
        Column("ann", "ANN"),
        Column("snn", "SNN"),
        *[Column("right", "who is right")] * (found.labels is not None),
    ]
    caption = "Images that changed class; image: its number in the data set."
    if len(order) < len(moved):
        caption += f" The first {len(order)} of {len(moved):,}; run.h5 has all of them."
    told.append(table("changed-table", caption, rows, columns))
    if not pictured:
        words = why or "images of this many channels or this shape have none"
        told.append(paragraph(f"Without pictures: {words}.", class_="soft"))
    return told


def _told(found: Decided, moved: int, results: Results) -> Element:
    count = len(found.snn)
    words = (
        f"Images that are in another class after {found.steps} steps than in the ANN: {moved:,} "
        f"of {count:,}"
    )
    said = round((1 - results.accuracy[-1]["agreement_with_ann"]) * count)
    if said != moved:  # a Softmax made two outputs equal
        words += f" by its output; by its logits, which this run compared, {said:,}"
    return paragraph(words + ".")


def _row(found: Decided, i: int, results: Results, images: Images | None) -> dict[str, Any]:
    """The row of image number i of the run."""
    number, ann, snn = (int(values[i]) for values in (found.numbers, found.ann, found.snn))
    row: dict[str, Any] = {"image": number, "ann": found.name(ann), "snn": found.name(snn)}
    if found.labels is not None:
        label = int(found.labels[i])
        row["label"] = found.name(label)
        row["right"] = "ANN" if ann == label else "SNN" if snn == label else "neither"
    row["picture"] = None
    if images is not None:
        low, high = results.summary["data"]["pixel_range"]
        row["picture"] = image(images.pixels[i], (low, high), f"image {number}")
    return row
