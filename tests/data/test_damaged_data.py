"""Damaged images and recordings are one error of one line, or they are read."""

import io

import h5py
import numpy as np
import pytest
from support import mutants
from support.event_files import aedat4, atis, hdf5, some_events

from eventsnn.data.images import Images, load_images
from eventsnn.data.recordings import load_events
from eventsnn.exceptions import InputError
from eventsnn.export import nir_data

COUNT = 12
STRUCTURES = (*mutants.DATASETS, "a ring of groups", "an attribute")
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """(name, bytes, function that reads a file) of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    image = pytest.importorskip("PIL.Image")
    found = []
    for kind in "PNG", "JPEG":
        buffer = io.BytesIO()
        image.fromarray(np.tile(PIXELS[0], (8, 8, 1))).save(buffer, kind)
        found.append((f"1.{kind.lower()}", buffer.getvalue(), load_images))
    path = folder / "seed"
    for settings in {}, {"compression": 9, "chunks": (1, 5, 4, 3), "fletcher32": True}:
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=PIXELS, **settings)
            file["y"] = np.arange(6)
            file.attrs["pixel_range"] = [0.0, 255.0]
        found.append(("images.h5", path.read_bytes(), load_images))
    events = some_events()
    hdf5(path, events)
    found.append(("events.h5", path.read_bytes(), load_events))
    hdf5(path, events, "CD/events", record=True)
    found.append(("record.h5", path.read_bytes(), load_events))
    buffer = io.BytesIO()
    np.savez(buffer, **{name: events[name] for name in "txyp"})
    found.append(("events.npz", buffer.getvalue(), load_events))
    found.append(("events.aedat4", aedat4(events), load_events))
    found.append(("events.bin", atis(events), load_events))
    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        node = file.create_group("nodes/n")
        node.attrs["__type__"] = "NIRNodeData"
        group = node.create_group("observables/spikes")
        group.attrs.update({"__type__": "EventData", "n_neurons": 4, "t_max": 9.0})
        group["idx"], group["time"] = np.arange(4)[None], np.arange(4.0)[None]
    found.append(("spikes.h5", path.read_bytes(), nir_data.read))
    return found


@pytest.mark.slow
def test_damaged_bytes_are_one_error_or_read(seeds, tmp_path):
    read = dict.fromkeys(("refused", "read"), 0)
    for number, (name, data, load) in enumerate(seeds):
        rng, others = np.random.default_rng(number), [other for _, other, _ in seeds]
        for _ in range(COUNT):
            path = tmp_path / name
            path.write_bytes(mutants.damage_bytes(data, others, rng))
            try:
                found = load(path)
            except InputError as error:
                assert str(error).isprintable(), error
                read["refused"] += 1
            else:
                read["read"] += 1
                if isinstance(found, Images) and found.pixels.dtype.kind == "f":
                    assert np.isfinite(found.pixels).all()
    assert min(read.values()) > COUNT


def datasets_in(path):
    """The names of an HDF5 file's datasets."""
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda key, item: names.append(key) if hasattr(item, "dtype") else None)
    return names


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("damage", STRUCTURES)
def test_structures_that_are_damaged_on_purpose(seeds, tmp_path, damage, half):
    """Every second file has its turn here, another half with each damage."""
    rng = np.random.default_rng(0)
    files = [seed for seed in seeds if seed[0].endswith(".h5")]
    for number, (name, data, load) in enumerate(files):
        if (number + STRUCTURES.index(damage)) % 2 != half:
            continue
        path = tmp_path / name
        path.write_bytes(data)
        datasets = datasets_in(path)
        with h5py.File(path, "a") as file:
            key = datasets[rng.integers(len(datasets))]
            try:
                way = mutants.WHOLE.get(damage)
                way(file, rng) if way else mutants.DATASETS[damage](file, key, rng)
            except (TypeError, ValueError, KeyError, IndexError, OverflowError):
                continue  # a damage that does not fit such numbers
        try:
            load(path)
        except InputError as error:
            assert str(error).isprintable()
