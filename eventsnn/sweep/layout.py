"""A plan laid out in its store: groups and arrays made, rows given to runs; or it does not fit."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import calibration_pixels, converted
from eventsnn.runs.pipeline import prepare
from eventsnn.settings import Settings
from eventsnn.studies.setting import neuron_layers
from eventsnn.sweep import arrays, studies
from eventsnn.sweep.lease import Lease
from eventsnn.sweep.plan import FIELDS
from eventsnn.sweep.planned import Group, Planned
from eventsnn.sweep.store import FORMAT, VERSION, Record, Store, own_versions

OTHER = "choose another --store, or the plan that this one was made with"
WAITS = 300.0  # seconds for another driver that lays out the same store
MAX_NAMES = 1000  # of classes that a store's attributes hold


def fit(planned: Planned, store: Store) -> Record:
    """The store's record with the plan's new runs in it, not written yet.

    planned: what is to run; its groups get the names that they have in the store. store: which may
    be new. Raises InputError for a plan that does not fit the store.
    """
    record = store.read() or {"format": FORMAT, "version": VERSION, "groups": {}}
    if record["groups"]:
        store.check_versions(record)
    record["versions"] = own_versions()
    there = {its["key"]: name for name, its in record["groups"].items()}
    used = set(record["groups"])
    for group in planned.groups.values():
        if group.key in there:
            group.name = there[group.key]
            _check(group, record["groups"][group.name], store)
            continue
        number, stem = 2, group.name
        while group.name in used:
            group.name, number = f"{stem}-{number}", number + 1
        used.add(group.name)
    for group in planned.groups.values():
        _add(group, record["groups"], planned.plan.axes)
    return record


def _check(group: Group, there: Record, store: Store) -> None:
    """Raises InputError where a group of a store cannot take a plan's."""
    where = f"store {store.path}: {group.name}"
    if there["network"] != group.network:
        raise InputError(where, "the network that it was made with", "another", OTHER)
    for name, wanted in (("first", group.first), ("size", group.size)):
        if there[name] != wanted:
            expected = f"images: {name} = {there[name]}"
            raise InputError(where, expected, wanted, OTHER)
    if group.steps > there["steps"]:
        do = "choose another --store for more steps"
        raise InputError(where, f"at most {there['steps']} steps", group.steps, do)
    known = {(first, count): digest for first, count, digest in there["parts"]}
    for key, part in group.parts.items():
        if known.get(key, part[2]) != part[2]:
            raise InputError(where, "the images that it was made with", "others", OTHER)


def _add(group: Group, groups: dict[str, Record], axes: Iterable[str]) -> None:
    """Adds a group's new runs and images to a record's groups."""
    new = {
        "key": group.key,
        "network": group.network,
        "net": group.source.settings.net,
        "arch": str(group.source.graph.meta.get("arch", "network")),
        "classes": [str(name) for name in group.source.graph.meta.get("classes", ())][:MAX_NAMES],
        "first": group.first,
        "size": group.size,
        "study": group.study,
        "steps": group.steps,
        "count": 0,
        "parts": [],
        "rows": [],
        "optional": [],
    }
    its = groups.setdefault(group.name, new)
    known = {(first, count) for first, count, _ in its["parts"]}
    its["parts"] += [list(part) for key, part in group.parts.items() if key not in known]
    places = {row["key"]: row for row in its["rows"]}
    for key, (options, spans) in group.rows.items():
        row = places.get(key)
        if row is None:
            its["rows"].append({"key": key, "options": options, "spans": list(map(list, spans))})
        else:
            row["spans"] = sorted({*map(tuple, row["spans"]), *spans})
    its["count"] = max(its["count"], group.count)
    optional = {name for options, _ in group.rows.values() for name in _optional(options)}
    its["axes"] = list(dict.fromkeys([*its.get("axes", ()), *axes]))
    its["optional"] = sorted({*its["optional"], *optional})


def _optional(options: Mapping[str, Any]) -> Iterable[str]:
    """Which optional variables a run has."""
    if options.get("study"):
        return
    if options.get("srp") or options.get("offset"):
        yield from ("stage_one_spikes", "stage_one_operations")
    if options.get("engine", Settings.engine) != "clocked":
        yield "order_digests"
    if options.get("order") == "cores":
        yield from arrays.OF_CORES


def lay_out(planned: Planned, store: Store) -> Record:
    """Makes the store's groups ready for the plan's cells; returns the store's record.

    planned: what is to run. store: which may be new. Raises InputError for a plan that does not fit
    the store, and for a network that has no spiking form.
    """
    arrays.needed()
    fit(planned, store)
    with Lease(store.path, ".layout", waits=WAITS):  # drivers of parts come at once
        record = fit(planned, store)
        if _text(record) != _text(store.read()):
            _make(planned, store, record)
    return record


def _text(record: Record | None) -> str:
    return json.dumps(record, sort_keys=True)


def _make(planned: Planned, store: Store, record: Record) -> None:
    """Makes what a record says, and writes it at last."""
    for group in planned.groups.values():
        its = record["groups"][group.name]
        if "layers" not in its:
            its |= _layers(group)
        sizes = {
            arrays.RUN: len(its["rows"]),
            **{name: _length(labels) for name, labels in axes_of(its).items()},
        }
        attributes = {
            "net": its["net"],
            "network": its["network"],
            "arch": its["arch"],
            "classes": its["classes"],
            "neurons": its["neurons"],
            "study": its["study"],
            "versions": record["versions"],
        }
        where = (store.arrays, group.name)
        arrays.make(*where, sizes, its["size"], studies.variables_of(its), attributes)
        arrays.put_coordinates(*where, coordinates(its, its["axes"]))
    store.write(record)


def _layers(group: Group) -> Record:
    """What a record has of a group's layers, and of the axes that are its study's own.

    The network is converted for the group's first run.
    """
    options, _ = next(iter(group.rows.values()))
    settings = studies.settings_of(options)
    given = read_given(settings.thresholds_file)
    part = group.source.part(group.first, 1)
    assert part is not None
    pixels, _, _ = calibration_pixels(group.source.graph, part.images, settings, given)
    network = converted(group.source.graph, pixels, settings, given)
    study = studies.study_of(options)
    own = {}
    layers = network.layers if study is None else list(neuron_layers(network).values())
    if study is not None:
        ends = range_of(group.source.graph, part.images, settings.pixel_range or None)
        simulation = prepare(network, ends, settings, part.images)
        own = study.axes(simulation, **studies.own(options))
    return {
        "layers": [layer.name for layer in layers],
        "neurons": [layer.size for layer in layers],
        "outputs": network.readout.size,
        "own_axes": own,
    }


def axes_of(group: Record) -> dict[str, Any]:
    """Of each axis of a group but that of runs the labels, or how long it is.

    group: of a store's record.
    """
    first = group["first"]
    return {
        arrays.IMAGE: list(range(first, first + group["count"])),
        arrays.STEP: list(range(1, group["steps"] + 1)),
        arrays.LAYER: group["layers"],
        arrays.CLASS: list(range(group["outputs"])),
        **(group["own_axes"] if group["study"] else {arrays.COST: list(arrays.COSTS)}),
    }


def _length(labels: list[Any] | int) -> int:
    return labels if isinstance(labels, int) else len(labels)


def coordinates(group: Record, axes: Iterable[str]) -> dict[str, tuple[str, list[Any]]]:
    """A group's coordinates: name -> (axis, values).

    group: of a store's record. axes: the options that the plan changes.
    """
    rows = group["rows"]
    found: dict[str, tuple[str, list[Any]]] = {
        **{name: (name, its) for name, its in axes_of(group).items() if not isinstance(its, int)},
        "key": ("run", [row["key"] for row in rows]),
        "settings": ("run", [json.dumps(row["options"], sort_keys=True) for row in rows]),
    }
    taken = (*studies.variables_of(group), *found)
    for name, values in varied(rows, axes, taken).items():
        found[name] = ("run", values)
    return found


def varied(rows: list[Record], axes: Iterable[str], taken: Collection[str]) -> dict[str, list[Any]]:
    """The options that tell runs apart, and T: name -> value of each run.

    rows: of a group of a store's record. axes: options that are among them in any case. taken: the
    names of variables and coordinates, before which `option_` is put.
    """
    names = {name for row in rows for name in row["options"]}
    chosen = [
        name for name in FIELDS if name in {*axes, "steps"} or (name in names and len(rows) > 1)
    ]
    chosen = [name for name in chosen if name not in studies.FIELDS or name in names]
    found = {}
    for name in chosen:
        values = [row["options"].get(name, FIELDS[name].default) for row in rows]
        if name in axes or name == "steps" or len({json.dumps(value) for value in values}) > 1:
            label = f"option_{name}" if name in taken else name
            found[label] = _alike(values)
    return found


def _alike(values: list[Any]) -> list[Any]:
    """Values of one type: whole numbers, numbers (None: NaN), or else text."""
    if all(type(value) is int for value in values):
        return values
    if all(value is None or type(value) in (int, float) for value in values):
        if any(value is not None for value in values):
            return [float("nan") if value is None else float(value) for value in values]
    return [worded(value) for value in values]


def worded(value: Any) -> str:
    """An option's value as text. value: the option's."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
