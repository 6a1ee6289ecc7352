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

LEARNED = ("weight", "bias")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Paths(nn.Module):
    """What sub-paths have of their own, as a part of the network: `select` says which it computes.

    Other ways of sharing than the paper's are those of its Table 5. network: to be trained; it gets
    this module as its part `paths`. levels: of the major path, then of each sub-path. scales:
    "share" (eq. 4), "identical" (s in every path) or "independent" (one trained in each, which
    begins as eq. 4 has it). norms: "share" (eq. 5), "identical" (statistics, too, are those of all
    paths) or "independent" (gamma and beta, too, of each).
    """

    def __init__(
        self, network: Any, levels: Sequence[int], scales: str = "share", norms: str = "share"
    ) -> None:
        super().__init__()
        self.levels, self.scales = tuple(levels), scales
        parts = list(network.modules())
        self.activations = [part for part in parts if isinstance(part, QRelu)]
        self.norms = [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        self.kept = () if norms == "identical" else STATISTICS
        self.trained = LEARNED if norms == "independent" else ()
        self.own: list[dict[str, Any]] = []
        for place, norm in enumerate(self.norms):
            own = {key: norm.get_buffer(key) for key in self.kept}
            self.own.append(own | {key: norm.get_parameter(key) for key in self.trained})
            for path in range(1, len(self.levels)):
                for key, value in self.own[place].items():
                    self._add(f"{key}_{place}_{path}", value.detach().clone(), key in LEARNED)
        for place, part in enumerate(self.activations if scales == "independent" else ()):
            for path in range(1, len(self.levels)):
                self._add(f"scale_{place}_{path}", part.scale.detach() * 0, True)
        # what was listed above are no parts of this module: they are the network's
        network.paths = self

    def _add(self, name: str, value: Any, trained: bool) -> None:
        if trained:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def select(self, path: int) -> None:
        """From now on the network computes a path. path: 0 for the major one, 1 and on."""
        for place, norm in enumerate(self.norms):
            for key, own in self.own[place].items():
                value = getattr(self, f"{key}_{place}_{path}") if path else own
                (norm._parameters if key in LEARNED else norm._buffers)[key] = value
        factor = self.levels[0] / self.levels[path]
        for place, part in enumerate(self.activations):
            part.path_levels = self.levels[path]
            part.path_factor = 1.0 if self.scales == "identical" else factor
            alone = self.scales == "independent" and path
            part.path_scale = (getattr(self, f"scale_{place}_{path}"),) if alone else ()

    def weight(self, path: int, alpha: float) -> float:
        """The coefficient of a path's loss (SpikeZIP eq. 6). path: 0 for the major one, and on."""
        return alpha * self.levels[path] / self.levels[0] if path else 1.0
