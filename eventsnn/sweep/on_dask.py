"""Cells on workers of Dask: of a cluster that is there, or of one that is started here.

Dask hands a cell whose worker is gone to another worker, and gives up after some workers. Its
scheduler is no memory of ours: where it is lost the sweep ends, and the same command goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from typing import Any

from eventsnn.exceptions import InputError, one_line
from eventsnn.simulation.simulation import cores
from eventsnn.sweep.executors import Pool, package

WAITS = 30.0  # seconds for a scheduler's answer, and for its first worker
COUNTED = 2.0  # seconds between two counts of the workers


# A nanny tells its worker's malloc to give back at once what is freed. Then the pages of each large
# array that a cell makes are mapped and zeroed anew: five times as many page faults.
TRIMS = "MALLOC_TRIM_THRESHOLD_"


def _quick(config: Any) -> dict[str, Any]:
    """Settings of Dask for workers that compute and nothing else. config: Dask's own."""
    told = config.get("distributed.nanny.pre-spawn-environ")
    return {
        "distributed.nanny.pre-spawn-environ": {k: v for k, v in told.items() if k != TRIMS},
        "distributed.worker.profile.enabled": False,
        # the next cell waits for whichever worker is free first, and not behind a long one
        "distributed.scheduler.worker-saturation": 1.0,
        # each process looks at itself: at Dask's own pace that takes a twelfth of a core in all
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.cycle": "60s",
        "distributed.admin.system-monitor.interval": "10s",
    }


class Dask(Pool):
    """Workers of Dask.

    address: of a scheduler, such as "tcp://host:8786", or of the .json file that it wrote; "" for
    workers that are started here, as processes. workers: how many of these (None: one a core); a
    cluster has its own. A cell has one thread, and a worker runs as many cells at once as Dask says
    that it has threads.

    Raises InputError where the package is missing, and for a scheduler that does not answer or has
    no worker.
    """

    name = "dask"

    def __init__(self, address: str = "", workers: int | None = None) -> None:
        distributed = package("distributed", "dask", self.name)
        self.lost = (distributed.KilledWorker, CancelledError, BrokenExecutor)
        self.where = f"executor dask:{address}" if address else "executor dask"
        self.cluster: Any = None
        if not address:
            self._threads = max(1, cores() // (workers or cores()))
            self._start(distributed, workers or cores())
        else:
            if workers is not None:
                raise InputError(
                    "workers", "none beside the cluster's own", workers, "leave it out"
                )
            self._threads = 1
            self.client = self._reached(distributed, address)
        self.executor = self.client.get_executor(pure=False)
        self._counted = (-COUNTED, 1)

    def _start(self, distributed: Any, workers: int) -> None:
        """Starts processes of this machine. Raises InputError where one ends as it starts."""
        from dask import config

        try:
            with config.set(_quick(config)):
                self.cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,
                    dashboard_address=None,
                    silence_logs=50,  # of workers that are started anew, which is no news
                )
            self.client = distributed.Client(self.cluster)
        except Exception as error:  # a worker was killed, or there is no memory for it
            found = one_line(f"{type(error).__name__}: {error}", 200)
            do = "give the same command again, or fewer workers"
            raise InputError(self.where, "workers that start", found, do) from None

    def _reached(self, distributed: Any, address: str) -> Any:
        """A client of a cluster. Raises InputError where there is none, or no worker of it."""
        named = {"scheduler_file" if address.endswith(".json") else "address": address}
        try:
            client = distributed.Client(**named, timeout=WAITS)
        except Exception as error:  # of the address, of the network, of the file
            found = one_line(f"{type(error).__name__}: {error}", 200)
            do = "start it: dask scheduler"
            raise InputError(self.where, "a scheduler that answers", found, do) from None
        try:
            client.wait_for_workers(1, timeout=WAITS)
        except Exception:
            client.close()
            do = f"start some: dask worker {address}"
            raise InputError(self.where, "workers", f"none in {WAITS:.0f} s", do) from None
        return client

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Cells that run at once: of a cluster, as many as its workers have threads now."""
        now = time.monotonic()
        if now - self._counted[0] >= COUNTED:
            with suppress(Exception):  # a cluster that is gone is told by its futures
                self._counted = now, max(1, sum(self.client.nthreads().values()))
        return self._counted[1]

    @property
    def threads(self) -> int | None:
        """See `Pool.threads`."""
        return self._threads

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `Pool.submit`. Raises InputError where the scheduler is gone."""
        try:
            found: Future[Any] = self.executor.submit(function, *arguments)
        except Exception as error:
            self._check(one_line(f"{type(error).__name__}: {error}", 200))
            raise
        return found

    def renew(self) -> None:
        """See `Pool.renew`: Dask does it. Raises InputError where the scheduler is gone."""
        self._check("none")

    def _check(self, found: str) -> None:
        if self.client.status != "running":
            do = "start it and its workers again; then the same command goes on"
            raise InputError(self.where, "a scheduler that answers", found, do)

    def close(self, now: bool = False) -> None:
        """See `Pool.close`. Workers of a cluster stay; what they have begun they end."""
        log = logging.getLogger("distributed.client")
        before = log.level
        log.setLevel(logging.CRITICAL)  # a scheduler that is gone was told in one line
        with suppress(Exception):
            self.client.close(timeout=1 if now else WAITS)
        if self.cluster is not None:
            with suppress(Exception):
                self.cluster.close(timeout=1 if now else WAITS)
        log.setLevel(before)
