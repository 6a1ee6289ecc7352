"""A run from settings to results folder: load, convert, check, simulate, record."""
from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numba
import numpy as np
from tqdm import tqdm

import eventsnn
from eventsnn import ann, conversion, plots, record, tables
from eventsnn.checks import InputError
from eventsnn.data import load_images
from eventsnn.load import load
from eventsnn.simulate import Simulation, check_images, pixel_range, report_steps

CHECKED_IMAGES = 8


@dataclass(frozen=True)
class Say:
    """Where words go: nowhere if quiet, else to standard output (or error, when JSON takes the output)."""

    stream: object

    def __call__(self, text=""):
        if self.stream:
            print(text, file=self.stream, flush=True)

    def bar(self, total, label):
        """A progress bar in images: after two seconds, on a terminal only."""
        return tqdm(total=total, desc=label, unit="image", disable=None if self.stream else True, delay=2, file=sys.stderr)


def load_network(net):
    """The graph in a file, or the bundled one for 'sample'."""
    return load(Path(__file__).parent / "sample" / "network.h5" if net == "sample" else net)


def run(settings):
    """Run everything; prints what it finds, writes the results folder and returns the summary (a dict)."""
    say = Say(None if settings.quiet else sys.stderr if settings.json else sys.stdout)
    graph = load_network(settings.net)
    images = load_images(settings.data, split=settings.split, limit=settings.limit)
    check_images(graph, images.pixels, images.labels, f"--data {settings.data}")
    describe_graph(graph, images, say)

    network, calibration = convert_checked(graph, images, settings, say)
    simulation = Simulation(network, steps=settings.steps, initial=settings.initial, arithmetic=settings.arithmetic,
                            fraction_bits=settings.fraction_bits, pixel_range=pixel_range(images.pixels))
    say(f"arithmetic: {simulation.arithmetic}")

    digest = hashlib.sha256(images.pixels.tobytes() + (b"" if images.labels is None else images.labels.tobytes())).hexdigest()
    run_id = settings.id(graph.hash, digest, eventsnn.__version__)
    out = settings.out or f"runs/{Path(settings.net).stem}-{run_id}"
    folder = record.Folder(out, {"id": run_id})
    try:
        with say.bar(len(images), "ANN") as bar:
            ann_output = ann.predict(graph, images.pixels, workers=settings.workers, progress=lambda done, _: bar.update(done - bar.n))
        seconds = simulate(simulation, images, folder, settings, say)
        provenance = describe_run(simulation, settings, images, calibration, run_id)
        totals = record.write_hdf5(folder.partial / "run.h5", folder, simulation, images, ann_output, provenance)
        summary = write_tables(folder.partial, simulation, images, ann_output, totals, settings, provenance, seconds, say)
        folder.finish()
    except BaseException:
        folder.discard()
        raise
    say(f"results in {out}")
    if settings.json:
        print(json.dumps(summary, indent=1))
    return summary


def describe_graph(graph, images, say):
    """Say what was found: layers, neurons, parameters, activations, preprocessing, images."""
    neurons = sum(int(np.prod(graph.shapes[node.name])) for node in graph.activations)
    kinds = {}
    for node in graph.activations:
        kinds[node.op] = kinds.get(node.op, 0) + 1
    say(f"network: {graph.meta.get('arch', 'unnamed')} from {graph.source}: {len(graph.nodes)} nodes, {graph.parameters:,} parameters")
    say(f"activations: {', '.join(f'{n} {op}' for op, n in kinds.items())}; {neurons:,} spiking neurons")
    p = graph.preprocessing
    mean, std = (" ".join(f"{v:.4g}" for v in np.ravel(x)) for x in (p.mean, p.std))
    say(f"preprocessing: (pixel * {p.scale:.6g} - [{mean}]) / [{std}]")
    classes = images.classes or graph.meta.get("classes", ())
    say(f"images: {len(images):,} of {images.name} ({images.split}), {'x'.join(map(str, images.pixels.shape[1:]))} {images.pixels.dtype}"
        + (f"; classes {', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}" if classes else ""))


def convert_checked(graph, images, settings, say):
    """The converted network and a description of the calibration images; says how far it is from the graph."""
    split, first, last = settings.calibration_range
    needed = conversion.needs_calibration(graph, settings.thresholds)
    try:
        calibration = load_images(settings.data, split=split, limit=last - first + 1, offset=first)
        if calibration.split != split:
            raise InputError("images", f"a {split} split in --data", f"{calibration.split} images")
        check_images(graph, calibration.pixels, where=f"--calibration {settings.calibration}")
        pixels, name = calibration.pixels, f"{calibration.name} {split}:{first}-{first + len(calibration) - 1}"
    except InputError as error:
        if needed or settings.calibration != type(settings).calibration:
            raise InputError(f"--calibration {settings.calibration}: {error.where}", error.expected, error.found,
                             "thresholds are found on these images: give --data with a train split, or another --calibration") from None
        low, high = pixel_range(images.pixels)
        pixels = np.random.default_rng(settings.seed).uniform(low, high, (CHECKED_IMAGES, *graph.input_shape)).astype(np.float32)
        name = f"none (checked on {CHECKED_IMAGES} random images, seed {settings.seed})"
    network = conversion.convert(graph, thresholds=settings.thresholds, percentile=settings.percentile, calibration=pixels,
                              max_pooling=settings.max_pooling)
    worst, where = conversion.check(network, pixels[:CHECKED_IMAGES])
    for note in network.notes:
        say(f"note: {note}")
    say(f"conversion: {len(network.spiking)} layers, {network.synapses:,} synapses; thresholds {network.thresholds}; calibration {name}")
    say(f"check: folded and loaded ANN differ by at most {worst:.1e} of a layer's largest value (layer {where})")
    return network, name


def simulate(simulation, images, folder, settings, say):
    """Simulate the images that the folder does not have yet; returns the seconds it took."""
    missing = folder.missing(len(images))
    if len(missing) < len(images):
        say(f"going on with an earlier run: {len(images) - len(missing):,} of {len(images):,} images are there")
    began = time.perf_counter()
    with say.bar(len(images), "SNN") as bar:
        bar.update(len(images) - len(missing))
        for run_of in np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1):
            if len(run_of):
                pixels = images.pixels[run_of[0]:run_of[-1] + 1]
                for start, batch in simulation.stream(pixels, workers=settings.workers, batch=settings.batch):
                    folder.add(int(run_of[0]) + start, batch)
                    bar.update(len(batch.readout))
    return time.perf_counter() - began


def describe_run(simulation, settings, images, calibration, run_id):
    """All that is needed to make the run again."""
    return {
        "id": run_id, "command": "python -m eventsnn.run", "settings": settings.outcome(), "semantics": simulation.describe(),
        "network": {"file": simulation.network.graph.source, "sha256": simulation.network.graph.hash,
                    **{k: v for k, v in simulation.network.graph.meta.items() if k != "classes"}},
        "data": {"name": images.name, "split": images.split, "images": len(images), "first": int(images.indices[0]),
                 "last": int(images.indices[-1]), "calibration": calibration},
        "versions": {"eventsnn": eventsnn.__version__, "python": platform.python_version(), "numpy": np.__version__,
                     "numba": numba.__version__, "h5py": h5py.__version__, "machine": platform.machine()},
    }


def write_tables(path, simulation, images, ann_output, totals, settings, provenance, seconds, say):
    """Write CSVs, pictures and summary.json; print the tables; return the summary."""
    accuracy = accuracy_rows(totals, images.labels, ann_output.argmax(axis=1), settings.report_steps or report_steps(settings.steps))
    layers = layer_rows(simulation, totals, len(images))
    ann_accuracy = None if images.labels is None else float(np.mean(ann_output.argmax(axis=1) == images.labels))
    tables.write_csv(path / "accuracy.csv", accuracy)
    tables.write_csv(path / "layers.csv", layers)
    title = f"{provenance['network'].get('arch', Path(settings.net).stem)}, {images.name}, {len(images):,} images"
    plots.accuracy_figure(accuracy, ann_accuracy, title).savefig(path / "accuracy.png", dpi=150)
    plots.rates_figure(layers[:-1], title).savefig(path / "rates.png", dpi=150)
    summary = {
        "ann_accuracy": ann_accuracy, "snn_accuracy": {str(row["T"]): row["accuracy"] for row in accuracy},
        "agreement_with_ann": {str(row["T"]): row["agreement"] for row in accuracy}, "images": len(images),
        "spikes_per_image": float(totals.spikes.sum() / len(images)),
        "synaptic_operations_per_image": float(totals.operations.sum() / len(images)),
        "ties_per_image": float(totals.ties.sum() / len(images)), "seconds_simulation": seconds,
        "neurons": simulation.network.neurons, "layers": len(simulation.network.spiking),
        "arithmetic": simulation.arithmetic.kind, "fraction_bits": simulation.arithmetic.fraction_bits or None, **provenance,
    }
    (path / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    say()
    say(tables.text_table(layers, {"rate": ".4f", "spikes": ",.0f", "operations": ",.0f"}))
    say()
    percent = {name: ".2%" for name in ("accuracy", "low", "high", "agreement")}
    say(tables.text_table([{k: v for k, v in row.items() if v is not None} for row in accuracy],
                          percent | {"spikes": ",.0f", "operations": ",.0f"}))
    say()
    known = "" if ann_accuracy is None else f"ANN accuracy {ann_accuracy:.2%}; "
    say(f"{known}{summary['spikes_per_image']:,.0f} spikes and {summary['synaptic_operations_per_image'] / 1e6:,.1f} M synaptic operations "
        f"an image; {summary['ties_per_image']:,.1f} exact ties an image; simulated in {seconds:.1f} s")
    return summary


def accuracy_rows(totals, labels, ann_classes, steps):
    """One row for each T: accuracy with its 95 % interval, agreement with the ANN, spikes and operations per image up to T."""
    count, rows = len(ann_classes), []
    for t in steps:
        predicted = totals.predictions[:, t - 1]
        hits = None if labels is None else int(np.sum(predicted == labels))
        low, high = (None, None) if hits is None else tables.wilson(hits, count)
        rows.append({"T": t, "accuracy": None if hits is None else hits / count, "low": low, "high": high,
                     "agreement": float(np.mean(predicted == ann_classes)), "spikes": float(totals.spikes[:, :t].sum() / count),
                     "operations": float(totals.operations[:, :t].sum() / count)})
    return rows


def layer_rows(simulation, totals, count):
    """One row a layer: what it is, its threshold, and what it did per image."""
    rows = []
    for i, (layer, spikes, operations) in enumerate(zip(simulation.network.layers, totals.spikes, totals.operations)):
        rows.append({"layer": layer.name, "activation": layer.node.op if layer.node else "readout", "shape": "x".join(map(str, layer.grid)),
                     "neurons": layer.size, "theta": layer.theta, "rate": float(spikes.sum() / (layer.size * simulation.steps * count)),
                     "spikes": float(spikes.sum() / count), "operations": float(operations.sum() / count),
                     "ties": float(totals.ties[i] / count)})
    return rows
