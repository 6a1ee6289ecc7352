"""Drives the clocked kernel: arrays, room for the spikes, and threads that share an image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.firing import bound_to
from eventsnn.engine.clocked.kernels import run_layers
from eventsnn.engine.clocked.layout import ProjectionTables, Work
from eventsnn.engine.decay import factors_of
from eventsnn.engine.overflow import Overflow
from eventsnn.engine.vectors import PACKED, aligned
from eventsnn.neurons.contract import is_dynamic, most, own_at_first

# spikes; the most that the log is made for before any image has told how many there are
FIRST_ROOM = 2**26
# spikes of one site whose hashes are added up at once, where one step has no more
AT_ONCE = 2**14
UNLIMITED = 2**62  # a limit of potentials that none of 32 bits reaches


class ClockedRun(NamedTuple):
    """What one image leaves in clocked time.

    v: the arithmetic's dtype [neurons], potentials. s: int32 [neurons], net spikes. mute: uint8
    [neurons], 1 where spikes were not sent. spikes, operations: int64 [L, T]. ties: int64 [L].
    readout: the arithmetic's dtype [T, classes]. log: int32, the spikes. begins: int64 [sites, T +
    1], where those of each site and step begin in the log. In the log of one thread spikes lie site
    by site, step by step. own: the arithmetic's dtype [neurons, K], states of the model's own.
    digests: uint64 [L, T] (semantics, section 17). `clocked.layout.Work` says more.
    """

    v: NDArray[Any]
    s: NDArray[np.int32]
    mute: NDArray[np.uint8]
    spikes: NDArray[np.int64]
    operations: NDArray[np.int64]
    ties: NDArray[np.int64]
    readout: NDArray[Any]
    log: NDArray[np.int32]
    begins: NDArray[np.int64]
    own: NDArray[Any]
    digests: NDArray[np.uint64]

    @property
    def sent(self) -> NDArray[np.int64]:
        """Net spikes that were sent, int64 [neurons]; the readout's are 0."""
        return np.where(self.mute, 0, self.s).astype(np.int64)

    @property
    def first(self) -> NDArray[np.int64]:
        """Where the spikes of each site and step begin in the log of one thread.

        int64 [sites * T + 1]; the end of each is the next.
        """
        return np.append(self.begins[:, :-1], self.begins[-1, -1])

    def __repr__(self) -> str:
        layers, steps = self.spikes.shape[-2:]
        return f"<ClockedRun: {layers} layers, {steps} steps, {int(self.spikes.sum()):,} spikes>"


def run_clocked(
    net: ProjectionTables,
    neuron: Any,
    drive: NDArray[Any],
    drive_steps: int,
    resting: NDArray[Any],
    steps: int,
    *,
    mute: NDArray[np.uint8] | None = None,
    given: int = 0,
    before: ClockedRun | None = None,
    threads: int = 1,
    room: int = 0,
    leaks: Sequence[float] = (),
    ticks: int = 1024,
    image: int = 0,
    limit: int = UNLIMITED,
) -> ClockedRun:
    """The `ClockedRun` of one image for `steps` steps.

    net: the network. neuron: a model, a NamedTuple (see `neurons.contract`). drive: the
    arithmetic's dtype [D, neurons], of the first `drive_steps` steps. resting: v(0), the
    arithmetic's dtype [neurons]. mute: uint8 [neurons], 1 where spikes are not sent; None: nowhere.
    before: an earlier run of the image for as many steps, on one thread; its first `given` layers
    stay as they are there, and only the others run on their spikes. threads: how many share each
    layer; they change nothing but the time. room: spikes that the log should hold; where it cannot,
    the image is run again with twice the room. leaks: in a step, of the potential and of each own
    state; (): nothing leaks. ticks: of a step. image: its number in the data set. limit: the size
    that no potential of 32 bits may reach, on either side. Raises Overflow where one does.
    """
    size, at_most = len(resting), most(neuron)
    if before is not None and given and net.pools[given:].any():
        # a pool behind what is given sends as much in a step as that did
        at_most = max(at_most, _largest(before.log, before.begins[: net.first_site[given]]))
    charges = int((net.block * net.channels).max()) * steps  # of a block, at most
    most_of_blocks = 2 * threads * (charges * at_most + PACKED)
    room = max(room, min(size * steps // 4, FIRST_ROOM), most_of_blocks)
    kept = before if given else None
    room += 0 if kept is None else len(kept.log)
    mute = np.zeros(size, np.uint8) if mute is None else mute
    drive_steps = min(drive_steps, steps)
    own = own_at_first(neuron, size, resting.dtype)
    while True:
        run = _empty(net, resting, own.copy(), steps, mute, threads, room)
        back = np.zeros((len(run.begins), steps), np.uint8)
        if kept is not None:
            _keep(net, kept, given, run, back)
        work = Work(
            drive=drive,
            drive_steps=drive_steps,
            driven=0 if is_dynamic(type(neuron)) else drive_steps,
            **run._asdict(),
            back=back,
            **_scratch(net, at_most, charges, run),
            at_most=at_most,
            given=given,
            part=0,
            done=np.zeros(threads + 1, np.int64),
            reached=np.zeros(threads, np.int64),
            limit=limit,
            factors=factors_of(leaks, ticks),
            ticks=ticks,
            image=image,
        )
        if _in_threads(net, neuron, work, charges):
            return run._replace(
                log=run.log[: run.begins[-1, -1]] if threads == 1 else run.log,
                spikes=run.spikes.sum(axis=0),
                operations=run.operations.sum(axis=0),
                ties=run.ties.sum(axis=0),
                digests=run.digests.sum(axis=0),
            )
        del run, back, work  # before there are others
        room *= 2


def _empty(
    net: ProjectionTables,
    resting: NDArray[Any],
    own: NDArray[Any],
    steps: int,
    mute: NDArray[np.uint8],
    threads: int,
    room: int,
) -> ClockedRun:
    """The arrays of a run before its first step; counts have one part for each thread."""
    layers, sites = len(net.sites), int(net.first_site[-1])
    classes = int(net.channels[-1] * net.sites[-1])
    return ClockedRun(
        v=resting.copy(),
        s=np.zeros(len(resting), np.int32),
        mute=mute,
        spikes=np.zeros((threads, layers, steps), np.int64),
        operations=np.zeros((threads, layers, steps), np.int64),
        ties=np.zeros((threads, layers), np.int64),
        readout=np.zeros((steps, classes), resting.dtype),
        log=np.empty(room, np.int32),
        begins=np.zeros((sites, steps + 1), np.int64),
        own=own,
        digests=np.zeros((threads, layers, steps), np.uint64),
    )


def _keep(
    net: ProjectionTables,
    before: ClockedRun,
    given: int,
    run: ClockedRun,
    back: NDArray[np.uint8],
) -> None:
    """Copy the first `given` layers of another run, and mark their sites' negative spikes."""
    neurons, sites = net.first_neuron[given], net.first_site[given]
    spikes = before.begins[sites - 1, -1]
    run.v[:neurons] = before.v[:neurons]
    run.s[:neurons] = before.s[:neurons]
    run.own[:neurons] = before.own[:neurons]
    run.begins[:sites] = before.begins[:sites]
    run.log[:spikes] = before.log[:spikes]
    run.spikes[0, :given] = before.spikes[:given]
    run.operations[0, :given] = before.operations[:given]
    run.ties[0, :given] = before.ties[:given]
    run.digests[0, :given] = before.digests[:given]
    # the log's end is that of these sites; what comes behind may be of another log
    first = np.append(before.begins[:sites, :-1], spikes)
    negative = np.flatnonzero(before.log[:spikes] < 0)
    back.reshape(-1)[np.searchsorted(first, negative, side="right") - 1] = 1


def _largest(log: NDArray[np.int32], begins: NDArray[np.int64]) -> int:
    """The most spikes of one neuron in one step, of some sites.

    log, begins: as in `ClockedRun`, of these sites from the log's beginning on.
    """
    first = np.append(begins[:, :-1], begins[-1, -1])
    spikes = log[: first[-1]]
    cells = np.repeat(np.arange(len(first) - 1), np.diff(first))
    new = np.flatnonzero((np.diff(spikes) != 0) | (np.diff(cells) != 0)) + 1
    return int(np.diff(np.concatenate([[0], new, [len(spikes)]])).max(initial=0))


def _scratch(
    net: ProjectionTables, at_most: int, charges: int, run: ClockedRun | Work
) -> dict[str, NDArray[Any]]:
    """The arrays of `Work` that each part has for itself. charges: of a block, at most."""
    of_step = int(net.channels.max()) * at_most  # spikes of a site
    at_once = max(of_step, min(of_step * run.digests.shape[2], AT_ONCE))
    return {
        "charge": aligned(charges, run.v.dtype),
        "emitted": np.empty(charges, np.int32),
        "sums": np.zeros(net.largest_window, np.int64),
        "so_far": np.empty(at_once + 1, np.uint64),
    }


def _in_threads(net: ProjectionTables, neuron: Any, work: Work, charges: int) -> bool:
    """Call the kernel once for each part, the first in this thread, the others in their own.

    work: of the first. charges: of a block, at most. Returns whether the log had room. Raises
    Overflow where a potential reached the limit.
    """
    fires, threads = bound_to(neuron, net, work), len(work.reached)

    def part(number: int) -> bool:
        try:
            own: dict[str, Any] = _scratch(net, work.at_most, charges, work) if number else {}
            return run_layers(net, work._replace(part=number, **own), fires)
        except BaseException:
            work.done[-1] = 1  # nobody waits for a part that cannot be
            raise

    def parts() -> bool:
        if threads == 1:
            return part(0)
        with ThreadPoolExecutor(threads - 1) as pool:
            try:
                others = [pool.submit(part, number) for number in range(1, threads)]
                return all([part(0), *(future.result() for future in others)])
            except BaseException:
                work.done[-1] = 1  # nobody waits for a part that cannot be
                raise

    had_room = parts()
    if work.reached.max() >= work.limit:
        raise Overflow(f"a potential of {work.limit} or more in 32 bits")
    return had_room
