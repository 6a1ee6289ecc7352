"""What PyTorch's modules, functions and methods become in a graph.

Each function here takes the `Builder`, a name for the node, and then the arguments of PyTorch's
function of the same name (its documentation says what they mean); x is the name of the input. It
returns the name of the node made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Builder, Output, as_float
from eventsnn.readers.torch import activations
from eventsnn.readers.views import View, place


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


def convolution(b: Builder, name: str, x: Any, m: Any, padding: Any) -> Output:
    """A module of a convolution, with another padding."""
    weight, bias = array(m.weight), _optional(m.bias)
    make = conv1d if weight.ndim == 3 else conv2d
    return make(b, name, x, weight, bias, m.stride, padding, m.dilation, m.groups)


def unpadded(b: Builder, name: str, x: Any, m: Any) -> Output:
    """A module of a convolution whose input is padded already."""
    return convolution(b, name, x, m, "valid")


def one_axis(function: Callable[..., Output], *options: tuple[str, Any]) -> Callable[..., Output]:
    """A function on sequences, of one on maps: what it knows of one axis, height has none of.

    options: (name of an argument that is a size of each axis, what it is of a height of 1), in the
    order of the arguments.
    """

    def made(b: Builder, name: str, x: Any, *args: Any, **kwargs: Any) -> Output:
        named = dict(zip([key for key, _ in options], args)) | kwargs
        rest = args[len(options) :]
        for key, height in options:
            value = named.get(key)
            if value is not None and not isinstance(value, str):
                length = value[0] if isinstance(value, (tuple, list)) else value
                named[key] = (height, length)
        ordered = [named.pop(key) for key, _ in options[: len(args)]]
        return function(b, name, x, *ordered, *rest, **named)

    return made


POOL = (("kernel_size", 1), ("stride", 1), ("padding", 0))


def conv1d(
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
    stride, dilation = ((1, _ints(_pair(size))[-1]) for size in (stride, dilation))
    if not isinstance(padding, str):
        padding = (0, _ints(_pair(padding))[-1])
    return conv2d(b, name, x, weight[:, :, None], bias, stride, padding, dilation, groups)


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
    window = _window(kernel_size, stride, padding, ceil_mode)
    if divisor_override:
        area = window["kernel_shape"][0] * window["kernel_shape"][1]
        x = b.pool(f"{name}.pool", "AveragePool", x, window | {"count_include_pad": 1})
        return b.arithmetic(name, "mul", x, area / divisor_override)
    return b.pool(name, "AveragePool", x, window | {"count_include_pad": int(count_include_pad)})


def adaptive_avg_pool2d(b: Builder, name: str, x: Any, output_size: Any) -> Output:
    shape = b.shape(x)
    wanted = [n if size is None else size for n, size in zip(shape[1:], _pair(output_size))]
    if wanted == [1, 1]:
        return b.add(name, "GlobalAveragePool", [x])
    axes = [adaptive_windows(n, size) for n, size in zip(shape[1:], wanted)]
    window = [len(places) // size for places, size in zip(axes, wanted)]
    if [len(places) for places in axes] != list(shape[1:]):  # windows that overlap, or differ
        index = np.arange(np.prod(shape)).reshape(1, *shape)
        index = index[:, :, axes[0]][:, :, :, axes[1]]
        x = place(b, f"{name}.windows", View(x, index))
    return b.add(
        name, "AveragePool", [x], {"kernel_shape": window, "strides": window, "pads": [0, 0, 0, 0]}
    )


def adaptive_windows(size: int, wanted: int) -> NDArray[np.int64]:
    """The places of an axis, window by window, each as often as makes all windows of one length.

    size: of the axis. wanted: how many windows there are.
    """
    starts = np.arange(wanted) * size // wanted
    ends = -(-(np.arange(wanted) + 1) * size // wanted)
    length = int(np.lcm.reduce(ends - starts))
    windows = [np.repeat(np.arange(s, e), length // (e - s)) for s, e in zip(starts, ends)]
    return np.concatenate(windows)


def adaptive_max_pool2d(
    b: Builder, name: str, x: Any, output_size: Any, return_indices: bool = False
) -> Output:
    shape = b.shape(x)[1:]
    wanted = [n if size is None else size for n, size in zip(shape, _pair(output_size))]
    if return_indices:
        return b.refuse(name, "adaptive_max_pool2d", "it returns indices")
    if any(n % size for n, size in zip(shape, wanted)):
        return b.refuse(
            name, "adaptive_max_pool2d", f"{list(shape)} to {wanted}, which does not divide it"
        )
    window = [n // size for n, size in zip(shape, wanted)]
    return b.add(
        name, "MaxPool", [x], {"kernel_shape": window, "strides": window, "pads": [0, 0, 0, 0]}
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


max_pool1d = one_axis(max_pool2d, *POOL, ("dilation", 1))
avg_pool1d = one_axis(avg_pool2d, *POOL)
adaptive_avg_pool1d = one_axis(adaptive_avg_pool2d, ("output_size", 1))
adaptive_max_pool1d = one_axis(adaptive_max_pool2d, ("output_size", 1))
interpolate1d = one_axis(interpolate, ("size", 1), ("scale_factor", 1))
# by the name of the function or of the tensor's method
FUNCTIONS = activations.FUNCTIONS | {
    "conv2d": conv2d,
    "conv1d": conv1d,
    "linear": linear,
    "matmul": matmul,
    "batch_norm": batch_norm,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "max_pool1d": max_pool1d,
    "avg_pool1d": avg_pool1d,
    "adaptive_avg_pool1d": adaptive_avg_pool1d,
    "adaptive_max_pool1d": adaptive_max_pool1d,
    "dropout": dropout,
    "dropout2d": dropout,
    "interpolate": interpolate,
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
}

# by the same names: what is another for sequences
SEQUENCES: dict[str, Callable[..., Output]] = {
    "interpolate": interpolate1d,
    "Upsample": lambda b, name, x, m: interpolate1d(b, name, x, m.size, m.scale_factor, m.mode),
}
# functions over axes, which `calls` makes
OVER_AXES = ("mean", "amax", "sum")
# class of a module -> how it pads
PADS = {
    **{f"ZeroPad{n}d": "constant" for n in (1, 2)},
    **{f"ConstantPad{n}d": "constant" for n in (1, 2)},
    **{f"ReflectionPad{n}d": "reflect" for n in (1, 2)},
    **{f"ReplicationPad{n}d": "replicate" for n in (1, 2)},
    **{f"CircularPad{n}d": "circular" for n in (1, 2)},
}
# by the class of the module, which comes after x
MODULES = activations.MODULES | {
    "Conv2d": lambda b, name, x, m: convolution(b, name, x, m, m.padding),
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
    "Upsample": lambda b, name, x, m: interpolate(b, name, x, m.size, m.scale_factor, m.mode),
    "Identity": lambda b, name, x, m: same(b, name, x),
}
MODULES |= {
    "Conv1d": MODULES["Conv2d"],
    "MaxPool1d": lambda b, name, x, m: max_pool1d(
        b, name, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    "AvgPool1d": lambda b, name, x, m: avg_pool1d(
        b, name, x, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad
    ),
    "AdaptiveAvgPool1d": lambda b, name, x, m: adaptive_avg_pool1d(b, name, x, m.output_size),
    "AdaptiveMaxPool1d": lambda b, name, x, m: adaptive_max_pool1d(
        b, name, x, m.output_size, m.return_indices
    ),
    "AdaptiveMaxPool2d": lambda b, name, x, m: adaptive_max_pool2d(
        b, name, x, m.output_size, m.return_indices
    ),
    "Dropout1d": MODULES["Identity"],
    "AlphaDropout": MODULES["Identity"],
    "FeatureAlphaDropout": MODULES["Identity"],
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
