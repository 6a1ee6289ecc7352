"""A store opened: its runs as a Dataset of xarray, and as a cube where they are one."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.sweep import arrays, studies
from eventsnn.sweep.cells import cell_of
from eventsnn.sweep.store import DONE, Record, Store
from eventsnn.values import shown
from eventsnn.views.tables import optional


@checked
def open(path: str | os.PathLike[str], network: str | None = None) -> Any:
    """The runs of one network of a store, as an xarray Dataset that reads when it is asked.

    path: of the store. network: the name of one of its groups (None: the only one).

    Axes are run, image, step, layer, class and cost; of studies also their own. The coordinates of
    run are the options that tell runs apart, T (`steps`), `key`, and `settings`, all options of the
    run in JSON. The variables are those of `arrays.VARIABLES`, or of the study that the group's
    cells hold (its attribute "study"), with "unit" and "description". `done` [run, image]
    says what is there: elsewhere readout and costs are NaN, and all else is 0; so
    `data.readout.where(data.done)` leaves out what is not. A run of fewer steps than others is NaN,
    or 0, after its last.

    Raises InputError for what is no store, for a network that it does not have, and where the
    packages zarr or xarray are missing.
    """
    store = Store(path)
    record = store.record()
    name = group_name(record, network, store)
    arrays.needed()
    xarray = optional("xarray")
    with arrays.quiet():
        try:
            found = xarray.open_zarr(str(store.arrays), group=name, consolidated=False, chunks=None)
        except (OSError, ValueError, KeyError) as error:
            do = "run the sweep again, which completes it"
            raise InputError(f"store {store.path}", "arrays that are whole", error, do) from None
    group = record["groups"][name]
    found = found.isel(run=slice(len(group["rows"])), image=slice(group["count"]))
    names = studies.variables_of(group)
    own = {key: its for key, its in found.variables.items() if key in names}
    ordered = {key: own[key] for key in names if key in own}
    coordinates = {key: its for key, its in found.variables.items() if key not in own}
    # text as numpy has long had it
    for key, its in coordinates.items():
        if its.dtype.kind not in "biuf":
            coordinates[key] = (its.dims, np.array(its.values.tolist(), dtype=str))
    done = done_of(group, name, store.files(DONE))
    coordinates["run"] = (("run",), np.arange(len(group["rows"])))
    coordinates["done"] = (("run", "image"), done)
    return xarray.Dataset(ordered, coordinates, found.attrs).set_coords("label")


def group_name(record: Record, network: str | None, store: Store) -> str:
    """The name of a group of a store.

    record: the store's. network: as asked for (None: the only one). Raises InputError where there
    is none of that name, or several and none is named.
    """
    names = list(record["groups"])
    if network is None and len(names) == 1:
        return names[0]
    if network not in names:
        expected = f"one of {', '.join(names)}"
        found = "none" if network is None else shown(network)
        raise InputError(f"store {store.path}: network", expected, found)
    return str(network)


def done_of(group: Record, name: str, done: set[str]) -> NDArray[np.bool_]:
    """Which images of which runs are there, bool [run, image].

    group: of a store's record. name: its own. done: the ids of the cells that are done.
    """
    found = np.zeros((len(group["rows"]), group["count"]), bool)
    parts = {(first, count): (first, count, digest) for first, count, digest in group["parts"]}
    for place, row in enumerate(group["rows"]):
        for first, count in row["spans"]:
            part = parts[first, count]
            cell = cell_of(name, row["key"], part, group["network"], row["options"])
            if cell.id in done:
                start = first - group["first"]
                found[place, start : start + count] = True
    return found


def _told(values: NDArray[Any]) -> NDArray[Any]:
    """An option's values: text where some are NaN, which is not equal to itself."""
    if values.dtype.kind != "f" or not np.isnan(values).any():
        return values
    return np.array(["none" if np.isnan(value) else f"{value:g}" for value in values])


@checked
def cube(data: Any) -> Any:
    """A Dataset of `open` with an axis for each option that tells its runs apart, in place of run.

    data: the Dataset, or some runs of it, as `data.isel(run=data.order == "fifo")`. An option that
    some of these runs do not set is text, with "none" where it is not set.

    Raises InputError where the runs are no cube: where combinations are missing, or runs differ in
    more.
    """
    if "run" not in getattr(data, "dims", ()):
        raise InputError("data", "a Dataset of eventsnn.sweep.open", shown(data))
    names = [key for key in data.coords if data[key].dims == ("run",)]
    names = [key for key in names if key not in ("run", "key", "settings")]
    chosen = {key: _told(data[key].values) for key in names}
    data = data.assign_coords({key: ("run", its) for key, its in chosen.items()})
    values = {key: list(dict.fromkeys(its.tolist())) for key, its in chosen.items()}
    axes = [key for key in names if len(values[key]) > 1]
    count = math.prod(len(values[key]) for key in axes)
    if not axes or count != data.sizes["run"]:
        told = " x ".join(f"{len(values[key])} of {key}" for key in axes) or "one run"
        do = "choose runs first, as data.isel(run=data.order == 'fifo')"
        raise InputError("data", f"{count:,} runs, {told}", f"{data.sizes['run']:,}", do)
    flat = data.drop_vars([key for key in (*names, "key", "settings") if key not in axes])
    constant = {key: values[key][0] for key in names if key not in axes}
    places = {value: i for i, value in enumerate(zip(*(data[key].values.tolist() for key in axes)))}
    if len(places) != count:
        raise InputError("data", f"{count:,} combinations", f"{len(places):,}", "choose runs first")
    if len(axes) == 1:
        return flat.swap_dims(run=axes[0]).drop_vars("run").assign_coords(constant)
    pivoted = flat.drop_vars("run").set_index(run=axes).unstack("run")
    order = {key: values[key] for key in axes}
    return pivoted.reindex(order).transpose(*axes, ...).assign_coords(constant)
