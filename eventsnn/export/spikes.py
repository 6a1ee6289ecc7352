"""Spikes for other programs: SONATA files, .gdf as NEST writes it, and Neo objects.

Their unit of time is the millisecond: one step is 1 ms. None of them knows the order of
simultaneous spikes, which is kept here, nor spikes that are taken back: where there are any, a
column `sign` says so, and programs that do not read it count them as spikes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import open_hdf5
from eventsnn.files.writing import new_file, new_hdf5
from eventsnn.trace.trace import Trace

SORTINGS = {"none": 0, "by_id": 1, "by_time": 2}
MAGIC, VERSION = 0x0A7A, (0, 1)  # of SONATA files

# what is taken of a trace file's columns
COLUMNS = ("timestamps", "node_ids", "seq", "sign", "member")


class Population(NamedTuple):
    """The spikes of one layer in the order of emission. size: its neurons; first: how many neurons
    the layers before it have.

    times: float64, in steps; neurons: int64, numbers in the layer; seq: int64, place in the order
    of emission over all layers; sign: int8; member: uint8.
    """

    name: str
    size: int
    first: int
    times: NDArray[np.float64]
    neurons: NDArray[np.int64]
    seq: NDArray[np.int64]
    sign: NDArray[np.int8]
    member: NDArray[np.uint8]


def populations(source: Trace | str | Path) -> tuple[list[Population], dict[str, Any]]:
    """(list of a Population for each spiking layer that was kept, {what: value} about the run) of a
    `Trace` or of a trace file.

    Raises InputError for any other file.
    """
    if isinstance(source, Trace):
        sizes = {layer.name: layer.size for layer in source.simulation.network.layers}
        spikes = {name: source.of(name) for name in list(sizes)[:-1]}
        columns = {
            name: {
                "timestamps": s["tick"] / source.simulation.time.ticks,
                "node_ids": s["neuron"],
                "seq": s["seq"],
                "sign": s["sign"],
                "member": s["member"],
            }
            for name, s in spikes.items()
        }
        words, end = source.simulation.describe(), source.end / source.simulation.time.ticks
        about = {"image": source.number, "order": words["order"], "seed": words["seed"]}
    else:
        with open_hdf5(source) as file:
            if file.attrs.get("format") != "eventsnn.trace":
                raise InputError(
                    source,
                    "a trace written by eventsnn",
                    "another file",
                    "write one with --engine event --trace spikes",
                )
            sizes = dict(zip(json.loads(file.attrs["layers"]), json.loads(file.attrs["neurons"])))
            columns = {}
            for name in list(sizes)[:-1]:
                if name in file["spikes"]:
                    group = file["spikes"][name]
                    columns[name] = {key: group[key][()] for key in COLUMNS}
            words = json.loads(file.attrs.get("semantics", "{}"))
            end = file.attrs["end"] / file.attrs["ticks_per_step"]
            about = {
                "image": int(file.attrs["image"]),
                **{key: words[key] for key in ("order", "seed") if key in words},
            }
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist()))
    kinds = {
        "timestamps": np.float64,
        "node_ids": np.int64,
        "seq": np.int64,
        "sign": np.int8,
        "member": np.uint8,
    }
    return (
        [
            Population(
                name,
                sizes[name],
                first[name],
                *(c[key].astype(kind) for key, kind in kinds.items()),
            )
            for name, c in columns.items()
        ],
        {**about, "end": float(end)},
    )


def write_sonata(source: Trace | str | Path, path: str | Path) -> None:
    """Write the spikes of a `Trace` or trace file as SONATA: /spikes/<layer>/{timestamps,
    node_ids}, uncompressed, by time.

    Trace files have the same and more, but compressed, which some readers of SONATA cannot read.
    """
    found, _ = populations(source)
    with new_hdf5(path) as file:
        file.attrs["magic"], file.attrs["version"] = np.uint32(MAGIC), np.array(VERSION, np.uint32)
        for p in found:
            group = file.create_group(f"spikes/{p.name}")
            group.attrs.create(
                "sorting", SORTINGS["by_time"], dtype=h5py.enum_dtype(SORTINGS, "u1")
            )
            group["timestamps"], group["node_ids"] = p.times, p.neurons.astype(np.uint64)
            group["timestamps"].attrs["units"] = "ms"
            if (p.sign < 0).any():
                group["sign"] = p.sign


def write_gdf(source: Trace | str | Path, path: str | Path) -> None:
    """Write the spikes of a `Trace` or trace file as text, one a line: neuron and time (and sign,
    where it is not always 1).

    Neurons are numbered from 1, layer after layer: 1 + the neurons of the layers before + the
    neuron's number in its layer.
    """
    found, _ = populations(source)
    places = [p.seq for p in found] or [np.zeros(0, np.int64)]
    order = np.argsort(np.concatenate(places), kind="stable")
    columns = [
        np.concatenate(parts)[order].tolist()
        for parts in zip(*((1 + p.first + p.neurons, p.times, p.sign) for p in found))
    ]
    signed = any((p.sign < 0).any() for p in found)
    with new_file(path) as file:
        lines = [
            f"{neuron}\t{time!r}\t{sign}\n" if signed else f"{neuron}\t{time!r}\n"
            for neuron, time, sign in zip(*columns)
        ]
        file.write("".join(lines).encode())


def to_neo(source: Trace | str | Path) -> Any:
    """The spikes of a `Trace` or trace file as a neo.Block: a Segment with a SpikeTrain for each
    neuron that fired, a Group for each layer.

    Annotations: layer, neuron, image, order, seed; of a Group its layer and the number of its
    neurons, silent ones too. Array annotations: seq, sign, member. Needs neo.
    """
    try:
        import neo
    except ImportError:
        raise InputError("to_neo", "neo", "none installed", "pip install 'eventsnn[neo]'") from None
    found, about = populations(source)
    end = about.pop("end")
    block = neo.Block(name="eventsnn", **about)
    segment = neo.Segment(name=f"image {about['image']}", **about)
    block.segments.append(segment)
    for p in found:
        group = neo.Group(name=p.name, layer=p.name, neurons=p.size)
        block.groups.append(group)
        order = np.argsort(p.neurons, kind="stable")
        fired, starts = np.unique(p.neurons[order], return_index=True)
        for neuron, mine in zip(fired.tolist(), np.split(order, starts[1:])):
            train = neo.SpikeTrain(
                p.times[mine],
                units="ms",
                t_start=0.0,
                t_stop=end,
                name=f"{p.name}:{neuron}",
                layer=p.name,
                neuron=neuron,
                **about,
                array_annotations={
                    "seq": p.seq[mine],
                    "sign": p.sign[mine],
                    "member": p.member[mine],
                },
            )
            segment.spiketrains.append(train)
            group.add(train)
    return block


WRITERS = {"sonata": (write_sonata, "h5"), "gdf": (write_gdf, "gdf")}


def write_all(folder: Path, out: Path, names: Sequence[str]) -> None:
    """Write the spikes of each trace file in `folder` to `out`, as spikes-<image>.h5 and .gdf.
    names: of WRITERS.
    """
    for trace in sorted(Path(folder).glob("trace-*.h5")):
        for name in names:
            write, ending = WRITERS[name]
            write(trace, Path(out) / f"{trace.stem.replace('trace', 'spikes')}.{ending}")
