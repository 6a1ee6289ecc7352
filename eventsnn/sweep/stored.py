"""What the scripts in analysis/ simulate, or read from a store of their plan (--from)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError, PotentialsTooLarge, TooManyEvents
from eventsnn.files.writing import new_file
from eventsnn.inputs.loading import load_graph, load_part
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.settings import Settings, option_in
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import Conditions
from eventsnn.studies import scripts
from eventsnn.sweep.cells import cell_of
from eventsnn.sweep.opened import open as open_store
from eventsnn.sweep.plan import BESIDE, INSTEAD, answers_shorter
from eventsnn.sweep.store import FAILED, Store

SIZE = 100  # images of a cell of a script's plan
# options of `simulate` that Settings spells in another way
SPELT = {"delays": ("delay", lambda value: value), "barrier": ("free_running", lambda on: not on)}
EXPLOSIONS = (TooManyEvents, PotentialsTooLarge)
GROUPS = ("input", "conversion", "simulation", "asynchronous")


class Way(NamedTuple):
    """A way in which a script runs the network.

    changes: options of the conversion. options: of `simulate`. seeds: that it is run with.
    """

    changes: dict[str, Any]
    options: dict[str, Any]
    seeds: Sequence[int]


Ways = Callable[[argparse.Namespace], Iterable[Way]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds --from and --plan. parser: of a script, as `scripts.options` made it."""
    words = "read what would be simulated from this store of `eventsnn sweep`"
    parser.add_argument("--from", dest="store", metavar="STORE", help=words)
    words = "write the plan of such a store to a file, and do nothing else"
    parser.add_argument("--plan", metavar="FILE", help=words)


def run(
    study: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    ways: Ways,
    argv: Sequence[str] | None = None,
) -> int:
    """As `scripts.run`, but with --plan FILE the script's plan is written, and nothing is run.

    study, parser, argv, and what is returned: as there. ways: function of the options, which
    returns what the study runs.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "--plan" not in argv:
        return scripts.run(study, parser, argv)
    try:
        args = parser.parse_args(argv)
        args.settings = scripts.settings_of(args)
        args.seed = args.settings.seed
        text = toml_of(args.settings, ways(args))
        with new_file(args.plan) as file:
            file.write(text.encode())
    except InputError as error:
        print(f"error: {error.flags}", file=sys.stderr)
        return 2
    print(f"plan in {args.plan}; run it with eventsnn sweep, then give --from STORE")
    return 0


def options_of(settings: Settings, way: Way, seed: int) -> dict[str, Any]:
    """The options of one run of a way, those that are not what they are by default.

    settings: of the script. seed: one of the way's. Raises InputError for options that do not go
    together.
    """
    changed = scripts.with_changes(settings, way.changes)
    given = {}
    for name, value in way.options.items():
        spelt, made = SPELT.get(name, (name, lambda value: value))
        given[spelt] = made(value)
    found = replace(changed, **given, seed=seed)
    kept = {}
    for f in fields_of(Settings):
        value = getattr(found, f.name)
        known = option_in(f)
        told = known.group in GROUPS and known.group not in BESIDE and f.name not in INSTEAD
        if told and value != f.default:
            kept[f.name] = value
    return kept


def toml_of(settings: Settings, ways: Iterable[Way]) -> str:
    """A script's plan as TOML. settings: of the script. ways: that it runs."""
    points = [options_of(settings, way, seed) for way in ways for seed in way.seeds]
    shared = {
        name: value
        for name, value in points[0].items()
        if all(json.dumps(point.get(name)) == json.dumps(value) for point in points)
    }
    lines = ["[options]", *(f"{name} = {_toml(value)}" for name, value in shared.items())]
    lines += ["", "[images]", f"size = {SIZE}"]
    if settings.limit is not None:
        lines.append(f"count = {settings.limit}")
    for point in points:
        own = {name: value for name, value in point.items() if name not in shared}
        lines += ["", "[[points]]", *(f"{name} = {_toml(value)}" for name, value in own.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run that a store has, as a `Result` is for what scripts ask of it.

    batch: its numbers; the readout is in the ANN's units. labels: int64 [N], or None. conditions:
    what decided it.
    """

    batch: Batch
    labels: NDArray[np.int64] | None
    conditions: Conditions

    def __len__(self) -> int:
        return len(self.batch.readout)

    def __repr__(self) -> str:
        return f"<StoredRun of {len(self)} images; {self.conditions}>"

    @property
    def spikes(self) -> NDArray[np.int64]:
        """See `Result.spikes`."""
        return self.batch.spikes

    @property
    def operations(self) -> NDArray[np.int64]:
        """See `Result.operations`."""
        return self.batch.operations

    def readout(self, step: int | None = None) -> NDArray[np.float64]:
        """See `Result.readout`. step: after how many steps (None: all)."""
        steps = self.batch.readout.shape[1]
        found: NDArray[np.float64] = self.batch.readout[:, (step or steps) - 1]
        return found

    def predictions(self, step: int | None = None) -> NDArray[np.int64]:
        """See `Result.predictions`. step: after how many steps (None: all)."""
        return classes_of(self.readout(step))


class Live:
    """What a script runs on, simulated here and now. args: the options of the script."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        graph, self.images, self.logits = scripts.given(args)
        self.graph: Any = graph
        assert self.images.labels is not None
        self.labels = self.images.labels
        self._networks: dict[str, Network] = {}

    def network(self, **changes: Any) -> Network:
        """The spiking network. changes: options of the conversion."""
        key = json.dumps(changes)
        if key not in self._networks:
            self._networks = {
                key: scripts.network_of(self.args, self.graph, self.images, **changes)
            }
        return self._networks[key]

    def some(self, count: int) -> Images:
        """At most `count` of the images."""
        return self.images.take(np.arange(min(count, len(self.images))))

    def runs(self, way: Way, images: int | None = None, progress: bool = True) -> list[Any]:
        """The `Result` of each seed.

        way: what is run. images: of how many, at most. progress: whether each run has a bar.
        """
        network = self.network(**way.changes)
        some = self.images if images is None else self.some(images)
        options = {"progress": progress, **way.options}
        return [simulate(network, some, seed=seed, **options) for seed in way.seeds]


class Stored:
    """What a script runs on, as a store has it: see `Live`. args: the options of the script.

    Raises InputError for what is no store, and where it lacks the ANN's outputs or labels.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.store = Store(args.store)
        self.record = self.store.record()
        self._data: dict[str, Any] = {}
        self.where = f"--from {args.store}"

    @cached_property
    def _group(self) -> str:
        """The group of the script's network and images."""
        wanted = options_of(self.args.settings, Way({}, {}, [0]), 0)
        names = [f.name for f in fields_of(Settings) if option_in(f).group == "input"]
        for name, group in self.record["groups"].items():
            its = group["rows"][0]["options"]
            if all(_same(its.get(key), wanted.get(key)) for key in names):
                return name
        found = ", ".join(sorted({group["net"] for group in self.record["groups"].values()}))
        do = "give the options that the store was made with"
        raise InputError(self.where, f"runs of {self.args.settings.net}", found, do)

    def _opened(self) -> Any:
        name = self._group
        if name not in self._data:
            self._data[name] = open_store(self.args.store, name)
        return self._data[name]

    @cached_property
    def count(self) -> int:
        """How many images there are."""
        there = int(self.record["groups"][self._group]["count"])
        asked = self.args.settings.limit
        if asked is not None and asked > there:
            print(f"{self.where}: {there:,} images of the {asked:,} asked for", file=sys.stderr)
        return there if asked is None else min(there, int(asked))

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """The ANN's outputs, [N, classes]."""
        found: NDArray[np.float32] = self._opened().ann.values[: self.count]
        if np.isnan(found).any():
            self._lacks("the ANN's outputs")
        return found

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The images' classes."""
        found: NDArray[np.int64] = self._opened().label.values[: self.count]
        if (found < 0).any():
            raise InputError(self.where, "images with labels", "none")
        return found

    @cached_property
    def images(self) -> Any:
        """Labels, and how many there are; there are no pixels."""
        return range(self.count)

    @cached_property
    def graph(self) -> Any:
        """What a title says of the ANN."""
        return SimpleNamespace(meta={"arch": self.record["groups"][self._group]["arch"]})

    @cached_property
    def _loaded(self) -> Any:
        """The ANN itself, which a store does not have."""
        return load_graph(self.args.settings)

    def network(self, **changes: Any) -> Network:
        """The spiking network, converted anew. changes: options of the conversion."""
        return network_of(self.args, self._loaded, **changes)

    def some(self, count: int) -> Images:
        """At most `count` of the images, read anew: a store has no pixels."""
        images, _ = load_part(self._loaded, self.args.settings, min(count, self.count))
        return images

    def _lacks(self, what: str) -> None:
        do = f"run its plan: --plan FILE writes it, eventsnn sweep FILE --store {self.args.store}"
        raise InputError(self.where, what, "none", do)

    def runs(self, way: Way, images: int | None = None, progress: bool = True) -> list[Any]:
        """A `StoredRun` for each seed.

        way: what is run. images: of how many, at most. progress: has no effect, as nothing is run.
        Raises InputError where the store does not have it, or where it failed: of the kinds in
        EXPLOSIONS where firing exploded.
        """
        count = self.count if images is None else min(images, self.count)
        return [self._run(way, seed, count) for seed in way.seeds]

    def _run(self, way: Way, seed: int, count: int) -> StoredRun:
        wanted = options_of(self.args.settings, way, seed)
        group = self.record["groups"][self._group]
        steps = int(wanted.pop("steps", Settings.steps))
        rows = [(place, row, dict(row["options"])) for place, row in enumerate(group["rows"])]
        for place, row, its in rows:
            last = int(its.pop("steps", Settings.steps))
            if _same(its, wanted) and (last == steps or last > steps and begins_alike(its)):
                return self._read(place, row, steps, count)
        words = ", ".join(f"{key}={value}" for key, value in {**wanted, "steps": steps}.items())
        self._lacks(f"a run with {words}")
        raise AssertionError

    def _read(self, place: int, row: dict[str, Any], steps: int, count: int) -> StoredRun:
        """A run's numbers. place: on the axis of runs. row: its own in the record."""
        data = self._opened().isel(run=place, image=slice(count), step=slice(steps))
        if not data.done.values.all():
            self._failed(row)
            self._lacks(f"all {count:,} images of run {row['key'][:8]}")

        def by_layer(name: str) -> NDArray[Any]:
            found: NDArray[Any] = data[name].values.swapaxes(1, 2)
            return found

        stage_one = None
        if row["options"].get("srp"):
            names = ("stage_one_spikes", "stage_one_operations")
            stage_one = np.stack([data[name].values for name in names], axis=1)
        batch = Batch(
            data.readout.values,
            by_layer("spikes"),
            by_layer("operations"),
            data.ties.values,
            data.t_eq.values,
            by_layer("digests"),
            stage_one=stage_one,
        )
        facts = self._facts(row)
        parts = {**facts["conditions"], "T": str(steps)}
        return StoredRun(batch, self.labels[:count], Conditions(parts))

    def _ids(self, row: dict[str, Any]) -> list[str]:
        group = self.record["groups"][self._group]
        parts = {(first, size): (first, size, digest) for first, size, digest in group["parts"]}
        cells = (
            cell_of(self._group, row["key"], parts[tuple(span)], group["network"], {})
            for span in row["spans"]
        )
        return [cell.id for cell in cells]

    def _facts(self, row: dict[str, Any]) -> dict[str, Any]:
        """What a run's first cell says of it."""
        found = self.store.of_cell(self._ids(row)[0])
        if found is None:
            self._lacks(f"run {row['key'][:8]}")
        assert found is not None
        facts: dict[str, Any] = found["facts"]
        return facts

    def _failed(self, row: dict[str, Any]) -> None:
        """Raises InputError where a cell of a run failed."""
        for cell_id in self._ids(row):
            found = self.store.of_cell(cell_id, FAILED)
            if found is not None:
                words = f"{found.get('kind')}: {found.get('message')}"
                if found.get("kind") == TooManyEvents.__name__:
                    raise TooManyEvents(words, 0, 0, ())
                if found.get("kind") == PotentialsTooLarge.__name__:
                    raise PotentialsTooLarge(words)
                do = f"see eventsnn sweep status {self.args.store}"
                raise InputError(self.where, "runs that ended well", words, do)


def network_of(args: argparse.Namespace, graph: Graph, **changes: Any) -> Network:
    """The spiking network of a script, without its images but for the first.

    args: the options. graph: the ANN. changes: options of the conversion. Raises InputError for
    what does not convert so.
    """
    images, _ = load_part(graph, args.settings, 1)
    return scripts.network_of(args, graph, images, **changes)


def source_of(args: argparse.Namespace) -> Live | Stored:
    """What a script runs on: a store, where --from names one. args: its options."""
    return Stored(args) if args.store is not None else Live(args)


def begins_alike(options: dict[str, Any]) -> bool:
    """Whether the first steps of a run are those of a shorter one, to the last bit.

    options: of the run. In fixed point only with fraction bits of its own, since T decides them.
    """
    bits = options.get("arithmetic", "fixed") != "fixed" or "fraction_bits" in options
    return bits and answers_shorter(options)


def _same(one: Any, other: Any) -> bool:
    """Whether two options, or two tables of them, are equal; JSON has lists for tuples."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def right_of(source: Live | Stored) -> float:
    """The ANN's accuracy. source: what a script runs on."""
    return float(np.mean(classes_of(source.logits) == source.labels))
