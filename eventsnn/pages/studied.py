"""Error parts and cases of unevenness by layer, studied on a few images of the run."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.pages.markup import Column, Element, paragraph, table
from eventsnn.pages.pictures import picture
from eventsnn.runs.again import Again
from eventsnn.runs.verified import of_study
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import errors
from eventsnn.studies.error_pictures import cases_figure, parts_figure
from eventsnn.studies.sampled import with_intervals
from eventsnn.studies.unevenness import CASES, Cases
from eventsnn.views.plots import CASES as MEANING

PARTS = (
    Column("layer", "layer"),
    Column("neurons", "neurons", ","),
    Column("error", "error", ".2%"),
    Column("error low", "95 % from", ".2%"),
    Column("error high", "to", ".2%"),
    *(Column(f"{part} share", part, ".1%") for part in errors.PARTS),
    Column("dead", "dead", ".1%"),
    Column("ann dead", "ANN dead", ".1%"),
    Column("saturated", "saturated", ".1%"),
)
COUNTED = (
    Column("layer", "layer"),
    Column("neurons", "neurons", ","),
    *(
        Column(f"{error}{case}", f"{error}{case}".replace(" case ", "."), ".3f")
        for error in ("I", "II")
        for case in (*(f" case {k}" for k in CASES), "")
    ),
)


class Study(NamedTuple):
    """A run's errors. parts: from `errors.decompose`. cases: from `errors.cases`."""

    parts: errors.Errors
    cases: Cases


def study(made: Again, count: int, progress: bool | None) -> Study:
    """The errors of the first images of a run, in its own conditions.

    made: the run. count: of images. progress: whether a bar is shown. Raises InputError where the
    studies refuse the run, as they do floating point.
    """
    network, images = made.simulation.network, made.images.take(np.arange(count))
    options = dict(of_study(made.settings))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundedWeights)  # the run has said so
        parts = errors.decompose(network, images, progress=progress, **options)
        cases = errors.cases(network, images, progress=progress, **options)
    if parts.simulation.describe() != made.simulation.describe():
        raise InputError("errors", "the run's own simulation", "another", "run again")
    return Study(parts, cases)


def error_parts(found: Study) -> list[Element]:
    """Each layer's error and its parts, as a picture and as the table behind it. found: it."""
    rows = with_intervals(found.parts.layers, [found.parts.samples])
    last = rows[-1]
    words = (
        f"Above, each layer's error, {rows[0]['error']:.2%} in {rows[0]['layer']} to "
        f"{last['error']:.2%} in {last['layer']}; below, the shares of clipping, quantisation, "
        "unevenness and inherited error in it."
    )
    caption = (
        f"Layers, on the run's first {found.parts.images} images. Error: mean square of SNN less "
        "ANN, relative to that of the ANN's activations, with a bootstrap interval. Parts: "
        "shares of it, which add up to 1; below 0: against the others. Dead: neurons that were 0 "
        "on every image. "
        "Saturated: at their threshold or above."
    )
    return [
        paragraph(
            f"The error grows most at {found.parts.jump}. Clipping: what is above the threshold; "
            "quantisation: spikes are whole; unevenness: spikes that came too early or too late; "
            "inherited: what layers before passed on."
        ),
        picture(parts_figure({"": rows}), "parts", "Error parts by layer", words),
        table("parts-table", caption, rows, PARTS),
        paragraph(f"Here, {bootstrap_words()}.", class_="soft"),
    ]


def unevenness(found: Study) -> list[Element]:
    """SRP's four cases by layer, as a picture and as the table behind it. found: the study."""
    rows = with_intervals(found.cases.layers, [found.cases.samples])
    last = rows[-1]
    words = (
        f"Stacked bars by layer: unevenness error I above ({last['I']:.2f} % of neurons in the "
        f"last layer) and II below ({last['II']:.2f} %), in four cases."
    )
    meaning = "; ".join(text for _, text in MEANING.values())
    caption = (
        f"Percent of neurons, on the run's first {found.cases.images} images. Error I: against "
        f"the ANN's activation of the SNN's own input; II: against the whole ANN (SRP Def. 1 and "
        f"2). {meaning}; I and II: sums."
    )
    return [
        picture(cases_figure({"": rows}), "cases", "Cases of unevenness by layer", words),
        table("cases-table", caption, rows, COUNTED),
    ]
