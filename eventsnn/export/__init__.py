"""What other programs read: networks as NIR, spikes as SONATA, .gdf and Neo objects."""
