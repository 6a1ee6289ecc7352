"""What many images give, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.arguments import checked, named_fields
from eventsnn.engine.event.core_arrays import Served
from eventsnn.simulation.prepared import Outcome
from eventsnn.values import not_empty

# what it has of cores
OF_CORES = ("busy", "longest_queue", "undelivered", "ended", "changes")


@named_fields
@dataclass
class Batch:
    """What N images give, image by image. T: steps, L: layers (the readout last).

    readout: `Engine.result_dtype` [N, T, classes], charge that has arrived after each step, less
    what had after step `readout_from`, which does not count; up to that step 0.
    spikes: int64 [N, L, T], of either sign. operations: int64 [N, L, T], synaptic operations by
    target layer. ties: int64 [N, L], evaluations in which p met a threshold exactly. t_eq: int64
    [N], the last step in which a neuron fired or charge arrived anywhere (semantics, section 8).

    digests: uint64 [N, L, T], hashes of the spikes, whatever their order (semantics, section 17);
    None where the engine has none. order_digests: likewise, dependent on their order; None with the
    clocked engine. stage_one: int64 [N, 2, L], spikes and operations of SRP's first stage; None
    without one.

    Of order "cores" (semantics, section 12), else None: busy: int64 [N, L], ticks in which each
    layer's core was in service. longest_queue: int64 [N, L], events that waited for it at once at
    most. undelivered: int64 [N, L], events on their way to it when the run ended. ended: int64 [N],
    the tick at which it did. changes: int64 [N, C, 2], (tick, class): the readout's class at the
    end of each tick in which it became another; an image with fewer has its last again. Of an
    output that is a map C is 0.

    widened: bool [N], whether an image was run again in 64 bits, as 32 did not hold a potential of
    it (semantics, section 6).

    The last three are None unless asked for. Neurons stand in them layer after layer, readout
    included. counts: int64 [N, neurons], net spikes that were sent. potentials: `result_dtype` [N,
    neurons], v(T). masks: bool [N, neurons], which may send (SRP).
    """

    readout: NDArray[Any]
    spikes: NDArray[np.int64]
    operations: NDArray[np.int64]
    ties: NDArray[np.int64]
    t_eq: NDArray[np.int64]
    digests: NDArray[np.uint64] | None = None
    order_digests: NDArray[np.uint64] | None = None
    stage_one: NDArray[np.int64] | None = None
    busy: NDArray[np.int64] | None = None
    longest_queue: NDArray[np.int64] | None = None
    undelivered: NDArray[np.int64] | None = None
    ended: NDArray[np.int64] | None = None
    changes: NDArray[np.int64] | None = None
    widened: NDArray[np.bool_] | None = None
    counts: NDArray[np.int64] | None = None
    potentials: NDArray[Any] | None = None
    masks: NDArray[np.bool_] | None = None

    ARRAYS = (
        "readout",
        "spikes",
        "operations",
        "ties",
        "t_eq",
        "digests",
        "order_digests",
        "stage_one",
        *OF_CORES,
        "widened",
        "counts",
        "potentials",
        "masks",
    )

    @classmethod
    def empty(
        cls,
        count: int,
        layers: int,
        steps: int,
        classes: int,
        dtype: DTypeLike,
        *,
        neurons: int = 0,
        stages: bool = False,
    ) -> Batch:
        """Room for `count` images, filled with zeros.

        layers: L. steps: T. classes: of the readout. dtype: of readout and potentials. neurons: of
        how many there are counts, potentials and masks (0: there are none). stages: whether there
        is a first stage.
        """
        return cls(
            np.zeros((count, steps, classes), dtype),
            np.zeros((count, layers, steps), np.int64),
            np.zeros((count, layers, steps), np.int64),
            np.zeros((count, layers), np.int64),
            np.zeros(count, np.int64),
            stage_one=np.zeros((count, 2, layers), np.int64) if stages else None,
            widened=np.zeros(count, bool),
            counts=np.zeros((count, neurons), np.int64) if neurons else None,
            potentials=np.zeros((count, neurons), dtype) if neurons else None,
            masks=np.zeros((count, neurons), bool) if neurons else None,
        )

    def keep(self, i: int, found: Outcome) -> None:
        """Writes down what image i left, but `t_eq`. found: what it gave."""
        for name in ("readout", "spikes", "operations", "ties", "stage_one"):
            into = getattr(self, name)
            if into is not None:
                into[i] = getattr(found, name)
        for name in ("digests", "order_digests"):
            its = getattr(found, name)
            if its is not None:
                if getattr(self, name) is None:
                    setattr(self, name, np.zeros(self.spikes.shape, np.uint64))
                getattr(self, name)[i] = its
        if found.served is not None:
            self._keep_served(i, found.served)
        if self.widened is not None:
            self.widened[i] = found.widened
        if self.counts is not None:
            self.counts[i] = np.where(found.mute, 0, found.s)
        if self.potentials is not None:
            self.potentials[i] = found.v
        if self.masks is not None:
            self.masks[i] = found.mute == 0

    def _keep_served(self, i: int, found: Served) -> None:
        """Writes down what the cores of image i did."""
        count, layers, _ = self.spikes.shape
        if self.busy is None:
            for name in ("busy", "longest_queue", "undelivered"):
                setattr(self, name, np.zeros((count, layers), np.int64))
            self.ended = np.zeros(count, np.int64)
            self.changes = np.zeros((count, 0, 2), np.int64)
        assert self.longest_queue is not None and self.undelivered is not None
        assert self.busy is not None and self.ended is not None and self.changes is not None
        self.busy[i], self.longest_queue[i] = found.busy, found.longest_queue
        self.undelivered[i], self.ended[i] = found.waiting, found.end
        most = max(self.changes.shape[1], len(found.classes))
        self.changes = in_rows(self.changes, most)
        self.changes[i] = in_rows(found.classes[None], most)[0]

    @property
    def latency(self) -> NDArray[np.int64] | None:
        """Each image's latency in ticks, int64 [N]: from the end of that tick on the class is what
        it is at last (semantics, section 12). None under other orders, and of a map.
        """
        if self.changes is None or not self.changes.shape[1]:
            return None
        return self.changes[:, -1, 0]

    @classmethod
    @checked
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """One batch from several, in order. batches: at least one, of the same simulation."""
        not_empty("batches", batches)
        joined: dict[str, Any] = {}
        for name in cls.ARRAYS:
            parts = [getattr(batch, name) for batch in batches]
            if name == "changes" and parts[0] is not None:
                parts = [in_rows(part, max(each.shape[1] for each in parts)) for part in parts]
            joined[name] = None if parts[0] is None else np.concatenate(parts)
        return cls(**joined)

    def __repr__(self) -> str:
        count, layers, steps = self.spikes.shape
        return f"<Batch of {count:,} images: {layers} layers, {steps} steps>"


def in_rows(changes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Changes of class with so many rows an image, the last again and again; int64 [N, count, 2].

    changes: int64 [N, C, 2] with C of `count` or fewer.
    """
    missing = count - changes.shape[1]
    if not missing or not changes.shape[1]:
        return np.zeros((len(changes), count, 2), np.int64) if missing else changes
    return np.concatenate([changes, np.repeat(changes[:, -1:], missing, axis=1)], axis=1)
