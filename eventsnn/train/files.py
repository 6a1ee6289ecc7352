"""The files of a training's folder, and whether a folder may become one."""

from __future__ import annotations

import os
from pathlib import Path

from eventsnn.exceptions import InputError

NETWORK = "network.h5"
CURVES = "curves.csv"
NORMS = "norm_factors.csv"
STATE = "state.pt"
LEFT = (STATE, NETWORK, CURVES, NORMS, "curves.png", "recipe.toml")


def check_folder(out: Path) -> None:
    """Raises InputError for a folder that holds what no training left. out: it may not be there.

    A network without a state is somebody else's. Files that begin with a dot are left aside.
    """
    names = sorted(os.listdir(out)) if out.is_dir() else []
    foreign = [name for name in names if name not in LEFT and not name.startswith(".")]
    if NETWORK in names and STATE not in names:
        foreign.append(NETWORK)
    if foreign:
        expected = "an empty folder, what a training left, or nothing yet"
        found = f"{', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''} in {out}"
        raise InputError("⟦out⟧", expected, found, "choose another one")
