"""The papers' figures about training: trains the networks of a figure, and compares them.

    python analysis/training_figures.py --figure tcl-7
    python analysis/training_figures.py --figure spikezip-6a --net resnet20_relu \\
        --net-arch resnet20 --width 1 --data cifar-10-batches-bin

Every network begins with the weights of --net, a trained network with ReLU, and is trained
--epochs more on the first --training-images of --data, all with the same options but those of the
figure. tcl-6: TCL Fig. 6, the conversion's loss with trained thresholds, the largest activation
and percentiles. tcl-7: TCL Fig. 7 and Tab. I, L2 coefficients of the thresholds. spikezip-6a:
SpikeZIP Fig. 6a, plain fine-tuning (N), rerouted shortcuts (R), paths-ensemble training (P), both
(PR). spikezip-6b: Fig. 6b, levels of the major path. spikezip-5a to 5d: Tab. 5, sharing of scales
and of BatchNormalization, the loss's alpha, labels of the sub-paths. qcfs: levels of QCFS.

All are compared with the first of the figure, image by image. hours are of the processor, without
the teacher's (SpikeZIP Fig. 4). A training that was stopped goes on, and one that is done, for this
figure or another, is not done again: they stay in the folder of --trained. Without --net it is
fashion_relu, without --data Fashion-MNIST in the folder fashion-mnist. Writes training_figures.csv,
norm_factors.csv (the threshold of each layer), training_figures.png and training_figures.svg. It
needs PyTorch.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import csv
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from eventsnn.exceptions import InputError
from eventsnn.studies import scripts
from eventsnn.studies.trained import Way, compare, way_of

# a network of a figure: its label, what its training has of its own (none: it is the teacher
# itself), and how it is converted
Variant = tuple[str, str, str]
# what eventsnn train does anyway: left out, so that figures have such a training in common
DEFAULTS = ("--lambda-decay 5e-4", "--scales share", "--norms share", "--alpha 1", "--labels soft")


def _with(training: str, more: str) -> str:
    return training if more in ("", *DEFAULTS) else f"{training} {more}"


def _ensemble(levels: str, more: str = "") -> str:
    return _with(f"--activation lsq:{levels.split(',')[0]} --paths {levels}", more)


NORMAL = "--activation lsq:4"
REROUTED = "--residual reroute"
WAYS = ("share", "identical", "independent")
FIGURES: dict[str, list[Variant]] = {
    "tcl-6": [
        ("TCL", "--activation tcl", ""),
        ("largest", "", "+max"),
        *((f"{p} %", "", f"+p{p}") for p in (99.99, 99.9, 99.8, 99.7, 99.5)),
    ],
    "tcl-7": [
        (f"alpha {alpha}", _with("--activation tcl", f"--lambda-decay {alpha}"), "")
        for alpha in ("1e-4", "5e-4", "1e-3", "1e-2")
    ],
    "spikezip-6a": [
        ("N", NORMAL, "+st-bif"),
        ("R", f"{NORMAL} {REROUTED}", "+st-bif"),
        ("P", _ensemble("4,2"), "+st-bif"),
        ("PR", _ensemble("4,2", REROUTED), "+st-bif"),
    ],
    "spikezip-6b": [
        (f"{levels.split(',')[0]} levels", _ensemble(levels), "+st-bif")
        for levels in ("2,1", "4,2", "8,4,2", "16,8,4,2")
    ],
    "spikezip-5a": [(way, _ensemble("8,4,2", f"--scales {way}"), "+st-bif") for way in WAYS],
    "spikezip-5b": [(way, _ensemble("8,4,2", f"--norms {way}"), "+st-bif") for way in WAYS],
    "spikezip-5c": [
        (f"alpha {alpha}", _ensemble("8,4,2", f"--alpha {alpha}"), "+st-bif")
        for alpha in ("1", "0.25", "4", "10")
    ],
    "spikezip-5d": [
        (labels, _ensemble("8,4,2", f"--labels {labels}"), "+st-bif")
        for labels in ("soft", "hard", "mixed")
    ],
    "qcfs": [(f"{n} levels", f"--activation qcfs:{n}", "") for n in (2, 4, 8, 16)],
}
TEACHER = "fashion_relu"
FASHION = "fashion-mnist"
TABLE = (1, 2, 4, 8, 16, 20, 25, 30, 32, 35)  # TCL Tab. I has T = 20 to 35


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    out = "runs/training_figures"
    parser = scripts.options(__doc__, limit=500, out=out)
    parser.set_defaults(net=TEACHER, data=FASHION)
    its = parser.add_argument_group("training")
    its.add_argument("--figure", choices=[*FIGURES], required=True, help="as above")
    words = "the teacher's architecture, as for eventsnn train (default: resnet8)"
    its.add_argument("--net-arch", metavar="ARCH", default="resnet8", help=words)
    words = "the teacher's factor of channels (default: 0.5)"
    its.add_argument("--width", type=float, default=0.5, help=words)
    its.add_argument("--epochs", type=int, default=2, help="passes over the training images")
    words = "how many training images (default: 20000)"
    its.add_argument("--training-images", type=int, default=20000, metavar="N", help=words)
    its.add_argument("--rate", type=float, default=0.02, help="the largest learning rate")
    its.add_argument("--threads", type=int, default=1, help="of PyTorch")
    words = "of the products, as for eventsnn train (default: float32)"
    its.add_argument("--precision", default="float32", help=words)
    words = "the folder of the trained networks (default: runs/trained)"
    its.add_argument("--trained", default="runs/trained", help=words)
    scripts.add_steps(its, 32)
    return scripts.run(study, parser, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    times = scripts.times(args)
    ways = [_way(args, *variant) for variant in FIGURES[args.figure]]
    if args.report_steps is None:
        times = [*(t for t in TABLE if t < args.steps), args.steps]
    compare(args, ways, times, "training_figures")


def _way(args: argparse.Namespace, label: str, training: str, words: str) -> Way:
    net, hours = args.settings.net, 0.0
    if training:
        folder = Path(args.trained) / _name(training)
        net, hours = str(folder / "network.h5"), _train(args, training, folder)
    # a path may have a plus in it
    return replace(way_of(f"net{words}", args.steps, label, hours=hours), net=net)


def _name(training: str) -> str:
    """The folder of a training: its options, as words of a file's name."""
    return training.replace("--", "").replace(" ", "_").replace(":", "-").replace(",", "-")


def _train(args: argparse.Namespace, training: str, folder: Path) -> float:
    """Trains a network, or goes on, in a folder; returns the hours of processor that it took."""
    try:
        from eventsnn.train.command import given, train
    except ImportError:
        raise InputError("training", "PyTorch", "none", "pip install torch") from None

    options = ["--arch", args.net_arch, "--width", args.width, "--start", args.settings.net]
    options += ["--data", args.settings.data, "--epochs", args.epochs]
    options += ["--limit", args.training_images, "--rate", args.rate, "--seed", args.seed]
    options += ["--threads", args.threads, "--precision", args.precision]
    options += ["--augment", "crop" if args.net_arch != "resnet8" else "flip"]
    words = training.split()
    if "--paths" in words:
        options += ["--teacher", args.settings.net]
    try:
        with redirect_stdout(sys.stderr):
            train(given([*map(str, options), *words, "--out", str(folder)]))
    except InputError as error:  # --out is the study's own folder here
        where, do = (text.replace("⟦out⟧", "--trained") for text in (error.where, error.do))
        raise InputError(where, error.expected, error.found, do) from None
    with open(folder / "curves.csv", newline="") as file:
        return float([*csv.DictReader(file)][-1]["cpu_seconds"]) / 3600


if __name__ == "__main__":
    sys.exit(main())
