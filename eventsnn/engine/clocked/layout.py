"""The flat arrays that the clocked kernel reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ProjectionTables(NamedTuple):
    """Layers l = 0..L-1 (the readout last); projections q sorted by target; taps by (q, target
    site).

    channels, sites, first_neuron, first_site: int64 [L] ([L + 1] for the firsts). into: int64 [L +
    1], projections of a target. block: int64 [L], sites of a layer's blocks (the last may be
    shorter; 1 where it pools). source, target, ci, co: int64 [Q]. first_tap: int64, for projection
    q and block b of its target at tap_base[q] + b. tap_to: int32 [taps], target site, from the
    block's first. tap_site: int32 [taps]. tap_row: int64 [taps]. weights: the arithmetic's dtype,
    the rows of all blocks. pools: uint8 [L], 1 for max pooling. largest_window: the most members of
    a pool's window times its channels.
    """

    channels: np.ndarray
    sites: np.ndarray
    first_neuron: np.ndarray
    first_site: np.ndarray
    into: np.ndarray
    block: np.ndarray
    source: np.ndarray
    target: np.ndarray
    ci: np.ndarray
    co: np.ndarray
    tap_base: np.ndarray
    first_tap: np.ndarray
    tap_to: np.ndarray
    tap_site: np.ndarray
    tap_row: np.ndarray
    weights: np.ndarray
    pools: np.ndarray
    largest_window: int
