"""Mutants of valid files of every kind that has a reader: bytes damaged at random, structure
damaged on purpose.

A damage returns what a reader has to do with the file: REFUSE it, read the SAME network, or either
or another network (ANY). None: this damage does not fit the file. All that is random comes from the
Generator that is given.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from support import nir_files
from support.checkpoints import edit_json, every_operator, small
from support.states import ARCH, mapping, write

from eventsnn.readers import write_native

try:
    import onnx
except ImportError:
    onnx = None

FILES = Path(__file__).parents[1] / "files"
REFUSE = "refuse"
SAME = "same"
ANY = "any"
NUMBERS = (0, 1, 2**16, 2**31 - 1, 2**32 - 1, 2**40, 2**63, 2**64 - 1)


class Seed(NamedTuple):
    """A valid file. arch: as for `load`, or the text (bytes) of a .json file that goes with it."""

    kind: str
    name: str
    data: bytes
    arch: str | bytes | None = None


def seeds(folder):
    """All seeds, by kind and name; folder: a place for files."""
    path = folder / "seed.h5"
    found = []
    for name, make in (("small", small), ("every_operator", every_operator)):
        write_native(make(), path)
        found.append(Seed("native", name, path.read_bytes()))
    edit_json(path, lambda graph: graph)  # with text of variable length
    found.append(Seed("native", "variable", path.read_bytes()))
    rng = np.random.default_rng(0)
    arrays = {
        "stem.weight": rng.normal(size=(3, 2, 3, 3)),
        "stem.alpha": np.array([1.5]),
        "head/weight": rng.normal(size=(4, 3)),
    }
    text = Path(mapping(folder / "map.json")).read_bytes()
    found.append(Seed("mapping", "mapping", write(path, arrays).read_bytes(), text))
    found += [
        Seed("torch", file.stem, file.read_bytes(), ARCH[file.stem])
        for file in sorted((FILES / "torch").glob("*.h5"))
    ]
    for file in sorted((FILES / "keras").glob("*.h5")):
        if file.name.startswith("heads-"):  # two outputs: it is read only where one is named
            continue
        beside = file.with_name(
            file.name.removesuffix(".weights.h5") + ".json"
        )  # weights alone have one
        arch = (
            "keras-vgg16"
            if "vgg16" in file.name
            else beside.read_bytes()
            if beside.is_file()
            else None
        )
        found.append(Seed("keras weights" if arch else "keras", file.name, file.read_bytes(), arch))
    for name, fields in (("nir", nir_files.small()), ("nir-ours", nir_ours())):
        found.append(Seed("nir", name, nir_files.write(path, fields).read_bytes()))
    if onnx:
        found += [
            Seed("onnx", file.stem, file.read_bytes())
            for file in sorted((FILES / "onnx").glob("*.onnx"))
        ]
        from support import onnx_seeds

        found += [Seed("onnx", name, data) for name, data in onnx_seeds.seeds()]
    return found


def nir_ours():
    """A NIR graph with the metadata that eventsnn writes, and one graph in it."""
    fields = nir_files.small(np.random.default_rng(2))
    nodes = fields["nodes"]
    nodes["if1"]["metadata"] = {"layer": "act1", "theta": 1.0, "initial_potential": 0.5}
    nodes["if2"]["metadata"] = {"layer": "act2", "initial_potential": np.arange(5) / 8}
    inner = nir_files.ends([5], [5]) | {"n": nodes.pop("if2")}
    nodes["if2"] = nir_files.graph(inner, nir_files.chain(["input", "n", "output"]))
    fields["metadata"] = {
        "writer": "eventsnn 0",
        "reset": "subtract",
        "encoding": "constant",
        "resistance": 1.0,
        "pixel_scale": 0.5,
        "pixel_mean": np.zeros(2),
        "pixel_std": np.ones(2),
        "pixel_reverse": 0,
    }
    return fields


# --- bytes ------------------------------------------------------------------------------------


def damage_bytes(data, others, rng):
    """`data` with one to four damages; others: files to take pieces of."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(data) or 1)), int(2 ** rng.uniform(0, 10))
        kind = rng.integers(8)
        if kind == 0:
            data[at : at + 1] = bytes([data[at] ^ 1 << int(rng.integers(8))]) if data else b""
        elif kind == 1:  # a number, where numbers stand
            width = int(rng.choice([1, 2, 4, 8]))
            data[at - at % width : at - at % width + width] = (
                int(rng.choice(8)) and NUMBERS[rng.integers(8)]
            ).to_bytes(8, "little")[:width]
        elif kind == 2:
            data[at : at + length] = bytes([int(rng.choice([0, 32, 255]))]) * min(
                length, len(data) - at
            )
        elif kind == 3:
            data[at : at + length] = rng.bytes(min(length, len(data) - at))
        elif kind == 4 and rng.random() < 0.3:
            del data[at:]
        elif kind == 5:
            data[at:at] = data[at : at + length]
        elif kind == 6:
            del data[at : at + length]
        elif kind == 7:
            other = others[rng.integers(len(others))]
            if rng.random() < 0.2:
                data[at:] = other[at:]
            else:
                data[at : at + length] = other[at : at + length]
    return bytes(data)


# --- JSON -------------------------------------------------------------------------------------

VALUES = (
    None,
    True,
    -1,
    0,
    2,
    2**31,
    2**70,
    0.5,
    1e300,
    5e-324,
    1e-38,
    1e30,
    "",
    "relu",
    "same",
    "\ud800",
    "x" * 5000,
    [],
    [1, 2],
    [[[[]]]],
    {},
    [0] * 5000,
    {"class_name": "ReLU", "config": {}},
    [[["stem", 0, 0, {}]]],
)


def damage_json(text, rng):
    """(the text of a JSON value with one to three damages, what a reader has to do)."""
    kind = rng.integers(12)
    if kind == 0:
        return text.decode().replace("{", '{"a":' * 5000 + "{", 1).encode(), REFUSE
    if kind == 1:
        return text.replace(b"[", b"[" * 100_000, 1), REFUSE
    if kind == 2:
        return text.replace(b": ", b': NaN, "b": ', 1), REFUSE
    value = json.loads(text)
    if kind == 3 and isinstance(value, dict) and (changed := _with_cycle(value, rng)):
        return json.dumps(changed).encode(), REFUSE
    for _ in range(rng.integers(1, 4)):
        holder, key = _place(value, rng)
        other = _place(value, rng)
        if rng.random() < 0.2:
            del holder[key]
        elif rng.random() < 0.2 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif rng.random() < 0.2:
            holder[key] = json.loads(json.dumps(other[0][other[1]]))
        else:
            holder[key] = deepcopy(VALUES[rng.integers(len(VALUES))])
        if not value:
            break
    return json.dumps(value).encode(), ANY


def _place(value, rng):
    """(holder, key) of a value somewhere in `value`, which holds something."""
    places, waiting = [], [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        places += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], (dict, list))]
    return places[rng.integers(len(places))]


def _with_cycle(value, rng):
    """A graph, or a functional Keras model, in which something waits for itself, or None."""
    if "nodes" in value:
        i = rng.integers(len(value["nodes"]))
        value["nodes"][i]["inputs"][0] = value["nodes"][rng.integers(i, len(value["nodes"]))][
            "name"
        ]
        return value
    layers = value["config"]["layers"] if isinstance(value.get("config"), dict) else []
    layers = [x for x in layers if len(x.get("inbound_nodes", ())) == 1]
    if not layers:
        return None
    layer = layers[rng.integers(len(layers))]
    before = json.dumps(layer["inbound_nodes"])
    layer["inbound_nodes"] = _renamed(layer["inbound_nodes"], layer["config"]["name"])
    return value if json.dumps(layer["inbound_nodes"]) != before else None


def _renamed(value, name):
    """The references in inbound_nodes with another name."""
    if isinstance(value, dict):
        return {key: _renamed(inner, name) for key, inner in value.items()}
    if (
        isinstance(value, list)
        and len(value) > 1
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    ):
        return [name, 0, *value[2:]]
    return [_renamed(inner, name) for inner in value] if isinstance(value, list) else value


# --- HDF5 -------------------------------------------------------------------------------------


def parameters(file):
    """The names of the datasets with parameters."""
    found = []
    file.visititems(
        lambda name, item: (
            found.append(name)
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and item.shape != ()
            else None
        )
    )
    return found


def _replaced(**settings):
    def damage(file, name, rng):
        del file[name]
        file.create_dataset(name, **settings)
        return REFUSE

    return damage


def _linked(target):
    def damage(file, name, rng):
        del file[name]
        file[name] = target(file) if callable(target) else target
        return REFUSE

    return damage


def _stored_anew(change, outcome, **settings):
    """The same dataset with other values, of another type or stored otherwise."""

    def damage(file, name, rng):
        array = change(file[name][()])
        del file[name]
        file.create_dataset(name, data=array, **settings)
        return outcome(array) if callable(outcome) else outcome

    return damage


def _one_value(value, outcome=REFUSE):
    def damage(file, name, rng):
        file[name][np.unravel_index(rng.integers(file[name].size), file[name].shape)] = value
        return outcome

    return damage


def _moved_out(file, name):
    """Take a dataset out of the file, into other.h5 and other.bin beside it; returns its shape and
    dtype.
    """
    array = file[name][()]
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        other["data"] = array
    Path(file.filename).with_name("other.bin").write_bytes(array.tobytes())
    del file[name]
    return {"shape": array.shape, "dtype": array.dtype}


def _virtual(file, name, rng):
    settings = _moved_out(file, name)
    layout = h5py.VirtualLayout(**settings)
    layout[...] = h5py.VirtualSource("other.h5", "data", settings["shape"])
    file.create_virtual_dataset(name, layout)
    return REFUSE


def _external_data(file, name, rng):
    settings = _moved_out(file, name)
    size = Path(file.filename).with_name("other.bin").stat().st_size
    file.create_dataset(
        name, **settings, external=[(str(Path(file.filename).with_name("other.bin")), 0, size)]
    )
    return REFUSE


def _external_link(file, name, rng):
    _moved_out(file, name)
    file[name] = h5py.ExternalLink("other.h5", "data")
    return REFUSE


def _gone(file, name, rng):
    del file[name]
    return REFUSE


def _renamed_dataset(file, name, rng):
    file.move(name, name + "~")
    return ANY


def _another(file, name, rng):
    names = parameters(file)
    del file[name]
    file[name] = file[rng.choice([n for n in names if n != name])]
    return ANY


WIDE = np.dtype([("a", "f4"), ("b", "i8", (2,))])
# name -> damage of one dataset (file, name of the dataset, rng)
DATASETS = {
    "NaN": _one_value(np.nan),
    "infinity": _one_value(-np.inf),
    "an enormous value": _one_value(1e15, ANY),
    "the largest value": _one_value(3.4e38, ANY),
    "denormal values": _stored_anew(lambda a: a * np.asarray(1e-40, a.dtype), ANY),
    "large values": _stored_anew(lambda a: a * np.asarray(1e30, a.dtype), ANY),
    "no values but 0": _stored_anew(np.zeros_like, ANY),
    "other signs": _stored_anew(np.negative, ANY),
    "gone": _gone,
    "renamed": _renamed_dataset,
    "another": _another,
    "objects": _replaced(data=["text"] * 3),
    "lists": _replaced(shape=(3,), dtype=h5py.vlen_dtype("f4")),
    "references": _replaced(shape=(3,), dtype=h5py.ref_dtype),
    "compound": _replaced(data=np.zeros(3, WIDE)),
    "opaque": _replaced(data=np.zeros(3, "V7")),
    "no data": _replaced(data=h5py.Empty("f4")),
    "integers": _stored_anew(lambda a: a.astype("i4"), REFUSE),
    "booleans": _stored_anew(lambda a: a > 0, REFUSE),
    "complex": _stored_anew(lambda a: a.astype("c8"), REFUSE),
    "text": _stored_anew(lambda a: a.astype("S9"), REFUSE),
    "no rows": _stored_anew(lambda a: a[:0], REFUSE),
    "an axis more": _stored_anew(lambda a: a[None], lambda a: REFUSE if a.ndim > 2 else ANY),
    "twice as many": _stored_anew(lambda a: np.concatenate([a, a]), ANY),
    "flat": _stored_anew(np.ravel, lambda a: ANY),
    "turned": _stored_anew(np.transpose, ANY),
    "half": _stored_anew(lambda a: a.astype("f2"), ANY),
    "big-endian": _stored_anew(lambda a: a.astype(a.dtype.newbyteorder(">")), SAME),
    "double": _stored_anew(lambda a: a.astype("f8"), SAME),
    "compressed": _stored_anew(
        lambda a: a, SAME, chunks=True, compression=9, shuffle=True, fletcher32=True
    ),
    "huge": _replaced(shape=(2**30, 2**9), dtype="f4"),
    "huge in chunks": _replaced(shape=(2**62,), chunks=(2**20,), dtype="f8"),
    "more than 64 bits": _replaced(shape=(2**40, 2**40), chunks=(1, 1), dtype="f4"),
    "a bomb": _replaced(data=np.zeros(2**20, "f8"), chunks=(2**20,), compression=9),
    "virtual": _virtual,
    "in another file": _external_data,
    "a soft link": _linked(h5py.SoftLink("/")),
    "a link to nothing": _linked(h5py.SoftLink("/nowhere")),
    "an external link": _external_link,
    "a link in a ring": lambda file, name, rng: _linked(h5py.SoftLink(f"/{name}"))(file, name, rng),
    "a group": _linked(lambda file: file.create_group("a group of nothing")),
    "the root": _linked(lambda file: file["/"]),
    "a type": _linked(np.dtype("f4")),
}


def _deep(file, rng):
    group = h5py.h5g.create(file.id, b"deep")
    for _ in range(300):
        group = h5py.h5g.create(group, b"deeper")
    return SAME


def _ring(file, rng):
    file.create_group("ring")["ring"] = file["/"]
    return ANY


def _wide(file, rng):
    for i in range(300):
        file.create_group(f"wide{i}")
        file.attrs[f"note{i}"] = "x" * 50
    return SAME


ATTRIBUTES = (
    0,
    -1,
    2**63,
    1.5,
    np.nan,
    "",
    "x",
    "x" * 60_000,
    b"\xff\xfe",
    ["a", "b"],
    np.zeros(8000),
    np.zeros((3, 0)),
    h5py.Empty("f4"),
    h5py.Empty("S1"),
    np.zeros(2, WIDE),
    np.array([True]),
    np.void(b"\0\1"),
    1j,
    np.float16(2),
    np.int8([1, 2, 3]),
)


def _attribute(file, rng):
    """Another value for an attribute, or none."""
    groups = [file]
    file.visititems(lambda name, item: groups.append(item))
    groups = [group for group in groups if len(group.attrs)]
    if not groups:
        return None
    group = groups[rng.integers(len(groups))] if rng.random() < 0.5 else groups[0]
    key = list(group.attrs)[rng.integers(len(group.attrs))]
    value = rng.integers(len(ATTRIBUTES) + 4)
    if value == len(ATTRIBUTES):
        del group.attrs[key]
    elif value == len(ATTRIBUTES) + 1:
        group.attrs.create(key, file.ref, dtype=h5py.ref_dtype)
    elif value == len(ATTRIBUTES) + 2:
        group.attrs.create(key, [np.arange(3), np.arange(2)], dtype=h5py.vlen_dtype("i4"))
    elif value == len(ATTRIBUTES) + 3:
        before = group.attrs[key]
        group.attrs[key] = before[::-1] if isinstance(before, (str, bytes, np.ndarray)) else before
    else:
        group.attrs[key] = ATTRIBUTES[value]
    return ANY


def _json_within(file, rng):
    """The JSON of a checkpoint or a full Keras model."""
    if "graph" in file:
        text, outcome = damage_json(file["graph"][()], rng)
        del file["graph"]
        file.create_dataset("graph", data=text, dtype=h5py.string_dtype(length=len(text)))
    elif "model_config" in file.attrs:
        text, outcome = damage_json(file.attrs["model_config"].encode(), rng)
        file.attrs["model_config"] = text.decode("utf-8", "replace")
    else:
        return None
    return outcome


# name -> damage of a file (file, rng)
WHOLE = {
    "deep groups": _deep,
    "a ring of groups": _ring,
    "much else": _wide,
    "an attribute": _attribute,
    "JSON": _json_within,
}


def damage_hdf5(seed, path, name, rng, dataset=None):
    """Write the seed with the damage of this name to `path`; returns what a reader has to do, or
    None.
    """
    path.write_bytes(seed.data)
    with h5py.File(path, "a") as file:
        if name in WHOLE:
            return WHOLE[name](file, rng)
        names = parameters(file)
        dataset = dataset or names[rng.integers(len(names))]
        outcome = DATASETS[name](file, dataset, rng)
    # a state dict without a bias is one of a layer without; a threshold may have any axes, and a
    # ring be a key
    return (
        ANY
        if outcome == REFUSE
        and seed.kind == "torch"
        and dataset.endswith("bias")
        and name in ("gone", "a group")
        else outcome
    )


# --- ONNX -------------------------------------------------------------------------------------


def damage_onnx(data, rng):
    """(the bytes of a model with one damage, what a reader has to do)."""
    model = onnx.load_model_from_string(data)
    graph, kind = model.graph, rng.integers(15)
    floats = [
        t
        for t in graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) and t.raw_data
    ]
    tensor, outcome = floats[rng.integers(len(floats))], REFUSE
    node = graph.node[rng.integers(len(graph.node))]
    if kind == 0:
        tensor.raw_data = np.float32(np.nan).tobytes() + tensor.raw_data[4:]
    elif kind == 1:
        tensor.dims[rng.integers(len(tensor.dims))] = int(rng.choice([-1, 2**31, 2**62]))
    elif kind == 2:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../other.bin")
    elif kind == 3:
        tensor.data_type = int(rng.choice([0, onnx.TensorProto.STRING, 99]))
    elif kind == 4:
        tensor.raw_data = tensor.raw_data[:-1]
    elif kind == 5:  # a node that waits for itself, or for a later one
        at = rng.integers(len(graph.node))
        at = next(i for i in [*range(at, len(graph.node)), *range(at)] if graph.node[i].input)
        graph.node[at].input[0] = graph.node[rng.integers(at, len(graph.node))].output[0]
    elif kind == 6:
        graph.input[0].type.tensor_type.shape.dim[rng.integers(1, 4)].dim_value = (
            NUMBERS[rng.integers(3, 7)] // 2
        )
    elif kind == 7:
        graph.initializer.remove(tensor)
    else:
        outcome = ANY
    if kind == 8:
        node.op_type = str(
            rng.choice([n.op_type for n in graph.node] + ["If", "Loop", "Einsum", ""])
        )
    elif kind == 9 and node.attribute:
        attribute = node.attribute[rng.integers(len(node.attribute))]
        value = (
            VALUES[rng.integers(2, 5)]
            if rng.random() < 0.5
            else [2**62, -1, 0][: rng.integers(1, 4)]
        )
        attribute.CopyFrom(onnx.helper.make_attribute(attribute.name, value))
    elif kind == 10 and node.input:
        node.input[rng.integers(len(node.input))] = str(
            rng.choice([t.name for t in graph.initializer] + ["", "input"])
        )
    elif kind == 11:
        model.opset_import[0].version = int(rng.choice([-1, 1, 9, 11, 13, 21, 2**31]))
    elif kind == 12:
        for other in graph.initializer:
            if other.data_type == onnx.TensorProto.INT64:
                other.raw_data, other.dims[:] = np.array([2**40, -1, 2**33], "<i8").tobytes(), [3]
    elif kind == 13:
        graph.node.extend([node] * int(rng.integers(1, 200)))
    elif kind == 14:  # where values go: one number is another
        for other in graph.initializer:
            if (
                other.data_type == onnx.TensorProto.INT64
                and other.raw_data
                and rng.integers(3) == 0
            ):
                values = np.frombuffer(other.raw_data, "<i8").copy()
                values[rng.integers(len(values))] = rng.choice([-(2**63), -9, -1, 0, 1, 3, 2**20])
                other.raw_data = values.tobytes()
    return model.SerializeToString(), outcome
