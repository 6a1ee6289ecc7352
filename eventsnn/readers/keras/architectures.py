"""Architectures of files that hold weights only, as the configurations that Keras itself would
write.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from eventsnn.ann.graph import Preprocessing


class Architecture(NamedTuple):
    """config: {"class_name", "config"}; sizes that the weights tell are left out. bgr: whether the
    network takes its channels in the order blue, green, red.
    """

    config: dict
    preprocessing: Preprocessing
    bgr: bool


def _layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def _sequential(name: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
    image = _layer("InputLayer", "input", batch_shape=[None, 224, 224, 3])
    return {"class_name": "Sequential", "config": {"name": name, "layers": [image, *layers]}}


def _vgg(name: str, depths: tuple[int, ...]) -> dict[str, Any]:
    """VGG as in Keras Applications: 3x3 convolutions and max pooling, three dense layers."""
    layers = []
    for block, depth in enumerate(depths, 1):
        layers += [
            _layer(
                "Conv2D",
                f"block{block}_conv{i}",
                kernel_size=[3, 3],
                padding="same",
                activation="relu",
            )
            for i in range(1, depth + 1)
        ]
        layers.append(
            _layer("MaxPooling2D", f"block{block}_pool", pool_size=[2, 2], strides=[2, 2])
        )
    dense = [
        _layer("Dense", label, activation=act)
        for label, act in (("fc1", "relu"), ("fc2", "relu"), ("predictions", "softmax"))
    ]
    return _sequential(name, [*layers, _layer("Flatten", "flatten"), *dense])


def _mobilenet(name: str) -> dict[str, Any]:
    """MobileNet (version 1) as in Keras Applications, of any width."""
    layers = [
        _layer("ZeroPadding2D", "conv1_pad", padding=[[0, 1], [0, 1]]),
        _layer("Conv2D", "conv1", kernel_size=[3, 3], strides=[2, 2], use_bias=False),
        *_normed("conv1"),
    ]
    for i in range(1, 14):
        stride = 2 if i in (2, 4, 6, 12) else 1
        if stride == 2:
            layers.append(_layer("ZeroPadding2D", f"conv_pad_{i}", padding=[[0, 1], [0, 1]]))
        layers += [
            _layer(
                "DepthwiseConv2D",
                f"conv_dw_{i}",
                kernel_size=[3, 3],
                strides=[stride] * 2,
                padding="valid" if stride == 2 else "same",
                use_bias=False,
            ),
            *_normed(f"conv_dw_{i}"),
            _layer("Conv2D", f"conv_pw_{i}", kernel_size=[1, 1], use_bias=False),
            *_normed(f"conv_pw_{i}"),
        ]
    return _sequential(
        name,
        [
            *layers,
            _layer("GlobalAveragePooling2D", "global_average_pooling2d", keepdims=True),
            _layer("Dropout", "dropout"),
            _layer("Conv2D", "conv_preds", kernel_size=[1, 1]),
            _layer("Flatten", "reshape_2"),
            _layer("Activation", "predictions", activation="softmax"),
        ],
    )


def _normed(name: str) -> list[dict[str, Any]]:
    return [
        _layer("BatchNormalization", f"{name}_bn"),
        _layer("ReLU", f"{name}_relu", max_value=6.0),
    ]


CAFFE = Preprocessing(
    1.0, np.array([123.68, 116.779, 103.939]), np.ones(1)
)  # means of red, green and blue
ARCHITECTURES = {
    "keras-vgg16": Architecture(_vgg("vgg16", (2, 2, 3, 3, 3)), CAFFE, True),
    "keras-vgg19": Architecture(_vgg("vgg19", (2, 2, 4, 4, 4)), CAFFE, True),
    "keras-mobilenet": Architecture(
        _mobilenet("mobilenet"), Preprocessing(1.0, np.full(1, 127.5), np.full(1, 127.5)), False
    ),
}
