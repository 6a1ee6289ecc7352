"""What the scripts in analysis/ simulate, or read from a store of their plan (--from)."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from dataclasses import fields as fields_of
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import CoresTooSlow, InputError, PotentialsTooLarge, TooManyEvents
from eventsnn.inputs.loading import load_graph, load_part
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.runs.pipeline import prepare
from eventsnn.settings import Settings, option_in
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.conditions import Conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import scripts
from eventsnn.sweep import studies
from eventsnn.sweep.cells import cell_of
from eventsnn.sweep.opened import open as open_store
from eventsnn.sweep.plan import answers_shorter
from eventsnn.sweep.store import FAILED, Store
from eventsnn.sweep.ways import Way as Way
from eventsnn.sweep.ways import add_options as add_options
from eventsnn.sweep.ways import options_of
from eventsnn.sweep.ways import run as run
from eventsnn.sweep.ways import toml_of as toml_of

EXPLOSIONS = (TooManyEvents, PotentialsTooLarge)


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

    def runs(self, way: Way, progress: bool = True, **beside: Any) -> list[Any]:
        """The `Result` of each seed; of a study its result, as its own function returns it.

        way: what is run. progress: whether each run has a bar. beside: options of the study's
        function that no plan has, as they change no number.
        """
        network = self.network(**way.changes)
        some = self.images if way.images is None else self.some(way.images)
        options = {name: value for name, value in way.options.items() if name != "study"}
        study = studies.study_of(way.options)
        run = simulate if study is None else study.run
        options |= {"progress": progress, **studies.own(way.options), **beside}
        return [run(network, some, seed=seed, **options) for seed in way.seeds]


class Stored:
    """What a script runs on, as a store has it: see `Live`. args: the options of the script.

    Raises InputError for what is no store, and where it lacks the ANN's outputs or labels.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.store = Store(args.store)
        self.record = self.store.record()
        self._data: dict[str, Any] = {}
        self._networks: dict[str, Network] = {}
        self.where = f"--from {args.store}"

    @cached_property
    def _groups(self) -> list[str]:
        """The groups of the script's network and images, those with the most images first."""
        wanted = options_of(self.args.settings, Way({}, {}, [0]), 0)
        names = [f.name for f in fields_of(Settings) if option_in(f).group == "input"]
        found = []
        for name, group in self.record["groups"].items():
            its = group["rows"][0]["options"]
            if all(_same(its.get(key), wanted.get(key)) for key in names):
                found.append(name)
        if not found:
            there = ", ".join(sorted({group["net"] for group in self.record["groups"].values()}))
            do = "give the options that the store was made with"
            raise InputError(self.where, f"runs of {self.args.settings.net}", there, do)
        return sorted(found, key=lambda name: -self.record["groups"][name]["count"])

    def _opened(self, name: str) -> Any:
        if name not in self._data:
            self._data[name] = open_store(self.args.store, name)
        return self._data[name]

    @cached_property
    def count(self) -> int:
        """How many images there are."""
        there = int(self.record["groups"][self._groups[0]]["count"])
        asked = self.args.settings.limit
        if asked is not None and asked > there:
            print(f"{self.where}: {there:,} images of the {asked:,} asked for", file=sys.stderr)
        return there if asked is None else min(there, int(asked))

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """The ANN's outputs, [N, classes]."""
        found: NDArray[np.float32] = self._opened(self._groups[0]).ann.values[: self.count]
        if np.isnan(found).any():
            self._lacks("the ANN's outputs")
        return found

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The images' classes."""
        found: NDArray[np.int64] = self._opened(self._groups[0]).label.values[: self.count]
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
        return SimpleNamespace(meta={"arch": self.record["groups"][self._groups[0]]["arch"]})

    @cached_property
    def _loaded(self) -> Any:
        """The ANN itself, which a store does not have."""
        return load_graph(self.args.settings)

    def network(self, **changes: Any) -> Network:
        """The spiking network, converted anew. changes: options of the conversion."""
        key = json.dumps(changes)
        if key not in self._networks:
            self._networks = {key: network_of(self.args, self._loaded, **changes)}
        return self._networks[key]

    def some(self, count: int) -> Images:
        """At most `count` of the images, read anew: a store has no pixels."""
        images, _ = load_part(self._loaded, self.args.settings, min(count, self.count))
        return images

    def _lacks(self, what: str) -> None:
        do = f"run its plan: --plan FILE writes it, eventsnn sweep FILE --store {self.args.store}"
        raise InputError(self.where, what, "none", do)

    def runs(self, way: Way, progress: bool = True, **beside: Any) -> list[Any]:
        """A `StoredRun` for each seed; of a study its result, as its own function returns it.

        way: what is run. progress, beside: have no effect, as nothing is run. Raises InputError
        where the store does not have it, or where it failed: of the kinds in EXPLOSIONS where
        firing exploded.
        """
        count = self.count if way.images is None else min(way.images, self.count)
        return [self._run(way, seed, count) for seed in way.seeds]

    def _run(self, way: Way, seed: int, count: int) -> Any:
        wanted = options_of(self.args.settings, way, seed)
        steps = int(wanted.pop("steps", Settings.steps))
        for name in self._groups:
            for place, row in enumerate(self.record["groups"][name]["rows"]):
                its = dict(row["options"])
                last = int(its.pop("steps", Settings.steps))
                if not _same(its, wanted):
                    continue
                if last == steps or (last > steps and begins_alike(its)):
                    data = self._data_of(name, place, row, steps, count)
                    if "study" in wanted:
                        return self._study(way, row, data)
                    return self._read(name, row, steps, data)
        words = ", ".join(f"{key}={value}" for key, value in {**wanted, "steps": steps}.items())
        self._lacks(f"a run with {words}")
        raise AssertionError

    def _data_of(self, name: str, place: int, row: dict[str, Any], steps: int, count: int) -> Any:
        """The numbers of one run. place: on the axis of runs. row: its own in the record."""
        data = self._opened(name).isel(run=place, image=slice(count), step=slice(steps))
        if not data.done.values.all():
            self._failed(name, row)
            self._lacks(f"all {count:,} images of run {row['key'][:8]}")
        return data

    def _study(self, way: Way, row: dict[str, Any], data: Any) -> Any:
        """A study's result, made of what was kept of its images."""
        study = studies.study_of(row["options"])
        assert study is not None
        network = self.network(**way.changes)
        simulation = prepared(studies.settings_of(row["options"]), network, self.some(1))
        arrays = {name: data[name].values for name in study.variables if name in data}
        own = studies.own(row["options"])
        labels = self.labels[: data.sizes["image"]]
        return study.found(simulation, arrays, labels, data.image.values, **own)

    def _read(self, name: str, row: dict[str, Any], steps: int, data: Any) -> StoredRun:
        """A run's numbers. name: of its group. row: its own in the record."""

        def by_layer(name: str) -> NDArray[Any]:
            found: NDArray[Any] = data[name].values.swapaxes(1, 2)
            return found

        stage_one = None
        if row["options"].get("srp") or row["options"].get("offset"):
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
        facts = self._facts(name, row)
        parts = {**facts["conditions"], "T": str(steps)}
        return StoredRun(batch, self.labels[: len(batch.t_eq)], Conditions(parts))

    def _ids(self, name: str, row: dict[str, Any]) -> list[str]:
        group = self.record["groups"][name]
        parts = {(first, size): (first, size, digest) for first, size, digest in group["parts"]}
        cells = (
            cell_of(name, row["key"], parts[tuple(span)], group["network"], {})
            for span in row["spans"]
        )
        return [cell.id for cell in cells]

    def _facts(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """What a run's first cell says of it."""
        found = self.store.of_cell(self._ids(name, row)[0])
        if found is None:
            self._lacks(f"run {row['key'][:8]}")
        assert found is not None
        facts: dict[str, Any] = found["facts"]
        return facts

    def _failed(self, name: str, row: dict[str, Any]) -> None:
        """Raises InputError where a cell of a run failed."""
        for cell_id in self._ids(name, row):
            found = self.store.of_cell(cell_id, FAILED)
            if found is not None:
                words = f"{found.get('kind')}: {found.get('message')}"
                for kind in (TooManyEvents, CoresTooSlow):
                    if found.get("kind") == kind.__name__:
                        raise kind(words, 0, 0, ())
                if found.get("kind") == PotentialsTooLarge.__name__:
                    raise PotentialsTooLarge(words)
                do = f"see eventsnn sweep status {self.args.store}"
                raise InputError(self.where, "runs that ended well", words, do)


def prepared(settings: Settings, network: Network, images: Images) -> Simulation:
    """The simulation of a run. settings: its own. network: that runs. images: some, for their range
    of pixels.
    """
    ends = range_of(network.graph, images, settings.pixel_range or None)
    return prepare(network, ends, settings, images)


def simulation_of(args: argparse.Namespace, way: Way) -> Simulation:
    """The simulation of a way's first seed, for what a script's plan depends on.

    args: the options. way: of the script. Raises InputError for what cannot be simulated.
    """
    graph = load_graph(args.settings)
    options = options_of(args.settings, way, way.seeds[0])
    images, _ = load_part(graph, args.settings, 1)
    network = network_of(args, graph, **way.changes)
    return prepared(studies.settings_of(options), network, images)


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
