"""The command line, given wrong networks."""

import json

import h5py
import numpy as np
import pytest
from support.command import (
    fails,
    set_value,
)


def edit_graph(change):
    """Change the graph's JSON."""

    def edit(file):
        graph = json.loads(file["graph"][()])
        change(graph)
        del file["graph"]
        file["graph"] = json.dumps(graph)

    return edit


def edit_node(number, **changes):
    return edit_graph(lambda graph: graph["nodes"][number].update(changes))


def edit_attrs(number, **changes):
    return edit_graph(lambda graph: graph["nodes"][number]["attrs"].update(changes))


def set_first(path, value):
    def edit(file):
        array = file["params"][path][()]
        array.reshape(-1)[0] = value
        file["params"][path][...] = array

    return edit


def replace_by(path, array):
    def edit(file):
        del file["params"][path]
        file["params"][path] = np.asarray(array, np.float32)

    return edit


def set_attr(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


def delete(path):
    def edit(file):
        del file[path]

    return edit


# the nodes of small_graph: 0 Conv, 1 BatchNormalization, 2 QCFS, 3 Conv, 4 QCFS, 5 Flatten, 6 Gemm
NETWORKS = {
    "another format": (set_attr("format", "keras"), ["format", "eventsnn.ann"]),
    "no format": (lambda file: file.attrs.__delitem__("format"), ["format"]),
    "another version": (set_attr("version", 2), ["version 1", "version 2"]),
    "no graph": (delete("graph"), ["/graph", "JSON"]),
    "a graph that is no JSON": (
        lambda file: file["graph"].__setitem__((), "{nodes"),
        ["/graph", "valid JSON"],
    ),
    "no nodes": (edit_graph(lambda graph: graph.update(nodes=[])), ["at least one node", "empty"]),
    "a cycle": (edit_node(0, inputs=["qcfs4"]), ["conv0", "cycle", "feed-forward"]),
    "a node in its own input": (edit_node(3, inputs=["conv3"]), ["conv3", "cycle"]),
    "nodes in another order": (
        edit_graph(lambda graph: graph["nodes"].reverse()),
        ["stands later", "sort"],
    ),
    "a missing node": (edit_node(4, inputs=["conv9"]), ["qcfs4", "conv9", "does not exist"]),
    "a missing output": (
        edit_graph(lambda graph: graph.update(output="gemm9")),
        ["output", "gemm9"],
    ),
    "one name twice": (edit_node(5, name="conv3"), ["conv3", "twice"]),
    "an unknown operator": (edit_node(2, op="Sigmoid"), ["qcfs2", "Sigmoid", "Relu"]),
    "an operator without spiking form": (edit_node(5, op="Softmax"), ["flatten5", "Softmax"]),
    "weights of another shape": (
        replace_by("conv3/W", np.ones((4, 2, 3, 3))),
        ["conv3", "channels"],
    ),
    "a dense layer of another size": (replace_by("gemm6/B", np.ones((4, 63))), ["gemm6"]),
    "a bias of another size": (replace_by("conv3/B", np.ones(3)), ["conv3", "B", "3"]),
    "a kernel larger than its input": (replace_by("conv0/W", np.ones((3, 2, 11, 11))), ["conv0"]),
    "an input of another shape": (set_attr("input_shape", [2, 2, 2]), ["conv3", "fits"]),
    "an input without a channel": (set_attr("input_shape", [0, 6, 6]), ["input_shape"]),
    "a missing parameter": (delete("params/conv0/W"), ["conv0", "W"]),
    "NaN in the weights": (set_first("conv0/W", np.nan), ["conv0", "W", "finite"]),
    "infinity in the weights": (set_first("gemm6/B", -np.inf), ["gemm6", "B", "finite"]),
    "NaN in a bias": (set_first("conv3/B", np.nan), ["conv3", "B", "finite"]),
    "a negative variance": (
        set_first("batchnormalization1/input_var", -0.1),
        ["batchnormalization1", "variance", "-0.1"],
    ),
    "a threshold of zero": (
        edit_attrs(2, **{"lambda": 0}),
        ["qcfs2", "lambda above 0", "threshold"],
    ),
    "a negative threshold": (
        edit_attrs(4, **{"lambda": -1.5}),
        ["qcfs4", "lambda above 0", "-1.5"],
    ),
    "a threshold that is no number": (edit_attrs(2, **{"lambda": "big"}), ["qcfs2", "lambda"]),
    "no threshold": (
        edit_graph(lambda graph: graph["nodes"][2]["attrs"].pop("lambda")),
        ["qcfs2", "lambda"],
    ),
    "no levels": (edit_attrs(2, levels=0), ["qcfs2", "levels"]),
    "preprocessing by zero": (set_attr("input_std", [1.0, 0.0]), ["input_std", "above 0"]),
    "weights that overflow": (set_value("conv3/W", 3e38), ["conv3", "float32", "infinity"]),
    "preprocessing that overflows": (
        set_attr("input_scale", 1e300),
        ["input", "float32", "infinity"],
    ),
    "gigantic thresholds": (edit_attrs(2, **{"lambda": 1e300}), ["qcfs2", "lambda", "1e+300"]),
    "minute thresholds": (edit_attrs(2, **{"lambda": 1e-300}), ["thresholds"]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_wrong_networks(capsys, here, files, tmp_path_factory, name):
    edit, words = NETWORKS[name]
    path = tmp_path_factory.mktemp("wrong") / "wrong.h5"
    path.write_bytes((files / "net.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        edit(file)
    fails(capsys, here, ["--net", path, "--data", files / "data.npz"], "wrong.h5", *words)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", ["an empty file"]),
        (b"\x89HDF\r\n\x1a\n", ["whole HDF5 file", "truncated"]),
        (b"PK\x03\x04rest", ["HDF5", "zip archive"]),
        (b"\x80\x02}q", ["HDF5", "pickle"]),
        (b"hello world", ["HDF5", "some other file"]),
        (b"<html>", ["HDF5", "web page"]),
    ],
    ids=["empty", "only a signature", "zip", "pickle", "text", "web page"],
)
def test_files_that_are_no_networks(capsys, here, tmp_path_factory, content, words):
    path = tmp_path_factory.mktemp("wrong") / "net.h5"
    path.write_bytes(content)
    fails(capsys, here, ["--net", path], "net.h5", *words)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_networks(capsys, here, files, tmp_path_factory, share):
    path, whole = tmp_path_factory.mktemp("wrong") / "net.h5", (files / "net.h5").read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    fails(
        capsys,
        here,
        ["--net", path, "--data", files / "data.npz"],
        "net.h5",
        "copy or download it again",
    )


def test_networks_that_are_not_there(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", "nowhere.h5"],
        "nowhere.h5",
        "a file with a network",
        "nothing of that name",
        "check the path",
    )
    fails(capsys, here, ["--net", files], "a file with a network", "a directory")
    fails(capsys, here, ["--net", files / "net.h5" / "below"], "below", "Not a directory")
    fails(capsys, here, ["--net", "x" * 300], "File name too long")
    fails(capsys, here, ["--net", files / "data.npz"], "data.npz", "HDF5", "numpy archive")


def test_max_pooling_of_a_sum_is_refused(capsys, here, files):
    fails(
        capsys,
        here,
        ["--net", files / "sum.h5", "--data", files / "data.npz"],
        "sum.h5",
        "maxpool5",
        "MaxPool",
        "average",
    )


def test_unknown_names_are_printed_in_one_line(capsys, here):
    fails(capsys, here, ["--net", "two\nlines\x1b[31m"], "two lines")
