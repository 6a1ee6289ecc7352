"""Who works on a store: a lease, which its holder renews and which expires.

It needs no lock of the file system, which a cluster's may not have. Its age is told by the file
system's own clock, so machines whose clocks differ agree. It is a courtesy: two drivers at once
would write the same numbers to the same places.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from eventsnn.exceptions import InputError

LASTS = 60.0  # seconds after which a lease that is not renewed counts no more
RENEWED = 10.0  # seconds between renewals
LEASE = "lease"  # the name of a driver's that works on all of a store


class Lease:
    """A driver's claim to a store, held inside `with`.

    folder: of the store. name: of the lease; drivers of different parts of a sweep have one each.
    lasts, renewed: seconds, as LASTS and RENEWED. waits: seconds for which it waits for another.
    Raises InputError where another driver holds it.
    """

    def __init__(
        self,
        folder: Path,
        name: str = LEASE,
        lasts: float = LASTS,
        renewed: float = RENEWED,
        waits: float = 0.0,
    ) -> None:
        self.path = folder / f"{name}.json"
        self.lasts = lasts
        self.renewed = renewed
        self.waits = waits
        self.token = uuid.uuid4().hex
        self.taken_over: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Lease {self.path}>"

    def __enter__(self) -> Lease:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + self.waits
        while not self._claimed():
            if time.monotonic() >= until:
                refuse(self.path.parent, holder(self.path, self.lasts), self.lasts)
            time.sleep(0.1)
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self

    def _claimed(self) -> bool:
        """Whether the lease is this one's now: of several that come at once one gets it."""
        part = self._part()
        try:
            os.link(part, self.path)
            return True
        except FileExistsError:
            before = _read(self.path).get("token")
            return holder(self.path, self.lasts) is None and self._took_over(part, before)
        except OSError:  # a file system without links
            if holder(self.path, self.lasts) is not None:
                return False
            os.replace(part, self.path)
            return bool(_read(self.path).get("token") == self.token)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()

    def _took_over(self, part: Path, token: Any) -> bool:
        """Whether this one follows a lease that has expired: who follows it is claimed first.

        part: as of `_part`. token: of the expired lease, read before it was seen to be expired. It
        lies there until its follower's replaces it, so none comes between.
        """
        name = hashlib.sha256(str(token).encode()).hexdigest()[:32]
        claim = self.path.with_name(f".{self.path.name}.after.{name}")
        age = age_of(claim) if claim.exists() else None
        if age is not None and age > self.lasts:  # its maker was killed in the midst of this
            with suppress(FileNotFoundError):
                claim.unlink()
        try:
            os.link(part, claim)
        except FileExistsError:
            return False
        try:
            if not self.path.exists() or _read(self.path).get("token") != token:
                return False
            os.replace(part, self.path)
            return True
        finally:
            with suppress(FileNotFoundError):
                claim.unlink()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(OSError):
            if _read(self.path).get("token") == self.token:
                self.path.unlink()

    def check(self) -> None:
        """Raises InputError where another driver took the lease over, since it had expired."""
        if self.taken_over is not None:
            found = f"process {self.taken_over.get('pid')} on {self.taken_over.get('host')}"
            do = "this one stops; what it wrote is whole, and the other goes on"
            raise InputError(f"store {self.path.parent}", "this driver's lease", found, do)

    def _renew(self) -> None:
        while not self._ended.wait(self.renewed):
            with suppress(OSError):
                there = _read(self.path)
                if there and there.get("token") != self.token:
                    self.taken_over = there
                    return
                os.replace(self._part(), self.path)

    def _part(self) -> Path:
        """A file with what the lease says, which is not there yet."""
        record = {
            "token": self.token,
            "host": platform.node(),
            "pid": os.getpid(),
            "began": _began(os.getpid()),
        }
        part = self.path.with_name(f".{self.path.name}.{self.token}")
        part.write_text(json.dumps(record), "utf-8")
        return part


def others_at_work(folder: Path, part: tuple[int, int] | None) -> dict[str, Any] | None:
    """Who works on a store in another way: on all of it, or on parts that are cut otherwise.

    folder: of the store. part: (K, N) of this driver, or None for all. Parts of one N share a store
    without a word.
    """
    for path in sorted(folder.glob("lease*.json")):
        its = path.stem == LEASE if part is None else path.stem.endswith(f"-of-{part[1]}")
        there = None if its else holder(path)
        if there is not None:
            return there
    return None


def name_of(part: tuple[int, int] | None) -> str:
    """The name of a driver's lease. part: as for `others_at_work`."""
    return LEASE if part is None else f"{LEASE}-{part[0]}-of-{part[1]}"


def refuse(folder: Path, there: dict[str, Any] | None, lasts: float = LASTS) -> NoReturn:
    """Raises InputError for a store that another driver works on. there: of `holder`."""
    found = "one that came just now"
    if there is not None:
        since = f"{there['age']:.0f} s ago"
        found = f"process {there['pid']} on {there['host']}, which last said so {since}"
    do = f"wait for it, or end it: a lease counts for {lasts:.0f} s after that"
    raise InputError(f"store {folder}", "no other driver at work", found, do)


def holder(path: Path, lasts: float = LASTS) -> dict[str, Any] | None:
    """Who holds a lease, with its "age" in seconds; None where it is free.

    path: of its file. lasts: seconds that it counts. A process of this machine that is gone holds
    nothing.
    """
    there = _read(path)
    if not there:
        return None
    age = age_of(path)
    if age is None or age > lasts:
        return None
    if there.get("host") == platform.node() and there.get("began") is not None:
        if _began(there.get("pid")) != there["began"]:
            return None
    return {**there, "age": max(0.0, age)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def age_of(path: Path) -> float | None:
    """Seconds since a file was written, by the clock of its file system; None where it is gone.

    path: of the file.
    """
    probe = path.with_name(f".{uuid.uuid4().hex}")
    try:
        then = path.stat().st_mtime
        probe.touch()
        return probe.stat().st_mtime - then
    except FileNotFoundError:
        return None
    except OSError:  # a store that cannot be written
        return time.time() - then
    finally:
        with suppress(OSError):
            probe.unlink()


def _began(pid: Any) -> str | None:
    """When a process of this machine began, as the system counts it; None where it is not told."""
    try:
        words = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError, TypeError):
        return None
    return None if words[0] == "Z" else f"{boot} {words[19]}"
