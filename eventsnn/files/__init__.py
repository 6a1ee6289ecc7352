"""HDF5 files: read with distrust, written whole or not at all."""
