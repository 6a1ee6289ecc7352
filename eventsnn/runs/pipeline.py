"""A run from settings to results folder: load, convert, check, simulate, record."""

from __future__ import annotations

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

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import with_preprocessing
from eventsnn.data.images import check_images, load_images, pixel_range
from eventsnn.exceptions import InputError, one_line
from eventsnn.export import nir, spikes
from eventsnn.network import check, thresholds
from eventsnn.network import convert as conversion
from eventsnn.network.network import neuron_number
from eventsnn.readers import load
from eventsnn.runs import folder as record
from eventsnn.runs.report import report
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.files import TraceFile
from eventsnn.trace.trace import Recorder
from eventsnn.version import VERSION

CHECKED_IMAGES = 8


@dataclass
class Say:
    """Where words go: to `stream`, or nowhere if None. bars: whether progress may be shown, on a
    terminal.
    """

    stream: object
    bars: bool

    def __call__(self, text=""):
        if self.stream and not put(text, self.stream):
            # nobody reads on, as in `… | head`; the results folder is still wanted
            self.stream = None

    def bar(self, total, label):
        """A progress bar in images: after two seconds, on a terminal only."""
        return tqdm(
            total=total,
            desc=label,
            unit="image",
            disable=None if self.bars else True,
            delay=2,
            leave=False,
            file=sys.stderr,
        )


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
    """Run everything; prints what it finds, writes the results folder and returns the summary (a
    dict).
    """
    say = Say(None if settings.quiet or settings.json else sys.stdout, not settings.quiet)
    with advice("export the network again, or give another --net"):
        graph = with_preprocessing(
            load(settings.net, settings.arch),
            settings.input_scale,
            settings.input_mean,
            settings.input_std,
        )
    with advice("repair the data, or give another --data"):
        images = load_images(settings.data, split=settings.split, limit=settings.limit)
        check_images(graph, images.pixels, images.labels, f"--data {settings.data}")
    describe_input(graph, images, settings, say)

    run_id = settings.id(graph.hash, digest(images), VERSION)
    out = (
        settings.out
        or f"runs/{re.sub(r'[^-.0-9A-Za-z_]', '_', Path(settings.net).stem)[:60]}-{run_id}"
    )
    with record.Folder(out) as folder, advice("change the network, or give another --net"):
        network, calibration = convert_checked(graph, images, settings, say)
        simulation = prepare(network, images, settings)
        trace_filters(network, settings)
        say(f"arithmetic: {simulation.arithmetic}")
        provenance = describe_run(graph, simulation, settings, images, calibration, run_id)
        there = folder.start(
            {"id": run_id, "versions": provenance["versions"], "sources": hash_of_sources()}
        )
        if there:
            say(f"going on with an earlier run: {there:,} of {len(images):,} images are there")
        if "nir" in settings.exports:
            for note in nir.write(simulation, folder.results / "network.nir", settings.nir_for):
                say(f"note: {note}")
        with say.bar(len(images), "ANN") as bar:
            ann_output = ann.predict(
                graph,
                images.pixels,
                workers=settings.workers,
                progress=lambda done, _: bar.update(done - bar.n),
            )
        if not np.isfinite(ann_output).all():
            raise InputError(
                f"{graph.source}: output",
                "finite numbers for every image",
                "infinity or NaN",
                "export the network again",
            )
        simulate(simulation, images, folder, settings, say)
        spikes.write_all(
            folder.partial,
            folder.results,
            [name for name in settings.exports if name in spikes.WRITERS],
        )
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
        raise (
            error if error.do else InputError(error.where, error.expected, error.found, do)
        ) from None


def describe_input(graph, images, settings, say):
    """Say what was found: layers, neurons, parameters, activations, preprocessing, images."""
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    kinds = {
        node.op: sum(other.op == node.op for other in graph.activations)
        for node in graph.activations
    }
    accuracy = graph.meta.get("test_accuracy")
    say(
        f"network: {graph.meta.get('arch', 'unnamed')} from {graph.source}: {len(graph.nodes)} nodes, {graph.parameters:,} parameters"
        + ("" if accuracy is None else f"; test accuracy {accuracy:.2%}, it says")
    )
    say(
        f"activations: {', '.join(f'{n} {op}' for op, n in kinds.items()) or 'none'}; {neurons:,} neurons"
    )
    say(f"preprocessing: {graph.preprocessing}")
    if "note" in graph.meta:
        say(f"note: {one_line(graph.meta['note'])}")
    classes = images.classes or graph.meta.get("classes", ())
    say(
        f"images: {len(images):,} of {images.name} ({images.split}), {'x'.join(map(str, images.pixels.shape[1:]))} {images.pixels.dtype}"
        + ("; no labels, so no accuracy" if images.labels is None else "")
        + (
            f"; classes {', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}"
            if classes
            else ""
        )
    )
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
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        result.update(path.read_bytes())
    return result.hexdigest()


def convert_checked(graph, images, settings, say):
    """The converted network and a description of the calibration images; says how far it is from
    the graph.
    """
    needed = thresholds.needs_calibration(graph, settings.thresholds, settings.readout)
    try:
        calibration = load_calibration(graph, settings)
        pixels, last = calibration.pixels, calibration.indices[-1]
        name = f"{calibration.name} {calibration.split}:{calibration.indices[0]}-{last}"
    except InputError as error:
        if needed or settings.calibration is not None:
            raise InputError(
                f"--calibration {settings.calibration or 'train:0-127'}: {error.where}",
                error.expected,
                error.found,
                error.do,
            ) from None
        low, high = pixel_range(images.pixels)
        pixels = (
            np.random.default_rng(settings.seed)
            .uniform(low, high, (CHECKED_IMAGES, *graph.input_shape))
            .astype(np.float32)
        )
        name = "none"
    with np.errstate(all="ignore"):
        check_finite(graph, pixels[:CHECKED_IMAGES])
    network = conversion.convert(
        graph,
        thresholds=settings.thresholds,
        percentile=settings.percentile,
        calibration=pixels,
        dead=settings.dead,
        max_pooling=settings.max_pooling,
        residual=settings.residual,
        readout=settings.readout,
    )
    worst, where = check.check(network, pixels[:CHECKED_IMAGES])
    for note in network.notes:
        say(f"note: {note}")
    say(
        f"conversion: {len(network.spiking)} layers, {network.neurons:,} neurons, {network.synapses:,} synapses; thresholds "
        f"{network.thresholds}" + (f", found on {name}" if needed else "")
    )
    say(
        f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value (layer {where}; on "
        f"{len(pixels[:CHECKED_IMAGES])} {'random images' if name == 'none' else f'images of {name}'})"
    )
    return network, name


def check_finite(graph, pixels):
    """Raise InputError if the ANN's numbers overflow on these images, as they do with damaged
    weights.
    """
    for image in graph.preprocessing(pixels):
        outputs = ann.forward(graph, image[None], keep=(graph.input, *graph.by_name))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise InputError(
                    f"{graph.source}: node {name!r}",
                    "outputs that float32 can hold",
                    "infinity or NaN",
                    "weights, thresholds or preprocessing are damaged: export the network again",
                )


def load_calibration(graph, settings):
    """The calibration images; InputError unless they are all there and, by default, are no test
    images.
    """
    split, first, last = settings.calibration_range
    advice = "give --data with a train split, or say which images to use: --calibration test:0-127 calibrates on the test images"
    try:
        images = load_images(settings.data, split=split, limit=last - first + 1, offset=first)
    except InputError as error:
        raise InputError(error.where, error.expected, error.found, advice) from None
    if images.split != split:
        raise InputError("--data", f"a {split} split", f"{images.split} images", advice)
    if settings.calibration is not None and len(images) <= last - first:
        raise InputError(
            "--data",
            f"{last + 1:,} images in its {split} split",
            f"{first + len(images):,}",
            "ask for fewer",
        )
    if split != settings.split:
        count = min(len(images), CHECKED_IMAGES)
        try:
            tested = load_images(
                settings.data, split=settings.split, limit=count, offset=first
            ).pixels
        except InputError:  # a smaller split, so another one
            tested = None
        if np.array_equal(tested, images.pixels[:count]):
            raise InputError(
                "--data", f"a {split} split", "the same images, whatever the split", advice
            )
    check_images(graph, images.pixels, where="--data")
    return images


def prepare(network, images, settings):
    """The Simulation that the settings ask for."""
    try:
        return Simulation(
            network,
            steps=settings.steps,
            engine=settings.engine,
            neuron=settings.neuron,
            tau=settings.tau,
            initial=settings.initial,
            srp=settings.srp,
            srp_epsilon=settings.srp_epsilon,
            encoding=Encoding(
                kind=settings.encoding, release=settings.release, bias_once=settings.bias_once
            ),
            arithmetic=settings.arithmetic,
            fraction_bits=settings.fraction_bits,
            seed=settings.seed,
            pixel_range=pixel_range(images.pixels),
            time=settings.time,
        )
    except InputError as error:
        raise InputError(
            f"{network.graph.source}: {error.where}", error.expected, error.found, error.do
        ) from None


def simulate(simulation, images, folder, settings, say):
    """Simulate the images that the folder does not have yet."""
    missing = folder.missing(len(images))
    if not len(missing):
        return
    with Compiling(say) as compiling, say.bar(len(images), "SNN") as bar:
        # load what was compiled before, or compile: the seconds below are the simulation's own
        simulation.warm_up(images.pixels[0], Recorder() if settings.trace == "spikes" else None)
        bar.update(len(images) - len(missing))
        for stretch in np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1):
            first, before = int(stretch[0]), time.perf_counter() - compiling.seconds
            sinks = (
                trace_files(simulation, images, folder, settings, stretch)
                if settings.trace == "spikes"
                else None
            )
            for start, batch in simulation.stream(
                images.pixels[first : first + len(stretch)],
                numbers=images.indices[stretch],
                workers=settings.workers,
                batch=settings.batch,
                sinks=sinks,
            ):
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
    """What `TraceFile` is to keep: a dict of its layers, neurons and steps. Raises InputError for
    what is not in the network.
    """
    layers, places = (
        settings.trace_layers and settings.trace_layers.split(","),
        settings.trace_neuron_places,
    )
    spiking = {layer.name: layer for layer in network.spiking}
    for where, names in (
        ("--trace-layers", layers or ()),
        ("--trace-neurons", [name for name, _ in places or ()]),
    ):
        unknown = [name for name in names if name not in spiking]
        if unknown:
            raise InputError(
                where,
                f"names among {', '.join(spiking)}",
                unknown[0],
                "name layers as the table does",
            )
    outside = [name for name, _ in places or () if layers and name not in layers]
    if outside:
        raise InputError(
            "--trace-neurons",
            f"neurons of --trace-layers {settings.trace_layers}",
            f"one of {outside[0]}",
            "add the layer there, or leave --trace-layers out",
        )
    try:
        neurons = places and [(name, neuron_number(spiking[name], place)) for name, place in places]
    except InputError as error:
        raise InputError("--trace-neurons", error.expected, error.found, "count from 0") from None
    return {"layers": layers, "neurons": neurons, "steps": settings.trace_step_range}


def trace_files(simulation, images, folder, settings, positions):
    """A sink for each of the images at `positions`: a file, or None where spikes are not kept."""
    filters = trace_filters(simulation.network, settings)
    provenance = {
        "semantics": simulation.describe(),
        "settings": settings.outcome(),
        "data": images.name,
        "split": images.split,
        "eventsnn": VERSION,
    }
    return [
        TraceFile(
            folder.partial / f"trace-{images.indices[i]}.h5",
            simulation,
            int(images.indices[i]),
            **filters,
            provenance=provenance,
        )
        if i < settings.trace_images
        else None
        for i in positions
    ]


def describe_run(graph, simulation, settings, images, calibration, run_id):
    """All that is needed to make the run again."""
    return without_infinity(
        {
            "id": run_id,
            "settings": settings.outcome(),
            "semantics": simulation.describe(),
            "notes": list(simulation.network.notes),
            "network": {
                "file": settings.net,
                "sha256": graph.hash,
                "preprocessing": str(graph.preprocessing),
                **{k: v for k, v in graph.meta.items() if k != "classes"},
            },
            "data": {
                "name": images.name,
                "split": images.split,
                "images": len(images),
                "first": int(images.indices[0]),
                "last": int(images.indices[-1]),
                "sha256": digest(images),
                "calibration": calibration,
            },
            "versions": {
                "eventsnn": VERSION,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "numba": numba.__version__,
                "h5py": h5py.__version__,
                "machine": platform.machine(),
            },
        }
    )


def without_infinity(value):
    """JSON-able values with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {k: without_infinity(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinity(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
