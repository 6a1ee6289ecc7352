"""Recorded deliveries once more, without simulating.

They tell what arrived at every neuron, and in which order excitation and inhibition came.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.layout import (
    L_CHANNELS,
    L_FIRST,
    Q_CI,
    Q_CO,
    Q_FIRST,
    Q_ROW_OF,
    Q_ROWS,
    Q_STRIDE,
    Q_TARGET,
    R_ROW,
    R_TO,
    R_WIDTH,
)
from eventsnn.engine.jit import inner_kernel, kernel

WHOLE, POSITIVE, NEGATIVE = range(3)  # halves of a delivery, as recorded


class Arrivals(NamedTuple):
    """What `walk` adds to, for all neurons [neurons]; charges in the arithmetic's numbers.

    excitation, inhibition (<= 0): int64, sums of charge. excitatory, inhibitory: int32, how many
    arrivals (a charge of 0 is neither). inversions: int64, pairs of an excitatory arrival and a
    later inhibitory one. product: float64, the same pairs, each by the product of its two charges'
    sizes. late: int64, inhibition since the last excitatory arrival. least, largest: the
    arithmetic's dtype, the lowest and highest charge of one arrival.
    """

    excitation: NDArray[np.int64]
    inhibition: NDArray[np.int64]
    excitatory: NDArray[np.int32]
    inhibitory: NDArray[np.int32]
    inversions: NDArray[np.int64]
    product: NDArray[np.float64]
    late: NDArray[np.int64]
    least: NDArray[Any]
    largest: NDArray[Any]

    def __repr__(self) -> str:
        arrived = int(self.excitatory.sum()) + int(self.inhibitory.sum())
        return f"<Arrivals: {len(self.product)} neurons, {arrived:,} arrivals>"


@inner_kernel
def arrive(arrivals, weights, row, sign, half, at, width):
    """Neighbouring neurons get one charge each; of a half only what belongs to it.

    arrivals: what is added to. weights: of all projections. row: where the charges begin in them.
    sign: the spike's, in the arithmetic's dtype. half: WHOLE, POSITIVE or NEGATIVE. at: the first
    neuron. width: how many neurons.
    """
    to, a = np.uint64(at), np.uint64(row)
    nothing = weights[a] - weights[a]
    for x in range(np.uint64(width)):  # without branches, so that it becomes vector code
        charge = sign * weights[a + x]
        mine = half == WHOLE or (half == POSITIVE) == (charge >= nothing)
        gain = charge if mine and charge > nothing else nothing
        loss = charge if mine and charge < nothing else nothing
        arrivals.inversions[to + x] += (
            arrivals.excitatory[to + x] if loss < nothing else np.int32(0)
        )
        arrivals.product[to + x] -= np.float64(loss) * np.float64(arrivals.excitation[to + x])
        arrivals.late[to + x] = 0 if gain > nothing else arrivals.late[to + x] + loss
        arrivals.excitation[to + x] += gain
        arrivals.inhibition[to + x] += loss
        arrivals.excitatory[to + x] += np.int32(gain > nothing)
        arrivals.inhibitory[to + x] += np.int32(loss < nothing)
        arrivals.least[to + x] = (
            charge if mine and charge < arrivals.least[to + x] else arrivals.least[to + x]
        )
        arrivals.largest[to + x] = (
            charge if mine and charge > arrivals.largest[to + x] else arrivals.largest[to + x]
        )


@inner_kernel
def stretches_of(net, q, site, channel):
    """Where the stretches of a spike begin in `first_stretch`.

    net: EventTables. q: the projection. site, channel: of the neuron that fired.
    """
    first, rows = net.projections[q, Q_FIRST], net.projections[q, Q_ROWS]
    if rows == 1:
        return first + site
    return first + site * rows + net.row_of[net.projections[q, Q_ROW_OF] + channel]


@kernel
def walk(net, numbers, signs, halves, projections, arrivals):
    """Adds deliveries, in their order, to `arrivals`.

    Pools and the readout, which are no neurons, are left out.

    net: EventTables. numbers: int64 [D], the number of the neuron (or input, behind the neurons)
    whose spike is delivered. signs: its sign, in the arithmetic's dtype [D]. halves: int8 [D],
    projections: int32 [D], as in a trace's deliveries. arrivals: Arrivals.
    """
    weights = net.weights
    for d in range(numbers.size):
        number = numbers[d]
        half = halves[d]
        sign = signs[d]
        layer = net.layer_of[number]
        site = (number - net.layers[layer, L_FIRST]) // net.layers[layer, L_CHANNELS]
        c = (number - net.layers[layer, L_FIRST]) - site * net.layers[layer, L_CHANNELS]
        for i in range(net.out_first[layer], net.out_first[layer + 1]):
            q = net.out[i]
            target = net.projections[q, Q_TARGET]
            if (
                projections[d] >= 0
                and q != projections[d]
                or target == net.readout
                or net.pools[target] >= 0
            ):
                continue
            first = stretches_of(net, q, site, c)
            group = c // net.projections[q, Q_CI] * net.projections[q, Q_CO]
            offset = c * net.projections[q, Q_STRIDE]
            for run in range(net.first_stretch[first], net.first_stretch[first + 1]):
                to = net.stretches[run, R_TO] + group
                row = net.stretches[run, R_ROW] + offset
                width = net.stretches[run, R_WIDTH]
                arrive(arrivals, weights, row, sign, half, to, width)
