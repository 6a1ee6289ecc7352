"""The naive twin as an engine: a third one, which is a file and a row of the registry."""

import numpy as np
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.models import models_of

from eventsnn.simulation.prepared import Engine, Outcome


class Twin(Engine):
    """Clocked time by `twin.run_clocked`; SRP's mask and stages come from outside."""

    name = "twin"
    asynchronous = False
    records = False
    fits = True

    def __init__(self, prepared):
        self.prepared = prepared
        self.result_dtype = prepared.arithmetic.dtype

    def image(
        self, image, number=0, *, stage=0, steps=None, mute=None, sink=None, threads=1
    ) -> Outcome:
        prepared = self.prepared
        layers = prepared.network.layers
        steps = steps or (prepared.srp if stage else prepared.steps)
        mask = None
        if mute is not None:
            mask = [list(part == 0) for part in np.split(mute, prepared.network.first[1:-1])]
        found = twin.run_clocked(
            twin_net(prepared),
            twin_drive(prepared, image, number, stage)[:steps],
            twin_start(prepared),
            steps,
            models_of(prepared),
            mask=mask,
        )
        spikes, operations = np.zeros((2, len(layers), steps), np.int64)
        for spike in found.spikes:
            spikes[spike.layer, spike.step] += 1
        operations[-1, -1] = found.synaptic_operations  # the twin counts them over all layers
        ties = np.zeros(len(layers), np.int64)
        ties[-1] = found.equalities
        dtype = prepared.arithmetic.dtype
        return Outcome(
            np.array(found.readout, dtype),
            spikes,
            operations,
            ties,
            np.concatenate(found.potentials).astype(dtype),
            np.concatenate(found.memory).astype(np.int64),
            np.zeros(len(prepared.resting), np.uint8) if mute is None else mute,
            prepared.drive(image, number, stage),
            found,
            prepared,
            np.array(found.digests(steps), np.uint64),
        )
