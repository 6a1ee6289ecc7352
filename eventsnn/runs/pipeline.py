"""A run from settings to results folder: load, convert, check, simulate, record."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.data.ranges import PixelRange, range_of
from eventsnn.doubts import doubt_of
from eventsnn.exceptions import InputError, in_flags, one_line
from eventsnn.export import exporters
from eventsnn.inputs import made
from eventsnn.inputs.doubting import preprocessing_doubt
from eventsnn.inputs.given import read_given
from eventsnn.inputs.loading import EXPORT_AGAIN, advice, load_inputs
from eventsnn.inputs.made import hash_of_sources
from eventsnn.inputs.recorded import EventImages, of_events
from eventsnn.network.network import Network
from eventsnn.plugins import digest_of
from eventsnn.runs import earlier
from eventsnn.runs.calibrated import calibrated
from eventsnn.runs.conversion import convert_checked
from eventsnn.runs.folder import Folder
from eventsnn.runs.pictures import Painter, painter
from eventsnn.runs.provenance import describe_run, digest
from eventsnn.runs.report import print_tables, report
from eventsnn.runs.results import Results
from eventsnn.runs.run_file import Found
from eventsnn.runs.say import Say, describe_input, put
from eventsnn.runs.traces import trace_files, trace_filters
from eventsnn.settings import Settings
from eventsnn.simulation.declared import declare
from eventsnn.simulation.rounding import rounding_doubt
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.trace import Recorder
from eventsnn.version import VERSION
from eventsnn.views.progress import Compiling


def run(settings: Settings) -> dict[str, Any]:
    """Runs everything: prints what it finds and writes the results folder.

    settings: what to run and how. Returns the summary, which is in summary.json. Raises InputError
    for what cannot be run, and OSError where the disk refuses.
    """
    say = Say(None if settings.quiet or settings.json else sys.stdout, not settings.quiet)
    name = re.sub(r"[^-.0-9A-Za-z_]", "_", Path(settings.net).stem)[:60]
    versions = {**made.versions(), "sources": hash_of_sources()}
    found = earlier.finished(settings, name, versions)
    if found is not None:
        earlier.clear(found)
        return tell_again(found, settings, say)
    with painter() as artist:
        return _run(settings, name, versions, say, artist)


def _run(
    settings: Settings, name: str, versions: dict[str, Any], say: Say, artist: Painter
) -> dict[str, Any]:
    """What `run` does where no earlier run did it.

    name: of the network, in the folder's. versions: what runs it. say: where words go. artist:
    draws the pictures. Returns and raises as `run` does.
    """
    given = read_given(settings.thresholds_file)
    graph, images, notes = load_inputs(settings)
    describe_input(graph, images, settings, say)
    for note in notes:
        say(f"note: {in_flags(note)}")
    pixels = range_of(graph, images, settings.pixel_range or None)
    if not of_events(settings) and (images.pixels.dtype != np.uint8 or images.pixel_range):
        say(f"pixels: {in_flags(str(pixels))}")
    better = preprocessing_doubt(graph, images, settings, say.bars)
    if better:
        notes.append(better)
        say(f"warning: {in_flags(better)}")
    hashes = [given.sha256] if given else []
    hashes += [digest_of(settings.plugin)] if settings.plugin else []
    hashes += [repr(images.pixel_range)] if images.pixel_range else []
    data = digest(images)
    run_id = settings.id(graph.hash, data, VERSION, *hashes)
    identity = earlier.record(settings, run_id, graph.hash, data, versions, len(images))
    out = settings.out or f"runs/{name}-{run_id}"
    with Folder(out) as folder, advice("change the network, or give another --net"):
        for note in folder.notes:
            say(f"note: {note}")
        identity, earlier_results = earlier.checked(folder, settings, identity)
        if earlier_results is not None:
            earlier.clear_of(folder, identity)
            return tell_again(earlier_results, settings, say)
        network, calibration, tell_checked = convert_checked(
            graph, images, settings, say, given, [folder.lock]
        )
        try:
            simulation = prepare(network, pixels, settings, images)
            declare()
        finally:  # the copy that compares ends here in any case
            tell_checked()
        trace_filters(network, settings)  # before anything runs
        if settings.encoding is None and simulation.encoding.name != "constant":
            say(f"encoding: {simulation.encoding.name}, as {settings.neuron} neurons need it")
        say(f"arithmetic: {simulation.arithmetic}")
        rounded = rounding_doubt(simulation)
        if rounded:
            notes.append(rounded)
            say(f"warning: {in_flags(rounded)}")
        provenance = describe_run(graph, simulation, settings, images, pixels, calibration, run_id)
        provenance["notes"] += map(in_flags, notes)
        provenance |= {"versions": versions, "left_by": earlier.left_by(settings)}
        there = folder.open(identity)
        if there:
            say(f"going on with an earlier run: {there:,} of {len(images):,} images are there")
        export("network", [simulation], folder, settings, say)
        output, logits = run_ann(graph, images, settings, say)
        changed = run_ann(network.graph, images, settings, say)[1] if network.changed else None
        outputs = Found(output, logits, changed)
        doubt = doubt_of(graph, ann.classes_of(logits), images.labels)
        if doubt:
            provenance["notes"].append(in_flags(doubt))
            say(f"warning: {in_flags(doubt)}")
        simulate(simulation, images, folder, settings, say)
        folder.keep()
        export("spikes", sorted(folder.partial.glob("trace-*.h5")), folder, settings, say)
        summary = report(folder, simulation, images, outputs, settings, provenance, say, artist)
        folder.finish()
    say(f"results in {one_line(out, 1000)}")
    if settings.json:
        put(json.dumps(summary, indent=1), sys.stdout)
    return summary


def tell_again(found: Results, settings: Settings, say: Say) -> dict[str, Any]:
    """Says what this very command found earlier; returns the summary.

    found: its results. settings: of the run. say: where words go.
    """
    summary, run = found.summary, settings.out or str(found.folder)
    say(
        f"finished already: {summary['images']:,} images, by the same command; nothing is run "
        "again, unless --overwrite is given"
    )
    try:
        for note in summary["notes"]:
            say(f"note: {note}")
        print_tables(found.layers, found.accuracy, summary, say)
    except (LookupError, TypeError, ValueError):
        do = "--overwrite runs again"
        raise InputError(run, "results as they were left", "changed tables", do) from None
    say(f"results in {one_line(run, 1000)}")
    if settings.json:
        put(json.dumps(summary, indent=1), sys.stdout)
    return summary


def prepare(network: Network, pixels: PixelRange, settings: Settings, images: Images) -> Simulation:
    """The Simulation that the settings ask for.

    network: what runs. pixels: the range of the images'. images: all of the run, whose events
    count. With `calibrate` the network is calibrated first, on the calibration images and as it
    will run. Raises InputError for what it cannot hold, and where calibration images are missing.
    """
    recorded = images if isinstance(images, EventImages) else None
    specification = settings.specification
    if settings.calibrate:
        network, initial = calibrated(network, settings)
        specification = replace(specification, initial=initial)
    try:
        return Simulation(
            network,
            engine=settings.engine,
            encoding=settings.encoded if recorded is None else recorded.encoding,
            pixel_range=pixels.ends,
            inputs=None if recorded is None else recorded.events,
            time=settings.time,
            **vars(specification),
        )
    except InputError as error:
        where = f"{network.graph.source}: {error.where}"
        raise InputError(where, error.expected, error.found, error.do) from None


def export(
    kind: str,
    sources: Sequence[Simulation | Path],
    folder: Folder,
    settings: Settings,
    say: Say,
) -> None:
    """Writes the files for other programs that need one kind of thing.

    kind: "network" or "spikes". sources: the Simulation, or the trace files. folder: they go into
    its `results`. settings: which exporters, and their options. say: is called with each note.
    Raises InputError for what an exporter cannot write, and OSError where the disk refuses.
    """
    names = [name for name in settings.exports if exporters.EXPORTERS[name].needs == kind]
    for source in sources:
        for name in names:
            for note in exporters.write(name, source, folder.results, vars(settings)):
                say(f"note: {note}")


def run_ann(
    graph: Graph, images: Images, settings: Settings, say: Say
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(the ANN's output, what stands in front of a final Softmax), both float32.

    The first is as the ANN has it, the second [N, neurons] in the order of the readout's neurons.

    graph: the ANN. images: what it runs on. settings: how many workers. say: where progress is
    shown. Raises InputError unless all of it is finite.
    """
    with say.bar(len(images), "ANN") as bar:
        output, logits = ann.outputs_and_logits(
            graph,
            images.pixels,
            workers=settings.workers,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    if not (np.isfinite(output).all() and np.isfinite(logits).all()):
        where = f"{graph.source}: output"
        expected = "finite numbers for every image"
        raise InputError(where, expected, "infinity or NaN", EXPORT_AGAIN)
    return output, ann.by_neuron(logits)


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
    given: Any = images.events if isinstance(images, EventImages) else images.pixels
    with Compiling(say) as compiling:
        # load what was compiled before, or compile: the seconds below are the simulation's own
        simulation.warm_up(given[0], Recorder() if traced else None)
        with say.bar(len(images), "SNN", len(images) - len(missing)) as bar:
            compiling.bar = bar
            for stretch in np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1):
                first = int(stretch[0])
                before = time.perf_counter() - compiling.seconds
                sinks = None
                if traced:
                    sinks = trace_files(simulation, images, folder, settings, stretch)
                for start, batch in simulation.stream(
                    given[first : first + len(stretch)],
                    numbers=images.indices[stretch],
                    workers=settings.workers,
                    batch=settings.batch,
                    sinks=sinks,
                ):
                    now = time.perf_counter() - compiling.seconds
                    folder.add(first + start, batch, now - before)
                    before = now
                    bar.update(len(batch.readout))
