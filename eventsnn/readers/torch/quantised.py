"""Quantised activations and weights: torch.ao's FakeQuantize, Brevitas's layers.

scale * clip(round(x / scale), low, high) is a QuantRelu (SpikeZIP eq. 2) where low is 0 or x is
never below 0, and otherwise one of x less one of -x. Frameworks round halves to even and a
QuantRelu up (semantics, section 1). Weights are constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eventsnn.ann.node import IDENTITIES, Node
from eventsnn.exceptions import InputError
from eventsnn.readers import bends
from eventsnn.readers.building import Builder, Output, some
from eventsnn.readers.torch import activations, operators
from eventsnn.readers.torch.calls import Calls

# operators that keep the levels of their inputs, and those that keep what is not below 0
KEPT = (*IDENTITIES, "Flatten", "MaxPool", "Index", "Concat", "Resize", "Pad")
POSITIVE = (*KEPT, "Add", "AveragePool", "GlobalAveragePool")
FIXED = "net.apply(torch.ao.quantization.disable_observer)"
BIAS = "its bias is quantised in steps of its input's scale: make the layer with bias_quant=None"
ACTIVATIONS = ("QuantReLU", "QuantIdentity")
LAYERS = ("QuantLinear", "QuantConv1d", "QuantConv2d")


def is_whole(module: Any) -> bool:
    """Whether a module is read here, and not by what its forward pass does. module: any."""
    return _is_fake(module) or _of_brevitas(module) != ""


def _is_fake(module: Any) -> bool:
    return any(
        c.__name__ == "FakeQuantizeBase" and c.__module__.startswith("torch.ao.quantization")
        for c in type(module).__mro__
    )


def _of_brevitas(module: Any) -> str:
    """The name of the class of Brevitas's layers that a module is of, or ""."""
    kinds = type(module).__mro__
    names = [c.__name__ for c in kinds if c.__module__.startswith("brevitas.nn.")]
    return next((name for name in names if name in (*ACTIVATIONS, *LAYERS)), "")


def refuse_others(module: Any, where: str) -> None:
    """Raises InputError for modules whose parameters are whole numbers already, and for those that
    change their scales in every pass.

    module: the network. where: for messages.
    """
    changing = [
        path
        for path, part in module.named_modules()
        if _is_fake(part) and int(part.fake_quant_enabled[0]) and int(part.observer_enabled[0])
    ]
    if changing:
        words = f"observers that change them in every pass: {some(changing)}"
        raise InputError(where, "quantisers of fixed scales", words, FIXED, 1000)
    found = [
        f"{path} ({type(part).__name__})"
        for path, part in module.named_modules()
        if any(kind in type(part).__module__ for kind in ("nn.quantized", "nn.intrinsic.quantized"))
    ]
    if found:
        do = "give the network as it is before torch.ao.quantization.convert, with FakeQuantize"
        expected = "modules that compute with floating-point numbers"
        raise InputError(where, expected, f"quantised ones: {some(found)}", do, 1000)


def read(calls: Calls, name: str, module: Any, args: Any) -> Any:
    """What a module of `is_whole` gives.

    calls: makes the nodes. name: the node's. module: the module. args: of its forward pass.
    """
    x = args[0]
    if _is_fake(module):
        return _fake(calls, name, module, x)
    kind = _of_brevitas(module)
    if kind in ACTIVATIONS:
        if kind == "QuantReLU":
            x = calls.call(activations.relu, f"{name}.relu", "relu", (x,), {})
        return _quantised(calls, name, module.act_quant, x)
    x = _quantised(calls, f"{name}.input", module.input_quant, x)
    if module.bias is not None and module.bias_quant.is_quant_enabled:
        return calls.builder.refuse(name, kind, BIAS)
    weight = module.quant_weight()
    weight = operators.array(getattr(weight, "value", weight))
    bias = None if module.bias is None else operators.array(module.bias)
    if kind == "QuantLinear":
        made = calls.function(name, "linear", None, (x, calls.torch.from_numpy(weight), bias), {})
    else:
        make = operators.conv1d if kind == "QuantConv1d" else operators.conv2d
        sizes = (module.stride, module.padding, module.dilation, module.groups)
        made = calls.call(make, name, kind, (x, weight, bias, *sizes), {})
    return _quantised(calls, f"{name}.output", module.output_quant, made)


def _fake(calls: Calls, name: str, module: Any, x: Any) -> Any:
    if not int(module.fake_quant_enabled[0]):
        return x
    scale, zero = module.scale.numpy(), module.zero_point.numpy()
    if scale.size > 1 and module.ch_axis != 1:
        return calls.builder.refuse(
            name, type(module).__name__, "a scale for each place of an axis"
        )
    ends = module.activation_post_process
    low, high = getattr(ends, "quant_min", module.quant_min), getattr(ends, "quant_max", None)
    high = module.quant_max if high is None else high
    return calls.call(
        fake_quantise, name, "fake_quantize", (x, scale, zero, int(low), int(high)), {}
    )


def _quantised(calls: Calls, name: str, proxy: Any, x: Any) -> Any:
    """The output of a quantiser of Brevitas's."""
    if not proxy.is_quant_enabled:
        return x
    mode = str(getattr(proxy, "rounding_mode", None))
    if mode != "ROUND":
        return calls.builder.refuse(name, "quantiser", f"rounding_mode {mode}, and not ROUND")
    bits = int(proxy.bit_width())
    narrow = int(bool(proxy.is_narrow_range))
    low, high = 0, 2**bits - 1 - narrow
    if proxy.is_signed:
        low, high = narrow - 2 ** (bits - 1), 2 ** (bits - 1) - 1
    scale, zero = proxy.scale().detach().numpy(), proxy.zero_point().detach().numpy()
    return calls.call(fake_quantise, name, "fake_quantize", (x, scale, zero, low, high), {})


def fake_quantise(
    b: Builder, name: str, x: Any, scale: Any, zero_point: Any, low: int, high: int
) -> Output:
    """scale * clip(round(x / scale), low - zero_point, high - zero_point).

    b, name, x: as every operator's. scale, zero_point: numbers or arrays, with one number a
    channel. low, high: whole numbers.
    """
    steps = np.asarray(scale, np.float64).reshape(-1)
    zeros = np.asarray(zero_point, np.float64).reshape(-1)
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        return b.refuse(name, "fake_quantize", "a scale that is not above 0")
    if np.ptp(zeros) or zeros[0] != round(zeros[0]):
        return b.refuse(name, "fake_quantize", "a zero point for each channel")
    shape = b.shape(x)
    if steps.size > 1 and not np.ptp(steps):
        steps = steps[:1]
    if steps.size not in (1, shape[0]):
        return b.refuse(name, "fake_quantize", f"{steps.size} scales for {shape[0]} channels")
    least, most = int(low - zeros[0]), int(high - zeros[0])
    if least > 0 or most < 1:
        return b.refuse(name, "fake_quantize", f"levels from {least} to {most}, without 0 below")
    if steps.size > 1:  # it counts in scales, which stand in the lines around it
        ahead = bends.line(b.add, f"{name}.steps", x, shape[0], 1 / steps)
        levels = _levels(
            b, f"{name}.levels", ahead, 1.0, least, most, least == 0 or _positive(b, x)
        )
        return bends.line(b.add, name, levels, shape[0], steps)
    step = float(steps[0])
    if _has_levels(b, x, step, most):
        return b.add(name, "Identity", [x])
    relu = _node(b, x)
    if relu is not None and relu.op in ("Relu", "Clip"):  # QuantRelu does what it does
        top = relu.attrs.get("max")
        most = most if top is None else min(most, round(top / step))
        if most < 1:
            return b.refuse(name, "fake_quantize", f"a scale of {step:g}, with which all is 0")
        return _levels(b, name, Output(relu.inputs[0]), step, 0, most, True)
    return _levels(b, name, x, step, least, most, least == 0 or _positive(b, x))


def _levels(
    b: Builder, name: str, x: Output, step: float, least: int, most: int, positive: bool
) -> Output:
    """step * clip(round(x / step), least, most)."""
    if positive:
        return b.add(name, "QuantRelu", [x], {"scale": step, "levels": most})
    above = b.add(f"{name}.above", "QuantRelu", [x], {"scale": step, "levels": most})
    channels = b.shape(x)[0]
    turned = bends.line(b.add, f"{name}.turned", x, channels, -1.0)
    below = b.add(f"{name}.below", "QuantRelu", [turned], {"scale": step, "levels": -least})
    return b.add(name, "Add", [above, bends.line(b.add, f"{name}.leak", below, channels, -1.0)])


def _node(b: Builder, name: str) -> Node | None:
    return next((node for node in reversed(b.nodes) if node.name == name), None)


def _positive(b: Builder, x: Output) -> bool:
    """Whether an output is 0 or more whatever the image is, as far as its operators tell."""
    waiting = [str(x)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        node = _node(b, name)
        if node is None or not (node.is_activation or node.op in POSITIVE):
            return False
        if name not in seen and not node.is_activation:
            waiting += node.inputs
        seen.add(name)
    return True


def _has_levels(b: Builder, x: str, step: float, most: int) -> bool:
    """Whether an output has these levels already: by a QuantRelu, and what keeps values."""
    waiting = [str(x)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        node = _node(b, name)
        if node is None:
            return False
        if node.op == "QuantRelu":
            if node.attrs["scale"] != step or node.attrs["levels"] > most:
                return False
        elif node.op not in KEPT:
            return False
        elif name not in seen:
            waiting += node.inputs
        seen.add(name)
    return True
