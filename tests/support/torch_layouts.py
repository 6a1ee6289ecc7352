"""Small PyTorch modules whose state dicts have the keys of the architectures that --arch knows."""

import torch
from torch import nn
from torch.nn import functional


def fill(net, seed=0):
    """The module in evaluation mode, with random numbers in every norm and linear layer."""
    torch.manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.6, 1.1)
            module.bias.data.normal_(0, 0.2)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.2)
    return net.eval()


def conv(before, after, size=3, stride=1, norm=True):
    """A convolution that keeps the size, and what stands behind it."""
    layers = [nn.Conv2d(before, after, size, stride, (size - 1) // 2, bias=not norm)]
    return [*layers, nn.BatchNorm2d(after)] if norm else layers


class Paper(nn.Module):
    """A block as in the repositories of QCFS, SRP and GN."""

    def __init__(self, before, width, stride, deep):
        super().__init__()
        after = 4 * width if deep else width
        layers = [*conv(before, width, 1 if deep else 3, 1 if deep else stride), nn.ReLU()]
        if deep:
            layers += [*conv(width, width, 3, stride), nn.ReLU()]
        layers += conv(width, after, 1 if deep else 3)
        self.residual_function = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(*conv(before, after, 1, stride))

    def forward(self, x):
        return torch.relu(self.residual_function(x) + self.shortcut(x))


class PaperResNet(nn.Module):
    def __init__(self, blocks, deep=False, width=2):
        super().__init__()
        self.conv1 = nn.Sequential(*conv(3, width), nn.ReLU())
        before = width
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                now = width * 2**stage
                layers.append(Paper(before, now, 2 if stage and not i else 1, deep))
                before = 4 * now if deep else now
            setattr(self, f"conv{stage + 2}_x", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.fc = nn.Linear(before, 5)

    def forward(self, x):
        x = self.conv1(x)
        for stage in range(self.stages):
            x = getattr(self, f"conv{stage + 2}_x")(x)
        return self.fc(x.mean((2, 3)))


class Vision(nn.Module):
    """A block as in torchvision; shortcut: the name of the shortcut's layers, None for option A."""

    def __init__(self, before, width, stride, deep, shortcut, norm):
        super().__init__()
        self.after = 4 * width if deep else width
        sizes = [(before, width, 1), (width, width, 3), (width, self.after, 1)]
        sizes = sizes if deep else [(before, width, 3), (width, width, 3)]
        for i, (into, out, size) in enumerate(sizes, 1):
            strides = stride if i == len(sizes) - 1 else 1
            made = conv(into, out, size, strides, norm)
            setattr(self, f"conv{i}", made[0])
            setattr(self, f"bn{i}", made[1] if norm else nn.Identity())
        self.count, self.stride, self.around = len(sizes), stride, None
        if (stride != 1 or before != self.after) and shortcut:
            self.around = shortcut
            setattr(self, shortcut, nn.Sequential(*conv(before, self.after, 1, stride, norm)))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.count else y
        if self.around:
            x = getattr(self, self.around)(x)
        elif x.shape != y.shape:
            side = (self.after - x.shape[1]) // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
        return torch.relu(x + y)


class VisionResNet(nn.Module):
    """stem: 7 or 3, the first kernel, or "deep"; pool: max, average or none."""

    def __init__(
        self, blocks, deep=False, stem=3, pool="none", head="fc", shortcut="downsample", norm=True
    ):
        super().__init__()
        width = 2
        if stem == "deep":
            layers = [*conv(3, width, 3, 2), nn.ReLU(), *conv(width, width), nn.ReLU()]
            self.conv1 = nn.Sequential(*layers, nn.Conv2d(width, width, 3, 1, 1, bias=False))
        else:
            self.conv1 = conv(3, width, stem, 2 if stem == 7 else 1, norm)[0]
        self.bn1 = nn.BatchNorm2d(width) if norm else nn.Identity()
        pools = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
        self.pool = pools[pool](3, 2, 1) if pool in pools else nn.Identity()
        before = width
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                stride = 2 if stage and not i else 1
                block = Vision(before, width * 2**stage, stride, deep, shortcut, norm)
                layers.append(block)
                before = block.after
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages, self.head = len(blocks), head
        setattr(self, head, nn.Linear(before, 5))

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return getattr(self, self.head)(x.mean((2, 3)))


class VisionVGG(nn.Module):
    """pool: a module's class. hidden: the widths of hidden linear layers; none: one layer alone."""

    def __init__(self, stages, norm=True, pool=nn.MaxPool2d, hidden=(6, 7), width=3):
        super().__init__()
        layers, before = [], 3
        for stage, count in enumerate(stages):
            for _ in range(count):
                layers += [*conv(before, width + stage, norm=norm), nn.ReLU()]
                before = width + stage
            layers.append(pool(2, 2))
        self.features = nn.Sequential(*layers)
        dense = []
        for out in hidden:
            dense += [nn.Linear(before, out), nn.ReLU(), nn.Dropout()]
            before = out
        last = nn.Linear(before, 5)
        self.classifier = nn.Sequential(*dense, last) if hidden else last

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class PaperVGG(nn.Module):
    def __init__(self, stages, width=3):
        super().__init__()
        before = 3
        for stage, count in enumerate(stages, 1):
            layers = []
            for _ in range(count):
                layers += [nn.Conv2d(before, width + stage, 3, 1, 1), nn.BatchNorm2d(width + stage)]
                layers += [nn.ReLU(), nn.Dropout(0)]
                before = width + stage
            setattr(self, f"layer{stage}", nn.Sequential(*layers, nn.AvgPool2d(2, 2)))
        layers = [nn.Flatten(), nn.Linear(before, 6), nn.ReLU(), nn.Dropout(0), nn.Linear(6, 7)]
        self.classifier = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0), nn.Linear(7, 5))

    def forward(self, x):
        for stage in range(1, 6):
            x = getattr(self, f"layer{stage}")(x)
        return self.classifier(x)


def relu6(before, after, size=3, stride=1, groups=1):
    layer = nn.Conv2d(before, after, size, stride, (size - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU6())


class Inverted(nn.Module):
    def __init__(self, before, after, stride, factor):
        super().__init__()
        wide = before * factor
        layers = [relu6(before, wide, 1)] if factor > 1 else []
        layers += [relu6(wide, wide, 3, stride, wide), nn.Conv2d(wide, after, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(after))
        self.adds = stride == 1 and before == after

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        layers, before = [relu6(3, 4, 3, 2)], 4
        stages = [(1, 2, 1, 1), (6, 3, 2, 2), (6, 4, 3, 2), (6, 5, 4, 2)]
        for factor, after, count, stride in [*stages, (6, 6, 3, 1), (6, 7, 3, 2), (6, 8, 1, 1)]:
            for i in range(count):
                layers.append(Inverted(before, after, 1 if i else stride, factor))
                before = after
        self.features = nn.Sequential(*layers, relu6(before, 10, 1))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(10, 5))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))
