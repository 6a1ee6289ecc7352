"""The command `eventsnn diagnose --net vgg16.h5 --data cifar-10-batches-bin`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from eventsnn.called import called
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, in_flags, printable
from eventsnn.option_texts import add_option, given_values, help_of, layout
from eventsnn.settings import GROUPS, Settings, flag_of, option_in
from eventsnn.simulation.simulation import ENGINES

if TYPE_CHECKING:
    from eventsnn.ann.graph import Graph
    from eventsnn.studies.diagnosis.report import Diagnosis

IMAGES = 100
TAKEN = ("input", "conversion", "simulation", "asynchronous")  # groups of options, as of a run
DESCRIPTION = """\
Why a converted network is below its ANN: runs it on a hundred images, says layer by layer in a
sentence with its number what is wrong, tries what may help on every other image, and confirms the
best on the rest.

  %(prog)s --net vgg16.h5 --data cifar-10-batches-bin
  %(prog)s --net vgg16.h5 --data cifar-10-batches-bin --thresholds max --steps 64

It takes the options of a run, and says at last the command of a run with the remedy. What is not
certain on these images is called not known: a larger --limit tells more."""
EPILOG = """\
exit status: 0 when all is well, whatever was found, 2 for wrong input, 130 when stopped by
Ctrl-C"""
MEMORY = ("room for the network and its images", "use a smaller --limit, or fewer --steps")


def parser() -> Parser:
    """What the command takes: a run's options, and whether remedies are tried."""
    result = Parser(
        prog=called("diagnose"),
        usage="%(prog)s [option value …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=layout,
    )
    groups = {key: result.add_argument_group(GROUPS[key]) for key in (*TAKEN, "running")}
    for f in _taken():
        default = str(IMAGES) if f.name == "limit" else None
        add_option(groups[option_in(f).group], f, help_of(f, default), default)
    words = "say what is wrong, and try nothing against it"
    groups["running"].add_argument("--no-remedies", action="store_true", help=words)
    return result


def _taken() -> list[Any]:
    """The fields of Settings that are options here."""
    return [f for f in fields(Settings) if option_in(f).group in TAKEN]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status. argv: None for this process's."""
    return answer(lambda: _diagnose(argv), MEMORY)


def _diagnose(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    settings = Settings(**given_values(args))
    found, settings = diagnosed(settings, not args.no_remedies)
    print(printable(found.text(advised(settings, found))), flush=True)
    return 0


def diagnosed(settings: Settings, remedies: bool = True) -> tuple[Diagnosis, Settings]:
    """(what a diagnosis finds, the settings with the preprocessing that it advises).

    settings: of the run that is diagnosed. remedies: whether they are tried. Raises InputError for
    files that cannot be read and for what goes with no diagnosis.
    """
    from eventsnn.data.ranges import range_of
    from eventsnn.inputs.loading import load_inputs
    from eventsnn.studies.diagnosis.diagnosing import examine
    from eventsnn.studies.scripts import network_of

    _check(settings)
    graph, images, notes = load_inputs(settings, any_range=not settings.pixel_range)
    for note in notes:
        print(f"note: {printable(in_flags(note))}", file=sys.stderr)
    ends = float(images.pixels.min()), float(images.pixels.max())
    within = images if images.pixel_range else replace(images, pixel_range=ends)

    def make(of: Graph, changes: Mapping[str, Any]) -> Any:
        return network_of(argparse.Namespace(settings=settings), of, within, **changes)

    shown = bool(sys.stderr is not None and sys.stderr.isatty())
    found = examine(
        graph,
        make,
        images,
        options_of(settings),
        calibrated=True,
        remedies=remedies,
        progress=shown,
    )
    restored = {
        f.name: option_in(f).read(flag_of(f.name), found.advice[f.name])
        for f in fields(Settings)
        if f.name in found.advice
    }
    try:
        range_of(found.measured.graph, images)
    except InputError:  # a run would refuse them
        restored["pixel_range"] = found.measured.images.pixel_range
    return found, replace(settings, **restored)


def _check(settings: Settings) -> None:
    """Raises InputError for what goes with no diagnosis."""
    if settings.encoded.kind == "events":
        do = "give images: recordings have no preprocessing and no errors by layer"
        raise InputError("--encoding", "an encoding of images", "events", do)
    if settings.calibrate is not None:
        do = "leave it out: what a network lacks without it is what is diagnosed"
        raise InputError("--calibrate", "none in a diagnosis", settings.calibrate, do)
    if settings.compat is not None:
        do = "give the options that it stands for, which a remedy can change"
        raise InputError("--compat", "none in a diagnosis", settings.compat, do)


def options_of(settings: Settings) -> dict[str, Any]:
    """What `simulate` and studies take of a run's settings. settings: of the run."""
    options: dict[str, Any] = dict(vars(settings.specification))
    options |= {"engine": settings.engine, "encoding": settings.encoded}
    if ENGINES.find(settings.engine, "--engine").asynchronous:
        options |= vars(settings.time)
    return options


def advised(settings: Settings, found: Diagnosis) -> str:
    """The command of a run with what a diagnosis advises; "" where there is nothing to advise.

    settings: with the preprocessing that it advises. found: by it.
    """
    best = found.remedy
    changes = {**best.convert, **best.simulate} if best is not None and best.helps else {}
    if not changes and not found.advice:
        return ""
    from eventsnn.runs.command import command_of
    from eventsnn.studies.scripts import with_changes

    words = command_of(vars(with_changes(settings, changes)))[2:]
    return f"{called('run')} {shlex.join(words)}"
