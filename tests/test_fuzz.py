"""No file does worse than one line. Mutants of valid files of every kind that has a reader, each
read under limits.

A mutant is refused with an InputError of one printable line, or it loads. What loads has to be
explainable: a Graph with finite parameters that survives being checked, written as a checkpoint and
read again; where the damage is one that must not matter, the network of the file that was mutated;
and where it must matter, nothing. Whatever else happens is a fault: another exception, more than
LIMIT seconds, more than ROOM bytes, or the death of the process, since readers run in a worker that
may be lost. A mutant is its number.

    python tests/test_fuzz.py 50000            reads the mutants 0 to 49,999 and says what became of
    them python tests/test_fuzz.py 4711 4712        reads one
"""

import collections
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import h5py
import mutants
import numpy as np
import pytest

from eventsnn import inspect, run
from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.readers import load, read_native, write_native

MUTANTS = 2000
LIMIT, ROOM = 10, 2**29  # seconds; bytes beside what the process has when it starts
SEEDS_OF_KIND = {"native": 5, "mapping": 3, "keras": 6, "keras weights": 3, "torch": 1, "onnx": 4}


class Reader:
    """Makes mutants in a folder of its own, and reads them."""

    def __init__(self, folder):
        self.folder, self.seeds = Path(folder), mutants.seeds(Path(folder))
        self.kinds = [
            kind for kind in SEEDS_OF_KIND if any(seed.kind == kind for seed in self.seeds)
        ]
        self.share = np.array([SEEDS_OF_KIND[kind] for kind in self.kinds], float)
        self.hashes = {seed: load(*self.write(seed, "seed")).hash for seed in self.seeds}

    def write(self, seed, name, data=None, text=None):
        """(path, arch) of a file with a seed's data, or other data, and another text as its .json
        file.
        """
        path, beside = self.folder / f"{name}.h5", self.folder / f"{name}.json"
        path.write_bytes(seed.data if data is None else data)
        if isinstance(seed.arch, bytes):
            beside.write_bytes(seed.arch if text is None else text)
        return path, str(beside) if isinstance(seed.arch, bytes) else seed.arch

    def mutant(self, number):
        """(seed, what was done, path, arch, what a reader has to do)."""
        rng, name = np.random.default_rng(number), f"mutant{number}"
        kind = rng.choice(self.kinds, p=self.share / self.share.sum())
        seeds = [seed for seed in self.seeds if seed.kind == kind]
        seed = seeds[rng.integers(len(seeds))]
        path, arch = self.write(seed, name)
        if isinstance(seed.arch, bytes) and rng.random() < 0.3:
            damage = "bytes of JSON" if rng.random() < 0.3 else "JSON"
            text, expected = (
                mutants.damage_json(seed.arch, rng)
                if damage == "JSON"
                else (mutants.damage_bytes(seed.arch, [seed.data], rng), mutants.ANY)
            )
            return seed, damage, *self.write(seed, name, text=text), expected
        if rng.random() < 0.5:
            data = mutants.damage_bytes(seed.data, [other.data for other in self.seeds], rng)
            return seed, "bytes", *self.write(seed, name, data), mutants.ANY
        if seed.kind == "onnx":
            data, expected = mutants.damage_onnx(seed.data, rng)
            return seed, "a model", *self.write(seed, name, data), expected
        expected = None
        while expected is None:
            damage = str(rng.choice([*mutants.DATASETS, *list(mutants.WHOLE) * 5]))
            expected = mutants.damage_hdf5(seed, path, damage, rng)
        return seed, damage, path, arch, expected

    def judge(self, seed, path, arch, expected):
        """What becomes of a mutant: "refused", "the same network", "another network", or "fault:
        …".
        """
        try:
            graph = load(path, arch)
        except InputError as error:
            if not str(error).isprintable():
                return f"fault: a message that is not one line: {error!r}"
            return f"fault: refused: {error}" if expected == mutants.SAME else "refused"
        if expected == mutants.REFUSE:
            return "fault: it was read"
        if graph.hash == self.hashes[seed]:
            return "the same network"
        if expected == mutants.SAME:
            return "fault: it was read as another network"
        for node in graph.nodes:
            if not all(
                array.dtype.kind == "f" and np.isfinite(array).all()
                for array in node.params.values()
            ):
                return f"fault: {node.name} has parameters that are not finite"
        again = Graph(
            graph.nodes,
            graph.input,
            graph.output,
            graph.input_shape,
            graph.preprocessing,
            path.name,
            graph.meta,
        )
        write_native(again, path)
        return (
            "another network"
            if read_native(path).hash == graph.hash
            else "fault: it changes when it is written"
        )


def work(pipe, folder, numbers):
    """The worker: sends (number, seed's name, damage, verdict, seconds) of each mutant."""
    reader, before = Reader(folder), memory()
    for number in numbers:
        pipe.send((number, "a mutant", "under way", "", 0.0))
        seed, damage, path, arch, expected = reader.mutant(number)
        start = time.perf_counter()
        try:
            verdict = reader.judge(seed, path, arch, expected)
        except BaseException as error:  # whatever it is, it is the fault that is looked for
            verdict = f"fault: {type(error).__name__}: {error}"
        seconds, used = time.perf_counter() - start, memory() - before
        if used > ROOM:
            verdict, before = f"fault: {used / 2**20:,.0f} MB ({verdict})", memory()
        pipe.send((number, seed.name, damage, verdict, seconds))
        for file in reader.folder.glob("mutant*"):
            file.unlink()
    pipe.send(None)


def memory():
    """The most bytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def fuzz(first, last, folder):
    """Yield (number, seed's name, damage, verdict, seconds) of mutants; a worker that dies or hangs
    is replaced.
    """
    context, number = multiprocessing.get_context("spawn"), first
    while number < last:
        here, there = context.Pipe(duplex=False)
        worker = context.Process(
            target=work, args=(there, folder, range(number, last)), daemon=True
        )
        worker.start()
        there.close()
        wait, end, found = 120, "", None  # it imports first
        while not end:
            try:
                found = (
                    here.recv()
                    if here.poll(wait)
                    else (number, "", "", f"fault: more than {wait} seconds", float(wait))
                )
            except EOFError:
                found = (number, "", "", f"fault: the process died ({worker.exitcode})", 0.0)
            wait = LIMIT
            if found is None:
                return
            if found[3]:
                yield found
                number = found[0] + 1
                end = "" if found[1] else "lost"
        worker.kill()
        worker.join()


def report(first, last, folder):
    """Print what becomes of mutants; returns how many are refused, the same network, another
    network and faults.
    """
    counts, slowest, start = collections.Counter(), [], time.perf_counter()
    for number, seed, damage, verdict, seconds in fuzz(first, last, folder):
        counts[verdict.partition(":")[0]] += 1
        slowest = sorted([*slowest, (seconds, number, seed, damage)])[-5:]
        if verdict.startswith("fault"):
            print(f"{number}, {seed}, {damage}: {verdict[:500]}", flush=True)
    print(
        f"{last - first:,} mutants in {time.perf_counter() - start:,.0f} s: {', '.join(f'{n:,} {v}' for v, n in counts.most_common())}"
    )
    print(
        "slowest:",
        "; ".join(f"{s:.2f} s ({n}, {seed}, {damage})" for s, n, seed, damage in slowest[::-1]),
    )
    return counts


def test_mutants_are_refused_or_explained(capsys, tmp_path):
    counts = report(0, MUTANTS, tmp_path)
    assert not counts["fault"], capsys.readouterr().out
    assert (
        sum(counts.values()) == MUTANTS
        and min(counts[v] for v in ("refused", "the same network", "another network"))
        > MUTANTS / 100
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("damage", [*mutants.DATASETS, *mutants.WHOLE])
def test_every_hostile_kind_in_every_kind_of_file(reader, damage):
    """In a dataset at the beginning, in the middle and at the end, and in the last bias."""
    rng, seen = np.random.default_rng(0), set()
    for seed in reader.seeds:
        path, arch = reader.write(seed, "hostile")
        if seed.kind in seen or not path.read_bytes().startswith(b"\x89HDF"):
            continue
        seen.add(seed.kind)
        with h5py.File(path) as file:
            names = mutants.parameters(file)
        biases = [name for name in names if name.endswith("bias")]
        for name in (names[0], names[len(names) // 2], names[-1], *biases[-1:]):
            expected = mutants.damage_hdf5(seed, path, damage, rng, name)
            verdict = reader.judge(seed, path, arch, expected)
            assert expected is None or not verdict.startswith("fault"), (
                f"{seed.name}, {name}: {verdict}"
            )
    assert len(seen) == 5


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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.exit(1 if report(*(0, *map(int, sys.argv[1:]))[-2:], Path(place))["fault"] else 0)
