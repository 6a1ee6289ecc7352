"""Is the spiking network the quantised ANN? SpikeZIP's Theorem 1, counted neuron by neuron, and its
Fig. 5.

    python analysis/equivalence.py --net resnet20_qrelu.h5 --data cifar-10-batches-bin --limit 100
    --layer act7

Runs ST-BIF neurons with even release to equilibrium, in clocked time and under several orders of
arrival, and compares every neuron's net spikes and the readout with the quantised ANN in the same
whole numbers (`eventsnn.equivalence`). SpikeZIP (section 4) reports a distance of 0.5 between the
two outputs for its own implementation. Asynchronous orders have a refractory period of a step or
release inhibition first: where neurons may answer every arrival at once, firing multiplies from
layer to layer in deep networks. The picture (SpikeZIP Fig. 5): what a layer has fired of one image,
channels added up, after T steps beside the quantised ANN's activations, for ST-BIF and for IF
neurons with constant input (as QCFS has them; spikes per step); the L1 distance between the two in
that layer and in the last, relative to the ANN's L1 norm, mean of images; and how many images are
at rest after T steps. Writes equivalence.csv, distance.csv, t_eq.csv, equivalence.png and
equivalence.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.data.images import pixel_range
from eventsnn.exceptions import InputError
from eventsnn.result import run
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import scripts
from eventsnn.studies.equivalence import quantised
from eventsnn.views.tables import text_table, write_csv

ORDERS = {
    "clocked engine": {},
    "fifo, 1 spike a step": dict(engine="event", order="fifo", refractory=1.0),
    "random, 1 spike a step": dict(engine="event", order="random", refractory=1.0),
    "inhibitory first": dict(engine="event", order="inhibitory_first"),
}
MODELS = {
    "ST-BIF": dict(neuron="st-bif", encoding="even"),
    "IF": dict(neuron="if", encoding="constant"),
}
SHOWN = 1, 2, 3, 4, 6, 8, 12, 16, 24, 32  # T at which layers are compared
MAPS = 1, 2, 4, 8, 16, 32  # T of the small pictures
BATCH = 10


def measure(network, images, steps, outputs, label, bar, **time):
    """(one row: differing neurons and outputs, T_eq, spikes and operations per image, distance to
    the ANN's float output; each T_eq).
    """
    differing = wrong = distance = 0
    t_eq, spikes, operations = [], 0, 0
    for first in range(0, len(images), BATCH):
        part = images.take(np.arange(first, min(first + BATCH, len(images))))
        result = run(
            network,
            part,
            steps=steps,
            neuron="st-bif",
            encoding="even",
            neurons=True,
            batch=1,
            **time,
        )
        counts, readout = quantised(result.simulation, part.pixels)
        differing += int((result.batch.counts != counts).sum())
        wrong += int((result.batch.readout[:, -1] != readout).sum())
        distance += float(np.square(result.readout() - outputs[first : first + len(part)]).sum())
        t_eq += result.batch.t_eq.tolist()
        spikes, operations = (
            spikes + int(result.spikes.sum()),
            operations + int(result.operations.sum()),
        )
        bar.update(len(part))
    return {
        "order": label,
        "images": len(images),
        "neurons": network.neurons,
        "differing neurons": differing,
        "differing outputs": wrong,
        "mean squared distance to the float ANN": distance / outputs.size,
        "mean T_eq": float(np.mean(t_eq)),
        "largest T_eq": max(t_eq),
        "spikes": spikes / len(images),
        "operations": operations / len(images),
    }, t_eq


def of_layers(network, names, counts, units):
    """layer -> what its neurons fired, in thresholds, float64 [N, neurons]; units: spikes that each
    layer's threshold is worth.
    """
    ends = np.cumsum([layer.size for layer in network.layers])
    return {
        layer.name: counts[:, end - layer.size : end] / unit
        for layer, end, unit in zip(network.layers, ends, units)
        if layer.name in names
    }


def compare(network, images, names, steps):
    """(rows, maps): each model's and layer's L1 distance to the quantised ANN at each T, and the
    first layer of names in image 0.

    Both in thresholds. maps: (model, T) or ("ANN", steps) -> [neurons].
    """
    rows, maps, ann_values = [], {}, {name: [] for name in names}
    rest = Simulation(
        network, steps=steps, pixel_range=pixel_range(images.pixels), **MODELS["ST-BIF"]
    )
    for first in range(0, len(images), BATCH):
        counts, _ = quantised(rest, images.pixels[first : first + BATCH])
        for name, values in of_layers(network, names, counts, rest.quanta).items():
            ann_values[name].append(values)
    maps["ANN", steps] = ann_values[names[0]][0][0]
    for model, settings in MODELS.items():
        for t in (t for t in SHOWN if t <= steps):
            simulation = Simulation(
                network, steps=t, pixel_range=pixel_range(images.pixels), **settings
            )
            units, distance = (
                simulation.quanta * (t if simulation.encoding.divides else 1),
                dict.fromkeys(names, 0.0),
            )
            for first, batch in simulation.stream(
                images.pixels, numbers=images.indices, batch=BATCH, neurons=True
            ):
                values = of_layers(network, names, batch.counts, units)
                for name in names:
                    distance[name] += np.abs(values[name] - ann_values[name][first // BATCH]).sum()
                if first == 0:
                    maps[model, t] = values[names[0]][0]
            for name, total in distance.items():
                norm = sum(values.sum() for values in ann_values[name])
                rows.append(
                    {
                        "what": f"{model}, {name}",
                        "T": t,
                        "images": len(images),
                        "L1": float(total / len(images)),
                        "relative": float(total / norm) if norm else 0.0,
                    }
                )
    return rows, maps


def draw(maps, grid, rows, rests, title):
    """Feature maps over T above; below L1 distances against T, and how many images are at rest;
    rests: order -> T_eq of each image.
    """
    times = [t for t in MAPS if (next(iter(MODELS)), t) in maps]
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1])
    pictures = {
        key: values.reshape(grid[1], grid[2], grid[0]).sum(axis=2) for key, values in maps.items()
    }
    (ann_map,) = (picture for (name, _), picture in pictures.items() if name == "ANN")
    places = above.subplots(len(MODELS), len(times) + 1, squeeze=False)
    for axes, model in zip(places, MODELS):
        for place, picture in zip(axes, [*(pictures[model, t] for t in times), ann_map]):
            place.imshow(
                picture, cmap="gray", vmin=0, vmax=ann_map.max() or 1, interpolation="nearest"
            )
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(model)
    for place, words in zip(places[0], [*(f"T = {t}" for t in times), "quantised ANN"]):
        place.set_title(words, fontsize=9)
    left, right = below.subplots(1, 2)
    for (colour, marker), (what, mine) in zip(scripts.LOOKS, scripts.grouped(rows, "what").items()):
        left.plot(
            [row["T"] for row in mine],
            [100 * row["relative"] for row in mine],
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.3,
            ls="-" if what.startswith("ST-BIF") else "--",
            label=what,
        )
    scripts.step_axis(left, max(row["T"] for row in rows))
    left.set_ylabel("L1 distance (% of the ANN's norm)")
    left.set_ylim(bottom=0)
    for (colour, _), (order, t_eq) in zip(scripts.LOOKS, rests.items()):
        right.plot(
            [0, *sorted(t_eq), 1.05 * max(map(max, rests.values()))],
            100 * np.append(np.arange(len(t_eq) + 1) / len(t_eq), 1),
            drawstyle="steps-post",
            color=colour,
            lw=1.5,
            label=order,
        )
    right.set(xlabel="time steps T", ylabel="images at rest (%)", xlim=(0, None))
    scripts.plain(right)
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=100, out="runs/equivalence")
    parser.add_argument(
        "--steps",
        type=int,
        default=128,
        help="the most steps; more than any image needs to come to rest",
    )
    parser.add_argument(
        "--layer", help="layer whose feature maps are shown (default: one a quarter of the way)"
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the tables and the picture."""
    network, images = (
        eventsnn.convert(eventsnn.load(args.net)),
        eventsnn.load_images(args.data, limit=args.limit),
    )
    layers = {layer.name: layer for layer in network.spiking if not layer.pools}
    layer = args.layer or list(layers)[len(layers) // 4]
    if layer not in layers:
        raise InputError("--layer", f"one of {', '.join(layers)}", repr(layer))
    outputs = ann.predict(network.graph, images.pixels)
    rows, rests = [], {}
    with tqdm(total=len(ORDERS) * len(images), unit="image", disable=None, delay=2) as bar:
        for label, time in ORDERS.items():
            row, rests[label] = measure(network, images, args.steps, outputs, label, bar, **time)
            rows.append(row)
            write_csv(args.out / "equivalence.csv", rows)
    write_csv(
        args.out / "t_eq.csv",
        [
            {"order": label, "image": int(i), "T_eq": t}
            for label, found in rests.items()
            for i, t in zip(images.indices, found)
        ],
    )
    distances, maps = compare(
        network, images, list(dict.fromkeys((layer, list(layers)[-1]))), args.steps
    )
    write_csv(args.out / "distance.csv", distances)
    title = f"{network.graph.meta.get('arch', 'network')}, {len(images)} images; above: {layer} of the first, channels added up"
    scripts.save(draw(maps, layers[layer].grid, distances, rests, title), args.out, "equivalence")
    formats = {
        "mean squared distance to the float ANN": ("MSE to float ANN", ".2e"),
        "spikes": ("spikes", ",.0f"),
        "operations": ("operations", ",.0f"),
        "mean T_eq": ("mean T_eq", ".1f"),
        "neurons": ("neurons", ","),
    }
    shown = text_table(
        scripts.side_by_side(distances, "what", lambda row: f"{row['relative']:.1%}")
    )
    print(
        text_table(rows, formats),
        "L1 distance to the quantised ANN",
        shown,
        f"pictures and tables in {args.out}",
        sep="\n\n",
    )


if __name__ == "__main__":
    sys.exit(main())
