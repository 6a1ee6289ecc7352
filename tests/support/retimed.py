"""A naive twin of clocked time in which spikes come steps later: dense matrices, a spike at a time.

Written from semantics.md, sections 4, 5 and 14.
"""

from collections import defaultdict

import numpy as np

from eventsnn.network.network import INPUT
from eventsnn.neurons.contract import emit, settle


def retimed(simulation, drive, later):
    """(readout after each step, [T, classes]; spikes (layer, neuron, step, sign) in order).

    drive: [neurons] or [D, neurons]. later: {(layer, neuron, how many it sent before): steps}.
    """
    network, steps = simulation.network, simulation.steps
    drive = np.atleast_2d(drive).astype(object)
    layers = range(len(network.layers))
    v = [simulation.resting[network.columns(i)].astype(object) for i in layers]
    net, sent = ([np.zeros(len(v[i]), int) for i in layers] for _ in range(2))
    out = defaultdict(list)
    for p in network.projections:
        if p.source != INPUT:
            out[p.source].append((p.target, dense(simulation, p)))
    due = defaultdict(list)  # step -> spikes that arrive in it, whatever their layer
    readout, spikes = [], []

    def deliver(layer, neuron, sign):
        for target, matrix in out[layer]:
            v[target] += sign * matrix[neuron]

    for t in range(steps):
        row = drive[min(t, len(drive) - 1)] if t < simulation.drive_steps else 0 * drive[0]
        for i in layers:
            v[i] += row[network.columns(i)]
        for spike in due[t]:
            deliver(*spike)
        for i in layers[:-1]:
            for j in range(len(v[i])):
                n = emit(simulation.neuron, i, v[i][j], int(net[i][j]))
                if not n:
                    continue
                v[i][j] = settle(simulation.neuron, v[i][j], n)
                net[i][j] += n
                sign = 1 if n > 0 else -1
                for _ in range(abs(n)):
                    spikes.append((i, j, t, sign))
                    when = t + later.get((i, j, int(sent[i][j])), 0)
                    sent[i][j] += 1
                    if when == t:
                        deliver(i, j, sign)
                    else:
                        due[when].append((i, j, sign))
        readout.append(v[-1].copy())
    return np.array(readout), spikes


def dense(simulation, projection):
    """The projection's whole matrix in the simulation's whole numbers, [sources, targets]."""
    blocks = simulation.blocks(projection)
    taps, layers = projection.map, simulation.network.layers
    (c, d), groups = taps.channels, blocks.shape[1]
    ci, co = blocks.shape[2:]
    matrix = np.zeros((layers[projection.source].size, layers[projection.target].size), object)
    for p, r, k in zip(taps.p, taps.r, taps.k):
        for g in range(groups):
            rows = slice(p * c + g * ci, p * c + (g + 1) * ci)
            first = r * d + taps.at + g * co
            matrix[rows, first : first + co] += blocks[k, g].astype(object)
    return matrix
