"""What others add: things of eight kinds, by name, from a file or from a package (docs/extend).

    eventsnn.register("model", "mine", Mine)

In a package, entry points do the same: the group `eventsnn.models`, and so on for each kind.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.registry import Registry

# kind -> where its registry stands
REGISTRIES = {
    "engine": "eventsnn.simulation.simulation:ENGINES",
    "model": "eventsnn.neurons:MODELS",
    "order": "eventsnn.simulation.time:ORDERS",
    "encoding": "eventsnn.simulation.encoding:ENCODINGS",
    "threshold rule": "eventsnn.network.rules:RULES",
    "reader": "eventsnn.readers:READERS",
    "exporter": "eventsnn.export:EXPORTERS",
}
LARGEST = 10**7  # bytes of a file of source


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind.

    kind: a key of REGISTRIES. Raises InputError for any other.
    """
    if kind not in REGISTRIES:
        raise InputError("register", f"a kind among {', '.join(REGISTRIES)}", repr(kind))
    module, _, name = REGISTRIES[kind].partition(":")
    found: Registry[Any] = getattr(import_module(module), name)
    return found


@checked
def register(kind: str, name: str, thing: Any) -> None:
    """Adds a thing that options can name from then on, in this process.

    kind: "engine", "model", "order", "encoding", "threshold rule", "reader" or "exporter". name:
    lower-case letters, digits, - and _. thing: what the kind asks for (docs/extend has a page for
    each); its own options are its attribute `options`. A thing of the same place takes the place of
    one added before. Raises InputError for a kind that there is not, for a name that is taken, and
    for a thing that cannot be used.
    """
    registry_of(kind).add(name, thing)


def load_plugins(paths: str | None) -> None:
    """Runs files of Python that register things, each once in a process.

    paths: the files, separated by commas; None: none. Raises InputError for what is no file of
    Python and for one that fails.
    """
    for path in paths.split(",") if paths else []:
        _load(path)


def forget_plugins(paths: str | None) -> None:
    """Has files of Python run again when they are next needed. paths: as for `load_plugins`.

    What they register then takes the place of what they registered before.
    """
    for path in paths.split(",") if paths else []:
        sys.modules.pop(_module_of(path), None)


def digest_of(paths: str | None) -> str:
    """Hexadecimal digits, equal for equal contents of files. paths: as for `load_plugins`."""
    digest = hashlib.sha256()
    for path in paths.split(",") if paths else []:
        digest.update(_source(path))
    return digest.hexdigest()


def _source(path: str) -> bytes:
    if not Path(path).is_file() or Path(path).suffix != ".py":
        why = "no such file" if not Path(path).exists() else "another kind of file"
        found = f"{path!r}, {why}"
        raise InputError(named("plugin"), "files of Python (.py)", found, "check the path")
    if Path(path).stat().st_size > LARGEST:
        found = f"{path!r} of {Path(path).stat().st_size:,} bytes"
        raise InputError(named("plugin"), f"files of at most {LARGEST:,} bytes", found)
    return Path(path).read_bytes()


def _module_of(path: str) -> str:
    return "eventsnn_plugin_" + re.sub(r"\W", "_", Path(path).stem)


def _load(path: str) -> None:
    where = f"plug-in {path!r}"
    _source(path)
    file = str(Path(path).resolve())
    name = _module_of(path)
    there = sys.modules.get(name)
    if there is not None:
        if there.__file__ == file:
            return
        raise InputError(where, "plug-ins with names of their own", there.__file__, "rename one")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # numba's cache finds its classes there
    try:
        spec.loader.exec_module(module)
    except InputError:
        del sys.modules[name]
        raise
    except Exception as error:  # whatever a stranger's file does
        del sys.modules[name]
        found = one_line(f"{type(error).__name__}: {error}", 200)
        raise InputError(where, "a file that can be run", found, "repair it") from error
