"""Verdicts on errors: own or inherited, wrong counts or wrong timing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from eventsnn.ann.forward import by_neuron
from eventsnn.ann.forward import logits as ann_logits
from eventsnn.exceptions import InputError
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.studies import surgery
from eventsnn.studies.diagnosis.measured import Measured, Row
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, NOTED, UNKNOWN, Verdict

OWN = ("clipping", "quantisation", "unevenness")
LARGE = 0.1  # of the activations' mean square: an error worth naming
OPERATED = 16  # images on which layers' spikes are replaced


def own_square(row: Row) -> float:
    """The mean square of what a layer adds itself, of that of its activations. row: of `Errors`."""
    return sum(row[f"{part} square"] for part in OWN) / (row["ann square"] or np.inf)


def inherited_square(row: Row) -> float:
    """The like of what it inherits."""
    return float(row["inherited square"] / (row["ann square"] or np.inf))


def verdicts(m: Measured) -> Iterator[Verdict]:
    """Where the error is made, and of what kind it is. m: what was measured."""
    if m.errors is None:
        words = f"where the error is made cannot be told for this run: {m.why}"
        yield Verdict("own and inherited error", "", UNKNOWN, None, words)
    else:
        rows = [row for row in m.errors.layers if row["ann square"] > 0]
        if rows:
            yield from _own(m, rows)
    if m.below:
        yield _counts_or_timing(m)


def _own(m: Measured, rows: list[Row]) -> Iterator[Verdict]:
    """The layer that adds most of its own, and how many only inherit."""
    worst = max(rows, key=own_square)
    own, part = own_square(worst), max(OWN, key=lambda name: worst[f"{name} square"])
    if own >= LARGE:
        words = (
            f"adds most of its own, {own:.0%} of its activations' mean square, most of it "
            f"{part}; {inherited_square(worst):.0%} are inherited"
        )
        yield Verdict("own error", worst["layer"], m.state(), own, words)
    heirs = [row for row in rows if inherited_square(row) > max(own_square(row), LARGE)]
    if heirs and m.below:
        share = len(heirs) / len(rows)
        words = (
            f"{len(heirs)} of {len(rows)} layers have more error inherited than of their own: "
            f"look at those before {heirs[0]['layer']}"
        )
        yield Verdict("inherited error", "", NOTED, share, words)


def _counts_or_timing(m: Measured) -> Verdict:
    """What right counts at kept times, and then right times, do to the distance from the ANN."""
    kind, some = "counts or timing", m.images[:: max(1, len(m.images) // OPERATED)][:OPERATED]
    names = [layer.name for layer in m.layers.values()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundedWeights)
            runs = [
                surgery.replace_layers(
                    m.network, some, layers, counts=counts, times=times, progress=False, **m.options
                )
                for layers, counts, times in (
                    ([], "own", "kept"),
                    (names, "ideal", "kept"),
                    (names, "ideal", "even"),
                )
            ]
    except InputError as error:
        words = f"whether counts or timing are wrong cannot be told for this run: {error.expected}"
        return Verdict(kind, "", UNKNOWN, None, f"{words}, found {error.found}")
    logits = by_neuron(ann_logits(m.network.graph, some.pixels))
    own, counts, both = (float(np.square(run.readout() - logits).sum()) for run in runs)
    if not own:
        words = f"the readout is the ANN's output, on {len(some)} images"
        return Verdict(kind, "", FINE, 0.0, words)
    parts = {
        "wrong counts": (own - counts) / own,
        "wrong timing": (counts - both) / own,
        "thresholds and T": both / own,
    }
    most = max(parts, key=parts.__getitem__)
    words = (
        "of the readout's squared distance from the ANN's output, right counts at the layers' own "
        f"times take away {parts['wrong counts']:.0%}, right times another "
        f"{parts['wrong timing']:.0%}, and {parts['thresholds and T']:.0%} remain, which "
        f"thresholds and T decide ({len(some)} images): mostly {most}"
    )
    harmful = most != "thresholds and T"
    return Verdict(kind, "", FOUND if harmful else NOTED, parts["wrong timing"], words)
