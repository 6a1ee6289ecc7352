"""What is measured of a method: rows of one table, method by T."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.network.network import Network
from eventsnn.statistics import bootstraps
from eventsnn.studies import cost, scripts
from eventsnn.studies.zoo.methods import Method

Row = dict[str, Any]
# (network, method, T) -> hits, bool [N], or [seeds, N]
Hits = dict[tuple[str, str, Any], NDArray[np.bool_]]
RESTING = "rest"  # in place of T, where nothing moves any more
ENERGY = ("counted", "dnisnm", "spikezip")
MEANS = ("spikes", "operations", *(f"{name}_microjoule" for name in ENERGY))
OF_ANN = tuple(f"{name} / ANN" for name in ENERGY)
AGREES = "agreement"
APART = "outputs apart"  # outputs of all images that are not the quantised ANN's at rest
TITLE = (
    "Accuracy (%) after T steps [95 % interval], by method; gained : lost: against IF, after the "
    "last T; as the ANN: images in the class in which the ANN puts them"
)
OF_COST = (
    "What an image costs after the last T, by method: spikes, synaptic operations, energy as "
    "counted, by DNISNM eq. 26 and by SpikeZIP (µJ, and of the ANN's); needs: beside a network"
)
FORMATS = {
    AGREES: ("as the ANN", ".1%"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
    "counted_microjoule": ("counted (µJ)", ",.2f"),
    "dnisnm_microjoule": ("eq. 26 (µJ)", ",.2f"),
    "spikezip_microjoule": ("SpikeZIP (µJ)", ",.2f"),
    "counted / ANN": ("counted / ANN", ".1%"),
    "dnisnm / ANN": ("eq. 26 / ANN", ".1%"),
    "spikezip / ANN": ("SpikeZIP / ANN", ".1%"),
    APART: ("outputs apart", ""),
}
COSTS = (*MEANS, *OF_ANN)


def rows_of(
    label: tuple[str, str],
    method: Method,
    network: Network,
    runs: Sequence[Any],
    steps: Iterable[int],
    logits: NDArray[Any],
    seed: int = 0,
) -> tuple[list[Row], Hits]:
    """(a row for each T, the hits of each) of a method.

    A row has accuracy with its interval, the share of images in the ANN's class, and with bootstrap
    intervals spikes, operations and energy of an image; those of SRP's first stage are among them.

    label: (the network's name, the method's). method: the method. network: as it was converted.
    runs: a `Result` of each seed, with labels. steps: the numbers T. logits: the ANN's, [N,
    classes]. seed: of the bootstrap.
    """
    steps = list(steps)
    columns: dict[tuple[int, str], list[NDArray[np.float64]]] = {}
    for run in runs:
        for t in steps:
            for name, values in _costs(network, run, t).items():
                columns.setdefault((t, name), []).append(values)
    found = bootstraps(columns, seed=seed)
    ann = classes_of(logits)
    rows: list[Row] = []
    right: Hits = {}
    for t in steps:
        right[(*label, t)] = scripts.hits(runs, t)
        row = _begun(label, method, len(runs), t)
        row |= scripts.accuracy(runs, t, seed)
        row[AGREES] = float(np.mean([run.predictions(t) == ann for run in runs]))
        for name in MEANS:
            row[name], row[f"{name} low"], row[f"{name} high"] = found[t, name][:3]
        whole = _ann(network)
        row |= {f"{name} / ANN": row[f"{name}_microjoule"] / whole[name] for name in ENERGY}
        rows.append({**row, APART: None, "conditions": runs[0].conditions})
    return rows, right


def exploded(
    label: tuple[str, str], method: Method, seeds: int, images: int, steps: int, decided: Any
) -> Row:
    """The row of a method whose firing explodes: without accuracy, spikes without end.

    label, method: as for `rows_of`. seeds: of its runs. images: how many. steps: T. decided: the
    conditions.
    """
    row = {**_begun(label, method, seeds, steps), "images": images}
    row |= {**dict.fromkeys(scripts.SHARE, float("nan")), AGREES: float("nan")}
    for name in MEANS:
        row |= {f"{name}{end}": float("inf") for end in ("", " low", " high")}
    row |= dict.fromkeys(OF_ANN, float("inf"))
    return {**row, APART: None, "conditions": decided}


def at_rest(rows: list[Row], right: Hits, last: int, steps: int) -> None:
    """Calls the last row that of rest, in place of its T.

    rows, right: of a method that comes to rest, changed in place. last: T of that row. steps: the
    largest T that was asked for, of which there is a row of its own.
    """
    network, method = rows[-1]["network"], rows[-1]["method"]
    rows[-1]["T"] = RESTING
    key = network, method, last
    right[network, method, RESTING] = right[key] if last == steps else right.pop(key)


def _begun(label: tuple[str, str], method: Method, seeds: int, t: int) -> Row:
    network, name = label
    needs = ", ".join(method.needs)
    begun = {"network": network, "method": name, "paper": method.paper}
    return {**begun, "needs": needs, "seeds": seeds, "T": t}


def _costs(network: Network, run: Any, t: int) -> dict[str, NDArray[np.float64]]:
    """MEANS of each image up to step t: name -> [N]."""
    spikes, operations = (
        getattr(run, name)[:, :, :t].sum(axis=2).astype(np.float64)
        for name in ("spikes", "operations")
    )
    if run.batch.stage_one is not None:
        spikes = spikes + run.batch.stage_one[:, 0]
        operations = operations + run.batch.stage_one[:, 1]
    costs = cost.by_image(network, spikes, operations)
    found = {"spikes": spikes.sum(axis=1), "operations": operations.sum(axis=1)}
    return found | {f"{name}_microjoule": costs[f"{name}_microjoule"] for name in ENERGY}


def _ann(network: Network) -> dict[str, float]:
    """What the ANN costs for one image, in microjoule, by each of ENERGY."""
    macs = float(cost.MAC * cost.macs(network).sum() * 1e-6)
    return {"counted": macs, "dnisnm": macs, "spikezip": cost.spikezip_ann(network)}


def by_accuracy(rows: Sequence[Row], several: bool) -> list[Row]:
    """Rows for the screen: a method a row, a column for each T. several: networks are named."""
    shown = []
    for mine in by_method(rows).values():
        last = mine[-1]
        row: Row = {"network": last["network"]} if several else {}
        row |= {"method": last["method"], "paper": last["paper"]}
        cells = {f"T = {each['T']}": _cell(each) for each in mine}
        shown.append(
            row | cells | {AGREES: last[AGREES], "gained : lost": scripts.discordant(last)}
        )
    columns = dict.fromkeys(name for row in shown for name in row)
    ends = (AGREES, "gained : lost")
    order = [name for name in columns if name not in ends] + list(ends)
    return [{name: row.get(name, "") for name in order} for row in shown]


def _cell(row: Row) -> str:
    return "explodes" if np.isnan(row["accuracy"]) else scripts.interval(row)


def by_cost(rows: Sequence[Row], several: bool) -> list[Row]:
    """Rows for the screen: what each method costs after its last T. several: as above."""
    kept = ("method", "T", *COSTS, APART, "needs")
    names = ("network", *kept) if several else kept
    return [{name: mine[-1][name] for name in names} for mine in by_method(rows).values()]


def by_method(rows: Sequence[Row]) -> Mapping[tuple[str, str], list[Row]]:
    """(network, method) -> its rows, in order."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["network"], row["method"]), []).append(row)
    return found
