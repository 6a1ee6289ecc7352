"""Takes mutants the whole way: load, convert, both engines, trace, results folder, report, exports.

What loads is first judged by another reader of the same file, which shares no code with
eventsnn's: plain h5py, in a copy of the process with limits, or onnx's own evaluator. The network
of a seed goes the whole way once; a mutant with that same network does not go again.
"""

import contextlib
import io
import json

import h5py
import numpy as np
from support.fuzzing import ARCHIVES, Reader, one_line

import eventsnn
from eventsnn.ann.forward import forward
from eventsnn.exceptions import InputError
from eventsnn.files.trial import trial
from eventsnn.readers import load
from eventsnn.run import main
from eventsnn.runs.results import open_results

STEPS = 4


class Whole(Reader):
    """As `Reader`, but what was read goes on; its verdicts are then told apart by where it ended:
    "refused", "refused later", "the same network", "another network" or "fault: …".
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.gone = {}  # seed -> verdict on its own network
        self.judged = {}  # seed -> whether plain h5py finds its parameters in its file

    def judge(self, seed, path, arch, expected):
        data = path.read_bytes()
        verdict = super().judge(seed, path, arch, expected)
        path.write_bytes(data)
        if verdict == "the same network":
            if seed not in self.gone:
                self.gone[seed] = self.go(path, arch)
            return self.gone[seed] if self.gone[seed].startswith("fault") else verdict
        if verdict != "another network":
            return verdict
        wrong = self.compare(seed, path, arch)
        return f"fault: wrong success: {wrong}" if wrong else self.go(path, arch)

    def compare(self, seed, path, arch):
        """What differs between a mutant's network and what another reader finds, or ""."""
        graph = load(path, arch)
        if seed.kind in ARCHIVES:
            return ""  # of which there is no other reader
        if seed.kind == "onnx":
            seed_path, _ = self.write(seed, "seed")
            known = not _as_onnx(load(seed_path), seed_path)  # else onnx's evaluator is no judge
            return _as_onnx(graph, path) if known else ""

        def plain(graph, path):
            with h5py.File(path) as file:
                _same_native(graph, file) if seed.kind == "native" else _same_values(graph, file)

        if seed not in self.judged:  # where parameters are computed, plain h5py is no judge
            seed_path, seed_arch = self.write(seed, "seed")
            own = load(seed_path, seed_arch)
            self.judged[seed] = not trial(lambda: plain(own, seed_path), 10, 2**30)
        return trial(lambda: plain(graph, path), 10, 2**30) if self.judged[seed] else ""

    def go(self, path, arch):
        """The verdict on a network that can be read."""
        told = io.StringIO()
        out = self.folder / f"{path.stem}-out"
        words = ["--net", path, "--engine", "event", "--trace", "spikes", "--steps", STEPS]
        words += ["--limit", 1, "--export", "nir,gdf,sonata", "--out", out, "--quiet"]
        words += ["--workers", 1]
        words += ["--arch", arch] if arch else []
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            status = main([str(word) for word in words])
        lines = [line for line in told.getvalue().splitlines() if "warning" not in line]
        if status:
            fine = status == 2 and len(lines) == 1 and lines[0].startswith("eventsnn: error: ")
            return "refused later" if fine and lines[0].isprintable() else f"fault: {lines}"
        if lines:
            return f"fault: it said {lines}"
        results = open_results(out)
        trace = results.trace()
        repr(results)
        counted = results.counts["spikes"].sum()
        if len(trace.spikes) != counted:
            return f"fault: a trace of {len(trace.spikes)} spikes, {counted} counted"
        try:
            return self.simulate(load(path, arch))
        except InputError as error:
            return "refused later" if one_line(error) else f"fault: {error!r}"

    def simulate(self, graph):
        """Both engines in Python, with their tables, and laws that hold for any network."""
        pixels = np.random.default_rng(0).integers(0, 256, (2, *graph.input_shape), np.uint8)
        network = eventsnn.convert(graph, calibration=pixels)
        ways = {"clocked": {}, "event": {"order": "clocked"}}

        def run(engine, bits=None):
            return eventsnn.simulate(
                network,
                pixels,
                steps=STEPS,
                engine=engine,
                workers=1,
                fraction_bits=bits,
                **ways[engine],
            )

        clocked, event = map(run, ways)
        for result in clocked, event:
            repr(result), result._repr_html_(), result.table()
        bits = [result.simulation.arithmetic.fraction_bits for result in (clocked, event)]
        if bits[0] != bits[1]:  # each has the most that its bound allows
            clocked, event = (run(engine, min(bits)) for engine in ways)
        if not np.array_equal(event.spikes, clocked.spikes):
            return "fault: the engines differ"
        if not np.array_equal(event.batch.readout, clocked.batch.readout):
            return "fault: the engines' readouts differ"
        return (
            "another network" if np.isfinite(clocked.batch.readout).all() else "fault: no numbers"
        )


def _same_native(graph, file):
    """Raises AssertionError unless nodes and parameters are those of a checkpoint."""
    entries = json.loads(np.asarray(file["graph"][()]).item().rstrip(b"\0"))["nodes"]
    assert [entry["name"] for entry in entries] == [node.name for node in graph.nodes]
    for entry, node in zip(entries, graph.nodes):
        assert (entry["op"], tuple(entry["inputs"])) == (node.op, node.inputs)
        for role, place in entry.get("params", {}).items():
            assert np.array_equal(file["params"][place][()], node.params[role])


def _same_values(graph, file):
    """Raises AssertionError unless each parameter's values are those of a dataset of the file, in
    whatever order, or all the same number.
    """
    stored = set()

    def note(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            stored.add(np.sort(np.ravel(item[()]).astype("f8")).tobytes())

    file.visititems(note)
    for node in graph.nodes:
        for array in node.params.values():
            values = np.sort(np.ravel(array).astype("f8"))
            assert values[0] == values[-1] or values.tobytes() in stored


def _as_onnx(graph, path):
    """What differs from onnx's evaluator on one image, or "", also where that one cannot run it."""
    from onnx.reference import ReferenceEvaluator

    pixels = np.random.default_rng(0).uniform(0, 1, (1, *graph.input_shape)).astype(np.float32)
    with np.errstate(all="ignore"):
        ours = forward(graph, pixels)[graph.output]
        try:
            evaluator = ReferenceEvaluator(str(path))
            name = evaluator.input_names[0]
            theirs = np.asarray(evaluator.run(None, {name: pixels})[0])
        except Exception:  # it knows fewer models, and checks less
            return ""
    same = theirs.size == ours.size and np.allclose(
        np.ravel(ours), np.ravel(theirs), rtol=1e-3, atol=1e-4 * np.abs(theirs).max()
    )
    return "" if same else f"onnx gives {np.ravel(theirs)[:3]}, the graph {np.ravel(ours)[:3]}"
