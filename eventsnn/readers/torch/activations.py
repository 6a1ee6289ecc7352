"""What PyTorch's activations become, as `operators` has it of the other modules and functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventsnn.readers.building import Builder, Output


def relu(b: Builder, name: str, x: Any, inplace: bool = False) -> Output:
    return b.add(name, "Relu", [x])


def relu6(b: Builder, name: str, x: Any, inplace: bool = False) -> Output:
    return b.clip(name, x, 0, 6)


def hardtanh(
    b: Builder, name: str, x: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: bool = False
) -> Output:
    return b.clip(name, x, min_val, max_val)


def clamp(b: Builder, name: str, x: Any, min: Any = None, max: Any = None) -> Output:
    return b.clip(name, x, min, max)


def clamp_max(b: Builder, name: str, x: Any, max: Any) -> Output:
    return b.clip(name, x, None, max)


def leaky_relu(
    b: Builder, name: str, x: Any, negative_slope: Any = 0.01, inplace: bool = False
) -> Output:
    return b.leaky(name, x, negative_slope)


def prelu(b: Builder, name: str, x: Any, weight: Any) -> Output:
    """PReLU; its channels are axis 1, whatever comes behind."""
    places = (1,) * (len(b.shape(x)) - 1)
    return b.leaky(name, x, np.reshape(weight, (-1, *places)))


def rrelu(
    b: Builder,
    name: str,
    x: Any,
    lower: Any = 1 / 8,
    upper: Any = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Output:
    if training:
        return b.refuse(name, "rrelu", "it draws slopes; give it training=self.training")
    return b.leaky(name, x, (lower + upper) / 2)


def absolute(b: Builder, name: str, x: Any) -> Output:
    return b.leaky(name, x, -1)


def softshrink(b: Builder, name: str, x: Any, lambd: Any = 0.5) -> Output:
    """relu(x - lambd) - relu(-x - lambd)."""
    above = relu(b, f"{name}.above", b.arithmetic(f"{name}.less", "sub", x, lambd))
    turned = negative(b, f"{name}.turned", x)
    below = relu(b, f"{name}.below", b.arithmetic(f"{name}.more", "sub", turned, lambd))
    return b.add(name, "Add", [above, negative(b, f"{name}.leak", below)])


def hardsigmoid(b: Builder, name: str, x: Any, inplace: bool = False) -> Output:
    sixth = b.arithmetic(f"{name}.sixth", "div", x, 6.0)
    return b.clip(name, b.arithmetic(f"{name}.moved", "add", sixth, 0.5), 0, 1)


def negative(b: Builder, name: str, x: Any) -> Output:
    return b.arithmetic(name, "mul", x, -1)


def threshold(
    b: Builder, name: str, x: Any, threshold: Any, value: Any, inplace: bool = False
) -> Output:
    if threshold != 0 or value != 0:
        return b.refuse(name, "threshold", f"it jumps from {value:g} to {threshold:g}")
    return relu(b, name, x)


def softmax(b: Builder, name: str, x: Any, dim: Any = None, dtype: Any = None) -> Output:
    return b.add(name, "Softmax", [x], {"axis": 1 if dim is None else dim})


FUNCTIONS = {
    "relu": relu,
    "relu6": relu6,
    "hardtanh": hardtanh,
    "clamp": clamp,
    "clip": clamp,
    "clamp_min": clamp,
    "clamp_max": clamp_max,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "rrelu": rrelu,
    "abs": absolute,
    "absolute": absolute,
    "softshrink": softshrink,
    "hardsigmoid": hardsigmoid,
    "threshold": threshold,
    "_threshold": threshold,
    "neg": negative,
    "negative": negative,
    "softmax": softmax,
}
# those in place
FUNCTIONS |= {f"{name}_": make for name, make in FUNCTIONS.items()}
MODULES = {
    "ReLU": lambda b, name, x, m: relu(b, name, x),
    "ReLU6": lambda b, name, x, m: relu6(b, name, x),
    "Hardtanh": lambda b, name, x, m: hardtanh(b, name, x, m.min_val, m.max_val),
    "LeakyReLU": lambda b, name, x, m: leaky_relu(b, name, x, m.negative_slope),
    "PReLU": lambda b, name, x, m: prelu(b, name, x, m.weight.detach().numpy()),
    "RReLU": lambda b, name, x, m: rrelu(b, name, x, m.lower, m.upper),
    "Softshrink": lambda b, name, x, m: softshrink(b, name, x, m.lambd),
    "Hardsigmoid": lambda b, name, x, m: hardsigmoid(b, name, x),
    "Threshold": lambda b, name, x, m: threshold(b, name, x, m.threshold, m.value),
    "Softmax": lambda b, name, x, m: softmax(b, name, x, m.dim),
}
