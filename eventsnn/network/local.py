"""Local threshold balancing: each layer's threshold learns from what exceeds it (LTB)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.blas import ONE_BLAS_THREAD
from eventsnn.ann.forward import apply
from eventsnn.ann.graph import Graph

BATCH = 100  # images, as in LTB's code
BATCHES = 200


def local(graph: Graph, pixels: NDArray[Any], names: Sequence[str]) -> dict[str, float]:
    """Name of activation -> its threshold after 200 batches of calibration images.

    Thresholds begin at 0. While a batch passes, layer by layer, a threshold gains twice the mean,
    over images and neurons, of what exceeds it: a gradient step of rate 1 on the square of the
    excess (LTB's local rule; in its code SpikingNeuron.optimize). What goes on to the next layer is
    clipped to 0 and the new threshold. Thresholds only grow, towards the largest activation, and
    slower the nearer they are; so how many batches pass decides them. LTB's code takes 4,000, which
    is for hundreds of steps. Its thresholds by channel are not built: every synapse would have a
    weight of its own here.

    graph: the ANN, after the passes of `convert`. pixels: raw calibration images [N, C, H, W], 100
    to a batch, again and again. names: of the activations that are asked for; others are the ANN's.
    """
    thetas = dict.fromkeys(names, 0.0)
    with ONE_BLAS_THREAD:
        for batch in _batches(pixels):
            values = {graph.input: graph.preprocessing(batch)}
            for node in graph.nodes:
                given = [values[name] for name in node.inputs]
                if node.name in thetas:
                    theta = learned(thetas[node.name], given[0])
                    thetas[node.name] = theta
                    values[node.name] = np.clip(given[0], 0, given[0].dtype.type(theta))
                else:
                    values[node.name] = apply(node, given)
    return thetas


def learned(theta: float, x: NDArray[Any]) -> float:
    """A threshold after a batch. theta: before. x: what reaches its neurons, [n, ...]."""
    return theta + 2 * float(np.maximum(x - x.dtype.type(theta), 0).mean(dtype=np.float64))


def _batches(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yields BATCHES batches, images in their order, from the first again when all have come."""
    size = min(BATCH, len(pixels))
    for i in range(BATCHES):
        places = np.arange(i * size, (i + 1) * size) % len(pixels)
        yield pixels[places]
