"""Reads mutants of valid files under limits of time and memory, and says what became of them.

A mutant is refused with an InputError of one printable line, or it loads. What loads has to be
explainable: a Graph with finite parameters that survives being checked, written as a checkpoint and
read again; where the damage is one that must not matter, the network of the file that was mutated;
and where it must matter, nothing. Whatever else happens is a fault: another exception, more than
LIMIT seconds, more than ROOM bytes, or the death of the process, since readers run in a worker that
may be lost. A mutant is its number.
"""

import collections
import multiprocessing
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from support import archive_mutants, mutants

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.readers import load, read_native, write_native

# seconds of computing and of the clock; bytes beside what the process has when it starts
LIMIT, WAIT, ROOM = 20, 300, 2**30
START = 900  # seconds, in which a worker imports and compiles
SEEDS_OF_KIND = {
    "native": 5,
    "mapping": 3,
    "keras": 6,
    "keras weights": 3,
    "torch": 1,
    "onnx": 4,
    "keras archive": 3,
    "torch zip": 3,
    "torch stream": 2,
    "safetensors": 2,
    "nir": 3,
}
ARCHIVES = ("keras archive", "torch zip", "torch stream", "safetensors")


def one_line(error):
    """Whether an error's message is one printable line."""
    return str(error).isprintable()


class Reader:
    """Makes mutants in a folder of its own, and reads them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.seeds = mutants.seeds(self.folder) + archive_mutants.seeds(self.folder)
        self.kinds = [
            kind for kind in SEEDS_OF_KIND if any(seed.kind == kind for seed in self.seeds)
        ]
        self.share = np.array([SEEDS_OF_KIND[kind] for kind in self.kinds], float)
        self.hashes = {}

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
        if seed.kind in ARCHIVES:
            others = [other.data for other in self.seeds]
            data, expected = archive_mutants.damage(seed, others, rng)
            return seed, "structure", *self.write(seed, name, data), expected
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
            if not one_line(error):
                return f"fault: a message that is not one line: {error!r}"
            return f"fault: refused: {error}" if expected == mutants.SAME else "refused"
        if expected == mutants.REFUSE:
            return "fault: it was read"
        if seed not in self.hashes:
            self.hashes[seed] = load(*self.write(seed, "seed")).hash
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


def work(pipe, make, folder, numbers):
    """The worker: sends (number, seed's name, damage, verdict, seconds) of each mutant.

    make: the class of its reader.
    """
    reader, before = make(folder), memory()
    for number in numbers:
        pipe.send((number, "a mutant", "under way", "", 0.0))
        seed, damage, path, arch, expected = reader.mutant(number)
        start = time.process_time()  # what others do with the processor is not its fault
        try:
            verdict = reader.judge(seed, path, arch, expected)
        except BaseException as error:  # whatever it is, it is the fault that is looked for
            verdict = f"fault: {type(error).__name__}: {error}"
        seconds, used = time.process_time() - start, memory() - before
        if seconds > LIMIT:
            verdict = f"fault: {seconds:.0f} seconds ({verdict})"
        if used > ROOM:
            verdict, before = f"fault: {used / 2**20:,.0f} MB ({verdict})", memory()
        pipe.send((number, seed.name, damage, verdict, seconds))
        for file in reader.folder.glob("mutant*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    pipe.send(None)


def memory():
    """The most bytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def fuzz(first, last, folder, make=Reader):
    """Yield (number, seed's name, damage, verdict, seconds) of mutants; a worker that dies or hangs
    is replaced.
    """
    context, number = multiprocessing.get_context("spawn"), first
    while number < last:
        here, there = context.Pipe(duplex=False)
        worker = context.Process(
            target=work, args=(there, make, folder, range(number, last)), daemon=True
        )
        worker.start()
        there.close()
        wait, end, found = START, "", None  # it imports first
        while not end:
            try:
                found = (
                    here.recv()
                    if here.poll(wait)
                    else (number, "", "", f"fault: more than {wait} seconds", float(wait))
                )
            except EOFError:
                if wait == START:
                    raise RuntimeError("the worker does not start") from None
                found = (number, "", "", f"fault: the process died ({worker.exitcode})", 0.0)
            wait = WAIT
            if found is None:
                return
            if found[3]:
                yield found
                number = found[0] + 1
                end = "" if found[1] else "lost"
        worker.kill()
        worker.join()


def report(first, last, folder, make=Reader):
    """Print what becomes of mutants; returns how many are refused, the same network, another
    network and faults. make: the class that judges them.
    """
    counts = collections.Counter()
    slowest = []
    start = time.perf_counter()
    try:
        for number, seed, damage, verdict, seconds in fuzz(first, last, folder, make):
            counts[verdict.partition(":")[0]] += 1
            slowest = sorted([*slowest, (seconds, number, seed, damage)])[-5:]
            if verdict.startswith("fault"):
                print(f"{number}, {seed}, {damage}: {verdict[:500]}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    print(
        f"{sum(counts.values()):,} mutants in {time.perf_counter() - start:,.0f} s: "
        f"{', '.join(f'{n:,} {v}' for v, n in counts.most_common())}"
    )
    print(
        "slowest:",
        "; ".join(f"{s:.2f} s ({n}, {seed}, {damage})" for s, n, seed, damage in slowest[::-1]),
    )
    return counts
