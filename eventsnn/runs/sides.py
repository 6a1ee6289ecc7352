"""What is compared of a run, whether it left a folder or is in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError
from eventsnn.inputs.made import OWN_CODE, versions, worded
from eventsnn.result import Result
from eventsnn.runs.provenance import digest
from eventsnn.runs.results import Results, open_results
from eventsnn.settings import flag_of
from eventsnn.values import shown

EARLIER = "an earlier version of eventsnn wrote it; the same command with --overwrite keeps them"
NOT_TOLD = "its engine does not tell them"
# of what a simulation says of itself: what other settings do not say
SAID = ("fraction_bits", "dtype", "thresholds")


@dataclass(frozen=True)
class Side:
    """One of two runs.

    name: what it is called. settings, semantics, versions: by name. network, data: hashes, or ""
    where they are not known. names, grids: of the layers, the readout last. numbers: int64 [N], the
    images'. images: in words. labels, classes: int64 [N] or None. digests, order_digests: uint64
    [N, L, T] or None. untold: why there are no digests, or "". readout: [N, T, classes], in `unit`.
    pixels: the images' of a result in memory, raw [N, C, H, W]; None of a folder.
    """

    name: str
    settings: dict[str, Any]
    semantics: dict[str, Any]
    versions: dict[str, Any]
    network: str
    data: str
    names: list[str]
    grids: list[tuple[int, ...]]
    numbers: NDArray[np.int64]
    images: str
    labels: NDArray[np.int64] | None
    classes: NDArray[np.int64] | None
    digests: NDArray[np.uint64] | None
    order_digests: NDArray[np.uint64] | None
    untold: str
    readout: NDArray[Any]
    unit: str
    pixels: NDArray[Any] | None = None

    @property
    def steps(self) -> int:
        """T."""
        return self.readout.shape[1]


def side_of(given: Any, where: str) -> Side:
    """A run's `Side`. given: a folder, `Results` or `Result`. where: the argument's name.

    Raises InputError for anything else, and for a folder that is none.
    """
    if isinstance(given, Result):
        return _of_result(given, f"{where}, a result in memory")
    if isinstance(given, (str, os.PathLike)):
        return _of_folder(open_results(given))
    if isinstance(given, Results):
        return _of_folder(given)
    raise InputError(where, "a results folder, Results or a Result", shown(given))


def _of_folder(found: Results) -> Side:
    kept, summary = found.contents(), found.summary
    readout = found.read("readout")
    grids = [tuple(grid) for grid in found.read("layers/shape").tolist()]
    data = summary.get("data") or {}
    split = f" ({data['split']})" if "split" in data else ""
    order = found.read("order_digests") if "order_digests" in kept else None
    digests = found.digests
    return Side(
        name=str(found.folder),
        settings=found.settings,
        semantics=summary.get("semantics") or {},
        versions=summary.get("versions") or {},
        network=str((summary.get("network") or {}).get("sha256", "")),
        data=str(data.get("sha256", "")),
        names=found.names,
        grids=grids,
        numbers=found.read("images/index"),
        images=f"{data.get('name', 'unnamed data')}{split}",
        labels=found.read("images/label") if "images/label" in kept else None,
        classes=_classes(readout, grids[-1]),
        digests=digests,
        order_digests=order,
        untold="" if digests is not None else EARLIER,
        readout=readout,
        unit=kept["readout"].rpartition("(")[2],
    )


def _of_result(found: Result, name: str) -> Side:
    simulation, graph = found.simulation, found.network.graph
    arithmetic, layers = simulation.arithmetic, found.network.layers
    grids = [tuple(layer.grid) for layer in layers]
    images = found.images if isinstance(found.images, Images) else None
    pixels = getattr(found.images, "pixels", found.images)
    return Side(
        name=name,
        settings={},
        semantics=simulation.describe(),
        versions=dict(versions()),
        network=graph.hash,
        data="" if images is None else digest(images),
        names=[layer.name for layer in layers],
        grids=grids,
        numbers=np.asarray(found._numbers),
        images="images in memory" if images is None else f"{images.name} ({images.split})",
        labels=found.labels,
        classes=_classes(found.batch.readout, grids[-1]),
        digests=found.digests,
        order_digests=found.batch.order_digests,
        untold="" if found.digests is not None else NOT_TOLD,
        readout=found.batch.readout,
        unit=f"2^{arithmetic.readout_exponent - arithmetic.bits} ANN output)",
        pixels=pixels if isinstance(pixels, np.ndarray) else None,
    )


def _classes(readout: NDArray[Any], grid: tuple[int, ...]) -> NDArray[np.int64] | None:
    """The classes after the last step; None for a map. grid: the readout's."""
    return None if grid[1] * grid[2] > 1 else classes_of(readout[:, -1])


def check_comparable(a: Side, b: Side) -> None:
    """Raises InputError for runs of other layers, or of other images."""
    do = "compare runs of the same network"
    for i, (one, other) in enumerate(zip(_layers(a), _layers(b))):
        if one != other:
            raise InputError(f"{b.name}: layer {i}", f"{one}, as in {a.name}", other, do)
    if len(a.names) != len(b.names):
        expected = f"{len(a.names)} layers, as in {a.name}"
        raise InputError(b.name, expected, len(b.names), do)
    do = "give both runs the same --data, --split and --limit"
    if not np.array_equal(a.numbers, b.numbers):
        expected = f"the images of {a.name}, {_numbers(a)}"
        raise InputError(b.name, expected, _numbers(b), do)
    if a.data and b.data and a.data != b.data:
        expected = f"the images of {a.name}, {a.images}"
        found = b.images if a.images != b.images else "others of the same name"
        raise InputError(b.name, expected, found, do)
    if a.pixels is not None and b.pixels is not None and a.pixels.dtype == b.pixels.dtype:
        if not np.array_equal(a.pixels, b.pixels):
            do = "give both runs the same images"
            raise InputError(b.name, f"the images of {a.name}", "other pixels", do)


def _layers(side: Side) -> list[str]:
    return [f"{name} of {'x'.join(map(str, g))}" for name, g in zip(side.names, side.grids)]


def _numbers(side: Side) -> str:
    numbers = side.numbers
    return f"{len(numbers):,} from {numbers[0]} to {numbers[-1]}"


def differing_settings(a: Side, b: Side) -> list[dict[str, str]]:
    """A row for each setting that differs: setting, a and b, in words.

    Where both are folders these are their options; otherwise, what the simulations say.
    """
    rows = []
    if a.settings and b.settings:
        rows += _rows(a.settings, b.settings, flag_of)
        kept = [key for key in SAID if key in a.semantics and key in b.semantics]
        one, other = ({key: side.semantics[key] for key in kept} for side in (a, b))
        told = {row["setting"] for row in rows}
        rows += [row for row in _rows(one, other, _plainly) if f"--{row['setting']}" not in told]
    else:
        rows += _rows(a.semantics, b.semantics, _plainly)
    if a.network and b.network and a.network != b.network:
        rows.append({"setting": "network", "a": a.network[:12], "b": b.network[:12]})
    names = {key: OWN_CODE if key == "sources" else key for key in a.versions | b.versions}
    if not all("sources" in side.versions for side in (a, b)):
        names.pop("sources", None)
    one, other = ({key: str(its.versions.get(key))[:16] for key in names} for its in (a, b))
    return rows + _rows(one, other, lambda key: names[key])


def _plainly(key: str) -> str:
    return key.replace("_", " ")


def _rows(a: dict[str, Any], b: dict[str, Any], word: Any) -> list[dict[str, str]]:
    """Rows of what differs in two mappings. word: a key -> what to call it."""
    return [
        {"setting": word(key), "a": worded(a.get(key)), "b": worded(b.get(key))}
        for key in {**a, **b}
        if a.get(key) != b.get(key)
    ]
