"""The care of compiled kernels on disk: whole files in a folder that is ours alone.

A kernel is read as a pickle, so whoever can write the folder can have code run by whoever reads it.
So a folder counts only where it belongs to this process's user and nobody else can write it; the
same goes for each file. Root is no exception, neither as reader nor as owner. The folder is checked
through the handle by which its files are then opened: whoever can rename a folder above can put
another in its place, but it is checked, too. Where a system has no owners (Windows), folders of the
user's profile are trusted.

A file is named after all that decides its content and written whole or not at all. So processes
that compile the same kernel at once write the same, and no lock is needed, nor a file system that
has locks. Each file begins with a checksum: one that a full disk cut short is dropped.

What is amiss ends no run: kernels are compiled once more, and a CacheWarning says why.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

VARIABLE = "EVENTSNN_CACHE_DIR"
BEGINNING = b"eventsnn kernel 1\n"
CHECKSUM = hashlib.sha256().digest_size
OWNERS = hasattr(os, "getuid") and os.open in os.supports_dir_fd
OTHERS = stat.S_IWGRP | stat.S_IWOTH
# file systems of several machines, as Linux names them
NETWORK = frozenset(
    "9p afs beegfs ceph cifs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs panfs pvfs2 "
    "smb3 smbfs virtiofs wekafs".split()
)
ANEW = "kernels are compiled in each run, which takes some seconds"


class CacheWarning(UserWarning):
    """The cache of compiled kernels cannot be used as usual."""


class Foreign(OSError):
    """A folder or a file that others may have written."""


def root() -> Path:
    """The folder for the kernels of all versions, as the environment says.

    Raises RuntimeError for a user without a home, if the environment names no folder.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches).absolute() if caches else Path.home() / ".cache") / "eventsnn"


def folder_for(name: str) -> Path | None:
    """Makes the folder for kernels, for this user alone.

    Where the usual place cannot be written, it is one for temporary files. name: the folder's.
    Returns None where there is no folder that can be trusted.
    """
    try:
        usual = root() / name
        _make(usual)
        return usual
    except Foreign as error:
        _refuse(usual, error)
        return None
    except OSError as error:
        why = f"{usual} cannot be used ({error.strerror})"
    except RuntimeError:
        why = "there is no home folder"
    try:
        user = os.getuid() if OWNERS else "user"
        # beside others' files: in such a folder nobody can move what is not theirs
        spare = Path(tempfile.gettempdir()) / f"eventsnn-{user}-{name}"
        _make(spare)
    except OSError as error:
        spared = error if isinstance(error, Foreign) else error.strerror
        _warn(f"{why}, nor can a temporary folder ({spared}): {ANEW}; set {VARIABLE}")
        return None
    _warn(f"{why}: kernels are kept in {spare}; set {VARIABLE} to have them elsewhere")
    return spare


def load(folder: Path, name: str) -> bytes | None:
    """What was kept under a name, or None. folder: of `folder_for`. name: the file's."""
    try:
        with _opened(folder) as opener, open(_place(folder, name), "rb", opener=opener) as file:
            _check(os.fstat(file.fileno()), folder / name)
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _refuse(folder, error)
        return None
    begins = len(BEGINNING) + CHECKSUM
    content = data[begins:]
    if data[:begins] == BEGINNING + hashlib.sha256(content).digest():
        return content
    damaged(folder)
    return None


def damaged(folder: Path) -> None:
    """Says that kernels are damaged. folder: which holds them; `save` replaces them."""
    _warn(f"{folder} holds damaged files: they are dropped, and compiled anew")


def save(folder: Path, name: str, content: bytes) -> None:
    """Keeps content under a name, whole or not at all.

    folder: of `folder_for`. name: the file's. Says so where the disk refuses.
    """
    part, whole = (_place(folder, its) for its in (f"{name}.{uuid.uuid4().hex}.tmp", name))
    try:
        with _opened(folder) as opener:
            handle = opener.handle
            try:
                with open(part, "xb", opener=opener) as file:
                    file.write(BEGINNING + hashlib.sha256(content).digest() + content)
                os.replace(part, whole, src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                with suppress(OSError):
                    os.unlink(part, dir_fd=handle)
                raise
    except OSError as error:
        _refuse(folder, error)


def keep_here() -> None:
    """Has this process keep its kernels in a folder for temporary files, where they stay."""
    user = os.getuid() if OWNERS else "user"
    os.environ[VARIABLE] = str(Path(tempfile.gettempdir()) / f"eventsnn-{user}-kernels")


def copy(source: Path, target: Path) -> None:
    """Copies kernels that a folder lacks. source, target: of `folder_for`."""
    try:
        there = set(os.listdir(target))
        names = [name for name in os.listdir(source) if name not in there]
    except OSError as error:
        _refuse(source, error)
        return
    for name in names:
        content = load(source, name) if not name.endswith(".tmp") else None
        if content is not None:
            save(target, name, content)


def on_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a path is on a file system of several machines; False where nothing tells.

    path: which need not be there. mounts: the system's list of file systems.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    place, deepest, kind = path.resolve(), -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        # blanks and the like are octal there
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[4]))
        if (point == place or point in place.parents) and len(point.parts) >= deepest:
            deepest, kind = len(point.parts), after.split()[0]
    return kind in NETWORK or kind.startswith(("fuse.ssh", "fuse.gluster", "fuse.ceph"))


class _Opener:
    """Opens files of a folder, for `open`. handle: the folder's, or None: paths are whole."""

    def __init__(self, handle: int | None) -> None:
        self.handle = handle

    def __call__(self, path: str, flags: int) -> int:
        return os.open(path, flags, 0o600, dir_fd=self.handle)


@contextmanager
def _opened(folder: Path) -> Iterator[_Opener]:
    """A folder's opener inside the block. Raises Foreign, and OSError where there is none."""
    if not OWNERS:
        yield _Opener(None)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check(os.fstat(handle), folder)
        yield _Opener(handle)
    finally:
        os.close(handle)


def _place(folder: Path, name: str) -> str:
    """A file as its folder's opener finds it."""
    return name if OWNERS else str(folder / name)


def _make(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    with _opened(folder):
        pass


def _check(status: os.stat_result, path: Path) -> None:
    """Raises Foreign where another user owns or can write what stands at a path."""
    if not OWNERS:
        return
    if status.st_uid != os.geteuid():
        raise Foreign(f"{path} belongs to another user (number {status.st_uid})")
    if status.st_mode & OTHERS:
        raise Foreign(f"{path} can be written by others (mode {stat.S_IMODE(status.st_mode):o})")


def _refuse(folder: Path, error: OSError) -> None:
    """Says why a folder is not used."""
    if isinstance(error, Foreign):
        _warn(f"{error}, so nothing is read from it: {ANEW}; remove it, or set {VARIABLE}")
    else:
        do = f"make room or check the folder, or set {VARIABLE}"
        _warn(f"{folder} cannot be used ({error.strerror}): {ANEW}; {do}")


@cache
def _warn(words: str) -> None:
    """Says a thing once."""
    warnings.warn(f"kernel cache: {words}", CacheWarning, stacklevel=2)
