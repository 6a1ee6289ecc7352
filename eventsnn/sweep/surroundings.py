"""What a process has to be like for a cell: its folder, things of the user's own, kernel cache.

Workers may live longer than a sweep, and have several threads. So cells that want other
surroundings wait until those that are under way have ended.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from eventsnn.engine.jit import cache_dir
from eventsnn.exceptions import InputError, one_line
from eventsnn.files import cache
from eventsnn.plugins import digest_of, forget_plugins, register, registry_of
from eventsnn.sweep.cells import Own


def process() -> str:
    """This process, among those of all machines."""
    return f"{platform.node()} {os.getpid()}"


class Surroundings:
    """The surroundings of this process's cells."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._now: tuple[Any, ...] | None = None
        self._under_way = 0
        self._count = 0
        self._registered: list[tuple[str, str]] = []
        self._plugins: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Surroundings of {self._under_way} cells>"

    @contextmanager
    def of(self, task: Any) -> Iterator[int]:
        """In its block the process is as a task wants it; gives a number, new after each change.

        task: a `working.Task`. Raises InputError for things that cannot be had here.
        """
        wanted = (task.folder, task.things, task.plugin)
        with self._condition:
            while self._under_way and wanted != self._now:
                self._condition.wait()
            if wanted != self._now:
                self._now = None
                self._change(task)
                self._now = wanted
                self._count += 1
            self._under_way += 1
        try:
            yield self._count
        finally:
            with self._condition:
                self._under_way -= 1
                self._condition.notify_all()

    def _change(self, task: Any) -> None:
        if os.getcwd() != task.folder:
            try:
                os.chdir(task.folder)
            except OSError as error:
                found = f"{error.strerror} on {platform.node()}"
                do = "workers need the driver's folders"
                raise InputError(f"worker: folder {task.folder}", "one", found, do) from None
        if task.driver == process():
            return  # all is there
        if self._now is None and not self._count:
            keep_kernels_here()
        self._register(task.things)
        paths = task.cell.options.get("plugin")
        if paths and self._plugins.get(paths, task.plugin) != task.plugin:
            forget_plugins(paths)
        if paths:
            self._plugins[paths] = task.plugin

    def _register(self, things: bytes | None) -> None:
        """Registers what the user registered in the driver's process. things: of `pickled`."""
        for kind, name in self._registered:
            registry_of(kind).remove(name)
        self._registered = []
        if things is None:
            return
        found = unpickled(things)
        for own in found:
            registry = registry_of(own.kind)
            if own.name in registry.loaded() and own.name not in registry.own:
                registry.remove(own.name)  # the driver's script ran here, too, as of Dask's workers
            register(own.kind, own.name, own.thing)
            self._registered.append((own.kind, own.name))


SURROUNDINGS = Surroundings()


def keep_kernels_here() -> None:
    """From now on kernels are kept on this machine, if the usual folder is on a network.

    Those that are in that folder are copied. A process calls it before it compiles anything.
    """
    if not cache.on_network(cache.root()):
        return
    shared = cache_dir()
    cache.keep_here()
    cache_dir.cache_clear()
    here = cache_dir()
    if shared is not None and here is not None:
        cache.copy(shared, here)


def plugin_digest(paths: str | None) -> str:
    """Digits for plug-ins as they are now; "" for none. paths: the option's."""
    return digest_of(paths) if paths else ""


def unpickled(things: bytes) -> list[Own]:
    """Things of the driver's process. things: of `pickled`.

    Raises InputError where this process lacks what they need.
    """
    try:
        import cloudpickle

        found: list[Own] = cloudpickle.loads(things)
    except Exception as error:  # whatever a thing needs
        words = one_line(f"{type(error).__name__}: {error}", 200)
        do = "install there what they need"
        where = f"worker on {platform.node()}"
        raise InputError(where, "the user's own models and orders", words, do) from None
    return found


def pickled(things: list[Own], whole: bool) -> bytes | None:
    """Things of the user's own for other processes, with their code; None where there are none.

    things: those that the cells name. whole: whether the code of modules that are not installed
    goes along; else only that of what no module has, as in a notebook. Raises InputError where the
    package for it is missing, and for a thing that cannot be sent.
    """
    if not things:
        return None
    try:
        import cloudpickle
    except ImportError:
        do = "pip install cloudpickle, or register it in a file and name that as plugin"
        where = f"{things[0].kind} {things[0].name!r}"
        raise InputError(where, "the package cloudpickle", "none", do) from None
    along = [module for module in list(sys.modules.values()) if whole and not installed(module)]
    for module in along:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(things))
    except Exception as error:  # whatever a thing holds
        words = one_line(f"{type(error).__name__}: {error}", 200)
        names = ", ".join(f"{own.kind} {own.name!r}" for own in things)
        do = "register it in a file and name that as plugin"
        raise InputError(names, "things that can be sent to workers", words, do) from None
    finally:
        for module in along:
            cloudpickle.unregister_pickle_by_value(module)


INSTALLED = {
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
}


def installed(module: ModuleType) -> bool:
    """Whether other machines have a module as they have Python and eventsnn. module: any."""
    name = getattr(module, "__name__", "")
    file = getattr(module, "__file__", None)
    if file is None or name == "__main__" or sys.modules.get(name) is not module:
        return True  # built in; what __main__ holds goes along anyway
    if name.partition(".")[0] == __name__.partition(".")[0]:
        return True
    return not INSTALLED.isdisjoint(Path(file).resolve().parents)
