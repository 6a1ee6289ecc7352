"""A run's results folder, opened again."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked, named_fields
from eventsnn.exceptions import InputError, one_line
from eventsnn.files.reading import check_storage, child, open_hdf5, plain
from eventsnn.runs.checks import check_run
from eventsnn.runs.folder import TRACE
from eventsnn.runs.provenance import FORMAT
from eventsnn.simulation.renamed import summary_now
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import Trace
from eventsnn.views.tables import html_page, optional

if TYPE_CHECKING:  # what draws is imported where it is used
    from matplotlib.figure import Figure

MOST = 10**8  # bytes of summary.json, or of a table
DO = "give the folder that a run left (--out)"
TEXT = ("layer", "activation", "shape")  # columns whose cells are no numbers
COUNTS = (
    "spikes",
    "operations",
    "spikes_per_image",
    "operations_per_image",
    "ties",
    "t_eq",
    "stage_one",
)

Row = dict[str, Any]


@named_fields
@dataclass(frozen=True, repr=False, eq=False)
class Results:
    """What a run left in its folder, to read. `open_results` makes it; nothing is written.

    folder: where it is. summary: summary.json. layers, accuracy: the rows of layers.csv and
    accuracy.csv, by column; None where a cell is empty. traces: each traced image's number in its
    data set -> its file.
    """

    folder: Path
    summary: dict[str, Any]
    layers: list[Row]
    accuracy: list[Row]
    traces: dict[int, Path]

    @property
    def settings(self) -> dict[str, Any]:
        """The run's options that can change its outcome, by name."""
        return dict(self.summary["settings"])

    @property
    def names(self) -> list[str]:
        """The layers' names, the readout's last."""
        return [row["layer"] for row in self.layers]

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Name -> array of what run.h5 counted, in all images together unless its name says more.

        spikes, operations: int64 [layer, step]. spikes_per_image, operations_per_image: int64
        [image, layer]. ties: int64 [layer]. t_eq: int64 [image]. stage_one: int64 [2, layer], of
        SRP's first stage. Those that the run did not keep are not there. Raises InputError where
        run.h5 cannot be read.
        """
        return {name: self.read(name) for name in COUNTS if name in self.contents()}

    @property
    def cores(self) -> dict[str, NDArray[np.int64]]:
        """Name -> array of what the cores did under order "cores"; {} under another.

        busy, longest_queue, undelivered: int64 [image, layer], ticks, events and events. ended:
        int64 [image], ticks. Of an output of classes also latency: int64 [image], ticks, and
        changes: int64 [change, 3], image, tick and class, each time when the class changed. Raises
        InputError as `counts` does.
        """
        of = "cores/"
        names = [name for name in self.contents() if name.startswith(of)]
        return {name.removeprefix(of): self.read(name) for name in names}

    @property
    def digests(self) -> NDArray[np.uint64] | None:
        """Hashes of the spikes, uint64 [image, layer, step] (semantics, section 17).

        None where the run has none: an earlier version wrote it, or an engine that does not tell
        them ran. Raises InputError as `counts` does.
        """
        found = self.read("digests") if "digests" in self.contents() else None
        return None if found is None or found.ndim != 3 else found

    def contents(self) -> dict[str, str]:
        """Name -> what it is, of every array in run.h5. Raises InputError as `counts` does."""
        found: dict[str, str] = {}

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
                words = [str(plain(item, key) or "") for key in ("description", "unit")]
                found[name] = f"{words[0]} ({words[1]})"

        with self._run() as file:
            file["/"].visititems(note)
        return found

    @checked
    def read(self, name: str) -> NDArray[Any]:
        """An array of run.h5, such as "readout", "digests" or "images/label".

        name: one of `contents`. Raises InputError for another, and where run.h5 cannot be read.
        """
        known = self.contents()
        if name not in known:
            raise InputError(f"{self._file}: name", f"one of {', '.join(known)}", repr(name))
        with self._run() as file:
            item: Any = file
            for part in name.split("/"):
                item = child(item, part)
            check_storage(item, f"{self._file}: {name}")
            return np.asarray(item[()])

    @checked
    def trace(self, image: int | None = None, simulation: Simulation | None = None) -> Trace:
        """The `Trace` of an image.

        image: its number in its data set, a key of `traces` (None: the first of them). simulation:
        the network with the run's settings, for what needs it (None: spikes, names and times
        only). Raises InputError for an image without a trace, and what `read_trace` raises.
        """
        if not self.traces:
            do = "run with --engine event --trace spikes"
            raise InputError(f"{self.folder}: image", "a run that kept its spikes", "none", do)
        number = min(self.traces) if image is None else image
        if number not in self.traces:
            expected = f"one of {', '.join(map(str, sorted(self.traces)))}"
            raise InputError(f"{self.folder}: image", expected, repr(image), "see its traces")
        return read_trace(self.traces[number], simulation)

    def to_pandas(self) -> tuple[Any, Any]:
        """(layers, accuracy) as DataFrames, a row a layer and a row a T; needs pandas."""
        pandas = optional("pandas")
        layers = pandas.DataFrame(self.layers).set_index("layer")
        return layers, pandas.DataFrame(self.accuracy).set_index("T")

    def plot(self) -> Figure:
        """Accuracy over T, where there are labels, and the rates by layer; a matplotlib Figure."""
        from eventsnn.views.plots import result_figure

        labelled = self.accuracy[-1].get("accuracy") is not None
        rows = self.accuracy if labelled else []
        title = f"{self.folder.name}, {self.summary['images']:,} images"
        return result_figure(rows, self.layers[:-1], title, self.summary.get("conditions", ""))

    @property
    def _file(self) -> Path:
        return self.folder / "run.h5"

    def _run(self) -> Any:
        """run.h5, open inside a block."""
        if not self._file.is_file():
            raise InputError(self._file, "a run's numbers", "nothing of that name", DO)
        return open_hdf5(self._file, "a run's numbers")

    def __repr__(self) -> str:
        data = self.summary.get("data")
        of = f" of {data['name']}" if isinstance(data, dict) and "name" in data else ""
        last = self.accuracy[-1]
        right = last.get("accuracy")
        accuracy = "" if right is None else f", accuracy {right:.2%}"
        count = len(self.traces)
        traces = f"; {count} trace{'s' * (count > 1)}" if count else ""
        # runs of earlier versions do not say theirs
        decided = self.summary.get("conditions", f"T = {last['T']}")
        words = (
            f"Results {self.folder}: {self.summary['images']:,} images{of}{accuracy}, "
            f"{last['spikes_per_image']:,.0f} spikes an image; {decided}{traces}"
        )
        return f"<{one_line(words, 1000)}>"

    def _repr_html_(self) -> str:
        return html_page(self, self.accuracy)


@checked
def open_results(folder: str | os.PathLike[str]) -> Results:
    """The `Results` that a run left: its summary, tables, counts and traces.

    folder: the run's results folder. Raises InputError for a folder that is none, or is damaged;
    run.h5 is checked now, a trace when it is read.
    """
    if not os.fspath(folder):  # which Path takes for the folder of the process
        raise InputError("run", "a results folder", "an empty name", DO)
    path = Path(folder)
    if not (path / "summary.json").is_file():
        whole = path.resolve() if path.is_dir() else path.absolute()  # "." has no name
        partial = whole.parent / f"{whole.name}.partial"
        found, do = "a file" if path.exists() else "nothing of that name", DO
        if path.is_dir():
            found = "no summary.json"
        if (path / "identity.json").exists() or partial.exists():
            found, do = "a run that is not finished", "give the run's command again, and it goes on"
        raise InputError(path, "a results folder", found, do)
    try:
        summary = json.loads(_text(path / "summary.json"))
        if not isinstance(summary, dict) or not isinstance(summary.get("settings"), dict):
            raise ValueError("no settings in summary.json")
        written = summary.get("format", 1)
        if written not in (1, FORMAT):
            raise ValueError(f"format {written!r} in summary.json, of another release")
        if written < FORMAT:
            summary = summary_now(summary)
        for key, value in (
            ("images", summary.get("images")),
            ("steps", summary["settings"].get("steps")),
        ):
            if type(value) is not int or value < 1:
                raise ValueError(f"no number of {key} in summary.json")
        layers = _rows(path / "layers.csv", ("layer",))
        accuracy = _rows(path / "accuracy.csv", ("T", "spikes_per_image"))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        words = error.strerror if isinstance(error, OSError) else error
        do = "it is damaged or another program's: run again"
        raise InputError(path, "a whole results folder", words or error, do) from None
    names = [name for name in os.listdir(path) if re.fullmatch(TRACE, name)]
    traces = {int(name.removeprefix("trace-").removesuffix(".h5")): path / name for name in names}
    results = Results(path, summary, layers, accuracy, dict(sorted(traces.items())))
    with results._run() as file:
        check_run(results._file, file, summary, layers)
    return results


def _text(path: Path) -> str:
    """What is in a text file. Raises OSError or ValueError where it cannot be read."""
    size = path.stat().st_size
    if size > MOST:
        raise ValueError(f"{path.name} of {size:,} bytes")
    return path.read_text("utf-8")


def _rows(path: Path, needed: tuple[str, ...]) -> list[Row]:
    """A table's rows, with numbers for cells. needed: columns without which it is none."""
    lines = _text(path).splitlines()
    rows = [{key: _cell(key, text) for key, text in row.items()} for row in csv.DictReader(lines)]
    if not rows or not all(row.get(key) is not None for row in rows for key in needed):
        raise ValueError(f"no {' or '.join(needed)} in {path.name}")
    return rows


def _cell(column: str, text: Any) -> Any:
    """A cell's value: a number, text, or None where it is empty."""
    if not isinstance(text, str) or column in TEXT:
        return text
    if not text:
        return None
    number = float(text)
    plain = re.fullmatch(r"-?\d+", text, re.ASCII)
    return int(text) if plain and math.isfinite(number) else number
