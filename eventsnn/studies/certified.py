"""Images whose class no order of arrivals can change, beside the accuracy: intervals of spike
counts down to the readout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from eventsnn.exceptions import InputError
from eventsnn.network.linear import LinearMap
from eventsnn.network.network import INPUT
from eventsnn.studies import intervals
from eventsnn.studies.intervals import Images, Spikes
from eventsnn.studies.setting import exact
from eventsnn.views.tables import ByLayer, dataset, report_steps, wilson

CHUNK = 2**22  # neurons, times steps and images, that are held at a time
MAX_DENSE = 2**25  # weights to the readout, as one matrix


@dataclass(repr=False)
class Certificate(ByLayer):
    """What is certain of every image whatever the order of arrivals was, from `certify`.

    predicted: int64 [N, T], the class of the run after each step. classes: int64 [N, T], the class
    after each step in every order of arrival, or -1 where that is not certain. given_up: bool [N,
    T], where an interval was too wide to go on. labels: int64 [N] or None. layers: one row each,
    after the last step, over all images and neurons: neurons; free: whether its arrivals come in
    any order;
      `mean width`, `widest`: of the intervals, in spikes; `exact`: the share with width 0. With
      one_by_one also, each with the ends of its 95 % interval, `alone` and `up to`: the share of
      certified images where arrivals are free in this layer alone, or in this and all layers before
      it, and `alone width`: the mean width in this layer in the first case.
    alone, up_to: bool [L, N, T], the same for each image and step, L: the rows; None without
    one_by_one. neurons: for layers asked for, name -> {"fewest", "most": int64 [N, T, neurons]}
    (neuron number: channels last).
    """

    simulation: object
    predicted: np.ndarray
    classes: np.ndarray
    given_up: np.ndarray
    labels: np.ndarray | None
    layers: list
    alone: np.ndarray | None
    up_to: np.ndarray | None
    neurons: dict

    @property
    def widens(self):
        """The name of the first layer whose counts hang on the order; None where none does."""
        return next((row["layer"] for row in self.layers if row["widest"]), None)

    def table(self, steps=None):
        """One row for each of the report steps: T, accuracy of the run (with labels), the certified
        share, with 95 % intervals.

        `certified and correct` counts images whose certified class is their label, `same as run`
        those whose certified class is the run's, `given up` those of which an interval was too wide
        to go on; as shares of all images.
        """
        rows = []
        for t in steps or report_steps(self.simulation.steps):
            found, ran = self.classes[:, t - 1], self.predicted[:, t - 1]
            row: dict = {"T": t}
            if self.labels is not None:
                row |= share("accuracy", ran == self.labels)
            row |= share("certified", found >= 0)
            if self.labels is not None:
                row |= share("certified and correct", found == self.labels)
            rows.append(
                row
                | {
                    "same as run": float(np.mean(found == ran)),
                    "given up": float(self.given_up[:, t - 1].mean()),
                }
            )
        return rows

    def neurons_to_xarray(self, layer):
        """The intervals of a layer that was kept, as a Dataset [image, step, neuron]; needs
        xarray.
        """
        if layer not in self.neurons:
            raise InputError(
                "layer",
                f"one that was kept: {', '.join(self.neurons) or 'none was'}",
                repr(layer),
                "name it in keep=",
            )
        return dataset(
            {
                name: (("image", "step", "neuron"), values)
                for name, values in self.neurons[layer].items()
            },
            step=np.arange(1, self.simulation.steps + 1),
        )

    def __repr__(self):
        row = self.table([self.simulation.steps])[0]
        accuracy = "" if self.labels is None else f", accuracy {row['accuracy']:.2%}"
        widens = (
            "no layer's counts hang on it"
            if self.widens is None
            else f"counts hang on it from {self.widens} on"
        )
        return (
            f"<Certificate: {len(self.classes)} images, T = {self.simulation.steps}{accuracy}; the class of {row['certified']:.2%} is "
            f"the same in every order of arrival; {widens}>"
        )


def share(name, hits):
    """{name: the share of True, with the ends of its 95 % interval `<name> low` and `<name>
    high`}.
    """
    low, high = wilson(int(hits.sum()), len(hits))
    return {name: float(np.mean(hits)), f"{name} low": low, f"{name} high": high}


def certify(
    network,
    images,
    *,
    steps=8,
    free=None,
    one_by_one=False,
    labels=None,
    keep=(),
    progress=False,
    **settings,
):
    """The `Certificate` of images (`Images`, or raw pixels [N, C, H, W]) after each of `steps`
    steps.

    Class c is certain where for every other class d the least that readout c - readout d can be,
    over all spike counts that `eventsnn.intervals` allows the layers before, is above 0, or 0 if c
    is the first of the two. The difference of the two rows of weights is taken first, so that what
    both classes share does not count.

    free: names of the layers whose arrivals come in any order; None: all. The others are clocked,
    so with one free layer the certificate says what order at that layer can do, and with none it is
    the clocked run. one_by_one: also with each layer alone, and with all layers up to each, which
    takes as many times as long as there are layers. labels: int64 [N], for images without them.
    keep: names of layers whose intervals are kept. settings: of the run whose classes and accuracy
    stand beside (`Simulation` and `Time`; default: clocked) and of which neurons, drive and
    arithmetic are. An asynchronous run of free layers has the certified class; a clocked run need
    not, as its neurons fire at most once a step. Raises InputError for floating point, encoding
    "events", hard reset, SRP, one's own neurons, refractory periods, windows, free running.
    """
    simulation, pixels, numbers = exact(network, images, "intervals", steps=steps, **settings)
    intervals.check(simulation)
    spiking = [i for i, layer in enumerate(network.spiking) if not layer.pools]
    names = [network.layers[i].name for i in spiking]
    for where, given in (("free", free or ()), ("keep", keep)):
        if unknown := set(given) - set(names):
            raise InputError(
                where, "names of spiking layers", ", ".join(map(repr, sorted(unknown)))
            )
    chosen = spiking if free is None else [i for i in spiking if network.layers[i].name in free]
    weights, readout, parts = intervals.weights_of(simulation), _Readout(simulation), []
    size = max(1, CHUNK // (steps * len(simulation.resting)))
    with tqdm(total=len(pixels), unit="image", disable=None if progress else True, delay=2) as bar:
        for start, batch in simulation.stream(pixels, numbers=numbers, batch=size):
            some = slice(start, start + size)
            part = _certify_some(
                Images(simulation, pixels[some], numbers[some], weights),
                readout,
                chosen,
                spiking,
                keep,
                one_by_one,
            )
            parts.append(part | {"predicted": batch.readout.argmax(axis=2)})
            bar.update(len(batch.readout))
    arrays = {
        name: np.concatenate([p[name] for p in parts])
        for name in ("predicted", "classes", "given_up")
    }
    single = {
        name: np.concatenate([p[name] for p in parts], axis=1) if one_by_one else None
        for name in ("alone", "up_to")
    }
    rows = []
    for n, i in enumerate(spiking):
        row = {"layer": names[n], "neurons": network.layers[i].size, "free": i in chosen} | _widths(
            [p["widths"][n] for p in parts]
        )
        if one_by_one:
            row |= share("alone", single["alone"][n, :, -1]) | share(
                "up to", single["up_to"][n, :, -1]
            )
            row["alone width"] = _widths([p["alone widths"][n] for p in parts])["mean width"]
        rows.append(row)
    kept = {
        name: {
            end: np.concatenate([p["kept"][name][end] for p in parts]) for end in ("fewest", "most")
        }
        for name in keep
    }
    return Certificate(
        simulation,
        **arrays,
        labels=getattr(images, "labels", labels),
        layers=rows,
        **single,
        neurons=kept,
    )


def _certify_some(images, readout, chosen, spiking, keep, one_by_one):
    """The arrays of a `Certificate` for these images, by name; `widths`: of each layer, after the
    last step (int64 [N, neurons]).
    """
    sent, given_up = _propagate(images, chosen)
    found = {
        "classes": readout.classes(images, sent, given_up[-1]),
        "given_up": given_up[-1],
        "widths": [_summary(sent[i]) for i in spiking],
        "kept": {
            name: {end: getattr(sent[i], end) for end in ("fewest", "most")}
            for i in spiking
            if (name := images.network.layers[i].name) in keep
        },
    }
    if one_by_one:
        clocked, alone, up_to, widths = _propagate(images, []), [], [], []
        for i in spiking:
            this, lost = _propagate(images, [i], i, *clocked)
            alone.append(readout.classes(images, this, lost[-1]) >= 0)
            widths.append(_summary(this[i]))
            before, lost = _propagate(images, [j for j in chosen if j <= i], i + 1, sent, given_up)
            up_to.append(readout.classes(images, before, lost[-1]) >= 0)
        found |= {"alone": np.array(alone), "up_to": np.array(up_to), "alone widths": widths}
    return found


def _propagate(images, free, first=0, sent=None, given_up=()):
    """({layer number: `Spikes`}, bool [N, T] for each layer: where it or one before was given up),
    with arrivals free in layers `free`.

    Layers before `first` are as they were. Pool units are free where the layer that they pool is.
    """
    network, sent, lost, free = images.network, dict(sent or {}), [*given_up][:first], set(free)
    for i in range(len(network.spiking)):
        if network.layers[i].pools and network.into(i)[0].source in free:
            free.add(i)
        if i >= first and lost and lost[-1].all():
            sent[i] = images.anything(i)
            lost.append(lost[-1])
        elif i >= first:
            sent[i], here = images.layer(i, sent, i in free)
            lost.append(here | lost[-1] if lost else here)
    return sent, lost


def _summary(spikes: Spikes):
    """(sum of widths, the widest, those of width 0, all) of a layer's intervals after the last
    step.
    """
    width = spikes.most[:, -1] - spikes.fewest[:, -1]
    return int(width.sum()), int(width.max()), int((width == 0).sum()), width.size


def _widths(summaries):
    """The columns of a layer's row, from the summaries of all parts."""
    total, widest, exact, count = (np.array(values) for values in zip(*summaries))
    return {
        "mean width": float(total.sum() / count.sum()),
        "widest": int(widest.max()),
        "exact": float(exact.sum() / count.sum()),
    }


class _Readout:
    """Which class has the largest readout, whatever the counts are inside their intervals."""

    def __init__(self, simulation):
        network = simulation.network
        self.layer, self.weights = len(network.layers) - 1, {}
        for p in network.into(self.layer):
            if p.source != INPUT:
                if network.layers[p.source].size * network.readout.size > MAX_DENSE:
                    raise InputError(
                        "readout",
                        f"at most {MAX_DENSE:,} weights as one matrix",
                        f"{network.layers[p.source].size:,} x {network.readout.size:,}",
                        "certify networks that classify",
                    )
                blocks = simulation.blocks(p).astype(np.float64)  # whole numbers below 2^53
                self.weights[p.source] = (
                    LinearMap(p.map.sites, p.map.p, p.map.r, p.map.k, blocks)
                    .dense()
                    .astype(np.int64)
                )

    def classes(self, images, sent, given_up):
        """int64 [N, T]: the class after each step, -1 where it is not certain; given_up: bool [N,
        T], where no interval is known.
        """
        best = images.charge(self.layer, sent, "fewest", "fewest").argmax(
            axis=2
        )  # if any class is certain, it is that of any counts
        drive = np.cumsum(images.drive[self.layer], axis=1)
        for c in np.unique(best):
            at = best == c
            least = drive[at][:, [c]] - drive[at]
            for source, weights in self.weights.items():
                intervals.add_dense(
                    weights[:, [c]] - weights, sent[source].fewest[at], sent[source].most[at], least
                )
            ahead = least >= (np.arange(least.shape[1]) < c)  # of equals the first wins
            best[at] = np.where(ahead.all(axis=1) & ~given_up[at], c, -1)
        return best
