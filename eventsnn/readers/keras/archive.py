"""Keras 3's own files, .keras: a zip of a configuration and weights (Keras 2.12 writes it, too)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.files.archives import Archive, open_archive
from eventsnn.files.memory import held
from eventsnn.files.reading import MAX_ARRAYS, json_of, open_image, text_of
from eventsnn.readers.keras.model import MAX_JSON, parse

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
MAX_METADATA = 2**16  # bytes
AGAIN = "save the whole model again: model.save('net.keras')"


def parse_archive(path: str | Path, arch: str | None, output: str | None = None) -> dict[str, Any]:
    """The fields of `Graph` in an archive.

    path: the file. arch, output: as for `keras.model.parse`; arch None for the archive's own
    configuration.
    Nothing is written to a disk: the weights, an HDF5 file, are read where they lie in memory.
    Raises InputError for whatever cannot be read or has no spiking form.
    """
    name = Path(path).name
    with open_archive(path) as archive:
        missing = [part for part in (CONFIG, WEIGHTS) if part not in archive.members]
        if missing:
            found = f"none among {', '.join(list(archive.members)[:5])}"
            raise InputError(name, f"{missing[0]} in the archive", found, AGAIN)
        config = json_of(bytes(archive.read(CONFIG, MAX_JSON)), f"{name}: {CONFIG}")
        version = _version(archive)
        within = f"{name}: {WEIGHTS}"
        size = archive.size(WEIGHTS, MAX_ARRAYS)
        if not size:
            raise InputError(within, "an HDF5 file", "no bytes", AGAIN)
        with held(archive.pieces(WEIGHTS, MAX_ARRAYS), size, within) as image:
            with open_image(image, within) as file:
                return parse(file, name, arch, config, version, output)


def _version(archive: Archive) -> str:
    """The version of Keras that wrote the archive, or ""."""
    if METADATA not in archive.members:
        return ""
    said = json_of(bytes(archive.read(METADATA, MAX_METADATA)), f"{archive.name}: {METADATA}")
    version = said.get("keras_version") if isinstance(said, dict) else None
    return text_of(version, 50) or ""
