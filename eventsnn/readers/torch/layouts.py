"""The layouts of networks in state dicts of the papers' repositories: which keys there are, and the
graph that they make.

vgg16, resnet18, resnet20 and resnet34 of QCFS's, SRP's, COS's and GN's repositories have the same
names, but for activations and their thresholds; DNISNM's vgg16 and torchvision's have others, which
come in the same order.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import Any

import h5py

from eventsnn.exceptions import InputError
from eventsnn.readers.building import some

# the last part of a key that is a threshold -> (operator, the attribute that it becomes)
THRESHOLDS = {
    "thresh": ("QCFS", "lambda"),
    "up": ("QCFS", "lambda"),
    "v_threshold": ("QCFS", "lambda"),
    "act_alpha": ("QCFS", "lambda"),
    "s": ("QuantRelu", "scale"),
}
VGG = {"vgg16": (2, 2, 3, 3, 3)}  # convolutions of each stage
RESNET = {
    "resnet18": (2, 2, 2, 2),
    "resnet20": (3, 3, 3),
    "resnet34": (3, 4, 6, 3),
}  # blocks of each stage
POOLS = {"average": "AveragePool", "max": "MaxPool"}
ARCHITECTURES = (*VGG, *RESNET)
EXAMPLE, MAPPING = "for example ⟦arch=resnet20:L=4⟧", "give a mapping file as ⟦arch⟧"


class Layout:
    """Names a state dict's datasets in the nodes of a known architecture. `graph` gives an object
    like that of a mapping file.
    """

    def __init__(self, datasets: dict[str, h5py.Dataset], name: str, arch: str) -> None:
        self.datasets = datasets
        self.name = name
        self.arch = arch
        self.nodes: list[dict[str, Any]] = []
        self.used: set[str] = set()
        self.last = "input"
        self.kind, _, options = arch.partition(":")
        self.options = dict(part.partition("=")[::2] for part in options.split(",") if part)
        allowed = ("L", "pool") if self.kind in VGG else ("L", "size")
        if self.kind not in ARCHITECTURES or not set(self.options) <= set(allowed):
            raise InputError(
                "⟦arch⟧",
                f"{', '.join(ARCHITECTURES)}, with options L, pool (vgg16) or size (ResNets), or "
                "a .json file",
                arch,
                EXAMPLE,
            )
        self.levels, self.size = self._number("L", None), self._number("size", 32)
        self.has_thresholds = any(key.rpartition(".")[2] in THRESHOLDS for key in datasets)
        if self.has_thresholds == (self.levels is None):
            raise InputError(
                "⟦arch⟧",
                "levels L, which the file does not tell"
                if self.has_thresholds
                else "no levels L, as the file has no trained thresholds",
                arch,
                EXAMPLE,
            )

    def _number(self, option: str, default: int | None) -> int | None:
        value = self.options.get(option, str(default or 1))
        if not re.fullmatch("[1-9][0-9]{0,6}", value):
            raise InputError("⟦arch⟧", f"a whole number from 1 as {option}", value, EXAMPLE)
        return int(value) if option in self.options else default

    def graph(self) -> dict[str, Any]:
        """The object; InputError for keys that are missing or left over."""
        size = self._vgg(VGG[self.kind]) if self.kind in VGG else self._resnet(RESNET[self.kind])
        left = sorted(set(self.datasets) - self.used)
        if left:
            raise InputError(
                self.name, f"the keys of {self.kind} and no others", f"{some(left)}, too", MAPPING
            )
        channels = self._take(
            next(node for node in self.nodes if node["op"] == "Conv")["name"] + ".weight"
        ).shape[1]
        return {
            "input": "input",
            "output": self.last,
            "input_shape": [channels, size, size],
            "nodes": self.nodes,
        }

    def _resnet(self, blocks: tuple[int, ...]) -> int | None:
        """conv1, conv2_x and so on, fc, with blocks of residual_function and shortcut."""
        self._layer("conv1.0", "conv1.1", "conv1.2")
        for stage, count in enumerate(blocks):
            for number in range(count):
                self._block(f"conv{stage + 2}_x.{number}", 2 if stage and not number else 1)
        self._add("avg_pool", "GlobalAveragePool")
        self._add("flatten", "Flatten")
        self._linear("fc")
        return self.size

    def _block(self, block: str, stride: int) -> None:
        start, branch = self.last, f"{block}.residual_function"
        self._layer(f"{branch}.0", f"{branch}.1", f"{branch}.2", stride)
        self._layer(f"{branch}.3", f"{branch}.4")
        end, self.last = self.last, start
        if f"{block}.shortcut.0.weight" in self.datasets:
            self._layer(f"{block}.shortcut.0", f"{block}.shortcut.1", stride=stride)
        self._add(f"{block}.add", "Add", inputs=[end, self.last])
        self._activation(f"{block}.relu" if self._threshold(f"{block}.relu") else f"{block}.act")

    def _vgg(self, stages: tuple[int, ...]) -> int:
        """Convolutions and linear layers in the order of the numbers in their names; returns the
        images' size.
        """
        layers = self._in_order()
        convolutions = [layer for layer in layers if "conv" in layer]
        if len(convolutions) != sum(stages) or "linear" not in layers[-1]:
            raise InputError(
                self.name,
                f"{sum(stages)} convolutions, then linear layers",
                f"{len(convolutions)} of {len(layers)} layers",
                MAPPING,
            )
        normed = all("norm" in layer for layer in convolutions)
        known = normed and any(
            f"{first}.weight" in self.datasets for first in ("layer1.0", "conv1_1")
        )
        pool = self.options.get("pool", "average" if known else None)
        if pool not in POOLS:
            raise InputError(
                "⟦arch⟧",
                "pool=average or pool=max, which the file does not tell",
                self.arch,
                "for example ⟦arch=vgg16:pool=max⟧",
            )
        for number, layer in enumerate(layers, 1):
            if "conv" in layer:
                self._layer(
                    layer["conv"],
                    layer.get("norm"),
                    layer.get("activation", f"{layer['conv']}.relu"),
                )
                if number in accumulate(stages):
                    self._add(
                        f"pool{number}", POOLS[pool], {"kernel_shape": [2, 2], "strides": [2, 2]}
                    )
                continue
            if number == len(convolutions) + 1:
                self._add("flatten", "Flatten")
            self._linear(layer["linear"])
            if number < len(layers) or "activation" in layer:
                self._activation(layer.get("activation", f"{layer['linear']}.relu"))
        features, maps = (
            self._take(f"{key}.weight").shape
            for key in (layers[len(convolutions)]["linear"], convolutions[-1]["conv"])
        )
        return math.isqrt(features[1] // maps[0]) * 2 ** len(stages)

    def _in_order(self) -> list[dict[str, str]]:
        """A VGG's layers: dicts of the names of their modules, by kind."""
        kinds: dict[str, str | None] = {}
        for key, dataset in self.datasets.items():
            module, _, leaf = key.rpartition(".")
            kind: str | None = {
                "running_mean": "norm",
                "weight": {4: "conv", 2: "linear"}.get(len(dataset.shape)),
            }.get(leaf)
            kind = "activation" if leaf in THRESHOLDS else kind
            kinds[module] = kind or kinds.get(module)
        dense = {_root(module) for module, kind in kinds.items() if kind == "linear"}
        order = sorted(
            (
                _root(module) in dense,
                _numbers(module),
                ("conv", "linear", "norm", "activation").index(kind),
                module,
                kind,
            )
            for module, kind in kinds.items()
            if kind
        )
        layers: list[dict[str, str]] = []
        for *_, module, kind in order:
            if kind in ("conv", "linear"):
                layers.append({kind: module})
            elif not layers or kind in layers[-1]:
                raise InputError(
                    self.name,
                    "a convolution or linear layer before each norm and activation",
                    repr(module),
                    MAPPING,
                )
            else:
                layers[-1][kind] = module
        return layers or [{}]

    def _layer(
        self, conv: str, norm: str | None = None, activation: str | None = None, stride: int = 1
    ) -> None:
        """A convolution that keeps the size (or divides it by the stride), its norm and its
        activation, where there are names for them.
        """
        weight = self._take(f"{conv}.weight")
        if len(weight.shape) != 4:
            raise InputError(
                f"{self.name}: {conv}.weight", "four axes, as of a convolution", list(weight.shape)
            )
        pads = [(n - 1) // 2 for n in weight.shape[2:]]
        self._add(
            conv,
            "Conv",
            {"strides": [stride, stride], "pads": pads * 2},
            {"W": f"{conv}.weight"} | self._optional("B", f"{conv}.bias"),
        )
        if norm:
            self._add(
                norm,
                "BatchNormalization",
                {"epsilon": 1e-5},
                {
                    "scale": f"{norm}.weight",
                    "B": f"{norm}.bias",
                    "input_mean": f"{norm}.running_mean",
                    "input_var": f"{norm}.running_var",
                },
            )
        if activation:
            self._activation(activation)

    def _linear(self, key: str) -> None:
        self._add(
            key, "Gemm", {"transB": 1}, {"B": f"{key}.weight"} | self._optional("C", f"{key}.bias")
        )

    def _activation(self, module: str) -> None:
        key = self._threshold(module)
        if not self.has_thresholds:
            return self._add(module, "Relu")
        if key is None:
            raise InputError(
                f"{self.name}: {module}",
                f"a threshold ({', '.join(THRESHOLDS)})",
                "none",
                "other activations have one",
            )
        op, attr = THRESHOLDS[key.rpartition(".")[2]]
        return self._add(module, op, {"levels": self.levels}, {attr: key})

    def _threshold(self, module: str) -> str | None:
        return next(
            (key for leaf in THRESHOLDS if (key := f"{module}.{leaf}") in self.datasets), None
        )

    def _optional(self, role: str, key: str) -> dict[str, str]:
        return {role: key} if key in self.datasets else {}

    def _add(
        self,
        name: str,
        op: str,
        attrs: dict[str, Any] | None = None,
        keys: dict[str, str] | None = None,
        inputs: list[str] | None = None,
    ) -> None:
        """Add a node after the last one; keys: role -> key of the state dict."""
        params = {role: self._take(key).name.lstrip("/") for role, key in (keys or {}).items()}
        self.nodes.append(
            {
                "name": name,
                "op": op,
                "inputs": inputs or [self.last],
                "attrs": attrs or {},
                "params": params,
            }
        )
        self.last = name

    def _take(self, key: str) -> h5py.Dataset:
        if key not in self.datasets:
            raise InputError(
                self.name,
                f"a dataset {key!r}, as {self.kind} has",
                "none",
                "give another ⟦arch⟧, or a mapping file",
            )
        self.used.add(key)
        return self.datasets[key]


def _root(module: str) -> str:
    """What a module's name begins with, before any number."""
    return re.split(r"[\d.]", module, maxsplit=1)[0]


def _numbers(module: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", module)[:20]]
