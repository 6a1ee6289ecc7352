"""Boxes that a detector's spiking network finds, against T: mAP, and a picture of boxes over T.

SpikeZIP section 4.4, on scenes made of Fashion-MNIST with a network that `eventsnn.train --arch
yolo` made.

    python analysis/detection.py --net yolo_lsq/network.h5 --data fashion-mnist --limit 200

The network runs with ST-BIF and even release until nothing moves; at rest its boxes are the
quantised ANN's, box for box, which is checked in the simulation's own whole numbers: in floating
point an activation on the edge between two levels may round to the other one, and how many scenes
that changes is said. mAP is COCO's, at an overlap of 0.5 and over 0.5 to 0.95. The interval of the
difference from the ANN's (at 0.5) is a bootstrap's over scenes, the same ones for both.
Writes detection.csv, detection.png and detection.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eventsnn.ann.forward import predict
from eventsnn.data.images import load_images
from eventsnn.detection import Boxes, Head, Scenes, make_scenes, mean_average_precision
from eventsnn.detection.head import same_boxes
from eventsnn.detection.precision import OVERLAPS, Graded, averaged, graded
from eventsnn.exceptions import InputError
from eventsnn.inputs.loading import converted
from eventsnn.readers import load
from eventsnn.result import simulate
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import scripts
from eventsnn.studies.equivalence import quantised
from eventsnn.views.tables import write_csv

BATCH = 32  # scenes whose quantised activations are held at once
REST = 256  # steps within which ST-BIF comes to rest
TEST_SEED = 2  # of the scenes that training tests on
RESAMPLES = 1000
SHOWN = 0.3  # score of boxes in the picture
WITHIN = 1e-3  # pixels that corners may differ by for rounding, of the ANN's 32 bits
TITLE = (
    "Mean average precision of the boxes (mAP, 0 to 1) after T steps, at an overlap of 0.5 "
    "and over 0.5 to 0.95; spikes: of a scene"
)
FORMATS = {
    "T": ("T", ""),
    "mAP 0.5": ("mAP 0.5", ".3f"),
    "mAP": ("mAP 0.5:0.95", ".3f"),
    "difference": ("SNN - ANN", "+.3f"),
    "low": ("low", "+.3f"),
    "high": ("high", "+.3f"),
    "spikes": ("spikes", ",.0f"),
}


def grades_of(found: Sequence[Boxes], truth: Sequence[Boxes], classes: int) -> list[Graded]:
    """Which boxes are right, of each class. found, truth: of each scene. classes: how many."""
    return [graded(found, truth, kind=kind, least=0.5) for kind in range(classes)]


def difference(first: list[Graded], second: list[Graded], seed: int) -> tuple[float, float]:
    """The 95 % interval of mAP of `first` less that of `second`, resampling scenes."""
    random = np.random.default_rng(seed)
    count = len(first[0].counts)
    found = []
    for _ in range(RESAMPLES):
        images = random.integers(count, size=count).tolist()
        means = []
        for grades in (first, second):
            values = [averaged(each, images) for each in grades]
            means.append(np.mean([value for value in values if value is not None]))
        found.append(means[0] - means[1])
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def draw_boxes(axes: Axes, pixels: Any, boxes: Boxes, title: str) -> None:
    """A scene with boxes. pixels: [H, W]. boxes: those above SHOWN are drawn."""
    axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=400)
    for k, corners in enumerate(boxes.corners):
        if boxes.scores is not None and boxes.scores[k] < SHOWN:
            continue
        left, top, right, bottom = corners - 0.5
        colour = scripts.LOOKS[int(boxes.classes[k]) % len(scripts.LOOKS)][0]
        place = ((left, top), right - left, bottom - top)
        axes.add_patch(Rectangle(*place, fill=False, edgecolor=colour, linewidth=1.3))
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def inputs(args: argparse.Namespace) -> tuple[Any, Scenes, Head]:
    """(graph, scenes, the output's layout). args: the options. Raises InputError for others."""
    settings = args.settings
    graph = load(settings.net, settings.arch)
    images = load_images(settings.data or "sample", split=settings.split)
    if images.labels is None:
        raise InputError(f"--data {settings.data}", "images with labels", "none")
    classes = int(images.labels.max()) + 1
    head = Head.of_scenes(classes)
    if graph.input_shape != (1, *head.size) or graph.shapes[graph.output] != (head.outputs,):
        expected = f"a detector of {classes} classes on scenes of 64x64"
        do = "make one: eventsnn train --help says how, under the architectures"
        raise InputError(f"--net {settings.net}", expected, repr(graph), do)
    count = settings.limit or 200
    return graph, make_scenes(images.pixels, images.labels, count, seed=TEST_SEED), head


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/detection")
    scripts.add_steps(parser, 32, "the largest T of the table")
    return scripts.run(study, parser, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    if not 1 <= args.steps <= REST:
        raise InputError("--steps", f"1 to {REST}", args.steps)
    graph, scenes, head = inputs(args)
    network = converted(graph, scenes.pixels[:8], args.settings)
    result = simulate(
        network, scenes.pixels, steps=REST, neuron="st-bif", encoding="even",
        progress=True,
    )  # fmt: skip
    expected = head.boxes(predict(graph, scenes.pixels))
    its = grades_of(expected, scenes.truth, head.classes)
    rows: list[dict[str, Any]] = []
    boxes: dict[Any, list[Boxes]] = {}
    for t in [*scripts.times(args), REST]:
        found = boxes["rest" if t == REST else t] = head.boxes(result.readout(t))
        own = grades_of(found, scenes.truth, head.classes)
        low, high = difference(own, its, args.seed)
        row = {"T": "rest" if t == REST else t} | scored(found, scenes, head)
        spikes = float(result.spikes[:, :, :t].sum(axis=(1, 2)).mean())
        rows.append(row | {"low": low, "high": high, "spikes": spikes})
    ann = scored(expected, scenes, head)
    for row in rows:
        row["difference"] = row["mAP 0.5"] - ann["mAP 0.5"]
        row["ANN"] = ann["mAP 0.5"]
        row["conditions"] = conditions(result.simulation)
    write_csv(args.out / "detection.csv", rows)
    whole = whole_numbers(result.simulation, scenes, head)
    same = same_boxes(boxes["rest"], whole)
    apart = sum(not same_boxes([a], [b], WITHIN) for a, b in zip(whole, expected, strict=True))
    decided = scripts.words(rows)
    scripts.save(draw(rows, ann, scenes, boxes), args.out, "detection", decided)
    scripts.show(TITLE, scripts.bare([*rows]), decided, FORMATS)
    words = "the same boxes as" if same else "NOT the same boxes as"
    print(f"\nANN: mAP {ann['mAP 0.5']:.3f} at 0.5, {ann['mAP']:.3f} over 0.5 to 0.95")
    print(
        f"at rest the SNN gives {words} the quantised ANN in its numbers, on {len(scenes)} scenes"
    )
    edge = ", whose activations on the edge between two levels round otherwise" if apart else ""
    print(f"the ANN in floating point has other boxes in {apart} of them{edge}")


def whole_numbers(simulation: Simulation, scenes: Scenes, head: Head) -> list[Boxes]:
    """The boxes of the quantised ANN in the simulation's own whole numbers.

    simulation: of the spiking network. scenes: the images. head: of the detector.
    """
    readout = [
        quantised(simulation, scenes.pixels[first : first + BATCH])[1]
        for first in range(0, len(scenes), BATCH)
    ]
    return head.boxes(simulation.output(np.concatenate(readout), simulation.steps))


def scored(found: list[Boxes], scenes: Scenes, head: Head) -> dict[str, float]:
    """{"mAP 0.5", "mAP"} of boxes. found: of each scene."""
    names = {"mAP 0.5": (0.5,), "mAP": OVERLAPS}
    return {
        name: mean_average_precision(found, scenes.truth, classes=head.classes, least=least)
        for name, least in names.items()
    }


def draw(
    rows: Sequence[dict[str, Any]], ann: dict[str, float], scenes: Scenes, boxes: dict[Any, Any]
) -> Figure:
    """mAP against T, and the boxes of the first scene over T.

    rows: of the table. ann: the ANN's. boxes: T -> those of each scene.
    """
    figure = scripts.sheet(2, 4.6)
    above, below = figure.subfigures(2, 1)
    axes = above.subplots()
    timed = [row for row in rows if row["T"] != "rest"]
    for k, name in enumerate(("mAP 0.5", "mAP")):
        colour, marker = scripts.LOOKS[k]
        t = scripts.column(timed, "T")
        label = FORMATS[name][0]
        axes.plot(t, scripts.column(timed, name), color=colour, marker=marker, label=label)
        axes.axhline(ann[name], color=colour, ls="--", lw=1)
    scripts.step_axis(axes, max(scripts.column(timed, "T")))
    axes.set_ylabel("mAP (dashes: ANN)")
    axes.legend(frameon=False, fontsize=8)
    shown = list(boxes)[-5:]
    places = below.subplots(1, len(shown) + 1, squeeze=False)[0]
    for place, t in zip(places, shown):
        title = "at rest" if t == "rest" else f"T = {t}"
        draw_boxes(place, scenes.pixels[0, 0], boxes[t][0], title)
    draw_boxes(places[-1], scenes.pixels[0, 0], scenes.truth[0], "truth")
    return figure


if __name__ == "__main__":
    sys.exit(main())
