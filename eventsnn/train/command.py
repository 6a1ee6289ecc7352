"""The command line of training: from options and recipes to a folder with a network."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from eventsnn.called import called
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, check_options, printable
from eventsnn.options import Option
from eventsnn.train.files import NETWORK, check_folder
from eventsnn.train.recipe import PRESETS, Recipe, in_toml, made, read_recipe

DESCRIPTION = """\
Train a network for conversion, and write it as a checkpoint that eventsnn reads.

  %(prog)s --arch resnet20 --activation qcfs:8 --data cifar-10-batches-bin \\
      --epochs 20 --out resnet20_qcfs
  %(prog)s --recipe examples/networks/resnet20_qcfs.toml \\
      --data cifar-10-batches-bin --out resnet20_qcfs

Leaves in the folder of --out: network.h5, recipe.toml, curves.csv, curves.png and
norm_factors.csv (the thresholds), after each epoch, and state.pt, from which the same command goes
on when it was stopped. It needs PyTorch."""

EPILOG = """\
exit status: 0 when all is well, 2 for wrong input (one line on standard error says what is wrong
and what to do), 130 when stopped by Ctrl-C"""


@dataclass(frozen=True)
class Given:
    """What a command line asks for.

    recipe: of the training. about: what the recipe's file says of itself. out: its folder. threads,
    device: of torch.
    """

    recipe: Recipe
    about: dict[str, Any]
    out: Path
    threads: int
    device: str


MEMORY = ("room for the images", "use a smaller --batch or a --limit")
GOES_ON = "stopped; the same command goes on from the last state"


def parser() -> Parser:
    """The options are the fields of Recipe, and some more; values stay text."""
    result = Parser(
        prog=called("train"),
        usage="%(prog)s --data FOLDER --out FOLDER [option value …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--out", metavar="FOLDER", help="where the network goes")
    result.add_argument("--recipe", metavar="FILE", help="options from a TOML file")
    words = f"options as a paper has them: {', '.join(PRESETS)}; others given count more"
    result.add_argument("--preset", metavar="NAME", help=words)
    words = "threads of torch (default: one for each core); another number rounds otherwise"
    result.add_argument("--threads", metavar="N", help=words)
    result.add_argument("--device", metavar="NAME", help="cpu (the default) or cuda")
    groups: dict[str, Any] = {}
    for f in fields(Recipe):
        known: Option = f.metadata["option"]
        group = groups.get(known.group)
        if group is None:
            group = groups[known.group] = result.add_argument_group(known.group)
        group.add_argument(_flag(f), metavar=f.name.upper(), help=_help(f, known))
    return result


def _flag(f: Field[Any]) -> str:
    return "--" + f.name.replace("_", "-")


def _help(f: Field[Any], known: Option) -> str:
    default = "" if f.default is None else f" (default: {f.default})"
    return (known.words + default).replace("%", "%%")


def given(argv: Sequence[str] | None = None) -> Given:
    """What a command line asks for; argv: None for this process's.

    Raises InputError for what is wrong with it, or with its recipe.
    """
    args = vars(parser().parse_args(argv))
    values: dict[str, Any] = {}
    about: dict[str, Any] = {}
    if args["recipe"] is not None:
        values, about = read_recipe(args["recipe"])
    preset = args["preset"] or values.pop("preset", None)
    values.pop("preset", None)
    if preset is not None and not isinstance(preset, str):
        raise InputError("⟦preset⟧", f"one of {', '.join(PRESETS)}", repr(preset))
    for f in fields(Recipe):
        if args[f.name] is not None:
            values[f.name] = f.metadata["option"].read(_flag(f), args[f.name])
    check_options("eventsnn.train", values, (f.name for f in fields(Recipe)))
    recipe = made(values, preset)
    for name, example in (("data", "cifar-10-batches-bin"), ("out", "resnet20_qcfs")):
        if not (recipe.data if name == "data" else args[name]):
            raise InputError(f"⟦{name}⟧", "a folder", "none", f"for example --{name} {example}")
    device = args["device"] or "cpu"
    if device not in ("cpu", "cuda"):
        raise InputError("⟦device⟧", "cpu or cuda", repr(device))
    return Given(recipe, about, Path(args["out"]), _threads(args["threads"]), device)


def _threads(text: str | None) -> int:
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise InputError("⟦threads⟧", "a whole number from 1 to 1,024", repr(text))
    return int(text)


def train(asked: Given) -> None:
    """Trains what is asked for, to the end, and writes it.

    Raises InputError for input that cannot be used, and where there is no torch.
    """
    try:
        import torch
    except ImportError:
        do = "pip install torch"
        raise InputError("eventsnn.train", "the package torch", "none", do) from None
    from eventsnn.train.detector import load_scenes
    from eventsnn.train.loop import Training
    from eventsnn.train.sets import load_sets
    from eventsnn.train.writing import graph_of, write_curves, write_network
    from eventsnn.views.progress import bar

    recipe, out = asked.recipe, asked.out
    assert recipe.data is not None
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise InputError("⟦device⟧", "a GPU that torch can use", "none", "leave it out")
    torch.set_num_threads(asked.threads)
    if asked.device == "cpu":
        torch.use_deterministic_algorithms(True)
    check_folder(out)
    load = load_scenes if recipe.arch == "yolo" else load_sets
    sets = load(recipe.data, recipe.limit)
    _check_augmentation(recipe, sets)
    out.mkdir(parents=True, exist_ok=True)
    say = _say
    say(
        f"{recipe.arch} with {recipe.activation} on {len(sets.train):,} images of {sets.name}, "
        f"{sets.count} classes; {asked.threads} threads"
    )
    training = Training(recipe, sets, out, asked.device, say)
    (out / "recipe.toml").write_text(in_toml(recipe))
    progress = training.progress
    shown = True if sys.stderr is not None and sys.stderr.isatty() else None
    while progress.epoch <= recipe.epochs:
        with bar(training.steps, "step", shown, initial=progress.step) as steps:

            def show(step: int, loss: float, steps: Any = steps) -> None:
                steps.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                steps.update(step - steps.n)

            training.epoch(show)
        write_curves(out, progress.curves, progress.norms)
    accuracy = progress.curves[-1]["test_accuracy"]
    graph = graph_of(training.module, recipe, sets, accuracy, asked.about)
    graph = write_network(graph, out / NETWORK)
    say(
        f"{out / NETWORK}: {training.task.words} {accuracy:.4f}, {graph.parameters:,} parameters, "
        f"{progress.seconds / 3600:.2f} hours ({progress.cpu / 3600:.2f} hours of processor)"
    )


def _check_augmentation(recipe: Recipe, sets: Any) -> None:
    if recipe.augment == "autoaugment":
        shape = [str(sets.train.dtype).removeprefix("torch."), *sets.train.shape[1:]]
        if shape[:2] != ["uint8", 3]:
            do = "choose ⟦augment=cutout⟧"
            found = f"{shape[0]} of {shape[1]} channels"
            raise InputError("⟦augment=autoaugment⟧", "uint8 images of 3 channels", found, do)


def _say(line: str) -> None:
    print(printable(line), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for wrong input, 130 when stopped.

    argv: the arguments; None: this process's.
    """
    return answer(lambda: _train(argv), MEMORY, GOES_ON)


def _train(argv: Sequence[str] | None) -> int:
    train(given(argv))
    return 0
