"""What stands at --out already.

The same run is not run again where it is finished, and goes on where it is not. Another one is not
replaced, unless --overwrite says so.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.export.exporters import EXPORTERS
from eventsnn.inputs.made import OWN_CODE, differing, of_other_versions, refusal, stamps
from eventsnn.runs.folder import FILES, Folder, leftovers
from eventsnn.runs.results import Results, open_results
from eventsnn.settings import HASHED, Settings

OF_DATA = ("data", "resize", "crop")  # settings that decide which images there are
LEAVES = ("export", "nir_for")  # settings that decide what is left, and no number in it
ID = "[0-9a-f]" * 8

Record = dict[str, Any]


def record(
    settings: Settings, run_id: str, network: str, data: str, versions: Record, images: int
) -> Record:
    """What is kept of a run under way, JSON-able; equal `id`s and versions give equal batches.

    settings: of the run. run_id: the run's. network, data: hashes of the two. versions: name ->
    version, with that of the sources. images: how many there are.
    """
    return {
        "id": run_id,
        "versions": versions,
        "settings": json.loads(json.dumps(settings.outcome())),
        "network": network,
        "data": data,
        "images": images,
    }


def left_by(settings: Settings) -> Record:
    """What the summary says beside the outcome, for `finished`: files read, and files wanted.

    settings: of the run.
    """
    wanted = {name: getattr(settings, name) for name in LEAVES}
    return {"read": stamps(settings), "wanted": wanted}


def finished(settings: Settings, name: str, versions: Record) -> Results | None:
    """The `Results` of this very command, told without opening what it reads; None where the run
    has to look further.

    settings: of the run. name: of its network, where --out is not given. versions: name -> version,
    with that of the sources.
    """
    if settings.overwrite:
        return None
    places = [Path(settings.out)] if settings.out else sorted(Path("runs").glob(f"{name}-{ID}"))
    now = None
    for place in places:
        found = _results(place)
        if found is None or found.summary.get("versions") != versions:
            continue
        now = now or json.loads(json.dumps([settings.outcome(), left_by(settings)]))
        if [found.settings, found.summary.get("left_by")] == now and _whole(found, settings):
            return found
    return None


def clear(found: Results) -> None:
    """Removes what the run that left these results has not removed, as it was killed before that.

    Another run's batches stay, and so does all that another process works on.
    """
    out = found.folder.resolve()
    with suppress(InputError, OSError):
        if leftovers(out):
            with Folder(out) as folder:
                clear_of(folder, _of_summary(found.summary))


def clear_of(folder: Folder, now: Record) -> None:
    """Removes the batches of a run whose results are there. now: its `record`."""
    before = _begun(folder)
    if before is not None and _same(before, now):
        folder.forget()


def checked(folder: Folder, settings: Settings, now: Record) -> tuple[Record, Results | None]:
    """(the record to open the folder with, the `Results` of this very run where it is finished).

    folder: whose lock is held. settings: of the run. now: its `record`. Raises InputError where
    another run's results, or its batches, would be lost, unless --overwrite is given.
    """
    before = _begun(folder)
    if before is not None and _same(before, now):
        record = before
    else:
        record = now
    if settings.overwrite:
        return record, None
    out = folder.where.removeprefix("--out ")
    found = _results(folder.out)
    if found is not None:
        then = _of_summary(found.summary)
        others = differing(
            _wanted(found.summary), {name: getattr(settings, name) for name in LEAVES}
        )
        if not _same(then, now) or others:
            what = f"finished results of {found.summary['images']:,} images"
            raise refusal(out, what, _differences(then, now) + others)
        if _whole(found, settings):
            return record, found
    elif folder.out.is_dir() and os.listdir(folder.out) and not _made_by(folder.out, now):
        raise refusal(out, "results that are not whole", ())
    if before is not None and record is not before:
        there = sum(stop - start for start, stop, _ in folder.parts())
        images = before.get("images", "an unknown number")
        what = f"an unfinished run, {there:,} of {images} images"
        raise refusal(out, what, _differences(before, now))
    return record, None


def _made_by(out: Path, now: Record) -> bool:
    """Whether a folder lacks files and its summary is that of this very run. now: its `record`."""
    if set(FILES) <= set(os.listdir(out)):
        return False
    try:
        return _same(_of_summary(json.loads((out / "summary.json").read_text())), now)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _results(place: Path) -> Results | None:
    """What a finished run left in a folder; None where that cannot be told."""
    try:
        return open_results(place)
    except (InputError, OSError, ValueError):
        return None


def _begun(folder: Folder) -> Record | None:
    """The record of the run whose batches are in a folder, {} where it cannot be read; None where
    there are none.
    """
    if not folder.parts():
        return None
    try:
        found = json.loads((folder.partial / "identity.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_summary(summary: Record) -> Record:
    """A run's `record` as far as its summary has it."""

    def hash_of(key: str) -> Any:
        part = summary.get(key)
        return part.get("sha256") if isinstance(part, dict) else None

    hashes = {key: hash_of(key) for key in ("network", "data")}
    return hashes | {key: summary.get(key) for key in ("id", "versions", "settings", "images")}


def _wanted(summary: Record) -> Record:
    """The settings of LEAVES in a summary; {} where it has none."""
    left = summary.get("left_by")
    wanted = left.get("wanted") if isinstance(left, dict) else None
    return wanted if isinstance(wanted, dict) else {}


def _same(before: Record, now: Record) -> bool:
    """Whether two records are of runs that give the same."""
    return all(before.get(key) == now[key] for key in ("id", "versions"))


def _differences(before: Record, now: Record) -> list[str]:
    """In what two records differ, in words."""
    here, there = dict(now["settings"]), dict(before.get("settings") or {})
    found = []
    for hashed, names in (
        ("network", [name for name in HASHED if name not in (*OF_DATA, "plugin")]),
        ("data", OF_DATA),
    ):
        if before.get(hashed) == now[hashed]:  # then it does not matter how they were named
            for name in names:
                here.pop(name, None)
                there.pop(name, None)
        elif all(here.get(name) == there.get(name) for name in names):
            found.append(f"a {hashed} with other content")
    found = differing(there, here) + found
    then, today = before.get("versions") or {}, now["versions"]
    others = of_other_versions(then, {k: v for k, v in today.items() if k != "sources"})
    if not others and then.get("sources") != today["sources"]:
        others = [f"another state of {OWN_CODE}"]
    unknown = [] if _same(before, now) else ["files named by options that have other content"]
    return found + others or unknown


def _whole(found: Results, settings: Settings) -> bool:
    """Whether all is there that the settings ask for."""
    names = os.listdir(found.folder)
    if not set(FILES) <= set(names):
        return False
    if settings.trace == "spikes":
        wanted = min(settings.trace_images, found.summary["images"])
        if len(found.traces) < wanted:
            return False
    patterns = [EXPORTERS.find(name).files for name in settings.exports]
    return all(any(re.fullmatch(pattern, name) for name in names) for pattern in patterns)
