"""Drives the clocked kernel: gives it its arrays, room for the spikes, and threads that share an
image.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from eventsnn.engine.clocked.kernels import run_layers
from eventsnn.engine.jit import specialised
from eventsnn.engine.vectors import aligned
from eventsnn.neurons.contract import most

FIRST_ROOM = (
    2**26
)  # spikes; the most that the log is made for before any image has told how many there are


class ClockedRun(NamedTuple):
    """What one image leaves in clocked time; see `engine.clocked.run_layers` for the arrays. In the
    log of one thread spikes lie site by site, step by step.
    """

    v: np.ndarray
    s: np.ndarray
    mute: np.ndarray
    spikes: np.ndarray
    operations: np.ndarray
    ties: np.ndarray
    readout: np.ndarray
    log: np.ndarray
    begins: np.ndarray

    @property
    def sent(self):
        """Net spikes that were sent, int64 [neurons]; the readout's are 0."""
        return np.where(self.mute, 0, self.s).astype(np.int64)

    @property
    def first(self):
        """int64 [sites * T + 1]: where the spikes of each site and step begin in the log of one
        thread; the end of each is the next.
        """
        return np.append(self.begins[:, :-1], self.begins[-1, -1])


def run_clocked(
    net,
    neuron,
    drive,
    drive_steps,
    resting,
    steps,
    *,
    mute=None,
    given=0,
    before=None,
    threads=1,
    room=0,
):
    """The `ClockedRun` of one image for `steps` steps.

    net: ProjectionTables. drive: [D, neurons], of the first `drive_steps` steps. resting: v(0).
    mute: uint8 [neurons], 1 where spikes are not sent. before: an earlier run of the image for as
    many steps, on one thread; its first `given` layers stay as they are there, and only the others
    run on their spikes. threads: how many share each layer; they change nothing but the time. room:
    spikes that the log should hold; where it cannot, the image is run again with twice the room.
    """
    layers, size, sites = len(net.sites), len(resting), int(net.first_site[-1])
    charges = int((net.block * net.channels).max()) * steps  # of a block, at most
    room = max(room, min(size * steps // 4, FIRST_ROOM), 2 * threads * (charges * most(neuron) + 1))
    room += len(before.log) if given else 0
    while True:
        run = ClockedRun(
            resting.copy(),
            np.zeros(size, np.int32),
            np.zeros(size, np.uint8) if mute is None else mute,
            *(np.zeros((threads, layers, steps), np.int64) for _ in range(2)),
            np.zeros((threads, layers), np.int64),
            np.zeros((steps, int(net.channels[-1] * net.sites[-1])), resting.dtype),
            np.empty(room, np.int32),
            np.zeros((sites, steps + 1), np.int64),
        )
        back = np.zeros((sites, steps), np.uint8)
        if given:
            _keep(net, before, given, run, back)
        if _in_threads(
            specialised(run_layers, neuron),
            net,
            neuron,
            drive,
            min(drive_steps, steps),
            run,
            back,
            charges,
            given,
            threads,
        ):
            counts = {
                name: getattr(run, name).sum(axis=0) for name in ("spikes", "operations", "ties")
            }
            return run._replace(
                log=run.log[: run.begins[-1, -1]] if threads == 1 else run.log, **counts
            )
        room *= 2


def _keep(net, before, given, run, back):
    """Copy the first `given` layers of another run, and mark their sites' negative spikes."""
    neurons, sites = net.first_neuron[given], net.first_site[given]
    for field, kept in (
        ("v", neurons),
        ("s", neurons),
        ("begins", sites),
        ("log", before.begins[sites - 1, -1]),
    ):
        getattr(run, field)[:kept] = getattr(before, field)[:kept]
    for field in ("spikes", "operations", "ties"):
        getattr(run, field)[0, :given] = getattr(before, field)[:given]
    first = np.append(
        before.begins[:sites, :-1], before.begins[sites - 1, -1]
    )  # what comes behind may be of another log
    back.reshape(-1)[
        np.searchsorted(first, np.flatnonzero(before.log[: first[-1]] < 0), side="right") - 1
    ] = 1


def _in_threads(kernel, net, neuron, drive, drive_steps, run, back, charges, given, threads):
    """Call the kernel once for each part, in threads of their own but for the first; returns
    whether the log had room.
    """
    done = np.zeros(threads + 1, np.int64)

    def part(number):
        try:
            scratch = (
                aligned(charges, run.v.dtype),
                np.zeros(net.channels.max(), np.int32),
                np.zeros(net.largest_window, np.int64),
            )
            return kernel(
                net, neuron, drive, drive_steps, *run, back, *scratch, given, number, done
            )
        except BaseException:
            done[-1] = 1  # nobody waits for a part that cannot be
            raise

    if threads == 1:
        return part(0)
    with ThreadPoolExecutor(threads - 1) as pool:
        try:
            others = [pool.submit(part, number) for number in range(1, threads)]
            return all([part(0), *(future.result() for future in others)])
        except BaseException:
            done[-1] = 1  # nobody waits for a part that cannot be
            raise
