"""Preprocessings to try on an ANN: customary ones, and its own for other pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eventsnn.ann.forward import by_neuron, classes_of, logits
from eventsnn.ann.graph import Graph, Preprocessing
from eventsnn.data.images import Images
from eventsnn.exceptions import named

# the largest pixel, and mean and std of red, green and blue
NORMALISED: dict[str, tuple[int, tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet's mean and std": (1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's mean and std": (1, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "ImageNet's mean, as Caffe has it": (255, (123.68, 116.779, 103.939), ()),
}


class Way(NamedTuple):
    """A preprocessing to try.

    words: the options that give it, and whose it is. options: name -> value, as on the command
    line.
    """

    words: str
    preprocessing: Preprocessing
    options: dict[str, str]


def hits_of(
    graph: Graph,
    ways: Sequence[Way],
    images: Images,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> list[NDArray[np.bool_]]:
    """Which images the ANN classifies as labelled, bool [N]: with its own preprocessing, then each.

    graph: the ANN. ways: the others. images, workers, progress: as for `better_preprocessing`.
    """
    tried = [graph, *(replace(graph, preprocessing=way.preprocessing) for way in ways)]
    hits = []
    with tqdm(
        total=len(tried) * len(images),
        desc="preprocessing",
        unit="image",
        disable=None if progress else True,
        delay=2,
        leave=False,
    ) as bar:
        for each in tried:
            hits.append(_hits(each, images, workers))
            bar.update(len(images))
    return hits


def variants(graph: Graph) -> list[Way]:
    """The network's own preprocessing for pixels of the other range, and with channels reversed.

    graph: the ANN. With channels reversed each place, or each colour, keeps its mean and std.
    """
    own = graph.preprocessing
    orders = [(own.mean, own.std, own.reverse)]
    if graph.input_shape[0] == 3:
        orders.append((own.mean, own.std, not own.reverse))
        if np.size(own.mean) == 3 or np.size(own.std) == 3:
            turned = [np.ravel(values)[::-1] for values in (own.mean, own.std)]
            orders.append((turned[0], turned[1], not own.reverse))
    ways = []
    for factor in (1.0, 255.0, 1 / 255):
        for mean, std, reverse in orders:
            if factor != 1 or reverse != own.reverse:
                means, stds = (tuple(np.ravel(values).tolist()) for values in (mean, std))
                ways.append(_way(own, own.scale * factor, means, stds, reverse=reverse))
    return ways


def customary(graph: Graph, pixels: NDArray[np.generic]) -> list[Way]:
    """The preprocessings that are tried where nothing tells the network's.

    graph: the ANN, for its number of channels and its own preprocessing, which is left out. pixels:
    raw images, for the largest of theirs: 1, or more. With channels reversed each colour keeps its
    own mean and std.
    """
    whole = 255.0 if pixels.max() > 1 or pixels.dtype.kind in "iu" else 1.0
    plain: tuple[tuple[float, Sequence[float]], ...]
    plain = (255 / whole, ()), (1 / whole, ()), (2 / whole, (1.0,))
    own = graph.preprocessing
    ways = [_way(own, scale, mean) for scale, mean in plain]
    if graph.input_shape[0] == 3:
        for whose, (top, mean, std) in NORMALISED.items():
            ways.append(_way(own, top / whole, mean, std, whose))
        ways += [_way(own, scale, mean, reverse=True) for scale, mean in plain]
        for whose, (top, mean, std) in NORMALISED.items():
            means, stds = mean[::-1], std[::-1]
            ways.append(_way(own, top / whole, means, stds, whose, reverse=True))
    told = str(replace(own, known=True))
    return [way for way in ways if str(way.preprocessing) != told]


def _way(
    own: Preprocessing,
    scale: float,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    whose: str = "",
    reverse: bool = False,
) -> Way:
    """A preprocessing with the options that give it in place of a network's own.

    What the network's file tells, and is the same, needs no option. whose: numbers they are.
    """
    options: dict[str, str] = {}
    if not own.known or scale != own.scale:
        options["input_scale"] = f"{scale:.9g}"
    kept = {"input_mean": np.ravel(own.mean), "input_std": np.ravel(own.std)}
    for name, values, none in (("input_mean", mean, 0.0), ("input_std", std, 1.0)):
        numbers, before = np.array(values or (none,)), kept[name]
        if np.any(numbers != before):
            options[name] = ",".join(f"{value:.7g}" for value in numbers)
            kept[name] = np.array([float(text) for text in options[name].split(",")])
    if reverse != own.reverse:
        options["input_channels"] = "reversed" if reverse else "same"
    words = [named(name, value) for name, value in options.items()]
    words += [f"({whose})"] if whose else []
    factor = float(options.get("input_scale", own.scale))
    made = Preprocessing(factor, kept["input_mean"], kept["input_std"], reverse=reverse)
    return Way(" ".join(words), made, options)


def _hits(graph: Graph, images: Images, workers: int | None) -> NDArray[np.bool_]:
    """Whether the ANN classifies each image as labelled, [N]."""
    with np.errstate(all="ignore"):
        found = by_neuron(logits(graph, images.pixels, workers=workers))
    return np.asarray(classes_of(found) == images.labels)
