"""What rounding to whole numbers of 2^-F leaves of a network's weights (semantics, section 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import named
from eventsnn.network.network import INPUT
from eventsnn.simulation.arithmetic import parts
from eventsnn.simulation.prepared import Prepared

MOST = 0.01  # of a layer's weights and biases


class RoundedWeights(UserWarning):
    """Rounding to fixed point changes the weights and biases of a layer by more than 1 %."""


def shares(simulation: Prepared) -> list[float]:
    """sum |rounded - exact| / sum |exact| of the weights and biases of each layer, L numbers.

    A block that synapses share counts once. Where an image is drive, the input's weights are not
    rounded, and the bias is rounded with the drive. simulation: whose numbers they are rounded to;
    in floating point all are 0.
    """
    network, numbers = simulation.network, simulation.arithmetic
    found = [0.0] * len(network.layers)
    if numbers.dtype.kind == "f":
        return found
    for i, layer in enumerate(network.layers):
        if layer.pools:
            continue
        changed = whole = 0.0
        driven = False
        for p in network.into(i):
            drive = p.source == INPUT and not simulation.encoding.code.spiking
            driven |= drive
            factor = simulation.factor(p)
            for part in parts(p.map):
                exact = part.blocks * factor
                whole += float(np.abs(exact).sum())
                changed += 0.0 if drive else _change(simulation, exact)
        bias = layer.bias * simulation.scales[i]
        whole += float(np.abs(bias).sum())
        changed += 0.0 if driven else _change(simulation, bias)
        found[i] = changed / whole if whole else 0.0
    return found


def rounding_doubt(simulation: Prepared) -> str:
    """What to say where rounding changes more than 1 % of a layer's weights and biases, or "".

    simulation: whose numbers they are rounded to. Options in what is said are `named`.
    """
    found = shares(simulation)
    names = [layer.name for layer in simulation.network.layers]
    worst = int(np.argmax(found))
    if found[worst] <= MOST:
        return ""
    others = sum(share > MOST for share in found) - 1
    more = f" (and of {others} more, less than that)" if others else ""
    return (
        f"rounding to fixed point, F = {simulation.arithmetic.fraction_bits}, changes weights and "
        f"biases of layer {names[worst]!r}{more} by {found[worst]:.2%} of their sum: choose fewer "
        f"{named('steps')}, more {named('fraction_bits')}, or {named('arithmetic', 'float64')}"
    )


def _change(simulation: Prepared, exact: NDArray[np.float64]) -> float:
    """The sum of what rounding these numbers, in q of their target, changes."""
    numbers = simulation.arithmetic
    rounded = np.ldexp(numbers.quantise(exact).astype(np.float64), -numbers.bits)
    return float(np.abs(rounded - exact).sum())
