"""What many images leave, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Batch:
    """What N images left, image by image. T: steps, L: layers (the readout last).

    readout: `Simulation.result_dtype` [N, T, classes], charge that has arrived after each step.
    spikes: int64 [N, L, T], of either sign. operations: int64 [N, L, T], synaptic operations by
    target layer. ties: int64 [N, L], evaluations in which p met a threshold exactly. digests:
    uint64 [N, 2, L, T], hashes of the spikes, order-sensitive and order-free (event engine; else
    None). t_eq: int64 [N], the last step in which a neuron fired or charge arrived anywhere
    (semantics, section 8). stage_one: int64 [N, 2, L], spikes and operations of SRP's first stage;
    None without. counts, potentials: [N, neurons], net spikes that were sent and v(T), layer after
    layer, readout included; masks: bool [N, neurons], which may send (SRP); None unless asked for.
    """

    readout: np.ndarray
    spikes: np.ndarray
    operations: np.ndarray
    ties: np.ndarray
    t_eq: np.ndarray
    digests: np.ndarray | None = None
    stage_one: np.ndarray | None = None
    counts: np.ndarray | None = None
    potentials: np.ndarray | None = None
    masks: np.ndarray | None = None

    ARRAYS = (
        "readout",
        "spikes",
        "operations",
        "ties",
        "t_eq",
        "digests",
        "stage_one",
        "counts",
        "potentials",
        "masks",
    )

    @classmethod
    def empty(cls, count, layers, steps, classes, dtype, *, neurons=0, digests=False, stages=False):
        """Room for `count` images. dtype: of readout and potentials. neurons: how many leave
        counts, potentials and masks (0: none do). digests, stages: whether there are digests, and a
        first stage.
        """
        return cls(
            np.zeros((count, steps, classes), dtype),
            np.zeros((count, layers, steps), np.int64),
            np.zeros((count, layers, steps), np.int64),
            np.zeros((count, layers), np.int64),
            np.zeros(count, np.int64),
            digests=np.zeros((count, 2, layers, steps), np.uint64) if digests else None,
            stage_one=np.zeros((count, 2, layers), np.int64) if stages else None,
            counts=np.zeros((count, neurons), np.int64) if neurons else None,
            potentials=np.zeros((count, neurons), dtype) if neurons else None,
            masks=np.zeros((count, neurons), bool) if neurons else None,
        )

    @classmethod
    def join(cls, batches):
        """One batch from several, in order."""
        parts = {name: [getattr(b, name) for b in batches] for name in cls.ARRAYS}
        return cls(
            **{name: None if p[0] is None else np.concatenate(p) for name, p in parts.items()}
        )
