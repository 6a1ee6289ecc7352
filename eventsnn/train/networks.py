"""Architectures: LeNet, ResNets, VGG-16 and MobileNet V1, of any width, with the activation chosen.

Every maker takes `make`, which returns a new activation, the numbers of channels and classes, the
width (a factor of all channels) and whether the stem is ImageNet's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from eventsnn.exceptions import InputError

LEAST = 12  # pixels of height and width that LeNet needs
Make = Callable[[], nn.Module]


def scaled(channels: int, width: float) -> int:
    """A number of channels times the width, 1 at least."""
    return max(1, round(channels * width))


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, group: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps height and width at stride 1."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=group, bias=False)


class Block(nn.Module):
    """ResNet's basic block: two 3x3 convolutions, and a shortcut (He et al. 2016, Fig. 2).

    make: of its activations. inputs, outputs: channels. stride: of the first convolution. reroute:
    whether the shortcut is added behind the last activation, with one of its own where it has
    weights (SpikeZIP section 3.3, fig. 3).
    """

    expansion = 1

    def __init__(
        self, make: Make, inputs: int, outputs: int, stride: int, reroute: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = make()
        self.conv2 = conv(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut(inputs, outputs, stride, make if reroute else None)
        self.act2 = make()
        self.reroute = reroute

    def forward(self, x: Any) -> Any:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.reroute:
            return self.act2(y) + self.shortcut(x)
        return self.act2(y + self.shortcut(x))


class Bottleneck(nn.Module):
    """ResNet-50's block: 1x1, 3x3 and 1x1 convolutions, and a shortcut (He et al. 2016, Fig. 5).

    make, inputs, stride, reroute: as for `Block`. outputs: channels of the first two; the third has
    four times as many.
    """

    expansion = 4

    def __init__(
        self, make: Make, inputs: int, outputs: int, stride: int, reroute: bool = False
    ) -> None:
        super().__init__()
        last = outputs * self.expansion
        self.conv1, self.bn1, self.act1 = conv(inputs, outputs, 1), nn.BatchNorm2d(outputs), make()
        self.conv2 = conv(outputs, outputs, 3, stride)
        self.bn2, self.act2 = nn.BatchNorm2d(outputs), make()
        self.conv3, self.bn3 = conv(outputs, last, 1), nn.BatchNorm2d(last)
        self.shortcut = shortcut(inputs, last, stride, make if reroute else None)
        self.act3 = make()
        self.reroute = reroute

    def forward(self, x: Any) -> Any:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.reroute:
            return self.act3(y) + self.shortcut(x)
        return self.act3(y + self.shortcut(x))


def shortcut(inputs: int, outputs: int, stride: int, make: Make | None = None) -> nn.Module:
    """The identity, or a 1x1 convolution and BatchNormalization where shapes differ.

    make: of the activation behind these, or None for none.
    """
    if inputs == outputs and stride == 1:
        return nn.Identity()
    parts = [conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([] if make is None else [make()]))


class ResNet(nn.Module):
    """A ResNet.

    block: its kind. counts: blocks of each stage. first: channels of the first stage, twice as many
    in each further one. imagenet: a stem of a 7x7 convolution of stride 2 and a max pooling, in
    place of a 3x3 convolution. reroute: of its blocks. make, channels, classes, width: see the
    module.
    """

    def __init__(
        self,
        make: Make,
        channels: int,
        classes: int,
        width: float,
        imagenet: bool,
        block: type[Block] | type[Bottleneck] = Block,
        counts: tuple[int, ...] = (3, 3, 3),
        first: int = 16,
        reroute: bool = False,
    ) -> None:
        super().__init__()
        depth = scaled(first, width)
        self.conv1 = conv(channels, depth, 7, 2) if imagenet else conv(channels, depth)
        self.bn1, self.act1 = nn.BatchNorm2d(depth), make()
        self.pool1 = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        stages = []
        for number, count in enumerate(counts):
            outputs = scaled(first * 2**number, width)
            for place in range(count):
                stride = 2 if number and not place else 1
                stages.append(block(make, depth, outputs, stride, reroute))
                depth = outputs * block.expansion
        self.blocks = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(depth, classes)

    def forward(self, x: Any) -> Any:
        x = self.pool1(self.act1(self.bn1(self.conv1(x))))
        return self.fc(self.pool(self.blocks(x)).flatten(1))


class Vgg16(nn.Module):
    """VGG-16 with BatchNormalization and average pooling, as the papers convert it.

    ImageNet's has the three dense layers of Simonyan and Zisserman (2015, Table 1) on a 7x7 map.
    CIFAR's has one dense layer of 512 before the classes; images of fewer than 32 pixels leave out
    the poolings that they are too small for. make, channels, classes, width, imagenet: see the
    module. size: height and width of the images.
    """

    STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(
        self,
        make: Make,
        channels: int,
        classes: int,
        width: float,
        imagenet: bool,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        depth, (height, breadth) = channels, size
        for outputs, count in self.STAGES:
            for _ in range(count):
                outs = scaled(outputs, width)
                parts += [conv(depth, outs), nn.BatchNorm2d(outs), make()]
                depth = outs
            if min(height, breadth) > 1:
                parts.append(nn.AvgPool2d(2))
                height, breadth = height // 2, breadth // 2
        self.features = nn.Sequential(*parts)
        hidden = scaled(4096 if imagenet else 512, width)
        dense: list[nn.Module] = [nn.Linear(depth * height * breadth, hidden), make()]
        if imagenet:
            dense += [nn.Linear(hidden, hidden), make()]
        self.classifier = nn.Sequential(*dense, nn.Linear(hidden, classes))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).flatten(1))


class LeNet(nn.Module):
    """LeNet-5 with average pooling and the activation chosen (LeCun et al. 1998, Fig. 2).

    Two 5x5 convolutions of 6 and 16 channels, each before a pooling, and dense layers of 120 and
    84; without BatchNormalization. The first convolution is padded, so that 28 pixels need no
    border of their own. make, channels, classes, width: see the module. size: height and width of
    the images, 12 or more.
    """

    def __init__(
        self, make: Make, channels: int, classes: int, width: float, size: tuple[int, int]
    ) -> None:
        super().__init__()
        first, second, third, fourth = (scaled(outputs, width) for outputs in (6, 16, 120, 84))
        self.features = nn.Sequential(
            nn.Conv2d(channels, first, 5, padding=2),
            make(),
            nn.AvgPool2d(2),
            nn.Conv2d(first, second, 5),
            make(),
            nn.AvgPool2d(2),
        )
        height, breadth = ((pixels // 2 - 4) // 2 for pixels in size)
        self.classifier = nn.Sequential(
            nn.Linear(second * height * breadth, third),
            make(),
            nn.Linear(third, fourth),
            make(),
            nn.Linear(fourth, classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).flatten(1))


class MobileNet(nn.Module):
    """MobileNet V1: depthwise and 1x1 convolutions (Howard et al. 2017, Table 1).

    CIFAR's begins with stride 1, and so do its first two halvings. make, channels, classes, width,
    imagenet: see the module.
    """

    LAYERS = (
        *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
        *([(512, 1)] * 5),
        *((1024, 2), (1024, 1)),
    )

    def __init__(
        self, make: Make, channels: int, classes: int, width: float, imagenet: bool
    ) -> None:
        super().__init__()
        depth = scaled(32, width)
        parts: list[nn.Module] = [conv(channels, depth, 3, 2 if imagenet else 1)]
        parts += [nn.BatchNorm2d(depth), make()]
        halved = 0
        for outputs, stride in self.LAYERS:
            halved += stride == 2
            step = stride if imagenet or halved > 1 else 1
            outs = scaled(outputs, width)
            parts += [conv(depth, depth, 3, step, depth), nn.BatchNorm2d(depth), make()]
            parts += [conv(depth, outs, 1), nn.BatchNorm2d(outs), make()]
            depth = outs
        self.features = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(depth, classes)

    def forward(self, x: Any) -> Any:
        return self.fc(self.pool(self.features(x)).flatten(1))


RESNETS: dict[str, dict[str, Any]] = {
    "resnet8": {"counts": (1, 1, 1)},
    "resnet20": {"counts": (3, 3, 3)},
    "resnet18": {"counts": (2, 2, 2, 2), "first": 64},
    "resnet34": {"counts": (3, 4, 6, 3), "first": 64},
    "resnet50": {"counts": (3, 4, 6, 3), "first": 64, "block": Bottleneck},
}


def network(
    arch: str,
    make: Make,
    shape: tuple[int, int, int],
    classes: int,
    width: float,
    stem: str,
    reroute: bool = False,
) -> nn.Module:
    """A new network with random weights (He et al. 2015 for convolutions).

    arch: one of `named.ARCHITECTURES`. make: returns a new activation. shape: (C, H, W) of the
    images. classes: how many. width: a factor of all channels. stem: "cifar", "imagenet", or
    "auto": ImageNet's from 96 pixels on. reroute: shortcuts behind activations, of ResNets. Raises
    InputError for images that are too small for LeNet.
    """
    channels, height, breadth = shape
    imagenet = stem == "imagenet" or (stem == "auto" and min(height, breadth) >= 96)
    if arch == "lenet":
        if min(height, breadth) < LEAST:
            found = f"{height} x {breadth}"
            raise InputError("images", f"{LEAST} x {LEAST} pixels or more for lenet", found)
        made: nn.Module = LeNet(make, channels, classes, width, (height, breadth))
    elif arch == "vgg16":
        made = Vgg16(make, channels, classes, width, imagenet, (height, breadth))
    elif arch == "mobilenet":
        made = MobileNet(make, channels, classes, width, imagenet)
    else:
        made = ResNet(make, channels, classes, width, imagenet, reroute=reroute, **RESNETS[arch])
    for part in made.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, 0.01 if imagenet else part.in_features**-0.5)
            nn.init.zeros_(part.bias)
    return made
