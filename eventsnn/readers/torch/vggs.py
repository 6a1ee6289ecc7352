"""VGGs, whose layers come in the order of the numbers in their names.

Of the papers' repositories (layer1.0 to classifier.7, and conv1_1 to fc3), of torchvision and many
others (features.0 to classifier.6).
"""

from __future__ import annotations

import math
import re
from itertools import accumulate

from eventsnn.exceptions import InputError
from eventsnn.readers.torch.layout import MAPPING, THRESHOLDS, Layout

# convolutions of each stage
STAGES = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
POOLS = {"average": "AveragePool", "max": "MaxPool"}
KINDS = ("conv", "linear", "norm", "activation")


class VGG(Layout):
    """A VGG. Parameters as those of `Layout`; its option is pool."""

    def build(self) -> int:
        """Makes the nodes; returns the images' height and width."""
        stages = STAGES[self.kind.removesuffix("_bn")]
        layers = self._in_order()
        convolutions = [layer for layer in layers if "conv" in layer]
        if len(convolutions) != sum(stages) or "linear" not in layers[-1]:
            expected = f"{sum(stages)} convolutions, then linear layers"
            found = f"{len(convolutions)} of {len(layers)} layers"
            raise InputError(self.name, expected, found, MAPPING)
        normed = all("norm" in layer for layer in convolutions)
        if self.kind.endswith("_bn") and not normed:
            expected = "a BatchNormalization behind each convolution"
            do = f"give ⟦arch={self.kind[:-3]}⟧"
            raise InputError(self.name, expected, "some without", do)
        pool = POOLS[self._pool(normed)]
        for number, layer in enumerate(layers, 1):
            if "conv" in layer:
                relu = layer.get("activation", f"{layer['conv']}.relu")
                self.layer(layer["conv"], layer.get("norm"), relu)
                if number in accumulate(stages):
                    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
                    self.add(f"pool{number}", pool, window)
                continue
            if number == len(convolutions) + 1:
                self.add("flatten", "Flatten")
            self.linear(layer["linear"])
            if number < len(layers) or "activation" in layer:
                self.activation(layer.get("activation", f"{layer['linear']}.relu"))
        features = self.take(f"{layers[len(convolutions)]['linear']}.weight").shape
        maps = self.weight(convolutions[-1]["conv"]).shape
        if not maps[0] or len(features) < 2:
            raise InputError(self.name, "a linear layer behind maps", list(features), MAPPING)
        return math.isqrt(features[1] // maps[0]) * 2 ** len(stages)

    def _pool(self, normed: bool) -> str:
        """How it pools, which only the names of the papers' own networks tell."""
        firsts = ("layer1.0.weight", "conv1_1.weight")
        known = normed and any(first in self.keys for first in firsts)
        pool = self.options.get("pool", "average" if known else "")
        if known and "pool" not in self.options:
            self.notes.append(f"pools are taken for average pools (arch={self.kind}:pool=max)")
        if pool not in POOLS:
            expected = "pool=average or pool=max, which the file does not tell"
            do = f"for example ⟦arch={self.kind}:pool=max⟧, as torchvision's networks pool"
            raise InputError("⟦arch⟧", expected, self.arch, do)
        return pool

    def _in_order(self) -> list[dict[str, str]]:
        """The layers: dicts of the names of their modules, by kind."""
        kinds: dict[str, str | None] = {}
        for key, stored in self.keys.items():
            module, _, leaf = key.rpartition(".")
            axes = len(getattr(stored, "shape", ()))
            kind = {"running_mean": "norm", "weight": {4: "conv", 2: "linear"}.get(axes)}.get(leaf)
            kind = "activation" if leaf in THRESHOLDS else kind
            kinds[module] = kind or kinds.get(module)
        dense = {_root(module) for module, kind in kinds.items() if kind == "linear"}
        order = sorted(
            (_root(module) in dense, _numbers(module), KINDS.index(kind), module, kind)
            for module, kind in kinds.items()
            if kind
        )
        layers: list[dict[str, str]] = []
        for *_, module, kind in order:
            if kind in ("conv", "linear"):
                layers.append({kind: module})
            elif not layers or kind in layers[-1]:
                expected = "a convolution or linear layer before each norm and activation"
                raise InputError(self.name, expected, repr(module), MAPPING)
            else:
                layers[-1][kind] = module
        return layers or [{}]


def _root(module: str) -> str:
    """What a module's name begins with, before any number."""
    return re.split(r"[\d.]", module, maxsplit=1)[0]


def _numbers(module: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d{1,9}", module)[:20]]
