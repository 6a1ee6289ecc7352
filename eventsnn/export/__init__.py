"""What other programs read: networks as NIR, spikes as SONATA, .gdf and Neo objects."""

from __future__ import annotations

from eventsnn.export import nir, spikes

__all__ = ["nir", "spikes"]
