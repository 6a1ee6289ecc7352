"""Spike trains of one layer in clocked time: read from a run, made anew, and put into a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.driver import ClockedRun
from eventsnn.engine.hashing import digests_of, splitmix64
from eventsnn.simulation.prepared import Prepared
from eventsnn.studies.setting import engine_of

TIMES = ("kept", "even", "first", "shuffled")


class Drawn(NamedTuple):
    """On what shuffled times depend, beside neuron and step.

    seed: of the run. image: the image's number. layer: the layer's number, pools counted.
    """

    seed: int = 0
    image: int = 0
    layer: int = 0


ONE = Drawn()


def timed(
    train: NDArray[np.int64],
    counts: NDArray[np.int64],
    times: str,
    most: int,
    drawn: Drawn = ONE,
) -> NDArray[np.int64]:
    """Spikes with given net counts at given times: int64 [T, neurons].

    train: what the neurons sent themselves, int64 [T, neurons]. counts: the net counts, int64
    [neurons]. times: one of TIMES (see `surgery`). most: the most spikes that a neuron sends in a
    step. drawn: on what "shuffled" depends.
    """
    steps = len(train)
    if times == "even":
        sent = [(2 * counts * t + steps) // (2 * steps) for t in range(steps + 1)]
        return np.diff(sent, axis=0)
    if times == "first":
        left = [np.clip(abs(counts) - t * most, 0, most) for t in range(steps)]
        return np.stack([np.sign(counts) * spikes for spikes in left])
    kept = _kept(train.copy(), counts - train.sum(axis=0), most)
    return _shuffled(kept, drawn) if times == "shuffled" else kept


def _shuffled(train: NDArray[np.int64], drawn: Drawn) -> NDArray[np.int64]:
    """`train` [T, neurons] with the steps of each neuron in the order of their hashes.

    A step's hash is splitmix64 chained over seed, image, layer, neuron and step, from 1. Of equals
    the earlier step is first (semantics, section 8).
    """
    mixed = splitmix64.py_func  # of arrays; Python's own numbers would not wrap around
    steps, neurons = np.ogrid[1 : len(train) + 1, : train.shape[1]]
    h = np.zeros((1, 1), np.uint64)
    for part in (*drawn, neurons, steps):
        h = mixed(h ^ np.asarray(part).astype(np.uint64))
    return np.take_along_axis(train, np.argsort(h, axis=0, kind="stable"), axis=0)


def _kept(train: NDArray[np.int64], missing: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """`train` itself, changed in as few and as late spikes as `missing` [neurons] asks for."""
    latest_first = range(len(train) - 1, -1, -1)
    for t in latest_first:  # positive spikes are dropped, negative ones are not sent
        positive, negative = np.maximum(train[t], 0), np.maximum(-train[t], 0)
        moved = np.clip(missing, -positive, negative)
        train[t] += moved
        missing -= moved
    for t in latest_first:
        added = np.clip(missing, 0, np.maximum(most - train[t], 0))  # some may have sent more
        train[t] += added
        missing -= added
    return train


def train_of(simulation: Prepared, run: ClockedRun, layer: int) -> NDArray[np.int64]:
    """What each neuron of a layer sent in each step: int64 [T, neurons].

    simulation: in clocked time. run: of one image in it, on one thread. layer: the layer's number.
    Raises InputError for asynchronous time.
    """
    steps, tables = len(run.readout), engine_of(simulation).tables
    channels, sites = tables.channels[layer], tables.sites[layer]
    site = tables.first_site[layer]
    first = run.first[site * steps : (site + sites) * steps + 1]
    spikes = run.log[first[0] : first[-1]]
    cells = np.repeat(np.arange(sites * steps), np.diff(first))
    sites_of, steps_of = np.divmod(cells, steps)
    neurons = sites_of * channels + np.where(spikes < 0, ~spikes, spikes)
    train = np.zeros((steps, sites * channels), np.int64)
    np.add.at(train, (steps_of, neurons), np.where(spikes < 0, -1, 1))
    return train


def with_train(
    simulation: Prepared, run: ClockedRun, layer: int, train: NDArray[np.int64]
) -> ClockedRun:
    """A `ClockedRun` in which one layer sent other spikes, good up to this layer.

    simulation, run, layer: as for `train_of`; layers before this one are as in `run`. train: what
    the layer sends, int64 [T, neurons]. Raises InputError for asynchronous time.
    """
    steps, tables = len(train), engine_of(simulation).tables
    here = simulation.network.columns(layer)
    site, channels = tables.first_site[layer], tables.channels[layer]
    by_site = train.reshape(steps, tables.sites[layer], -1).swapaxes(0, 1)
    cells = by_site.reshape(-1, channels)  # by site and step
    at, channel = np.nonzero(cells)
    count = cells[at, channel]
    fired = np.where(count > 0, channel, ~channel)
    log = np.repeat(fired, abs(count)).astype(np.int32)
    begins = run.begins.copy()
    start = begins[site, 0]
    ends = start + np.cumsum(abs(cells).sum(axis=1)).reshape(-1, steps)
    starts = np.append(start, ends[:-1, -1])[:, None]
    begins[site : site + len(ends)] = np.concatenate([starts, ends], axis=1)
    s = run.s.copy()
    mute = run.mute.copy()
    spikes, digests = run.spikes.copy(), run.digests.copy()
    s[here] = train.sum(axis=0)
    mute[here] = 0
    spikes[layer], digests[layer] = abs(train).sum(axis=1), digests_of(train)
    whole_log = np.concatenate([run.log[:start], log])
    return run._replace(
        s=s, mute=mute, spikes=spikes, digests=digests, log=whole_log, begins=begins
    )
