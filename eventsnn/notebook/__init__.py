"""For notebooks: the live microscope."""
