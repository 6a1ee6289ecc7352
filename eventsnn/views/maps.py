"""Maps of a layer's spikes over T."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from eventsnn.arguments import Count, Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.views.figures import Picture, caption, shown
from eventsnn.views.recorded import check_trace

MAPS = 6  # channels that are chosen, where none are


@checked
def feature_maps(
    trace: Any,
    layer: int | str,
    channels: Sequence[Natural] | None = None,
    steps: Sequence[Count] | None = None,
    title: str = "",
    conditions: object = None,
) -> Figure:
    """A layer's net spikes so far, channel by channel, after some steps; a Figure.

    The colour is the rate, net spikes divided by the step, so that a map settles when it has found
    its value. Each channel has a scale of its own, whose end stands beside it.

    trace: of one image, a `Trace`. layer: name or number. channels: from 0; None: the most active
    6. steps: from 1; None: powers of two up to T. title: of the figure ("": the layer and the
    image). conditions: as for `caption`; None:
    the trace's. Raises InputError for a layer, channel or step that
    does not exist.
    """
    check_trace(trace)
    number = trace.layer(layer)
    c, height, width = trace.simulation.network.layers[number].grid
    total = len(trace.starts)
    steps = [t for t in steps or sorted({*(2**i for i in range(20) if 2**i < total), total})]
    for t in steps:
        if t > total:
            raise InputError("steps", f"1 to {total}", t)
    own = trace.spikes[trace.spikes["layer"] == number]
    counts = np.zeros((total, height * width * c))
    np.add.at(counts, (own["step"], own["neuron"]), own["sign"])
    maps = np.cumsum(counts, axis=0).reshape(total, height, width, c)
    if channels is None:
        active = np.abs(maps[-1]).sum((0, 1))
        channels = sorted(np.argsort(-active, kind="stable")[:MAPS].tolist())
    for channel in channels:
        if channel >= c:
            raise InputError("channels", f"0 to {c - 1}", channel)
    shape = (len(channels), len(steps))
    size = (1.1 * shape[1] + 1.6, 1.05 * shape[0] + 0.9)
    figure = Picture(figsize=(max(size[0], 4.0), size[1]), layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    signed = bool((maps < 0).any())
    colours = "PuOr_r" if signed else "viridis"
    for i, channel in enumerate(channels):
        rates = [maps[t - 1, :, :, channel] / t for t in steps]
        most = max(float(np.abs(rates).max()), 1e-12)
        for j, (t, rate) in enumerate(zip(steps, rates)):
            least = -most if signed else 0
            axes[i, j].imshow(rate, cmap=colours, vmin=least, vmax=most, interpolation="nearest")
            axes[i, j].set(xticks=[], yticks=[])
            axes[0, j].set_title(f"T = {t}", fontsize=8)
        axes[i, 0].set_ylabel(f"channel {channel}\nup to {most:.3g}", fontsize=8)
    bar = figure.colorbar(ScalarMappable(Normalize(-signed, 1), colours), ax=axes, shrink=0.8)
    bar.set_label("net spikes a step, of the channel's largest", fontsize=8)
    words = title or f"{trace.names[number]}, image {trace.number}"
    figure.suptitle(shown(words, 60), fontsize=10, parse_math=False)
    caption(figure, trace.conditions if conditions is None else conditions)
    return figure
