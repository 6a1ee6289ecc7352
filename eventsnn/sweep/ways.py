"""The ways in which a script of analysis/ runs a network, and the plan that they make."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, NamedTuple

from eventsnn.exceptions import InputError
from eventsnn.files.writing import new_file
from eventsnn.settings import Settings, option_in
from eventsnn.studies import scripts
from eventsnn.sweep import studies
from eventsnn.sweep.plan import BESIDE, INSTEAD

SIZE = 100  # images of a cell of a script's plan
# options of `simulate` that Settings spells in another way
SPELT = {"delays": ("delay", lambda value: value), "barrier": ("free_running", lambda on: not on)}
GROUPS = ("input", "conversion", "simulation", "asynchronous")


class Way(NamedTuple):
    """A way in which a script runs the network, or studies it.

    changes: options of the conversion. options: of `simulate`; of a study, which "study" names,
    also its own. seeds: that it is run with. images: how many, at most (None: all).
    """

    changes: dict[str, Any]
    options: dict[str, Any]
    seeds: Sequence[int]
    images: int | None = None


Ways = Callable[[argparse.Namespace], Iterable[Way] | dict[str, Way]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds --from and --plan. parser: of a script, as `scripts.options` made it."""
    words = "read what would be simulated from this store of `eventsnn sweep`"
    parser.add_argument("--from", dest="store", metavar="STORE", help=words)
    words = "write the plan of such a store to a file, and do nothing else"
    parser.add_argument("--plan", metavar="FILE", help=words)


def run(
    study: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    ways: Ways,
    argv: Sequence[str] | None = None,
    *,
    size: int = SIZE,
    goes_on: Collection[str] = (),
) -> int:
    """As `scripts.run`, but with --plan FILE the script's plan is written, and nothing is run.

    study, parser, argv, goes_on, and what is returned: as there. ways: function of the options,
    which returns what the study runs. size: images of a cell of the plan.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "--plan" not in argv:
        return scripts.run(study, parser, argv, goes_on)
    try:
        args = parser.parse_args(argv)
        args.settings = scripts.settings_of(args)
        args.seed = args.settings.seed
        its = ways(args)
        text = toml_of(args.settings, its.values() if isinstance(its, dict) else its, size)
        with new_file(args.plan) as file:
            file.write(text.encode())
    except InputError as error:
        print(f"error: {error.flags}", file=sys.stderr)
        return 2
    print(f"plan in {args.plan}; run it with eventsnn sweep, then give --from STORE")
    return 0


def options_of(settings: Settings, way: Way, seed: int) -> dict[str, Any]:
    """The options of one run of a way, those that are not what they are by default.

    settings: of the script. seed: one of the way's. Raises InputError for options that do not go
    together.
    """
    changed = scripts.with_changes(settings, way.changes)
    given = {}
    kept = {}
    for name, value in way.options.items():
        if name in studies.FIELDS:
            if value != studies.FIELDS[name].default:
                kept[name] = value
            continue
        spelt, made = SPELT.get(name, (name, lambda value: value))
        given[spelt] = made(value)
    found = replace(changed, **given, seed=seed)
    for f in fields_of(Settings):
        value = getattr(found, f.name)
        known = option_in(f)
        told = known.group in GROUPS and known.group not in BESIDE and f.name not in INSTEAD
        if told and value != f.default:
            kept[f.name] = value
    return kept


def toml_of(settings: Settings, ways: Iterable[Way], size: int = SIZE) -> str:
    """A script's plan as TOML. settings: of the script. ways: that it runs. size: of a cell."""
    points: dict[int | None, list[dict[str, Any]]] = {}
    for way in ways:
        given = [count for count in (settings.limit, way.images) if count is not None]
        its = points.setdefault(min(given, default=None), [])
        its += [options_of(settings, way, seed) for seed in way.seeds]
    every = [point for its in points.values() for point in its]
    shared = {
        name: value
        for name, value in every[0].items()
        if all(json.dumps(point.get(name)) == json.dumps(value) for point in every)
    }
    lines = ["[options]", *(f"{name} = {_toml(value)}" for name, value in shared.items())]
    # the most images are those of the plan, and a table of [[also]] has fewer
    first, *others = sorted(points, key=lambda count: (count is not None, -(count or 0)))
    for count in (first, *others):
        of = "" if count == first else "also."
        lines += [] if count == first else ["", "[[also]]"]
        lines += ["", f"[{of}images]"]
        lines += [f"size = {size}"] if count == first else []
        lines += [] if count is None else [f"count = {count}"]
        for point in points[count]:
            own = {name: value for name, value in point.items() if name not in shared}
            lines += ["", f"[[{of}points]]"]
            lines += [f"{name} = {_toml(value)}" for name, value in own.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
