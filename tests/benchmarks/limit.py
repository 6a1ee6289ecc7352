"""The C kernels of limit.c, called with the engines' own tables."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from eventsnn.engine.vectors import aligned
from eventsnn.exceptions import InputError
from eventsnn.neurons.integrate_and_fire import IF
from eventsnn.simulation.compile import build

FLAGS = ("-O3", "-march=native", "-fwrapv", "-shared", "-fPIC")


def compiled():
    """A `Limit`, or None without gcc."""
    return Limit() if shutil.which("gcc") else None


class Limit:
    """The kernels of limit.c, compiled here and now."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "limit.so"
            subprocess.run(
                ["gcc", *FLAGS, str(Path(__file__).with_name("limit.c")), "-o", str(library)],
                check=True,
            )
            self.kernels = ctypes.CDLL(str(library))
        self.kernels.event.restype = ctypes.c_int64

    def clocked(self, simulation, run, drive):
        """A function that adds up all charge of one image; its spikes are those of the
        `ClockedRun`. Checks that the sums are ours.
        """
        _plain(simulation)
        prepared, steps = simulation.engine.prepared, simulation.steps
        t = build(simulation.network, prepared.blocks, np.int32, steps, narrow=0)
        charge = aligned(int((t.block * t.channels).max()) * steps, np.int32)
        sums = copied(np.zeros(len(run.v), np.int32))
        call = self._bound(
            "clocked",
            [
                len(t.sites),
                steps,
                t.channels,
                t.sites,
                t.first_neuron,
                t.first_site,
                t.into,
                t.block,
                t.source,
                t.ci,
                t.co,
                t.tap_base,
                t.first_tap,
                t.tap_to,
                t.tap_site,
                t.tap_row,
                t.weights,
                run.log,
                run.first,
                charge,
                sums,
            ],
        )
        call()
        given = (
            drive[np.minimum(np.arange(min(steps, simulation.drive_steps)), len(drive) - 1)]
            .astype(np.int64)
            .sum(axis=0)
        )
        arrived = (
            run.v.astype(np.int64)
            - simulation.resting
            - given
            + run.s.astype(np.int64) * int(simulation.arithmetic.one)
        )
        if (sums != arrived.astype(np.int32)).any():
            raise AssertionError("limit.c adds up other charge than the clocked engine")
        return call

    def event(self, simulation, run, inputs=None):
        """A function that runs one image spike by spike (IF, fifo), `run` being our finished
        `EventRun` of it. Checks that v and spikes are ours.
        """
        t, state = _plain(simulation), run.state
        inputs = np.zeros((0, 4), np.int64) if inputs is None else inputs
        numbers = np.ascontiguousarray(inputs[:, 2])
        first = np.searchsorted(inputs[:, 0], np.arange(simulation.steps + 1)).astype(np.int64)
        v, counts = copied(simulation.resting), copied(np.zeros(len(state.v), np.int32))
        queue = np.zeros(int(state.tallies[0].sum()) + len(inputs), np.int64)
        log = np.zeros((len(v), 2), np.int64)
        call = self._bound(
            "event",
            [
                simulation.steps,
                t.readout,
                t.layers,
                t.layer_of,
                t.out_first,
                t.out,
                t.projections,
                t.row_of,
                t.first_stretch,
                t.stretches,
                t.weights,
                copied(run.drive[0]),
                numbers,
                first,
                int(simulation.arithmetic.one),
                v,
                counts,
                log,
                queue,
                len(queue),
            ],
        )

        def again():
            v[:], counts[:] = simulation.resting, 0
            return call()

        if again() != len(queue) or (v != state.v).any() or (counts != state.memory[:, 0]).any():
            raise AssertionError("limit.c fires otherwise than the event engine")
        return again

    def _bound(self, name, args):
        """A call of a kernel with these arguments, which it keeps alive."""
        function = getattr(self.kernels, name)
        given = [
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int64(int(a))
            for a in args
        ]

        def call(kept=args):
            return function(*given)

        return call


def copied(array):
    """A copy that begins where a vector may."""
    copy = aligned(array.size, array.dtype)
    copy[:] = array
    return copy


def _plain(simulation):
    """The tables of a simulation that limit.c can run."""
    network = simulation.network
    if any(layer.pools for layer in network.layers):
        raise InputError("limit.c", "a network without exact max pooling", network.graph.source)
    if simulation.engine.tables.weights.dtype != np.int32 or type(simulation.neuron) is not IF:
        raise InputError(
            "limit.c",
            "IF neurons in 32 bits",
            f"{simulation.neuron.words}, {simulation.arithmetic}",
            "choose fewer steps",
        )
    return simulation.engine.tables
