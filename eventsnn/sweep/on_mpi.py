"""Cells on processes of MPI: the pool of mpi4py."""

from __future__ import annotations

from eventsnn.exceptions import InputError
from eventsnn.sweep.executors import Given, package

HOW = "start it as mpiexec -n 9 python -m mpi4py.futures -m eventsnn sweep PLAN --executor mpi"


class Mpi(Given):
    """Processes of MPI, of which the first is the driver. A cell has one thread.

    workers: how many others are started, where mpiexec did not start them (None: as many as MPI
    likes). Raises InputError where the package is missing, and in a process of mpiexec that is no
    worker.
    """

    name = "mpi"

    def __init__(self, workers: int | None = None) -> None:
        futures = package("mpi4py.futures", "mpi", self.name)
        world = package("mpi4py.MPI", "mpi", self.name).COMM_WORLD
        if world.Get_rank() > 0:
            found = f"the driver in process {world.Get_rank()} of {world.Get_size()}, too"
            raise InputError("executor mpi", "one driver, and workers", found, HOW)
        if workers is not None and world.Get_size() > 1:
            raise InputError("workers", "none beside mpiexec's own", workers, "leave it out")
        executor = futures.MPIPoolExecutor(workers)
        if not executor.bootup():
            raise InputError("executor mpi", "processes of MPI", "none", HOW)
        super().__init__(executor)
        self.workers = max(1, executor.num_workers)

    @property
    def threads(self) -> int | None:
        """See `Pool.threads`."""
        return 1

    def close(self, now: bool = False) -> None:
        """See `Pool.close`. What has begun ends first: MPI has no way to end it."""
        self.executor.shutdown(wait=True, cancel_futures=now)
