"""COS: v(0) of each neuron and image, shifted by what a few steps say (semantics, section 9)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.clocked.driver import ClockedRun, run_clocked
from eventsnn.exceptions import InputError, named
from eventsnn.neurons.contract import is_soft_reset
from eventsnn.simulation.arithmetic import Arithmetic
from eventsnn.simulation.beginnings import (
    beginning,
    check_begins,
    check_no_sinks,
    share_wider,
)
from eventsnn.simulation.compile import build
from eventsnn.simulation.prepared import Outcome, Prepared, Sink

EPSILON = 0.001  # in thresholds; the paper's is any small number, this is its code's
ALWAYS = 2.0**20  # v(0) in floating point with which a neuron fires in every step


def check_offset(prepared: Prepared, rho: int) -> None:
    """Raises InputError for what COS is not made for.

    prepared: the simulation, with its engine. rho: steps before the run.
    """
    where = named("offset", rho)
    if rho > prepared.steps:
        do = "choose fewer, or more steps; a run also tells the accuracy after fewer"
        raise InputError(where, f"at most the {named('steps', prepared.steps)}", rho, do)
    if prepared.srp:
        raise InputError(where, "one stage", named("srp", prepared.srp), "leave one of them out")
    if not is_soft_reset(prepared.neuron):
        expected = "integrate-and-fire with soft reset"
        raise InputError(where, expected, type(prepared.neuron).__name__, "choose ⟦neuron=if⟧")
    if prepared.encoding.kind == "events" or not prepared.encoding.divides:
        found = named("encoding", prepared.encoding.name)
        raise InputError(where, "an input that goes on in every step", found, "leave one out")
    check_begins(prepared, where)


def shifted(
    v0: NDArray[Any],
    charged: NDArray[Any],
    spikes: NDArray[np.int64],
    v: NDArray[Any],
    numbers: Arithmetic,
    always: Any,
) -> NDArray[Any]:
    """v(0) after calibration, in the arithmetic's numbers: [neurons].

    One spike too many shows as a potential below 0 of a neuron that fired: v(0) goes down by
    max(theta, lowest - theta + epsilon), so that the firing with the lowest potential before it
    fails. One too few shows as a potential of theta or more: v(0) goes up by max(theta, theta +
    epsilon - highest), so that it also fires where the potential was highest without firing. One
    that fired in every step and has a potential of theta or more fires in every step. (COS, and
    its code, modules.MPLayer, of one round.)

    v0: before, [neurons]. charged: potentials in front of each evaluation, [rho, neurons]. spikes:
    whether each fired, [rho, neurons]. v: after rho steps. always: v(0) with which a neuron fires
    in every step.
    """
    one = numbers.one
    least = numbers.dtype.type(1) if numbers.dtype.kind == "i" else numbers.dtype.type(0)
    epsilon = np.maximum(numbers.quantise(EPSILON), least)
    fired = spikes > 0
    extreme = np.iinfo if numbers.dtype.kind == "i" else np.finfo
    lowest = np.where(fired, charged, extreme(charged.dtype).max // 2).min(axis=0)
    highest = np.where(fired, extreme(charged.dtype).min // 2, charged).max(axis=0)
    down = np.maximum(one, lowest - one + epsilon)
    up = np.maximum(one, one + epsilon - highest)
    found = np.where((v < 0) & fired.any(axis=0), v0 - down, v0)
    found = np.where(v >= one, np.where(fired.all(axis=0), always, v0 + up), found)
    return found.astype(numbers.dtype)


class Offset:
    """Finds v(0) of each image of a simulation, layer after layer.

    Layers run for rho steps in clocked time, whatever the engine. Each hears the layers before it
    as they are with their new v(0). A layer's potentials step by step come from runs of 1, 2, ...,
    rho steps, of which each is the beginning of the next.

    prepared: the simulation. rho: steps.
    """

    def __init__(self, prepared: Prepared, rho: int) -> None:
        self.prepared = prepared
        self.rho = rho
        numbers = prepared.arithmetic
        self.tables = build(prepared.network, prepared.blocks, numbers.dtype, rho)
        fixed = numbers.kind == "fixed"
        highest = prepared.shift_limit if fixed else ALWAYS
        self.always = numbers.quantise(np.float64(highest))

    def reordered(self, prepared: Prepared) -> Offset:
        """The same for the simulation with another seed. prepared: that simulation."""
        other = copy.copy(self)
        other.prepared = prepared
        return other

    def of(self, image: NDArray[Any], number: int = 0) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(v(0) in the arithmetic's numbers [neurons], cost int64 [2, L]) of one image.

        The cost is what the rho steps take beside the run: spikes that each layer fires, and
        synaptic operations by which it hears the layers before. image: raw pixels [C, H, W].
        number: the image's, for randomness.
        """
        prepared, rho = self.prepared, self.rho
        layers = prepared.network.layers
        drive = prepared.drive(image, number)
        v0 = prepared.resting.copy()
        cost = np.zeros((2, len(layers)), np.int64)
        before: list[ClockedRun | None] = [None] * rho
        done = 0
        for i, layer in enumerate(layers[:-1]):
            if layer.pools:
                continue
            here = prepared.network.columns(i)
            # nobody behind has to hear of it yet
            mute = np.zeros(len(v0), np.uint8)
            for later, other in enumerate(layers[:-1]):
                if later >= i and not other.pools:
                    mute[prepared.network.columns(later)] = 1
            runs = [
                run_clocked(
                    self.tables,
                    prepared.neuron,
                    drive,
                    prepared.drive_steps,
                    v0,
                    steps,
                    mute=mute,
                    given=done,
                    before=before[steps - 1],
                    image=number,
                )
                for steps in range(1, rho + 1)
            ]
            counts = np.stack([run.s[here] for run in runs]).astype(np.int64)
            spikes = np.diff(counts, axis=0, prepend=0)
            after = np.stack([run.v[here] for run in runs])
            charged = after + (spikes * prepared.arithmetic.one).astype(after.dtype)
            v0[here] = shifted(
                v0[here], charged, spikes, after[-1], prepared.arithmetic, self.always
            )
            cost[0, i] = spikes.sum()
            cost[1, i] = runs[-1].operations[i].sum()
            before, done = list(runs), i
        return v0, cost

    def run(
        self,
        images: Any,
        numbers: Sequence[int],
        sinks: Sequence[Sink | None] | None,
        threads: int,
    ) -> Iterator[Outcome]:
        """Yields the `Outcome` of each image, which begins at its own v(0).

        images, numbers, sinks, threads: as for `srp.two_stages`. Raises InputError for sinks, whose
        files have one v(0) for all images, and what the engine raises.
        """
        check_no_sinks(sinks, "offset", named("offset", self.rho))
        for image, number in zip(images, numbers):
            v0, cost = self.of(image, int(number))
            its = beginning(self.prepared, v0)
            outcome = its.engine.image(image, int(number), threads=threads)
            outcome.stage_one = cost
            outcome.readout = self.prepared.counted(outcome.readout)
            share_wider(self.prepared, its)
            yield outcome
