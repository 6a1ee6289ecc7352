"""What every study begins with: a simulation in whole numbers, its drive, and how many spikes are
possible.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from eventsnn.data.images import check_images, pixel_range
from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time

CHUNK = 2**22  # neurons, times images, that are held at a time


def exact(network, images, where, *, steps, **settings):
    """(Simulation, raw pixels, their numbers) for a study of images in whole numbers, in which all
    spikes arrive in their step.

    settings: of `Simulation` and `Time`. Raises InputError, naming `where`, for floating point,
    encoding "events" and free running.
    """
    pixels = getattr(images, "pixels", images)
    check_images(network.graph, pixels)
    time = {f.name: settings.pop(f.name) for f in fields(Time) if f.name in settings}
    simulation = Simulation(
        network, steps=steps, pixel_range=pixel_range(pixels), time=Time(**time), **settings
    )
    if (
        simulation.arithmetic.kind != "fixed"
        or simulation.encoding.kind == "events"
        or not simulation.time.barrier
    ):
        raise InputError(
            where,
            "fixed point, images, and spikes that all arrive (a barrier)",
            f"arithmetic {simulation.arithmetic.kind}, encoding {simulation.encoding.kind}, barrier {simulation.time.barrier}",
        )
    return simulation, pixels, getattr(images, "indices", np.arange(len(pixels)))


def prepare(network, images, steps, settings, where="errors"):
    """(Simulation, raw pixels, their numbers) for errors to be measured in, or what else needs
    whole numbers and average inputs.
    """
    simulation, pixels, numbers = exact(network, images, where, steps=steps, **settings)
    if getattr(simulation.neuron, "limits", None) is not None and simulation.encoding.divides:
        raise InputError(
            where,
            "encoding 'even' for st-bif neurons, whose spikes are not averaged over time",
            f"encoding {simulation.encoding.kind!r}",
            "give encoding='even', and steps enough to come to rest",
        )
    return simulation, pixels, numbers


def all_drive(simulation, image, number):
    """All that arrives at each neuron without a spike in T steps, int64 [neurons]."""
    rows = simulation.drive(image, int(number)).astype(np.int64)
    return rows[: simulation.steps].sum(axis=0) + max(0, simulation.steps - len(rows)) * rows[-1]


def top_of(simulation, i):
    """The spikes that stand for layer i's theta."""
    return int(simulation.quanta[i]) * (simulation.steps if simulation.encoding.divides else 1)


def _theta(layer):
    """theta as a number, or one for each neuron."""
    return layer.theta if np.ndim(layer.theta) == 0 else layer.theta.reshape(-1)


def _by_neuron(values, layer):
    """[N, C, H, W] or flat -> [N, neurons], channels last."""
    return (
        values.reshape(len(values), layer.grid[0], -1).transpose(0, 2, 1).reshape(len(values), -1)
    )
