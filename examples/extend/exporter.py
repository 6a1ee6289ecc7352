"""An exporter of one's own: spikes as a table of commas.

    python -m eventsnn.run --plugin examples/extend/exporter.py --engine event --limit 2
        --trace spikes --export spike-table

Leaves spikes-<image>.csv in the results folder, one for each trace: layer, neuron, time and sign of
every spike.
"""

import csv

import h5py

import eventsnn
from eventsnn.export import Exporter


def write(trace, folder):
    """Writes the spikes of one trace file. trace: its path. folder: where the table goes."""
    image = trace.stem.removeprefix("trace-")
    with (
        h5py.File(trace) as file,
        open(folder / f"spikes-{image}.csv", "w", newline="") as table,
    ):
        rows = csv.writer(table)
        rows.writerow(["layer", "neuron", "time", "sign"])
        for layer, spikes in file["spikes"].items():
            columns = (spikes[name][()] for name in ("node_ids", "timestamps", "sign"))
            rows.writerows((layer, *row) for row in zip(*columns))


eventsnn.register(
    "exporter",
    "spike-table",
    Exporter("spikes-<image>.csv, a table of spikes", "spikes", r"spikes-\d+\.csv", write),
)
