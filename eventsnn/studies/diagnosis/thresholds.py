"""Verdicts on thresholds: dead layers, too high, too low, outliers."""

from __future__ import annotations

from collections.abc import Iterator

from eventsnn.network.network import INPUT, Layer
from eventsnn.studies.diagnosis.measured import Activity, Measured
from eventsnn.studies.diagnosis.verdict import FOUND, NOTED, Verdict

RARE = 0.01  # rate below which a threshold may be too high
CLIPPED = 0.01  # share of activations above the threshold: it is too low
FAR = 3.0  # a threshold that many times the 99.9th percentile is far above the activations
SILENT = 0.5  # share of a layer's neurons that are dead, but not in the ANN


def verdicts(m: Measured) -> Iterator[Verdict]:
    """What is wrong with the thresholds of each layer. m: what was measured."""
    for i, layer in m.layers.items():
        its = m.activity[layer.name]
        dead = _dead(m, i, layer, its)
        if dead is not None:
            yield dead
            continue
        yield from _high(m, i, layer, its)
        if its.above > CLIPPED:
            words = (
                f"{its.above:.1%} of the ANN's activations are above the threshold and are "
                f"clipped (the largest is {its.largest:.3g} thresholds): it is too low"
            )
            yield Verdict("threshold too low", layer.name, m.state(), its.above, words)


def _dead(m: Measured, i: int, layer: Layer, its: Activity) -> Verdict | None:
    """A layer of which no neuron fires, or most do not that are active in the ANN."""
    if not m.result.spikes[:, i].any():
        sources = [p.source for p in m.network.into(i)]
        heard = [s for s in sources if s == INPUT or m.result.spikes[:, s].any()]
        if not its.active:
            words = "no neuron fires on any image, as in the ANN, whose activations are all 0"
            return Verdict("dead layer", layer.name, NOTED, 0.0, words)
        told = f"no neuron fires on any image, while {its.active:.1%} of the ANN's are active"
        if not heard:
            words = f"{told}: nothing reaches it, as the layers before it are dead"
            return Verdict("dead layer", layer.name, NOTED, 0.0, words)
        if its.high * FAR < 1:
            told += f"; its threshold is {_times(its)} the 99.9th percentile of the activations"
        return Verdict("dead layer", layer.name, FOUND, 0.0, told)
    row = m.error(layer.name)
    if row is None or row["dead"] - row["ann dead"] < SILENT:
        return None
    more = row["dead"] - row["ann dead"]
    words = (
        f"{row['dead']:.0%} of the neurons fire on no image, {row['ann dead']:.0%} are never "
        f"active in the ANN; rate {m.rate(i):.2%}"
    )
    if its.high * FAR < 1:
        words += f", threshold {_times(its)} the 99.9th percentile of the activations"
    return Verdict("dead neurons", layer.name, m.state(), more, words)


def _high(m: Measured, i: int, layer: Layer, its: Activity) -> Iterator[Verdict]:
    """A threshold far above the activations, because of outliers or not."""
    if not its.active or its.high * FAR >= 1:
        return
    rate = m.rate(i)
    if its.largest >= 0.5:
        ratio = its.largest / its.high if its.high else float("inf")
        words = (
            f"the largest activation is {ratio:.3g} times the 99.9th percentile, and the "
            f"threshold follows it: rate {rate:.2%}"
        )
        yield Verdict("outliers", layer.name, m.state(), ratio, words)
    elif rate < RARE:
        words = (
            f"rate {rate:.2%}; the threshold is {_times(its)} the 99.9th percentile of the ANN's "
            "activations: it is too high"
        )
        yield Verdict("threshold too high", layer.name, m.state(), rate, words)


def _times(its: Activity) -> str:
    """How far the threshold is above the 99.9th percentile, in words."""
    return f"{1 / its.high:.3g} times" if its.high else "far above"
