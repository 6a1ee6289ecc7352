"""What torch.save and safetensors write: state dicts as they are, wrapped, odd and hostile."""

import os
import struct
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.fuzzing import memory
from support.states import mapping
from support.torch_files import (
    Global,
    Made,
    Storage,
    parameter,
    pickled,
    save_safetensors,
    save_stream,
    save_zip,
    tensor,
    tensors,
)

from eventsnn.exceptions import InputError
from eventsnn.readers import load, reader

FILES = Path(__file__).parents[1] / "files" / "torch"
ARCH = "resnet20:L=4"
RNG = np.random.default_rng(0)
STEM = RNG.normal(size=(3, 2, 3, 3)).astype("f4")
HEAD = RNG.normal(size=(4, 3)).astype("f4")
SMALL = {"stem.weight": STEM, "stem.alpha": np.array([1.5], "f4"), "head/weight": HEAD}


@pytest.fixture(scope="module")
def arrays():
    with h5py.File(FILES / "resnet20_qcfs.h5") as file:
        return {key: file[key][()] for key in file}


@pytest.fixture(scope="module")
def expected():
    return load(FILES / "resnet20_qcfs.h5", ARCH)


def refused(path, arch, *fragments):
    with pytest.raises(InputError) as caught:
        load(path, arch)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert str(caught.value).isprintable()


def small(folder, arrays=SMALL, save=save_zip, **changes):
    """The network of a mapping file, whose parameters are these."""
    arch = mapping(folder / "map.json", **changes)
    if save is save_safetensors:
        return load(save(folder / "net", arrays), arch)
    return load(save(folder / "net", *tensors(arrays)), arch)


# --- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "save",
    [
        save_zip,
        lambda path, *given: save_zip(path, *given, order="big"),
        lambda path, *given: save_zip(path, *given, method=zipfile.ZIP_DEFLATED),
        save_stream,
        lambda path, *given: save_stream(path, *given, little=False),
    ],
    ids=["zip", "zip of a big-endian machine", "deflated", "stream", "stream of a big-endian one"],
)
def test_both_formats_and_both_orders_of_bytes(save, arrays, expected, tmp_path):
    path = save(tmp_path / "net.pth", *tensors(arrays))
    assert load(path, ARCH).hash == expected.hash


def test_safetensors(arrays, expected, tmp_path):
    path = save_safetensors(tmp_path / "model.safetensors", arrays, {"format": "pt"})
    assert load(path, ARCH).hash == expected.hash


@pytest.mark.parametrize("save", [save_zip, save_stream, save_safetensors])
def test_every_type_of_floats(save, tmp_path):
    for kind in "f2", "f4", "f8":
        graph = small(tmp_path, {key: array.astype(kind) for key, array in SMALL.items()}, save)
        weight = graph.by_name["c"].params["W"]
        assert weight.dtype == ("f8" if kind == "f8" else "f4")
        assert np.array_equal(weight, STEM.astype(kind).astype(weight.dtype))
    bits = {key: (array.view("u4") >> 16).astype("u2") for key, array in SMALL.items()}
    weight = small(tmp_path, bits, save).by_name["c"].params["W"]
    assert np.allclose(weight, STEM, rtol=0.01) and not (weight.view("u4") & 0xFFFF).any()


def test_views_that_share_a_storage(tmp_path):
    """A turned kernel, a slice and a piece, of one row of numbers."""
    row = RNG.normal(size=200).astype("f4")
    shared = Storage("0", "f4", 200)
    value = {
        "stem.weight": tensor(shared, (3, 2, 3, 3), (1, 3, 6, 18), 7),
        "stem.alpha": parameter(tensor(shared, (1,), offset=199)),
        "head/weight": tensor(shared, (4, 3), (30, 2), 20),
    }
    row[199] = 2.5
    for save in save_zip, save_stream:
        graph = load(save(tmp_path / "net", value, {"0": row}), mapping(tmp_path / "map.json"))
        wanted = row[7:61].reshape(3, 3, 2, 3).transpose(3, 2, 1, 0)
        assert np.array_equal(graph.by_name["c"].params["W"], wanted)
        assert graph.by_name["a"].attrs["lambda"] == 2.5
        places = 20 + 30 * np.arange(4)[:, None] + 2 * np.arange(3)
        assert np.array_equal(graph.by_name["y"].params["B"], row[places])


def test_storages_that_are_views_of_another_in_a_stream(tmp_path):
    value, storages = tensors(SMALL)
    row = np.concatenate([np.zeros(5, "f4"), STEM.ravel()])
    part = Storage("0", "f4", row.size, view=("v", 5, STEM.size))
    value["stem.weight"] = tensor(part, STEM.shape)
    path = save_stream(tmp_path / "net", value, storages | {"0": row})
    graph = load(path, mapping(tmp_path / "map.json"))
    assert np.array_equal(graph.by_name["c"].params["W"], STEM)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: {"model": sd},
        lambda sd: {"state_dict": sd, "epoch": 3, "optimizer": {"state": {0: {"m": sd}}}},
        lambda sd: {"net": {f"module.{key}": value for key, value in sd.items()}, "acc": 93.1},
        lambda sd: {f"module._orig_mod.{key}": value for key, value in sd.items()},
        lambda sd: {"state_dict": {f"model.{k}": v for k, v in sd.items()}, "hyper_parameters": {}},
        lambda sd: {"checkpoint": {"model_state_dict": sd}},
        lambda sd: [{"lr": 0.1}, sd],
        lambda sd: {key: parameter(value) for key, value in sd.items()},
        lambda sd: {"model": sd, "args": Made("argparse.Namespace", new=True)},
        lambda sd: {"model": sd, "rng": Made("numpy.core.multiarray.scalar", Global("numpy.x"))},
        lambda sd: sd | {"epoch": 3, "conv1._extra_state": None},
    ],
)
def test_wrappers_and_what_stands_beside(wrap, arrays, expected, tmp_path):
    value, storages = tensors(arrays)
    for save in save_zip, save_stream:
        graph = load(save(tmp_path / "net.pth", wrap(value), storages), ARCH)
        assert graph.hash == expected.hash


def test_which_of_several_state_dicts_is_read_is_said(arrays, expected, tmp_path):
    value, storages = tensors(arrays)
    half = {key: value[key] for key in list(value)[:9]}
    path = save_zip(tmp_path / "net.pth", {"model": value, "model_ema": half}, storages)
    graph = load(path, ARCH)
    assert graph.hash == expected.hash
    assert "of its state dicts 'model' is read, not 'model_ema'" in graph.meta["note"]
    assert load(path, f"{ARCH},from=model").hash == expected.hash
    refused(path, f"{ARCH},from=model_ema", "a tensor '")
    refused(path, f"{ARCH},from=x", "a state dict 'x', or keys that begin with 'x.'", "'model_ema'")
    save_zip(path, {"student": value, "teacher": value}, storages)
    refused(path, ARCH, "expected one state dict, found 'student', 'teacher'", "from=student")
    assert load(path, f"{ARCH},from=teacher").hash == expected.hash
    (tmp_path / "net.h5").write_bytes((FILES / "resnet20_qcfs.h5").read_bytes())
    refused(tmp_path / "net.h5", f"{ARCH},from=model", "from=… with a file of torch.save")


def test_keys_of_one_module_among_others(arrays, expected, tmp_path):
    value, storages = tensors(arrays)
    inner = {f"net.{key}": item for key, item in value.items()} | {"loss.weight": value["fc.bias"]}
    path = save_zip(tmp_path / "net.ckpt", {"state_dict": inner}, storages)
    refused(path, ARCH, "a tensor 'conv1.0.weight'")
    graph = load(path, f"{ARCH},from=net")
    assert graph.hash == expected.hash and "not loss.weight" in graph.meta["note"]


def test_mapping_files_have_keys_as_the_file_has_them(tmp_path):
    graph = small(tmp_path)
    assert np.array_equal(graph.by_name["y"].params["B"], HEAD)
    value, storages = tensors(SMALL)
    path = save_zip(tmp_path / "net", {"a": value, "b": value}, storages)
    refused(path, mapping(tmp_path / "map.json"), "expected one state dict, found 'a', 'b'")
    arch = mapping(tmp_path / "map.json", **{"from": "b"})
    assert load(path, arch).hash == graph.hash
    refused(path, mapping(tmp_path / "map.json", **{"from": 3}), "from: expected the name")
    del value["stem.alpha"]
    path = save_zip(tmp_path / "net", value, storages)
    words = "a key of the state dict, found 'stem.alpha'", "its keys are stem.weight, head/weight"
    refused(path, mapping(tmp_path / "map.json"), *words)


# --- what is not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, words",
    [
        (Made("models.Net", new=True), "an object of models.Net, which only its own code can open"),
        (
            {"model": Made("models.Net", new=True), "epoch": 3},
            "a dict with 'model' made by models.Net",
        ),
        ({}, "an empty dict"),
        ({"lr": 0.1}, "a dict with 'lr'"),
        (Global("models.Net"), "an object of models.Net"),
        (3, "something of the type int"),
        (tensor(Storage("0", "f4", 3), (3,)), "one tensor"),
    ],
)
def test_what_is_no_state_dict_is_named_with_a_way_out(value, words, tmp_path):
    for save in save_zip, save_stream:
        storages = {"0": np.zeros(3, "f4")} if words == "one tensor" else {}
        path = save(tmp_path / "net.pth", value, storages)
        for arch in None, "resnet18":
            refused(path, arch, words, "torch.save(net.state_dict(), 'net.pth')", "load_torch")


def test_a_tensor_that_needs_code_is_refused_and_others_are_not(arrays, tmp_path):
    value, storages = tensors(arrays)
    value["conv1.0.weight"] = Made("torch._utils._rebuild_qtensor", 1)
    path = save_zip(tmp_path / "net.pth", value, storages)
    refused(path, ARCH, "conv1.0.weight", "what torch._utils._rebuild_qtensor would make")


def test_a_tensor_larger_than_its_storage_is_named(arrays, tmp_path):
    value, storages = tensors(arrays)
    value["conv1.0.weight"] = tensor(Storage("0", "f4", 3), (30,))
    path = save_zip(tmp_path / "net.pth", value, storages)
    refused(path, ARCH, "conv1.0.weight: expected a tensor, found one of a type of numbers that")


@pytest.mark.parametrize("kind", ["i8", "i4", "u1"])
def test_whole_numbers_are_no_parameters(kind, tmp_path):
    arrays = SMALL | {"stem.weight": np.ones((3, 2, 3, 3), kind)}
    for save in save_zip, save_stream, save_safetensors:
        with pytest.raises(InputError, match="float16, bfloat16, float32, float64, found u?int"):
            small(tmp_path, arrays, save)


HOSTILE = {
    "more than there is": tensor(Storage("0", "f4", 54), (3, 2, 3, 4)),
    "from outside": tensor(Storage("0", "f4", 54), (3, 2, 3, 3), offset=1),
    "below 0": tensor(Storage("0", "f4", 54), (3, 2, 3, 3), offset=-1),
    "steps back": tensor(Storage("0", "f4", 54), (3, 2, 3, 3), (-1, 3, 6, 18), 53),
    "repeated": tensor(Storage("0", "f4", 54), (2**20, 2**10, 1, 1), (0, 0, 1, 1)),
    "enormous": tensor(Storage("0", "f4", 54), (2**60, 2, 3, 3)),
    "with text": tensor(Storage("0", "f4", 54), ("3", 2, 3, 3), (1, 1, 1, 1)),
    "with a truth": tensor(Storage("0", "f4", 54), (True, 2, 3, 3)),
    "negative": tensor(Storage("0", "f4", 54), (-3, -2, 3, 3)),
    "of many axes": tensor(Storage("0", "f4", 54), (1,) * 100),
    "of no storage": Made("torch._utils._rebuild_tensor_v2", 1, 0, (1,), (1,)),
    "of a storage of 2^60": tensor(Storage("0", "f4", 2**60), (2**35, 1, 1, 1)),
    "of a member elsewhere": tensor(Storage("../../x", "f4", 54), (3, 2, 3, 3)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_views_that_cannot_be_are_refused(name, tmp_path):
    value, storages = tensors(SMALL)
    value["stem.weight"] = HOSTILE[name]
    before = memory()
    refused(save_zip(tmp_path / "net", value, storages), mapping(tmp_path / "map.json"), "")
    assert memory() - before < 2**27


def test_a_storage_smaller_than_it_says(tmp_path):
    value, storages = tensors(SMALL)
    storages["0"] = storages["0"].ravel()[:50]
    path = save_zip(tmp_path / "net", value, storages)
    words = "stem.weight", "a storage of 216 bytes, found 200", "download it again"
    refused(path, mapping(tmp_path / "map.json"), *words)
    refused(save_stream(path, value, storages), mapping(tmp_path / "map.json"), "216 bytes")


@pytest.mark.parametrize("count", [2**62, 2**31, -1])
def test_a_stream_whose_storage_says_to_be_another(count, tmp_path):
    value, storages = tensors(SMALL)
    path = save_stream(tmp_path / "net", value, storages)
    data = path.read_bytes()
    at = data.index(STEM.tobytes())
    path.write_bytes(data[: at - 8] + struct.pack("<q", count) + data[at:])
    refused(path, mapping(tmp_path / "map.json"), "storage 0: expected at most ")


def test_streams_that_end_early_or_lack_a_storage(tmp_path):
    value, storages = tensors(SMALL)
    path = save_stream(tmp_path / "net", value, storages)
    data, arch = path.read_bytes(), mapping(tmp_path / "map.json")
    for length in range(20, len(data), 37):
        path.write_bytes(data[:length])
        refused(path, arch, "")
    keys = pickled(sorted(storages), stream=True)
    path.write_bytes(data.replace(keys, pickled(["0", "1"], stream=True)))
    refused(path, arch, "")
    path.write_bytes(data.replace(keys, pickled(["0", "1", "1"], stream=True)))
    refused(path, arch, "each once, found '1'")


def test_no_file_runs_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, storages = tensors(SMALL)
    value["x"] = Made("os.system", "touch ran")
    arch = mapping(tmp_path / "map.json")
    for save in save_zip, save_stream:
        assert load(save(tmp_path / "net", value, storages), arch)
        refused(save(tmp_path / "net", Made("os.system", "touch ran"), {}), arch, "os.system")
    assert not (tmp_path / "ran").exists()


def test_dicts_that_are_in_each_other_many_times_are_refused(tmp_path):
    """9 dicts, each the value of 500 keys of the next: 500^9 paths."""
    keys = b"".join(b"X\3\0\0\0%03dh\0" % i for i in range(500))
    program = b"\x80\x02}q\0" + (b"}(" + keys + b"uq\0") * 9 + b"."
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("net/data.pkl", program)
    refused(tmp_path / "net.pth", "resnet18", "at most 200,000 values to look through")


def test_lists_that_become_dicts_or_sizes_again_and_again(tmp_path):
    """A list of 20,000 pairs that 20,000 calls would copy."""
    for name in b"ccollections\nOrderedDict\n", b"ctorch\nSize\n":
        program = b"\x80\x02](" + b"X\1\0\0\0aN\x86" * 20_000 + b"eq\0" + name + b"q\1]("
        program += b"h\1h\0\x85R" * 20_000 + b"e."
        with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
            archive.writestr("net/data.pkl", program)
        before, start = memory(), time.process_time()
        refused(tmp_path / "net.pth", "resnet18", "expected a state dict")
        assert time.process_time() - start < 5 and memory() - before < 2**28


def test_pairs_of_python_2_are_a_dict(tmp_path):
    value, storages = tensors(SMALL)
    value = Made("collections.OrderedDict", [list(item) for item in value.items()])
    path = save_stream(tmp_path / "net", value, storages)
    assert load(path, mapping(tmp_path / "map.json")).hash == small(tmp_path).hash


def test_a_member_that_is_enormous_is_refused(tmp_path):
    value, storages = tensors(SMALL)
    path = save_zip(tmp_path / "net", value, storages, method=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for sign, at in ((b"PK\1\2", 24),):
        place = data.index(sign, data.index(b"net/data/0", data.index(b"PK\1\2")) - 60)
        data[place + at : place + at + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(data)
    refused(path, mapping(tmp_path / "map.json"), "expected at most ")


def test_archives_with_no_pickle_or_two(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("a/data.pkl", pickled({}))
        archive.writestr("b/data.pkl", pickled({}))
    refused(tmp_path / "net.pth", None, "one member NAME/data.pkl, found 2")
    value, storages = tensors(SMALL)
    path = save_zip(tmp_path / "net.pth", value, storages, order="middle")
    refused(path, None, "little or big, found 'middle'")


HEADERS = {
    "a gap": (lambda h: {**h, "head/weight": _at(h["head/weight"], 4, 4)}, ""),
    "an overlap": (lambda h: {**h, "stem.alpha": _at(h["stem.alpha"], -4, -4)}, "overlaps"),
    "backwards": (lambda h: {**h, "stem.alpha": _at(h["stem.alpha"], 8, 0)}, "data_offsets"),
    "outside": (lambda h: {**h, "head/weight": _at(h["head/weight"], 2**62, 2**62)}, "offsets"),
    "another size": (lambda h: {**h, "stem.alpha": h["stem.alpha"] | {"shape": [2]}}, "8 bytes"),
    "a negative size": (lambda h: {**h, "stem.alpha": h["stem.alpha"] | {"shape": [-1]}}, "from 0"),
    "no size": (lambda h: {**h, "stem.alpha": {}}, "data_offsets"),
    "no object": (lambda h: {**h, "stem.alpha": 3}, "data_offsets"),
    "no header": (lambda h: [], "some other file"),
    "a tensor too few": (lambda h: {k: v for k, v in h.items() if k != "head/weight"}, "220"),
    "another type": (lambda h: {**h, "stem.alpha": h["stem.alpha"] | {"dtype": "F8_E4M3"}}, "F8"),
}


def _at(entry, start, end):
    first, last = entry["data_offsets"]
    return entry | {"data_offsets": [first + start, last + end]}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_cannot_be_are_refused(name, tmp_path):
    header, words = HEADERS[name]
    path = save_safetensors(tmp_path / "net.safetensors", SMALL, header=header)
    refused(path, mapping(tmp_path / "map.json"), words)


def test_safetensors_that_end_early_or_say_to_be_long(tmp_path):
    path = save_safetensors(tmp_path / "net.safetensors", SMALL)
    data, arch = path.read_bytes(), mapping(tmp_path / "map.json")
    for length in range(9, len(data), 29):
        path.write_bytes(data[:length])
        refused(path, arch, "")
    path.write_bytes(struct.pack("<Q", 2**31) + data[8:])
    refused(path, arch, "expected a header of 2 to ", "found 2,147,483,648")
    path.write_bytes(data.replace(b'"stem.alpha"', b'"stem.weight"'))
    refused(path, arch, "")


# --- files that are something else -------------------------------------------------------------


def tar(first):
    return first.ljust(257, b"\0") + b"ustar\0" + bytes(500)


@pytest.mark.parametrize(
    "data, words",
    [
        (tar(b"sys_info"), ["a PyTorch file of versions before 0.1.10", "net.state_dict()"]),
        (tar(b"net/x"), ["a tar archive", "unpack it"]),
        (b"\x1f\x8b\x08rest", ["a compressed file", "gunzip"]),
        (b"\n <!DOCTYPE html>", ["a web page", "download the file itself"]),
        (b'{"class_name": "Sequential"}', ["a JSON file", "this one as arch"]),
        (b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
        (b"", ["an empty file", "download or write it again"]),
        (b"\x80\x04}.", ["a Python pickle", "torch.save(net.state_dict(), 'net.pth')"]),
        (b"\x08\x01\x12\x85\x01\n\x03", ["SavedModel", "tf2onnx.convert --saved-model "]),
        (b"\x1c\0\0\0TFL3" + bytes(24), ["a TFLite model", "tf2onnx.convert --tflite "]),
    ],
)
def test_other_files_are_named_with_a_way_out(data, words, tmp_path):
    (tmp_path / "a net.pth").write_bytes(data)
    refused(tmp_path / "a net.pth", None, *words)


@pytest.mark.parametrize(
    "names, words",
    [
        (["saved_model.pb", "variables"], ["SavedModel", "--saved-model "]),
        (["config.json", "model.weights.h5"], ["a .keras archive holds", "model.weights.h5 and "]),
        (["data.pkl", "version"], ["what a PyTorch file holds", "zip -0 -r net.pth "]),
        (["config.json", "model.safetensors"], ["give ", "model.safetensors"]),
        (["pytorch_model.bin"], ["give ", "pytorch_model.bin"]),
        (["network.h5", "recipe.toml"], ["directory of a training", "network.h5"]),
        (["readme.txt"], ["a directory", "check the path"]),
        ([], ["a directory", "check the path"]),
    ],
)
def test_folders_are_named_with_what_of_them_to_give(names, words, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    refused(tmp_path, None, *words)


def test_a_torchscript_archive_is_named(tmp_path):
    value, storages = tensors(SMALL)
    path = save_zip(tmp_path / "net.pt", value, storages, **{"constants.pkl": "", "code/x.py": ""})
    refused(path, "resnet18", "a TorchScript archive", f"torch.jit.load('{path}')")


def test_archives_of_torch_export_are_named(tmp_path):
    for name in "models/model.json", "serialized_exported_program.json":
        path = save_zip(tmp_path / "net.pt2", {}, {}, **{name: "{}"})
        refused(path, None, "an archive of torch.export", f"torch.export.load('{path}').state_dict")


@pytest.mark.parametrize("leaf", ["graded_spikes_factor", "reset_mechanism_val"])
def test_spiking_networks_are_named(leaf, tmp_path):
    key = f"lif1.{leaf}"
    arrays = SMALL | {key: np.ones(1, "f4")}
    for arch in None, "resnet18":
        path = save_safetensors(tmp_path / "net", arrays)
        refused(path, arch, f"neurons of snnTorch ({key})", "give the ANN that it was made from")


def test_a_text_that_happens_to_begin_with_the_bytes_of_onnx(tmp_path):
    """A header of 0x..08 bytes begins as an ONNX model does."""
    metadata = {"pad": "x"}
    for length in range(300):
        metadata["pad"] = "x" * length
        path = save_safetensors(tmp_path / "net", SMALL, metadata)
        if path.read_bytes()[0] == 8:
            break
    assert load(path, mapping(tmp_path / "map.json"))
    assert os.path.getsize(path) > reader.START / 4


def test_the_example_of_a_mapping_file(tmp_path):
    """It is the network of PyTorch's own MNIST example."""
    shapes = {"conv1": (32, 1, 3, 3), "conv2": (64, 32, 3, 3), "fc1": (128, 9216), "fc2": (10, 128)}
    arrays = {f"{name}.weight": np.ones(shape, "f4") for name, shape in shapes.items()}
    arrays |= {f"{name}.bias": np.zeros(shape[0], "f4") for name, shape in shapes.items()}
    example = Path(__file__).parents[2] / "examples" / "mnist_cnn.json"
    for save in save_zip, save_safetensors:
        path = tmp_path / "mnist_cnn.pt"
        save(path, arrays) if save is save_safetensors else save(path, *tensors(arrays))
        graph = load(path, str(example))
        assert graph.shapes["pool"] == (64, 12, 12) and graph.shapes[graph.output] == (10,)
        assert graph.parameters == 1_199_882 and graph.meta == {"arch": "mnist_cnn"}


def test_the_architecture_that_keys_fit_is_proposed(arrays, tmp_path):
    path = save_safetensors(tmp_path / "net", arrays)
    refused(path, None, "its keys are those of resnet20; give arch='resnet20:L=…'")
    plain = {key: array for key, array in arrays.items() if not key.endswith("thresh")}
    refused(save_safetensors(path, plain), None, "give arch='resnet20'")
    refused(save_safetensors(path, SMALL), None, "give arch vgg11, vgg13, vgg16", "a mapping file")


def test_layouts_by_keys_alone(tmp_path):
    """torchvision's names, a shortcut without weights, and what a file does not tell."""

    def state(blocks, head, kernel=3):
        arrays = {"conv1.weight": np.ones((2, 3, kernel, kernel), "f4")}
        norms, before = {"bn1": 2}, 2
        for stage, count in enumerate(blocks, 1):
            for i in range(count):
                width, block = 2**stage, f"layer{stage}.{i}"
                arrays[f"{block}.conv1.weight"] = np.ones((width, before, 3, 3), "f4")
                arrays[f"{block}.conv2.weight"] = np.ones((width, width, 3, 3), "f4")
                norms |= {f"{block}.bn1": width, f"{block}.bn2": width}
                if head == "fc" and width != before:
                    arrays[f"{block}.downsample.0.weight"] = np.ones((width, before, 1, 1), "f4")
                    norms[f"{block}.downsample.1"] = width
                before = width
        for name, width in norms.items():
            for leaf in "weight", "bias", "running_mean", "running_var":
                arrays[f"{name}.{leaf}"] = np.ones(width, "f4")
        return arrays | {f"{head}.weight": np.ones((5, before), "f4")}

    path = save_safetensors(tmp_path / "net", state((3, 3, 3), "linear"))
    graph = load(path, "resnet20")
    assert graph.count_operators()["Conv"] == 21 and "option A" in graph.meta["note"]
    around = graph.by_name["layer2.0.shortcut"].params["W"][..., 0, 0]
    assert np.array_equal(around, [[0, 0], [1, 0], [0, 1], [0, 0]])
    assert graph.shapes["layer3.2.add"] == (8, 8, 8) and graph.shapes[graph.output] == (5,)
    path = save_safetensors(tmp_path / "net", state((2, 2, 2, 2), "fc"))
    refused(path, "resnet18", "pool=none, pool=max or pool=average, which the file does not tell")
    assert "MaxPool" not in load(path, "resnet18:pool=none").count_operators()
    path = save_safetensors(tmp_path / "net", state((2, 2, 2, 2), "fc", 7))
    graph = load(path, "resnet18")
    assert graph.input_shape == (3, 224, 224) and graph.shapes["pool"] == (2, 56, 56)
    assert graph.by_name["bn1"].attrs == {"epsilon": 1e-5}
    graph = load(path, "resnet18:size=64,eps=0.001,pool=none")
    assert graph.shapes["layer1.0.add"] == (2, 32, 32) and "note" not in graph.meta
    assert graph.by_name["bn1"].attrs == {"epsilon": 0.001}
    refused(path, "resnet34", "'layer1.2.conv1.weight', as resnet34 has")
