"""A plan with its networks and images: the groups of its store, their runs and their cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eventsnn.exceptions import InputError
from eventsnn.network.presets import preset
from eventsnn.settings import Settings
from eventsnn.sweep import cells, studies
from eventsnn.sweep.cells import ANN, Cell, Options
from eventsnn.sweep.plan import FIELDS, Plan, Run, Span
from eventsnn.sweep.sources import CONVERSION, SOURCE, Source, source_key

CHECKED = 256  # combinations that are checked before anything runs, spread over the plan
# what decides which layers there are
STRUCTURE = ("max_pooling", "residual", "readout")


@dataclass(eq=False)
class Group:
    """The runs of one network on its images, which have layers and classes in common.

    name: in the store. source: the network and images. first, size: the position of the first
    image, and images of a cell. parts: (first, count, digest) by (first, count). spans: the key of
    a run -> its (first, count) of each cell. rows: key of a run -> its options. study: the name of
    the study that its cells hold, or "".
    """

    name: str
    key: str
    source: Source
    first: int
    size: int
    study: str = ""
    parts: dict[tuple[int, int], tuple[int, int, str]] = field(default_factory=dict)
    counts: dict[tuple[int, int | None], tuple[tuple[int, int], ...]] = field(default_factory=dict)
    rows: dict[str, tuple[Options, tuple[tuple[int, int], ...]]] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The ANN's hash."""
        return self.source.graph.hash

    @property
    def steps(self) -> int:
        """The largest T of its runs."""
        return max(int(options.get("steps", Settings.steps)) for options, _ in self.rows.values())

    @property
    def count(self) -> int:
        """How many images there are from `first` on, at least."""
        return max(first + count for first, count in self.parts) - self.first

    def cells(self) -> Iterator[Cell]:
        """All cells: the ANN's, then those of one run after the other."""
        whole: dict[int, int] = {}
        for first, count in self.parts:
            whole[first] = max(count, whole.get(first, 0))
        for key in sorted(whole.items()):
            part = self.parts[key]
            yield cells.cell_of(self.name, ANN, part, self.network, self.options, of=self.key)
        for row, (options, spans) in self.rows.items():
            for span in spans:
                yield cells.cell_of(self.name, row, self.parts[span], self.network, options)

    @property
    def options(self) -> Options:
        """What names the network and its images, of some run."""
        options, _ = next(iter(self.rows.values()))
        named = {name: value for name, value in options.items() if name in SOURCE}
        if options.get("encoding") == "events":
            return options
        return named

    def cut(self, span: Span, where: str) -> tuple[tuple[int, int], ...]:
        """The (first, count) of each cell of a run; their images are read if they are new.

        span: the run's images. where: the plan, for messages. Raises InputError where they do not
        fit the group's cells.
        """
        asked = (span.first, span.count)
        if asked in self.counts:
            return self.counts[asked]
        if span.size != self.size:
            found = f"{span.size} and {self.size} for {self.name}"
            raise InputError(f"{where}: images", "one size for a network", found)
        if (span.first - self.first) % self.size or span.first < self.first:
            expected = f"first at a multiple of {self.size} from {self.first} on, for {self.name}"
            raise InputError(f"{where}: images", expected, span.first)
        cut: list[tuple[int, int]] = []
        for part in self.source.parts(span.first, span.count, span.size):
            here = (part.first, len(part.images))
            self.parts[here] = (*here, part.digest)
            cut.append(here)
        self.counts[asked] = tuple(cut)
        return self.counts[asked]


class Planned:
    """A plan whose networks and images were read.

    plan: what to run. where: the plan, for messages. Raises InputError for what cannot be read, for
    a plan without runs, and for options that do not go together, as far as they are tried.

    Attributes: groups: name -> Group. own_digests: what `cells.own_digest` found.
    """

    def __init__(self, plan: Plan, where: str = "plan") -> None:
        self.plan = plan
        self.where = where
        self.groups: dict[str, Group] = {}
        self._groups: dict[str, Group] = {}
        self._sources: dict[str, Source] = {}
        self._found: dict[str, tuple[str, ...]] = {}
        self.own_digests: dict[str, str] = {}
        self._checked: set[str] = set()
        self._check()
        for run in plan.runs():
            self._add(run)
        if not self.groups:
            raise InputError(where, "one run or more", "none", "look at its conditions")

    def __repr__(self) -> str:
        runs = sum(len(group.rows) for group in self.groups.values())
        return f"<Planned: {runs:,} runs of {len(self.groups)} networks>"

    def cells(self) -> Iterator[Cell]:
        """All cells, group by group."""
        for group in self.groups.values():
            yield from group.cells()

    def __len__(self) -> int:
        found = 0
        for group in self.groups.values():
            found += len({first for first, _ in group.parts})
            found += sum(len(spans) for _, spans in group.rows.values())
        return found

    def _check(self) -> None:
        """Raises InputError for options that do not go together.

        What an axis has is tried once at least; combinations beyond CHECKED fail when they run.
        """
        seen: set[str] = set()
        tried: set[str] = set()
        for run in self.plan.runs():
            words = {f"{name}={value!r}" for name, value in run.options.items() if name != "seed"}
            key = "; ".join(sorted(words))
            if key not in tried and (len(tried) < CHECKED or not words <= seen):
                self._settings(run.options)
                tried.add(key)
                seen |= words

    def _settings(self, options: Options) -> Settings:
        """Settings of options. Raises InputError, which names the plan, where they fit not."""
        try:
            return studies.settings_of(options)
        except InputError as error:
            place = f"{self.where}: {error.where}"
            raise InputError(place, error.expected, error.found, error.do) from None

    def _add(self, run: Run) -> None:
        """Adds a run to its group."""
        options = {k: v for k, v in run.options.items() if v != FIELDS[k].default}
        group = self._group(options, run.span)
        more = self._inputs(group, options)
        row = cells.row_of(options, group.network, *more)
        spans = group.cut(run.span, self.where)
        if row in group.rows:
            longest: dict[int, int] = {}
            for first, count in (*spans, *group.rows[row][1]):
                longest[first] = max(count, longest.get(first, 0))
            spans = tuple(sorted(longest.items()))
        group.rows[row] = (options, spans)

    def _group(self, options: Options, span: Span) -> Group:
        key = source_key(options)
        chosen = preset(options.get("compat")).convert
        structure = [chosen.get(name, options.get(name)) for name in STRUCTURE]
        whole = json.dumps([key, structure])
        study = studies.study_of(options)
        if study is not None:
            sizes = {name: options.get(name) for name in study.sized}
            whole = json.dumps([key, structure, options["study"], sizes])
        if whole not in self._groups:
            if key not in self._sources:
                self._sources[key] = Source(self._settings(options))
            name = self._name(options)
            its = (span.first, span.size, str(options.get("study", "")))
            group = Group(name, whole, self._sources[key], *its)
            self._groups[whole] = self.groups[name] = group
        return self._groups[whole]

    def _name(self, options: Options) -> str:
        stem = Path(str(options.get("net", Settings.net))).stem
        name = re.sub(r"[^-.0-9A-Za-z_]", "_", stem)[:60].strip(".") or "network"
        name += f"-{options['study']}" if options.get("study") else ""
        names = [name, *(f"{name}-{number}" for number in range(2, len(self.groups) + 3))]
        return next(name for name in names if name not in self.groups)

    def _inputs(self, group: Group, options: Options) -> tuple[str, ...]:
        """Hashes of what a run reads beside network and images."""
        decided = [options.get(name) for name in (*CONVERSION, "calibrate")]
        key = json.dumps([group.key, decided])
        if key not in self._found:
            settings = self._settings(options)
            self._found[key] = group.source.beside(settings, group.first)
        return (*self._found[key], cells.own_digest(options, self.own_digests))
