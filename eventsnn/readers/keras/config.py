"""A Keras model's configuration as a tree of layers, whatever version wrote it (2.0 to 2.15, 3).

What the versions write differently is made equal here: a Sequential model becomes a chain, calls
are counted from 0, and references to other layers' outputs are (name, number of the call).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from reprlib import repr as short
from typing import Any

from eventsnn.exceptions import InputError

MAX_DEPTH = 10  # models within models
MAX_LAYERS = 10_000  # of one model
MODELS = ("Sequential", "Functional", "Model")
SHAPES = ("batch_shape", "batch_input_shape", "build_input_shape", "input_shape")
# (name of a layer, number of its call)
Reference = tuple[str, int]
# the references of the inputs of one call of a layer
Call = tuple[Reference, ...]


@dataclass(frozen=True)
class Layer:
    """A layer, or a model with layers of its own.

    name: as in the configuration. path: the names of the models around it and its own,
    "base/conv1". kind: Keras's class. config: its settings. trainable: whether training changes it.
    calls: for each time that it is called, the references of its inputs. inner: the layers of a
    model, in the order in which Keras saves them. input, output: of a model, references to its
    input and output among them; otherwise ("", 0). arguments: of a function that is called like a
    layer, for each call what the file has of its arguments; its kind is "function NAME".
    """

    name: str
    path: str
    kind: str
    config: dict[str, Any]
    trainable: bool = True
    calls: tuple[Call, ...] = ()
    inner: tuple[Layer, ...] = ()
    input: Reference = ("", 0)
    output: Reference = ("", 0)
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        inner = f" with {len(self.inner)} layers" if self.inner else ""
        return f"<Layer {self.path!r}: {self.kind}{inner}>"


def model_of(
    entry: Any, where: str, path: str = "", depth: int = 0, output: str | None = None
) -> Layer:
    """The `Layer` of a model's JSON object; the model around it knows its name and calls.

    entry: {"class_name", "config"}. where: what to call it in messages. path: the names of the
    models around it and its own. depth: how many models are around it. output: of several outputs
    the name of the layer, or the place from 0; None for the only one. Raises InputError for a
    configuration that cannot be read, and for another output.
    """
    kind = _field(entry, "class_name", str, where)
    config = _field(entry, "config", (dict, list), where)
    if isinstance(config, list):  # a Sequential of Keras 2.0 to 2.2.2
        config = {"layers": config}
    entries = _field(config, "layers", list, where)
    if not 0 < len(entries) <= MAX_LAYERS or depth > MAX_DEPTH:
        expected = f"1 to {MAX_LAYERS:,} layers, and models in at most {MAX_DEPTH} others"
        found = f"{len(entries):,} layers in {depth} other models"
        raise InputError(where, expected, found)
    names = [_name(inner, i, where) for i, inner in enumerate(entries)]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise InputError(where, "one layer for each name", f"{twice!r} twice")
    calls: list[list[Call]]
    if kind == "Sequential":
        if entries[0].get("class_name") != "InputLayer":
            first = "input" if "input" not in names else "input of " + names[0]
            image = {"batch_shape": _input_shape([entry, config, entries[0]])}
            entries = [{"class_name": "InputLayer", "config": image}, *entries]
            names = [first, *names]
        calls = [[()]]
        calls += [[((before, 0),)] for before in names[:-1]]
        ends = ((names[0], 0), (names[-1], 0))
        _chosen([ends[1]], output, where)
    else:
        calls = [_calls(inner, where) for inner in entries]
        start = _only(config.get("input_layers"), f"{where}: input_layers")
        end = _chosen(_references(config.get("output_layers"), where), output, where)
        calls, ends = _counted_from_zero(names, calls, (start, end))
    inner = tuple(
        _layer(entry, name, tuple(of_layer), where, path, depth)
        for entry, name, of_layer in zip(entries, names, calls)
    )
    return Layer("", path, kind, config, inner=inner, input=ends[0], output=ends[1])


def pair(config: dict[str, Any], key: str, default: Sequence[int], where: str) -> tuple[int, int]:
    """A setting that is one whole number or two, as two.

    config: a layer's settings. key: the setting's name. default: two numbers, where it is absent.
    where: the layer, for messages. Raises InputError for anything else than whole numbers from 1.
    """
    value = config.get(key)
    value = default if value is None else value
    value = (value, value) if type(value) is int else value
    two = isinstance(value, (list, tuple)) and len(value) == 2
    if not two or not all(type(n) is int and 1 <= n <= 2**20 for n in value):
        raise InputError(where, f"{key} of one or two whole numbers from 1 to 2^20", short(value))
    height, width = value
    return height, width


def policy_of(layer: Layer) -> str:
    """The name of a layer's dtype policy: float32, mixed_float16, int8 and so on.

    layer: whose dtype is a text, or an object of some version of Keras. Of a quantised layer it is
    the type of its weights.
    """
    value = layer.config.get("dtype")
    if isinstance(value, dict):
        config = value.get("config")
        config = config if isinstance(config, dict) else {}
        value = config.get("mode") or config.get("name")
    return value.split("_from_")[0] if isinstance(value, str) else "float32"


def image_shape(model: Layer, where: str) -> tuple[int, ...]:
    """The shape of a model's input as Keras has it, without the batch axis: 1 to 3 numbers.

    model: with the layer of its input. where: what to call it in messages. Raises InputError for an
    input that is no image and no vector of a fixed size.
    """
    layer = next((inner for inner in model.inner if inner.name == model.input[0]), None)
    shape = None
    if layer is not None and layer.kind == "InputLayer":
        shape = _input_shape([{"config": layer.config}])
    if shape is None:
        do = "build the model with keras.Input((H, W, C)) and save it again"
        raise InputError(where, "the shape of the input", "none", do)
    sizes = tuple(shape[1:])
    if None in sizes:
        expected = "a fixed height, width and number of channels"
        found = f"an input of any size, {list(sizes)}"
        do = (
            "build the model in Keras with keras.Input((H, W, C)), set its weights and save it "
            "again"
        )
        raise InputError(where, expected, found, do)
    if not 1 <= len(sizes) <= 3 or not all(type(n) is int and 1 <= n <= 2**20 for n in sizes):
        expected = "an input that is an image, (H, W, C) or (H, W), or a vector, (N,)"
        do = "let the model begin with keras.Input((H, W, C)) and Flatten"
        raise InputError(where, expected, list(sizes), do)
    return sizes


def _layer(
    entry: Any, name: str, calls: tuple[Call, ...], where: str, path: str, depth: int
) -> Layer:
    """A layer of a model; path, depth: of the model."""
    path = f"{path}/{name}" if path else name
    kind = _field(entry, "class_name", str, where)
    function = function_of(entry)
    if function:
        made = tuple(entry.get("inbound_nodes") or ())[: len(calls)]
        if len(made) < len(calls):
            raise InputError(where, "calls of a function", f"none of {function}")
        config = _field(entry, "config", dict, where)
        return Layer(name, path, function, config, True, calls, arguments=made)
    if kind not in MODELS:
        config = _field(entry, "config", dict, where)
        return Layer(name, path, kind, config, config.get("trainable") is not False, calls)
    model = model_of(entry, f"{where}/{name}", path, depth + 1)
    trainable = model.config.get("trainable") is not False
    return replace(model, name=name, trainable=trainable, calls=calls)


def function_of(entry: Any) -> str:
    """ "function NAME" for a function that is called like a layer, "" for a layer.

    entry: a layer's JSON object, of Keras 2 or 3.
    """
    kind, config = entry.get("class_name"), entry.get("config")
    if kind in ("TFOpLambda", "SlicingOpLambda") and isinstance(config, dict):
        return f"function {str(config.get('function'))[:100].split('.')[-1]}"
    module, calls = entry.get("module"), entry.get("inbound_nodes")
    of_keras = isinstance(module, str) and bool(re.match(r"keras(\.src)?\.ops(\.|$)", module))
    # .h5 files name no module, and functions have no settings that every layer has
    if module is None and kind not in (*MODELS, "InputLayer") and isinstance(config, dict):
        new = isinstance(calls, list) and bool(calls) and isinstance(calls[0], dict)
        of_keras = new and not {"trainable", "dtype"} & config.keys()
    if of_keras:
        return f"function {re.sub('(?<=[a-z0-9])(?=[A-Z])', '_', str(kind)).lower()[:100]}"
    return ""


def _name(entry: Any, place: int, where: str) -> str:
    """A layer's name; a Sequential of old, inside another model, has none."""
    config = _field(entry, "config", (dict, list), where)
    own = config.get("name") if isinstance(config, dict) else f"model {place}"
    name = entry.get("name") or own
    if not (isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()):
        raise InputError(where, "layers with names of 1 to 200 printable characters", short(name))
    return name


def _input_shape(entries: Sequence[Any]) -> list[Any] | None:
    """The first shape [None, …] that one of these says its input has, or None."""
    for entry in entries:
        config = entry.get("config") if isinstance(entry, dict) and "config" in entry else entry
        built = entry.get("build_config") if isinstance(entry, dict) else None
        holders = [holder for holder in (config, built) if isinstance(holder, dict)]
        for holder in holders:
            for key in SHAPES:
                shape = holder.get(key)
                if isinstance(shape, list) and len(shape) > 1:
                    return shape
        layers = config.get("layers") if isinstance(config, dict) else config
        shape = _input_shape(layers[:1]) if isinstance(layers, list) else None
        if shape:
            return shape
    return None


def _calls(entry: Any, where: str) -> list[Call]:
    """The inputs of each call of a layer; one call without any, for a layer that is not called."""
    nodes = _field(entry, "inbound_nodes", list, where)
    return [_references(node, where) for node in nodes] or [()]


def _references(call: Any, where: str) -> Call:
    """The references of the inputs of one call, in order."""
    found = list(islice(_tensors(call), MAX_LAYERS))
    for name, index, output in found:
        if not (isinstance(name, str) and type(index) is int and index >= 0 and output == 0):
            listed = short([name, index, output])
            raise InputError(where, "references to layers with one output", listed)
    return tuple((name, index) for name, index, _ in found)


def _tensors(call: Any) -> Iterator[list[Any]]:
    """Yields [name, call, output] wherever there is one.

    Keras 2 has them in lists, Keras 3 in objects as their keras_history.
    """
    if isinstance(call, dict):
        if call.get("class_name") == "__keras_tensor__":
            config = _field(call, "config", dict, "tensor")
            yield from _tensors(_field(config, "keras_history", list, "tensor"))
        else:
            for value in call.values():
                yield from _tensors(value)
    elif isinstance(call, list):
        if len(call) in (3, 4) and isinstance(call[0], str):
            yield call[:3]
            call = call[3:]
        for value in call:
            yield from _tensors(value)


def _only(value: Any, where: str) -> Reference:
    """The one reference in a model's input_layers."""
    found = _references(value, where)
    if len(found) != 1:
        do = "save a model with one image in"
        raise InputError(where, "one input", f"{len(found)}", do)
    return found[0]


def _chosen(found: Sequence[Reference], output: str | None, where: str) -> Reference:
    """The output that is meant among a model's outputs."""
    names = [name for name, _ in found]
    if output is None and len(found) == 1:
        return found[0]
    if output is not None and names.count(output) == 1:
        return found[names.index(output)]
    if output is not None and output in map(str, range(len(found))):
        return found[int(output)]
    asked = "" if output is None else f", none called {output!r}"
    listed = f"{len(found)} outputs: {', '.join(names[:20])}{asked}"
    do = f"choose one: ⟦output={names[0]}⟧" if found else "save the model again"
    raise InputError(where, "one output", listed, do)


def _counted_from_zero(
    names: list[str], calls: list[list[Call]], ends: tuple[Reference, Reference]
) -> tuple[list[list[Call]], tuple[Reference, Reference]]:
    """Calls and ends of a model with references counted from 0.

    References to a layer that is a model start at 1 where the making of that model counted as a
    call.
    """
    last = dict.fromkeys(names, 0)
    made = [call for of_layer in calls for call in of_layer]
    references = [reference for call in made for reference in call]
    for name, index in [*references, *ends]:
        last[name] = max(last.get(name, 0), index)
    shift = {name: max(last[name] - len(of_layer) + 1, 0) for name, of_layer in zip(names, calls)}

    def moved(call: Call) -> Call:
        return tuple((name, index - shift.get(name, 0)) for name, index in call)

    start, end = moved(ends)
    return [list(map(moved, of_layer)) for of_layer in calls], (start, end)


def _field(entry: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """An object's value of a given type. Raises InputError for anything else."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        expected = f"a Keras configuration with {key}"
        raise InputError(where, expected, short(value), "write the file again with Keras 2 or 3")
    return value
