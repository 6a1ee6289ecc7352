"""An engine of one's own: clocked time in plain Python, neuron by neuron.

    python -m eventsnn.run --plugin examples/extend/engine.py --engine plain --limit 2 --steps 4

It is slow, and short enough to be read: whatever model, arithmetic or encoding it is given, it does
what `clocked` does.
"""

import numpy as np

import eventsnn
from eventsnn import InputError
from eventsnn.engine.drive import add_charge
from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import emit, settle, tie
from eventsnn.simulation.prepared import Engine, Outcome


class Plain(Engine):
    """Each step, layer by layer: charge all neurons of a layer, then let each fire."""

    name = "plain"
    asynchronous = False
    records = False
    fits = True

    def __init__(self, prepared):
        network = prepared.network
        if any(layer.pools for layer in network.layers):
            raise InputError("engine 'plain'", "a network without max pooling", "a MaxPool")
        if eventsnn.neurons.is_dynamic(type(prepared.neuron)):
            raise InputError("engine 'plain'", "a model of potential and threshold alone", "more")
        self.prepared = prepared
        self.result_dtype = prepared.arithmetic.dtype
        between = [p for p in network.projections if p.source != INPUT]
        self.projections = [(p, prepared.blocks(p)) for p in between]

    def image(
        self, image, number=0, *, stage=0, steps=None, mute=None, sink=None, threads=1
    ) -> Outcome:
        """One stage of one image; see `Engine.image`."""
        prepared, layers = self.prepared, self.prepared.network.layers
        steps = steps or (prepared.srp if stage else prepared.steps)
        drive = prepared.drive(image, number, stage)
        v = prepared.resting.copy()
        s = np.zeros(len(v), np.int64)
        mute = np.zeros(len(v), np.uint8) if mute is None else mute
        spikes, operations = np.zeros((2, len(layers), steps), np.int64)
        ties = np.zeros(len(layers), np.int64)
        readout = np.zeros((steps, layers[-1].size), v.dtype)
        for step in range(steps):
            sent = np.zeros_like(v)
            for i in range(len(layers)):
                here = prepared.network.columns(i)
                if step < prepared.drive_steps:
                    v[here] += drive[min(step, len(drive) - 1), here]
                v[here] += self.arriving(i, sent, operations[i : i + 1, step])
                if i == len(layers) - 1:
                    readout[step] = v[here]
                    break
                for x in range(here.start, here.stop):
                    ties[i] += tie(prepared.neuron, i, v[x], s[x])
                    n = emit(prepared.neuron, i, v[x], s[x])
                    if n:
                        v[x] = settle(prepared.neuron, v[x], n)
                        s[x] += n
                        sent[x] = 0 if mute[x] else n
                spikes[i, step] = np.abs(sent[here]).sum()
        return Outcome(readout, spikes, operations, ties, v, s, mute, drive, None, prepared)

    def arriving(self, layer, sent, operations):
        """What this step's spikes bring to a layer; counts the operations, too."""
        target = self.prepared.network.layers[layer]
        charge = np.zeros((target.grid[1] * target.grid[2], target.grid[0]), sent.dtype)
        for p, blocks in self.projections:
            if p.target != layer:
                continue
            source = self.prepared.network.layers[p.source]
            x = sent[self.prepared.network.columns(p.source)].reshape(-1, source.grid[0])
            _, groups, ci, co = blocks.shape
            rows = p.map.k * blocks[0].size
            brought = np.zeros((len(charge), groups * co), charge.dtype)
            add_charge(p.map.p, p.map.r, rows, ci, co, blocks.reshape(-1), x, brought)
            # a branch of a Concat reaches some of the channels
            charge[:, p.map.columns] += brought
            reached = np.zeros(brought.shape, np.int64)
            ones = np.ones(blocks.size, np.int64)
            add_charge(p.map.p, p.map.r, rows, ci, co, ones, np.abs(x).astype(np.int64), reached)
            operations += reached.sum()
        return charge.reshape(-1)

    def describe(self):
        """See `Engine.describe`."""
        return {"order_of_summation": "drive, then projection by projection, tap by tap"}


eventsnn.register("engine", "plain", Plain)
