"""Paths-ensemble training (SpikeZIP section 3.4): a major path and sub-paths of fewer levels.

All share weights, biases and the scale s. A sub-path of n levels has the scale n_mp s / n (eq. 4),
and statistics of its own in every BatchNormalization, whose gamma and beta are shared (eq. 5). Only
the major path is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from eventsnn.train.activations import QRelu

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Paths(nn.Module):
    """The sub-paths' statistics, as a part of the network: `select` says which path it computes.

    network: to be trained; it gets this module as its part `paths`. levels: of the major path,
    then of each sub-path.
    """

    def __init__(self, network: Any, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        parts = list(network.modules())
        self.activations = [part for part in parts if isinstance(part, QRelu)]
        self.norms = [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        for place, norm in enumerate(self.norms):
            for path in range(1, len(self.levels)):
                for key in STATISTICS:
                    value = norm.get_buffer(key).detach().clone()
                    self.register_buffer(f"{key}_{place}_{path}", value)
        self.own = [{key: norm.get_buffer(key) for key in STATISTICS} for norm in self.norms]
        # not as parts of this module: they are the network's
        network.paths = self

    def select(self, path: int) -> None:
        """From now on the network computes a path. path: 0 for the major one, 1 and on."""
        for place, norm in enumerate(self.norms):
            for key in STATISTICS:
                own = self.own[place][key]
                value = self.get_buffer(f"{key}_{place}_{path}") if path else own
                norm._buffers[key] = value
        for part in self.activations:
            part.path_levels = self.levels[path]

    def weight(self, path: int, alpha: float) -> float:
        """The coefficient of a path's loss (SpikeZIP eq. 6). path: 0 for the major one, and on."""
        return alpha * self.levels[path] / self.levels[0] if path else 1.0
