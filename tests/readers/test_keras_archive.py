"""Keras's archives, .keras: those that Keras wrote, small ones by hand, and hostile ones."""

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.files import archives, reading
from eventsnn.readers import load

FILES = Path(__file__).parents[1] / "files" / "keras"
CONFIG = {
    "class_name": "Sequential",
    "config": {
        "name": "net",
        "layers": [
            {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 2, 2, 1]}},
            {"class_name": "Flatten", "config": {"name": "flat"}},
            {"class_name": "Dense", "config": {"name": "dense", "units": 3, "use_bias": False}},
        ],
    },
}
KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)


def weights(**more):
    """The bytes of an HDF5 file with a kernel; more: datasets beside it."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["layers/dense/vars/0"] = KERNEL
        for name, array in more.items():
            file[name] = array
    return data.getvalue()


def archive(path, members=None, method=zipfile.ZIP_STORED):
    """Writes an archive; members: name -> bytes, those that Keras writes where there are none."""
    members = members or {
        "metadata.json": b'{"keras_version": "3.3.3"}',
        "config.json": json.dumps(CONFIG).encode(),
        "model.weights.h5": weights(),
    }
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refused(path, *fragments, arch=None):
    with pytest.raises(InputError) as caught:
        load(path, arch)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", sorted(FILES.glob("*.keras")), ids=lambda path: path.name[:-6])
def test_outputs_are_keras_own(path):
    """The archives are the .h5 files of the same names, as Keras writes them now."""
    arrays = np.load(path.with_suffix(".npz"))
    graph, outputs = load(path), arrays["outputs"]
    images = arrays["images"].transpose(0, 3, 1, 2)
    if "sigmoid" in graph.meta["note"]:
        outputs = np.log(outputs / (1 - outputs))
    assert np.abs(ann.predict(graph, images) - outputs).max() < 1e-5 * np.abs(outputs).max()
    assert graph.meta["note"].startswith(f"written by Keras {path.stem.split('-')[1]}")
    assert graph.hash == load(path.with_suffix(".h5")).hash


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_are_read_whole_or_compressed(method, tmp_path):
    path = archive(tmp_path / "net.keras", method=method)
    before = sorted(tmp_path.iterdir())
    graph = load(path)
    assert np.array_equal(graph.by_name["dense"].params["B"], KERNEL)
    assert graph.source == "net.keras" and graph.meta["note"] == "written by Keras 3.3.3"
    assert sorted(tmp_path.iterdir()) == before


def test_an_architecture_may_be_given_with_an_archive(tmp_path):
    path = archive(tmp_path / "net.keras")
    other = json.loads(json.dumps(CONFIG))
    other["config"]["name"] = "other"
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert load(path, str(tmp_path / "other.json")).meta["arch"] == "other"


def test_metadata_need_not_be_there(tmp_path):
    members = {"config.json": json.dumps(CONFIG), "model.weights.h5": weights()}
    assert "note" not in load(archive(tmp_path / "net.keras", members)).meta


def changed(**changes):
    members = {"config.json": json.dumps(CONFIG).encode(), "model.weights.h5": weights()}
    members |= {name.replace("_", "."): data for name, data in changes.items()}
    return {name: data for name, data in members.items() if data is not None}


@pytest.mark.parametrize(
    "members, words",
    [
        (changed(config_json=None), ["config.json in the archive", "model.save('net.keras')"]),
        (changed(config_json=b"{"), ["net.keras: config.json: expected valid JSON"]),
        (changed(config_json=b'{"class_name": "Lambda"}'), ["a Keras configuration with config"]),
        (changed(metadata_json=b'{"a": 1, "a": 2}'), ["net.keras: metadata.json", "twice"]),
        (changed(model_weights_h5=b"no HDF5"), ["model.weights.h5: expected a whole HDF5 file"]),
        (changed(model_weights_h5=b""), ["model.weights.h5: expected an HDF5 file, found no byte"]),
        (changed(model_weights_h5=weights()[:900]), ["model.weights.h5", "damaged"]),
    ],
)
def test_parts_that_are_not_right_are_named(members, words, tmp_path):
    refused(archive(tmp_path / "net.keras", members), *words)


def test_links_out_of_the_weights_are_refused(tmp_path):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "x")
    members = changed(model_weights_h5=data.getvalue())
    refused(archive(tmp_path / "net.keras", members), "a link to somewhere else")


def test_weights_are_walked_through_in_a_copy_of_the_process_first(monkeypatch, tmp_path):
    path = archive(tmp_path / "net.keras")
    asked = []
    monkeypatch.setattr(reading, "trial", lambda *given: asked.append(given) or "a crash")
    refused(path, "net.keras: model.weights.h5: expected an HDF5 file that can be read", "a crash")
    assert asked


def test_a_member_that_decompresses_to_more_than_it_says_is_refused(tmp_path):
    """64 MB of zeros in 64 KB; the list says that they are as many bytes as the kernel's file."""
    path = archive(tmp_path / "net.keras", changed(model_weights_h5=bytes(2**26)), 8)
    data = bytearray(path.read_bytes())
    here = data.index(b"PK\3\4", data.index(b"config.json") + 1)
    listed = data.rindex(b"PK\1\2")
    for place in here + 22, listed + 24:
        data[place : place + 4] = struct.pack("<I", 4096)
    path.write_bytes(data)
    refused(path, "model.weights.h5")


def test_a_member_that_says_to_be_enormous_is_refused(tmp_path):
    path = archive(tmp_path / "net.keras", changed(model_weights_h5=bytes(2**20)), 8)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(data)
    refused(path, "model.weights.h5: expected at most ", "found 4,294,967,294")


def test_passwords_and_other_methods_are_refused(tmp_path):
    path = archive(tmp_path / "net.keras")
    whole = path.read_bytes()
    for at, value, words in (8, 1, "without a password"), (10, 12, "compressed by method 12"):
        data = bytearray(whole)
        place = data.rindex(b"PK\1\2")
        data[place + at] = value
        path.write_bytes(data)
        refused(path, words)


def test_two_members_of_one_name_are_refused(tmp_path):
    path = archive(tmp_path / "net.keras")
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning):
        file.writestr("config.json", "{}")
    refused(path, "one member for each name, found 'config.json' twice")


def test_a_list_without_end_is_refused(monkeypatch, tmp_path):
    path = archive(tmp_path / "net.keras")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    refused(path, "at most 2 members, found 3")
    monkeypatch.setattr(archives, "MAX_LIST", 100)
    refused(path, "a zip archive", "cannot be read")  # of which no more can be said


def test_archives_that_are_cut_off_or_hold_a_file_are_named(tmp_path):
    path = archive(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as file:
        file.write(path, "net.keras")
    refused(tmp_path / "net.zip", "a zip archive of something else", "unpack it")
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, "cut off or damaged: copy or download it again")


def test_a_wrong_checksum_is_damage(tmp_path):
    path = archive(tmp_path / "net.keras")
    data = bytearray(path.read_bytes())
    at = data.index(KERNEL.tobytes())
    data[at + 3] ^= 1
    path.write_bytes(data)
    refused(path, "model.weights.h5: expected a member that can be read", "CRC")
