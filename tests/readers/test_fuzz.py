"""No file does worse than one line: mutants of valid files of every kind (support/fuzzing.py)."""

import json
import time

import h5py
import numpy as np
import pytest
from support import mutants
from support.fuzzing import Reader, memory, report
from support.whole import Whole

from eventsnn import inspect, run
from eventsnn.exceptions import InputError
from eventsnn.readers import load

MUTANTS = 500
DAMAGES = [*mutants.DATASETS, *mutants.WHOLE]


@pytest.mark.slow
def test_mutants_are_refused_or_explained(capsys, tmp_path):
    counts = report(0, MUTANTS, tmp_path)
    assert not counts["fault"], capsys.readouterr().out
    assert (
        sum(counts.values()) == MUTANTS
        and min(counts[v] for v in ("refused", "the same network", "another network"))
        > MUTANTS / 100
    )


@pytest.mark.slow
def test_mutants_go_the_whole_way(capsys, tmp_path):
    counts = report(0, MUTANTS // 25, tmp_path, Whole)
    assert not counts["fault"], capsys.readouterr().out
    assert min(counts[v] for v in ("refused", "the same network")) > 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["large values", "other signs"])
def test_other_values_go_the_whole_way(damage, tmp_path):
    whole = Whole(tmp_path)
    seed = next(seed for seed in whole.seeds if seed.name == "small")
    path, arch = whole.write(seed, "mutant")
    expected = mutants.damage_hdf5(seed, path, damage, np.random.default_rng(1))
    assert whole.judge(seed, path, arch, expected) in ("another network", "refused later")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("third", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_hostile_kind_in_every_kind_of_file(reader, damage, third):
    """In a dataset at the beginning and in the last bias; `fuzz.py` damages all others.

    Of the kinds of files, every third has its turn here, others with each damage.
    """
    rng, seen = np.random.default_rng(0), set()
    for seed in reader.seeds:
        path, arch = reader.write(seed, "hostile")
        if seed.kind in seen or not path.read_bytes().startswith(b"\x89HDF"):
            continue
        seen.add(seed.kind)
        if (len(seen) + DAMAGES.index(damage)) % 3 != third:
            continue
        with h5py.File(path) as file:
            names = mutants.parameters(file)
        biases = [name for name in names if name.endswith("bias")]
        for name in (names[0], *biases[-1:]):
            expected = mutants.damage_hdf5(seed, path, damage, rng, name)
            verdict = reader.judge(seed, path, arch, expected)
            assert expected is None or not verdict.startswith("fault"), (
                f"{seed.name}, {name}: {verdict}"
            )
    assert len(seen) == 6


@pytest.mark.slow
def test_groups_that_hold_each_other(reader):
    seed = next(seed for seed in reader.seeds if seed.kind == "torch")
    path, arch = reader.write(seed, "rings")
    with h5py.File(path, "a") as file:
        ring = file.create_group("ring")
        for i in range(10):  # 10^10 ways through it
            ring[f"ring{i}"] = ring
    with pytest.raises(InputError, match="groups that hold each other have no end"):
        load(path, arch)


@pytest.mark.parametrize(
    "kind, key", [("keras", "model_config"), ("keras weights", "weight_names"), ("native", "note")]
)
def test_texts_that_say_they_are_long(reader, kind, key):
    """HDF5 would reserve 4 GB before it looks for a text of that length."""
    seed = next(
        seed
        for seed in reader.seeds
        if seed.kind == kind and (kind != "keras weights" or seed.name == "vgg16-2.15.h5")
    )
    path, arch = reader.write(seed, "long")
    with h5py.File(path) as file:
        group = file["block3_conv1"] if kind == "keras weights" else file
        first = np.ravel(group.attrs[key])[0]
    data = bytearray(seed.data)
    name = data.index(b"block3_conv1") if kind == "keras weights" else 0
    at = data.index(
        len(first.encode()).to_bytes(4, "little"), data.index(key.encode() + b"\0", name) + len(key)
    )
    data[at : at + 4] = b"\xf0" * 4
    path.write_bytes(data)
    before = memory()
    with pytest.raises(
        InputError, match=f"attribute {key}: expected texts of at most .* found 4,04"
    ):
        load(path, arch)
    assert memory() - before < 2**26


def test_a_graph_that_says_it_is_long(reader):
    seed = next(seed for seed in reader.seeds if seed.name == "variable")
    path, _ = reader.write(seed, "long")
    with h5py.File(path) as file:
        at = file["graph"].id.get_offset()
    for length, found in (
        (2**31, "found 2,147,483,648"),
        (2**20, "found 1,048,576"),
        (0, "found 0"),
    ):
        path.write_bytes(seed.data[:at] + length.to_bytes(4, "little") + seed.data[at + 4 :])
        with pytest.raises(InputError, match=f"67,108,864 bytes of JSON, {found}"):
            load(path)


@pytest.mark.parametrize("value", [-1, -np.inf, np.inf, np.nan])
def test_variances_of_pixels(reader, value):
    path, arch = reader.write(
        next(seed for seed in reader.seeds if seed.name == "mobile-3.15.h5"), "variance"
    )
    with h5py.File(path, "a") as file:
        name = next(
            name
            for name in mutants.parameters(file)
            if "normalization" in name and name.endswith("/variance")
        )
        file[name][...] = value
    with pytest.raises(InputError, match="finite variances of 0 or more"):
        load(path, arch)


def test_a_long_chain_from_its_end(reader, tmp_path):
    """10,000 layers, each before the one whose output it takes."""
    names = ["image", *(f"layer{i}" for i in range(9_998)), "relu"]
    layers = [
        {"class_name": "Dropout", "config": {"name": name}, "inbound_nodes": [[[before, 0, 0]]]}
        for before, name in zip(names, names[1:])
    ]
    layers[-1]["class_name"] = "ReLU"
    image = {
        "class_name": "InputLayer",
        "config": {"name": "image", "batch_input_shape": [None, 4, 4, 2]},
        "inbound_nodes": [],
    }
    config = {
        "layers": [*layers[::-1], image],
        "input_layers": [["image", 0, 0]],
        "output_layers": [["relu", 0, 0]],
    }
    (tmp_path / "net.json").write_text(json.dumps({"class_name": "Functional", "config": config}))
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        file.attrs["layer_names"] = np.zeros(0, "S1")
    start = time.process_time()
    assert [node.op for node in load(tmp_path / "net.weights.h5").nodes] == ["Relu"]
    assert time.process_time() - start < 5


@pytest.mark.slow
def test_damaged_files_on_the_command_lines(reader, capsys):
    """Refused mutants end both commands with one line and status 2."""
    refused = 0
    for number in range(100):
        seed, _, path, arch, expected = reader.mutant(number)
        if not reader.judge(seed, path, arch, mutants.ANY).startswith("refused"):
            continue
        refused += 1
        given = ["--arch", arch] if arch else []
        for main, arguments in (
            (inspect.main, [str(path), *given]),
            (run.main, ["--net", str(path), *given]),
        ):
            assert main(arguments) == 2
            said = capsys.readouterr()
            assert (
                not said.out
                and said.err.startswith("eventsnn: error: ")
                and said.err.count("\n") == 1
            )
        if refused == 12:
            return
    raise AssertionError("too few were refused")
