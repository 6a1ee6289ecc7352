"""Keras's HDF5 files: full models (Keras 2.0 to 2.15 and 3), and weights with an architecture from
elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eventsnn.ann.graph import Node, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.files.reading import attribute, check_file, child, json_of, plain, text_of
from eventsnn.readers.keras.architectures import ARCHITECTURES
from eventsnn.readers.keras.builder import Builder, Value
from eventsnn.readers.keras.config import Layer, image_shape, model_of
from eventsnn.readers.keras.layers import LAYERS, obstacles
from eventsnn.readers.keras.weights import Weights

MAX_JSON = 2**26  # bytes of a configuration
BGR = (
    "images are RGB: the first convolution's channels, blue, green, red in the file, are turned "
    "round"
)
SIGMOID = "the sigmoid at the output is left out: the largest output stays the largest"


def parse(file: h5py.File, name: str, arch: str | None = None) -> dict[str, Any]:
    """The fields of `Graph` in an open file. arch: a name of ARCHITECTURES, or a .json file that
    model.to_json() gave; by default the file's own, or a .json file of the same name beside it.
    """
    version = text_of(plain(child(file, "model_weights") or file, "keras_version")) or ""
    if version.startswith("1.") or "nb_layers" in file.attrs:
        raise InputError(
            name,
            "a file of Keras 2 or 3",
            "one of Keras 1",
            "open it with Keras 2 and save it again",
        )
    known = ARCHITECTURES.get(arch or "")
    entry, preprocessing = (
        (known.config, known.preprocessing) if known else (_entry(file, name, arch), None)
    )
    model = model_of(entry, f"{name}: model")
    _refuse_obstacles(model, name)
    shape, first = image_shape(model, name), _channels_first(model, name)
    if len(shape) == 2:
        shape = (1, *shape)
    elif not first:
        shape = (shape[2], *shape[:2])
    builder = Builder(
        name,
        LAYERS,
        Weights(child(file, "model_weights") or file, model),
        model.input[0],
        shape,
        first,
    )
    output = _ended(builder, builder.run(model, builder.image), name)
    nodes, notes = list(builder.nodes.values()), [f"written by Keras {version}"] if version else []
    if known and known.bgr:
        notes.append(BGR)
        nodes = [
            _reversed_channels(node) if model.input[0] in node.inputs else node for node in nodes
        ]
    if builder.ending[0] == "sigmoid":
        notes.append(SIGMOID)
    return {
        "nodes": tuple(nodes),
        "input": model.input[0],
        "output": output,
        "input_shape": shape,
        "preprocessing": preprocessing or _preprocessing(builder, name),
        "source": name,
        "meta": {"arch": arch if known else text_of(model.config.get("name"), 200) or "Keras model"}
        | ({"note": "; ".join(notes)} if notes else {}),
    }


def _entry(file: h5py.File, name: str, arch: str | None) -> dict[str, Any]:
    """The JSON object with the model's configuration."""
    if arch is None and "model_config" in file.attrs:
        text = attribute(file, "model_config")
        if not isinstance(text, (str, bytes)) or len(text) > MAX_JSON:
            raise InputError(
                f"{name}: model_config",
                f"a text of at most {MAX_JSON:,} bytes",
                "something else",
                "the file is damaged",
            )
        return json_of(text, f"{name}: model_config")
    path = Path(
        arch
        or Path(file.filename).with_name(
            name.removesuffix(".h5").removesuffix(".weights") + ".json"
        )
    )
    names = ", ".join(ARCHITECTURES)
    if not path.is_file():
        raise InputError(
            name,
            "weights with an architecture: --arch NAME",
            f"--arch {arch}" if arch else "Keras weights only",
            f"give --arch with one of {names}, or the .json file that model.to_json() gave",
        )
    check_file(path)
    if os.path.getsize(path) > MAX_JSON:
        raise InputError(path, f"at most {MAX_JSON:,} bytes", f"{os.path.getsize(path):,}")
    return json_of(path.read_bytes(), path.name)


def _refuse_obstacles(model: Layer, name: str) -> None:
    """Raise one InputError that names everything without a spiking form."""
    found: dict[str, list[str]] = {}
    for what, path in obstacles(model, last=True):
        found.setdefault(what, []).append(path)
    if found:
        listed = "; ".join(
            f"{what} ({paths[0]}" + (f" and {len(paths) - 1} more)" if len(paths) > 1 else ")")
            for what, paths in found.items()
        )
        raise InputError(
            name,
            "layers with a spiking form",
            listed,
            "put ReLU, convolutions or pooling in their place and train again",
        )


def _channels_first(model: Layer, name: str) -> bool:
    """Whether the model's maps are [C, H, W] in Keras."""
    formats: set[str] = set()
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        waiting.extend(layer.inner)
        if layer.kind != "Flatten" and layer.config.get("data_format") is not None:
            formats.add(str(layer.config["data_format"]))
    if not formats <= {"channels_first", "channels_last"} or len(formats) > 1:
        raise InputError(
            name,
            "one data_format, channels_first or channels_last",
            sorted(formats),
            "use one in all layers",
        )
    return formats == {"channels_first"}


def _ended(builder: Builder, value: Value, name: str) -> str:
    """The name of the output node; what was a vector in Keras, or a map of one place, is a
    vector.
    """
    if value.order is not None:
        raise InputError(
            name,
            "an output that is no flattened map",
            "one",
            "let the model end with a Dense layer",
        )
    if builder.shapes[value.node][1:] == (1, 1):
        value = builder.vector(value._replace(flat=True), "output")
    kind, label = builder.ending
    if kind == "softmax":
        value = builder.add(label, "Softmax", [value], {"axis": 1})
    return value.node


def _reversed_channels(node: Node) -> Node:
    """A first convolution for images in RGB, of one for BGR."""
    return replace(
        node, params=node.params | {"W": np.ascontiguousarray(node.params["W"][:, ::-1])}
    )


def _preprocessing(builder: Builder, name: str) -> Preprocessing:
    """What layers in front of the network do with pixels; without such layers the file does not
    tell.
    """
    factor, shift = builder.pixels or builder.image.pixels or (np.ones(1), np.zeros(1))
    if (factor == 1).all() and not shift.any():
        return Preprocessing(known=False)
    with np.errstate(all="ignore"):
        mean, std = -shift / factor + 0.0, 1 / factor
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise InputError(
            name,
            "layers that scale the image within the range of numbers",
            f"factors {factor.tolist()}, shifts {shift.tolist()}",
            "the file is damaged",
        )
    return Preprocessing(1.0, mean, std)
