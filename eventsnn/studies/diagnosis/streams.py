"""Verdicts on streams of spikes with signs, and on max pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventsnn.network.network import INPUT
from eventsnn.studies.diagnosis.measured import Measured
from eventsnn.studies.diagnosis.parts import LARGE
from eventsnn.studies.diagnosis.verdict import FINE, NOTED, Verdict

TAKEN_BACK = 0.05  # share of the spikes that take others back


def verdicts(m: Measured) -> Iterator[Verdict]:
    """Where spikes are taken back, and what max pooling does. m: what was measured."""
    back = taken_back(m)
    for i, layer in enumerate(m.network.spiking):
        if layer.pools:
            yield _pool(m, i, back[i])
        elif back[i] > TAKEN_BACK:
            words = f"{back[i]:.1%} of its spikes take earlier ones back (they have two signs)"
            yield Verdict("signed stream", layer.name, NOTED, back[i], words)
    names = [layer.name for layer in m.network.spiking]
    for below in (name for name in names if name.endswith(":below")):
        above = below.removesuffix(":below") + ":above"
        if above in names:
            sent = [float(m.result.spikes[:, names.index(n)].sum()) for n in (above, below)]
            share = sent[1] / sum(sent) if sum(sent) else 0.0
            words = (
                f"the activation lets values below 0 pass, so two layers stand for it, and "
                f"{share:.1%} of their spikes are of this side"
            )
            yield Verdict("signed stream", below, NOTED, share, words)


def taken_back(m: Measured) -> list[float]:
    """The share of each spiking layer's spikes that take others back."""
    if not m.simulation.neuron.signed and not any(layer.pools for layer in m.network.spiking):
        return [0.0] * len(m.network.spiking)
    sent = m.result.spikes.sum(axis=(0, 2))
    net = np.zeros(len(sent))
    for _, batch in m.result._with_neurons():
        assert batch.counts is not None
        for i in range(len(m.network.spiking)):
            net[i] += batch.counts[:, m.network.columns(i)].sum()
    return [float((s - n) / (2 * s)) if s else 0.0 for s, n in zip(sent, net)]


def _pool(m: Measured, i: int, back: float) -> Verdict:
    """Max pooling: how much a pool takes back, and whether that shows behind it."""
    name = m.network.layers[i].name
    behind = [p.target for p in m.network.projections if p.source == i and p.source != INPUT]
    rows = [m.error(m.network.layers[target].name) for target in behind]
    worst = max(
        (row["unevenness square"] / row["ann square"] for row in rows if row and row["ann square"]),
        default=0.0,
    )
    words = (
        f"max pooling takes back {back:.1%} of the spikes that it sends; behind it the error of "
        f"timing is {worst:.0%} of the activations' mean square"
    )
    state = m.state() if worst > LARGE else FINE
    return Verdict("max pooling", name, state, worst, words)
