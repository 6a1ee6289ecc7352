"""What PyTorch's modules, functions and methods become in a graph.

Each function here takes the `Builder`, a name for the node, and then the arguments of PyTorch's
function of the same name (its documentation says what they mean); x is the name of the input. It
returns the name of the node made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Builder, Output, as_float
from eventsnn.readers.torch import activations


def array(tensor: Any) -> NDArray[Any]:
    """A tensor as an array of its own; floats have 32 bits where these hold the values.

    tensor: any.
    """
    values = tensor.detach().cpu()
    if not values.is_floating_point():
        return values.numpy().copy()
    wide = (values if values.element_size() > 2 else values.float()).numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = wide.astype(np.float32)
    fits = (narrow == wide) | np.isnan(wide)
    return as_float(narrow if fits.all() else wide.copy())


def conv2d(
    b: Builder,
    name: str,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Output:
    stride = _pair(stride)
    dilation = _pair(dilation)
    kernel = weight.shape[2:]
    if padding == "same":
        pads = b.same_pads(x, kernel, stride, dilation)
    else:
        pads = _pads(0 if padding == "valid" else padding)
    attrs = {
        "kernel_shape": list(kernel),
        "strides": stride,
        "pads": pads,
        "dilations": dilation,
        "group": groups,
    }
    return b.add(name, "Conv", [x], attrs, {"W": weight} | ({} if bias is None else {"B": bias}))


def linear(b: Builder, name: str, x: Any, weight: Any, bias: Any = None) -> Output:
    return b.add(
        name, "Gemm", [x], {"transB": 1}, {"B": weight} | ({} if bias is None else {"C": bias})
    )


def matmul(b: Builder, name: str, x: Any, weight: Any) -> Output:
    return b.add(name, "Gemm", [x], {"transB": 0}, {"B": weight})


def batch_norm(
    b: Builder,
    name: str,
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Output:
    if training or running_mean is None:
        return b.refuse(
            name, "batch_norm", "it takes the batch's statistics; train it with running ones"
        )
    params = {
        "scale": np.ones_like(running_mean) if weight is None else weight,
        "input_mean": running_mean,
        "B": np.zeros_like(running_mean) if bias is None else bias,
        "input_var": running_var,
    }
    return b.add(name, "BatchNormalization", [x], {"epsilon": float(eps)}, params)


def max_pool2d(
    b: Builder,
    name: str,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Output:
    if return_indices:
        return b.refuse(name, "max_pool2d", "it returns indices")
    return b.pool(
        name,
        "MaxPool",
        x,
        _window(kernel_size, stride, padding, ceil_mode) | {"dilations": _pair(dilation)},
    )


def avg_pool2d(
    b: Builder,
    name: str,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Output:
    if divisor_override:
        return b.refuse(name, "avg_pool2d", "divisor_override")
    return b.pool(
        name,
        "AveragePool",
        x,
        _window(kernel_size, stride, padding, ceil_mode)
        | {"count_include_pad": int(count_include_pad)},
    )


def adaptive_avg_pool2d(b: Builder, name: str, x: Any, output_size: Any) -> Output:
    shape = b.shape(x)[1:]
    wanted = [n if size is None else size for n, size in zip(shape, _pair(output_size))]
    if wanted == [1, 1]:
        return b.add(name, "GlobalAveragePool", [x])
    if any(n % size for n, size in zip(shape, wanted)):
        return b.refuse(
            name, "adaptive_avg_pool2d", f"{list(shape)} to {wanted}, which does not divide it"
        )
    window = [n // size for n, size in zip(shape, wanted)]
    return b.add(
        name, "AveragePool", [x], {"kernel_shape": window, "strides": window, "pads": [0, 0, 0, 0]}
    )


def dropout(
    b: Builder, name: str, x: Any, p: Any = 0.5, training: bool = True, inplace: bool = False
) -> Output:
    if training:
        return b.refuse(
            name, "dropout", "it drops in evaluation mode, too; give it training=self.training"
        )
    return same(b, name, x)


def same(b: Builder, name: str, x: Any, **options: Any) -> Output:
    return b.add(name, "Identity", [x])


def cast(b: Builder, name: str, x: Any, *to: Any, **options: Any) -> Output:
    return same(b, name, x)


def interpolate(
    b: Builder,
    name: str,
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: Any = "nearest",
    **options: Any,
) -> Output:
    attrs = (
        {"scales": [float(s) for s in _pair(scale_factor)]}
        if size is None
        else {"sizes": _pair(size)}
    )
    return b.add(
        name,
        "Resize",
        [x],
        attrs
        | {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    )


def pad(
    b: Builder, name: str, x: Any, pad: Any, mode: Any = "constant", value: Any = None
) -> Output:
    left, right, top, bottom = (*_ints(pad), 0, 0)[:4] if len(pad) in (2, 4) else (-1,) * 4
    return b.add(
        name, "Pad", [x], {"pads": [top, left, bottom, right], "mode": mode, "value": value or 0}
    )


def flatten(b: Builder, name: str, x: Any, start_dim: Any = 0, end_dim: Any = -1) -> Output:
    shape = (1, *b.shape(x))
    start = start_dim % len(shape)
    end = end_dim % len(shape)
    return b.reshape(name, x, (*shape[:start], -1, *shape[end + 1 :]))


def reshape(b: Builder, name: str, x: Any, *shape: Any) -> Output:
    return b.reshape(name, x, shape[0] if isinstance(shape[0], (tuple, list)) else shape)


def size(b: Builder, name: str, x: Any, dim: Any = None) -> Any:
    shape = (1, *b.shape(x))
    return shape if dim is None else shape[dim]


def mean(b: Builder, name: str, x: Any, dim: Any = None, keepdim: Any = False) -> Output:
    axes = () if dim is None else dim
    return b.mean(name, x, axes if isinstance(axes, (tuple, list)) else (axes,), keepdim)


def cat(b: Builder, name: str, tensors: Any, dim: Any = 0) -> Output:
    return b.add(name, "Concat", list(tensors), {"axis": dim})


def add(b: Builder, name: str, x: Any, y: Any, alpha: Any = 1) -> Output:
    return b.arithmetic(name, "add", x, _times(b, name, y, alpha))


def sub(b: Builder, name: str, x: Any, y: Any, alpha: Any = 1) -> Output:
    return b.arithmetic(name, "sub", x, _times(b, name, y, alpha))


def _times(b: Builder, name: str, y: Any, alpha: Any) -> Any:
    """alpha y, of an output or a constant."""
    if alpha == 1:
        return y
    if isinstance(y, Output):
        return b.arithmetic(f"{name}.alpha", "mul", y, alpha)
    return np.multiply(alpha, y)


def mul(b: Builder, name: str, x: Any, y: Any) -> Output:
    return b.arithmetic(name, "mul", x, y)


def rsub(b: Builder, name: str, x: Any, y: Any, alpha: Any = 1) -> Output:
    return sub(b, name, y, x, alpha)


def div(b: Builder, name: str, x: Any, y: Any, rounding_mode: Any = None) -> Output:
    return (
        b.arithmetic(name, "div", x, y if isinstance(y, Output) else np.asarray(y, np.float64))
        if rounding_mode is None
        else b.refuse(name, "div", f"rounding_mode {rounding_mode}")
    )


def attribute(b: Builder, name: str, x: Any, key: Any) -> Any:
    return size(b, name, x) if key == "shape" else b.refuse(name, "getattr", f".{key}")


# by the name of the function or of the tensor's method
FUNCTIONS = activations.FUNCTIONS | {
    "conv2d": conv2d,
    "linear": linear,
    "matmul": matmul,
    "batch_norm": batch_norm,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "dropout": dropout,
    "dropout2d": dropout,
    "interpolate": interpolate,
    "pad": pad,
    "flatten": flatten,
    "reshape": reshape,
    "view": reshape,
    "size": size,
    "mean": mean,
    "cat": cat,
    "concat": cat,
    "add": add,
    "add_": add,
    "iadd": add,
    "sub": sub,
    "sub_": sub,
    "isub": sub,
    "rsub": rsub,
    "mul": mul,
    "mul_": mul,
    "imul": mul,
    "multiply": mul,
    "div": div,
    "div_": div,
    "divide": div,
    "truediv": div,
    "itruediv": div,
    "contiguous": same,
    "detach": same,
    "clone": same,
    "float": same,
    "double": same,
    "to": cast,
    "type_as": cast,
    "getattr": attribute,
}

# by the class of the module, which comes after x
MODULES = activations.MODULES | {
    "Conv2d": lambda b, name, x, m: (
        conv2d(
            b,
            name,
            x,
            array(m.weight),
            _optional(m.bias),
            m.stride,
            m.padding,
            m.dilation,
            m.groups,
        )
        if m.padding_mode == "zeros"
        else b.refuse(name, "Conv2d", f"padding_mode {m.padding_mode}")
    ),
    "Linear": lambda b, name, x, m: linear(b, name, x, array(m.weight), _optional(m.bias)),
    "BatchNorm2d": lambda b, name, x, m: batch_norm(
        b,
        name,
        x,
        _optional(m.running_mean),
        _optional(m.running_var),
        _optional(m.weight),
        _optional(m.bias),
        eps=m.eps,
    ),
    "MaxPool2d": lambda b, name, x, m: max_pool2d(
        b, name, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    "AvgPool2d": lambda b, name, x, m: avg_pool2d(
        b,
        name,
        x,
        m.kernel_size,
        m.stride,
        m.padding,
        m.ceil_mode,
        m.count_include_pad,
        m.divisor_override,
    ),
    "AdaptiveAvgPool2d": lambda b, name, x, m: adaptive_avg_pool2d(b, name, x, m.output_size),
    "Flatten": lambda b, name, x, m: flatten(b, name, x, m.start_dim, m.end_dim),
    "Upsample": lambda b, name, x, m: interpolate(b, name, x, m.size, m.scale_factor, m.mode),
    "ZeroPad2d": lambda b, name, x, m: pad(b, name, x, m.padding),
    "Identity": lambda b, name, x, m: same(b, name, x),
}
MODULES |= {
    "BatchNorm1d": MODULES["BatchNorm2d"],
    "UpsamplingNearest2d": MODULES["Upsample"],
    "Dropout": MODULES["Identity"],
    "Dropout2d": MODULES["Identity"],
}


def _optional(tensor: Any) -> NDArray[Any] | None:
    return None if tensor is None else array(tensor)


def _ints(values: Any) -> list[int]:
    return [int(n) for n in values]


def _pair(value: Any) -> list[int]:
    """A number for both axes, or one for each, as a list."""
    return list(value) if isinstance(value, (tuple, list)) else [value, value]


def _pads(padding: Any) -> list[int]:
    return _ints(_pair(padding) * 2)


def _window(kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> dict[str, Any]:
    kernel = _ints(_pair(kernel_size))
    strides = _ints(_pair(stride)) if stride else kernel
    return {
        "kernel_shape": kernel,
        "strides": strides,
        "pads": _pads(padding),
        "ceil_mode": int(ceil_mode),
    }
