"""A results folder as one page of HTML."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eventsnn.arguments import Natural, checked
from eventsnn.exceptions import InputError, one_line
from eventsnn.files.writing import new_file
from eventsnn.pages import classes, overview, provenance, recorded, studied
from eventsnn.pages.markup import Element
from eventsnn.pages.needed import check
from eventsnn.pages.page import Part, page
from eventsnn.runs.again import Again
from eventsnn.runs.folder import REPORT, is_report
from eventsnn.runs.results import Results, open_results
from eventsnn.runs.verified import repeated, same

MOST_STUDIED = 32  # images of a study that nobody asked for
SECONDS = 10  # of the run's simulation that such a study may repeat
NOT_ASKED = "none was asked for"
# a part's name -> the words of the link to it, its heading
TITLES = {
    "summary": ("Summary", "Summary"),
    "time": ("Accuracy", "Accuracy over time"),
    "layers": ("Rates", "Rates by layer"),
    "errors": ("Errors", "Error parts by layer"),
    "cases": ("Cases", "Cases of unevenness by layer"),
    "costs": ("Costs", "Costs"),
    "classes": ("Classes", "Classes and what they are taken for"),
    "changed": ("Changed images", "Images that changed class"),
    "raster": ("Spikes", "Spikes of one image"),
    "neuron": ("Neuron", "One neuron under the microscope"),
    "provenance": ("Provenance", "Provenance"),
    "again": ("Command", "The command that makes this run again"),
}

Inside = list[Element]


@checked
def report(
    run: str | os.PathLike[str] | Results,
    path: str | os.PathLike[str] | None = None,
    images: Natural | None = None,
    progress: bool | None = None,
) -> Path:
    """Writes a run as one page of HTML that needs no network, under 5 MB; returns its path.

    It has the accuracy, rates, costs, confusions and the images that changed class as the run left
    them; each layer's error parts and SRP's cases, studied on some of its images; a raster and a
    neuron where there is a trace; where it all is from, and the command that makes it again. For a
    study the run's network and images are opened, and its readout of these images is computed again
    and compared: what differs is not shown, and the page says why.

    run: the results folder, or what `open_results` made of it. path: the file; None: report.html in
    the folder. An older report is replaced, another file is not. images: how many error parts and
    cases are studied on, the first of the run; 0: none, and no trace is opened; None: 32, or as
    many as the run simulated in ten seconds. progress: whether progress bars are shown, as for
    `simulate`. Raises InputError for a folder that is no finished run or is damaged, for more
    images than the run has, and where the file cannot be written.
    """
    try:
        results = run if isinstance(run, Results) else open_results(run)
        out = Path(path) if path is not None else results.folder / REPORT
        check_place(out)
        check(results)
        text = _Report(results, _count(results, images), progress).page()
        with new_file(out) as file:
            file.write(text.encode())
    except OSError as error:
        where = error.filename or path or run
        do = "check the path, its permissions and its disk"
        expected = "files that can be read and written"
        raise InputError(where, expected, error.strerror or error, do) from None
    return out


def check_place(out: Path) -> None:
    """Raises InputError unless a report can be written to a path. out: of its file."""
    if out.is_dir():
        raise InputError(out, "a file", "a folder", "name a file, such as report.html")
    if not out.parent.is_dir():
        raise InputError(out, "a folder that is there", f"no {out.parent}", "make it first")
    if out.exists() and not is_report(out):
        do = "choose another --out, or move it away"
        raise InputError(out, "an earlier report, or nothing yet", "another file", do)


def _count(results: Results, images: int | None) -> int:
    """How many images are studied."""
    there = int(results.summary["images"])
    if images is not None:
        if images > there:
            do = "ask for fewer"
            raise InputError("⟦images⟧", f"at most the {there:,} of the run", images, do)
        return images
    seconds = max(float(results.summary["seconds_simulation"]), 1e-9)
    return max(1, min(MOST_STUDIED, there, int(SECONDS * there / seconds)))


class _Report:
    """A page in the making. results: checked. count: of images that are studied. progress: as in
    `report`.
    """

    def __init__(self, results: Results, count: int, progress: bool | None) -> None:
        self.results, self.count, self.progress = results, count, progress
        self.made: Again | None = None
        self.why = NOT_ASKED  # there is none
        if count:
            try:
                self.made = same(results)
                repeated(self.made, np.arange(count))
                self.why = ""
            except InputError as error:
                self.made, self.why = None, error.flags

    def page(self) -> str:
        """The text of the page."""
        results, made = self.results, self.made
        summary = results.summary
        network, name = summary["network"], str(summary["data"]["name"])
        many = f"{summary['images']:,} image{'s' * (summary['images'] > 1)}"
        title = f"{network.get('arch', network['file'])}, {many} of {name}"
        decided = summary.get("conditions", f"T = {results.accuracy[-1]['T']}")
        images = made.images if made else None
        names = tuple(images.classes) if images is not None else ()
        if made and not names:
            names = tuple(made.simulation.network.graph.meta.get("classes", ()))
        found = classes.decided(results, names)
        parts = {
            "summary": overview.summary(results),
            "time": overview.over_time(results),
            "layers": overview.layers(results),
            **self._studies(),
            "costs": overview.costs(results),
            "classes": classes.confusion(found),
            "changed": classes.changed(found, results, images, f"no images, since {self.why}"),
            **self._recorded(),
            "provenance": provenance.provenance(results),
            "again": provenance.again(results),
        }
        return page(
            one_line(title),
            [one_line(decided, 1000)],
            [Part(k, *TITLES[k], parts[k]) for k in parts],
        )

    def _studies(self) -> dict[str, Inside]:
        """Error parts and cases, or why there are none."""
        why = self.why
        if self.made:
            try:
                found = studied.study(self.made, self.count, self.progress)
                return {"errors": studied.error_parts(found), "cases": studied.unevenness(found)}
            except InputError as error:
                why = error.flags
        said = recorded.not_there("numbers here", why)
        return {"errors": said, "cases": recorded.not_there("numbers here", why)}

    def _recorded(self) -> dict[str, Inside]:
        """Raster and microscope, or why there are none."""
        results, made = self.results, self.made
        if not results.traces:
            return {"raster": recorded.none_recorded(results)}
        if made is None:
            return {"raster": recorded.not_there("picture here", self.why)}
        try:
            trace = recorded.trace_of(results, made)
        except InputError as error:
            return {"raster": recorded.not_there("picture here", error.flags)}
        return {
            "raster": _or_why(lambda: recorded.spikes(trace, results)),
            "neuron": _or_why(lambda: recorded.neuron(trace, made)),
        }


def _or_why(look: Callable[[], Inside]) -> Inside:
    """What a function finds, or why it does not."""
    try:
        return look()
    except InputError as error:
        return recorded.not_there("picture here", error.flags)
