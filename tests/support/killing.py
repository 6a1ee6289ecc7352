"""Runs of the command that are killed (SIGKILL) at one of their file-system operations.

Files are opened for writing in Python's own `_pyio`, so that every write is a call of os.write; the
functions of `os` that change anything below one folder are counted. Processes are copies (fork) of
one that has all kernels loaded.
"""

import _pyio
import builtins
import io
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

CHANGING = ("open", "write", "ftruncate", "truncate", "fsync", "replace", "rename", "link")
CHANGING += ("symlink", "unlink", "remove", "mkdir", "rmdir", "utime", "chmod")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
SECONDS = 120  # that a run may take


class Count:
    """Counts what changes something below a folder, and kills this process at one of these.

    folder: of the run. at: the number of the operation that is the last; 0: none. torn: whether a
    write that is the last writes half.
    """

    def __init__(self, folder, at=0, torn=False):
        self.folder, self.at, self.torn = str(folder), at, torn
        self.seen, self.handles, self.kinds = 0, set(), []

    def patch(self):
        plain = io.open

        def opened(file, mode="r", *more, **options):
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return plain(file, mode, *more, **options)
            return _pyio.open(file, mode, *more, **options)

        builtins.open = io.open = opened
        for name in CHANGING:
            setattr(os, name, self._counting(name, getattr(os, name)))

    def _counting(self, name, function):
        def call(*given, **options):
            if not self._is_ours(name, given, options):
                return function(*given, **options)
            last = self.seen + 1 == self.at
            if last and self.torn and name == "write":
                data = memoryview(given[1]).cast("B")
                function(given[0], data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*given, **options)  # what is refused changes nothing
            self.seen += 1
            self.kinds.append(name)
            if name == "open":
                self.handles.add(result)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    def _is_ours(self, name, given, options):
        where = given[0] if given else options.get("path", options.get("src"))
        if isinstance(where, int):
            return where in self.handles
        below = os.path.abspath(os.fsdecode(where)).startswith(self.folder)
        if name == "open":
            flags = given[1] if len(given) > 1 else options.get("flags", 0)
            below = below and bool(flags & WRITES)
        # a folder's handle stands for one of ours: others are not opened here
        return below or options.get("dir_fd") is not None


def run(arguments, folder, at=0, torn=False):
    """Runs the command in a copy of this process; its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.chdir(folder)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            count = Count(folder, at, torn)
            count.patch()
            from eventsnn.run import main

            status = main(arguments)
            if at < 0:
                Path(folder).with_name("kinds.json").write_text(json.dumps(count.kinds))
        finally:
            os._exit(status)
    until = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def contents(folder):
    """{path: content} of all below a folder, but for what a run says of its time."""
    import h5py

    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            found[name] = "a folder"
        elif path.suffix == ".h5":
            found[name] = {}
            with h5py.File(path) as file:
                read = found[name]
                file.visititems(lambda key, item, read=read: _read(read, key, item))
        elif path.name == "summary.json":
            summary = json.loads(path.read_text())
            kept = ("id", "snn_accuracy", "spikes_per_image", "cost_per_image", "images")
            found[name] = {key: summary.get(key) for key in kept}
        else:
            found[name] = path.read_bytes() if path.suffix == ".csv" else "there"
    return found


def _read(found, key, item):
    if hasattr(item, "shape") and "seconds" not in key:
        found[key] = repr(np.asarray(item[()]).tolist())


def campaign(arguments, home, points=None, before=None):
    """Kills a run at each of its operations (or at some), and runs the same command to its end.

    arguments: of the command, which leaves its results in `r`. home: an empty folder. points: at
    which, as places in a list of all; None: all. before: a folder of earlier results, or None.
    Returns {"operations": how many there are, "tried": kills, "differ": [what went wrong]}.
    """
    whole = Path(home) / "whole"
    work = Path(home) / "work"
    fresh(whole, before)
    assert run(arguments, str(whole), at=-1) == 0
    expected = contents(whole)
    kinds = json.loads((Path(home) / "kinds.json").read_text())
    every = [(n, False) for n in range(1, len(kinds) + 1)]
    every += [(n, True) for n, kind in enumerate(kinds, 1) if kind == "write"]
    chosen = every if points is None else [every[int(len(every) * point)] for point in points]
    differ = []
    for at, torn in chosen:
        fresh(work, before)
        where = f"operation {at} of {len(kinds)}, {kinds[at - 1]}{', half' * torn}"
        killed = run(arguments, str(work), at=at, torn=torn)
        if killed != -signal.SIGKILL:
            differ.append(f"{where}: not killed, but {killed}")
            continue
        status = run(arguments, str(work))
        if status != 0:
            differ.append(f"{where}: then exit status {status}")
            continue
        found = contents(work)
        names = {name for name in found.keys() ^ expected.keys()}
        for name in found.keys() & expected.keys():
            one, other = found[name], expected[name]
            if one != other and isinstance(one, dict):
                names |= {
                    f"{name} {key}"
                    for key in one.keys() | other.keys()
                    if one.get(key) != other.get(key)
                }
            elif one != other:
                names.add(name)
        if names:
            differ.append(f"{where}: {', '.join(sorted(names))}")
    return {"operations": len(kinds), "tried": len(chosen), "differ": differ}


def fresh(folder, before):
    """An empty folder, or one with earlier results in `r`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if before is not None:
        shutil.copytree(before, folder / "r")


def warm(arguments, folder):
    """Loads, and compiles where it must, all that the command needs."""
    from eventsnn.run import main

    os.chdir(folder)
    assert main([*arguments, "--out", "warm"]) == 0
    shutil.rmtree(os.path.join(folder, "warm"))


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    home = Path(told["home"])
    warm(told["arguments"], told["home"])
    if told.get("before"):
        other = [*told["arguments"], *told["before"], "--out", str(home / "before")]
        from eventsnn.run import main

        assert main(other) == 0
        told["before"] = home / "before"
    arguments = [*told["arguments"], "--out", "r"]
    arguments += ["--overwrite"] * bool(told.get("before"))
    print(json.dumps(campaign(arguments, home, told.get("points"), told.get("before"))))
