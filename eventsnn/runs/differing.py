"""Two runs of one network on the same images: where their spikes part, whose class changes.

    print(eventsnn.diff("runs/fifo", "runs/random"))

Spikes are compared by their digests (semantics, section 17), so no trace is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import OWN, checked, named_fields
from eventsnn.exceptions import one_line
from eventsnn.result import Result
from eventsnn.runs.results import Results
from eventsnn.runs.sides import check_comparable, differing_settings, side_of
from eventsnn.statistics import Paired, compare, p_words
from eventsnn.views.tables import html_page, optional, text_table

SHOWN = 8  # images named in a line
Given = Annotated[str | os.PathLike[str] | Results | Result, OWN]


@named_fields
@dataclass(frozen=True, repr=False, eq=False)
class Difference:
    """How two runs differ, from `diff`; print it.

    a, b: what the runs are called. settings: a dict for each that differs: setting, a and b, in
    words. steps: how many were compared, the first of both. numbers: int64 [N], the images' in
    their data set. names: the layers', the readout's last.

    spikes: bool [N, L, T], whether an image's spikes of a layer and step differ; None where a run
    has no digests. untold: why it is None, or "". reordered: whether spikes that are all the same
    were sent in another order; None where that is not known.

    outputs: whether the readout differs after any step; None where they count in other units.
    labels: int64 [N], or None. classes: int64 [2, N], after the last step of each; None where the
    output is a map. paired: hits of `a` against those of `b` (exact McNemar test, semantics section
    15), or None without labels or classes.
    """

    a: str
    b: str
    settings: list[dict[str, str]]
    steps: int
    numbers: NDArray[np.int64]
    names: list[str]
    spikes: NDArray[np.bool_] | None
    untold: str
    reordered: bool | None
    outputs: bool | None
    labels: NDArray[np.int64] | None
    classes: NDArray[np.int64] | None
    paired: Paired | None

    @property
    def first(self) -> tuple[int, str] | None:
        """(the first step, from 1, in which spikes differ, the first layer in which they do then).

        None where all are the same, or it is not known.
        """
        if self.spikes is None or not self.spikes.any():
            return None
        step = int(self.spikes.any(axis=(0, 1)).argmax())
        return step + 1, self.names[int(self.spikes[:, :, step].any(axis=0).argmax())]

    @property
    def changed(self) -> NDArray[np.int64]:
        """The places among the images, from 0, of those that changed class."""
        none = np.zeros(0, np.int64)
        return none if self.classes is None else np.flatnonzero(self.classes[0] != self.classes[1])

    @property
    def equal(self) -> bool | None:
        """Whether spikes, outputs and classes are the same, in any settings; None: unknown."""
        parts = [None if self.spikes is None else not self.spikes.any()]
        parts += [True if self.outputs is None else not self.outputs, not len(self.changed)]
        if False in parts:
            return False
        return None if None in parts else True

    def table(self) -> list[dict[str, Any]]:
        """One row a layer: its first step in which spikes differ (None: none), in how many images
        any do, and which image is the first of these. Empty where it is not known.
        """
        if self.spikes is None:
            return []
        rows = []
        for i, name in enumerate(self.names[:-1]):
            steps, images = (self.spikes[:, i].any(axis=axis) for axis in (0, 1))
            row = {"layer": name, "first step": None, "images": int(images.sum())}
            row["first image"] = int(self.numbers[images.argmax()]) if images.any() else None
            if steps.any():
                row["first step"] = int(steps.argmax()) + 1
            rows.append(row)
        return rows

    def images(self) -> list[dict[str, Any]]:
        """One row an image: its number, label, both classes, and where its spikes first differ.

        What is not known, or does not differ, is None.
        """
        rows = []
        for i, number in enumerate(self.numbers.tolist()):
            row: dict[str, Any] = {"image": number, "label": None, "a": None, "b": None}
            if self.labels is not None:
                row["label"] = int(self.labels[i])
            if self.classes is not None:
                row["a"], row["b"] = self.classes[:, i].tolist()
            row |= {"first step": None, "first layer": None}
            if self.spikes is not None and self.spikes[i].any():
                step = int(self.spikes[i].any(axis=0).argmax())
                layer = self.names[int(self.spikes[i, :, step].argmax())]
                row |= {"first step": step + 1, "first layer": layer}
            rows.append(row)
        return rows

    def to_pandas(self) -> tuple[Any, Any]:
        """(layers, images) as DataFrames: the rows of `table` and of `images`; needs pandas."""
        pandas = optional("pandas")
        layers = pandas.DataFrame(self.table(), columns=["layer", *LAYER_COLUMNS])
        return layers.set_index("layer"), pandas.DataFrame(self.images()).set_index("image")

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"<Difference of {one_line(self.a)} and {one_line(self.b)}: {_spikes(self)}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>" + html_page(repr(self)[1:-1], self.table())


LAYER_COLUMNS = ("first step", "images", "first image")


@checked
def diff(a: Given, b: Given) -> Difference:
    """How two runs of the same layers on the same images differ, a `Difference`.

    a, b: a results folder, `Results`, or a `Result` each. Raises InputError for what is none of
    these, and for runs that cannot be compared: of other layers, or of other images.
    """
    one, other = side_of(a, "a"), side_of(b, "b")
    check_comparable(one, other)
    steps = min(one.steps, other.steps)
    spikes = _differ(one.digests, other.digests, steps)
    reordered = None
    if spikes is not None and not spikes.any():
        orders = _differ(one.order_digests, other.order_digests, steps)
        reordered = None if orders is None else bool(orders.any())
    outputs = None
    if one.unit == other.unit:
        outputs = not np.array_equal(one.readout[:, :steps], other.readout[:, :steps])
    classes = None
    if one.classes is not None and other.classes is not None:
        classes = np.stack([one.classes, other.classes])
    labels = one.labels if one.labels is not None else other.labels
    paired = None
    if classes is not None and labels is not None:
        paired = compare({"a": (classes[0] == labels, classes[1] == labels)})["a"]
    untold = [f"{side.name} has no digests: {side.untold}" for side in (one, other) if side.untold]
    return Difference(
        one.name,
        other.name,
        differing_settings(one, other),
        steps,
        one.numbers,
        one.names,
        spikes,
        "; ".join(untold),
        reordered,
        outputs,
        labels,
        classes,
        paired,
    )


def _differ(
    one: NDArray[np.uint64] | None, other: NDArray[np.uint64] | None, steps: int
) -> NDArray[np.bool_] | None:
    """Whether digests [N, L, T] differ in the first steps; None where a run has none."""
    if one is None or other is None:
        return None
    return one[:, :, :steps] != other[:, :, :steps]


def listed(numbers: Sequence[int]) -> str:
    """Images in words: "0, 3, 5 and 7 more". numbers: theirs."""
    words = ", ".join(map(str, numbers[:SHOWN]))
    return words + (f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else "")


def _lines(d: Difference) -> Iterator[str]:
    """A difference in words, line by line."""
    yield f"a: {one_line(d.a)}\nb: {one_line(d.b)}"
    if d.settings:
        yield "Settings that differ:\n" + text_table(d.settings)
    else:
        yield "The settings are the same."
    yield f"The same {len(d.numbers):,} images; the first {d.steps} steps of both are compared."
    yield _spikes(d)
    if d.spikes is not None and d.spikes.any():
        yield text_table([row for row in d.table()])
    if d.outputs is not None:
        yield f"The readout {'differs' if d.outputs else 'is the same after every step'}."
    yield from _classes(d)


def _spikes(d: Difference) -> str:
    """Where spikes first differ, in words."""
    if d.spikes is None:
        return f"Whether spikes differ is not known: {d.untold}."
    if d.first is None:
        same = "Every layer sent the same spikes in every step"
        return same + (", in another order within steps." if d.reordered else ".")
    step, layer = d.first
    here = d.spikes[:, d.names.index(layer), step - 1]
    images = int(d.spikes.any(axis=(1, 2)).sum())
    return (
        f"Spikes first differ in step {step}, and there first in layer {one_line(layer)}: in "
        f"{here.sum():,} of {len(here):,} images ({listed(d.numbers[here].tolist())}); in any step "
        f"and layer, in {images:,}."
    )


def _classes(d: Difference) -> Iterator[str]:
    """Whose class changed, in words, line by line."""
    if d.classes is None:
        yield "The output is a map, so no image has a class."
        return
    changed = d.changed
    count = f"{len(changed):,} of {len(d.numbers):,} images changed class"
    if d.labels is None or d.paired is None or not len(changed):
        named = f": {listed(d.numbers[changed].tolist())}" if len(changed) else ""
        yield f"{count}{named}."
        return
    yield f"{count}:"
    right = d.classes[:, changed] == d.labels[changed]
    for words, which in (
        ("only a is right", right[0]),
        ("only b is right", right[1]),
        ("both are wrong, in other ways", ~right.any(axis=0)),
    ):
        numbers = d.numbers[changed[which]].tolist()
        yield f"  {words}: {len(numbers):,}" + (f" (images {listed(numbers)})" if numbers else "")
    p = p_words(d.paired.p)
    yield f"  paired, a : b = {d.paired.counts}, {p} (exact McNemar test on these images)"
