"""What each layer costs: its spikes are replaced by those it should have sent, and the rest of the
network runs on them.

A layer can err in how many spikes it sends and in when it sends them: spikes that come unevenly
make the layers behind it err even where every count is right. Surgery replaces the output of chosen
layers, from input to output.

**Counts**, net spikes in T steps: `own`, as fired; `ideal`, those of the ideal staircase at the
layer's own average input (semantics, section 8); `ann`, the ANN's own activation with as many
levels as the SNN has steps (L := T, as for `errors.cases`).

**Times**, of n spikes of a neuron that sends at most m in a step:
`kept`   own spikes stay where the count allows. Too many: the latest positive ones go. Too few:
         negative ones go, the latest first; then spikes are added in the latest steps that have
         room for them.
`even`   floor(n t / T + 1/2) have been sent after step t, as by a neuron with v(0) = theta / 2 at
constant input.
`first`  m in each step from the first on.

Only clocked time goes layer by layer, so only there a layer has an output before the next one has
an input. Pools have no neurons to operate on; they pass on what they are given. SRP's masks are
those of the network as it is; a replaced layer sends what it is given.
"""

from __future__ import annotations

import time as clock
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tqdm import tqdm

from eventsnn.ann import forward as ann
from eventsnn.data.images import check_images
from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import most
from eventsnn.result import Result
from eventsnn.simulation.batch import Batch
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.studies.equivalence import arrived, staircases
from eventsnn.studies.setting import CHUNK, all_drive, prepare, top_of
from eventsnn.views.tables import ByLayer, wilson

COUNTS = ("own", "ideal", "ann")
TIMES = ("kept", "even", "first")


def replace_layers(
    network,
    images,
    layers,
    *,
    counts="ideal",
    times="even",
    steps=8,
    labels=None,
    neurons=False,
    progress=False,
    **settings,
):
    """Run `images` with the spikes of some layers replaced; returns a `Result`, as `network.run`
    does.

    layers: their names. counts, times: of COUNTS and TIMES. A layer's own spikes and average input
    are those behind the layers before it as they have been replaced. Potentials, ties and
    operations of a replaced layer are its own; its spikes are those it was given. neurons: keep net
    spikes and last potentials. settings: as for `errors.decompose`. Raises InputError for what that
    refuses, unknown layers, asynchronous time, and fewer steps than it takes to send a threshold's
    worth of spikes.
    """
    labels = getattr(images, "labels", labels)
    simulation, pixels, numbers = _prepare(network, images, steps, settings, counts, times)
    targets = _targets(network)
    if unknown := set(layers) - set(targets):
        raise InputError(
            "layers",
            f"names of layers of neurons: {', '.join(targets)}",
            ", ".join(map(repr, sorted(unknown))),
        )
    began, parts = clock.perf_counter(), []
    for part in _chunks(simulation, pixels, numbers, progress, len(set(layers))):
        runs = part.runs
        for name in targets:
            if name in layers:
                runs = part.replace(
                    runs, targets[name], part.counts(runs, targets[name], counts), times
                )
        parts.append(part.batch(runs, neurons))
    return Result(simulation, Batch.join(parts), images, labels, clock.perf_counter() - began)


@dataclass(repr=False)
class Costs(ByLayer):
    """What each layer costs in accuracy and in distance from the ANN's output, from `costs`.

    snn, ann: the network as it runs, and the ANN: `hits`, images classified as labelled;
    `accuracy`, the share of them, with its 95 % interval `low` to `high` (Wilson); `square`, the
    mean squared distance of the readout from the ANN's output. layers: one row each, from input to
    output. The same five with right counts in this layer, at kept times (`counts hits` and so on),
    and then with times spread evenly, too (`times hits`, …), where the layers before it have both.
    `counts cost`: the images that right counts won; `timing cost`: those that right times won after
    that. All costs add up to the last `times hits` less `snn`'s, exactly. `wrong`: the share of
    neurons and images whose count was replaced. The same keys with `alone ` before them: only this
    layer is replaced.
    """

    simulation: Simulation
    images: int
    counts: str
    snn: dict
    ann: dict
    layers: list

    def table(self):
        """One row a layer: percent of counts that were wrong, costs in points of accuracy, accuracy
        and distance after it.
        """
        rows = []
        for row in self.layers:
            shown = {"layer": row["layer"], "neurons": row["neurons"]}
            for path in ("", "alone "):
                shown |= {f"{path}wrong": 100 * row[f"{path}wrong"]}
                shown |= {
                    f"{path}{kind}": 100 * row[f"{path}{kind} cost"] / self.images
                    for kind in ("counts", "timing")
                }
                shown |= {
                    f"{path}accuracy": row[f"{path}times accuracy"],
                    f"{path}square": row[f"{path}times square"],
                }
            rows.append(shown)
        return rows

    def __repr__(self):
        counts, timing = (
            sum(row[f"{kind} cost"] for row in self.layers) for kind in ("counts", "timing")
        )
        return (
            f"<Costs of {len(self.layers)} layers on {self.images} images, T = {self.simulation.steps}, {self.counts} counts: accuracy "
            f"{self.snn['accuracy']:.2%} as it runs, {self.layers[-1]['times accuracy']:.2%} with all layers replaced (ANN "
            f"{self.ann['accuracy']:.2%}); wrong counts cost {counts} images, wrong timing {timing}>"
        )


def costs(network, images, *, counts="ideal", steps=8, labels=None, progress=False, **settings):
    """The `Costs` of every layer of neurons, on labelled images.

    From input to output each layer gets right counts at kept times, then evenly spread: the
    accuracy goes from the network's as it runs to that of the ANN with L := T levels in the
    simulation's whole numbers (counts "ann"), or of the network of ideal staircases (counts
    "ideal"). With v(0) = theta / 2 these are the same, count for count, and so is every step of the
    way; they differ in what replacing a layer alone does. settings: as for `replace_layers`.
    """
    labels = getattr(images, "labels", labels)
    if labels is None:
        raise InputError(
            "images", "images with labels", "none", "give labelled Images, or pass labels="
        )
    check_images(network.graph, getattr(images, "pixels", images), labels)
    if counts == "own":
        raise InputError(
            "counts", "'ideal' or 'ann'", "'own'", "own counts are not wrong; see replace_layers"
        )
    simulation, pixels, numbers = _prepare(network, images, steps, settings, counts, "even")
    targets, classes = _targets(network), network.readout.size
    sums = {"ann": np.zeros(3)}  # hits, squared distances, wrong counts
    for part in _chunks(simulation, pixels, numbers, progress, 4 * len(targets)):
        outputs, right = (
            ann.predict(network.graph, part.pixels).reshape(-1, classes),
            labels[part.start : part.start + len(part.pixels)],
        )
        sums["ann"] += (outputs.argmax(axis=1) == right).sum(), 0, 0
        for key, runs, wrong in _all_replaced(part, targets, counts):
            charge = np.stack([run.readout[-1] for run in runs])
            square = np.square(simulation.output(charge, steps) - outputs).sum()
            sums[key] = sums.get(key, 0) + np.array(
                [(charge.argmax(axis=1) == right).sum(), square, wrong]
            )
    scores = {
        key: _score(hits, square, len(pixels), classes) for key, (hits, square, _) in sums.items()
    }
    rows, before = [], scores["snn"]["hits"]
    for name, i in targets.items():
        row, size = (
            {"layer": name, "neurons": network.layers[i].size},
            len(pixels) * network.layers[i].size,
        )
        for path, start in (("", before), ("alone ", scores["snn"]["hits"])):
            first, second = (scores[path, name, stage] for stage in ("counts", "times"))
            row |= {
                f"{path}wrong": float(sums[path, name, "counts"][2] / size),
                f"{path}counts cost": first["hits"] - start,
                f"{path}timing cost": second["hits"] - first["hits"],
            }
            row |= {
                f"{path}{stage} {key}": value
                for stage in ("counts", "times")
                for key, value in scores[path, name, stage].items()
            }
        before = row["times hits"]
        rows.append(row)
    return Costs(simulation, len(pixels), counts, scores["snn"], scores["ann"], rows)


def _all_replaced(part, targets, counts):
    """Yield (key, runs, neurons whose count was wrong): the network as it runs, then each layer
    after those before it, then each alone.
    """
    yield "snn", part.runs, 0
    for path in ("", "alone "):
        before = part.runs
        for name, i in targets.items():
            wanted = part.counts(before, i, counts)
            wrong = int((wanted != part.counts(before, i, "own")).sum())
            yield (path, name, "counts"), part.replace(before, i, wanted, "kept"), wrong
            after = part.replace(before, i, wanted, "even")
            yield (path, name, "times"), after, wrong
            before = after if path == "" else before


def _score(hits, square, images, classes):
    """hits, accuracy, low, high and square of `Costs`."""
    low, high = wilson(int(hits), images)
    return {
        "hits": int(hits),
        "accuracy": float(hits / images),
        "low": low,
        "high": high,
        "square": float(square / (images * classes)),
    }


class _Chunk:
    """Some images, from number `start` on: raw pixels, and their `ClockedRun`s, `runs`, as the
    network runs.
    """

    def __init__(self, simulation, pixels, numbers, start, pool, bar):
        self.simulation, self.pixels, self.start, self.pool, self.bar = (
            simulation,
            pixels,
            start,
            pool,
            bar,
        )
        self.runs, self.drives, self.stage_one = zip(
            *pool.map(self._alone, pixels, map(int, numbers))
        )
        self.given = np.stack(
            [all_drive(simulation, *each) for each in zip(pixels, numbers)]
        )  # charge that comes without a spike
        bar.update(len(pixels))

    def _alone(self, image, number):
        """(its `ClockedRun`, its drive, what SRP's first stage cost) of one image, as the network
        runs.
        """
        found = self.simulation.image(image, number)
        return found.run, found.drive, found.stage_one

    def counts(self, runs, layer, kind):
        """The counts, of COUNTS, of layer number `layer` behind the layers before it as they are in
        `runs`: int64 [images, neurons].
        """
        simulation, here = self.simulation, self.simulation.network.columns(layer)
        if kind == "ann":
            return self.ann[:, here]
        if kind == "own":
            return np.stack([run.sent[here] for run in runs])
        charge = (
            simulation.resting[here]
            + self.given[:, here]
            + arrived(simulation, layer, np.stack([run.sent for run in runs]))
        )
        return np.clip(charge // simulation.arithmetic.one.item(), 0, top_of(simulation, layer))

    @cached_property
    def ann(self):
        """Net spikes of the ANN with L := T, int64 [images, all neurons]."""
        simulation = self.simulation
        half = simulation.arithmetic.one.item() // 2
        return staircases(
            simulation,
            self.given + half,
            [top_of(simulation, i) for i in range(len(simulation.network.layers))],
        )[0]

    def replace(self, runs, layer, counts, times):
        """`runs` with the layer's spikes as many as `counts` [images, neurons] says, at these
        times, and what follows from them.
        """
        after = list(
            self.pool.map(
                lambda *each: self._replace(*each, layer, times), runs, self.drives, counts
            )
        )
        self.bar.update(len(after))
        return after

    def _replace(self, run, drive, counts, layer, times):
        simulation = self.simulation
        train = timed(train_of(simulation, run, layer), counts, times, int(most(simulation.neuron)))
        before = _with_train(simulation, run, layer, train)
        return simulation.engine.run(drive, mute=before.mute, given=layer + 1, before=before)

    def batch(self, runs, neurons):
        """The runs as a `Batch`; neurons: with net spikes, potentials and masks."""
        arrays = {
            name: np.stack([getattr(run, name) for run in runs])
            for name in ("readout", "spikes", "operations", "ties")
        }
        t_eq = [
            self.simulation.equilibrium(*each)
            for each in zip(arrays["spikes"], self.drives, self.pixels)
        ]
        if neurons:
            arrays |= {
                "counts": np.stack([run.sent for run in runs]),
                "potentials": np.stack([run.v for run in runs]),
                "masks": np.stack([run.mute == 0 for run in runs]),
            }
        return Batch(
            **arrays,
            t_eq=np.array(t_eq),
            stage_one=np.stack(self.stage_one) if self.simulation.srp else None,
        )


def timed(train, counts, times, most):
    """Spikes int64 [T, neurons] with these net counts [neurons], at times of TIMES. train: the
    neuron's own; most: spikes in a step.
    """
    steps = len(train)
    if times == "even":
        return np.diff([(2 * counts * t + steps) // (2 * steps) for t in range(steps + 1)], axis=0)
    if times == "first":
        return np.stack(
            [np.sign(counts) * np.clip(abs(counts) - t * most, 0, most) for t in range(steps)]
        )
    train, missing = train.copy(), counts - train.sum(axis=0)
    for t in reversed(range(steps)):
        moved = np.clip(
            missing, -np.maximum(train[t], 0), np.maximum(-train[t], 0)
        )  # drop a positive spike, or take one back less
        train[t] += moved
        missing -= moved
    for t in reversed(range(steps)):
        added = np.clip(missing, 0, most - train[t])
        train[t] += added
        missing -= added
    return train


def train_of(simulation, run, layer):
    """What each neuron of layer number `layer` sent in each step of a `ClockedRun`: int64 [T,
    neurons].
    """
    steps, tables = len(run.readout), simulation.engine.tables
    channels, sites, site = tables.channels[layer], tables.sites[layer], tables.first_site[layer]
    first = run.first[site * steps : (site + sites) * steps + 1]
    spikes = run.log[first[0] : first[-1]]
    sites_of, steps_of = np.divmod(np.repeat(np.arange(sites * steps), np.diff(first)), steps)
    train = np.zeros((steps, sites * channels), np.int64)
    np.add.at(
        train,
        (steps_of, sites_of * channels + np.where(spikes < 0, ~spikes, spikes)),
        np.where(spikes < 0, -1, 1),
    )
    return train


def _with_train(simulation, run, layer, train):
    """A `ClockedRun` whose layers up to this one are those of `run`, with the spikes of `train` [T,
    neurons] for the layer's own.
    """
    steps, tables, here = len(train), simulation.engine.tables, simulation.network.columns(layer)
    site, begins = tables.first_site[layer], run.begins.copy()
    cells = (
        train.reshape(steps, tables.sites[layer], -1)
        .swapaxes(0, 1)
        .reshape(-1, tables.channels[layer])
    )  # by site and step
    at, channel = np.nonzero(cells)
    count, start = cells[at, channel], begins[site, 0]
    s, mute, spikes = run.s.copy(), run.mute.copy(), run.spikes.copy()
    s[here], mute[here], spikes[layer] = train.sum(axis=0), 0, abs(train).sum(axis=1)
    log = np.repeat(np.where(count > 0, channel, ~channel), abs(count)).astype(np.int32)
    ends = start + np.cumsum(abs(cells).sum(axis=1)).reshape(-1, steps)
    begins[site : site + len(ends)] = np.concatenate(
        [np.append(start, ends[:-1, -1])[:, None], ends], axis=1
    )
    return run._replace(
        s=s, mute=mute, spikes=spikes, log=np.concatenate([run.log[:start], log]), begins=begins
    )


def _targets(network):
    """{name: number} of the layers of neurons."""
    return {layer.name: i for i, layer in enumerate(network.spiking) if not layer.pools}


def _prepare(network, images, steps, settings, counts, times):
    """(Simulation, raw pixels, their numbers); raises InputError where surgery makes no sense."""
    for name, value, allowed in (("counts", counts, COUNTS), ("times", times, TIMES)):
        if value not in allowed:
            raise InputError(name, f"one of {', '.join(allowed)}", repr(value))
    if settings.get("engine", "clocked") != "clocked":
        raise InputError(
            "surgery",
            "engine 'clocked'",
            f"engine {settings['engine']!r}",
            "in asynchronous time layers answer each other "
            "spike by spike, and a count says nothing about the order of arrival; see result.replay for edited orders",
        )
    simulation, pixels, numbers = prepare(network, images, steps, settings, "surgery")
    most_spikes = steps * int(most(simulation.neuron))
    for name, i in _targets(network).items():
        if top_of(simulation, i) > most_spikes:
            raise InputError(
                "steps",
                f"enough for the {top_of(simulation, i)} spikes that stand for the threshold of {name!r}",
                f"{steps}, with at most {most_spikes} spikes",
                "choose more steps",
            )
    return simulation, pixels, numbers


def _chunks(simulation, pixels, numbers, progress, replacements):
    """Yield `_Chunk`s; the bar counts runs, of which each image has one and one for each
    replacement.
    """
    size = max(1, min(16, CHUNK // len(simulation.resting)))
    total = len(pixels) * (1 + replacements)
    with (
        tqdm(total=total, unit="run", disable=None if progress else True, delay=2) as bar,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for start in range(0, len(pixels), size):
            part = slice(start, start + size)
            yield _Chunk(simulation, pixels[part], numbers[part], start, pool, bar)
