"""Spikes for other programs: SONATA files, .gdf as NEST writes it, and Neo objects.

Their unit of time is the millisecond: one step is 1 ms. None of them knows the order of
simultaneous spikes, which is kept here. Nor do they know spikes that are taken back. Where there
are any, a column `sign` says so, and programs that do not read it count them as spikes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.files.writing import new_file, new_hdf5, path_step
from eventsnn.trace.format import as_population, as_sonata, put_text
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import Trace


class Population(NamedTuple):
    """The spikes of one layer in the order of emission.

    name: the layer's. size: how many neurons it has. first: how many the layers before it have.
    times: in steps, float64 [S]. neurons: numbers in the layer, int64 [S]. seq: place in the order
    of emission over all layers, int64 [S]. sign: 1, or -1 for a spike that is taken back, int8 [S].
    member: the member of a group neuron that fired, uint16 [S].
    """

    name: str
    size: int
    first: int
    times: NDArray[np.float64]
    neurons: NDArray[np.int64]
    seq: NDArray[np.int64]
    sign: NDArray[np.int8]
    member: NDArray[np.uint16]

    def __repr__(self) -> str:
        return f"<Population {self.name!r}: {self.size:,} neurons, {len(self.times):,} spikes>"


@checked
def populations(source: Trace | str | Path) -> tuple[list[Population], dict[str, Any]]:
    """(a `Population` for each spiking layer that was kept, {what: value} about the run).

    source: a `Trace` or a trace file. About the run there are image, order, seed, where known, and
    end, in steps. Raises InputError for any other file.
    """
    trace = source if isinstance(source, Trace) else read_trace(source)
    about = trace.about
    if about:
        sizes, kept = about["neurons"], about["kept"]
        words = about.get("semantics", {})
    else:
        sizes = [layer.size for layer in trace.simulation.network.layers]
        kept, words = trace.names[:-1], trace.simulation.describe()
    layers = np.argsort(trace.spikes["layer"], kind="stable")
    ends = np.cumsum(np.bincount(trace.spikes["layer"], minlength=len(sizes)))
    found = []
    for name, size, end, mine in zip(
        trace.names, sizes, np.cumsum(sizes).tolist(), np.split(layers, ends[:-1])
    ):
        if name in kept:
            spikes = trace.spikes[mine]
            columns = (spikes[column] for column in ("neuron", "seq", "sign", "member"))
            found.append(Population(name, size, end - size, trace.times[mine], *columns))
    seen = {key: words[key] for key in ("order", "seed") if key in words}
    return found, {"image": trace.number, **seen, "end": float(trace.end / trace.ticks)}


@checked
def write_sonata(source: Trace | str | Path, path: str | Path) -> None:
    """Writes spikes as SONATA: /spikes/<layer>/{timestamps, node_ids}, by time.

    The layer's name is percent-encoded as in URLs where HDF5 needs it; the attribute `layer` has it
    as it is. source: a `Trace` or a trace file, which has the same and more. path: of the file to
    write; an older one is replaced. Raises InputError for what is no trace file.
    """
    found, _ = populations(source)
    with new_hdf5(path) as file:
        as_sonata(file)
        spikes = file.create_group("spikes")
        for p in found:
            group = spikes.create_group(path_step(p.name))
            put_text(group, "layer", p.name)
            group["timestamps"] = p.times
            group["node_ids"] = p.neurons.astype(np.uint64)
            as_population(group)
            if (p.sign < 0).any():
                group["sign"] = p.sign


@checked
def write_gdf(source: Trace | str | Path, path: str | Path) -> None:
    """Writes spikes as text, one a line: neuron, time, and the sign where it is not always 1.

    source: a `Trace` or a trace file. path: of the file to write; an older one is replaced. Neurons
    are numbered from 1, layer after layer: 1 + the neurons of the layers before + the neuron's
    number in its layer. Raises InputError for what is no trace file.
    """
    found, _ = populations(source)
    places = [p.seq for p in found] or [np.zeros(0, np.int64)]
    order = np.argsort(np.concatenate(places), kind="stable")
    columns = [(1 + p.first + p.neurons, p.times, p.sign) for p in found]
    ordered = [np.concatenate(parts)[order].tolist() for parts in zip(*columns)]
    signed = any((p.sign < 0).any() for p in found)
    lines = []
    for neuron, time, sign in zip(*ordered):
        line = f"{neuron}\t{time!r}"
        lines.append(f"{line}\t{sign}\n" if signed else f"{line}\n")
    with new_file(path) as file:
        file.write("".join(lines).encode())


@checked
def to_neo(source: Trace | str | Path) -> Any:
    """Spikes as a neo.Block: a SpikeTrain for each neuron that fired, a Group for each layer.

    source: a `Trace` or a trace file. The block has one Segment. A SpikeTrain's annotations are
    layer, neuron, image, order and seed, its array annotations seq, sign and member. A Group's
    annotations are its layer and the number of its neurons, silent ones too. Raises InputError for
    what is no trace file, and where neo is not installed.
    """
    try:
        import neo
    except ImportError:
        raise InputError("to_neo", "neo", "none installed", "pip install neo") from None
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
            by_spike = {"seq": p.seq[mine], "sign": p.sign[mine], "member": p.member[mine]}
            train = neo.SpikeTrain(
                p.times[mine],
                units="ms",
                t_start=0.0,
                t_stop=end,
                name=f"{p.name}:{neuron}",
                layer=p.name,
                neuron=neuron,
                **about,
                array_annotations=by_spike,
            )
            segment.spiketrains.append(train)
            group.add(train)
    return block
