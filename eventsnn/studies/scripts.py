"""What the scripts in analysis/ have in common.

These are options, inputs, errors in one line, paired comparisons, and pictures in two formats.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.command_line import Parser
from eventsnn.doubts import DoubtfulAccuracy, doubt_of
from eventsnn.exceptions import InputError, in_flags
from eventsnn.inputs.doubting import preprocessing_doubt
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import calibration_pixels, converted, load_inputs
from eventsnn.inputs.made import hash_of_sources, stamps, versions
from eventsnn.network.rules import CHOSEN, RULES
from eventsnn.option_texts import add_option, given_values, help_of, layout
from eventsnn.result import Result
from eventsnn.settings import GROUPS, Settings, option_in
from eventsnn.statistics import bootstrap, bootstraps, compare, wilson
from eventsnn.studies import seeds
from eventsnn.studies.drawing import LOOKS as LOOKS
from eventsnn.studies.drawing import column as column
from eventsnn.studies.drawing import draw_accuracy as draw_accuracy
from eventsnn.studies.drawing import draw_errors as draw_errors
from eventsnn.studies.drawing import draw_intervals as draw_intervals
from eventsnn.studies.drawing import error_axis as error_axis
from eventsnn.studies.drawing import layer_axis as layer_axis
from eventsnn.studies.drawing import legend_below as legend_below
from eventsnn.studies.drawing import plain as plain
from eventsnn.studies.drawing import save as save
from eventsnn.studies.drawing import sheet as sheet
from eventsnn.studies.drawing import step_axis as step_axis
from eventsnn.studies.folder import StudyFolder
from eventsnn.studies.printing import PAIRED as PAIRED
from eventsnn.studies.printing import bare as bare
from eventsnn.studies.printing import compact as compact
from eventsnn.studies.printing import discordant as discordant
from eventsnn.studies.printing import distinct as distinct
from eventsnn.studies.printing import footnote as footnote
from eventsnn.studies.printing import grouped as grouped
from eventsnn.studies.printing import interval as interval
from eventsnn.studies.printing import names_in
from eventsnn.studies.printing import only as only
from eventsnn.studies.printing import show as show
from eventsnn.studies.printing import side_by_side as side_by_side
from eventsnn.studies.printing import words as words
from eventsnn.views.progress import each as each
from eventsnn.views.tables import report_steps

if TYPE_CHECKING:
    from eventsnn.ann.graph import Graph
    from eventsnn.data.images import Images
    from eventsnn.network.network import Network

NOT_KEPT = ("out", "overwrite", "settings")  # of the options, that decide nothing
# groups of a run's options that scripts have, too, and what of them no script takes: a study
# varies what a preset decides, and compares readouts that add up
SHARED = ("input", "conversion")
DECIDED = ("compat", "readout")
BESIDE = ("seed", "overwrite")  # options of other groups that they have, too

Row = dict[str, Any]
# one run, or the runs of several seeds
Runs = Result | Sequence[Result]
SHARE = ("accuracy", "low", "high")


def options(
    words: str | None,
    *,
    limit: int,
    out: str,
    without: Collection[str] = (),
    several: bool = False,
) -> argparse.ArgumentParser:
    """An ArgumentParser with the options of a run's input and conversion, --seed and --out.

    They are those of `eventsnn.run`, from the same fields of `Settings`, and mean the same.

    words: the script's docstring. limit, out: what the two options are by default. without: names
    of fields that the script decides itself. several: whether it takes --seeds.
    """
    parser = Parser(description=words, formatter_class=layout)
    keys = (*SHARED, "simulation", "output")
    groups = {key: parser.add_argument_group(GROUPS[key]) for key in keys}
    for f in fields(Settings):
        group = option_in(f).group
        shared = group in SHARED and f.name not in DECIDED
        if (shared or f.name in BESIDE) and f.name not in without:
            default = str(limit) if f.name == "limit" else None
            add_option(groups[group], f, help_of(f, default), default)
    seeds.add_option(parser, several)
    words = f"the folder for pictures and tables (default: {out})"
    groups["output"].add_argument("--out", type=Path, default=Path(out), help=words)
    return parser


def add_steps(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    default: int,
    words: str = "the largest T",
) -> None:
    """Gives a script --steps and --report-steps.

    parser: its options, or a group of them. default: of the first. words: of its help.
    """
    parser.add_argument("--steps", type=int, default=default, help=words)
    words = "the numbers T that are reported beside the largest; default: 1, 2, 4 and so on"
    parser.add_argument("--report-steps", metavar="T,…", help=words)


def times(args: argparse.Namespace) -> list[int]:
    """The numbers T of a table, the largest last. args: the options of `add_steps`.

    Raises InputError for what are no numbers from 1, and for one beyond the largest.
    """
    if args.steps < 1:
        raise InputError("--steps", "a whole number from 1", args.steps)
    if args.report_steps is None:
        return list(report_steps(args.steps))
    given = whole_numbers(args.report_steps, "--report-steps")
    if max(given) > args.steps:
        expected, do = f"numbers up to --steps {args.steps}", "raise --steps, or leave it out"
        raise InputError("--report-steps", expected, max(given), do)
    return sorted({*given, args.steps})


def run(
    study: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
    goes_on: Collection[str] = (),
) -> int:
    """Calls study(args), where args.settings are the `Settings` and args.out is where files go.

    They are moved to --out when the study is finished. What the same command finished before is
    said again, and what another one left is not replaced without --overwrite.

    study: the script's work. parser: its options. argv: its arguments (None: the command line's).
    goes_on: ends of names of files in args.out that stay where the same command was killed, for
    the study to go on with. Returns the exit status: 0, or 2 after one line for wrong input.
    """
    try:
        args = parser.parse_args(argv)
        args.settings = settings_of(args)
        args.seed = args.settings.seed
        seeds.check(args)
        out = args.out
        folder = StudyFolder(out, _command(study, args), args.settings.overwrite)
        if folder.printed is not None:
            print("finished already, by the same command; --overwrite makes it again\n")
            print(folder.printed, end="")
            return 0
        with (
            folder.at_work(goes_on) as args.out,
            Heard(sys.stdout) as heard,
            redirect_stdout(heard),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DoubtfulAccuracy)  # `given` says it, once
                study(args)
            print(names_in(heard.text))
            print(f"pictures and tables in {out}")
            folder.finish(heard.text)
    except (InputError, OSError) as error:
        words = error.flags if isinstance(error, InputError) else error
        print(f"error: {words}", file=sys.stderr)
        return 2
    return 0


def _command(
    study: Callable[[argparse.Namespace], None], args: argparse.Namespace
) -> dict[str, Any]:
    """All that decides what a study finds, for `StudyFolder`."""
    file = study.__code__.co_filename
    options = {name: value for name, value in vars(args).items() if name not in NOT_KEPT}
    return {
        "options": {"study": Path(file).stem, **options},
        "read": stamps(args.settings, file),
        "versions": {**versions(), "sources": hash_of_sources()[:16]},
    }


class Heard(io.TextIOBase):
    """A stream that passes on what is written to it, and keeps it as `text`. stream: where to."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.kept: list[str] = []

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self.kept)

    def write(self, text: str) -> int:
        """As streams have it."""
        self.kept.append(text)
        return self.stream.write(text)

    def flush(self) -> None:
        """As streams have it."""
        self.stream.flush()


def settings_of(args: argparse.Namespace) -> Settings:
    """The Settings of the options that scripts share with a run. args: of `options`."""
    known = {f.name for f in fields(Settings) if option_in(f).group in SHARED} | set(BESIDE)
    shared = {name: value for name, value in vars(args).items() if name in known}
    return Settings(**given_values(argparse.Namespace(**shared)))


def given(args: argparse.Namespace) -> tuple[Graph, Images, NDArray[np.float32]]:
    """(graph, labelled images, the ANN's logits [N, classes]) by the functions of `eventsnn.run`.

    What a run warns of is said on standard error: pixels that do not fit, a preprocessing that fits
    better, an ANN near chance or far below what its file says.

    args: those of `options`. Raises InputError for files that cannot be read, images that do not
    fit the network, and images without labels.
    """
    graph, images, notes = load_inputs(args.settings)
    for note in notes:
        print(f"note: {in_flags(note)}", file=sys.stderr)
    if images.labels is None:
        where = f"--data {args.settings.data or images.name}"
        raise InputError(where, "images with labels", "none", "give --data that has labels")
    better = preprocessing_doubt(graph, images, args.settings, sys.stderr.isatty())
    logits = ann.by_neuron(ann.logits(graph, images.pixels))
    doubt = doubt_of(graph, ann.classes_of(logits), images.labels)
    for warning in filter(None, (better, doubt)):
        print(f"warning: {in_flags(warning)}", file=sys.stderr)
    return graph, images, logits


def network_of(args: argparse.Namespace, graph: Graph, images: Images, **changes: Any) -> Network:
    """The spiking network, converted and calibrated as `eventsnn.run` does it.

    args: those of `options`. graph: the ANN. images: those to classify. changes: fields of Settings
    that the study decides, as thresholds="dni"; options that such a rule does not use are those it
    would have by default. Raises InputError where the network has no spiking form, and where
    calibration images are needed and missing, or are those to classify.
    """
    settings = with_changes(args.settings, changes)
    thresholds = read_given(settings.thresholds_file)
    pixels, _, _ = calibration_pixels(graph, images, settings, thresholds)
    return converted(graph, pixels, settings, thresholds)


def with_changes(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Settings with other values; options that a changed rule does not use are as by default.

    settings: of a run. changes: name of a field -> its value.
    """
    if "thresholds" in changes:
        used = RULES.find(changes["thresholds"], "--thresholds").uses
        unused = {f.name: f.default for f in fields(Settings) if f.name in CHOSEN}
        changes = {name: x for name, x in unused.items() if name not in used} | dict(changes)
    return replace(settings, **changes)


def title(graph: Graph, *words: str) -> str:
    """A picture's title: the architecture of a graph, and `words` behind it, between commas."""
    return ", ".join([graph.meta.get("arch", "network"), *words])


def whole_numbers(words: str, option: str) -> list[int]:
    """The numbers, from 1, of an option such as --members 1,2,4.

    words: what was given. option: its name, for the message. Raises InputError for anything else.
    """
    if not all(word.isdecimal() and int(word) for word in words.split(",")):
        raise InputError(
            option,
            "whole numbers from 1, separated by commas",
            repr(words),
            f"for example {option} 1,4",
        )
    return [int(word) for word in words.split(",")]


def accuracy(runs: Runs, step: int, seed: int = 0) -> Row:
    """The share of hits with its 95 % interval: {"images", "accuracy", "low", "high"}.

    The interval of one run is Wilson's, that of several seeds a bootstrap's. runs: with labels.
    step: after how many steps. seed: of the bootstrap.
    """
    return share_of_hits(hits(runs, step), seed)


def share_of_hits(right: NDArray[np.bool_], seed: int = 0) -> Row:
    """As `accuracy`. right: which images are right, bool [N], or [seeds, N]. seed: as there."""
    images = right.shape[-1]
    if right.ndim == 1:
        count = int(right.sum())
        return dict(zip(("images", *SHARE), (images, count / images, *wilson(count, images))))
    return {"images": images} | dict(zip(SHARE, bootstrap(1.0 * right, seed=seed)[:3]))


def by_step(runs: Runs, steps: Iterable[int], seed: int = 0) -> list[Row]:
    """One row for each T of `steps`: accuracy, and spikes and operations per image.

    The two means have bootstrap intervals, "spikes low" and so on. Spikes and operations of SRP's
    first stage are among them. "conditions" are the result's.

    runs: with labels. steps: the numbers T. seed: of the bootstrap.
    """
    steps = list(steps)
    columns: dict[tuple[str, int], list[NDArray[Any]]] = {}
    for result in _each(runs):
        before = np.zeros((len(result), 2))
        if result.batch.stage_one is not None:
            before = result.batch.stage_one.sum(axis=2)
        for t in steps:
            spikes = result.spikes[:, :, :t].sum(axis=(1, 2)) + before[:, 0]
            operations = result.operations[:, :, :t].sum(axis=(1, 2)) + before[:, 1]
            columns.setdefault(("spikes", t), []).append(spikes)
            columns.setdefault(("operations", t), []).append(operations)
    found = bootstraps(columns, seed=seed)
    rows = []
    for t in steps:
        row = {"T": t, **accuracy(runs, t, seed)}
        for name in ("spikes", "operations"):
            row[name], row[f"{name} low"], row[f"{name} high"] = found[name, t][:3]
        rows.append({**row, "conditions": result.conditions})
    return rows


def _each(runs: Runs) -> Sequence[Result]:
    """The runs, one or more."""
    return runs if isinstance(runs, Sequence) else [runs]


def hits(runs: Runs, step: int | None = None) -> NDArray[np.bool_]:
    """Which images are classified as labelled, bool [N]; of several seeds [seeds, N].

    runs: with labels. step: after how many steps (None: all). Raises InputError without labels.
    """
    found = []
    for result in _each(runs):
        if result.labels is None:
            raise InputError("hits", "images with labels", "none")
        found.append(result.predictions(step) == result.labels)
    return np.stack(found) if len(found) > 1 else found[0]


def paired(
    rows: Sequence[Row],
    right: Mapping[Any, NDArray[np.bool_]],
    key: Callable[[Row], Any],
    reference: Callable[[Any], Any],
) -> None:
    """Adds to rows how they compare with their reference, image by image: one Holm family.

    The columns are "gained", images that this way alone has right, "lost", those that the reference
    alone has right, "p" and "p Holm"; None in rows that are their own reference or have no hits.

    rows: of a table. right: name -> hits, bool [N]. key: row -> its name there. reference: name ->
    that of the way it is compared with.
    """
    names = {key(row) for row in rows} & right.keys()
    pairs = {}
    for name in sorted(names, key=str):
        other = reference(name)
        if name != other and other in right:
            pairs[name] = (right[name], right[other])
    found = compare(pairs)
    for row in rows:
        its = found.get(key(row))
        row["gained"] = its.gained if its else None
        row["lost"] = its.lost if its else None
        row["p"] = its.p if its else None
        row["p Holm"] = its.holm if its else None


def squared_errors(
    runs: Runs, steps: Iterable[int], logits: NDArray[Any], seed: int = 0
) -> dict[int, Row]:
    """T -> {"mse", "mse low", "mse high"}: the readout against the ANN's logits, bootstrapped.

    runs: one, or those of several seeds. steps: the numbers T. logits: of `ann.forward.logits`, [N,
    classes]. seed: of the bootstrap.
    """
    columns = {}
    for t in steps:
        columns[t] = [np.square(run.readout(t) - logits).mean(axis=1) for run in _each(runs)]
    found = bootstraps(columns, seed=seed)
    return {t: dict(zip(("mse", "mse low", "mse high"), its[:3])) for t, its in found.items()}
