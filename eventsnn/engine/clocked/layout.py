"""The flat arrays that the clocked kernel reads and writes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.tables import table


@table
class ProjectionTables(NamedTuple):
    """Layers l = 0..L-1 (the readout last), and projections q = 0..Q-1 sorted by target.

    Taps are sorted by projection and target site.

    channels, sites, first_neuron, first_site: int64 [L] ([L + 1] for the firsts). into: int64 [L +
    1], where a target's projections begin. block: int64 [L], sites of a layer's blocks (the last
    may be shorter; 1 where the layer pools). source, target: int64 [Q]. ci, co: int64 [Q], source
    and target channels of a group. stride: int64 [Q], from the row of a source channel to the next:
    more than co where weights lie by source channel. at: int64 [Q], the target's first channel that
    is reached.
    tap_base, first_tap: int64; the taps of projection q into block b of its target begin at
    first_tap[tap_base[q] + b]. tap_to: int32 [taps], target site, counted from the block's first.
    tap_site: int32 [taps], source site. tap_row: int64 [taps], where a tap's rows begin in
    `weights`. tap_width: int32 [taps], of its rows. weights: the arithmetic's dtype, the rows of
    all projections. widths: int32, and first_width: int64 [Q]; where not every source channel has a
    synapse to each target channel of its group, those of the row of a tap at tap_row are counted in
    widths[first + (tap_row - first_row) / co + channel], for first = first_width[q] and first_row =
    first_row[q]; elsewhere first is -1. pools: uint8 [L], 1 for max pooling. pool_signs: int8
    [neurons], -1 for pool units that send the minimum, else 1. largest_window: the most members of
    a pool's window, times its channels. hashes: uint64 [2 * N], what a spike of the neuron of that
    number in its layer adds to a digest, and counted from the end a negative one; N: neurons of the
    largest layer.
    """

    channels: NDArray[np.int64]
    sites: NDArray[np.int64]
    first_neuron: NDArray[np.int64]
    first_site: NDArray[np.int64]
    into: NDArray[np.int64]
    block: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    ci: NDArray[np.int64]
    co: NDArray[np.int64]
    stride: NDArray[np.int64]
    at: NDArray[np.int64]
    tap_base: NDArray[np.int64]
    first_tap: NDArray[np.int64]
    tap_to: NDArray[np.int32]
    tap_site: NDArray[np.int32]
    tap_row: NDArray[np.int64]
    tap_width: NDArray[np.int32]
    weights: NDArray[Any]
    widths: NDArray[np.int32]
    first_width: NDArray[np.int64]
    first_row: NDArray[np.int64]
    pools: NDArray[np.uint8]
    pool_signs: NDArray[np.int8]
    largest_window: int
    hashes: NDArray[np.uint64]

    def __repr__(self) -> str:
        layers, projections = len(self.sites), len(self.source)
        return f"<ProjectionTables: {layers} layers, {projections} projections>"


@table
class Work(NamedTuple):
    """What a run of one image reads and writes, or of each layer one part of its sites.

    drive: the arithmetic's dtype [D, neurons]; step t < drive_steps takes row min(t, D - 1).
    driven: the steps whose drive a block's charges begin with: drive_steps, or 0 where the model
    adds it by itself. v: the arithmetic's dtype [neurons], potentials, read and written. s: int32
    [neurons], net spikes, 0 at first, read and written. mute: uint8 [neurons], 1 where spikes are
    neither sent nor counted. spikes, operations: int64 [parts, L, T], 0 at first (operations by
    target layer). ties: int64 [parts, L], 0 at first. readout: [T, classes], the charge that has
    arrived so far. log: int32. begins: int64 [sites, T + 1]: the spikes of site number p (over all
    layers) in step t are log[begins[p, t]:begins[p, t + 1]], as channels c, or ~c where negative.
    Each part has an equal share of the log. own: the arithmetic's dtype [neurons, K], states of the
    model's own, read and written. digests: uint64 [parts, L, T], 0 at first. back: uint8 [sites,
    T], 1 where any is negative.

    charge: the arithmetic's dtype, what arrives at a block, by step, site and channel. emitted:
    int32, likewise. sums: int64, net spikes of the members of a pool's window, by member and
    channel. so_far: uint64 (`kernels.add_digests`). These four are each part's own scratch.
    at_most: the most spikes that a neuron or pool unit sends in a step. given: how many of the
    first layers are not run; their spikes are in the log of the only part. part: the number of this
    one. done: int64 [parts + 1], 0 at first: the layers that each part has done; the last is set to
    make all stop. reached: int64 [parts], written: the largest size of a potential of that part
    (`firing.size_of`). limit: the size that no potential may reach; there the part stops. factors:
    of `decay.factors_of`. ticks: of a step. image: its number in the data set.
    """

    drive: NDArray[Any]
    drive_steps: int
    driven: int
    v: NDArray[Any]
    s: NDArray[np.int32]
    mute: NDArray[np.uint8]
    spikes: NDArray[np.int64]
    operations: NDArray[np.int64]
    ties: NDArray[np.int64]
    readout: NDArray[Any]
    log: NDArray[np.int32]
    begins: NDArray[np.int64]
    own: NDArray[Any]
    digests: NDArray[np.uint64]
    back: NDArray[np.uint8]
    charge: NDArray[Any]
    emitted: NDArray[np.int32]
    sums: NDArray[np.int64]
    so_far: NDArray[np.uint64]
    at_most: int
    given: int
    part: int
    done: NDArray[np.int64]
    reached: NDArray[np.int64]
    limit: int
    factors: NDArray[np.int64]
    ticks: int
    image: int

    def __repr__(self) -> str:
        parts, layers, steps = self.spikes.shape
        return f"<Work: part {self.part + 1} of {parts}, {layers} layers, {steps} steps>"
