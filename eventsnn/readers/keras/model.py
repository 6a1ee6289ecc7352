"""Keras's HDF5 files: full models (Keras 2.0 to 2.15 and 3), and weights alone.

The architecture of weights comes from elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eventsnn.ann.graph import Node, Preprocessing
from eventsnn.exceptions import InputError, named
from eventsnn.files.reading import attribute, check_file, child, json_of, plain, text_of
from eventsnn.readers.keras import sequences
from eventsnn.readers.keras.architectures import ARCHITECTURES, proposed
from eventsnn.readers.keras.builder import Builder, Value
from eventsnn.readers.keras.config import Layer, image_shape, model_of, policy_of
from eventsnn.readers.keras.layers import LAYERS, obstacles
from eventsnn.readers.keras.weights import KERNELS, NORMS, Weights, is_quantised

MAX_JSON = 2**26  # bytes of a configuration
BGR = (
    "images are RGB: the first convolution's channels, blue, green, red in the file, are turned "
    "round"
)
TURNED = "kernels are turned by 180 degrees, as Theano, on which the network was made, does it"
INT8 = "int8 kernels are divided by their scales; inputs of these layers are not rounded to 8 bits"
# what Keras computes on, each with correlations for convolutions but Theano
BACKENDS = ("tensorflow", "theano", "cntk", "jax", "torch", "numpy", "openvino", "plaidml")
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGMOID = (
    "the sigmoid at the output is left out: the largest output stays the largest, and one output "
    "alone means class 1 above 0"
)
LEFT_OUT = {
    "sigmoid": SIGMOID,
    "log_softmax": "the log_softmax at the output is left out: the largest output stays the "
    "largest",
}


def parse(
    file: h5py.File,
    name: str,
    arch: str | None = None,
    config: Any = None,
    version: str = "",
    output: str | None = None,
) -> dict[str, Any]:
    """The fields of `Graph` in an open file.

    file: of Keras 2 or 3. name: the file's, for messages. arch: a name of ARCHITECTURES, or a .json
    file that model.to_json() gave; None for the file's own, or a .json file of the same name beside
    it. config, version: what an archive says beside the file, the model's configuration and who
    wrote it; None and "" for a file alone. output: of a model with several outputs the name of the
    layer that gives it, or its place from 0. Raises InputError for whatever cannot be read or has
    no spiking form.
    """
    group = child(file, "model_weights") or file
    version = version or _said(group, file, "keras_version")
    if version.startswith("1.") or "nb_layers" in file.attrs:
        do = "open it with Keras 2 and save it again"
        raise InputError(name, "a file of Keras 2 or 3", "one of Keras 1", do)
    said = _said(group, file, "backend")
    backend = _backend(said, name)
    known = ARCHITECTURES.get(arch or "")
    if known:
        config = known.config
    elif arch is not None or config is None:
        config = _entry(file, name, arch)
    whole = model_of(config, f"{name}: model", output=output)
    model = _reached(whole)
    _refuse_obstacles(model, name)
    shape = image_shape(model, name)
    first = _channels_first(model, name)
    image = model.input[0]
    policies = _policies(model, name)
    weights = Weights(group, whole)
    sequence = len(shape) == 2 and _of_sequences(model)
    grid = _in_graph(shape, first, sequence)
    builder = Builder(name, LAYERS, weights, image, grid, first, backend, version)
    builder.image = builder.image._replace(flat=len(shape) == 1, sequence=sequence)
    builder.told = bool(said) or version.startswith("2")
    value = builder.run(model, builder.image)
    end = _ended(builder, builder.settled(value, "output"), name)
    nodes = tuple(builder.nodes.values())
    notes = [f"written by Keras {version}"] if version else []
    if backend == "theano" and any(node.op == "Conv" for node in nodes):
        notes.append(TURNED)
    notes += [*policies, *dict.fromkeys(builder.notes)]
    if known and known.bgr:
        notes.append(BGR)
        nodes = tuple(_reversed_channels(n) if image in n.inputs else n for n in nodes)
    if builder.ending[0] in LEFT_OUT:
        notes.append(LEFT_OUT[builder.ending[0]])
    own = text_of(model.config.get("name"), 200) or "Keras model"
    meta = {"arch": arch if known else own}
    preprocessing = known.preprocessing if known else _preprocessing(builder, name)
    if not preprocessing.known:
        inner = [layer.name for layer in model.inner if layer.inner]
        notes += list(filter(None, map(proposed, (own, *inner))))[:1]
    if notes:
        meta["note"] = "; ".join(notes)
    return {
        "nodes": nodes,
        "input": image,
        "output": end,
        "input_shape": builder.shapes[image],
        "preprocessing": preprocessing,
        "source": name,
        "meta": meta,
    }


def _said(group: h5py.Group, file: h5py.File, key: str) -> str:
    """An attribute of the weights or, where they lack it, of the root; "" for no text."""
    return text_of(plain(group, key)) or text_of(plain(file, key)) or ""


def _backend(said: str, name: str) -> str:
    """What Keras computed on, in small letters; a file that does not tell it is TensorFlow's.

    said: the file's attribute. Raises InputError for one whose convolutions are not known here.
    """
    backend = next((known for known in BACKENDS if known in said.lower()), "")
    if said and not backend:
        expected = f"a file that Keras wrote on one of {', '.join(BACKENDS)}"
        do = "open it in Keras on TensorFlow, compare its outputs there and save it again"
        raise InputError(f"{name}: backend", expected, repr(said), do)
    return backend or "tensorflow"


def _policies(model: Layer, name: str) -> list[str]:
    """Notes on the types of numbers that layers compute in.

    Raises InputError for weights of a type that cannot be read.
    """
    found: dict[str, None] = {}
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        waiting.extend(layer.inner)
        if layer.inner or layer.kind not in (*KERNELS, *NORMS):
            continue
        policy = policy_of(layer)
        if policy.removeprefix("mixed_") not in FLOATS and not is_quantised(layer):
            where = f"{name}: layer {layer.path!r}"
            expected = f"weights of {', '.join(FLOATS)}, or int8 in a Dense layer"
            do = "save the model as it was before it was quantised"
            raise InputError(where, expected, f"the dtype policy {policy!r}", do)
        found[policy] = None
    narrow = [p for p in found if p.removeprefix("mixed_") in FLOATS[:2]]
    notes = [INT8] if "int8" in found else []
    if narrow:
        notes.append(f"Keras computes it in {' and '.join(narrow)}, of which only weights are kept")
    return notes


def _reached(model: Layer) -> Layer:
    """The model with the layers on which its output depends, and its input."""
    by_name = {layer.name: layer for layer in model.inner}
    wanted = {model.input[0]}
    waiting = [model.output[0]]
    while waiting:
        name = waiting.pop()
        if name not in wanted and name in by_name:
            wanted.add(name)
            waiting += [before for call in by_name[name].calls for before, _ in call]
    return replace(model, inner=tuple(layer for layer in model.inner if layer.name in wanted))


def _of_sequences(model: Layer) -> bool:
    """Whether an input of two sizes is a sequence [L, C], and no image [H, W]."""
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        waiting.extend(layer.inner)
        if layer.kind in (*sequences.KINDS, "QConv1D", "Cropping1D", "SpatialDropout1D"):
            return True
    return False


def _in_graph(shape: tuple[int, ...], first: bool, sequence: bool) -> tuple[int, int, int]:
    """(C, H, W) of an image's shape as Keras has it; (C, 1, L) of a sequence's, (N, 1, 1) of a
    vector's.
    """
    if len(shape) == 1:
        return (shape[0], 1, 1)
    if sequence:
        channels, length = shape if first else shape[::-1]
        return (channels, 1, length)
    if len(shape) == 2:
        return (1, shape[0], shape[1])
    return (shape[0], shape[1], shape[2]) if first else (shape[2], shape[0], shape[1])


def _entry(file: h5py.File, name: str, arch: str | None) -> Any:
    """The JSON object with the model's configuration."""
    if arch is None and "model_config" in file.attrs:
        where = f"{name}: model_config"
        text = attribute(file, "model_config")
        if not isinstance(text, (str, bytes)) or len(text) > MAX_JSON:
            expected = f"a text of at most {MAX_JSON:,} bytes"
            raise InputError(where, expected, "something else", "the file is damaged")
        return json_of(text, where)
    stem = name.removesuffix(".h5").removesuffix(".weights")
    path = Path(arch or Path(file.filename).with_name(stem + ".json"))
    if not path.is_file():
        names = ", ".join(ARCHITECTURES)
        expected = "weights with an architecture: ⟦arch=NAME⟧"
        found = named("arch", arch) if arch else "Keras weights only"
        do = f"give ⟦arch⟧ with one of {names}, or the .json file that model.to_json() gave"
        raise InputError(name, expected, found, do)
    check_file(path)
    if os.path.getsize(path) > MAX_JSON:
        raise InputError(path, f"at most {MAX_JSON:,} bytes", f"{os.path.getsize(path):,}")
    return json_of(path.read_bytes(), path.name)


def _refuse_obstacles(model: Layer, name: str) -> None:
    """Raises one InputError that names everything without a spiking form."""
    found: dict[str, list[str]] = {}
    for what, path in obstacles(model, last=True):
        found.setdefault(what, []).append(path)
    if not found:
        return
    listed = []
    for what, paths in found.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        listed.append(f"{what} ({paths[0]}{more})")
    if any(what.startswith("Spike") for what in found):
        do = "give the network that SNN Toolbox made it from"
        spiking = f"a spiking network already, of SNN Toolbox: {'; '.join(listed)}"
        raise InputError(name, "a network that is not yet spiking", spiking, do)
    do = "put ReLU, convolutions or pooling in their place and train again"
    raise InputError(name, "layers with a spiking form", "; ".join(listed), do)


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
        expected = "one data_format, channels_first or channels_last"
        raise InputError(name, expected, sorted(formats), "use one in all layers")
    return formats == {"channels_first"}


def _ended(builder: Builder, value: Value, name: str) -> str:
    """The name of the output node.

    What was a vector in Keras, or is a map of one place, becomes a vector.
    """
    if value.order is not None:
        value = builder.settled(builder.moved(value, "output", value.order), "output")
    if builder.shapes[value.node][1:] == (1, 1):
        value = builder.vector(value._replace(flat=True), "output")
    kind, label = builder.ending
    if kind == "softmax":
        value = builder.add(label, "Softmax", [value], {"axis": 1})
    return value.node


def _reversed_channels(node: Node) -> Node:
    """A first convolution for images in RGB, of one for images in BGR."""
    weight = np.ascontiguousarray(node.params["W"][:, ::-1])
    return replace(node, params=node.params | {"W": weight})


def _preprocessing(builder: Builder, name: str) -> Preprocessing:
    """What layers in front of the network do with pixels.

    Without such layers the file does not tell.
    """
    factor, shift = builder.pixels or builder.image.pixels or (np.ones(1), np.zeros(1))
    turned = builder.turned or builder.image.turned
    if (factor == 1).all() and not shift.any() and not turned:
        return Preprocessing(known=False)
    with np.errstate(all="ignore"):
        mean = -shift / factor + 0.0
        std = 1 / factor
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        expected = "layers that scale the image within the range of numbers"
        found = f"factors {factor.tolist()}, shifts {shift.tolist()}"
        raise InputError(name, expected, found, "the file is damaged")
    if builder.image.flat and len({*zip(mean, std)}) == 1:  # one number says it
        mean, std = mean[:1], std[:1]
    return Preprocessing(1.0, mean, std, reverse=turned)
