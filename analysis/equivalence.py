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
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from eventsnn import Images
from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import scripts
from eventsnn.studies.at_rest import MODELS, REST, AtRest, model_at, of_layers, shown
from eventsnn.studies.equivalence import quantised
from eventsnn.studies.sampled import Sample, with_intervals
from eventsnn.studies.setting import neuron_layers, numbers_of
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

ORDERS: dict[str, dict[str, Any]] = {
    "clocked engine": {},
    "fifo, 1 spike a step": dict(engine="event", order="fifo", refractory=1.0),
    "random, 1 spike a step": dict(engine="event", order="random", refractory=1.0),
    "inhibitory first": dict(engine="event", order="inhibitory_first"),
}
MAPS = 1, 2, 4, 8, 16, 32  # T of the small pictures
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


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is studied: the network at rest under each order, then its layers. args: the options."""
    common = {**REST, "steps": args.steps}
    every = [{"study": "rest", **time} for time in ORDERS.values()]
    every.append({"study": "distances"})
    return [stored.Way({}, {**its, **common}, [args.seed]) for its in every]


def row_of(found: AtRest, logits: NDArray[Any], label: str, seed: int) -> scripts.Row:
    """The row of one order of arrival, its means with intervals.

    It has differing neurons and outputs, T_eq, spikes and operations per image, and the distance
    to the ANN's float output. found: of the order. logits: the ANN's, [N, classes]. label: the
    order's name. seed: of the bootstrap.
    """
    distances = np.square(found.readout - logits).mean(axis=1)
    columns = (distances, found.t_eq, found.spikes, found.operations)
    samples = {(label, name): Sample(values) for name, values in zip(MEANS, columns)}
    row = {
        "order": label,
        "images": len(distances),
        "neurons": found.simulation.network.neurons,
        "differing neurons": int(found.neurons.sum()),
        "differing outputs": int(found.outputs.sum()),
        **{name: sample.mean for (_, name), sample in samples.items()},
        "conditions": conditions(found.simulation),
        "largest T_eq": int(found.t_eq.max()),
    }
    (full,) = with_intervals([row], [samples], seed, lambda row: row["order"])
    return full


def maps_of(
    simulation: Simulation, images: Images, name: str
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """What one layer fired of the first image: (model, T) or ("ANN", steps) -> [neurons].

    All are in thresholds. simulation: of the quantised ANN. images: the first of them is run.
    name: of the layer.
    """
    place = list(numbers_of(simulation.network)).index(name)
    first, number = images.pixels[:1], images.indices[:1]
    counts, _ = quantised(simulation, first)
    maps = {("ANN", simulation.steps): of_layers(simulation, counts)[place][0]}
    for model in MODELS:
        for t in (t for t in MAPS if t in shown(simulation)):
            its = model_at(simulation, model, t)
            found = its.run(first, numbers=number, neurons=True).counts
            assert found is not None
            maps[model, t] = of_layers(its, found)[place][0]
    return maps


def draw(
    maps: Mapping[tuple[str, int], NDArray[np.float64]],
    grid: tuple[int, int, int],
    rows: list[scripts.Row],
    rests: Mapping[str, list[int]],
    title: str,
) -> Figure:
    """Feature maps over T above; below L1 distances against T, and how many images are at rest.

    maps: of `maps_of`. rows: of `Distances`. grid: (C, H, W) of the layer of maps. rests: order ->
    T_eq of each image. title: of the picture.
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
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=20)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the tables and the picture. args: the options."""
    source, out = stored.source_of(args), args.out
    network = source.network()
    layers = {layer.name: layer for layer in neuron_layers(network).values()}
    layer = args.layer or list(layers)[len(layers) // 4]
    if layer not in layers:
        raise InputError("--layer", f"one of {', '.join(layers)}", repr(layer))
    rows, rests = [], {}
    *of_orders, last = ways(args)
    for label, way in scripts.each(list(zip(ORDERS, of_orders)), "order"):
        (found,) = source.runs(way)
        rests[label] = found.t_eq.tolist()
        rows.append(row_of(found, source.logits, label, args.seed))
        write_csv(out / "equivalence.csv", rows)
    of_images = [
        {"order": label, "image": i, "T_eq": t}
        for label, found in rests.items()
        for i, t in enumerate(found)
    ]
    write_csv(out / "t_eq.csv", of_images)
    names = list(dict.fromkeys((layer, list(layers)[-1])))
    (measured,) = source.runs(last)
    distances = measured.rows(names, args.seed)
    maps = maps_of(measured.simulation, source.some(1), layer)
    write_csv(out / "distance.csv", distances)
    title = scripts.title(source.graph, f"{len(source.images)} images")
    title += f"; above: {layer} of the first, channels added up"
    decided, compared = scripts.words(rows), scripts.words(distances)
    figure = draw(maps, layers[layer].grid, distances, rests, title)
    scripts.save(figure, out, "equivalence", scripts.words([*rows, *distances]))
    apart = scripts.side_by_side(distances, "what", lambda row: f"{row['relative']:.1%}")
    scripts.show(TITLE, scripts.bare(rows), decided, FORMATS)
    heading = (
        "L1 distance of a layer's output from the quantised ANN's, % of its norm, after T steps"
    )
    print()
    scripts.show(heading, apart, compared)
    print()
    print(f"in the CSV files: {bootstrap_words(seed=args.seed)}")


if __name__ == "__main__":
    sys.exit(main())
