"""HDF5 files that are whole and cannot be read all the same are told apart from damaged ones."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from support.networks import small_graph

import eventsnn
from eventsnn import InputError
from eventsnn.files.refusals import refusal_of
from eventsnn.readers import write_native

HOLDS = """
import h5py, sys
with h5py.File(sys.argv[1], "a") as file:
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    write_native(small_graph("QCFS"), tmp_path / "net.h5")
    return tmp_path / "net.h5"


def said(read):
    with pytest.raises(InputError) as caught:
        read()
    assert "\n" not in str(caught.value) and "damaged" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_another_process_writes_is_no_damaged_one(path):
    with h5py.File(path, "a") as file:
        file["x_test"] = np.zeros((2, 3, 4), np.uint8)
    arguments = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(arguments, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "open\n"
        try:
            h5py.File(path).close()
        except OSError:
            for read in eventsnn.load, eventsnn.load_images:
                words = said(lambda read=read: read(path))
                assert "another process has open for writing; wait until it is closed" in words
        else:
            pytest.skip("no locks on this file system")
        finally:
            process.stdin.close()
    assert eventsnn.load(path).nodes


@pytest.mark.parametrize(
    "words, found, do",
    [
        (
            "Unable to synchronously open file (unable to lock file, errno = 37, error message = "
            "'No locks available')",
            "a file system without locks",
            "HDF5_USE_FILE_LOCKING=FALSE",
        ),
        (
            "Unable to synchronously open file (file is already open for write (may use <h5clear "
            "file> to clear file consistency flags))",
            "one marked as open for writing",
            "h5clear -s FILE",
        ),
    ],
)
def test_what_hdf5_says_of_locks_is_understood(words, found, do):
    refusal = refusal_of(OSError(words))
    assert refusal.found == found and do in refusal.do
    assert refusal_of(OSError("file signature not found")) is None


@pytest.mark.parametrize("code, name", [(32015, "Zstandard"), (32099, "lzf")])
def test_a_missing_filter_is_named(code, name, path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)  # as where it is not installed
    images = tmp_path / "images.h5"
    with h5py.File(path, "a") as net, h5py.File(images, "w") as file:
        place = next(name for name in _datasets(net) if net[name].ndim == 4)
        array = net[place][()]
        del net[place]
        net.create_dataset(place, data=array, compression="lzf")
        pixels = np.zeros((4, 2, 6, 6), np.uint8)
        file.create_dataset("x_test", data=pixels, chunks=True, compression="lzf")
    for each in path, images:
        lzf = (32000).to_bytes(2, "little")
        data = each.read_bytes()
        at = data.index(b"lzf\0") - 8  # the filter's id stands before its name
        assert data[at : at + 2] == lzf
        each.write_bytes(data[:at] + code.to_bytes(2, "little") + data[at + 2 :])
    if h5py.h5z.filter_avail(code):
        pytest.skip("this HDF5 has the filter")
    for read in (lambda: eventsnn.load(path)), (lambda: eventsnn.load_images(images)):
        words = said(read)
        assert f"data that this h5py can decompress, found the filter {name} (id {code})" in words
        assert ("pip install hdf5plugin" in words) == (code == 32015)
        assert "h5repack -f GZIP=6" in words


def _datasets(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if hasattr(item, "dtype") else None)
    return found
