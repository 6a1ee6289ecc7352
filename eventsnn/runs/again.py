"""A results folder's run once more: its simulation and images, to ask it what it did not keep."""

from __future__ import annotations

import os
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.called import called
from eventsnn.data.images import Images
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError, named
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import calibration_pixels, converted, load_inputs
from eventsnn.inputs.recorded import EventImages
from eventsnn.option_texts import read_settings
from eventsnn.runs.pipeline import prepare
from eventsnn.runs.provenance import digest
from eventsnn.runs.results import Results, open_results
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.stored import open_trace
from eventsnn.trace.trace import Trace
from eventsnn.values import shown

FILES = ("net", "arch", "data", "thresholds")  # options that may name files


class Again(NamedTuple):
    """A run once more.

    results: what it left. settings: its own. simulation: its network with these. images: its own.
    """

    results: Results
    settings: Settings
    simulation: Simulation
    images: Images

    def place(self, image: int) -> int:
        """An image's place in the run. image: its number in the data set.

        Raises InputError for one that the run did not have.
        """
        numbers = self.images.indices
        found = np.flatnonzero(numbers == image)
        if not len(found):
            expected = f"one of the run's, {numbers[0]} to {numbers[-1]}"
            raise InputError(f"{self.results.folder}: image", expected, image)
        return int(found[0])

    def raw(self, place: int) -> NDArray[Any]:
        """An image as the simulation takes it: raw pixels, or input events. place: of `place`."""
        given: Any = self.images.pixels
        if isinstance(self.images, EventImages):
            given = self.images.events
        return given[place]

    def trace(self, image: int) -> Trace:
        """The trace of an image. image: its number in the data set.

        Raises InputError for an image that the run did not have, and where it kept no trace of it;
        then the message has the command that makes one.
        """
        self._check_traced(image)
        return self.results.trace(image, self.simulation)

    def stored_trace(self, image: int) -> Trace:
        """`trace`, of which only what is asked for is read. image, and what is raised: as there."""
        self._check_traced(image)
        return open_trace(self.results.traces[image], self.simulation)

    def _check_traced(self, image: int) -> None:
        """Raises InputError for an image that has no trace."""
        place = self.place(image)
        if image in self.results.traces:
            return
        folder = self.results.folder
        where = f"{folder}: the trace of image {image}"
        do = f"make it: {called(tracing(self, place))}"
        raise InputError(where, f"trace-{image}.h5", "none", do)


def tracing(run: Again, place: int) -> str:
    """The command behind `eventsnn` that keeps the trace of an image. place: its place in the run.

    A run of the clocked engine becomes one of the event engine in order `clocked`: the same spikes.
    """
    folder = run.results.folder
    engine = run.settings.engine
    order = "" if engine == "event" else " --engine event --order clocked"
    images = f" --trace-images {place + 1}" if place else ""
    summary, out = quote(str(folder / "summary.json")), quote(f"{folder}-traced")
    return f"run --settings {summary}{order} --trace spikes{images} --out {out}"


def again(run: Any) -> Again:
    """A results folder's run once more.

    run: its path, or its `Results`. Its plug-ins are not loaded, since a folder may be anyone's:
    what they register has to be there. Raises InputError for what is neither, for a folder that is
    none, and where the network or the images are no longer what they were.
    """
    if not isinstance(run, (str, os.PathLike, Results)):
        raise InputError("run", "a Result, a results folder or Results", shown(run))
    results = run if isinstance(run, Results) else open_results(run)
    folder = results.folder
    summary = results.summary
    settings = _settings_of(results)
    given = read_given(settings.thresholds_file)
    graph, images, _ = load_inputs(settings)
    for what, path, now in (
        ("network", settings.net, graph.hash),
        ("data", settings.data or "the network's own images", digest(images)),
    ):
        if (summary.get(what) or {}).get("sha256") != now:
            do = "put it back, or run again"
            raise InputError(path, f"the {what} that {folder} was made from", "another", do)
    pixels = range_of(graph, images, settings.pixel_range or None)
    calibration, _, _ = calibration_pixels(graph, images, settings, given)
    network = converted(graph, calibration, settings, given)
    return Again(results, settings, prepare(network, pixels, settings, images), images)


def _settings_of(results: Results) -> Settings:
    """A run's settings, without its plug-ins."""
    values = _in_place(read_settings(str(results.folder / "summary.json")), results.summary)
    plugin = values.pop("plugin", None)
    try:
        return Settings(**values)
    except InputError as error:
        if plugin is None:
            raise
        do = f"the run had {named('plugin', plugin)}: give it beside the folder, if you trust it"
        raise InputError(error.where, error.expected, error.found, do) from None


def _in_place(values: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """A run's options with the absolute paths of the files that it read, as far as they are there.

    So a run is found again from another folder than it was started in.
    """
    left = summary.get("left_by")
    read = left.get("read") if isinstance(left, dict) else None
    for name in FILES if isinstance(read, dict) else ():
        given = values.get(name)
        if isinstance(given, str) and given not in ("", "sample"):  # which is no path
            end = os.sep + os.path.normpath(given).removeprefix(os.sep)
            found = [path for path in read or () if path.endswith(end) and os.path.exists(path)]
            if len(found) == 1:
                values[name] = found[0]
    return values
