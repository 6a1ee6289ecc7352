"""A network and its images as the cells of a sweep take them: loaded once, read in windows."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import calibration_pixels, load_graph, load_part
from eventsnn.inputs.recorded import of_events
from eventsnn.inputs.without import data_of
from eventsnn.network.rules import uses_steps
from eventsnn.runs.provenance import digest
from eventsnn.settings import Settings, option_in

WINDOW = 2**26  # bytes of pixels that are read at a time
# what decides the network and its images
SOURCE = tuple(
    f.name for f in fields(Settings) if option_in(f).group == "input" and f.name != "limit"
)
# what decides recordings as images, beside these
OF_EVENTS = ("encoding", "time_scale", "polarity", "sensor", "steps", "ticks")
CONVERSION = tuple(f.name for f in fields(Settings) if option_in(f).group == "conversion")


def source_key(options: Mapping[str, Any]) -> str:
    """Text, equal for runs of the same network and images. options: of a run."""
    names = SOURCE + (OF_EVENTS if options.get("encoding") == "events" else ())
    return _text(options, names)


def conversion_key(options: Mapping[str, Any]) -> str:
    """Text, equal for runs of one converted network. options: of a run."""
    steps = ("steps",) if uses_steps(options.get("thresholds")) else ()
    return source_key(options) + _text(options, (*CONVERSION, "seed", "calibrate", *steps))


def _text(options: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return json.dumps([options.get(name) for name in names])


class Part(NamedTuple):
    """Images of a cell. first: the position of the first. images: as the network takes them.

    digest: of their pixels, labels and places, hexadecimal digits.
    """

    first: int
    images: Images
    digest: str


class Source:
    """A network and its images.

    settings: of a run. Raises InputError for what cannot be read, and where there are no images
    but random ones.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.graph: Graph = load_graph(settings)
        data, _ = data_of(self.graph, settings)
        if data is None:
            do = "give data, a path, among the options"
            raise InputError("data", "images for a sweep", "none", do)
        self._window: Images | None = None
        self._ended = False
        self._all = ""

    def __repr__(self) -> str:
        return f"<Source {self.settings.net}, {self.settings.data}>"

    @property
    def whole(self) -> bool:
        """Whether all images have to be there at once: those of events, whose number decides F."""
        return of_events(self.settings)

    def parts(self, first: int, count: int | None, size: int) -> Iterator[Part]:
        """The images in parts, one after the other, each with its digest.

        first: the position of the first. count: how many (None: to the end). size: of a part.
        Raises InputError where there are less.
        """
        place = first
        end = math.inf if count is None else first + count
        while place < end:
            found = self.part(place, int(min(size, end - place)), size)
            if found is None:
                if count is None and place > first:
                    return
                expected = f"images up to {'the first' if count is None else first + count:}"
                self._too_few(expected, place)
            assert found is not None
            got = len(found.images)
            if count is not None and got < min(size, end - place):
                self._too_few(f"{first + count:,} images", place + got)
            yield found
            place += got
            if got < size:
                return

    def _too_few(self, expected: str, found: int) -> None:
        where = f"data {self.settings.data or self.settings.net}"
        raise InputError(where, expected, f"{found:,}", "choose a smaller count under images")

    def part(self, first: int, count: int, size: int | None = None) -> Part | None:
        """Some images; None where there is none at `first`.

        first: the position of the first. count: how many at most. size: of the parts that are asked
        for after it (None: count).
        """
        window = self._window
        if window is None or not self._holds(window, first, count):
            window = self._window = self._read(first, count, size or count)
            if window is None:
                return None
        begin = first - int(window.indices[0])
        stop = min(begin + count, len(window))
        if not 0 <= begin < stop:
            return None
        images = window if (begin, stop) == (0, len(window)) else window[begin:stop]
        return Part(first, images, self.digest(images))

    def all(self) -> Images:
        """All images, of a source that needs them at once."""
        if self._window is None:
            self._window = self._read(0, 1, 1)
        assert self._window is not None
        return self._window

    def digest(self, images: Images) -> str:
        """A hash of images; of events, of all others, too. images: of a part."""
        found = digest(images)
        if self.whole and self._window is not None:
            self._all = self._all or digest(self._window)
            found = hashlib.sha256((found + self._all).encode()).hexdigest()
        return found

    def _holds(self, window: Images, first: int, count: int) -> bool:
        start, end = int(window.indices[0]), int(window.indices[-1]) + 1
        return self.whole or (start <= first and (first + count <= end or self._ended))

    def _read(self, first: int, count: int, size: int) -> Images | None:
        """A window of images that begins at `first`; all of them where they must be `whole`."""
        if self.whole:
            return load_part(self.graph, self.settings, None)[0]
        each = 4 * math.prod(self.graph.input_shape)
        wanted = max(count, size * max(1, WINDOW // (each * size)))
        try:
            images, _ = load_part(self.graph, self.settings, wanted, first)
        except InputError:
            if first > 0 and len(load_part(self.graph, self.settings, 1, first - 1)[0]) == 1:
                return None  # the one before is the last
            raise
        self._ended = len(images) < wanted
        return images

    def beside(self, settings: Settings, first: int) -> tuple[str, str, str]:
        """Hashes of what a run reads beside network and images, which its key holds.

        settings: of the run. first: the position of its group's first image. Returns those of the
        calibration images, of the file of thresholds, and the range of pixels; "" for none.
        """
        given = read_given(settings.thresholds_file)
        part = self.part(first, 1)
        pixel_range = repr(part.images.pixel_range) if part else ""
        return self.calibration(settings), given.sha256 if given else "", pixel_range

    def calibration(self, settings: Settings) -> str:
        """A hash of the images of calibration, or "" where none are needed.

        settings: of the conversion.
        """
        given = read_given(settings.thresholds_file)
        part = self.part(0, 1)
        if part is None:
            return ""
        pixels, _, needed = calibration_pixels(self.graph, part.images, settings, given)
        if not needed and not settings.calibrate:
            return ""
        found = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
        found.update(np.ascontiguousarray(pixels).data)
        return found.hexdigest()
