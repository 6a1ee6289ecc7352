"""Keras's layers that only move values (`Builder.moved`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eventsnn.readers.keras.builder import Builder, Value
from eventsnn.readers.keras.config import Layer


def permute(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    """Permute: axes in another order. dims: from 1, without the batch."""
    index = builder.seen(values[0])
    dims = layer.config.get("dims")
    if not isinstance(dims, list) or sorted(map(str, dims)) != [
        str(n + 1) for n in range(index.ndim)
    ]:
        raise builder.wrong(name, f"dims, the numbers 1 to {index.ndim} in some order", dims)
    return builder.moved(values[0], name, index.transpose([n - 1 for n in dims]))


def crop(builder: Builder, layer: Layer, values: Sequence[Value], name: str) -> Value:
    """Cropping1D and Cropping2D: borders cut off."""
    index = builder.seen(values[0])
    places = index.ndim - 1
    given = layer.config.get("cropping", 1)
    pairs = [given] if places == 1 and isinstance(given, list) and len(given) == 2 else given
    pairs = pairs if isinstance(pairs, list) and len(pairs) == places else [pairs] * places
    pairs = [pair if isinstance(pair, list) else [pair, pair] for pair in pairs]
    sizes = index.shape[1:] if builder.first else index.shape[:-1]
    good = all(
        len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair) and sum(pair) < size
        for pair, size in zip(pairs, sizes)
    )
    if not good or not 1 <= places <= 2:
        raise builder.wrong(name, f"a cropping that leaves something of {list(sizes)}", given)
    slices: list[Any] = [slice(a, n - b) for (a, b), n in zip(pairs, sizes)]
    every = slice(None)
    cut = tuple([every, *slices] if builder.first else [*slices, every])
    return builder.moved(values[0], name, index[cut])


def joined(
    builder: Builder,
    values: Sequence[Value],
    name: str,
    axis: Any,
    join: Callable[..., Any],
) -> Value:
    """The values of several, joined along an axis that is not that of channels.

    builder, values, name: as in `layers`. axis: with the batch's, from 0 or from the end. join:
    np.concatenate or np.stack, which joins their numbers.
    """
    nodes = list(dict.fromkeys(value.node for value in values))
    parts = [builder.seen(value) for value in values]
    before = values[0]
    if len(nodes) > 1 or any(value.pixels is not None for value in values) and len(values) > 1:
        if len(nodes) > 1:
            flat = [
                builder.add(f"{node}:flat", "Flatten", [value._replace(numbers=None, flat=False)])
                for node, value in {value.node: value for value in values}.items()
            ]
            sizes = [builder.shapes[part.node][0] for part in flat]
            start = dict(zip(nodes, np.cumsum([0, *sizes]).tolist()))
            parts = [np.where(p < 0, p, p + start[v.node]) for p, v in zip(parts, values)]
            before = builder.add(f"{name}:joined", "Concat", flat, {"axis": 1})
    places = parts[0].ndim + (join is np.stack)
    good = type(axis) is int and (1 <= axis <= places or -places <= axis < 0)
    if not good or len({p.ndim for p in parts}) > 1:
        raise builder.wrong(name, "an axis other than the batch's, of values alike", axis)
    try:
        index = join(parts, axis=axis - 1 if axis > 0 else axis)
    except ValueError:
        shapes = [list(p.shape) for p in parts]
        raise builder.wrong(name, "values of shapes that fit", shapes) from None
    return builder.moved(before, name, index)
