"""What the event engine's arrays hold: tables, rules, state, numbers of columns and codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.tables import table

DONE, FULL, TOO_MANY, OVERFLOW, CROWDED, LATE = range(6)
# what a model or an order may do against its contract: to fire more at once than `most` says, or by
# itself at a tick that is not after now; to deliver before now
OVER_MOST, NO_TICK, EARLY = 1, 2, 3
DRIVE, EVENTS, EVALUATE = range(3)
# what an event is: its kind in bits 0-1, and from these bits on the half, the sign, projection + 1
# (0: all), and layer and number of the neuron
DELIVERY, WINDOW, REFRACTORY, APPOINTED = range(4)
HALF_BIT = 2
SIGN_BIT = 4
PROJECTION_BIT = 5
LAYER_BIT = 19
NUMBER_BIT = 31
# the most of each that fit, as masks
PROJECTIONS = 2 ** (LAYER_BIT - PROJECTION_BIT) - 1
LAYERS = 2 ** (NUMBER_BIT - LAYER_BIT) - 1
# columns: of the memory of neurons, of layers, projections and stretches in EventTables, of the
# records
NET, SENT = range(2)
L_CHANNELS, L_FIRST = range(2)
Q_TARGET, Q_CI, Q_CO, Q_STRIDE, Q_FIRST, Q_ROWS, Q_ROW_OF = range(7)
R_TO, R_ROW, R_WIDTH = range(3)
S_EVENT, S_TICK, S_STEP, S_NEURON, S_SIGN, S_MEMBER, S_CAUSE = range(7)
D_EVENT, D_TICK, D_STEP, D_SPIKE, D_PART = range(5)


@table
class EventTables(NamedTuple):
    """The projections by source.

    A spike's charges reach its targets in stretches of neighbouring neurons.

    layers: int64 [L + 2, 2], channels and first neuron of each layer, of the input and of what
    would come behind it. layer_of: int32 [neurons + inputs]. readout: number of the last layer.
    out, out_first: int64, the projections of source layer l are out[out_first[l]:out_first[l + 1]].
    projections: int64 [Q, 7], target layer, ci and co (source and target channels of a group),
    stride, where its sites begin in first_stretch, how many rows a site has there, and where its
    source channels begin in row_of (if there are several rows). row_of: int64, the row of a source
    channel; channels of another row have other synapses. first_stretch: int64; the stretches of
    source site p of a projection with R rows begin at first_stretch[first + p * R + row] and end at
    the next, see `stretches_of`. stretches:
    int64 [R, 3], first target neuron, first weight and width: a spike of channel c adds weights[row
    + c * stride:][:width] to the neurons from `to` + c // ci * co on. weights: the arithmetic's
    dtype. pools: int64 [L], -1, or where the sums of a pool layer's inputs begin in `State.sums`.
    pool_signs: int8 [neurons], -1 for pool units that send the minimum, else 1. sums: how many
    there are. windows: int64, places in `sums` of channel 0 of the members of windows. window_base,
    window_first: int64; the members of layer l, site r begin at window_first[window_base[l] + r] in
    `windows`.
    """

    layers: NDArray[np.int64]
    layer_of: NDArray[np.int32]
    readout: int
    out: NDArray[np.int64]
    out_first: NDArray[np.int64]
    projections: NDArray[np.int64]
    row_of: NDArray[np.int64]
    first_stretch: NDArray[np.int64]
    stretches: NDArray[np.int64]
    weights: NDArray[Any]
    pools: NDArray[np.int64]
    pool_signs: NDArray[np.int8]
    sums: int
    window_base: NDArray[np.int64]
    window_first: NDArray[np.int64]
    windows: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"<EventTables: {self.readout + 1} layers, {len(self.projections)} projections>"


@table
class Rules(NamedTuple):
    """Time's settings.

    refractory, window: ticks. barrier, clocked, record: 0 or 1. delay_kind: 0 none, 1 by
    projection, 2 by neuron. delays: int64, those in ticks (or empty). most_spikes: what a neuron
    fires at once at most. most_parcels: the deliveries of one spike. most_targets: the neurons that
    it reaches. at_once: 1 where it is one delivery without delay and with key 0. max_events: how
    many may be taken from the queue. image: its number in the data set. quiet: 1 where arrivals
    only charge, and neurons are evaluated by EVALUATE. ticks: of a step. drops: 1 where a delay
    below 0 means that a parcel is never delivered, as in a replay. few_keys: the largest key where
    keys are few (halves), else 0. uniform: 1 where of the deliveries that are due any may be the
    next (order `random`), by draws of seed. spread: the parts of a step's drive. group: how many
    deliveries only charge before all that they reached is evaluated.
    """

    refractory: int
    window: int
    barrier: int
    clocked: int
    record: int
    delay_kind: int
    delays: NDArray[np.int64]
    most_spikes: int
    most_parcels: int
    most_targets: int
    at_once: int
    max_events: int
    image: int
    quiet: int
    ticks: int
    drops: int
    few_keys: int
    uniform: int
    seed: int
    spread: int
    group: int


@table
class Band(NamedTuple):
    """The potentials at which nothing happens, in the arithmetic's numbers.

    low, high: a potential strictly between them cannot fire, nor one up to low while S is 0. floor,
    ceiling: a potential outside them is near overflow.
    """

    low: float
    high: float
    floor: float
    ceiling: float


@table
class State(NamedTuple):
    """All that a run is, between two events.

    at: int64, the scalars named in `queue`. v: the arithmetic's dtype [neurons], potentials.
    memory: int32 [neurons, 2], net spikes and spikes of either sign. lows: the arithmetic's dtype
    [neurons], at or below which a potential may fire or is near overflow: the band's low where net
    spikes are positive (not in order clocked), and else its floor; where nothing fires below the
    band, one number, the floor. rests_until, window_end: int64 [neurons], ticks (-1: no window is
    open), empty where time has no refractory period or no window. open_windows: uint64, a bit for
    each neuron with an open window. tallies: int64 [3, L, T], spikes,
    synaptic operations and ties. digests: uint64 [2, L, T], order-sensitive and order-free. mute:
    uint8 [neurons], 1 where spikes are neither sent nor counted (SRP). sums: int64, what pool units
    were sent by each of their inputs, net. inputs: int64 [E, 3], input events by step: ticks after
    its start, input's number, sign. input_first: int64 [n T + 1], where those of each of a step's n
    parts begin. driven: uint8 [neurons], 1 where the step's drive is not 0; empty where it comes
    whole. causes: int64 [neurons], the spike of the group's last delivery that reached a neuron or
    pool unit, and marks: uint64, its bit among those that are to be evaluated; then one for each
    64 of these; both are empty without groups. found: int64, scratch: which potentials left the
    band. heap: int64 [N, 4], fifo: int64 [N, 2], the deliveries that are due (`queue`). keys: int32
    [keys, 2], key_marks: uint64, chains in place of the heap where keys are few. ends: int64 [2,
    N], the tick's ends of rests and windows, and scratch, as counts: int64 [256]. chunks: int64 [C,
    8, 4], buckets: int32 [6 * 4096, 2], bucket_marks: uint64 [6, 65], turn: int64 [4], what is due
    later (`ring`). spike_record: int64 [R, 7], spike_potentials: the arithmetic's dtype [R, 2],
    delivery_record: int64 [R, 5]: what was recorded since the caller last took it out.

    Of models with a leak, K states of their own and the like (`neurons.contract.is_dynamic`; else
    empty): own: the arithmetic's dtype [neurons, K]. touched: int64 [neurons], the tick of a
    neuron's last touch. due: int64 [neurons], when it would fire by itself (-1: never). factors:
    int64 [1 + K, ticks + 1], what decay by so many ticks multiplies by, times 2^30. first_spike:
    int64 [T], the first spike's place in the order of emission, of each step that has begun.
    worths: int64 [neurons], what each one's last spike is worth; empty where the step tells.

    Of order `cores` (else empty; `cores` has the columns): core: int64 [L, 7], each layer's core.
    queues: int64 [K, 5], where each queue stands in at_cores: int64 [P, 2], what waits. services:
    int64 [L], a heap of the cores in service, by tick and layer. ready: uint64, a bit for each free
    core for which something waits. classes: int64 [C, 2], tick and class of the readout where that
    changed. uncounted: the arithmetic's dtype [classes], what does not count of the readout.
    """

    at: NDArray[np.int64]
    v: NDArray[Any]
    memory: NDArray[np.int32]
    lows: NDArray[Any] | float
    rests_until: NDArray[np.int64]
    window_end: NDArray[np.int64]
    open_windows: NDArray[np.uint64]
    tallies: NDArray[np.int64]
    digests: NDArray[np.uint64]
    mute: NDArray[np.uint8]
    sums: NDArray[np.int64]
    inputs: NDArray[np.int64]
    input_first: NDArray[np.int64]
    driven: NDArray[np.uint8]
    causes: NDArray[np.int64]
    marks: NDArray[np.uint64]
    found: NDArray[np.int64]
    heap: NDArray[np.int64]
    fifo: NDArray[np.int64]
    ends: NDArray[np.int64]
    counts: NDArray[np.int64]
    keys: NDArray[np.int32]
    key_marks: NDArray[np.uint64]
    chunks: NDArray[np.int64]
    buckets: NDArray[np.int32]
    bucket_marks: NDArray[np.uint64]
    turn: NDArray[np.int64]
    spike_record: NDArray[np.int64]
    spike_potentials: NDArray[Any]
    delivery_record: NDArray[np.int64]
    own: NDArray[Any]
    touched: NDArray[np.int64]
    due: NDArray[np.int64]
    factors: NDArray[np.int64]
    first_spike: NDArray[np.int64]
    worths: NDArray[np.int64]
    core: NDArray[np.int64]
    queues: NDArray[np.int64]
    at_cores: NDArray[np.int64]
    services: NDArray[np.int64]
    ready: NDArray[np.uint64]
    classes: NDArray[np.int64]
    uncounted: NDArray[Any]

    def __repr__(self) -> str:
        _, layers, steps = self.tallies.shape
        return f"<State: {layers} layers, {steps} steps, {int(self.tallies[0].sum()):,} spikes>"
