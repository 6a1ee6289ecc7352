"""What other programs read: networks as NIR, spikes as SONATA, .gdf and Neo objects.

`nir`, `nir_data` and `spikes` are imported on first use, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventsnn.export.exporters import EXPORTERS, Exporter, write

if TYPE_CHECKING:
    from eventsnn.export import nir as nir
    from eventsnn.export import nir_data as nir_data
    from eventsnn.export import spikes as spikes

__all__ = ["EXPORTERS", "Exporter", "nir", "nir_data", "spikes", "write"]


def __getattr__(name: str) -> Any:
    """The modules `nir`, `nir_data`, `spikes`. name: of one. Raises AttributeError for others."""
    if name in ("nir", "nir_data", "spikes"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
