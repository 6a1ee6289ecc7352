"""The checkpoint format: what is written comes back, and no file does worse than an InputError."""

import json
import os

import h5py
import numpy as np
import pytest
from support.checkpoints import edit_json, every_operator, small

import eventsnn.readers.native as native
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError
from eventsnn.readers import load, read_native, write_native


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.h5"
    write_native(small(), path)
    return path


def refused(path, *fragments):
    """Both readers refuse the file, in one line that holds the fragments and the file's name."""
    for reader in (load, read_native):
        with pytest.raises(InputError) as caught:
            reader(path)
        message = str(caught.value)
        assert message.isprintable()
        for fragment in (*fragments, path.name):
            assert fragment in message


@pytest.mark.parametrize("make", (small, every_operator))
def test_what_is_written_comes_back(make, tmp_path):
    graph = make()
    write_native(graph, tmp_path / "a.h5")
    for reader in (load, read_native):
        again = reader(tmp_path / "a.h5")
        assert again.hash == graph.hash and again.meta == graph.meta and again.source == "a.h5"
        for node, other in zip(graph.nodes, again.nodes):
            assert {r: p.dtype for r, p in node.params.items()} == {
                r: p.dtype for r, p in other.params.items()
            }
    assert os.listdir(tmp_path) == ["a.h5"]


def test_text_as_other_writers_store_it(path):
    expected = read_native(path)
    edit_json(path, lambda graph: graph)  # of variable length
    with h5py.File(path, "a") as file:
        file.attrs["format"] = np.bytes_("eventsnn.ann")
        file.attrs["arch"] = np.bytes_("tiny")
    assert (load(path).hash, load(path).meta) == (expected.hash, expected.meta)


def test_node_names_of_any_kind_survive(tmp_path):
    names = [".", "..", "a/b", "a%2Fb", "/c", "ünï cödé", "x" * 900]
    rng = np.random.default_rng(0)
    nodes = [
        Node(name, "Conv", (source,), {}, {"W": rng.random((3, 3, 1, 1))})
        for source, name in zip(["i", *names], names)
    ]
    graph = Graph(tuple(nodes), "i", names[-1], (3, 2, 2))
    write_native(graph, tmp_path / "n.h5")
    assert load(tmp_path / "n.h5").hash == graph.hash


@pytest.mark.parametrize(
    "stored, read",
    (("<f2", np.float32), (">f2", np.float32), (">f4", np.float32), (">f8", np.float64)),
)
def test_other_floats_are_converted(path, stored, read):
    with h5py.File(path, "a") as file:
        del file["params/c/W"]
        file["params/c/W"] = np.full((2, 3, 3, 3), 0.3).astype(stored)
    weight = load(path).by_name["c"].params["W"]
    assert weight.dtype == read and weight.dtype.isnative
    assert np.array_equal(weight, np.full((2, 3, 3, 3), 0.3).astype(stored))


def test_big_endian_parameters_can_be_written(tmp_path):
    graph = small()

    def swapped(params):
        return {role: array.astype(array.dtype.newbyteorder(">")) for role, array in params.items()}

    nodes = [Node(n.name, n.op, n.inputs, n.attrs, swapped(n.params)) for n in graph.nodes]
    write_native(small(nodes=tuple(nodes)), tmp_path / "b.h5")
    assert load(tmp_path / "b.h5").hash == graph.hash


def test_compressed_and_shared_parameters_are_read(path):
    with h5py.File(path, "a") as file:
        weight = file["params/g/B"][()]
        del file["params/g/B"]
        file.create_dataset("params/g/B", data=weight, compression="gzip", shuffle=True)
        file["params/again"] = file["params/g"]
    expected = load(path).hash
    edit_json(path, lambda graph: json.loads(json.dumps(graph).replace("g/B", "again/B")))
    assert load(path).hash == expected == small().hash
    with h5py.File(path, "a") as file:
        del file["params/g/B"]
        file.create_dataset("params/g/B", data=np.ones((3000, 32)), compression="gzip")
    assert load(path).by_name["g"].params["B"].nbytes > 10 * os.path.getsize(path)


def test_what_a_file_says_of_itself_is_left_out_when_it_is_odd(path):
    odd = {
        "arch": ["a" * 201, 3, np.zeros(2), "bell\a"],
        "activation": ["a" * 201, 3],
        "note": ["n" * 10_001],
        "test_accuracy": [1.5, -0.1, np.nan, "good"],
        "classes": ["cat", np.arange(3), ["a", "b" * 501], np.zeros((2, 2))],
    }
    for key, values in odd.items():
        for value in values:
            with h5py.File(path, "a") as file:
                file.attrs[key] = value
            assert key not in load(path).meta
    assert load(path).meta == {}


def test_a_failed_write_leaves_everything_as_it_was(path):
    before = path.read_bytes()
    nodes = (Node("r", "Relu", ("x",), {"comment": float("nan")}),)
    with pytest.raises(InputError, match="net.h5.*not JSON compliant"):
        write_native(small(nodes=nodes, output="r"), path)
    assert path.read_bytes() == before and os.listdir(path.parent) == ["net.h5"]


def test_writing_replaces_and_says_where_it_cannot(path, tmp_path):
    write_native(every_operator(), path)
    assert load(path).hash == every_operator().hash
    for place in (tmp_path / "missing" / "a.h5", path / "a.h5", tmp_path):
        with pytest.raises(InputError, match="a place to write it to"):
            write_native(small(), place)
    assert os.listdir(tmp_path) == ["net.h5"]


def test_paths_that_are_no_files(tmp_path):
    refused(tmp_path / "none.h5", "nothing of that name")
    refused(tmp_path, "a directory")
    (tmp_path / "empty.h5").touch()
    refused(tmp_path / "empty.h5", "an empty file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.h5")
        refused(tmp_path / "pipe.h5", "a device or pipe")
    for wrong, expected in (("a\0b", "a file with a network"), (None, "a path or text")):
        with pytest.raises(InputError, match=expected):
            load(wrong)


@pytest.mark.parametrize(
    "start, kind",
    (
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"\x80\x02}q\0.", "a Python pickle"),
        (b"x", "some other file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ),
)
def test_files_that_are_not_hdf5(tmp_path, start, kind):
    (tmp_path / "net.h5").write_bytes(start)
    with pytest.raises(InputError, match=kind):
        load(tmp_path / "net.h5")
    with pytest.raises(InputError, match="cannot be read"):
        read_native(tmp_path / "net.h5")


def keras3(file):
    file["layers/conv2d/vars/0"] = np.zeros(3)


def lava(file):
    file["layer/0/type"] = "dense"


@pytest.mark.parametrize(
    "edit, kind, do",
    (
        (
            lambda f: f.attrs.update(layer_names=["conv"]),
            "Keras weights only",
            "⟦arch⟧ with one of keras-vgg16",
        ),
        (
            lambda f: f.attrs.update(layer_names0=["conv"]),
            "Keras weights only",
            "⟦arch⟧ with one of keras-vgg16",
        ),
        (keras3, "Keras weights only", "⟦arch⟧ with one of keras-vgg16"),
        (lambda f: f.attrs.update(nb_layers=3), "Keras 1 weights", "Keras 2"),
        (lambda f: f.update({"features.0.weight": np.zeros(3)}), "none", "⟦arch⟧"),
        (lava, "a lava netx network", "the ANN"),
        (lambda f: f.attrs.update(__type__="NIRData"), "NIRData", "nir_data.read"),
        (
            lambda f: f.update({"spikes/a/timestamps": np.zeros(3)}),
            "SONATA spikes",
            "the network's checkpoint",
        ),
        (
            lambda f: f.update({"mystery": np.zeros(3)}),
            "an HDF5 file with mystery",
            "eventsnn.save",
        ),
        (lambda f: None, "an HDF5 file with nothing", "eventsnn.save"),
    ),
)
def test_files_of_others_are_named(tmp_path, edit, kind, do):
    with h5py.File(tmp_path / "net.h5", "w") as file:
        edit(file)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "net.h5")
    assert kind in caught.value.found and do in caught.value.do
    with pytest.raises(InputError, match="format 'eventsnn.ann', version 1"):
        read_native(tmp_path / "net.h5")


def replace(name, **settings):
    """An edit that puts another dataset in the place of `name`."""

    def edit(file):
        del file[name]
        file.create_dataset(name, **settings)

    return edit


def link(name, target):
    def edit(file):
        del file[name]
        file[name] = target(file) if callable(target) else target

    return edit


def virtual(file):
    layout = h5py.VirtualLayout((3, 32), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "B", (3, 32))
    del file["params/g/B"]
    file.create_virtual_dataset("params/g/B", layout)


B = "params/g/B"
ELSEWHERE = "a link to somewhere else"
SIZES = "bytes for what the file stores"
HOSTILE_FILES = {
    "external link": (link(B, h5py.ExternalLink("other.h5", "/B")), ELSEWHERE),
    "soft link": (link(B, h5py.SoftLink("/params/c/W")), ELSEWHERE),
    "external group": (link("params", h5py.ExternalLink("other.h5", "/")), ELSEWHERE),
    "external graph": (link("graph", h5py.ExternalLink("other.h5", "/graph")), ELSEWHERE),
    "virtual dataset": (virtual, "data in other files"),
    "external storage": (
        replace(B, shape=(3, 32), dtype="f4", external=[("x.bin", 0, 384)]),
        "data in other files",
    ),
    "objects": (replace(B, data=["text"] * 3), "float16, float32 or float64"),
    "references": (replace(B, shape=(3,), dtype=h5py.ref_dtype), "float16, float32 or float64"),
    "integers": (replace(B, data=np.zeros((3, 32), "i4")), "float16, float32 or float64"),
    "booleans": (replace(B, data=np.zeros((3, 32), "?")), "float16, float32 or float64"),
    "complex": (replace(B, data=np.zeros((3, 32), "c8")), "float16, float32 or float64"),
    "records": (replace(B, data=np.zeros(3, [("a", "f4")])), "float16, float32 or float64"),
    "no data": (replace(B, data=h5py.Empty("f4")), "the path of a dataset"),
    "a type": (link(B, np.dtype("f4")), "the path of a dataset"),
    "a group": (link(B, lambda file: file["params"]), "the path of a dataset"),
    "unwritten": (replace(B, shape=(3, 10**6), dtype="f4"), SIZES),
    "unwritten chunks": (replace(B, shape=(2**40, 32), chunks=(1, 32), dtype="f4"), SIZES),
    "more than 64 bits": (replace(B, shape=(2**33, 2**33), chunks=(1, 32), dtype="f4"), SIZES),
    "a huge chunk": (
        replace(B, data=np.zeros((3, 32)), maxshape=(None, 32), chunks=(2**17, 32), compression=9),
        SIZES,
    ),
    "a bomb": (replace(B, data=np.zeros(2**21, "f4"), chunks=(2**21,), compression=9), SIZES),
    "NaN": (replace(B, data=np.full((3, 32), np.nan)), "finite values in B"),
    "another shape": (replace(B, data=np.zeros((3, 31))), "a weight for 32 inputs"),
    "no parameters": (lambda f: f.pop("params"), "the path of a dataset"),
    "parameters as data": (replace("params", data=[1.0]), "the path of a dataset"),
    "no graph": (lambda f: f.pop("graph"), "one string of JSON"),
    "a graph of numbers": (replace("graph", data=[1.0]), "one string of JSON"),
    "graphs": (replace("graph", data=["{}", "{}"]), "one string of JSON"),
    "an empty graph": (replace("graph", data=""), "bytes of JSON"),
    "Latin-1": (replace("graph", data=np.bytes_(b'{"input": "\xfc"}')), "valid JSON"),
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_files(path, name):
    edit, fragment = HOSTILE_FILES[name]
    write_native(small(), path.parent / "other.h5")
    with h5py.File(path, "a") as file:
        edit(file)
    refused(path, fragment)


@pytest.mark.parametrize(
    "key, values, fragment",
    (
        ("format", [None, "eventsnn", 1, ["eventsnn.ann", "b"], h5py.Empty("f4")], "format"),
        ("version", [None, 0, 2, 1.5, "1", np.nan, [1, 1]], "version"),
        (
            "input_shape",
            [
                None,
                [3, 4],
                [3, 4, 4, 4],
                3,
                [3, 4, 0],
                [3, 4, -4],
                [3.0, 4.0, 4.0],
                [3, 4, 2**40],
                "3,4,4",
                [[3, 4, 4]],
                h5py.Empty("i4"),
            ],
            "input_shape",
        ),
        (
            "input_scale",
            [None, np.nan, np.inf, 0.0, -1.0, [1.0, 2.0], "1", h5py.Empty("f4")],
            "input_scale",
        ),
        (
            "input_mean",
            [
                None,
                [0.0, np.nan, 0.0],
                [0.0, 0.0],
                [np.inf],
                [[0.0, 0.0, 0.0]],
                ["a", "b", "c"],
                [],
            ],
            "input_mean",
        ),
        (
            "input_std",
            [
                None,
                0.0,
                [1.0, 1.0, 0.0],
                [1.0, -1.0, 1.0],
                [np.nan],
                [1.0, np.inf, 1.0],
                [1.0, 1.0],
                [],
            ],
            "input_std",
        ),
    ),
)
def test_wrong_attributes(path, key, values, fragment):
    for value in values:
        with h5py.File(path, "a") as file:
            del file.attrs[key]
            if value is not None:
                file.attrs[key] = value
        refused(path, fragment)
        with h5py.File(path, "a") as file:
            file.attrs[key] = 0


def test_attributes_of_other_types_are_not_read(path):
    with h5py.File(path, "a") as file:
        file.attrs.create("note", file["params"].ref, dtype=h5py.ref_dtype)
    refused(path, "attribute note", "numbers or text")


def put(**changes):
    return lambda graph: graph | changes


def node(index=0, **changes):
    """An edit of one node; a value `...` removes the key."""

    def edit(graph):
        entry = graph["nodes"][index] | changes
        graph["nodes"][index] = {k: v for k, v in entry.items() if v is not ...}
        return graph

    return edit


def attr(value):
    return node(attrs={"pads": [1, 1, 1, 1], "odd": value})


def text(find, new):
    """An edit of the JSON's text, for what json.dumps would not write."""

    def edit(graph):
        before = json.dumps(graph)
        assert find in before
        return before.replace(find, new)

    return edit


HOSTILE_JSON = {
    "no JSON": (lambda g: "{", "valid JSON"),
    "NaN": (text("1.5", "NaN"), "NaN is not JSON"),
    "Infinity": (text("1.5", "-Infinity"), "-Infinity is not JSON"),
    "overflow": (text("1.5", "1e999"), "a number below 2^63"),
    "huge": (text("1.5", "1" + "0" * 30), "a number below 2^63"),
    "huge text": (text("1.5", "1" * 5000), "valid JSON"),
    "nested lists": (lambda g: "[" * 100_000, "not deeply nested"),
    "nested objects": (lambda g: '{"a":' * 100_000, "not deeply nested"),
    "one key twice": (text('"levels": 4', '"levels": 4, "levels": 5'), "one key twice"),
    "a list": (lambda g: [g], "an object with input, output and nodes"),
    "no nodes": (put(nodes=None), "a list of nodes"),
    "nodes as object": (put(nodes={}), "a list of nodes"),
    "empty nodes": (put(nodes=[]), "at least one node"),
    "many nodes": (put(nodes=[0] * 10_001), "at most 10,000 nodes"),
    "text for a node": (put(nodes=["c"]), "an object"),
    "duplicate names": (lambda g: g | {"nodes": g["nodes"] + g["nodes"][:1]}, "'c' twice"),
    "no input": (put(input=None), "printable"),
    "a list as output": (put(output=["g"]), "printable"),
    "unknown output": (put(output="z"), "'z'"),
    "a number as name": (node(name=7), "printable"),
    "no name": (node(name=...), "printable"),
    "an empty name": (node(name=""), "printable"),
    "a long name": (node(name="c" * 1001), "printable"),
    "control characters": (node(name="c\n"), "printable"),
    "half a surrogate": (node(name="\ud800"), "printable"),
    "a list as op": (node(op=["Conv"]), "printable"),
    "an unknown op": (node(op="LSTM"), "'LSTM'"),
    "no inputs": (node(inputs=...), "a list of inputs"),
    "inputs as text": (node(inputs="x"), "a list of inputs"),
    "a number as input": (node(inputs=[0]), "printable"),
    "an unknown input": (node(inputs=["z"]), "'z', which does not exist"),
    "a cycle": (node(inputs=["g"]), "cycle"),
    "attrs as list": (node(attrs=[]), "an object of attrs"),
    "an object in attrs": (attr({"a": 1}), "a number below 2^63"),
    "nested attrs": (attr([[1]]), "a number below 2^63"),
    "params as list": (node(params=["c/W"]), "an object of params"),
    "a number as path": (node(params={"W": 3}), "printable"),
    "a missing parameter": (node(params={}), "a parameter W"),
    "nonexistent": (node(params={"W": "c/V"}), "a dataset below /params"),
    "below a dataset": (node(params={"W": "c/W/W"}), "a dataset below /params"),
    "a group": (node(params={"W": "c"}), "a dataset below /params"),
    "absolute": (node(params={"W": "/params/c/W"}), "a dataset below /params"),
    "upwards": (node(params={"W": "../graph"}), "a dataset below /params"),
    "here": (node(params={"W": "./c/W"}), "a dataset below /params"),
    "an empty path": (node(params={"W": ""}), "printable"),
    "an empty step": (node(params={"W": "c//W"}), "a dataset below /params"),
    "a wrong role": (node(params={"V": "c/W"}), "a parameter W"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json(path, name):
    edit, fragment = HOSTILE_JSON[name]
    edit_json(path, edit)
    refused(path, fragment)


@pytest.mark.parametrize("rewrite", (False, True), ids=("fixed length", "variable length"))
def test_a_graph_may_not_be_too_long(path, monkeypatch, rewrite):
    if rewrite:
        edit_json(path, lambda graph: graph)
    monkeypatch.setattr(native, "MAX_JSON", 100)
    refused(path, "1 to 100 bytes of JSON")


def test_the_parameters_together_may_not_be_too_large(path, monkeypatch):
    total = sum(p.nbytes for n in small().nodes for p in n.params.values())
    monkeypatch.setattr(native, "MAX_ARRAYS", total)
    assert load(path).hash == small().hash
    monkeypatch.setattr(native, "MAX_ARRAYS", total - 1)
    refused(path, "bytes of parameters")


def test_a_truncated_file(path):
    data = path.read_bytes()
    for length in (9, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        refused(path, "truncated or damaged")


@pytest.mark.parametrize("size", (0, 8, 2**40, 2**64 - 16))
def test_a_heap_in_which_hdf5_would_loop(path, size):
    """The first object of the heap with the attributes' text: free space that leads nowhere, or one
    too large.
    """
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL") + 16
    data[at : at + 2] = b"\0\0" if size < 16 else data[at : at + 2]
    data[at + 8 : at + 16] = size.to_bytes(8, "little")
    path.write_bytes(data)
    refused(path, "a damaged heap")


@pytest.mark.parametrize("variable", (False, True))
def test_damaged_bytes_give_a_graph_or_an_input_error(path, variable):
    if variable:
        edit_json(path, lambda graph: graph)
    rng = np.random.default_rng(variable)
    data = path.read_bytes()
    refusals = 0
    filled = np.flatnonzero(np.frombuffer(data, np.uint8))
    for _ in range(40):
        mutant = bytearray(data)
        for at in rng.choice(filled, rng.integers(1, 6)):
            mutant[at] = rng.choice(
                [0, 1, 255, int(rng.integers(256)), mutant[at] ^ 1 << int(rng.integers(8))]
            )
        path.write_bytes(mutant)
        try:
            assert isinstance(load(path), Graph)
        except InputError:
            refusals += 1
    assert 20 < refusals
