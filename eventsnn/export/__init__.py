"""What other programs read: networks as NIR, spikes as SONATA, .gdf and Neo objects.

`nir` and `spikes` are imported on first use, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventsnn.export.exporters import EXPORTERS, Exporter, write

if TYPE_CHECKING:
    from eventsnn.export import nir as nir
    from eventsnn.export import spikes as spikes

__all__ = ["EXPORTERS", "Exporter", "nir", "spikes", "write"]


def __getattr__(name: str) -> Any:
    """The modules `nir` and `spikes`; name: either of the two. Raises AttributeError for others."""
    if name in ("nir", "spikes"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
