"""Windows of Keras's convolutions and pools, with the padding of each backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from eventsnn.readers.keras.builder import OTHER_WEIGHTS, Builder, Value
from eventsnn.readers.keras.config import Layer


def pads(
    builder: Builder,
    layer: Layer,
    value: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """[top, left, bottom, right] for "valid" or "same".

    The latter pads one more at the bottom and right where the pads of an axis are odd; on Theano
    its windows begin at another place (`_theano_before`). builder: of the graph. layer: whose
    padding it is. value: the map. kernel, strides, dilations: of height and width. Raises
    InputError where CNTK may have placed windows in another way.
    """
    if layer.config.get("padding", "valid") == "valid":
        return [0, 0, 0, 0]
    before = []
    after = []
    sizes = builder.shapes[value.node][1:]
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations):
        extent = (k - 1) * dilation + 1
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        first = total // 2
        if builder.backend == "theano":
            first = _theano_before(extent, "Pooling" in layer.kind)
        elif builder.backend == "cntk" and not (stride == 1 and extent % 2):
            expected = "padding 'same' of odd windows, step by step, where CNTK computed"
            found = f"windows of {extent} with strides of {stride}"
            raise builder.wrong(layer.path, expected, found, "choose padding 'valid'")
        before.append(first)
        after.append(max(total - first, 0))
    return before + after


def convolution(
    builder: Builder,
    layer: Layer,
    value: Value,
    name: str,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    group: int = 1,
) -> Value:
    """A Conv with the layer's strides, padding and dilation.

    builder: of the graph. layer: whose settings they are. value: the map. name: the node's. weight:
    float [M, C / group, kH, kW]. bias: float [M], or None. group: how many groups the channels
    form. Raises InputError where they do not fit.
    """
    kernel = weight.shape[2:]
    if builder.pair(layer, "kernel_size", kernel, name) != kernel:
        expected = f"a kernel of {layer.config['kernel_size']}"
        raise builder.wrong(name, expected, list(kernel), OTHER_WEIGHTS)
    builder.map(value, name)
    strides = builder.pair(layer, "strides", (1, 1), name)
    dilations = builder.pair(layer, "dilation_rate", (1, 1), name)
    attrs = {
        "strides": list(strides),
        "dilations": list(dilations),
        "group": group,
        "pads": pads(builder, layer, value, kernel, strides, dilations),
    }
    params = {"W": weight}
    if bias is not None:
        params["B"] = bias
    return builder.add(name, "Conv", [value], attrs, params)


def _theano_before(extent: int, pools: bool) -> int:
    """How many places before the map the first window of padding "same" begins on Theano.

    extent: of the window. pools: whether it is pooling (Keras 2.3, theano_backend.py: conv2d with
    border_mode "half"; pool2d).
    """
    if not pools:
        return extent // 2
    return extent - 2 if extent > 2 and extent % 2 else extent - 1
