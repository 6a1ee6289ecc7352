"""Image sets: every kind is read as it was written, and every fault is an InputError."""

import gzip
import io
import os
import pickle
import random
import struct
import tarfile
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from eventsnn.data import formats as imagefiles
from eventsnn.data.images import Images, load_images
from eventsnn.exceptions import InputError

CIFAR10_NAMES = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]


def make_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def make_cifar(path, count, seed=0, coarse=False):
    """Writes records, returns (pixels, labels)."""
    pixels = make_pixels(count, 3, 32, 32, seed=seed)
    labels = np.random.default_rng(seed).integers(0, 100 if coarse else 10, count).astype(np.uint8)
    heads = [labels[:, None] // 5, labels[:, None]] if coarse else [labels[:, None]]
    path.write_bytes(np.hstack([*heads, pixels.reshape(count, -1)]).tobytes())
    return pixels, labels


def make_idx(path, array):
    data = (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def make_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key.replace("__", "/")] = array


def refuse(spec, *words, **options):
    """Loading raises an InputError that says where and what to do, and contains `words`."""
    with pytest.raises(InputError) as caught:
        load_images(spec, **options)
    error = caught.value
    assert all((error.where, error.expected, error.found, error.do)), error
    for word in words:
        assert word in str(error)
    return error


def same(images, pixels, labels, first=0):
    assert images.pixels.flags.c_contiguous and images.pixels.dtype in (np.uint8, np.float32)
    np.testing.assert_array_equal(images.pixels, pixels)
    assert images.labels.dtype == images.indices.dtype == np.int64
    np.testing.assert_array_equal(images.labels, labels)
    np.testing.assert_array_equal(images.indices, np.arange(first, first + len(pixels)))
    assert len(images) == len(pixels)


# The sample


def test_the_sample_is_bundled():
    test, train = load_images("sample"), load_images("sample", split="train", limit=3, offset=2)
    assert test.name == "sample" and test.split == "test" and train.split == "train"
    assert test.pixels.shape[1:] == (1, 28, 28) and test.pixels.dtype == np.uint8
    assert len(np.unique(test.labels)) == 10 and test.labels.max() == 9
    assert len(train) == 3 and list(train.indices) == [2, 3, 4]
    assert not np.array_equal(train.pixels, load_images("sample", limit=3, offset=2).pixels)


# CIFAR


@pytest.fixture
def cifar10(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10_NAMES) + "\n\n")
    parts = [make_cifar(folder / f"data_batch_{k}.bin", 3 + k, seed=k) for k in (1, 2, 3)]
    test = make_cifar(folder / "test_batch.bin", 5, seed=9)
    return folder, tuple(np.concatenate(x) for x in zip(*parts)), test


def test_cifar10_folder(cifar10):
    folder, train, test = cifar10
    images = load_images(folder)
    same(images, *test)
    assert (images.name, images.split, images.classes) == (
        "cifar-10-batches-bin",
        "test",
        tuple(CIFAR10_NAMES),
    )
    same(load_images(str(folder), split="train"), *train)


@pytest.mark.parametrize(
    "offset, limit", [(0, 1), (3, 2), (3, 8), (4, 5), (9, 1), (14, 99), (0, 15), (2, None)]
)
def test_a_window_runs_across_the_batches(cifar10, offset, limit):
    folder, (pixels, labels), _ = cifar10
    stop = None if limit is None else offset + limit
    images = load_images(folder, split="train", offset=offset, limit=limit)
    same(images, pixels[offset:stop], labels[offset:stop], first=offset)


def test_batches_are_ordered_by_number(tmp_path):
    for k in range(1, 12):
        make_cifar(tmp_path / f"data_batch_{k}.bin", 1, seed=k)
    last = make_cifar(tmp_path / "data_batch_11.bin", 1, seed=11)
    same(load_images(tmp_path, split="train", offset=10), *last, first=10)


def test_one_cifar_file_has_its_own_split(cifar10):
    folder, (pixels, labels), test = cifar10
    images = load_images(folder / "data_batch_2.bin")
    same(images, pixels[4:9], labels[4:9])
    assert (images.name, images.split, images.classes[0]) == (
        "data_batch_2.bin",
        "train",
        "airplane",
    )
    assert load_images(folder / "test_batch.bin", split="train").split == "test"
    other = (folder / "test_batch.bin").rename(folder / "mine.dat")
    same(load_images(other, split="train"), *test)
    assert load_images(other, split="train").split == "train"


def test_cifar100_has_fine_labels(tmp_path):
    train, test = (
        make_cifar(tmp_path / f"{s}.bin", 4, seed=s == "test", coarse=True)
        for s in ("train", "test")
    )
    same(load_images(tmp_path), *test)
    same(load_images(tmp_path, split="train", offset=1), train[0][1:], train[1][1:], first=1)
    assert load_images(tmp_path).classes == ()
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"c{k}" for k in range(100)))
    assert load_images(tmp_path / "test.bin").classes[99] == "c99"


def test_labels_decide_when_both_record_lengths_fit(tmp_path):
    ten = np.full((3074, 3073), 200, np.uint8)
    ten[:, 0] = 7
    hundred = np.full((3073, 3074), 200, np.uint8)
    hundred[:, :2] = 19, 99
    for name, array, label in ("ten", ten, 7), ("hundred", hundred, 99):
        (tmp_path / name).write_bytes(array.tobytes())
        images = load_images(tmp_path / name)
        assert (
            len(images) == len(array)
            and (images.labels == label).all()
            and (images.pixels == 200).all()
        )


def test_a_cifar_file_may_begin_like_idx(tmp_path):
    pixels = make_pixels(1, 3, 32, 32)
    pixels[0, 0, 0, :3] = 0, 8, 3
    (tmp_path / "a.bin").write_bytes(b"\0" + pixels.tobytes())
    same(load_images(tmp_path / "a.bin"), pixels, [0])


def test_an_idx_file_may_have_the_size_of_cifar_records(tmp_path):
    pixels = make_pixels(1, 3, 1019)  # with its header of 16 bytes, 3,073
    make_idx(tmp_path / "a", pixels)
    assert (tmp_path / "a").stat().st_size == 3073
    np.testing.assert_array_equal(load_images(tmp_path / "a").pixels, pixels[:, None])


def test_damaged_cifar_files_are_refused(cifar10):
    folder, _, _ = cifar10
    test = folder / "test_batch.bin"
    data = test.read_bytes()
    for size in (1, 3072, 3074 + 1, len(data) - 1):
        test.write_bytes(data[:size])
        refuse(test, "test_batch.bin", "truncated")
        refuse(folder, "test_batch.bin", "truncated")
    test.write_bytes(b"")
    refuse(folder, "0 bytes")
    refuse(test, "0 bytes")
    test.write_bytes(data[: 3073 * 2] + b"\x0a" + data[3073 * 2 + 1 :])
    refuse(folder, "record 2", "from 0 to 9", "found 10")
    assert len(load_images(folder, limit=2)) == 2 and len(load_images(folder, offset=3)) == 2
    refuse(test, "record 2", offset=1)
    (folder / "data_batch_2.bin").write_bytes(data[:-5])
    refuse(folder, "data_batch_2.bin", "truncated", split="train")
    (folder / "data_batch_2.bin").unlink()
    refuse(folder, "data_batch_3.bin", "[1, 3]", split="train")


@pytest.mark.parametrize("byte, bound", [(0, 19), (1, 99)])
def test_cifar100_labels_out_of_range_are_refused(tmp_path, byte, bound):
    make_cifar(tmp_path / "test.bin", 3, coarse=True)
    data = bytearray((tmp_path / "test.bin").read_bytes())
    data[3074 + byte] = bound
    (tmp_path / "test.bin").write_bytes(data)
    assert len(load_images(tmp_path)) == 3
    data[3074 + byte] = bound + 1
    (tmp_path / "test.bin").write_bytes(data)
    refuse(tmp_path, "record 1", f"from 0 to {bound}")


@pytest.mark.parametrize("content", [b"one\ntwo\n", b"\xff\xfe" * 10, b""])
def test_wrong_class_names_are_refused(cifar10, content):
    (cifar10[0] / "batches.meta.txt").write_bytes(content)
    refuse(cifar10[0], "batches.meta.txt")


def test_a_folder_without_the_split_is_refused(cifar10):
    (cifar10[0] / "test_batch.bin").unlink()
    refuse(cifar10[0], "split test", "other split")
    assert len(load_images(cifar10[0], split="train")) == 15


def test_what_is_no_file_is_not_opened(cifar10):
    folder, _, _ = cifar10
    for name in "test_batch.bin", "batches.meta.txt":
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)  # opening it would wait for ever
        refuse(folder, name)
        (folder / name).unlink()
        (folder / name).mkdir()
        refuse(folder, name)
        (folder / name).rmdir()
        (folder / name).write_bytes(kept)
    assert len(load_images(folder)) == 5


# IDX


@pytest.fixture
def mnist(tmp_path):
    sets = {}
    for stem, count, end in ("train", 7, ""), ("t10k", 5, ".gz"):
        pixels = make_pixels(count, 6, 4, seed=count)
        labels = np.arange(count, dtype=np.uint8)[::-1]
        make_idx(tmp_path / f"{stem}-images-idx3-ubyte{end}", pixels)
        make_idx(tmp_path / f"{stem}-labels-idx1-ubyte{end}", labels)
        sets[stem] = pixels[:, None], labels
    return tmp_path, sets


def test_idx_folder(mnist):
    folder, sets = mnist
    same(load_images(folder), *sets["t10k"])
    same(load_images(folder, split="train"), *sets["train"])
    pixels, labels = sets["t10k"]
    same(load_images(folder, offset=1, limit=2), pixels[1:3], labels[1:3], first=1)
    same(load_images(folder, offset=4, limit=2), pixels[4:], labels[4:], first=4)


def test_one_idx_file(mnist):
    folder, sets = mnist
    images = load_images(folder / "train-images-idx3-ubyte", split="test")
    same(images, *sets["train"])
    assert (images.split, images.name) == ("train", "train-images-idx3-ubyte")
    images = load_images(folder / "t10k-images-idx3-ubyte.gz", split="train")
    same(images, *sets["t10k"])
    assert images.split == "test"
    alone = (folder / "train-images-idx3-ubyte").rename(folder / "digits")
    assert load_images(alone).labels is None and load_images(alone).split == "test"


def test_one_of_the_two_idx_files_may_be_packed(mnist):
    folder, sets = mnist
    make_idx(folder / "t10k-labels-idx1-ubyte", sets["t10k"][1])
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    same(load_images(folder), *sets["t10k"])


def test_an_unpacked_twin_is_no_second_set(mnist):
    folder, sets = mnist
    make_idx(folder / "train-images-idx3-ubyte.gz", make_pixels(1, 2, 2))
    same(load_images(folder, split="train"), *sets["train"])
    make_idx(folder / "other-train-images-idx3-ubyte", make_pixels(1, 2, 2))
    refuse(folder, "other-train-images-idx3-ubyte", split="train")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_damaged_idx_files_are_refused(tmp_path, end):
    path, labels = (tmp_path / f"t10k-{x}-ubyte{end}" for x in ("images-idx3", "labels-idx1"))
    pixels = make_pixels(3, 4, 4)
    pack = gzip.compress if end else bytes

    def images(head, body):
        path.write_bytes(pack(head + body))
        return path

    body = pixels.tobytes()
    good = struct.pack(">4B3I", 0, 0, 8, 3, 3, 4, 4)
    make_idx(labels, np.zeros(3, np.uint8))
    assert len(load_images(images(good, body))) == 3
    refuse(images(good, body[:-1]), path.name)
    refuse(images(good, body + b"x"), path.name)
    if not end:  # the size alone tells, whatever part is read
        refuse(images(good, body[:-1]), path.name, "truncated", limit=1)
    refuse(images(good[:13], b""), path.name, "0x00000803")
    refuse(images(struct.pack(">4B3I", 0, 0, 13, 3, 3, 4, 4), body), "0x00000803")
    refuse(images(struct.pack(">4B3I", 0, 0, 8, 3, 0, 4, 4), b""), "at least one image")
    refuse(images(struct.pack(">4B3I", 0, 0, 8, 3, 3, 0, 4), b""), "[3, 0, 4]")
    refuse(
        images(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 4), body),
        "at most 4,294,967,296 bytes",
    )
    images(good, body)
    refuse(labels, "0x00000803", "beside it")
    make_idx(labels, np.zeros(4, np.uint8))
    refuse(path, labels.name, "3 images", "4 labels")
    make_idx(labels, np.zeros((3, 1), np.uint8))
    refuse(path, labels.name, "0x00000801")
    labels.unlink()
    assert load_images(path).labels is None
    refuse(
        images(struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 64, 60), body), path.name, "4,026,531,8"
    )  # without 4 GB


def test_a_damaged_gzip_stream_is_refused(mnist):
    folder, _ = mnist
    path = folder / "t10k-images-idx3-ubyte.gz"
    data = path.read_bytes()
    for damaged in (
        data[:-9],
        data[:12],
        data[:-8] + b"\0" * 8,
        data[:30] + b"\xff" * 20 + data[50:],
        b"\x1f\x8b",
    ):
        path.write_bytes(damaged)
        refuse(path, path.name)
        refuse(folder, path.name)


# Arrays: .npz and HDF5 in one


@pytest.fixture(params=["npz", "h5"])
def store(request, tmp_path):
    """Writes arrays (a/b is spelt a__b) and returns the path."""

    def write(**arrays):
        path = tmp_path / "train.dat"
        if request.param == "h5":
            make_hdf5(path, **arrays)
        else:
            with open(path, "wb") as stream:
                np.savez_compressed(
                    stream, **{key.replace("__", "/"): x for key, x in arrays.items()}
                )
        return path

    return write


@pytest.mark.parametrize(
    "keys", [("x_{}", "y_{}"), ("{}__images", "{}__labels"), ("{}__x", "{}__y")]
)
def test_arrays_with_splits(store, keys):
    sets = {
        s: (make_pixels(n, 3, 5, 4, seed=n), np.arange(n)) for s, n in (("train", 6), ("test", 4))
    }
    path = store(**{key.format(s): x for s in sets for key, x in zip(keys, sets[s])})
    for s, (pixels, labels) in sets.items():
        same(load_images(path, split=s), pixels, labels)
        same(load_images(path, split=s, offset=1, limit=2), pixels[1:3], labels[1:3], first=1)
    assert load_images(path, split="train").split == "train"
    assert load_images(path).name == "train.dat" and load_images(path).classes == ()


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y")])
def test_arrays_without_splits_take_the_split_asked_for(store, keys):
    pixels, labels = make_pixels(3, 1, 4, 4), np.array([2, 0, 1])
    path = store(**dict(zip(keys, (pixels, labels))))
    for split in "train", "test":
        same(load_images(path, split=split), pixels, labels)
        assert load_images(path, split=split).split == split
    assert load_images(store(**{keys[0]: pixels})).labels is None


def test_a_split_that_is_not_there_is_refused(store):
    path = store(x_train=make_pixels(2, 4, 4), images=make_pixels(2, 4, 4))
    refuse(path, "x_test", "x_train", "other split")
    refuse(store(pixels=make_pixels(2, 4, 4)), "found pixels")


@pytest.mark.parametrize(
    "shape, axes",
    [
        ((2, 5, 4), None),
        ((2, 5, 5, 3), (0, 3, 1, 2)),
        ((2, 5, 4, 1), (0, 3, 1, 2)),
        ((2, 3, 5, 4), (0, 1, 2, 3)),
        ((2, 1, 5, 3), (0, 1, 2, 3)),
        ((2, 3, 3, 3), (0, 1, 2, 3)),
        ((2, 6, 5, 4), (0, 1, 2, 3)),
    ],
)
def test_axes_of_pixels(store, shape, axes):
    pixels = make_pixels(*shape)
    expected = pixels[:, None] if axes is None else pixels.transpose(axes)
    same(load_images(store(x=pixels, y=np.zeros(2, int))), expected, [0, 0])


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "u1"])
def test_dtypes_of_pixels(store, dtype):
    pixels = (make_pixels(3, 1, 4, 4) / 2).astype(dtype)
    images = load_images(store(x=pixels, y=np.zeros(3, int)))
    same(images, pixels.astype(images.pixels.dtype), [0, 0, 0])
    assert images.pixels.dtype == ("u1" if dtype == "u1" else "=f4")


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "?", "c8", "S3", "V2"])
def test_other_dtypes_of_pixels_are_refused(store, dtype):
    refuse(store(x=np.zeros((2, 4, 4), dtype)), "train.dat: x", "uint8")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_pixels_that_are_not_finite_are_refused(store, value):
    pixels = np.zeros((3, 4, 4))
    pixels[1, 2, 3] = value
    path = store(x=pixels)
    refuse(path, "finite")
    assert len(load_images(path, limit=1)) == 1


@pytest.mark.parametrize(
    "shape", [(3,), (3, 0), (3, 1, 4, 4, 1), (), (0, 4, 4), (3, 0, 4), (3, 1, 4, 0)]
)
def test_other_shapes_of_pixels_are_refused(store, shape):
    refuse(store(x=np.zeros(shape, np.uint8)), "train.dat: x")


@pytest.mark.parametrize(
    "labels",
    [
        [2, 0, 1],
        [[2], [0], [1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        [2.0, 0.0, 1.0],
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        np.array([2, 0, 1], ">u2"),
        np.eye(3, dtype=bool)[[2, 0, 1]],
    ],
)
def test_forms_of_labels(store, labels):
    pixels = make_pixels(3, 1, 4, 4)
    same(load_images(store(x=pixels, y=np.array(labels))), pixels, [2, 0, 1])


def test_truth_values_are_labels(store):
    pixels = make_pixels(2, 1, 4, 4)
    same(load_images(store(x=pixels, y=np.array([True, False]))), pixels, [1, 0])


@pytest.mark.parametrize(
    "labels",
    [
        [0, -1, 2],
        [0, 0.5, 1],
        [0, np.nan, 1],
        [0, np.inf, 1],
        [0, 2**31, 1],
        np.array([0, 2**64 - 1, 1], np.uint64),
        [[1, 1], [1, 0], [0, 1]],
        [[0, 0], [1, 0], [0, 1]],
        [[2, 0], [1, 0], [0, 1]],
        [[1, np.nan], [1, 0], [0, 1]],
        [0, 1],
        [0, 1, 2, 3],
        [[[0]], [[1]], [[2]]],
        np.zeros((3, 0)),
        3,
        [0j, 1j, 2j],
        [b"a", b"b", b"c"],
        np.array([0, 1, 2], np.longdouble),
    ],
)
def test_other_labels_are_refused(store, labels):
    refuse(store(x=make_pixels(3, 4, 4), y=np.array(labels)), "train.dat: y")


# .npz alone


def write_npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in members.items():
            archive.writestr(f"{key}.npy", data)
    return path


def make_npy(array=None, header=None, version=(1, 0)):
    """The bytes of a .npy member, or of a header alone."""
    stream = io.BytesIO()
    if header is None:
        np.lib.format.write_array(stream, array, version=version)
        return stream.getvalue()
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_arrays_in_fortran_order(tmp_path):
    pixels, labels = make_pixels(4, 3, 5, 6), np.arange(4)
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(pixels), y=np.asfortranarray(np.eye(4)))
    same(load_images(tmp_path / "a.npz"), pixels, labels)
    same(load_images(tmp_path / "a.npz", offset=1, limit=2), pixels[1:3], labels[1:3], first=1)


def test_npz_headers_of_version_2_are_read_and_3_refused(tmp_path):
    pixels = make_pixels(2, 1, 4, 4)
    path = write_npz(tmp_path / "a", x=make_npy(pixels, version=(2, 0)), y=make_npy(np.arange(2)))
    same(load_images(path), pixels, [0, 1])
    refuse(write_npz(path, x=make_npy(pixels, version=(3, 0))), "(3, 0)")


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def test_pickles_in_npz_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([Bomb()] * 2, object), y=np.arange(2))
    refuse(tmp_path / "x.npz", "Python objects")
    np.savez(tmp_path / "y.npz", x=make_pixels(2, 4, 4), y=np.array([Bomb()] * 2, object))
    refuse(tmp_path / "y.npz", "y.npz: y", "Python objects")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 65536, 65536)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 100, 100)}",
        "{'descr': '|u1', 'fortran_order': True, 'shape': (3, -1, 4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4, -4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 3}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': ('|u1', (4,)), 'fortran_order': False, 'shape': (3, 4)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': '|u1', 'shape': (3, 4, 4)}",
        "(" * 9000,
        "{'shape': (1L,",
        "open('x')",
        "",
        "\x93" * 20,
        "[" + "1," * 20000,
    ],
)
def test_hostile_npz_headers_are_refused(tmp_path, header):
    refuse(write_npz(tmp_path / "a.npz", x=make_npy(header=header) + bytes(48)), "a.npz")


def test_damaged_npz_files_are_refused(tmp_path):
    good = make_npy(make_pixels(3, 4, 4))
    for x in (good[:-1], good + b"x", good[:20], b"", b"not an array"):
        refuse(write_npz(tmp_path / "a.npz", x=x), "a.npz: x")
    path = write_npz(tmp_path / "a.npz", x=good)
    data = path.read_bytes()
    for damaged in (data[:-30], data[:60], b"PK\x03\x04", b"PK\5\6" + bytes(18)):
        path.write_bytes(damaged)
        refuse(path, "a.npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", good)
    data = path.read_bytes()
    path.write_bytes(data.replace(good[-8:], b"x" * 8))
    refuse(path, "a.npz: x", "CRC")
    at = data.index(b"PK\1\2")
    path.write_bytes(data[: at + 8] + b"\1" + data[at + 9 :])
    refuse(path, "a.npz", "encrypted")


# HDF5 alone


def test_links_that_leave_the_file_are_refused(tmp_path):
    make_hdf5(
        tmp_path / "data.h5",
        images=make_pixels(2, 4, 4),
        labels=np.arange(2),
        test__images=make_pixels(2, 4, 4),
    )
    for key, link in [
        ("images", h5py.ExternalLink("data.h5", "/images")),
        ("images", h5py.SoftLink("/there/images")),
        ("test", h5py.ExternalLink("data.h5", "/test")),
    ]:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["there"] = h5py.ExternalLink("data.h5", "/")
            file[key] = link
        refuse(tmp_path / "a.h5", "link")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = make_pixels(2, 4, 4)
        file["labels"] = h5py.ExternalLink("data.h5", "/labels")
    refuse(tmp_path / "a.h5", "a.h5: labels", "link")


def test_virtual_and_external_datasets_are_refused(tmp_path):
    make_hdf5(tmp_path / "data.h5", images=make_pixels(2, 4, 4))
    (tmp_path / "raw").write_bytes(bytes(32))
    layout = h5py.VirtualLayout((2, 4, 4), "u1")
    layout[:] = h5py.VirtualSource(tmp_path / "data.h5", "images", (2, 4, 4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("x_test", layout)
        file.create_dataset("x_train", (2, 4, 4), "u1", external=[(str(tmp_path / "raw"), 0, 32)])
    for split in "train", "test":
        refuse(tmp_path / "a.h5", f"a.h5: x_{split}", "virtual or external", split=split)


def test_other_hdf5_objects_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (2, 4, 4), h5py.string_dtype())[:] = "x"
    refuse(path, "a.h5: images", "uint8")
    with h5py.File(path, "w") as file:
        file["images/deeper"] = make_pixels(2, 4, 4)
    refuse(path, "a.h5: images", "a Group")
    with h5py.File(path, "w") as file:
        file["images"] = h5py.Empty("u1")
    refuse(path, "a.h5: images")
    with h5py.File(path, "w") as file:
        file["test"] = np.arange(3)
    refuse(path, "found test")
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (2**20, 2**10, 2**10), "u1", chunks=(1, 2**10, 2**10))[0] = 5
    refuse(path, "at most 4,294,967,296 bytes")
    images = load_images(path, limit=1)
    assert images.pixels.shape == (1, 1, 1024, 1024) and (images.pixels == 5).all()
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (2, 4, 4), "u1")
    refuse(path, "nothing stored")


def test_a_truncated_hdf5_file_is_refused(tmp_path):
    make_hdf5(tmp_path / "a.h5", images=make_pixels(100, 8, 8), labels=np.zeros(100))
    data = (tmp_path / "a.h5").read_bytes()
    for size in (8, 100, 1000, len(data) // 2, len(data) - 1):
        (tmp_path / "a.h5").write_bytes(data[:size])
        refuse(tmp_path / "a.h5", "a.h5")


# What is not read


def test_pickles_are_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for protocol in 2, 3, 4, 5:
        for name in "data_batch_1", "test_batch":
            (folder / name).write_bytes(pickle.dumps(Bomb(), protocol))
        refuse(folder, "pickle", "binary version")
        refuse(folder / "test_batch", "pickle", "binary version")


def test_archives_are_refused(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3073))
    for mode in "w", "w:gz":
        with tarfile.open(tmp_path / "a.tar", mode) as archive:
            archive.add(tmp_path / "data_batch_1.bin", "data_batch_1.bin")
        refuse(tmp_path / "a.tar", "a.tar")
    refuse(tmp_path / "a.tar", "unpack")


def test_other_things_are_refused(tmp_path):
    refuse(tmp_path, "empty folder")
    refuse(tmp_path / "missing", "nothing there", "sample")
    refuse(tmp_path / "x\0y", "nothing there")
    refuse(tmp_path / ("x" * 5000))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refuse(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", "something else")
    (tmp_path / "notes.txt").write_text("hello")
    refuse(tmp_path, "notes.txt", "pipe")
    refuse(tmp_path / "notes.txt", "5 bytes")
    (tmp_path / "a.png").write_bytes(b"\x89PNG" + bytes(40))
    refuse(tmp_path / "a.png", "another kind of file", ".npz")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    refuse(tmp_path / "a.png", "undamaged")
    for spec in None, "", 3, b"", ["a"]:
        refuse(spec)


def test_a_file_that_may_not_be_read_is_refused(cifar10, monkeypatch):
    def deny(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(imagefiles, "open", deny, raising=False)
    refuse(cifar10[0], "Permission denied")
    refuse(cifar10[0] / "test_batch.bin", "test_batch.bin", "Permission denied")


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 1.5},
        {"limit": True},
        {"limit": "2"},
        {"offset": -1},
        {"offset": None},
        {"offset": 5},
        {"offset": 10**30},
    ],
)
def test_wrong_windows_are_refused(cifar10, options):
    refuse(cifar10[0], *options, **options)


@pytest.mark.parametrize("split", ["valid", None, ["test"], ""])
def test_wrong_splits_are_refused(cifar10, split):
    assert refuse(cifar10[0], split=split).where == "split"


def test_a_window_may_reach_past_the_end(cifar10):
    folder, _, (pixels, labels) = cifar10
    same(load_images(folder, limit=10**30, offset=np.int64(4)), pixels[4:], labels[4:], first=4)
    same(load_images(folder, limit=np.uint8(5)), pixels, labels)


# Memory, and the class itself


@pytest.mark.parametrize("kind", ["bin", "idx", "idx.gz", "npz", "h5"])
def test_memory_follows_the_window(tmp_path, kind):
    path, pixels = tmp_path / f"test.{kind}", np.zeros((8000, 3072), np.uint8)
    if kind == "bin":
        path.write_bytes(bytes(8000 * 3073))
    elif kind == "npz":
        np.savez_compressed(path, x=pixels.reshape(-1, 3, 32, 32), y=np.zeros(8000))
    elif kind == "h5":
        make_hdf5(path, x=pixels.reshape(-1, 3, 32, 32), y=np.zeros(8000))
    else:
        path = path.with_name(
            f"t10k-images-idx3.{kind}"[: -3 if kind == "idx" else None].replace(".idx.", ".")
        )
        make_idx(path, pixels.reshape(-1, 96, 32))
    load_images(path, limit=1)
    tracemalloc.start()
    images = load_images(path, limit=10, offset=7000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(images) == 10 and images.indices[0] == 7000
    assert peak < 4_000_000 < pixels.nbytes / 4


def test_take(cifar10):
    images = load_images(cifar10[0], offset=1)
    taken = images.take([3, 0, 3])
    assert (
        list(taken.indices) == [4, 1, 4]
        and taken.split == "test"
        and taken.classes == images.classes
    )
    np.testing.assert_array_equal(taken.pixels, images.pixels[[3, 0, 3]])
    np.testing.assert_array_equal(taken.labels, images.labels[[3, 0, 3]])
    for wrong in [], [4], [-1], [0.0], [True, False, True, True], [[0]], 0, "0":
        with pytest.raises(InputError):
            images.take(wrong)
    bare = Images("a", "test", np.arange(2), make_pixels(2, 1, 4, 4), None, ())
    assert bare.take([1]).labels is None


def test_repr(cifar10):
    images = load_images(cifar10[0]).take([0])
    label = images.labels[0]
    assert (
        repr(images)
        == f"<Images cifar-10-batches-bin (test): 1 of 3x32x32 uint8, labels {label} to {label}>"
    )
    assert "no labels" in repr(Images("a", "test", np.arange(2), make_pixels(2, 1, 4, 4), None, ()))


# Mutants of valid files: read or refused, nothing else


def mutate(data, rng):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(len(data), rng.choice((32, 400, len(data)))))
        match rng.randrange(5):
            case 0:
                data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at : at + rng.choice((1, 4, 100))]
            case 3:
                data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
            case 4:
                del data[max(at, 1) :]
        if not data:
            return b""
    return bytes(data)


@pytest.mark.parametrize(
    "kind", ["bin", "bin100", "idx", "idx.gz", "npz", "stored.npz", "h5", "chunked.h5"]
)
def test_mutants_are_read_or_refused(tmp_path, kind):
    path = tmp_path / f"t10k-images.{kind}"
    pixels = make_pixels(3, 1, 5, 5)
    labels = np.arange(3)
    if kind.startswith("bin"):
        make_cifar(path, 2, coarse=kind == "bin100")
    elif kind.startswith("idx"):
        make_idx(path, pixels[:, 0])
    elif kind == "npz":
        np.savez_compressed(path, x_test=pixels, y_test=labels)
    elif kind == "stored.npz":
        np.savez(path, x_test=pixels.astype("f4"), y_test=np.eye(3))
    else:
        with h5py.File(path, "w") as file:
            more = {"chunks": True, "compression": "gzip"} if kind == "chunked.h5" else {}
            file.create_dataset("test/images", data=pixels, **more)
            file.create_dataset("test/labels", data=labels, **more)
    data, rng = path.read_bytes(), random.Random(kind)
    assert len(load_images(path)) in (2, 3)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(100 if kind.endswith("h5") else 300):  # each is tried in a fork
        path.write_bytes(mutate(data, rng))
        try:
            images = load_images(path, limit=rng.choice((None, 1, 2)), offset=rng.choice((0, 0, 1)))
        except InputError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert (
            images.pixels.ndim == 4
            and min(images.pixels.shape) > 0
            and np.isfinite(images.pixels).all()
        )
        assert images.pixels.dtype in (np.uint8, np.float32) and len(images.indices) == len(images)
        assert (
            images.labels is None
            or images.labels.shape == (len(images),)
            and images.labels.min() >= 0
        )
    assert min(outcomes.values()) > 3, outcomes


def test_hdf5_files_are_tried_in_a_copy_of_the_process_first(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    make_hdf5(path, x=make_pixels(4, 3, 3), y=np.arange(4))
    mine = os.getpid()
    real = h5py.File

    def dies(*args, **options):
        if os.getpid() != mine:
            os.abort()
        return real(*args, **options)

    monkeypatch.setattr(h5py, "File", dies)
    refuse(path, "a crash")
    monkeypatch.setattr(h5py, "File", real)
    path.write_bytes(path.read_bytes())
    assert len(load_images(path)) == 4


@pytest.mark.parametrize("chunk", [(1, 20, 20), (700, 40, 40)], ids=["small", "large"])
def test_large_compressed_chunks_are_tried_row_by_row(tmp_path, monkeypatch, chunk):
    pixels = make_pixels(700, 40, 40)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=pixels, chunks=chunk, compression="gzip")
    mine, inside = os.getpid(), h5py.Dataset.__getitem__

    def dies(self, place, *more):
        if os.getpid() != mine and isinstance(place, slice) and place.stop == 300:
            os.abort()
        return inside(self, place, *more)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", dies)
    if chunk[0] == 1:
        np.testing.assert_array_equal(
            load_images(tmp_path / "a.h5", limit=300).pixels[:, 0], pixels[:300]
        )
    else:
        refuse(tmp_path / "a.h5", "a crash", limit=300)
