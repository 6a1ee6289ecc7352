"""The network of a run, calibrated as it will run (`--calibrate`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.inputs.loading import load_calibration
from eventsnn.network.network import Network
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import ENGINES
from eventsnn.studies.calibrating import calibrate


def calibrated(network: Network, settings: Settings) -> tuple[Network, list[NDArray[np.float64]]]:
    """(the network, v(0) of each spiking layer) that `eventsnn.calibrate` finds for a run.

    network: converted. settings: of the run; `calibrate` is the method. Raises InputError for what
    cannot be calibrated, and without calibration images.
    """
    assert settings.calibrate is not None
    time = vars(settings.time) if ENGINES.find(settings.engine, "--engine").asynchronous else {}
    # a delayed readout is the run's alone: layers are calibrated on all their steps
    left_out = ("steps", "readout_from")
    its = {k: x for k, x in vars(settings.specification).items() if k not in left_out}
    try:
        found = calibrate(
            network,
            load_calibration(network.graph, settings),
            method=settings.calibrate,
            steps=settings.steps,
            engine=settings.engine,
            encoding=settings.encoded,
            workers=settings.workers,
            progress=False,
            **its,
            **time,
        )
    except InputError as error:
        where = f"--calibrate {settings.calibrate}: {error.where}"
        raise InputError(where, error.expected, error.found, error.do) from None
    return found.network, found.initial
