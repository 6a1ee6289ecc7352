"""Activations that conversion is trained with, as torch modules; backward as their papers say.

`eventsnn.load_torch` asks each module what it is in a graph: `spiking_operator` returns (operator,
attributes).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from eventsnn.exceptions import InputError
from eventsnn.train.named import parsed_activation


class Relu(nn.ReLU):
    """max(y, 0)."""

    def __init__(self) -> None:
        super().__init__(inplace=False)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "Relu", {}


class _Clip(torch.autograd.Function):
    """min(max(y, 0), threshold)."""

    @staticmethod
    def forward(ctx: Any, y: Any, threshold: Any) -> Any:
        ctx.save_for_backward(y, threshold)
        return torch.minimum(y.clamp(min=0), threshold)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        y, threshold = ctx.saved_tensors
        above = y >= threshold
        passed = grad * ((y > 0) & ~above)
        return passed, (grad * above).sum()


class Clipping(nn.Module):
    """ReLU and TCL's clipping layer: min(max(y, 0), lambda) (TCL eq. 9).

    The gradient of lambda is 1 where y >= lambda, else 0 (TCL eq. 10). Its L2 coefficient is the
    optimiser's, for the group that `loop.groups` makes (TCL eq. 11). start: lambda's first value.
    """

    def __init__(self, start: float = 4.0) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(float(start)))

    def forward(self, y: Any) -> Any:
        return _Clip.apply(as_float(y), self.threshold)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "ClippedRelu", {"lambda": self.threshold.item()}


class _Qcfs(torch.autograd.Function):
    """lambda clip(floor(y L / lambda + 1/2) / L, 0, 1)."""

    @staticmethod
    def forward(ctx: Any, y: Any, threshold: Any, levels: int) -> Any:
        share = torch.floor(y * levels / threshold + 0.5).clamp_(0, levels).div_(levels)
        ctx.save_for_backward(y, threshold, share)
        return threshold * share

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        y, threshold, share = ctx.saved_tensors
        passed = grad * ((y >= 0) & (y <= threshold))
        return passed, (grad * share).sum() - (passed * y).sum() / threshold, None


class Qcfs(nn.Module):
    """QCFS: lambda clip(floor(y L / lambda + 1/2) / L, 0, 1) (SRP eq. 7), lambda trained.

    Backward, the floor counts as the identity: y gets the gradient where 0 <= y <= lambda, and
    lambda gets the output's share of it there less y / lambda, above it 1, below it 0. levels: L.
    start: lambda's first value.
    """

    def __init__(self, levels: int, start: float = 4.0) -> None:
        super().__init__()
        self.levels = levels
        self.threshold = nn.Parameter(torch.tensor(float(start)))

    def forward(self, y: Any) -> Any:
        return _Qcfs.apply(as_float(y), self.threshold, self.levels)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "QCFS", {"lambda": self.threshold.item(), "levels": self.levels}


class _Quantised(torch.autograd.Function):
    """scale clip(floor(y / scale + 1/2), 0, n), the scale's gradient times `factor`."""

    @staticmethod
    def forward(ctx: Any, y: Any, scale: Any, levels: int, factor: float) -> Any:
        level = torch.floor(y / scale + 0.5).clamp_(0, levels)
        ctx.save_for_backward(y, scale, level)
        ctx.levels, ctx.factor = levels, factor
        return scale * level

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        y, scale, level = ctx.saved_tensors
        passed = grad * ((y > 0) & (y < ctx.levels * scale))
        of_scale = (grad * level).sum() - (passed * y).sum() / scale
        return passed, of_scale * ctx.factor, None, None


class QRelu(nn.Module):
    """Q-ReLU: scale clip(round(y / scale), 0, n) (SpikeZIP eq. 2), halves rounded up, with LSQ's
    learned scale.

    LSQ (Esser et al. 2020): y gets the gradient where 0 < y < n scale; the scale gets round(y /
    scale) - y / scale there, n above, 0 below (eq. 3), times g = 1 / sqrt(features of an image
    times n) (section 2.2). The scale begins with 2 <|y|> / sqrt(n) of the first batch (section
    2.1). levels: n. In a sub-path of fewer levels (`paths`), the scale is n scale / these (SpikeZIP
    eq. 4).

    Attributes: of the path that it computes: path_levels; path_factor, which the scale is
    multiplied by; path_scale: (a scale of its own,), which begins with that product, or ().
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = self.path_levels = levels
        self.path_factor = 1.0
        self.path_scale: tuple[Any, ...] = ()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("begun", torch.tensor(False))

    def forward(self, y: Any) -> Any:
        y = as_float(y)
        if self.training and not self.begun:
            with torch.no_grad():
                mean = y.abs().mean()
                self.scale.copy_(2 * mean / math.sqrt(self.levels) if mean > 0 else self.scale)
                self.begun.fill_(True)
        levels = self.path_levels
        factor = 1 / math.sqrt(max(math.prod(y.shape[1:]), 1) * levels)
        scale = self.scale if self.path_factor == 1 else self.scale * self.path_factor
        if self.path_scale:
            (own,) = self.path_scale
            if own == 0:
                own.data.copy_(scale.detach())
            scale = own
        return _Quantised.apply(y, scale, levels, factor)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "QuantRelu", {"scale": self.scale.item(), "levels": self.levels}


class SlipRelu(nn.Module):
    """SlipReLU (Jiang et al., ICML 2023): a weighted sum of the clipped ReLU and of QCFS's steps.

    slope clip(y, 0, lambda) + (1 - slope) lambda clip(floor(y L / lambda + 1/2) / L, 0, 1): the
    authors' form (HaiyanJiang/SNN_Conversion_unified, `MySlipReLU`) with the shifts 0 and 1/2;
    backward, the floor counts as the identity, as there. levels: L. slope: of the continuous
    part, from 0 to 1. start: lambda's first value.
    """

    def __init__(self, levels: int, start: float = 4.0, slope: float = 0.5) -> None:
        super().__init__()
        self.levels, self.slope = levels, slope
        self.threshold = nn.Parameter(torch.tensor(float(start)))

    def forward(self, y: Any) -> Any:
        y = as_float(y)
        steps = _Qcfs.apply(y, self.threshold, self.levels)
        return self.slope * _Clip.apply(y, self.threshold) + (1 - self.slope) * steps

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        attrs = {"lambda": self.threshold.item(), "slope": self.slope}
        return "SlipRelu", attrs | {"step_levels": self.levels}


class Rate(nn.Module):
    """clip(z, 0, 1): the rate of a neuron whose threshold is 1."""

    def forward(self, z: Any) -> Any:
        return z.clamp(0, 1)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "ClippedRelu", {"lambda": 1.0}


class RateNorm(nn.Module):
    """RNL's rate-norm layer (Ding et al., IJCAI 2021): clip(y / theta, 0, 1), theta = p r_max.

    p is trained, from 1, and free, where the authors' code (DingJianhao/OptSNNConvertion-RNL-RIL,
    `SpikingNorm`) holds it between 0 and 1 by a sigmoid. r_max is a running maximum of y, which
    no gradient reaches: after a training batch r_max <- (1 - momentum) r_max + momentum max(y);
    the first batch sets it (there it begins at 1). The output is a rate. momentum: of the
    running maximum.
    """

    def __init__(self, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.share = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("highest", torch.tensor(0.0))
        self.rate = Rate()

    def forward(self, y: Any) -> Any:
        if self.training:
            self._follow(y)
        return self.rate(y / (self.share * self.highest))

    def _follow(self, y: Any) -> None:
        with torch.no_grad():
            now = as_float(y).max().clamp(min=1e-6)
            old = torch.where(self.highest > 0, self.highest, now)
            self.highest.copy_(old + self.momentum * (now - old))


class Limit(nn.Module):
    """min(max(z, 0), threshold); the threshold is not trained."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(float(threshold)))

    def forward(self, z: Any) -> Any:
        return _Clip.apply(as_float(z), self.threshold)

    def spiking_operator(self) -> tuple[str, dict[str, Any]]:
        return "ClippedRelu", {"lambda": self.threshold.item()}


class ShiftedRelu(nn.Module):
    """RTS, the threshold ReLU with shift of Opt: clip(y - theta / 2T, 0, theta).

    As in the authors' code (Jackn0/snn_optimal_conversion_pipeline, `th_shift_ReLU`) it is shifted
    to the right by half a spike of T steps, as a neuron with v(0) = 0 rounds its charge down;
    theta is not trained, and y gets the gradient where the shifted y is between 0 and theta. In a
    graph the shift is part of the linear operators in front. T steps of conversion with `shift`
    give the theta / 2T back (semantics, section 2). steps: T. start: theta.
    """

    def __init__(self, steps: int, start: float = 4.0) -> None:
        super().__init__()
        self.steps = steps
        self.limit = Limit(start)

    @property
    def threshold(self) -> Any:
        """theta, a tensor of one number."""
        return self.limit.threshold

    def forward(self, y: Any) -> Any:
        return self.limit(y - self.limit.threshold / (2 * self.steps))


def as_float(y: Any) -> Any:
    """y with 32 bits at least, whatever autocast made of it."""
    return y.float() if y.element_size() < 4 else y


def activation(text: str, start: float = 4.0) -> nn.Module:
    """A new activation module. text: as in `named.parsed_activation`. start: lambda's first value.

    Raises InputError for another text.
    """
    name, number = parsed_activation(text)
    if name == "relu":
        return Relu()
    if name == "tcl":
        return Clipping(start)
    if name == "rnl":
        return RateNorm()
    if name == "lsq":
        return QRelu(number)
    kinds = {"qcfs": Qcfs, "slip": SlipRelu, "rts": ShiftedRelu}
    return kinds[name](number, start)


def thresholds(module: nn.Module) -> dict[str, float]:
    """Name -> threshold of every activation that has one: lambda, scale times levels, theta."""
    found = {}
    for name, part in module.named_modules():
        if isinstance(part, (Clipping, Qcfs, SlipRelu, ShiftedRelu)):
            found[name] = part.threshold.item()
        elif isinstance(part, QRelu):
            found[name] = part.scale.item() * part.levels
        elif isinstance(part, RateNorm):
            found[name] = (part.share * part.highest).item()
    return found


def check_thresholds(module: nn.Module, where: str) -> None:
    """Raises InputError for a threshold that training has brought to 0 or below, or to no number.

    module: the network. where: in training, for the message.
    """
    for name, value in thresholds(module).items():
        if not value > 0 or not math.isfinite(value):
            do = "lower ⟦rate⟧ or ⟦lambda_decay⟧"
            raise InputError(where, f"a threshold above 0 of {name}", f"{value:g}", do)
