"""Verdicts on errors: own or inherited, wrong counts or wrong timing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.studies import surgery
from eventsnn.studies.diagnosis.measured import Measured, Row
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, NOTED, UNKNOWN, Verdict

OWN = ("clipping", "quantisation", "unevenness")
LARGE = 0.1  # of the activations' mean square: an error worth naming
OPERATED = 12  # images on which layers' spikes are replaced


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
    """Layer surgery: what right counts, and then right times, do to the readout.

    Layer after layer gets right counts at its own times, then right times, too; the layers behind
    it answer. What is left at last no order of spikes can mend.
    """
    kind, some = "counts or timing", m.images[:: max(1, len(m.images) // OPERATED)][:OPERATED]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundedWeights)
            found = surgery.costs(m.network, some, progress=m.shown, **m.options)
    except InputError as error:
        words = f"whether counts or timing are wrong cannot be told for this run: {error.expected}"
        return Verdict(kind, "", UNKNOWN, None, f"{words}, found {error.found}")
    own = before = float(found.snn["square"])
    if not own:
        words = f"the readout is the ANN's output, on {len(some)} images"
        return Verdict(kind, "", FINE, 0.0, words)
    counts = timing = 0.0
    for row in found.layers:
        counts += (before - row["counts square"]) / own
        timing += (row["counts square"] - row["times square"]) / own
        before = row["times square"]
    parts = {"counts": counts, "timing": timing, "thresholds and T": before / own}
    most = max(parts, key=parts.__getitem__)
    words = (
        "with right counts of each layer at its own times the readout's squared distance from the "
        f"ANN's output {_falls(counts)}, with right times it then {_falls(timing)}, and "
        f"{before / own:.0%} remain, which thresholds and T decide ({len(some)} images): "
        f"it is mostly {most}"
    )
    return Verdict(kind, "", NOTED if most == "thresholds and T" else FOUND, timing, words)


def _falls(share: float) -> str:
    """By how much a distance falls, in words."""
    return f"falls by {share:.0%}" if share >= 0 else f"rises by {-share:.0%}"
