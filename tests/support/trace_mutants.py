"""Mutants of trace files: bytes damaged at random, structure damaged on purpose; and what becomes
of them.

A damage returns what a reader has to do with the file: REFUSE it, or ANY. Whatever is read has to
hold what `holds` finds with plain h5py; and a replay tells all that differs from the run. All that
is random comes from the Generator that is given. A mutant is its number.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from support import mutants
from support.mutants import ANY, REFUSE
from support.traced import IMAGE, traced

from eventsnn.exceptions import InputError
from eventsnn.export import spikes
from eventsnn.trace import TraceFile, read_trace
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.replay import replay

WAYS = (
    ("fifo", "if", "fixed", {}),
    ("window, halves", "snm", "fixed", {}),
    ("delays by projection", "if", "float32", {}),
    ("refractory, random", "snm", "fixed", {"steps": (1, 2)}),
)


@dataclass
class Seed:
    """A trace file, with the run that it is of."""

    name: str
    data: bytes
    run: object
    trace: object


def seeds(folder):
    """A trace file in each of WAYS, the last of them a part of a trace."""
    found = []
    for number, (case, model, arithmetic, part) in enumerate(WAYS):
        run = traced(number % 2, case, model, arithmetic)
        path = folder / "trace-3.h5"
        sink = TraceFile(path, run.simulation, IMAGE, **part)
        run.simulation.run(run.pixels[None], numbers=[IMAGE], sinks=[sink])
        trace = read_trace(path, run.simulation)
        found.append(Seed(case, path.read_bytes(), run, trace))
    return found


def datasets(file):
    """The paths of all datasets."""
    found = []
    file.visit(found.append)
    return [name for name in found if isinstance(file[name], h5py.Dataset)]


def again(file, name, values, **options):
    """Puts other values in a dataset's place, with its attributes."""
    attributes = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, data=values, **options)
    dataset.attrs.update(attributes)


# --- damages: (file, name of a dataset, rng) -> what a reader has to do, or None ---------------


def gone(file, name, rng):
    del file[name]
    return REFUSE


def a_group(file, name, rng):
    del file[name]
    file.create_group(name)
    return REFUSE


def a_link(file, name, rng):
    del file[name]
    file[name] = h5py.SoftLink("/drive") if rng.random() < 0.5 else h5py.ExternalLink("x", "/x")
    return REFUSE


def another_length(file, name, rng):
    values = file[name][()]
    if len(values) < 2:
        return None
    most = int(rng.integers(1, len(values)))
    longer = rng.random() < 0.5
    again(file, name, np.concatenate([values, values[-most:]]) if longer else values[:-most])
    # of starts and drives of steps another number may be
    return ANY if name in ("starts", "drive") else REFUSE


def another_type(file, name, rng):
    values = file[name][()]
    kinds = [k for k in ("i1", "u2", "i4", ">i4", "i8", "u8", "f4", "f8") if k != values.dtype]
    with np.errstate(all="ignore"):
        again(file, name, values.astype(rng.choice(kinds)))
    return REFUSE


def text(file, name, rng):
    again(file, name, np.array([b"x"] * len(file[name]), "S3"))
    return REFUSE


def another_shape(file, name, rng):
    values = file[name][()]
    again(file, name, values[..., None] if rng.random() < 0.5 else values.ravel()[:1].reshape(()))
    return REFUSE


def huge(file, name, rng):
    shape = (10**15, *file[name].shape[1:])
    kind = file[name].dtype
    del file[name]
    file.create_dataset(name, shape, kind, chunks=(2**10, *shape[1:]))
    return REFUSE


def bomb(file, name, rng):
    """As many zeros as a small file can hold, compressed."""
    if file[name].ndim > 1:
        return None
    kind = file[name].dtype
    del file[name]
    rows = 2**20
    dataset = file.create_dataset(name, (200 * rows,), kind, chunks=(rows,), compression="gzip")
    chunk = zlib.compress(bytes(rows * kind.itemsize))
    for at in range(200):
        dataset.id.write_direct_chunk((at * rows,), chunk)
    return REFUSE


# column -> values that it can never have, with the file's own numbers
def wrong_values(file, name):
    """Values that a dataset can never have at any place."""
    column = name.rpartition("/")[2]
    end, steps = int(file.attrs["end"]), len(file["starts"])
    sizes = dict(zip(*(json.loads(file.attrs[key]) for key in ("layers", "neurons"))))
    layer = name.split("/")[1] if name.startswith("spikes/") else None
    if name in ("drive", "starts") or column.startswith("v_"):
        return [np.nan, np.inf] if file[name].dtype.kind == "f" else [-1] * (name == "starts")
    count = 2**40 if "deliveries" not in file else len(file["deliveries/spike"])
    return {
        "timestamps": [np.nan, np.inf, -1.0, 2.0**40],
        "node_ids": [2**40, 2**63, sizes.get(layer, 0)],
        "seq": [2**63, 2**64 - 1],
        "tick": [-1, end + 1, 2**62],
        "step": [-1, steps, 2**31 - 1],
        "event": [-1, -(2**63)],
        "sign": [0, 2, -128],
        "member": [0],
        "cause": [-2, 2**40, -(2**63)],
        "spike": [-1, -2, count + 1, 2**62, -(2**63)],
        "half": [-1, 3],
        "projection": [-2, 2**20],
    }.get(column, [])


def wrong_value(file, name, rng):
    values = wrong_values(file, name)
    if not values or not file[name].size:
        return None
    array = file[name][()]
    array[int(rng.integers(len(array)))] = values[rng.integers(len(values))]
    file[name][...] = array
    return REFUSE


def another_value(file, name, rng):
    array = file[name][()]
    if not len(array):
        return None
    at = int(rng.integers(len(array)))
    array[at] = array[int(rng.integers(len(array)))] + int(rng.integers(0, 2))
    file[name][...] = array
    return ANY


def rows_exchanged(file, name, rng):
    array = file[name][()]
    array[:] = array[rng.permutation(len(array))]
    file[name][...] = array
    return ANY


DATASETS = {
    f.__name__: f
    for f in (
        gone,
        a_group,
        a_link,
        another_length,
        another_type,
        text,
        another_shape,
        huge,
        bomb,
        wrong_value,
        another_value,
        rows_exchanged,
    )
}


def groups_exchanged(file, rng):
    """Two layers' spikes under each other's names."""
    names = list(file["spikes"])
    if len(names) < 2:
        return None
    one, other = rng.choice(names, 2, replace=False)
    group = file["spikes"]
    for source, target in ((one, "x"), (other, one), ("x", other)):
        group.move(source, target)
    return REFUSE


def columns_exchanged(file, rng):
    names = datasets(file)
    one, other = rng.choice(names, 2, replace=False)
    for source, target in ((one, "x"), (other, one), ("x", other)):
        file.move(source, target)
    return ANY


def layer_gone(file, rng):
    del file["spikes"][rng.choice(list(file["spikes"]))]
    return ANY


def another_layer(file, rng):
    file.copy(file["spikes"][rng.choice(list(file["spikes"]))], file["spikes"], "another")
    return REFUSE


def group_gone(file, rng):
    name = str(rng.choice([name for name in ("spikes", "deliveries") if name in file]))
    del file[name]
    if rng.random() < 0.5:
        file[name] = 1
    return REFUSE


def needed_gone(file, rng):
    del file.attrs[rng.choice(["format", "image", "layers", "neurons", "ticks_per_step", "end"])]
    return REFUSE


VALUES = (-1, 0, 1, 2**40, 1.5, "", "x", "[]", "{}", "[1]", '["a"]', "[" * 9000, np.zeros(3))
OTHER_VALUES = ("NaN", '{"a": 1}', "[-1]", "[1e400]", np.float64("nan"), np.void(b"xy"))


def attribute(file, rng):
    """Another value of what a file says of itself."""
    key = str(rng.choice(list(file.attrs)))
    values = (*VALUES, *OTHER_VALUES)
    file.attrs[key] = values[rng.integers(len(values))]
    return ANY


def words(file, rng):
    """Damage in the JSON of an attribute."""
    key = str(
        rng.choice([k for k in ("layers", "neurons", "decides", "semantics") if k in file.attrs])
    )
    value, _ = mutants.damage_json(file.attrs[key], rng)
    file.attrs[key] = value.decode("utf-8", "replace").replace("\0", "")
    return ANY


def names_of_layers(file, rng):
    names = json.loads(file.attrs["layers"])
    file.attrs["layers"] = json.dumps([names[i] for i in rng.permutation(len(names))])
    return ANY


WHOLE = {
    f.__name__: f
    for f in (
        groups_exchanged,
        columns_exchanged,
        layer_gone,
        another_layer,
        group_gone,
        needed_gone,
        attribute,
        words,
        names_of_layers,
    )
}


class Mutants:
    """Makes mutants in a folder of its own, and judges what becomes of them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.seeds = seeds(self.folder)

    def mutant(self, number):
        """(seed, what was done, path, what a reader has to do)."""
        rng = np.random.default_rng(number)
        path = self.folder / "results" / f"trace-{IMAGE}.h5"
        path.parent.mkdir(exist_ok=True)
        while True:
            seed = self.seeds[rng.integers(len(self.seeds))]
            path.write_bytes(seed.data)
            kind = rng.random()
            if kind < 0.25:
                others = [other.data for other in self.seeds]
                path.write_bytes(mutants.damage_bytes(seed.data, others, rng))
                return seed, "bytes", path, ANY
            with h5py.File(path, "a") as file:
                if kind < 0.75:
                    damage = str(rng.choice(list(DATASETS)))
                    name = str(rng.choice(datasets(file)))
                    expected = DATASETS[damage](file, name, rng)
                    damage = f"{damage} {name}"
                else:
                    damage = str(rng.choice(list(WHOLE)))
                    expected = WHOLE[damage](file, rng)
            if expected:
                return seed, damage, path, expected

    def judge(self, seed, path, expected):
        """What becomes of a mutant: "refused", "read", or "fault: …"."""
        simulation = seed.run.simulation
        try:
            return self._judged(seed, path, expected, simulation)
        except Exception as error:
            return f"fault: {type(error).__name__}: {error}"

    def _judged(self, seed, path, expected, simulation):
        alone = tried(lambda: read_trace(path))
        trace = tried(lambda: read_trace(path, simulation))
        gdf, sonata = self.folder / "s.gdf", self.folder / "s.h5"
        written = [
            tried(lambda: spikes.write_gdf(path, gdf)),
            tried(lambda: spikes.write_sonata(path, sonata)),
        ]
        refused = isinstance(alone, InputError)
        if any(isinstance(found, InputError) != refused for found in written):
            return "fault: exports and the reader disagree"
        if refused and not isinstance(trace, InputError):
            return "fault: read with a simulation, not alone"
        for error in (alone, trace, *written):
            if isinstance(error, InputError) and not str(error).isprintable():
                return f"fault: a message that is not one line: {error!r}"
        if refused:
            return "refused"
        if expected == REFUSE:
            return "fault: it was read"
        if wrong := holds(path):
            return f"fault: it was read, with wrong {wrong}"
        if isinstance(trace, InputError):
            return "refused"
        for seq in (0, len(trace.spikes) // 2, len(trace.spikes) - 1):
            tried(lambda seq=seq: str(explain_spike(trace, seq)))
            if 0 <= seq < len(trace.spikes):
                layer, neuron = trace.spikes[["layer", "neuron"]][seq].tolist()
                tried(lambda at=(layer, neuron): str(explain_neuron(trace, *at)))
        again = tried(lambda: replay(simulation, trace))
        refused = isinstance(again, InputError)
        if same(trace, seed.trace):
            # of another drive only what fires is seen
            if refused and np.array_equal(trace.drive, seed.trace.drive) and trace.complete:
                return f"fault: replay says {again}"
        elif not refused:
            return "fault: replay takes another run for this one"
        return "read"


def same(one, other):
    """Whether two traces have the same events."""
    fields = ("spikes", "deliveries", "starts")
    return one.end == other.end and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in fields
    )


def tried(call):
    """What a call returns, or the InputError that it raises."""
    try:
        return call()
    except InputError as error:
        return error


def holds(path):
    """What in a trace file is not as it must be, read with plain h5py; "" where all is."""
    with h5py.File(path) as file:
        layers, sizes = (json.loads(file.attrs[key]) for key in ("layers", "neurons"))
        starts, ticks = file["starts"][()].tolist(), int(file.attrs["ticks_per_step"])
        ends = [*starts[1:], int(file.attrs["end"])]
        if starts[0] != 0 or any(end - start < ticks for start, end in zip(starts, ends)):
            return "starts"
        if file["drive"].shape[-1] != sum(sizes) or not np.isfinite(file["drive"][()]).all():
            return "drive"
        fired = {}
        for layer, name in enumerate(layers[:-1]):
            group = file["spikes"].get(name, {})
            columns = {key: group[key][()].tolist() for key in group}
            for i, seq in enumerate(columns.get("seq", ())):
                row = {key: values[i] for key, values in columns.items()}
                in_step = 0 <= row["step"] < len(starts)
                if not in_step or not starts[row["step"]] <= row["tick"] <= ends[row["step"]]:
                    return "step or tick"
                if (
                    row["timestamps"] != row["tick"] / ticks
                    or not 0 <= row["node_ids"] < sizes[layer]
                ):
                    return "timestamps or node_ids"
                if row["sign"] not in (1, -1) or row["member"] < 1 or not -1 <= row["cause"] < seq:
                    return "sign, member or cause"
                if seq in fired or not all(map(np.isfinite, row.values())):
                    return "seq or potentials"
                fired[seq] = row | {"layer": layer}
        order = [fired[seq] for seq in sorted(fired)]
        for before, after in zip(order, order[1:]):
            if any(after[key] < before[key] for key in ("tick", "step", "event")):
                return "order"
        if not file.attrs["complete"]:
            return ""
        if sorted(fired) != list(range(len(fired))):
            return "seq"
        group = file["deliveries"]
        came = {}
        for event, tick, spike in zip(
            *(group[key][()].tolist() for key in ("event", "tick", "spike"))
        ):
            if event in came or spike not in fired or tick < fired[spike]["tick"]:
                return "deliveries"
            came[event] = spike
        for row in order:
            if row["cause"] >= 0 and came.get(row["event"]) != row["cause"]:
                return "cause"
            if row["cause"] >= 0 and fired[row["cause"]]["layer"] >= row["layer"]:
                return "layer of the cause"
    return ""
