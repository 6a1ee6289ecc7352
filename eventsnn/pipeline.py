"""A run from settings to results folder: load, convert, check, simulate, record."""
from __future__ import annotations

import copy
import hashlib
import json
import math
import platform
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numba.core.event
import numpy as np
from tqdm import tqdm

import eventsnn
from eventsnn import ann, conversion, record, tables
from eventsnn.arrivals import neuron_number
from eventsnn.checks import InputError, one_line
from eventsnn.cost import MEANING as COST_MEANING
from eventsnn.cost import costs
from eventsnn.data import load_images
from eventsnn.encoding import Encoding
from eventsnn.readers import load
from eventsnn.simulate import check_images, pixel_range, report_steps
from eventsnn.simulation import Simulation, cores
from eventsnn.trace import Recorder, TraceFile

CHECKED_IMAGES = 8
MEANING = {
    "ann_accuracy": "share of the images that the ANN as loaded classifies as labelled; null without labels",
    "snn_accuracy": "the same for the spiking network after T steps, by T",
    "agreement_with_ann": "share of the images that the spiking network puts into the ANN's class after T steps, by T",
    "readout_mse": "mean squared difference of the readout and the ANN's output, over images and classes, by T; null behind a Softmax",
    "equilibrium": "T_eq, the last step in which a neuron fired or charge arrived; an image still moving in step T is not at rest",
    "stage_one": "what SRP's first stage cost; the other figures leave it out, but for cost_per_image",
    "spikes_per_image": "spikes of all neurons in all steps, mean over images",
    "synaptic_operations_per_image": "weights touched by delivered spikes, mean over images; the input's drive is not counted",
    "ties_per_image": "evaluations in which a potential met its threshold exactly, mean over images",
    "seconds_simulation": "wall time of the simulation, of all sessions if the run was stopped and taken up again; without compiling, and "
                          "without what a stop threw away",
}


@dataclass
class Say:
    """Where words go: to `stream`, or nowhere if None. bars: whether progress may be shown, on a terminal."""

    stream: object
    bars: bool

    def __call__(self, text=""):
        if self.stream and not put(text, self.stream):
            self.stream = None  # nobody reads on, as in `… | head`; the results folder is still wanted

    def bar(self, total, label):
        """A progress bar in images: after two seconds, on a terminal only."""
        return tqdm(total=total, desc=label, unit="image", disable=None if self.bars else True, delay=2, leave=False, file=sys.stderr)


def put(text, stream):
    """Print a line; returns whether somebody reads it."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None
    return True


def run(settings):
    """Run everything; prints what it finds, writes the results folder and returns the summary (a dict)."""
    say = Say(None if settings.quiet or settings.json else sys.stdout, not settings.quiet)
    with advice("export the network again, or give another --net"):
        graph = load_network(settings.net)
    with advice("repair the data, or give another --data"):
        images = load_images(settings.data, split=settings.split, limit=settings.limit)
        check_images(graph, images.pixels, images.labels, f"--data {settings.data}")
    describe_input(graph, images, settings, say)

    run_id = settings.id(graph.hash, digest(images), eventsnn.__version__)
    out = settings.out or f"runs/{re.sub(r'[^-.0-9A-Za-z_]', '_', Path(settings.net).stem)[:60]}-{run_id}"
    with record.Folder(out) as folder, advice("change the network, or give another --net"):
        network, calibration = convert_checked(graph, images, settings, say)
        simulation = prepare(network, images, settings)
        trace_filters(network, settings)
        say(f"arithmetic: {simulation.arithmetic}")
        provenance = describe_run(graph, simulation, settings, images, calibration, run_id)
        there = folder.start({"id": run_id, "versions": provenance["versions"], "sources": hash_of_sources()})
        if there:
            say(f"going on with an earlier run: {there:,} of {len(images):,} images are there")
        with say.bar(len(images), "ANN") as bar:
            ann_output = ann.predict(graph, images.pixels, workers=settings.workers, progress=lambda done, _: bar.update(done - bar.n))
        if not np.isfinite(ann_output).all():
            raise InputError(f"{graph.source}: output", "finite numbers for every image", "infinity or NaN", "export the network again")
        simulate(simulation, images, folder, settings, say)
        summary = report(folder, simulation, images, ann_output, settings, provenance, say)
        folder.finish()
    say(f"results in {one_line(out, 1000)}")
    if settings.json:
        put(json.dumps(summary, indent=1), sys.stdout)
    return summary


@contextmanager
def advice(do):
    """Wrong input that is met in the block says what to do: its own advice, or else `do`."""
    try:
        yield
    except InputError as error:
        raise (error if error.do else InputError(error.where, error.expected, error.found, do)) from None


def load_network(net):
    """The graph in a file, or the bundled one for 'sample'."""
    return load(net)


def describe_input(graph, images, settings, say):
    """Say what was found: layers, neurons, parameters, activations, preprocessing, images."""
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    kinds = {node.op: sum(other.op == node.op for other in graph.activations) for node in graph.activations}
    accuracy = graph.meta.get("test_accuracy")
    say(f"network: {graph.meta.get('arch', 'unnamed')} from {graph.source}: {len(graph.nodes)} nodes, {graph.parameters:,} parameters"
        + ("" if accuracy is None else f"; test accuracy {accuracy:.2%}, it says"))
    say(f"activations: {', '.join(f'{n} {op}' for op, n in kinds.items()) or 'none'}; {neurons:,} neurons")
    p = graph.preprocessing
    mean, std = (" ".join(f"{v:.4g}" for v in np.ravel(x)) for x in (p.mean, p.std))
    say(f"preprocessing: (pixel * {p.scale:.6g} - [{mean}]) / [{std}]")
    classes = images.classes or graph.meta.get("classes", ())
    say(f"images: {len(images):,} of {images.name} ({images.split}), {'x'.join(map(str, images.pixels.shape[1:]))} {images.pixels.dtype}"
        + ("; no labels, so no accuracy" if images.labels is None else "")
        + (f"; classes {', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}" if classes else ""))
    if settings.limit and len(images) < settings.limit:
        say(f"note: --limit asks for {settings.limit:,} images, there are {len(images):,}")


def digest(images):
    """A hash of pixels, labels and positions."""
    result = hashlib.sha256()
    for array in (images.pixels, images.indices, images.labels):
        if array is not None:
            result.update(f"{array.dtype.str}{array.shape}".encode())
            result.update(np.ascontiguousarray(array))
    return result.hexdigest()


def hash_of_sources():
    """A hash of this package: another version's batches may differ."""
    result = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        result.update(path.read_bytes())
    return result.hexdigest()


def convert_checked(graph, images, settings, say):
    """The converted network and a description of the calibration images; says how far it is from the graph."""
    needed = conversion.needs_calibration(graph, settings.thresholds, settings.readout)
    try:
        calibration = load_calibration(graph, settings)
        pixels, last = calibration.pixels, calibration.indices[-1]
        name = f"{calibration.name} {calibration.split}:{calibration.indices[0]}-{last}"
    except InputError as error:
        if needed or settings.calibration is not None:
            raise InputError(f"--calibration {settings.calibration or 'train:0-127'}: {error.where}", error.expected, error.found,
                             error.do) from None
        low, high = pixel_range(images.pixels)
        pixels = np.random.default_rng(settings.seed).uniform(low, high, (CHECKED_IMAGES, *graph.input_shape)).astype(np.float32)
        name = "none"
    with np.errstate(all="ignore"):
        check_finite(graph, pixels[:CHECKED_IMAGES])
    network = conversion.convert(graph, thresholds=settings.thresholds, percentile=settings.percentile, calibration=pixels,
                                 dead=settings.dead, max_pooling=settings.max_pooling, residual=settings.residual,
                                 readout=settings.readout)
    worst, where = conversion.check(network, pixels[:CHECKED_IMAGES])
    for note in network.notes:
        say(f"note: {note}")
    say(f"conversion: {len(network.spiking)} layers, {network.neurons:,} neurons, {network.synapses:,} synapses; thresholds "
        f"{network.thresholds}" + (f", found on {name}" if needed else ""))
    say(f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value (layer {where}; on "
        f"{len(pixels[:CHECKED_IMAGES])} {'random images' if name == 'none' else f'images of {name}'})")
    return network, name


def check_finite(graph, pixels):
    """Raise InputError if the ANN's numbers overflow on these images, as they do with damaged weights."""
    for image in graph.preprocessing(pixels):
        outputs = ann.forward(graph, image[None], keep=(graph.input, *graph.by_name))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise InputError(f"{graph.source}: node {name!r}", "outputs that float32 can hold", "infinity or NaN",
                                 "weights, thresholds or preprocessing are damaged: export the network again")


def load_calibration(graph, settings):
    """The calibration images; InputError unless they are all there and, by default, are no test images."""
    split, first, last = settings.calibration_range
    advice = "give --data with a train split, or say which images to use: --calibration test:0-127 calibrates on the test images"
    try:
        images = load_images(settings.data, split=split, limit=last - first + 1, offset=first)
    except InputError as error:
        raise InputError(error.where, error.expected, error.found, advice) from None
    if images.split != split:
        raise InputError("--data", f"a {split} split", f"{images.split} images", advice)
    if settings.calibration is not None and len(images) <= last - first:
        raise InputError("--data", f"{last + 1:,} images in its {split} split", f"{first + len(images):,}", "ask for fewer")
    if split != settings.split:
        count = min(len(images), CHECKED_IMAGES)
        try:
            tested = load_images(settings.data, split=settings.split, limit=count, offset=first).pixels
        except InputError:  # a smaller split, so another one
            tested = None
        if np.array_equal(tested, images.pixels[:count]):
            raise InputError("--data", f"a {split} split", "the same images, whatever the split", advice)
    check_images(graph, images.pixels, where="--data")
    return images


def prepare(network, images, settings):
    """The Simulation that the settings ask for."""
    try:
        return Simulation(network, steps=settings.steps, engine=settings.engine, neuron=settings.neuron, tau=settings.tau,
                          initial=settings.initial, srp=settings.srp, srp_epsilon=settings.srp_epsilon,
                          encoding=Encoding(kind=settings.encoding, release=settings.release, bias_once=settings.bias_once),
                          arithmetic=settings.arithmetic, fraction_bits=settings.fraction_bits, seed=settings.seed,
                          pixel_range=pixel_range(images.pixels), time=settings.time)
    except InputError as error:
        raise InputError(f"{network.graph.source}: {error.where}", error.expected, error.found, error.do) from None


def simulate(simulation, images, folder, settings, say):
    """Simulate the images that the folder does not have yet."""
    missing = folder.missing(len(images))
    if not len(missing):
        return
    with Compiling(say) as compiling, say.bar(len(images), "SNN") as bar:
        # load what was compiled before, or compile: the seconds below are the simulation's own
        brief = copy.copy(simulation)
        brief.steps = 1
        brief.run(images.pixels[:1], sinks=[Recorder()] if settings.trace == "spikes" else None)
        bar.update(len(images) - len(missing))
        for stretch in np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1):
            first, before = int(stretch[0]), time.perf_counter() - compiling.seconds
            sinks = trace_files(simulation, images, folder, settings, stretch) if settings.trace == "spikes" else None
            for start, batch in simulation.stream(images.pixels[first:first + len(stretch)], numbers=images.indices[stretch],
                                                  workers=settings.workers, batch=settings.batch, sinks=sinks):
                now = time.perf_counter() - compiling.seconds
                folder.add(first + start, batch, now - before)
                before = now
                bar.update(len(batch.readout))


class Compiling(numba.core.event.Listener):
    """Listens to numba: says so when it compiles, and adds up the seconds it takes."""

    def __init__(self, say):
        self.say, self.seconds, self.depth, self.began = say, 0.0, 0, 0.0

    def __enter__(self):
        numba.core.event.register("numba:compile", self)
        return self

    def __exit__(self, *exception):
        numba.core.event.unregister("numba:compile", self)

    def on_start(self, event):
        if not self.depth:
            self.began = time.perf_counter()
            if not self.seconds:
                self.say("compiling: once for this version, it takes some seconds")
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if not self.depth:
            self.seconds += time.perf_counter() - self.began


def trace_filters(network, settings):
    """What `TraceFile` is to keep: a dict of its layers, neurons and steps. Raises InputError for what is not in the network."""
    layers, places = settings.trace_layers and settings.trace_layers.split(","), settings.trace_neuron_places
    spiking = {layer.name: layer for layer in network.spiking}
    for where, names in ("--trace-layers", layers or ()), ("--trace-neurons", [name for name, _ in places or ()]):
        unknown = [name for name in names if name not in spiking]
        if unknown:
            raise InputError(where, f"names among {', '.join(spiking)}", unknown[0], "name layers as the table does")
    outside = [name for name, _ in places or () if layers and name not in layers]
    if outside:
        raise InputError("--trace-neurons", f"neurons of --trace-layers {settings.trace_layers}", f"one of {outside[0]}",
                         "add the layer there, or leave --trace-layers out")
    try:
        neurons = places and [(name, neuron_number(spiking[name], place)) for name, place in places]
    except InputError as error:
        raise InputError("--trace-neurons", error.expected, error.found, "count from 0") from None
    return {"layers": layers, "neurons": neurons, "steps": settings.trace_step_range}


def trace_files(simulation, images, folder, settings, positions):
    """A sink for each of the images at `positions`: a file, or None where spikes are not kept."""
    filters = trace_filters(simulation.network, settings)
    provenance = {"semantics": simulation.describe(), "settings": settings.outcome(), "data": images.name, "split": images.split,
                  "eventsnn": eventsnn.__version__}
    return [TraceFile(folder.partial / f"trace-{images.indices[i]}.h5", simulation, int(images.indices[i]), **filters,
                      provenance=provenance) if i < settings.trace_images else None for i in positions]


def describe_run(graph, simulation, settings, images, calibration, run_id):
    """All that is needed to make the run again."""
    return without_infinity({
        "id": run_id, "settings": settings.outcome(), "semantics": simulation.describe(), "notes": list(simulation.network.notes),
        "network": {"file": settings.net, "sha256": graph.hash, **{k: v for k, v in graph.meta.items() if k != "classes"}},
        "data": {"name": images.name, "split": images.split, "images": len(images), "first": int(images.indices[0]),
                 "last": int(images.indices[-1]), "sha256": digest(images), "calibration": calibration},
        "versions": {"eventsnn": eventsnn.__version__, "python": platform.python_version(), "numpy": np.__version__,
                     "numba": numba.__version__, "h5py": h5py.__version__, "machine": platform.machine()},
    })


def without_infinity(value):
    """JSON-able values with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {k: without_infinity(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinity(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report(folder, simulation, images, ann_output, settings, provenance, say):
    """Write run.h5, CSVs, pictures and summary.json into the folder's `results`; print the tables; return the summary."""
    from eventsnn import plots  # matplotlib takes its time: not before it is needed
    steps = sorted(set(settings.report_steps)) or report_steps(settings.steps)
    totals = record.write_hdf5(folder.results / "run.h5", folder, simulation, images, ann_output, steps, provenance,
                                settings.trace)
    layers = layer_rows(simulation, totals, len(images))
    softmax = graph_ends_in_softmax(simulation.network.graph)
    accuracy = accuracy_rows(totals, steps, images.labels, ann_output.argmax(axis=1), None if softmax else ann_output.shape[1])
    ann_accuracy = None if images.labels is None else float(np.mean(ann_output.argmax(axis=1) == images.labels))
    tables.write_csv(folder.results / "layers.csv", layers)
    tables.write_csv(folder.results / "accuracy.csv", accuracy)
    title = f"{provenance['network'].get('arch', Path(settings.net).stem)}, {len(images):,} images of {images.name}"
    plots.save(plots.accuracy_figure(accuracy, ann_accuracy, title), folder.results / "accuracy.png")
    plots.save(plots.rates_figure(layers[:-1], title), folder.results / "rates.png")
    summary = {
        "ann_accuracy": ann_accuracy, "snn_accuracy": {str(row["T"]): row["accuracy"] for row in accuracy},
        "agreement_with_ann": {str(row["T"]): row["agreement_with_ann"] for row in accuracy},
        "readout_mse": {str(row["T"]): row["readout_mse"] for row in accuracy}, "images": len(images),
        "spikes_per_image": float(totals.spikes.sum() / len(images)),
        "synaptic_operations_per_image": float(totals.operations.sum() / len(images)),
        "ties_per_image": float(totals.ties.sum() / len(images)), "seconds_simulation": totals.seconds,
        "cost_per_image": costs(simulation.network, (totals.spikes.sum(axis=1) + totals.stage_one[0]) / len(images),
                                (totals.operations.sum(axis=1) + totals.stage_one[1]) / len(images)),
        **after_stages(simulation, totals, len(images)),
        "neurons": simulation.network.neurons, "layers": len(simulation.network.spiking),
        "arithmetic": simulation.arithmetic.kind, "fraction_bits": simulation.arithmetic.fraction_bits or None, "meaning": MEANING,
        "cost_meaning": COST_MEANING,
        "running": {"workers": settings.workers or cores(), "batch": settings.batch}, **provenance,
    }
    (folder.results / "summary.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    print_tables(layers, accuracy, summary, settings, say)
    return summary


def after_stages(simulation, totals, count):
    """What the summary says of equilibrium, where drive ends, and of SRP's first stage, where there is one."""
    found = {}
    if simulation.drive_steps < simulation.steps:
        found["equilibrium"] = {"mean_t_eq": float(totals.t_eq.mean()), "largest_t_eq": int(totals.t_eq.max()),
                                "images_not_at_rest": int((totals.t_eq == simulation.steps).sum())}
    if simulation.srp:
        spikes, operations = totals.stage_one.sum(axis=1) / count
        found["stage_one"] = {"steps": simulation.srp, "spikes_per_image": float(spikes),
                              "synaptic_operations_per_image": float(operations)}
    return found


def layer_rows(simulation, totals, count):
    """One row a layer: what it is, its threshold, its rate (spikes per neuron and step), and means per image."""
    return [{"layer": layer.name, "activation": layer.node.op if layer.node else "readout", "shape": "x".join(map(str, layer.grid)),
             "neurons": layer.size, "theta": layer.scale, "rate": float(spikes.sum() / (layer.size * simulation.steps * count)),
             "spikes_per_image": float(spikes.sum() / count), "synaptic_operations_per_image": float(operations.sum() / count),
             "ties_per_image": float(ties / count)}
            for layer, spikes, operations, ties in zip(simulation.network.layers, totals.spikes, totals.operations, totals.ties)]


def graph_ends_in_softmax(graph):
    """Whether the ANN's output is no sum of charge, which the readout is."""
    return graph.by_name[graph.output].op == "Softmax"


def accuracy_rows(totals, steps, labels, ann_classes, classes):
    """One row for each T: accuracy with its 95 % interval, agreement with the ANN, mean squared error of the readout against the ANN's
    output (classes None: not known), spikes and operations per image up to T."""
    count, rows = len(ann_classes), []
    for t, predicted, error in zip(steps, totals.predictions.T, totals.squared_errors.sum(axis=0)):
        hits = None if labels is None else int(np.sum(predicted == labels))
        low, high = (None, None) if hits is None else tables.wilson(hits, count)
        rows.append({"T": t, "accuracy": None if hits is None else hits / count, "accuracy_low": low, "accuracy_high": high,
                     "agreement_with_ann": float(np.mean(predicted == ann_classes)),
                     "readout_mse": None if classes is None else float(error / (count * classes)),
                     "spikes_per_image": float(totals.spikes[:, :t].sum() / count),
                     "synaptic_operations_per_image": float(totals.operations[:, :t].sum() / count)})
    return rows


def print_tables(layers, accuracy, summary, settings, say):
    """Say what came out: a row a layer, a row a T, and the sum of it."""
    unit, factor = tables.in_unit([row["synaptic_operations_per_image"] for row in (*layers, *accuracy)])
    columns = {**tables.COLUMNS, "agreement_with_ann": tables.COLUMNS["agreement"], "spikes_per_image": ("spikes", ",.0f"),
               "synaptic_operations_per_image": (f"{unit} operations".strip(), ",.2f" if unit else ",.0f")}

    def scaled(row):
        return {**row, "synaptic_operations_per_image": row["synaptic_operations_per_image"] * factor}
    say("\nLayers, means per image (rate: spikes per neuron and step; operations: synaptic, of the spikes that arrive)")
    silent = dict.fromkeys(("theta", "rate", "spikes_per_image"))  # the readout never fires
    rows = [scaled(row) for row in layers[:-1]] + [scaled(layers[-1]) | silent]
    say(tables.text_table([{k: v for k, v in row.items() if k != "ties_per_image"} for row in rows], columns))
    labelled = summary["ann_accuracy"] is not None
    say("\nAfter T steps" + (" (with the 95 % interval of the accuracy; as the ANN: images put into the same class)" if labelled else
                             " (as the ANN: images put into the same class)"))
    rows = []
    for row in map(scaled, accuracy):
        known = {"accuracy": row["accuracy"], "interval": f"{row['accuracy_low']:.1%} – {row['accuracy_high']:.1%}"} if labelled else {}
        rows.append({"T": row["T"], **known, **{k: row[k] for k in ("agreement_with_ann", "spikes_per_image",
                                                                    "synaptic_operations_per_image")}})
    say(tables.text_table(rows, columns))
    seconds, images = summary["seconds_simulation"], summary["images"]
    speed, size = tables.in_unit([summary["synaptic_operations_per_image"] * images / max(seconds, 1e-9)])
    speed = f"{summary['synaptic_operations_per_image'] * images / max(seconds, 1e-9) * size:,.1f} {speed}"
    cost = summary["cost_per_image"]
    if "stage_one" in summary:
        stage = summary["stage_one"]
        say(f"\nSRP's first stage: {stage['steps']} steps, {stage['spikes_per_image']:,.0f} spikes and "
            f"{stage['synaptic_operations_per_image'] / 1e6:,.2f} M operations an image more")
    if "equilibrium" in summary:
        rest = summary["equilibrium"]
        say(f"\nequilibrium: T_eq {rest['mean_t_eq']:.1f} on average, {rest['largest_t_eq']} at most" + (
            f"; {rest['images_not_at_rest']:,} images still moved in step {accuracy[-1]['T']}: raise --steps"
            if rest["images_not_at_rest"] else ""))
    say(f"\nEnergy an image, as papers estimate it: {cost['counted_microjoule']:,.1f} µJ at 0.9 pJ for each operation counted;\n"
        f"by DNISNM's formula {cost['dnisnm_microjoule']:,.1f} µJ ({cost['dnisnm_energy_drop']:+.0%} against the ANN); by SpikeZIP's "
        f"{cost['spikezip_microjoule']:,.1f} µJ (ANN {cost['spikezip_ann_microjoule']:,.1f} µJ)")
    last = f"SNN {accuracy[-1]['accuracy']:.2%} at T = {accuracy[-1]['T']}; ANN {summary['ann_accuracy']:.2%}; " if labelled else ""
    threads = settings.workers or cores()
    say(f"\n{last}{summary['ties_per_image']:,.1f} exact ties an image\nsimulated {images:,} images in {seconds:.1f} s: "
        f"{speed.strip()} synaptic operations a second on {threads} thread{'s' * (threads > 1)}")
