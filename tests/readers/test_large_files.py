"""Of a large file only what lies beside the numbers of its datasets is looked through."""

import h5py
import numpy as np
import pytest

from eventsnn.exceptions import InputError
from eventsnn.files import raw
from eventsnn.files.reading import attribute, open_hdf5

SIGN = b"GCOL\x01\0\0\0"


@pytest.fixture
def large(monkeypatch):
    """Every file is a large one."""
    monkeypatch.setattr(raw, "SMALL", 0)


@pytest.fixture
def path(tmp_path):
    """A file with texts, and with numbers that look like a heap without an end."""
    numbers = np.frombuffer(SIGN + b"\xff" * 24, np.uint64)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.attrs["words"] = "some words"
        for name, options in (("whole", {}), ("chunked", {"chunks": (64,)})):
            made = file.create_dataset(f"group/{name}", data=np.tile(numbers, 250), **options)
            made.attrs["unit"] = "ms"
        file["text"] = "a text"
    return tmp_path / "file.h5"


def test_a_small_file_is_one_part(path):
    with h5py.File(path) as file:
        assert raw.parts_beside(file) == ((0, path.stat().st_size),)


@pytest.mark.usefixtures("large")
def test_the_parts_are_all_that_is_no_number(path):
    """Each byte of the file is in a part, or in a number."""
    data = path.read_bytes()
    with h5py.File(path) as file:
        parts = raw.parts_beside(file)
        chunks = file["group/chunked"].id
        numbers = 2 * 8000 + 8 * (-1000 % 64)  # the last chunk is whole, too
        assert chunks.get_num_chunks() == 16
    assert sum(end - begin for begin, end in parts) == len(data) - numbers
    assert all(begin < end <= after for (begin, end), (after, _) in zip(parts, parts[1:]))
    beside = b"".join(data[begin:end] for begin, end in parts)
    assert data.count(SIGN) >= 500 and 0 < beside.count(SIGN) < 5
    assert b"some words" in beside and b"a text" in beside


@pytest.mark.usefixtures("large")
def test_numbers_are_not_taken_for_a_heap(path):
    with open_hdf5(path) as file:
        assert attribute(file, "words") == "some words"
        assert attribute(file["group/chunked"], "unit") == "ms"
        assert file["text"][()] == b"a text"


def test_as_they_would_be_without_parts(path):
    with pytest.raises(InputError, match="damaged heap"), open_hdf5(path):
        raise AssertionError("it was opened")


@pytest.mark.usefixtures("large")
def test_a_damaged_heap_is_refused(path):
    data = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        (begin, end), *_ = (
            part for part in raw.parts_beside(file) if SIGN in data[part[0] : part[1]]
        )
    at = data.index(SIGN, begin, end)
    data[at + 24 : at + 32] = b"\xff" * 8  # the size of its first object
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"), open_hdf5(path):
        raise AssertionError("it was opened")


@pytest.mark.usefixtures("large")
def test_a_text_longer_than_the_file_is_refused(path):
    data = path.read_bytes()
    at = data.index(b"words\0")
    begin = data.index(len(b"some words").to_bytes(4, "little"), at)
    path.write_bytes(data[:begin] + b"\xff\xff\xff\x7f" + data[begin + 4 :])
    with open_hdf5(path) as file, pytest.raises(InputError, match="texts of at most"):
        attribute(file, "words")
