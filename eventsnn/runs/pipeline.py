"""A run from settings to results folder: load, convert, check, simulate, record."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import h5py
import numba.core.event
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, with_preprocessing
from eventsnn.data.images import Images, check_images, load_images, pixel_range
from eventsnn.exceptions import InputError, one_line
from eventsnn.export import nir, spikes
from eventsnn.network import check, thresholds
from eventsnn.network.convert import convert
from eventsnn.network.network import Network, neuron_number
from eventsnn.readers import load
from eventsnn.runs.folder import Folder
from eventsnn.runs.report import report
from eventsnn.settings import Settings
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.files import TraceFile
from eventsnn.trace.trace import Recorder
from eventsnn.version import VERSION

CHECKED_IMAGES = 8
EXPORT_AGAIN = "export the network again"


@dataclass
class Say:
    """Where words go.

    stream: where lines are printed, or None: nowhere. bars: whether progress may be shown, on a
    terminal.
    """

    stream: TextIO | None
    bars: bool

    def __call__(self, text: str = "") -> None:
        if self.stream and not put(text, self.stream):
            # nobody reads on, as in `… | head`; the results folder is still wanted
            self.stream = None

    def bar(self, total: int, label: str) -> tqdm:
        """A progress bar, shown after two seconds and on a terminal only.

        total: how many images there are. label: what happens to them.
        """
        return tqdm(
            total=total,
            desc=label,
            unit="image",
            disable=None if self.bars else True,
            delay=2,
            leave=False,
            file=sys.stderr,
        )


def put(text: str, stream: TextIO) -> bool:
    """Prints a line to `stream`; returns whether somebody reads it.

    Raises OSError, with the name "standard output", where the stream cannot be written.
    """
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None
    return True


def run(settings: Settings) -> dict[str, Any]:
    """Runs everything: prints what it finds and writes the results folder.

    settings: what to run and how. Returns the summary, which is in summary.json. Raises InputError
    for what cannot be run, and OSError where the disk refuses.
    """
    say = Say(None if settings.quiet or settings.json else sys.stdout, not settings.quiet)
    graph, images = load_inputs(settings)
    describe_input(graph, images, settings, say)
    run_id = settings.id(graph.hash, digest(images), VERSION)
    name = re.sub(r"[^-.0-9A-Za-z_]", "_", Path(settings.net).stem)[:60]
    out = settings.out or f"runs/{name}-{run_id}"
    with Folder(out) as folder, advice("change the network, or give another --net"):
        network, calibration = convert_checked(graph, images, settings, say)
        simulation = prepare(network, images, settings)
        trace_filters(network, settings)  # before anything runs
        say(f"arithmetic: {simulation.arithmetic}")
        provenance = describe_run(graph, simulation, settings, images, calibration, run_id)
        versions = provenance["versions"]
        identity = {"id": run_id, "versions": versions, "sources": hash_of_sources()}
        there = folder.start(identity)
        if there:
            say(f"going on with an earlier run: {there:,} of {len(images):,} images are there")
        if "nir" in settings.exports:
            for note in nir.write(simulation, folder.results / "network.nir", settings.nir_for):
                say(f"note: {note}")
        ann_output = run_ann(graph, images, settings, say)
        simulate(simulation, images, folder, settings, say)
        formats = [name for name in settings.exports if name in spikes.WRITERS]
        spikes.write_all(folder.partial, folder.results, formats)
        summary = report(folder, simulation, images, ann_output, settings, provenance, say)
        folder.finish()
    say(f"results in {one_line(out, 1000)}")
    if settings.json:
        put(json.dumps(summary, indent=1), sys.stdout)
    return summary


@contextmanager
def advice(do: str) -> Iterator[None]:
    """In its block, wrong input says what to do: its own advice, or else `do`."""
    try:
        yield
    except InputError as error:
        if error.do:
            raise error from None
        raise InputError(error.where, error.expected, error.found, do) from None


def load_inputs(settings: Settings) -> tuple[Graph, Images]:
    """The network and the images that the settings name.

    Raises InputError for files that cannot be read, and for images that do not fit the network.
    """
    with advice(f"{EXPORT_AGAIN}, or give another --net"):
        graph = with_preprocessing(
            load(settings.net, settings.arch),
            settings.input_scale,
            settings.input_mean,
            settings.input_std,
        )
    with advice("repair the data, or give another --data"):
        images = load_images(settings.data, split=settings.split, limit=settings.limit)
        check_images(graph, images.pixels, images.labels, f"--data {settings.data}")
    return graph, images


def describe_input(graph: Graph, images: Images, settings: Settings, say: Say) -> None:
    """Says what was found: layers, neurons, parameters, activations, preprocessing, images.

    graph, images: what was loaded. settings: whose limit is compared. say: where words go.
    """
    name = graph.meta.get("arch", "unnamed")
    accuracy = graph.meta.get("test_accuracy")
    said = "" if accuracy is None else f"; test accuracy {accuracy:.2%}, it says"
    size = f"{len(graph.nodes)} nodes, {graph.parameters:,} parameters"
    say(f"network: {name} from {graph.source}: {size}{said}")
    counts = Counter(node.op for node in graph.activations)
    kinds = ", ".join(f"{count} {op}" for op, count in counts.items()) or "none"
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    say(f"activations: {kinds}; {neurons:,} neurons")
    say(f"preprocessing: {graph.preprocessing}")
    if "note" in graph.meta:
        say(f"note: {one_line(graph.meta['note'])}")
    shape = "x".join(map(str, images.pixels.shape[1:]))
    words = f"{len(images):,} of {images.name} ({images.split}), {shape} {images.pixels.dtype}"
    if images.labels is None:
        words += "; no labels, so no accuracy"
    classes = images.classes or graph.meta.get("classes", ())
    if classes:
        more = " …" if len(classes) > 10 else ""
        words += f"; classes {', '.join(classes[:10])}{more}"
    say(f"images: {words}")
    if settings.limit and len(images) < settings.limit:
        say(f"note: --limit asks for {settings.limit:,} images, there are {len(images):,}")


def digest(images: Images) -> str:
    """A hash of the images' pixels, labels and positions, in hexadecimal digits."""
    result = hashlib.sha256()
    for array in (images.pixels, images.indices, images.labels):
        if array is not None:
            result.update(f"{array.dtype.str}{array.shape}".encode())
            result.update(np.ascontiguousarray(array).data)
    return result.hexdigest()


def hash_of_sources() -> str:
    """A hash of this package, in hexadecimal digits: another version's batches may differ."""
    result = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        result.update(path.read_bytes())
    return result.hexdigest()


def convert_checked(
    graph: Graph, images: Images, settings: Settings, say: Say
) -> tuple[Network, str]:
    """(the converted network, the calibration images in words); says how far it is from the graph.

    graph: the ANN. images: those to run, for their range of pixels. settings: of the conversion.
    say: where words go. Raises InputError where the network has no spiking form, or calibration
    images are needed and missing.
    """
    needed = thresholds.needs_calibration(graph, settings.thresholds, settings.readout)
    pixels, name = calibration_pixels(graph, images, settings, needed)
    checked = pixels[:CHECKED_IMAGES]
    with np.errstate(all="ignore"):
        check_finite(graph, checked)
    network = convert(
        graph,
        thresholds=settings.thresholds,
        percentile=settings.percentile,
        calibration=pixels,
        dead=settings.dead,
        max_pooling=settings.max_pooling,
        residual=settings.residual,
        readout=settings.readout,
    )
    worst, where = check.check(network, checked)
    for note in network.notes:
        say(f"note: {note}")
    say(
        f"conversion: {len(network.spiking)} layers, {network.neurons:,} neurons, "
        f"{network.synapses:,} synapses; thresholds {network.thresholds}"
        + (f", found on {name}" if needed else "")
    )
    kind = "random images" if name == "none" else f"images of {name}"
    say(
        f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value "
        f"(layer {where}; on {len(checked)} {kind})"
    )
    return network, name


def calibration_pixels(
    graph: Graph, images: Images, settings: Settings, needed: bool
) -> tuple[NDArray[Any], str]:
    """(raw pixels [N, C, H, W], where they are from) of the calibration images.

    Where there are none and none are needed, the pixels are random and come from "none". graph: the
    ANN. images: those to run, for their range of pixels. settings: of the conversion. needed:
    whether a threshold is found on them. Raises InputError where calibration images are needed, or
    asked for, and missing.
    """
    try:
        calibration = load_calibration(graph, settings)
    except InputError as error:
        if needed or settings.calibration is not None:
            where = f"--calibration {settings.calibration or 'train:0-127'}: {error.where}"
            raise InputError(where, error.expected, error.found, error.do) from None
        low, high = pixel_range(images.pixels)
        shape = (CHECKED_IMAGES, *graph.input_shape)
        random = np.random.default_rng(settings.seed).uniform(low, high, shape)
        return random.astype(np.float32), "none"
    split = f"{calibration.name} {calibration.split}"
    return calibration.pixels, f"{split}:{calibration.indices[0]}-{calibration.indices[-1]}"


def check_finite(graph: Graph, pixels: NDArray[Any]) -> None:
    """Raises InputError if the ANN's numbers overflow, as they do with damaged weights.

    graph: the ANN. pixels: raw images [N, C, H, W] on which it is tried.
    """
    for image in graph.preprocessing(pixels):
        outputs = ann.forward(graph, image[None], keep=(graph.input, *graph.by_name))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                where = f"{graph.source}: node {name!r}"
                do = f"weights, thresholds or preprocessing are damaged: {EXPORT_AGAIN}"
                raise InputError(where, "outputs that float32 can hold", "infinity or NaN", do)


def load_calibration(graph: Graph, settings: Settings) -> Images:
    """The calibration images that the settings name.

    graph: the ANN that they must fit. Raises InputError unless they are all there and, by default,
    are no test images.
    """
    split, first, last = settings.calibration_range
    do = (
        "give --data with a train split, or say which images to use: "
        "--calibration test:0-127 calibrates on the test images"
    )
    try:
        images = load_images(settings.data, split=split, limit=last - first + 1, offset=first)
    except InputError as error:
        raise InputError(error.where, error.expected, error.found, do) from None
    expected = f"a {split} split"
    if images.split != split:
        raise InputError("--data", expected, f"{images.split} images", do)
    if settings.calibration is not None and len(images) <= last - first:
        count = f"{last + 1:,} images in its {split} split"
        raise InputError("--data", count, f"{first + len(images):,}", "ask for fewer")
    if split != settings.split and _are_tested(images, first, settings):
        raise InputError("--data", expected, "the same images, whatever the split", do)
    check_images(graph, images.pixels, where="--data")
    return images


def _are_tested(images: Images, first: int, settings: Settings) -> bool:
    """Whether these images, from position `first` on, are also those of the split to run."""
    count = min(len(images), CHECKED_IMAGES)
    try:
        tested = load_images(settings.data, split=settings.split, limit=count, offset=first)
    except InputError:  # a smaller split, so another one
        return False
    return np.array_equal(tested.pixels, images.pixels[:count])


def prepare(network: Network, images: Images, settings: Settings) -> Simulation:
    """The Simulation that the settings ask for.

    network: what runs. images: those to run, for their range of pixels. Raises InputError for what
    it cannot hold.
    """
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
        where = f"{network.graph.source}: {error.where}"
        raise InputError(where, error.expected, error.found, error.do) from None


def run_ann(graph: Graph, images: Images, settings: Settings, say: Say) -> NDArray[np.float32]:
    """The ANN's output for all images, float32 [N, classes].

    graph: the ANN. images: what it runs on. settings: how many workers. say: where progress is
    shown. Raises InputError unless all of it is finite.
    """
    with say.bar(len(images), "ANN") as bar:
        output = ann.predict(
            graph,
            images.pixels,
            workers=settings.workers,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    if not np.isfinite(output).all():
        where = f"{graph.source}: output"
        expected = "finite numbers for every image"
        raise InputError(where, expected, "infinity or NaN", EXPORT_AGAIN)
    return output


def simulate(
    simulation: Simulation, images: Images, folder: Folder, settings: Settings, say: Say
) -> None:
    """Simulates the images that the folder does not have yet.

    simulation: runs them. images: all of the run. folder: keeps the batches, and traces where they
    are asked for. settings: how to run. say: where words go. Raises what the engine raises, and
    OSError where the disk refuses.
    """
    missing = folder.missing(len(images))
    if not len(missing):
        return
    traced = settings.trace == "spikes"
    with Compiling(say) as compiling, say.bar(len(images), "SNN") as bar:
        # load what was compiled before, or compile: the seconds below are the simulation's own
        simulation.warm_up(images.pixels[0], Recorder() if traced else None)
        bar.update(len(images) - len(missing))
        for stretch in np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1):
            first = int(stretch[0])
            before = time.perf_counter() - compiling.seconds
            sinks = trace_files(simulation, images, folder, settings, stretch) if traced else None
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
    """Inside `with`, says so when numba compiles, and adds up the `seconds` it takes.

    say: where words go.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.seconds = 0.0
        self.depth = 0
        self.began = 0.0

    def __enter__(self) -> Compiling:
        numba.core.event.register("numba:compile", self)
        return self

    def __exit__(self, *exception: object) -> None:
        numba.core.event.unregister("numba:compile", self)

    def on_start(self, event: object) -> None:
        """Numba begins to compile; event: not used."""
        if not self.depth:
            self.began = time.perf_counter()
            if not self.seconds:
                self.say("compiling: once for this version, it takes some seconds")
        self.depth += 1

    def on_end(self, event: object) -> None:
        """Numba has compiled; event: not used."""
        self.depth -= 1
        if not self.depth:
            self.seconds += time.perf_counter() - self.began


def trace_filters(network: Network, settings: Settings) -> dict[str, Any]:
    """What `TraceFile` is to keep: a dict of its layers, neurons and steps.

    network: whose layers. settings: which of them are traced. Raises InputError for what is not in
    the network.
    """
    given = settings.trace_layers
    places = settings.trace_neuron_places or []
    layers = given.split(",") if given else []
    spiking = {layer.name: layer for layer in network.spiking}
    named = [name for name, _ in places]
    for where, names in (("--trace-layers", layers), ("--trace-neurons", named)):
        unknown = [name for name in names if name not in spiking]
        if unknown:
            expected = f"names among {', '.join(spiking)}"
            raise InputError(where, expected, unknown[0], "name layers as the table does")
    outside = [name for name in named if layers and name not in layers]
    if outside:
        expected = f"neurons of --trace-layers {given}"
        do = "add the layer there, or leave --trace-layers out"
        raise InputError("--trace-neurons", expected, f"one of {outside[0]}", do)
    try:
        neurons = [(name, neuron_number(spiking[name], place)) for name, place in places]
    except InputError as error:
        raise InputError("--trace-neurons", error.expected, error.found, "count from 0") from None
    return {
        "layers": None if given is None else layers,
        "neurons": neurons or None,
        "steps": settings.trace_step_range,
    }


def trace_files(
    simulation: Simulation,
    images: Images,
    folder: Folder,
    settings: Settings,
    positions: Iterable[int],
) -> list[TraceFile | None]:
    """A sink for each of the images at `positions`: a file, or None where spikes are not kept.

    simulation: runs them. images: all of the run. folder: where the files go. settings: what is
    traced. positions: among the images. Raises what `trace_filters` raises.
    """
    filters = trace_filters(simulation.network, settings)
    provenance = {
        "semantics": simulation.describe(),
        "settings": settings.outcome(),
        "data": images.name,
        "split": images.split,
        "eventsnn": VERSION,
    }
    sinks: list[TraceFile | None] = []
    for position in positions:
        sink = None
        if position < settings.trace_images:
            number = int(images.indices[position])
            path = folder.partial / f"trace-{number}.h5"
            sink = TraceFile(path, simulation, number, **filters, provenance=provenance)
        sinks.append(sink)
    return sinks


def describe_run(
    graph: Graph,
    simulation: Simulation,
    settings: Settings,
    images: Images,
    calibration: str,
    run_id: str,
) -> dict[str, Any]:
    """All that is needed to make the run again, JSON-able.

    graph: the ANN. simulation: of its network. settings: of the run. images: all of the run.
    calibration: the calibration images in words. run_id: the run's.
    """
    found = {
        "id": run_id,
        "settings": settings.outcome(),
        "semantics": simulation.describe(),
        "notes": list(simulation.network.notes),
        "network": {
            "file": settings.net,
            "sha256": graph.hash,
            "preprocessing": str(graph.preprocessing),
            **{key: value for key, value in graph.meta.items() if key != "classes"},
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
    return {key: without_infinity(value) for key, value in found.items()}


def without_infinity(value: Any) -> Any:
    """A JSON-able value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_infinity(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinity(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
