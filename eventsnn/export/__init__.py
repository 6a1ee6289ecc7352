"""What other programs read: networks as NIR, spikes as SONATA, .gdf and Neo objects."""

from eventsnn.export import nir, spikes

__all__ = ["nir", "spikes"]
