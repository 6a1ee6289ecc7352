"""Small PyTorch networks for tests, some in the layouts of the papers' repositories. Needs
torch.
"""

import torch
from torch import nn
from torch.nn import functional as F


class QCFS(nn.Module):
    """SRP eq. 7, with its threshold under the name that one of the repositories gives it."""

    def __init__(self, threshold="thresh", levels=4):
        super().__init__()
        self.key, self.L = threshold, levels
        setattr(self, threshold, nn.Parameter(torch.rand(1) + 0.5))

    def forward(self, x):
        threshold = getattr(self, self.key)
        return threshold * torch.clamp(torch.floor(x * self.L / threshold + 0.5) / self.L, 0, 1)


class Vgg16(nn.Module):
    """VGG-16 as QCFS's, SRP's and GN's repositories lay it out: layer1 to layer5 and classifier,
    with average pooling.
    """

    def __init__(self, activation=QCFS, widths=(4, 4, 6, 8, 8), channels=3):
        super().__init__()
        for stage, (width, count) in enumerate(zip(widths, (2, 2, 3, 3, 3)), 1):
            layers = []
            for _ in range(count):
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1),
                    nn.BatchNorm2d(width),
                    activation(),
                    nn.Dropout(),
                ]
                channels = width
            setattr(self, f"layer{stage}", nn.Sequential(*layers, nn.AvgPool2d(2)))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels, 12),
            activation(),
            nn.Dropout(),
            nn.Linear(12, 12),
            activation(),
            nn.Dropout(),
            nn.Linear(12, 10),
        )

    def forward(self, x):
        for stage in range(1, 6):
            x = getattr(self, f"layer{stage}")(x)
        return self.classifier(x)


class Block(nn.Module):
    """The basic block of these repositories; `name` is its last activation's."""

    def __init__(self, before, after, stride, activation, name):
        super().__init__()
        self.residual_function = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            activation(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        self.name = name
        setattr(self, name, activation())

    def forward(self, x):
        return getattr(self, self.name)(self.residual_function(x) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNets for small images as these repositories lay them out: conv1, conv2_x and so on, fc."""

    def __init__(self, activation=QCFS, blocks=(3, 3, 3), widths=(3, 4, 6), name="act", channels=3):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            activation(),
        )
        self.stages, before = [], widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks)):
            made = []
            for number in range(count):
                made.append(
                    Block(before, width, 2 if stage and not number else 1, activation, name)
                )
                before = width
            self.stages.append(f"conv{stage + 2}_x")
            setattr(self, self.stages[-1], nn.Sequential(*made))
        self.avg_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, 10)

    def forward(self, x):
        x = self.conv1(x)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        x = self.avg_pool(x)
        return self.fc(x.view(x.size(0), -1))


class Mixed(nn.Module):
    """Many functions and operators in one small network."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding="same", groups=3)
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(192, 12)
        self.register_buffer("mean", torch.rand(1, 3, 1, 1))
        self.register_buffer("last", torch.randn(12, 10))

    def forward(self, x):
        x = F.relu6(self.norm(self.conv((x - self.mean) / 0.25)))
        y = F.max_pool2d(x, 2)
        y = F.pad(F.interpolate(y, scale_factor=2), (0, 1, 1, 0))
        y = torch.cat([F.avg_pool2d(y, 2, stride=1), x], 1)
        y = F.relu(F.dropout(F.adaptive_avg_pool2d(y, 4), training=self.training))
        return torch.relu(self.fc(torch.flatten(y, 1))) @ self.last + 0.5


def randomise(module, seed):
    """Give parameters and running statistics random values with which activations stay in range;
    returns the module, to evaluate.
    """
    torch.manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight)
        if isinstance(m, nn.BatchNorm2d) and m.affine and m.track_running_stats:
            m.running_mean.uniform_(-0.3, 0.3)
            m.running_var.uniform_(0.5, 2)
            m.weight.data.uniform_(0.7, 1.5)
            m.bias.data.uniform_(-0.2, 0.4)
    return module.eval()
