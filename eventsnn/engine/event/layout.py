"""What the event engine's arrays hold: tables, rules, state, and the numbers of columns and
codes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DONE, FULL, TOO_MANY, OVERFLOW = range(4)
DRIVE, EVENTS, EVALUATE = range(3)
# what an event is: bits 0-1 kind, 2-3 half, 4 sign, then projection + 1 (0: all), layer and number
# of the neuron, from these bits on
DELIVERY, WINDOW, REFRACTORY = 0, 1, 2
HALF_BIT, SIGN_BIT, PROJECTION_BIT, LAYER_BIT, NUMBER_BIT = 2, 4, 5, 19, 31
PROJECTIONS, LAYERS = 2 ** (LAYER_BIT - PROJECTION_BIT) - 1, 2 ** (NUMBER_BIT - LAYER_BIT) - 1
# columns: of the memory of neurons, of layers, projections and runs in EventTables, of the records
NET, SENT = range(2)
L_CHANNELS, L_FIRST = range(2)
Q_TARGET, Q_CI, Q_CO, Q_STRIDE, Q_FIRST = range(5)
R_TO, R_ROW, R_WIDTH = range(3)
S_EVENT, S_TICK, S_STEP, S_NEURON, S_SIGN, S_MEMBER, S_CAUSE = range(7)
D_EVENT, D_TICK, D_STEP, D_SPIKE, D_PART = range(5)


class EventTables(NamedTuple):
    """The projections by source. A spike's charges reach its targets in runs of neighbouring
    neurons.

    layers: int64 [L + 2, 2], channels and first neuron of each layer, of the input and of what
    would come behind it. layer_of: int32 [neurons + inputs]. readout: number of the last layer.
    out, out_first: int64, the projections of source layer l are out[out_first[l]:out_first[l + 1]].
    projections: int64 [Q, 5], target layer, ci and co (channels a group), stride, and where its
    sites begin in first_run: the runs of source site p are first_run[first + p] up to the next.
    runs: int64 [R, 3], first target neuron, first weight and width: a spike of channel c adds
    weights[row + c * stride:][:width] to the neurons from `to` + c // ci * co on. weights: the
    arithmetic's dtype. pools: int64 [L], -1, or where the sums of a pool layer's inputs begin in
    `State.sums`; sums: how many there are. windows: int64, places in `sums` of channel 0 of the
    members of windows; those of layer l, site r begin at window_first[window_base[l] + r].
    """

    layers: np.ndarray
    layer_of: np.ndarray
    readout: int
    out: np.ndarray
    out_first: np.ndarray
    projections: np.ndarray
    first_run: np.ndarray
    runs: np.ndarray
    weights: np.ndarray
    pools: np.ndarray
    sums: int
    window_base: np.ndarray
    window_first: np.ndarray
    windows: np.ndarray


class Rules(NamedTuple):
    """Time's settings. refractory, window: ticks; barrier, clocked, record: 0 or 1.

    delay_kind: 0 none, 1 by projection, 2 by neuron, in ticks in `delays`. most_spikes: what one
    event can bring at most; most_parcels: the deliveries of one spike. at_once: 1 where it is one
    delivery without delay, in the order of emission. image: its number in the data set.
    """

    refractory: int
    window: int
    barrier: int
    clocked: int
    record: int
    delay_kind: int
    most_spikes: int
    most_parcels: int
    at_once: int
    max_events: int
    image: int


class Band(NamedTuple):
    """A potential strictly between low and high cannot fire, nor one up to low while S is 0; one
    outside floor to ceiling is near overflow.
    """

    low: float
    high: float
    floor: float
    ceiling: float


class State(NamedTuple):
    """All that a run is, between two events.

    at: int64, the scalars named in `queue`. v: potentials [neurons]. memory: int32 [neurons, 2],
    net spikes and spikes of either sign. lows: the arithmetic's dtype [neurons], at or below which
    a potential may fire or is near overflow, the band's low where net spikes are positive (not in
    order clocked) and else its floor; or its floor alone, where nothing fires below the band.
    rests_until, window_end: int64 [neurons], ticks (-1: no window is open), empty where time has no
    refractory period or no window. tallies: int64 [3, L, T], spikes, synaptic operations and ties.
    digests: uint64 [2, L, T], order-sensitive and order-free. mute: uint8 [neurons], 1 where spikes
    are neither sent nor counted (SRP). sums: int64, what pool units were sent by each of their
    inputs, net. inputs: int64 [E, 3], input events by step: ticks after its start, input's number,
    sign; input_first: int64 [T + 1]. found: scratch, which potentials left the band. heap, fifo:
    the queue. spike_record int64 [R, 7], spike_potentials [R, 2] and delivery_record int64 [R, 5]:
    what was recorded since the caller last took it out.
    """

    at: np.ndarray
    v: np.ndarray
    memory: np.ndarray
    lows: np.ndarray
    rests_until: np.ndarray
    window_end: np.ndarray
    tallies: np.ndarray
    digests: np.ndarray
    mute: np.ndarray
    sums: np.ndarray
    inputs: np.ndarray
    input_first: np.ndarray
    found: np.ndarray
    heap: np.ndarray
    fifo: np.ndarray
    spike_record: np.ndarray
    spike_potentials: np.ndarray
    delivery_record: np.ndarray
