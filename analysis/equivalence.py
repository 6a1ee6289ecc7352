"""Is the spiking network the quantised ANN? SpikeZIP's Theorem 1 and Fig. 5, neuron by neuron.

    python analysis/equivalence.py --net resnet20_qrelu.h5 --data cifar-10-batches-bin --layer act7

Runs ST-BIF neurons with even release to equilibrium, in clocked time and under several orders of
arrival, and compares every neuron's net spikes and the readout with the quantised ANN in the same
whole numbers (`eventsnn.studies.equivalence`). SpikeZIP (section 4) reports a distance of 0.5
between the two outputs for its own implementation. Asynchronous orders have a refractory period of
a step or release inhibition first: where neurons may answer every arrival at once, firing
multiplies from layer to layer in deep networks. The picture (SpikeZIP Fig. 5): what a layer has
fired of one image, channels added up, after T steps beside the quantised ANN's activations, for
ST-BIF and for IF neurons with constant input (as QCFS has them; spikes per step); the L1 distance
between the two in that layer and in the last, relative to the ANN's L1 norm, mean of images; and
how many images are at rest after T steps. Means and ratios have bootstrap intervals in the CSV
files. Writes equivalence.csv, distance.csv, t_eq.csv,
equivalence.png and equivalence.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from tqdm import tqdm

from eventsnn import Images, Network
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError, one_line
from eventsnn.result import simulate
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import scripts
from eventsnn.studies.equivalence import quantised
from eventsnn.studies.sampled import Sample, with_intervals
from eventsnn.studies.setting import neuron_layers
from eventsnn.views.progress import following
from eventsnn.views.tables import write_csv

ORDERS: dict[str, dict[str, Any]] = {
    "clocked engine": {},
    "fifo, 1 spike a step": dict(engine="event", order="fifo", refractory=1.0),
    "random, 1 spike a step": dict(engine="event", order="random", refractory=1.0),
    "inhibitory first": dict(engine="event", order="inhibitory_first"),
}
MODELS: dict[str, dict[str, Any]] = {
    "ST-BIF": {"neuron": "st-bif", "encoding": "even"},
    "IF": {"neuron": "if", "encoding": "constant"},
}
SHOWN = 1, 2, 3, 4, 6, 8, 12, 16, 24, 32  # T at which layers are compared
MAPS = 1, 2, 4, 8, 16, 32  # T of the small pictures
BATCH = 10
MEANS = ("mean squared distance to the float ANN", "mean T_eq", "spikes", "operations")
TITLE = (
    "The spiking network at rest beside the quantised ANN, neuron by neuron; T_eq: steps "
    "until nothing moves; spikes and synaptic operations: of an image"
)
FORMATS = {
    "mean squared distance to the float ANN": ("MSE to float ANN", ".2e"),
    "spikes": ("spikes", ",.0f"),
    "operations": ("operations", ",.0f"),
    "mean T_eq": ("mean T_eq", ".1f"),
    "neurons": ("neurons", ","),
}


def measure(
    network: Network,
    images: Images,
    steps: int,
    outputs: NDArray[Any],
    label: str,
    bar: tqdm[Any],
    **time: Any,
) -> tuple[scripts.Row, list[int]]:
    """(the row of one order of arrival, its means with intervals; T_eq of each image).

    A row has differing neurons and outputs, T_eq, spikes and operations per image, and the distance
    to the ANN's float output. network, images: what runs. steps: enough to come to rest. outputs:
    the ANN's logits, [N, classes]. label: the order's name. bar: counts images. time: the order's
    options, and the seed.
    """
    differing = wrong = 0
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in MEANS}
    options = {"neuron": "st-bif", "encoding": "even", "neurons": True, "batch": 1, **time}
    for first in range(0, len(images), BATCH):
        part = images.take(np.arange(first, min(first + BATCH, len(images))))
        result = simulate(network, part, steps=steps, **options)
        counts, readout = quantised(result.simulation, part.pixels)
        differing += int((result.batch.counts != counts).sum())
        wrong += int((result.batch.readout[:, -1] != readout).sum())
        distances = np.square(result.readout() - outputs[first : first + len(part)]).mean(axis=1)
        t_eq = result.batch.t_eq
        spikes, operations = (x.sum(axis=(1, 2)) for x in (result.spikes, result.operations))
        for name, values in zip(MEANS, (distances, t_eq, spikes, operations)):
            parts[name].append(values)
        bar.update(len(part))
    samples = {(label, name): Sample(np.concatenate(each)) for name, each in parts.items()}
    row = {
        "order": label,
        "images": len(images),
        "neurons": network.neurons,
        "differing neurons": differing,
        "differing outputs": wrong,
        **{name: sample.mean for (_, name), sample in samples.items()},
        "conditions": conditions(result.simulation),
    }
    at_rest = samples[label, "mean T_eq"].values.tolist()
    row["largest T_eq"] = max(at_rest)
    (full,) = with_intervals([row], [samples], time["seed"], lambda row: row["order"])
    return full, at_rest


def of_layers(
    network: Network, names: Collection[str], counts: NDArray[np.int64], units: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """layer -> what its neurons fired, in thresholds, float64 [N, neurons].

    network: whose layers. names: of the layers. counts: net spikes [N, all neurons]. units: spikes
    that each layer's threshold is worth, [layers].
    """
    return {
        layer.name: counts[:, network.columns(i)] / units[i]
        for i, layer in enumerate(network.layers)
        if layer.name in names
    }


def compare(
    network: Network, images: Images, names: Sequence[str], steps: int, seed: int = 0
) -> tuple[list[scripts.Row], dict[tuple[str, int], NDArray[np.float64]]]:
    """(rows, maps): L1 distances to the quantised ANN, and what one layer fired of image 0.

    A row has a model's and layer's distance at one T, in thresholds. maps: (model, T) or ("ANN",
    steps) -> [neurons] of the first of names, in thresholds. network, images: what runs. names: of
    the layers. steps: enough to come to rest. seed: of the bootstrap.
    """
    ends = range_of(network.graph, images).ends
    rows: list[scripts.Row] = []
    samples: dict[tuple[Any, str], Sample] = {}
    rest = Simulation(network, steps=steps, pixel_range=ends, **MODELS["ST-BIF"])
    ann_values = []
    for first in range(0, len(images), BATCH):
        counts, _ = quantised(rest, images.pixels[first : first + BATCH])
        ann_values.append(of_layers(network, names, counts, rest.quanta))
    norms = {}
    for name in names:
        norms[name] = np.concatenate([values[name].sum(axis=1) for values in ann_values])
    maps = {("ANN", steps): ann_values[0][names[0]][0]}
    for model, settings in MODELS.items():
        for t in (t for t in SHOWN if t <= steps):
            simulation = Simulation(network, steps=t, pixel_range=ends, **settings)
            units = simulation.quanta * (t if simulation.encoding.divides else 1)
            distances: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
            parts = simulation.stream(
                images.pixels, numbers=images.indices, batch=BATCH, neurons=True
            )
            for first, batch in parts:
                values = of_layers(network, names, batch.counts, units)
                for name in names:
                    there = ann_values[first // BATCH][name]
                    distances[name].append(np.abs(values[name] - there).sum(axis=1))
                if first == 0:
                    maps[model, t] = values[names[0]][0]
            for name, each in distances.items():
                what, apart = f"{model}, {one_line(name, 24)}", np.concatenate(each)
                row = {"what": what, "T": t, "images": len(images), "L1": float(apart.mean())}
                row["relative"] = float(apart.sum() / norms[name].sum()) if norms[name].any() else 0
                row["conditions"] = conditions(simulation)
                rows.append(row)
                samples[(what, t), "L1"] = Sample(apart)
                samples[(what, t), "relative"] = Sample(apart, norms[name])
    return with_intervals(rows, [samples], seed, lambda row: (row["what"], row["T"])), maps


def draw(
    maps: Mapping[tuple[str, int], NDArray[np.float64]],
    grid: tuple[int, int, int],
    rows: list[scripts.Row],
    rests: Mapping[str, list[int]],
    title: str,
) -> Figure:
    """Feature maps over T above; below L1 distances against T, and how many images are at rest.

    maps, rows: of `compare`. grid: (C, H, W) of the layer of maps. rests: order -> T_eq of each
    image. title: of the picture.
    """
    figure = scripts.sheet(2, 6.0, 0.6)
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1])
    _draw_maps(above, maps, grid)
    left, right = below.subplots(1, 2)
    _draw_distances(left, rows)
    _draw_rests(right, rests)
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _draw_maps(
    figure: SubFigure,
    maps: Mapping[tuple[str, int], NDArray[np.float64]],
    grid: tuple[int, int, int],
) -> None:
    """One row a model, one picture a T, and the quantised ANN's behind them."""
    channels, height, width = grid
    pictures = {
        key: values.reshape(height, width, channels).sum(axis=2) for key, values in maps.items()
    }
    (ann_map,) = (picture for (name, _), picture in pictures.items() if name == "ANN")
    times = [t for t in MAPS if (next(iter(MODELS)), t) in maps]
    places = figure.subplots(len(MODELS), len(times) + 1, squeeze=False)
    look = {"cmap": "gray", "vmin": 0, "vmax": ann_map.max() or 1, "interpolation": "nearest"}
    for axes, model in zip(places, MODELS):
        for place, picture in zip(axes, [*(pictures[model, t] for t in times), ann_map]):
            place.imshow(picture, **look)
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(model)
    for place, words in zip(places[0], [*(f"T = {t}" for t in times), "quantised ANN"]):
        place.set_title(words, fontsize=9)


def _draw_distances(axes: Axes, rows: list[scripts.Row]) -> None:
    """L1 distances against T, a line for each model and layer."""
    for (colour, marker), (what, mine) in zip(scripts.LOOKS, scripts.grouped(rows, "what").items()):
        style = "-" if what.startswith("ST-BIF") else "--"
        look: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "ms": 4.5,
            "lw": 1.3,
            "ls": style,
        }
        t, distances = scripts.column(mine, "T"), scripts.column(mine, "relative", 100)
        axes.plot(t, distances, label=what, **look)
    scripts.step_axis(axes, max(scripts.column(rows, "T")))
    axes.set_ylabel("L1 distance (% of the ANN's norm)")
    axes.set_ylim(bottom=0)


def _draw_rests(axes: Axes, rests: Mapping[str, list[int]]) -> None:
    """The share of images that are at rest after T steps, a line for each order."""
    end = 1.05 * max(map(max, rests.values()))
    for (colour, _), (order, t_eq) in zip(scripts.LOOKS, rests.items()):
        share = 100 * np.append(np.arange(len(t_eq) + 1) / len(t_eq), 1)
        t = [0, *sorted(t_eq), end]
        axes.plot(t, share, drawstyle="steps-post", color=colour, lw=1.5, label=order)
    axes.set(xlabel="time steps T", ylabel="images at rest (%)", xlim=(0, None))
    scripts.plain(axes)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=100, out="runs/equivalence")
    words = "the most steps; more than any image needs to come to rest"
    parser.add_argument("--steps", type=int, default=128, help=words)
    words = "layer whose feature maps are shown (default: one a quarter of the way)"
    parser.add_argument("--layer", help=words)
    return scripts.run(study, parser, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the tables and the picture. args: the options."""
    graph, images, outputs = scripts.given(args)
    network, out = scripts.network_of(args, graph, images), args.out
    layers = {layer.name: layer for layer in neuron_layers(network).values()}
    layer = args.layer or list(layers)[len(layers) // 4]
    if layer not in layers:
        raise InputError("--layer", f"one of {', '.join(layers)}", repr(layer))
    rows, rests = [], {}
    with following(len(ORDERS) * len(images), "image", True) as bar:
        for label, time in ORDERS.items():
            row, rests[label] = measure(
                network, images, args.steps, outputs, label, bar, seed=args.seed, **time
            )
            rows.append(row)
            write_csv(out / "equivalence.csv", rows)
    of_images = [
        {"order": label, "image": int(i), "T_eq": t}
        for label, found in rests.items()
        for i, t in zip(images.indices, found)
    ]
    write_csv(out / "t_eq.csv", of_images)
    names = list(dict.fromkeys((layer, list(layers)[-1])))
    distances, maps = compare(network, images, names, args.steps, args.seed)
    write_csv(out / "distance.csv", distances)
    title = scripts.title(network.graph, f"{len(images)} images")
    title += f"; above: {layer} of the first, channels added up"
    decided, compared = scripts.words(rows), scripts.words(distances)
    figure = draw(maps, layers[layer].grid, distances, rests, title)
    scripts.save(figure, out, "equivalence", scripts.words([*rows, *distances]))
    shown = scripts.side_by_side(distances, "what", lambda row: f"{row['relative']:.1%}")
    scripts.show(TITLE, scripts.bare(rows), decided, FORMATS)
    heading = (
        "L1 distance of a layer's output from the quantised ANN's, % of its norm, after T steps"
    )
    print()
    scripts.show(heading, shown, compared)
    print()
    print(f"in the CSV files: {bootstrap_words(seed=args.seed)}")


if __name__ == "__main__":
    sys.exit(main())
