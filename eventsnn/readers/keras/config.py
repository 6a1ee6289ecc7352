"""A Keras model's configuration as a tree of layers, whatever version of Keras wrote it (2.0 to
2.15 and 3).

What the versions write differently is made equal here: a Sequential model becomes a chain, calls
are counted from 0, and references to other layers' outputs are (name, number of the call).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from reprlib import repr as short
from typing import Any

from eventsnn.exceptions import InputError

MAX_DEPTH, MAX_LAYERS = 10, 10_000  # models within models, and layers of one model
MODELS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True)
class Layer:
    """A layer, or a model with layers of its own.

    name; path: the names of the models around it and its own, "base/conv1"; kind: Keras's class;
    config: its settings; trainable; calls: for each time that it is called, the references of its
    inputs. A model also has `inner`, its layers in the order in which Keras saves them, and the
    references `input` and `output` among them.
    """

    name: str
    path: str
    kind: str
    config: dict
    trainable: bool = True
    calls: tuple = ()
    inner: tuple[Layer, ...] = ()
    input: tuple = ()
    output: tuple = ()


def model_of(entry: dict[str, Any], where: str, path: str = "", depth: int = 0) -> Layer:
    """The `Layer` of a model's JSON object {"class_name", "config"}; its inputs are left to the
    model around it.
    """
    kind = _field(entry, "class_name", str, where)
    config = _field(entry, "config", (dict, list), where)
    if isinstance(config, list):  # a Sequential of Keras 2.0 to 2.2.2
        config = {"layers": config}
    entries = _field(config, "layers", list, where)
    if not 0 < len(entries) <= MAX_LAYERS or depth > MAX_DEPTH:
        raise InputError(
            where,
            f"1 to {MAX_LAYERS:,} layers, and models in at most {MAX_DEPTH} others",
            f"{len(entries):,} layers in {depth} other models",
        )
    names = [_name(e, i, where) for i, e in enumerate(entries)]
    if len(set(names)) < len(names):
        raise InputError(where, "one layer for each name", f"{max(names, key=names.count)!r} twice")
    calls: list[Any]
    ends: Any
    if kind == "Sequential":
        chain = [[((before, 0),)] for before in names[:-1]]
        if entries[0].get("class_name") == "InputLayer":
            calls = [[()], *chain]
        else:
            first = "input" if "input" not in names else "input of " + names[0]
            entries = [
                {
                    "class_name": "InputLayer",
                    "config": {"batch_shape": _input_shape([entry, config, *entries[:1]])},
                },
                *entries,
            ]
            calls, names = [[()], [((first, 0),)], *chain], [first, *names]
        ends = (names[0], 0), (names[-1], 0)
    else:
        calls = [
            [_references(call, where) for call in _field(e, "inbound_nodes", list, where)] or [()]
            for e in entries
        ]
        ends = tuple(
            _only(config.get(key), f"{where}: {key}") for key in ("input_layers", "output_layers")
        )
        calls, ends = _counted_from_zero(names, calls, ends)
    inner = tuple(
        _layer(e, n, tuple(c), where, path, depth) for e, n, c in zip(entries, names, calls)
    )
    return Layer("", path, kind, config, inner=inner, input=ends[0], output=ends[1])


def pair(config: dict[str, Any], key: str, default: tuple[int, int], where: str) -> tuple[int, int]:
    """A setting that is one whole number or two, from 1 on, as a tuple of two; `default` where it
    is absent.
    """
    value = config.get(key)
    value = default if value is None else value
    value = (value, value) if type(value) is int else value
    good = (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(type(v) is int and 1 <= v <= 2**20 for v in value)
    )
    if not good:
        raise InputError(where, f"{key} of one or two whole numbers from 1 to 2^20", short(value))
    return tuple(value)


def number(value: Any) -> Any:
    """A number as configurations have it: plain, or in an object that numpy's numbers become."""
    while isinstance(value, dict):
        value = value.get("value", value.get("config"))
    return value


def activation_of(
    value: Any,
) -> tuple[str, float | None]:
    """(name, the largest value that it passes or None) of an activation: text, or an object of some
    version of Keras.
    """
    largest = None
    while isinstance(value, dict):
        config, kind = value.get("config"), value.get("class_name")
        if kind in ("ReLU", "Softmax") and isinstance(config, dict):
            plain = kind == "Softmax" or not (
                number(config.get("negative_slope")) or number(config.get("threshold"))
            )
            largest = number(config.get("max_value"))
            config = kind.lower() if plain else "leaky_relu"
        value = config if isinstance(config, (str, dict)) else kind
    name = str(value or "linear").split(">")[-1]
    return ("relu", 6.0) if name == "relu6" else (name, largest)


def image_shape(model: Layer, where: str) -> tuple[int, ...]:
    """The shape of the input of a model without the batch axis, as Keras has it: 2 or 3 whole
    numbers.
    """
    layer = next((x for x in model.inner if x.name == model.input[0]), None)
    shape = (
        _input_shape([{"config": layer.config}])
        if layer is not None and layer.kind == "InputLayer"
        else None
    )
    if shape is None:
        raise InputError(
            where,
            "the shape of the input",
            "none",
            "build the model with keras.Input((H, W, C)) and save it again",
        )
    sizes = tuple(shape[1:])
    if None in sizes:
        raise InputError(
            where,
            "a fixed height, width and number of channels",
            f"an input of any size, {list(sizes)}",
            "build the model in Keras with keras.Input((H, W, C)), set its weights and save it "
            "again",
        )
    if len(sizes) not in (2, 3) or not all(type(n) is int and 1 <= n <= 2**20 for n in sizes):
        raise InputError(
            where,
            "an input that is an image, (H, W, C) or (H, W)",
            list(sizes),
            "let the model begin with keras.Input((H, W, C)) and Flatten",
        )
    return sizes


def _layer(
    entry: dict[str, Any], name: str, calls: tuple[Any, ...], where: str, path: str, depth: int
) -> Layer:
    path = f"{path}/{name}" if path else name
    kind = _field(entry, "class_name", str, where)
    config = _field(entry, "config", (dict, list), where)
    if kind in MODELS:
        model = model_of(entry, f"{where}/{name}", path, depth + 1)
        inner, ends = model.inner, (model.input, model.output)
        config = model.config
    else:
        inner, ends = (), ((), ())
        config = _field(entry, "config", dict, where)
    return Layer(
        name, path, kind, config, config.get("trainable") is not False, calls, inner, *ends
    )


def _name(entry: dict[str, Any], place: int, where: str) -> str:
    """A layer's name; a Sequential of old, inside another model, has none."""
    config = _field(entry, "config", (dict, list), where)
    name = entry.get("name") or (
        config.get("name") if isinstance(config, dict) else f"model {place}"
    )
    if not (isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()):
        raise InputError(where, "layers with names of 1 to 200 printable characters", short(name))
    return name


def _input_shape(entries: list[dict[str, Any]]) -> list[Any] | None:
    """The first shape [None, …] that one of these says its input has, or None."""
    for entry in entries:
        config = entry.get("config") if isinstance(entry, dict) and "config" in entry else entry
        built = entry.get("build_config") if isinstance(entry, dict) else None
        for holder in (config, built):
            holder = holder if isinstance(holder, dict) else {}
            for key in ("batch_shape", "batch_input_shape", "build_input_shape", "input_shape"):
                if isinstance(holder.get(key), list) and len(holder[key]) > 1:
                    return holder[key]
        layers = config.get("layers") if isinstance(config, dict) else config
        if isinstance(layers, list) and layers and (shape := _input_shape(layers[:1])):
            return shape
    return None


def _references(call: list[Any] | dict[str, Any], where: str) -> tuple[Any, ...]:
    """((layer's name, call), …) of the inputs of one call, in order."""
    found = list(islice(_tensors(call), MAX_LAYERS))
    for name, index, output in found:
        if not (isinstance(name, str) and type(index) is int and index >= 0 and output == 0):
            raise InputError(
                where, "references to layers with one output", short([name, index, output])
            )
    return tuple((name, index) for name, index, _ in found)


def _tensors(call: Any) -> Iterator[list[str | int]]:
    """Yield [name, call, output] wherever there is one: in lists (Keras 2), or in objects as their
    keras_history (Keras 3).
    """
    if isinstance(call, dict):
        if call.get("class_name") == "__keras_tensor__":
            yield from _tensors(
                _field(_field(call, "config", dict, "tensor"), "keras_history", list, "tensor")
            )
        else:
            for value in call.values():
                yield from _tensors(value)
    elif isinstance(call, list):
        if len(call) in (3, 4) and isinstance(call[0], str):
            yield call[:3]
            call = call[3:]
        for value in call:
            yield from _tensors(value)


def _only(value: Any, where: str) -> tuple[str, int]:
    """The one reference in a model's input_layers or output_layers."""
    found = _references(value, where)
    if len(found) != 1:
        raise InputError(
            where,
            "one input and one output",
            f"{len(found)}",
            "save a model with one image in and one output",
        )
    return found[0]


def _counted_from_zero(names: list[str], calls: list[Any], ends: Any) -> tuple[list[Any], Any]:
    """Calls and ends with references counted from 0: that of a model starts at 1 where the model's
    own making counted as a call.
    """
    last = dict.fromkeys(names, 0)
    for name, index in [ref for layer in calls for call in layer for ref in call] + list(ends):
        last[name] = max(last.get(name, 0), index)
    shift = {name: max(last[name] - len(layer) + 1, 0) for name, layer in zip(names, calls)}

    def moved(ref: tuple[str, int]) -> tuple[str, int]:
        return ref[0], ref[1] - shift.get(ref[0], 0)

    return [[tuple(map(moved, call)) for call in layer] for layer in calls], tuple(map(moved, ends))


def _field(
    entry: dict[str, Any],
    key: str,
    kind: type | tuple[type, ...],
    where: str,
) -> Any:
    """An object's value of a given type. Raises InputError."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        raise InputError(
            where,
            f"a Keras configuration with {key}",
            short(value),
            "write the file again with Keras 2 or 3",
        )
    return value
