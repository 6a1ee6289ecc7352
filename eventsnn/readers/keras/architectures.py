"""Architectures of files that hold weights only, as configurations that Keras would write."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from eventsnn.ann.graph import Preprocessing


class Architecture(NamedTuple):
    """A network without its weights.

    config: {"class_name", "config"}; sizes that the weights tell are left out. preprocessing: of
    raw pixels. bgr: whether the network takes its channels in the order blue, green, red.
    """

    config: dict[str, Any]
    preprocessing: Preprocessing
    bgr: bool


def _layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def _sequential(name: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
    image = _layer("InputLayer", "input", batch_shape=[None, 224, 224, 3])
    return {"class_name": "Sequential", "config": {"name": name, "layers": [image, *layers]}}


def _vgg(name: str, depths: tuple[int, ...]) -> dict[str, Any]:
    """VGG as in Keras Applications: 3x3 convolutions and max pooling, three dense layers.

    depths: how many convolutions each block has.
    """
    layers = []
    window: dict[str, Any] = {"kernel_size": [3, 3], "padding": "same"}
    pool: dict[str, Any] = {"pool_size": [2, 2], "strides": [2, 2]}
    for block, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            layers.append(_layer("Conv2D", f"block{block}_conv{i}", **window, activation="relu"))
        layers.append(_layer("MaxPooling2D", f"block{block}_pool", **pool))
    return _sequential(
        name,
        [
            *layers,
            _layer("Flatten", "flatten"),
            _layer("Dense", "fc1", activation="relu"),
            _layer("Dense", "fc2", activation="relu"),
            _layer("Dense", "predictions", activation="softmax"),
        ],
    )


def _mobilenet(name: str) -> dict[str, Any]:
    """MobileNet (version 1) as in Keras Applications, of any width."""
    first: dict[str, Any] = {"kernel_size": [3, 3], "strides": [2, 2], "use_bias": False}
    point: dict[str, Any] = {"kernel_size": [1, 1], "use_bias": False}
    layers = [_padding("conv1_pad"), _layer("Conv2D", "conv1", **first), *_normed("conv1")]
    for i in range(1, 14):
        halves = i in (2, 4, 6, 12)
        depthwise: dict[str, Any] = {
            "kernel_size": [3, 3],
            "strides": [2, 2] if halves else [1, 1],
            "padding": "valid" if halves else "same",
            "use_bias": False,
        }
        if halves:
            layers.append(_padding(f"conv_pad_{i}"))
        layers += [
            _layer("DepthwiseConv2D", f"conv_dw_{i}", **depthwise),
            *_normed(f"conv_dw_{i}"),
            _layer("Conv2D", f"conv_pw_{i}", **point),
            *_normed(f"conv_pw_{i}"),
        ]
    layers += [
        _layer("GlobalAveragePooling2D", "global_average_pooling2d", keepdims=True),
        _layer("Dropout", "dropout"),
        _layer("Conv2D", "conv_preds", kernel_size=[1, 1]),
        _layer("Flatten", "reshape_2"),
        _layer("Activation", "predictions", activation="softmax"),
    ]
    return _sequential(name, layers)


def _padding(name: str) -> dict[str, Any]:
    """Zeros at the bottom and right, in front of a convolution of stride 2."""
    return _layer("ZeroPadding2D", name, padding=[[0, 1], [0, 1]])


def _normed(name: str) -> list[dict[str, Any]]:
    norm = _layer("BatchNormalization", f"{name}_bn")
    return [norm, _layer("ReLU", f"{name}_relu", max_value=6.0)]


# means of red, green and blue
CAFFE = Preprocessing(1.0, np.array([123.68, 116.779, 103.939]), np.ones(1))
# from -1 to 1
SIGNED = Preprocessing(1.0, np.full(1, 127.5), np.full(1, 127.5))
ARCHITECTURES = {
    "keras-vgg16": Architecture(_vgg("vgg16", (2, 2, 3, 3, 3)), CAFFE, True),
    "keras-vgg19": Architecture(_vgg("vgg19", (2, 2, 4, 4, 4)), CAFFE, True),
    "keras-mobilenet": Architecture(_mobilenet("mobilenet"), SIGNED, False),
}
BLUE_FIRST = "input_channels=reversed (blue, green, red) and input_mean=103.939,116.779,123.68"
# name of a network of Keras Applications -> how its images were prepared
APPLICATIONS = {
    "vgg(16|19)|resnet(50|101|152)": BLUE_FIRST,
    "resnet(50|101|152)v2|inception_v3|inception_resnet_v2|xception|nasnet|"
    "mobilenet(v2)?_[0-9.]+_[0-9]+": "input_mean=127.5 and input_std=127.5",
    "densenet(121|169|201)": "input_scale=0.00392156862745098, input_mean=0.485,0.456,0.406 and "
    "input_std=0.229,0.224,0.225",
}


def proposed(name: str) -> str:
    """What a note says of a network whose name is that of one of Keras Applications, or "".

    name: the model's in its file.
    """
    for pattern, words in APPLICATIONS.items():
        if re.fullmatch(pattern, name.lower()):
            arch = f"keras-{name.lower().split('_')[0]}"
            whole = f" (arch={arch} does so for the whole network)" if arch in ARCHITECTURES else ""
            return (
                f"{name} is a network of Keras Applications, which take images with {words}{whole}"
            )
    return ""
