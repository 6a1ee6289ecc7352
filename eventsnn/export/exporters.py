"""Exporters: what a run leaves for other programs, by name.

An exporter from another package is an entry point of the group `eventsnn.exporters`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.registry import Registry, check_has
from eventsnn.simulation.simulation import Simulation

NEEDS = ("network", "spikes")
HELP = "see help(eventsnn.export.Exporter)"
# names that no exporter may claim: a run's own files, and files that people have
NOT_ITS_OWN = (
    *("summary.json", "layers.csv", "accuracy.csv", "run.h5", "accuracy.png", "rates.png"),
    *("trace-0.h5", "thesis.tex", "notes.txt", "photo.jpg", "__init__.py", "x"),
)


class Exporter(NamedTuple):
    """What writes files for other programs into a run's results folder.

    words: what it leaves, for --help. needs: "network" or "spikes". files: a regular expression for
    the names of all that it leaves, no more: the next run into the folder replaces what it matches.
    write: a function that writes them:

    - of the network: (simulation, folder, options) -> notes, a list of lines for the user. It is
      called once, before anything runs. options: the run's settings, name -> value.
    - of spikes: (trace, folder) -> None. It is called when all has run, once for each trace file,
      trace-<image>.h5, whose path it is given.

    It raises InputError for what it cannot write.
    """

    words: str
    needs: str
    files: str
    write: Callable[..., Sequence[str] | None]

    @property
    def defined_by(self) -> Callable[..., Sequence[str] | None]:
        """The function that tells where this exporter comes from."""
        return self.write


def check_exporter(name: str, thing: Any) -> None:
    """Raises InputError for what cannot be an exporter.

    name: the exporter's. thing: an `Exporter`, or anything with its fields.
    """
    where = f"exporter {name!r}"
    check_has(where, thing, Exporter)
    words = thing.words
    if not isinstance(words, str) or not words or words != one_line(words):
        raise InputError(where, "words that say what it leaves, one line", repr(words), HELP)
    if thing.needs not in NEEDS:
        raise InputError(where, f"needs, one of {', '.join(NEEDS)}", repr(thing.needs), HELP)
    if not callable(thing.write):
        raise InputError(where, "write, a function", repr(thing.write), HELP)
    try:
        files = re.compile(thing.files)
        claimed = [other for other in NOT_ITS_OWN if files.fullmatch(other)]
    except (re.error, TypeError):
        expected = "files, a regular expression of text"
        raise InputError(where, expected, repr(thing.files), HELP) from None
    if claimed:
        found = f"{thing.files!r}, which matches {claimed[0]}"
        raise InputError(where, "files, with names of its own only", found, HELP)


def _write_nir(simulation: Simulation, folder: Path, options: Mapping[str, Any]) -> Sequence[str]:
    from eventsnn.export import nir

    return nir.write(simulation, folder / "network.nir", options.get("nir_for", "generic"))


def _write_sonata(trace: Path, folder: Path) -> None:
    from eventsnn.export import spikes

    spikes.write_sonata(trace, folder / f"{_spikes(trace)}.h5")


def _write_gdf(trace: Path, folder: Path) -> None:
    from eventsnn.export import spikes

    spikes.write_gdf(trace, folder / f"{_spikes(trace)}.gdf")


def _write_perfetto(trace: Path, folder: Path) -> None:
    from eventsnn.export import perfetto

    perfetto.write_perfetto(trace, folder / f"{_spikes(trace)}.perfetto.json")


def _write_nir_data(trace: Path, folder: Path) -> None:
    from eventsnn.export import nir_data

    nir_data.write(trace, folder / f"{trace.stem.replace('trace', 'nir-data')}.h5")


def _spikes(trace: Path) -> str:
    """spikes-7 for trace-7.h5."""
    return trace.stem.replace("trace", "spikes")


BUILT_IN = {
    "nir": Exporter(
        "the network as a NIR graph, network.nir, for other simulators",
        "network",
        r"network\.nir",
        _write_nir,
    ),
    "sonata": Exporter(
        "spikes as SONATA, spikes-<image>.h5, where a step is 1 ms",
        "spikes",
        r"spikes-\d+\.h5",
        _write_sonata,
    ),
    "gdf": Exporter(
        "spikes as text, spikes-<image>.gdf: neuron, counted from 1 over all layers, and time, "
        "where a step is 1 ms",
        "spikes",
        r"spikes-\d+\.gdf",
        _write_gdf,
    ),
    "perfetto": Exporter(
        "spikes and their causes for the Perfetto viewer, spikes-<image>.perfetto.json, where a "
        "tick is 1 us",
        "spikes",
        r"spikes-\d+\.perfetto\.json",
        _write_perfetto,
    ),
    "nir-data": Exporter(
        "spikes as NIR's data, nir-data-<image>.h5, where time counts in steps",
        "spikes",
        r"nir-data-\d+\.h5",
        _write_nir_data,
    ),
}
EXPORTERS: Registry[Exporter] = Registry("exporter", BUILT_IN, check_exporter)


@checked
def write(
    name: str,
    source: Simulation | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Has an exporter write its files.

    name: a key of EXPORTERS. source: what it needs: the `Simulation` of a network, or the path of a
    trace file. folder: where the files go, which is there. options: settings of a run that an
    exporter of networks may ask for, name -> value, such as nir_for; None: none.

    Returns the notes that the user should see. Raises InputError for what cannot be written, for an
    exporter that fails or leaves files that it does not own up to, and OSError where the disk
    refuses.
    """
    exporter = EXPORTERS.find(name, "export")
    where = f"exporter {name!r}"
    do = f"repair the exporter, or leave {named('export', name)} out"
    folder = Path(folder)
    is_file = isinstance(source, (str, os.PathLike))
    if is_file != (exporter.needs == "spikes"):
        expected = "the path of a trace file" if exporter.needs == "spikes" else "a Simulation"
        raise InputError(where, expected, type(source).__name__)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise InputError("folder", "a folder", f"{folder}, {found}", "make it first")
    before = set(os.listdir(folder))
    notes: Any = ()
    try:
        if isinstance(source, (str, os.PathLike)):
            exporter.write(Path(source), folder)
        else:
            notes = exporter.write(source, folder, dict(options or {})) or ()
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a stranger's exporter does
        found = f"{type(error).__name__}: {error}"
        raise InputError(where, "files for other programs", found, do) from error
    files = re.compile(exporter.files)
    foreign = sorted(left for left in {*os.listdir(folder)} - before if not files.fullmatch(left))
    if foreign:
        raise InputError(where, f"files that match {exporter.files}", foreign[0], do)
    if not isinstance(notes, (list, tuple)) or not all(isinstance(note, str) for note in notes):
        raise InputError(where, "notes, a list of text", repr(notes), do)
    return list(notes)


def strangers(names: Iterable[str]) -> list[str]:
    """Those of the names of files that no exporter leaves.

    names: of files in a results folder. Other packages are imported for what no exporter leaves
    that is there already.
    """
    left = _strangers(names, EXPORTERS.loaded().values())
    return _strangers(left, EXPORTERS.usable().values()) if left else []


def _strangers(names: Iterable[str], exporters: Iterable[Exporter]) -> list[str]:
    patterns = [re.compile(exporter.files) for exporter in exporters]
    return [name for name in names if not any(p.fullmatch(name) for p in patterns)]


def in_words() -> str:
    """What there is, for --help: a line for each exporter. Other packages are imported."""
    lines = []
    for name, exporter in EXPORTERS.usable().items():
        needed = " (with --trace spikes)" if exporter.needs == "spikes" else ""
        lines.append(f"{name}: {exporter.words}{needed}")
    return "\n".join(lines)
