"""Verdicts on arithmetic: exact ties, and few fraction bits."""

from __future__ import annotations

from collections.abc import Iterator

from eventsnn.exceptions import named
from eventsnn.simulation.rounding import MOST, shares
from eventsnn.studies.diagnosis.measured import Measured
from eventsnn.studies.diagnosis.verdict import FINE, NOTED, Verdict

TIED = 0.01  # share of evaluations that met a threshold exactly
FEW = 16  # fraction bits


def verdicts(m: Measured) -> Iterator[Verdict]:
    """Whether ties or rounding could matter. m: what was measured."""
    for i, layer in m.layers.items():
        evaluations = len(m.images) * layer.size * m.simulation.steps
        share = float(m.result.batch.ties[:, i].sum()) / evaluations
        if share > TIED:
            words = (
                f"{share:.1%} of the neurons' steps meet a threshold exactly: simulators that "
                "compare otherwise (> for >=) give other spikes"
            )
            yield Verdict("ties", layer.name, NOTED, share, words)
    yield from _rounding(m)


def _rounding(m: Measured) -> Iterator[Verdict]:
    """Fixed point with too few bits, because potentials could grow too large for more."""
    numbers = m.simulation.arithmetic
    if numbers.kind != "fixed":
        return
    found = shares(m.simulation)
    worst = max(range(len(found)), key=found.__getitem__)
    bits = numbers.fraction_bits
    told = f"F = {bits}, potentials of up to {numbers.bound:.3g} spikes' charge"
    name = m.network.layers[worst].name
    changed = f"rounding changes {found[worst]:.2%} of the weights of {name}"
    if found[worst] > MOST or bits < FEW:
        given = m.options.get("fraction_bits") is not None
        more = f"more {named('fraction_bits')}" if given else named("arithmetic", "float64")
        words = f"{told}: {changed}; choose {more}, or fewer steps"
        yield Verdict("few fraction bits", "", m.state(), found[worst], words)
    else:
        yield Verdict("few fraction bits", "", FINE, found[worst], f"{told}: {changed}")
