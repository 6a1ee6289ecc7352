"""ResNets: of the papers' repositories (QCFS, SRP, COS, GN), of torchvision, and for CIFAR-10.

The first have conv1.0, conv2_x.0.residual_function.0 and fc; the others conv1, layer1.0.conv1 and
fc or linear. Shortcuts are called shortcut or downsample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.readers.torch.layout import MAPPING, Layout

# blocks of each stage
BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet20": (3, 3, 3),
    "resnet32": (5, 5, 5),
    "resnet34": (3, 4, 6, 3),
    "resnet44": (7, 7, 7),
    "resnet50": (3, 4, 6, 3),
    "resnet56": (9, 9, 9),
    "resnet101": (3, 4, 23, 3),
    "resnet110": (18, 18, 18),
    "resnet152": (3, 8, 36, 3),
}
DEEP = ("resnet50", "resnet101", "resnet152")  # with three convolutions in a block
POOLS = {"none": None, "max": "MaxPool", "average": "AveragePool"}
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
OPTION_A = (
    "shortcuts without weights are taken for option A: every second place, and channels of zeros "
    "on both sides"
)


class ResNet(Layout):
    """A ResNet. Parameters as those of `Layout`; its options are size and pool."""

    def build(self) -> int:
        """Makes the nodes; returns the images' height and width."""
        blocks = BLOCKS[self.kind]
        if "conv1.0.weight" in self.keys and "layer1.0.conv1.weight" not in self.keys:
            return self._papers(blocks)
        if "conv1.weight" not in self.keys and "conv1.0.weight" not in self.keys:
            expected = f"a tensor 'conv1.0.weight' or 'conv1.weight', as {self.kind} has"
            raise InputError(self.name, expected, "none", self._instead("conv1.weight"))
        if self.kind in DEEP:
            self.notes.append("blocks have their stride in the 3x3 convolution, as torchvision's")
        size = self._stem(len(blocks))
        head = "fc" if "fc.weight" in self.keys else "linear"
        for stage, count in enumerate(blocks):
            for number in range(count):
                block = f"layer{stage + 1}.{number}"
                self._block(block, 2 if stage and not number else 1, head)
        self.pooled(head)
        return self.size(size)

    def _papers(self, blocks: tuple[int, ...]) -> int:
        """With names as in the papers' repositories."""
        if "pool" in self.options:
            found = f"{self.arch}, whose names are those of a network without one"
            raise InputError("⟦arch⟧", "pool where a pool may be", found, "leave pool out")
        self.layer("conv1.0", "conv1.1", "conv1.2")
        for stage, count in enumerate(blocks):
            for number in range(count):
                block = f"conv{stage + 2}_x.{number}"
                stride = 2 if stage and not number else 1
                start, branch = self.last, f"{block}.residual_function"
                self._branch(
                    [(f"{branch}.{3 * i}", f"{branch}.{3 * i + 1}") for i in (0, 1, 2)],
                    [(f"{branch}.2",), (f"{branch}.5",)],
                    stride,
                )
                self._shortcut(block, f"{block}.shortcut", start, stride)
                self.activation(f"{block}.act", f"{block}.relu")
        self.pooled("fc")
        return self.size(32)

    def _stem(self, stages: int) -> int:
        """The layers in front of the first block; returns the images' usual size."""
        deep = "conv1.0.weight" in self.keys
        if deep:  # three convolutions, as of SNN Calibration's ResNet-34
            self.layer("conv1.0", "conv1.1", "conv1.2", 2)
            self.layer("conv1.3", "conv1.4", "conv1.5")
            self.layer("conv1.6", "bn1", "relu")
            large, usual = True, "average"
        else:
            large = max(self.weight("conv1").shape[2:]) > 3
            self.layer("conv1", "bn1", "relu", 2 if large else 1)
            small = stages == 3 or "linear.weight" in self.keys
            usual = "max" if large else "none" if small else ""
        pool = self.options.get("pool", usual)
        if pool not in POOLS:
            expected = "pool=none, pool=max or pool=average, which the file does not tell"
            raise InputError(
                "⟦arch⟧", expected, self.arch, f"for example ⟦arch={self.kind}:pool=none⟧"
            )
        if "pool" not in self.options:
            words = "no pool" if pool == "none" else f"one {pool} pool"
            self.notes.append(
                f"{words} is taken behind the first convolution (arch={self.kind}:pool=…)"
            )
        op = POOLS[pool]
        if op is not None:
            self.add("pool", op, WINDOW | ({"count_include_pad": 1} if op != "MaxPool" else {}))
        return 224 if large else 32

    def _block(self, block: str, stride: int, head: str) -> None:
        """With names as in torchvision."""
        start = self.last
        names = [(f"{block}.conv{i}", f"{block}.bn{i}") for i in (1, 2, 3)]
        activations = [(f"{block}.relu{i}", f"{block}.act{i}", f"{block}.relu") for i in (1, 2)]
        self._branch(names, activations, stride)
        count = len(names) if self.kind in DEEP else 2
        inner = next(
            (
                f"{block}.{n}"
                for n in ("downsample", "shortcut")
                if f"{block}.{n}.0.weight" in self.keys
            ),
            "",
        )
        self._shortcut(block, inner, start, stride, head == "linear")
        self.activation(f"{block}.relu{count}", f"{block}.act{count}", f"{block}.relu")

    def _branch(
        self, names: list[tuple[str, str]], activations: Sequence[tuple[str, ...]], stride: int
    ) -> None:
        """Two convolutions, or three whose second has the stride."""
        deep = self.kind in DEEP
        count = 3 if deep else 2
        for i, (conv, norm) in enumerate(names[:count]):
            strides = stride if i == (1 if deep else 0) else 1
            # the second of three may have groups, as of ResNeXt
            before = self.weight(names[0][0]).shape[0] if deep and i == 1 else None
            self.layer(conv, norm, activations[i] if i < count - 1 else None, strides, before)

    def _shortcut(
        self, block: str, inner: str, start: str, stride: int, option_a: bool = False
    ) -> None:
        """The sum of a branch, which is the last node, and of a shortcut around it.

        inner: the name of the shortcut's layers. option_a: whether it may have none.
        """
        end, self.last = self.last, start
        if f"{inner}.0.weight" in self.keys:
            self.layer(f"{inner}.0", f"{inner}.1", stride=stride)
        elif stride != 1:
            self._without_weights(block, stride, option_a)
        self.add(f"{block}.add", "Add", inputs=[end, self.last])

    def _without_weights(self, block: str, stride: int, option_a: bool) -> None:
        """Option A of He et al. (2016), section 3.3, as a convolution of ones and zeros."""
        count = 3 if self.kind in DEEP else 2
        first = f"{block}.conv1.weight"
        last = f"{block}.conv{count}.weight"
        if not option_a or last not in self.keys:
            expected = f"a tensor '{block}.downsample.0.weight', as {self.kind} has"
            raise InputError(self.name, expected, "none", f"{MAPPING} that says what is there")
        before, after = self.take(first).shape[1], self.take(last).shape[0]
        side = (after - before) // 2
        if not 0 <= side or after - before != 2 * side or max(before, after) > 4096:
            where = f"{self.name}: {block}"
            raise InputError(
                where, "as many channels of zeros on both sides", after - before, MAPPING
            )
        name = f"{block}.shortcut"
        weight = np.zeros((after, before, 1, 1), np.float32)
        weight[side + np.arange(before), np.arange(before)] = 1
        self.arrays[f"{name} (option A)"] = weight
        strides = {"strides": [stride, stride], "pads": [0, 0, 0, 0]}
        self.add(name, "Conv", strides, {"W": f"{name} (option A)"})
        if OPTION_A not in self.notes:
            self.notes.append(OPTION_A)
