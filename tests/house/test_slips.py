"""Ordinary slips in Python: each is one line of InputError that says what was expected and found.

The table has at least three for every public function: a wrong type, shape, length, range or name.
"""

import inspect
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn import (
    adversary,
    ann,
    arithmetic,
    asynchronism,
    budgets,
    calibrate,
    certified,
    convert,
    cost,
    data,
    detection,
    diagnose,
    edits,
    encoding,
    equivalence,
    errors,
    explain,
    export,
    fetch,
    load,
    load_events,
    load_images,
    load_torch,
    microscope,
    neurons,
    open_results,
    order_sampling,
    plots,
    presets,
    readers,
    register,
    replay,
    report,
    save,
    simulate,
    statistics,
    surgery,
    sweep,
    tables,
    timing,
    trace,
)
from eventsnn.exceptions import InputError
from eventsnn.inspect import describe
from eventsnn.settings import Settings
from eventsnn.trace import bounds

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 1, 4, 4)).astype(np.uint8)
PLAN = sweep.Plan(options={"steps": 2}, images={"count": 4})
LABELS = np.array([0, 1, 2])
T = {"steps": 4}


@cache
def graph():
    b = Builder(np.random.default_rng(1), (1, 4, 4))
    return b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input", 2), "QCFS")])))


@cache
def network():
    return convert(graph())


@cache
def result(engine="event"):
    return simulate(network(), PIXELS, labels=LABELS, engine=engine, **T)


def simulation():
    return result().simulation


def recorded():
    return result().trace()


@cache
def seen():
    return microscope.observe(recorded(), 0, 0)


def run(images=PIXELS, **options):
    return simulate(network(), images, **T | options)


def images(count=3, **changes):
    fields = dict(name="some", split="test", indices=np.arange(count), pixels=PIXELS)
    return eventsnn.Images(**{**fields, "labels": LABELS, "classes": (), **changes})


def rows(count):
    """v(0) of some images."""
    return [np.zeros((count, layer.size)) for layer in network().spiking]


ROWS = [{"T": 1, "accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}]
RATES = [{"layer": "a", "rate": 0.1, "shape": "1x1x1"}]
ENDS = np.zeros(1), np.ones(1)
BITS = np.array([True, False, True])

# the function -> (what is called, what the message says) of each slip
SLIPS = {
    "convert": [
        (lambda: convert(), "argument graph, found none"),
        (lambda: convert("network.h5"), "graph: expected a Graph, found 'network.h5'; .*load"),
        (lambda: convert(network()), "graph: expected a Graph, found a Network"),
        (lambda: convert(graph(), "max"), "at most 1 arguments without a name, found 2"),
        (lambda: convert(graph(), threshold="max"), "did you mean thresholds"),
        (lambda: convert(graph(), thresholds="maximum"), "thresholds: expected one of .*'maximum'"),
        (lambda: convert(graph(), thresholds=1.0), "thresholds: expected a rule .*found 1.0"),
        (lambda: convert(graph(), thresholds={"act": 1}), "thresholds: expected layers among"),
        (
            lambda: convert(graph(), calibration="train:0-127"),
            "calibration: .*'train:0-127'; .*load",
        ),
        (lambda: convert(graph(), thresholds="max", calibration=[]), "calibration: expected"),
        (
            lambda: convert(graph(), thresholds="max", calibration=PIXELS[:, :, 1:]),
            r"\[3, 1, 3, 4\]",
        ),
        (lambda: convert(graph(), thresholds="mse", calibration=PIXELS), "steps: expected the"),
        (lambda: convert(graph(), steps=8), "steps: .*has no effect"),
        (lambda: convert(graph(), threshold_scale=-1), "threshold_scale: expected a number from"),
        (lambda: convert(graph(), percentile="99"), "percentile: expected a number"),
        (lambda: convert(graph(), percentile=999), "percentile: expected a number from"),
        (lambda: convert(graph(), percentile=99.0), "percentile: .*has no effect"),
        (lambda: convert(graph(), dead="silent"), "dead: .*has no effect"),
        (lambda: convert(graph(), max_pooling=True), "max_pooling: expected one of .*True"),
        (
            lambda: convert(graph(), max_pooling="average"),
            "max_pooling='average': expected a network with a MaxPool",
        ),
        (lambda: convert(graph(), residual="reroute"), "expected residual blocks to re-route"),
        (lambda: convert(graph(), readout="fire"), "readout: expected one of adds, fires"),
        (lambda: convert(graph(), compat="snm"), "compat: expected one of"),
    ],
    "diagnose": [
        (lambda: diagnose(), "argument network, found none"),
        (lambda: diagnose("network.h5", PIXELS), "network: expected a .*'network.h5'"),
        (lambda: diagnose(network(), "images.npz"), "images: expected .*eventsnn.load_images"),
        (lambda: diagnose(network(), PIXELS, labels=[0, 1]), "found 2"),
        (lambda: diagnose(network(), PIXELS, stepz=3), "did you mean steps"),
        (lambda: diagnose(network(), PIXELS, steps=0), "steps: expected a whole number from 1"),
        (lambda: diagnose(network(), PIXELS, engine="events"), "engine: expected one of clocked"),
        (lambda: diagnose(network(), PIXELS, calibration=3), "calibration: expected"),
        (lambda: diagnose(network(), PIXELS, pixel_range=(1, 0)), "pixel_range: expected"),
        (lambda: diagnose(network(), PIXELS, remedies="all"), "remedies: expected True or False"),
    ],
    "simulate": [
        (lambda: simulate(network()), "argument images, found none"),
        (lambda: simulate(graph(), PIXELS), "network: expected a Network, found a Graph"),
        (lambda: run("images.npz"), "images: expected .*'images.npz'; eventsnn.load_images"),
        (lambda: run(None), "images: expected .*found None"),
        (lambda: run(7), "images: expected .*found 7"),
        (lambda: run([]), "images: expected one or more images"),
        (lambda: run(PIXELS[:, :, 1:]), r"shape \[C, H, W\] = \[1, 4, 4\].*\[3, 1, 3, 4\]"),
        (lambda: run(PIXELS.astype(float) * np.nan), "images: expected finite pixels"),
        (lambda: run(PIXELS.astype(str)), "images: expected"),
        (lambda: run([PIXELS[0], PIXELS[0, :, 1:]]), "images: batch 1: expected pixels of shape"),
        (lambda: run({"x": PIXELS}), "images: expected .*found the dict"),
        (lambda: run(labels=3), "labels: expected .*found 3"),
        (lambda: run(labels=["cat", "dog", "cat"]), "labels: expected .*'cat'"),
        (lambda: run(labels=[0, 1]), "3 labels, found 2|label for each of 3 images, found 2"),
        (lambda: run(labels=[0, 1, 7]), "labels from 0 to 3"),
        (lambda: run(labels=[0.5, 1, 2]), "labels: expected whole numbers"),
        (lambda: run(labels=np.ones((3, 4))), "labels: expected one-hot"),
        (lambda: run(labels=np.eye(3)), "labels: expected one-hot labels of 4 classes, found 3"),
        (lambda: run(images(), labels=LABELS), "labels: expected none.*of their own"),
        (lambda: run(steps=2.5), "steps: expected a whole number from 1 to 65,536, found 2.5"),
        (lambda: run(steps="32"), "steps: expected a whole number .*'32'"),
        (lambda: run(steps=0), "steps: expected a whole number from 1"),
        (lambda: run(steps=True), "steps: expected a whole number .*True"),
        (lambda: run(step=3), "did you mean steps"),
        (lambda: run(engine="events"), "engine: expected one of clocked, event, found 'events'"),
        (lambda: run(engine=eventsnn.Simulation), "engine: expected text"),
        (lambda: run(neuron="ifs"), "neuron: expected one of if"),
        (lambda: run(neuron=3), "neuron: expected one of if.*found 3"),
        (lambda: run(neuron="gn:0"), "members: expected a whole number from 1 to 256"),
        (lambda: run(tau=4), "tau: expected group neurons"),
        (lambda: run(initial="half"), "initial: expected .*'half'"),
        (lambda: run(initial=[0.5, "a"]), "initial: expected"),
        (lambda: run(initial=True), "initial: expected a number.*True"),
        (lambda: run(initial=[np.zeros(3)]), "initial: expected"),
        (lambda: run(initial=2000), "initial.*2000"),
        (lambda: run(initial=rows(2)), "initial: expected a row for each of 3 images, found 2"),
        (lambda: run(initial=rows(3) * 2), r"initial: expected one array.*\(3, "),
        (lambda: run(encoding="spikes"), "encoding: expected one of"),
        (lambda: run(encoding=3), "encoding"),
        (lambda: run(encoding=encoding.Shares), "encoding"),
        (lambda: run(bias_once=1), "bias_once: expected true or false, found 1"),
        (lambda: run(bias_once=True, encoding=eventsnn.Encoding()), "bias_once: expected it in"),
        (lambda: run(srp=-1), "srp: expected a whole number from 0"),
        (lambda: run(srp_epsilon=0.1), "srp_epsilon: expected srp"),
        (lambda: run(compat=True), "compat: expected"),
        (lambda: run(arithmetic="float16"), "arithmetic: expected one of fixed"),
        (lambda: run(arithmetic=np.float32), "arithmetic: expected one of fixed"),
        (lambda: run(fraction_bits=41), "fraction_bits: expected a whole number from 1 to 40"),
        (lambda: run(fraction_bits=8, arithmetic="float32"), "fraction_bits: expected arithmetic"),
        (lambda: run(seed=-1), "seed: expected a whole number from 0"),
        (lambda: run(seed=None), "seed: expected a whole number .*None"),
        (lambda: run(order="random"), "order: expected engine='event', found engine='clocked'"),
        (lambda: run(refractory="1"), "refractory: expected a number .*'1'"),
        (lambda: run(refractory=1), "refractory: expected engine='event'"),
        (lambda: run(window=-1), "window: expected a number from 0"),
        (lambda: run(spread=4), "spread: expected engine='event'"),
        (lambda: run(engine="event", spread=0), "spread: expected a whole number from 1"),
        (lambda: run(engine="event", group=2, window=1.0), "group: expected no window"),
        (lambda: run(barrier="no"), "barrier: expected true or false, found 'no'"),
        (lambda: run(jitter="uniform:0.1"), "jitter: expected order='jitter'"),
        (lambda: run(engine="event", latency=0.5), "latency: expected order='cores'"),
        (lambda: run(engine="event", order="cores", service=0.5), "service: expected numbers"),
        (
            lambda: run(engine="event", order="cores", service=(1, 2, 3)),
            "service: expected two numbers, for an event and for a weight, found 3",
        ),
        (
            lambda: run(engine="event", order="cores", arbitration="lifo"),
            "arbitration: expected one of fifo, index, round_robin, random, found 'lifo'",
        ),
        (lambda: run(engine="event", order="randm"), "order: expected one of fifo"),
        (lambda: run(engine="event", order=3), "order: expected one of fifo.*found 3"),
        (lambda: run(engine="event", order="jitter", jitter=0.5), "jitter: expected text.*0.5"),
        (lambda: run(engine="event", delays="1"), "delays: expected .*'1'"),
        (
            lambda: run(engine="event", order="clocked", barrier=False),
            "barrier=False: expected another order, found order='clocked'",
        ),
        (
            lambda: run(engine="event", barrier=False, refractory=1),
            "barrier=False: expected delays, window or order='jitter', found none of these",
        ),
        (
            lambda: run(engine="event", order="clocked", max_events=9),
            "max_events: expected another order, found order='clocked'",
        ),
        (lambda: run(engine="event", delays=[1]), "delays: expected"),
        (lambda: run(engine="event", delays={"act": 1}), "delays: expected pairs of layers"),
        (lambda: run(engine="event", delays={("a", "b"): 1}), "delays: expected pairs of layers"),
        (lambda: run(engine="event", max_events=0), "max_events: expected a whole number from 1"),
        (lambda: run(engine="event", ticks=0.5), "ticks: expected a whole number from 1"),
        (lambda: run(workers=0), "workers: expected a whole number from 1"),
        (lambda: run(workers="all"), "workers: expected a whole number from 1.*'all'"),
        (lambda: run(batch=0), "batch: expected a whole number from 1"),
        (lambda: run(neurons="all"), "neurons: expected True or False, found 'all'"),
        (lambda: run(progress=2), "progress: expected True or False or None, found 2"),
        (lambda: run(encoding="events"), "events: expected rows"),
        (lambda: run("abc", encoding="events"), "images: expected .*events.*'abc'"),
        (lambda: run([[(9.0, 0, 1)]], encoding="events"), "events: expected times from 0 to 4"),
        (lambda: run([[("a", 0, 1)]], encoding="events"), "events: expected rows"),
    ],
    "load": [
        (lambda: load(), "argument path, found none"),
        (lambda: load(None), "path: expected a path or text, found None"),
        (lambda: load("no such file.h5"), "no such file.h5"),
        (lambda: load("sample", arch=5), "arch: expected text or None, found 5"),
        (lambda: load("sample", arch="vgg16"), "arch: expected a file with weights only"),
        (lambda: load("sample", archi="x"), "did you mean arch"),
        (lambda: detection.mean_average_precision(3, 4, classes=2), "found: expected"),
        (lambda: detection.mean_average_precision([], []), "argument classes, found none"),
        (lambda: detection.mean_average_precision([], [], clases=1), "did you mean classes"),
        (lambda: detection.average_precision(3, 4, kind=2, least=0.5), "found: expected"),
        (lambda: detection.average_precision([], [], kind=2), "argument least, found none"),
        (lambda: detection.average_precision([], [], kid=2, least=0.5), "did you mean kind"),
        (lambda: detection.make_scenes("x", [1], 3, seed=1), "pixels: expected"),
        (lambda: detection.make_scenes(PIXELS, [1], 3), "argument seed, found none"),
        (lambda: detection.make_scenes(PIXELS, [1], 3, sed=1), "did you mean seed"),
        (lambda: fetch(3), "name: expected text, found 3"),
        (lambda: fetch(), "argument name, found none"),
        (lambda: fetch("resnet1000"), "fetch: expected one of fashion_relu"),
    ],
    "save": [
        (lambda: save("a.h5", graph()), "graph: expected a Graph, found 'a.h5'"),
        (lambda: save(graph()), "argument path"),
        (lambda: save(graph(), "no such folder/a.h5"), "no such folder"),
        (lambda: save(network(), "a.h5"), "graph: expected a Graph, found a Network"),
    ],
    "load_torch": [
        (lambda: load_torch(object()), "argument input_shape"),
        (lambda: load_torch(object(), 32), "input_shape: expected .*found 32"),
        (lambda: load_torch(object(), (1, 3, 32, 32)), r"input_shape: expected .*\(1, 3, 32, 32\)"),
        (lambda: load_torch(object(), (3, 32, -1)), "input_shape: expected"),
        (lambda: load_torch(object(), (3, 32, 32.0)), "input_shape.*32.0"),
        (lambda: load_torch(object(), (3, 8, 8), activation={}), "did you mean activations"),
        (lambda: load_torch(object(), (3, 8, 8), activations=[int]), "activations: expected a map"),
    ],
    "load_images": [
        (lambda: load_events(), "argument spec"),
        (lambda: load_events("no such folder"), "no such folder"),
        (lambda: load_events("sample", split="validation"), "split: expected train or test"),
        (lambda: load_images(), "argument spec"),
        (lambda: load_images(PIXELS), r"spec: expected .*array of shape \[3, 1, 4, 4\]"),
        (lambda: load_images("no such folder"), "no such folder"),
        (lambda: load_images("sample", split="validation"), "split: expected train or test"),
        (lambda: load_images("sample", limit=0), "limit: expected a whole number"),
        (lambda: load_images("sample", limit=2.0), "limit: expected a whole number"),
        (lambda: load_images("sample", offset=-1), "offset: expected a whole number"),
        (lambda: eventsnn.diagnose(graph(), [], 16), "at most 2 arguments without a name, found 3"),
        (lambda: load_images("sample", "train"), "at most 1 arguments without a name"),
        (lambda: load_images("sample", labels=True), "options among"),
    ],
    "Images": [
        (lambda: eventsnn.Images(PIXELS), "argument split, found none"),
        (lambda: images(pixels="a.npz"), "pixels: expected an array"),
        (lambda: images(pixels=PIXELS[0]), r"pixels: expected \[N, C, H, W\]"),
        (lambda: images(labels=[0, 1]), "labels: expected"),
        (lambda: images(indices=[0]), "indices: expected"),
        (lambda: images(label=LABELS), "did you mean labels"),
        (lambda: images()["act"], "positions: expected"),
        (lambda: images()[3], "positions: expected .*0 to 2, found 3"),
        (lambda: images()[0.5], "positions: expected"),
        (lambda: images()[[0, 7]], "0 to 2, found 0 to 7"),
        (lambda: images()[BITS[:2]], "positions: expected"),
        (lambda: images().take("a"), "positions: expected"),
        (lambda: images().take([]), "one or more integers"),
    ],
    "Settings": [
        (lambda: Settings("sample"), "at most 0 arguments without a name, found 1"),
        (lambda: Settings(step=3), "did you mean steps"),
        (lambda: Settings(steps="3"), "--steps: expected a whole number"),
        (lambda: Settings(steps=2.5), "--steps: expected a whole number"),
        (lambda: Settings(report_steps=3), "--report-steps: expected whole numbers"),
        (lambda: Settings(report_steps=[0]), "--report-steps: expected whole numbers from 1"),
        (lambda: Settings(limit=0), "--limit: expected"),
        (lambda: Settings(net=None), "--net: expected text"),
        (lambda: Settings(data=PIXELS), "--data: expected text"),
        (lambda: Settings(calibration=PIXELS), "--calibration: expected text"),
        (lambda: Settings(calibration="train"), "--calibration: expected SPLIT:FIRST-LAST"),
        (lambda: Settings(neuron=neurons.GN()), "--neuron"),
        (lambda: Settings(initial=[0.5]), "--initial: expected a number"),
        (lambda: Settings(seed=-1), "--seed: expected a whole number from 0"),
        (lambda: Settings(order="random"), "--order: expected --engine event"),
        (
            lambda: Settings(percentile=99.0, thresholds="max"),
            "--percentile: expected --thresholds",
        ),
        (lambda: Settings(dead="silent"), "--dead: expected --thresholds dni"),
        (lambda: Settings(plugin=3), "--plugin: expected text"),
        (lambda: Settings(compat=3), "--compat: expected one of"),
    ],
    "errors.decompose": [
        (lambda: errors.decompose(graph(), PIXELS), "network: expected a Network, found a Graph"),
        (lambda: errors.decompose(network(), "a.npz"), "images: expected .*'a.npz'"),
        (lambda: errors.decompose(network(), PIXELS, step=4), "did you mean steps"),
        (lambda: errors.decompose(network(), PIXELS, steps="8"), "steps: expected a whole number"),
        (
            lambda: errors.decompose(network(), PIXELS, keep="qcfs1"),
            "keep: expected a list.*'qcfs1'",
        ),
        (lambda: errors.decompose(network(), PIXELS, keep=["act9"]), "keep: expected .*'act9'"),
        (lambda: errors.decompose(network(), PIXELS, keep=3), "keep: expected a list"),
        (lambda: errors.decompose(network(), PIXELS, arithmetic="float32"), "expected fixed point"),
        (lambda: errors.decompose(network(), PIXELS, order="lifo"), "order: expected engine="),
        (lambda: errors.decompose(network(), PIXELS, labels=LABELS), "labels"),
        (lambda: found_errors().neurons_to_xarray("act9"), "layer: expected one that was kept"),
    ],
    "errors.cases": [
        (lambda: errors.cases(network()), "argument images"),
        (lambda: errors.cases(network(), PIXELS, levels="all"), "levels: expected one of"),
        (lambda: errors.cases(network(), PIXELS, levels=4), "levels: expected text"),
        (lambda: errors.cases(network(), PIXELS, steps=0), "steps: expected a whole number from 1"),
    ],
    "errors.split": [
        (lambda: split(theta="1"), "theta: expected .*'1'"),
        (lambda: split(a="x"), "a: expected an array of numbers"),
        (lambda: split(spikes=np.zeros((2, 3))), "spikes: expected an array of whole numbers"),
        (lambda: split(ideal=np.zeros((2, 4), int)), r"ideal: expected shape \[2, 3\]"),
        (lambda: errors.split(1, 2), "argument spikes"),
        (lambda: errors.split(a=1, b=2), "options among"),
        (lambda: split(top=0), "top: expected a whole number from 1"),
        (lambda: split(theta=np.ones(2)), "theta: expected"),
    ],
    "surgery.replace_layers": [
        (lambda: surgery.replace_layers(network(), PIXELS), "argument layers"),
        (lambda: surgery.replace_layers(network(), PIXELS, "qcfs1"), "layers: expected a list"),
        (lambda: surgery.replace_layers(network(), PIXELS, ["act9"]), "layers: expected names"),
        (lambda: surgery.replace_layers(network(), PIXELS, [0]), r"layers\[0\]: expected text"),
        (lambda: surgery.replace_layers(network(), PIXELS, [], counts="all"), "counts: expected"),
        (lambda: surgery.replace_layers(network(), PIXELS, [], times=3), "times: expected"),
        (lambda: surgery.replace_layers(network(), PIXELS, [], engine="event"), "engine 'clocked'"),
        (lambda: surgery.replace_layers(network(), PIXELS, [], labels=[0]), "labels"),
    ],
    "surgery.costs": [
        (lambda: surgery.costs(network(), PIXELS), "images with labels, found none"),
        (lambda: surgery.costs(network(), PIXELS, labels=[0, 1]), "labels"),
        (lambda: surgery.costs(network(), PIXELS, labels="a"), "labels: expected"),
        (lambda: surgery.costs(network(), PIXELS, labels=LABELS, counts="own"), "own counts"),
        (lambda: surgery.costs(network(), images(), steps=None), "steps: expected a whole number"),
    ],
    "asynchronism.measure": [
        (lambda: asynchronism.measure(PIXELS, network()), "network: expected a Network"),
        (lambda: asynchronism.measure(network(), None), "images: expected"),
        (lambda: asynchronism.measure(network(), PIXELS, orders="lifo"), "did you mean order"),
        (lambda: asynchronism.measure(network(), PIXELS, engine="clocked"), "engine"),
        (
            lambda: asynchronism.measure(network(), PIXELS, progress="yes"),
            "progress: expected True",
        ),
    ],
    "asynchronism.of_trace": [
        (lambda: asynchronism.of_trace(result()), "trace: expected a Trace, found a Result"),
        (lambda: asynchronism.of_trace("trace-0.h5"), "trace: expected a Trace.*read_trace"),
        (lambda: asynchronism.of_trace(), "argument trace"),
    ],
    "adversary.attack": [
        (lambda: adversary.attack(network()), "argument images, found none"),
        (lambda: adversary.attack(network(), PIXELS, kind="swap"), "kind: expected one of order"),
        (lambda: adversary.attack(network(), PIXELS, kind=3), "kind: expected one of .*found 3"),
        (lambda: adversary.attack(network(), PIXELS, kind="order"), "order clocked, where it has"),
        (lambda: adversary.attack(network(), PIXELS, seconds=0), "seconds: expected .* above 0"),
        (lambda: adversary.attack(network(), PIXELS, seconds="60"), "seconds: .*'60'"),
        (lambda: adversary.attack(network(), PIXELS, replays=0), "replays: expected"),
        (lambda: adversary.attack(network(), PIXELS, draws=0), "draws: expected"),
        (lambda: adversary.attack(network(), PIXELS, within=0), "within: expected"),
        (
            lambda: adversary.attack(network(), PIXELS, kind="order", order="fifo", within=2),
            "within: expected kind='times'",
        ),
        (lambda: adversary.attack(network(), PIXELS, engine="clocked"), "engine='event'"),
        (lambda: adversary.attack(network(), PIXELS, neuron="if-hard"), "HardIF.*conserves"),
        (lambda: adversary.attack(network(), PIXELS, neuron="lif"), "holds = False"),
        (lambda: adversary.attack(network(), PIXELS, srp=2), "srp|SRP"),
        (lambda: adversary.attack(network(), PIXELS, arithmetic="float64"), "fixed point"),
        (
            lambda: adversary.attack(network(), PIXELS, order="inhibitory_first"),
            "delivers each spike once, whole",
        ),
        (lambda: adversary.attack(network(), PIXELS, order="fifo", group=4), "no groups"),
        (lambda: adversary.attack(network(), PIXELS, budget=4), "budget"),
        (
            lambda: adversary.attack(network(), PIXELS, into=["x"]),
            "into: expected names of spiking",
        ),
        (lambda: adversary.attack(network(), PIXELS, into=[]), "into: expected layers that alone"),
    ],
    "adversary.of_edits": [
        (lambda: adversary.of_edits(result(), []), "trace: expected a Trace"),
        (lambda: adversary.of_edits(recorded(), 3), "edits: expected"),
        (lambda: adversary.of_edits(recorded(), [3]), "edits: expected Swap"),
        (lambda: adversary.of_edits(recorded(), [eventsnn.Drop(0)]), "every spike delivered"),
    ],
    "adversary.of_order": [
        (lambda: adversary.of_order("abc"), "place: expected"),
        (lambda: adversary.of_order(np.array([0, 0])), "each place from 0 to 1 once"),
        (lambda: adversary.of_order(np.zeros((2, 2), np.int64)), "place: expected"),
    ],
    "adversary.of_times": [
        (lambda: adversary.of_times([1.5], [2]), "old: expected"),
        (lambda: adversary.of_times(np.arange(2), np.arange(3)), "new: expected"),
        (lambda: adversary.of_times(np.arange(2)), "argument new"),
    ],
    "certified.certify": [
        (lambda: certified.certify(network(), PIXELS, free="qcfs1"), "free: expected a list"),
        (lambda: certified.certify(network(), PIXELS, free=["a"]), "free: expected names"),
        (lambda: certified.certify(network(), PIXELS, keep=["a"]), "keep: expected names"),
        (lambda: certified.certify(network(), PIXELS, labels=[1, 2]), "labels"),
        (lambda: certified.certify(network(), PIXELS, labels=5), "labels: expected"),
        (lambda: certified.certify(network(), PIXELS, one_by_one=3), "one_by_one: expected True"),
        (lambda: certified.certify(network(), 5), "images: expected"),
    ],
    "sweep.sweep": [
        (lambda: sweep.sweep(3, "s"), "plan: expected a Plan or text or a path, found 3"),
        (lambda: sweep.sweep("no.toml", "s"), "expected a plan in TOML"),
        (lambda: sweep.sweep(PLAN, 3), "store: expected text or a path, found 3"),
        (lambda: sweep.sweep(PLAN, "s", executor="cloud"), "executor: expected one of processes"),
        (lambda: sweep.sweep(PLAN, "s", workers=0), "workers: expected a whole number"),
        (lambda: sweep.sweep(PLAN, "s", part=(0, 2)), "part: expected two whole numbers"),
    ],
    "sweep.estimate": [
        (lambda: sweep.estimate(3, "s"), "plan: expected a Plan or text or a path, found 3"),
        (lambda: sweep.estimate("no.toml", "s"), "expected a plan in TOML"),
        (lambda: sweep.estimate(PLAN, "s", part=(3, 2)), "part: expected two whole numbers"),
        (lambda: sweep.estimate(PLAN, "s", workers=0), "workers: expected a whole number"),
    ],
    "sweep.open": [
        (lambda: sweep.open(3), "path: expected text or a path, found 3"),
        (lambda: sweep.open("no"), "expected"),
        (lambda: sweep.open("no", network=3), "network: expected text"),
    ],
    "sweep.cube": [
        (lambda: sweep.cube(3), "data: expected a Dataset of eventsnn.sweep.open, found 3"),
        (lambda: sweep.cube(None), "data: expected a Dataset"),
        (lambda: sweep.cube("store"), "data: expected a Dataset"),
    ],
    "sweep.read_plan": [
        (lambda: sweep.read_plan(3), "path: expected text or a path, found 3"),
        (lambda: sweep.read_plan("no.toml"), "no.toml: expected a plan in TOML"),
        (lambda: sweep.read_plan("/"), "/: expected a plan in TOML"),
    ],
    "sweep.table": [
        (lambda: sweep.table(3), "path: expected text or a path, found 3"),
        (lambda: sweep.table("no"), "expected"),
        (lambda: sweep.table("no", by="step"), "by: expected run or image, found 'step'"),
    ],
    "sweep.to_pandas": [
        (lambda: sweep.to_pandas(3), "path: expected text or a path, found 3"),
        (lambda: sweep.to_pandas("no"), "expected"),
        (lambda: sweep.to_pandas("no", by="step"), "by: expected run or image, found 'step'"),
    ],
    "sweep.status": [
        (lambda: sweep.status(3), "path: expected text or a path, found 3"),
        (lambda: sweep.status("no"), "store no: expected the store of a sweep, found nothing"),
        (lambda: sweep.status("/"), "expected the store of a sweep"),
    ],
    "adversary.retime": [
        (lambda: adversary.retime(network()), "argument recordings, found none"),
        (lambda: adversary.retime(network(), 3), "events: expected|images: expected"),
        (lambda: adversary.retime(network(), [[[0, 0, 1]]], binf=0), "binf: expected"),
        (lambda: adversary.retime(network(), [[[9, 0, 1]]]), "times from 0 to 8"),
    ],
    "adversary.read_retimed": [
        (lambda: adversary.read_retimed(), "argument path, found none"),
        (lambda: adversary.read_retimed("none.json"), "No such file"),
        (lambda: adversary.read_retimed(3), "path: expected"),
    ],
    "budgets.largest": [
        (lambda: budgets.largest(network(), PIXELS, most=0), "most: expected"),
        (lambda: budgets.largest(network(), PIXELS, last=2), "last: expected at most the 1 layers"),
        (lambda: budgets.largest(network(), PIXELS, order="random"), "order: expected one of fifo"),
    ],
    "budgets.certify": [
        (lambda: budgets.certify(network(), PIXELS, order=1), "order: expected one of fifo"),
        (lambda: budgets.certify(network(), PIXELS, moved=[-1]), "moved: expected numbers"),
        (lambda: budgets.certify(network(), PIXELS, last=2), "last: expected at most the 1 layers"),
        (lambda: budgets.certify(network(), PIXELS, neuron="snm", last=1), "no spike back"),
        (lambda: budgets.certify(network(), PIXELS, moved=1), "moved: expected"),
        (lambda: budgets.certify(graph(), PIXELS), "network: expected a Network"),
    ],
    "order_sampling.measure": [
        (lambda: order_sampling.measure(network(), PIXELS, orders=1), "orders: expected 2 or more"),
        (lambda: order_sampling.measure(network(), PIXELS, order="fifo"), "an order that draws"),
        (lambda: order_sampling.measure(network(), PIXELS, encoding_seeds=2), "encoding_seeds"),
        (lambda: order_sampling.measure(network(), PIXELS, labels=[0]), "labels"),
        (lambda: order_sampling.measure(graph(), PIXELS), "network: expected a Network"),
        (lambda: order_sampling.measure(network(), PIXELS, fractions=[]), "fractions: expected"),
        (lambda: order_sampling.measure(network(), PIXELS, kept=3), "kept: expected"),
    ],
    "calibrate": [
        (lambda: calibrate(graph(), PIXELS), "network: expected a Network"),
        (lambda: calibrate(network(), PIXELS, rounds=0), "rounds: expected"),
        (
            lambda: calibrate(network(), PIXELS, method="weight"),
            "method: expected one of v0, bias",
        ),
        (lambda: calibrate(network(), PIXELS, method="bias", rounds=2), "rounds: expected method"),
        (lambda: calibrate(network(), PIXELS, odrer="fifo"), "did you mean order"),
        (lambda: calibrate(network(), PIXELS[:, :, :2]), "expected"),
        (lambda: calibrate(network(), PIXELS, srp=2), "calibrate: expected one stage"),
        (lambda: calibrate(network(), PIXELS, neuron="lif"), "conserves = False"),
    ],
    "timing.measure": [
        (lambda: timing.measure(network(), PIXELS, times="late"), "times: expected one of"),
        (lambda: timing.measure(network(), PIXELS, engine="event"), "engine 'clocked'"),
        (lambda: timing.measure(network(), PIXELS, look_at=0), "look_at: expected"),
        (lambda: timing.measure(network(), PIXELS, labels=[0]), "labels"),
        (lambda: timing.measure(graph(), PIXELS), "network: expected a Network"),
        (lambda: timing.measure(network(), PIXELS, neuron="tpp"), "holds = False"),
    ],
    "equivalence.quantised": [
        (lambda: equivalence.quantised(simulation(), PIXELS), "equivalence: expected st-bif"),
        (lambda: equivalence.quantised(network(), PIXELS), "simulation: expected"),
        (lambda: equivalence.quantised(simulation(), "a"), "pixels: expected"),
    ],
    "equivalence.staircases": [
        (lambda: equivalence.staircases(network(), PIXELS, [1]), "simulation: expected"),
        (lambda: equivalence.staircases(simulation(), np.zeros((1, 3), int), [1]), "totals: exp"),
        (lambda: equivalence.staircases(simulation(), totals(), []), "tops: expected"),
        (lambda: equivalence.staircases(simulation(), totals(), 3), "tops: expected"),
        (lambda: equivalence.staircases(simulation(), totals() * 1.5, [1]), "totals: expected"),
    ],
    "equivalence.arrived": [
        (lambda: equivalence.arrived(simulation(), 9, totals()), "layer: expected .*found 9"),
        (lambda: equivalence.arrived(simulation(), "act", totals()), "layer: expected"),
        (lambda: equivalence.arrived(simulation(), 0, totals()[:, 1:]), "counts: expected"),
    ],
    "equivalence.excitation": [
        (lambda: equivalence.excitation(simulation(), 9, totals()), "layer: expected .*found 9"),
        (lambda: equivalence.excitation(simulation(), "act", totals()), "layer: expected"),
        (lambda: equivalence.excitation(simulation(), 0, totals()[:, 1:]), "counts: expected"),
    ],
    "equivalence.independent": [
        (lambda: equivalence.independent(simulation(), -1, totals()), "layer: expected"),
        (lambda: equivalence.independent(network(), 0, totals()), "simulation: expected"),
        (lambda: equivalence.independent(simulation(), 0, totals()[:, 1:]), "counts: expected"),
    ],
    "cost.macs": [
        (lambda: cost.macs(graph()), "network: expected a Network, found a Graph"),
        (lambda: cost.macs(None), "network: expected a Network"),
        (lambda: cost.macs(), "argument network"),
    ],
    "cost.costs": [
        (lambda: cost.costs(network(), 3, 4), "spikes: expected"),
        (lambda: cost.costs(network(), [1.0], [1.0, 2.0]), r"spikes: expected shape \[2\]"),
        (lambda: cost.costs(network(), [1.0, 0.0], ["a", "b"]), "operations"),
        (lambda: cost.costs(result(), [1.0, 0], [1.0, 0]), "network: expected a Network"),
    ],
    "cost.neurobench": [
        (lambda: cost.neurobench(network(), "a.png"), "images: expected|pixels"),
        (lambda: cost.neurobench(graph(), PIXELS), "network: expected a Network"),
        (lambda: cost.neurobench(network(), PIXELS, steps=0), "steps: expected"),
        (lambda: cost.neurobench(network(), PIXELS, srp=2), "one stage"),
    ],
    "neurons.verify": [
        (lambda: neurons.verify(network()), "neuron: expected one of if, "),
        (lambda: neurons.verify("snmm"), "snm"),
        (lambda: neurons.verify("if", networks=0), "networks: expected a whole number from 1"),
        (lambda: neurons.verify("if", sed=3), "did you mean seed"),
    ],
    "statistics.at_least": [
        (lambda: statistics.at_least(5, 3, 0.5), "5 of 3"),
        (lambda: statistics.at_least("5", 10, 0.5), "hits: expected a whole number.*'5'"),
        (lambda: statistics.at_least(1, 3, 1.5), "chance 1.5"),
    ],
    "statistics.wilson": [
        (lambda: statistics.wilson(5, 3), "5 of 3"),
        (lambda: statistics.wilson("5", 10), "hits: expected a whole number.*'5'"),
        (lambda: statistics.wilson(0.5, 10), "hits: expected a whole number.*0.5"),
        (lambda: statistics.wilson(5, 10, 95), "level: expected|level 95"),
    ],
    "statistics.share": [
        (lambda: statistics.share("right", "abc"), "hits: expected"),
        (lambda: statistics.share("right", []), "hits|wilson"),
        (
            lambda: statistics.share("right", [0.5, 1.5]),
            "hits: expected an array of True and False",
        ),
        (lambda: statistics.share(BITS, "right"), "name: expected text"),
    ],
    "statistics.mcnemar": [
        (lambda: statistics.mcnemar(-1, 2), "gained: expected a whole number from 0"),
        (lambda: statistics.mcnemar(1.5, 2), "gained: expected a whole number"),
        (lambda: statistics.mcnemar(1), "argument lost"),
        (lambda: statistics.mcnemar(BITS, BITS), "gained: expected a whole number"),
    ],
    "statistics.sign_flip": [
        (lambda: statistics.sign_flip([0.5, 1]), "whole numbers"),
        (lambda: statistics.sign_flip("abc"), "differences: expected"),
        (lambda: statistics.sign_flip([[1, 2]]), "whole numbers"),
    ],
    "statistics.holm": [
        (lambda: statistics.holm(0.5), "p: expected a list"),
        (lambda: statistics.holm([0.5, 1.5]), "from 0 to 1"),
        (lambda: statistics.holm(["a"]), r"p\[0\]: expected a number"),
    ],
    "statistics.compare": [
        (lambda: statistics.compare([BITS, BITS]), "pairs: expected a mapping"),
        (lambda: statistics.compare({"a": BITS}), r"pairs\['a'\]: expected"),
        (lambda: statistics.compare({"a": (BITS, BITS[:2])}), "hits .*of the same images"),
        (lambda: statistics.compare({"a": (BITS, [1, 2, 3])}), "expected an array of True and"),
    ],
    "statistics.bootstrap": [
        (lambda: statistics.bootstrap("abc"), "values: expected an array of numbers"),
        (lambda: statistics.bootstrap([1.0, np.nan]), "NaN"),
        (lambda: statistics.bootstrap([1.0, 2.0], resamples=0), "resamples: expected"),
        (lambda: statistics.bootstrap([1.0, 2.0], seed=-1), "seed: expected a whole number from 0"),
        (lambda: statistics.bootstrap([1.0, 2.0], divisor=[1.0]), "shapes"),
        (lambda: statistics.bootstrap([1.0], median="yes"), "median: expected True or False"),
    ],
    "statistics.bootstraps": [
        (lambda: statistics.bootstraps([1.0, 2.0]), "columns: expected a mapping"),
        (lambda: statistics.bootstraps({}), "columns|shapes"),
        (lambda: statistics.bootstraps({"a": [1.0]}, medians=["b"]), "'b'"),
        (lambda: statistics.bootstraps({"a": ["x"]}), r"columns\['a'\]: expected"),
    ],
    "statistics.pearson": [
        (lambda: statistics.pearson([1, 2], [1, 2, 3]), "as many values"),
        (lambda: statistics.pearson("ab", "cd"), "x: expected an array of numbers"),
        (lambda: statistics.pearson([1, 2]), "argument y"),
        (lambda: statistics.pearson(1, 2), "expected"),
    ],
    "statistics.spearman": [
        (lambda: statistics.spearman([1, 2], [1, 2, 3]), "as many values"),
        (lambda: statistics.spearman(None, [1]), "x: expected an array of numbers"),
        (lambda: statistics.spearman([[1, 2]], [[1, 2]]), "expected"),
    ],
    "statistics.p_words": [
        (lambda: statistics.p_words("0.05"), "p: expected a number"),
        (lambda: statistics.p_words(None), "p: expected a number"),
        (lambda: statistics.p_words(q=0.05), "options among p, found .q."),
    ],
    "statistics.bootstrap_words": [
        (lambda: statistics.bootstrap_words("2"), "seeds: expected a whole number"),
        (lambda: statistics.bootstrap_words(resamples=0), "resamples: expected"),
        (lambda: statistics.bootstrap_words(sead=1), "did you mean seed"),
    ],
    "statistics.footnote": [
        (lambda: statistics.footnote(3), "reference: expected text"),
        (lambda: statistics.footnote("fifo", 0), "trainings: expected a whole number from 1"),
        (lambda: statistics.footnote(), "argument reference"),
    ],
    "neurons": [
        (lambda: run(neuron=neurons.GN(members=0)), "members: expected a whole number from 1"),
        (lambda: run(neuron=neurons.GN(members="4")), "members: expected a whole number"),
        (lambda: run(neuron="gn:x"), "members: expected a whole number"),
        (lambda: run(neuron="if:3"), "if"),
        (lambda: run(neuron="lif:leak=2"), "leak: expected"),
        (lambda: run(neuron="lif:leek=0.5"), "leek"),
        (lambda: run(neuron=neurons.LIF(leak="0.9")), "leak: expected a number"),
        (lambda: run(neuron=neurons.Adaptive(beta=-1)), "beta: expected"),
        (lambda: run(neuron=lambda: None), "a function of q"),
        (lambda: neurons.parsed("iff"), "neuron: expected one of"),
        (lambda: neurons.parsed("gn:1:2"), "members: expected a whole number"),
        (lambda: neurons.parsed(3), "neuron: expected one of"),
        (lambda: neurons.with_members("if", 4), "tau: expected group neurons"),
        (lambda: neurons.with_members("gn", 0), "members: expected"),
        (lambda: neurons.with_members("gn", 1.5), "members: expected"),
    ],
    "Time": [
        (lambda: eventsnn.Time("fifo"), "at most 0 arguments without a name"),
        (lambda: eventsnn.Time(orders="fifo"), "did you mean order"),
        (lambda: eventsnn.Time(refractory="1"), "refractory: expected a number .*'1'"),
        (lambda: eventsnn.Time(window=-0.5), "window: expected a number from 0"),
        (lambda: eventsnn.Time(spread="4"), "spread: expected a whole number"),
        (lambda: eventsnn.Time(group=0), "group: expected a whole number from 1"),
        (lambda: eventsnn.Time(barrier=None), "barrier: expected true or false"),
        (lambda: eventsnn.Time(jitter=0.5, order="jitter"), "jitter: expected text"),
        (lambda: eventsnn.Time(order=3), "order: expected one of fifo"),
        (lambda: eventsnn.Time(service=(0, 1)), "service: expected order='cores'"),
        (lambda: eventsnn.Time(order="cores", latency="1"), "latency: expected a number"),
        (lambda: eventsnn.Time(order="cores", delays=0.5), "delays: expected another order"),
        (lambda: eventsnn.Time(order="jiter"), "order: expected one of fifo"),
        (lambda: eventsnn.Time(delays="a"), "delays: expected"),
        (lambda: eventsnn.Time(delays=-1), "delays: expected"),
        (lambda: eventsnn.Time(ticks=2**21), "ticks: expected a whole number from 1 to 1,048,576"),
        (lambda: eventsnn.Time().in_ticks("1", "time"), "time: expected .*'1'"),
    ],
    "Encoding": [
        (lambda: eventsnn.Encoding("even"), "at most 0 arguments without a name"),
        (lambda: eventsnn.Encoding(kind=3), "kind: expected|encoding: expected"),
        (lambda: eventsnn.Encoding(kind="evn"), "encoding: expected one of"),
        (lambda: eventsnn.Encoding(kind="even", release=0), "release: expected a whole number"),
        (lambda: eventsnn.Encoding(kind="rate", release=4), "release: expected encoding='even'"),
        (lambda: eventsnn.Encoding(kind="constant", unit=2.0), "unit: expected encoding='events'"),
        (lambda: eventsnn.Encoding(kind="events", unit="1"), "unit: expected a number"),
        (lambda: eventsnn.Encoding(kind="events", unit=0), "unit: expected a number above 0"),
        (lambda: eventsnn.Encoding(releases=4), "did you mean release"),
    ],
    "Simulation": [
        (lambda: eventsnn.Simulation(network()), "argument steps"),
        (lambda: eventsnn.Simulation(graph(), steps=4), "network: expected a Network"),
        (lambda: eventsnn.Simulation(network(), steps=4, time="fifo"), "time: expected a Time"),
        (lambda: eventsnn.Simulation(network(), steps=4, order="fifo"), "options among"),
        (lambda: clocked(time=eventsnn.Time(order="lifo")), "order: expected engine='event'"),
        (lambda: eventsnn.Simulation(network(), steps=4, pixel_range=255), "pixel_range: expected"),
        (lambda: clocked(pixel_range=(255, 0)), "pixel_range: expected"),
        (lambda: clocked(inputs=[]), "inputs: expected encoding='events'"),
        (lambda: simulation().output([1.0], "4"), "step"),
        (lambda: simulation().check_step(9), "step: expected .*found 9"),
        (lambda: simulation().run("a"), "pixels: expected"),
        (lambda: simulation().run(PIXELS[0]), "pixels: expected"),
        (lambda: simulation().image(PIXELS), "image: expected"),
    ],
    "Result": [
        (lambda: result().readout("all"), "step: expected .*'all'"),
        (lambda: result().readout(0), "step: expected .*found 0"),
        (lambda: result().predictions(5), "step: expected .*found 5"),
        (lambda: result().accuracy(2.5), "step: expected .*2.5"),
        (lambda: run().accuracy(), "images with labels"),
        (lambda: result("clocked").trace(), "engine 'event'"),
        (lambda: result().trace("0"), "image: expected .*'0'"),
        (lambda: result().trace(3), "image: expected 0 to 2, found 3"),
        (lambda: result().observe("act9", 0), "layer: expected one of .*'act9'"),
        (lambda: result().observe(0, "first"), "neuron: expected .*found first"),
        (lambda: result().observe(0, (0, 0)), "neuron: expected"),
        (lambda: result().observe(0, 10**6), "neuron: expected a number from 0"),
        (lambda: result().explain(1.5, 0), "layer: expected .*1.5"),
        (lambda: result().explain(0, (0, 0, 99)), "neuron: expected"),
        (lambda: result().replay("drop"), "edits: expected"),
        (lambda: result().replay([("a", 1)]), "edits"),
        (lambda: result().replay([eventsnn.Drop(10**9)]), "spikes by their seq"),
        (lambda: result().table(4), "steps: expected a list"),
        (lambda: result().table([0]), "step"),
        (lambda: result().table(["1"]), "steps"),
    ],
    "trace": [
        (lambda: trace.record(network(), PIXELS[0]), "simulation: expected a Simulation"),
        (lambda: trace.record(simulation(), PIXELS), "image: expected raw pixels"),
        (lambda: trace.record(simulation(), "a"), "pixels: expected"),
        (lambda: trace.record(simulation(), PIXELS[0], "first"), "number: expected a whole number"),
        (lambda: trace.read_trace(3), "path: expected"),
        (lambda: trace.read_trace("no such file.h5"), "no such file.h5"),
        (lambda: trace.read_trace("a.h5", network()), "simulation: expected a Simulation"),
        (lambda: trace.open_trace(3, simulation()), "path: expected"),
        (lambda: trace.open_trace("no such file.h5", simulation()), "no such file.h5"),
        (lambda: trace.open_trace("a.h5"), "argument simulation"),
        (lambda: trace.TraceFile("a.h5", network(), 0), "simulation: expected a Simulation"),
        (
            lambda: trace.TraceFile("a.h5", simulation(), 0, layers="qcfs1"),
            "layers: expected a list",
        ),
        (lambda: trace.TraceFile("a.h5", simulation(), 0, layers=["act9"]), "layers: expected"),
        (lambda: trace.TraceFile("a.h5", simulation(), 0, neurons=[("act9", 0)]), "neurons: exp"),
        (lambda: trace.TraceFile("a.h5", simulation(), 0, steps=3), "steps: expected"),
        (lambda: recorded().of("act9"), "layer: expected one of"),
        (lambda: recorded().of(0, "a"), "neuron: expected"),
        (lambda: recorded().of(step=99), "step: expected"),
        (lambda: recorded().layer(None), "layer: expected one of"),
    ],
    "explain": [
        (lambda: explain.explain_spike(recorded(), -1), "spike: expected a number from 0"),
        (lambda: explain.explain_spike(recorded(), "0"), "spike: expected a number from 0"),
        (lambda: explain.explain_spike(result(), 0), "trace: expected a Trace, found a Result"),
        (lambda: explain.explain_neuron(recorded(), "act9", 0), "layer: expected one of"),
        (lambda: explain.explain_neuron(recorded(), 0, 0.5), "neuron: expected"),
        (lambda: explain.explain_neuron(simulation(), 0, 0), "trace: expected a Trace"),
        (lambda: explain.explain_neuron(recorded(), 0), "argument neuron"),
    ],
    "microscope": [
        (lambda: microscope.observe(result(), 0, 0), "trace: expected a Trace, found a Result"),
        (lambda: microscope.observe(recorded(), [0], 0), "layer: expected"),
        (lambda: microscope.observe(recorded(), 0, -1), "neuron: expected a number from 0"),
        (lambda: microscope.observe(recorded(), 0, True), "neuron: expected"),
        (lambda: microscope.plot(recorded()), "observation: expected an Observation.*observe"),
        (lambda: microscope.plot(seen(), 3), "title: expected text"),
        (lambda: microscope.plot(), "argument observation"),
    ],
    "bounds": [
        (lambda: bounds.has_bounds(recorded()), "simulation: expected a Simulation"),
        (lambda: bounds.of_arrivals("0", [1], 2), "potential: expected a number"),
        (lambda: bounds.of_arrivals(0, "abc", 2), "charges: expected an array"),
        (lambda: bounds.of_arrivals(0, [1], 0), "theta: expected"),
        (lambda: bounds.in_steps(0, 3, 2), "steps: expected a list"),
        (lambda: bounds.in_steps(0, [], 2), "steps: expected one or more"),
        (lambda: bounds.in_steps(0, [(1, "a")], 2), "charges|steps"),
        (lambda: bounds.in_any(0, [], 2), "charges: expected one or more"),
        (lambda: bounds.in_any(0, [1], -2), "theta: expected"),
        (lambda: bounds.rerun(recorded(), recorded()), "seen: expected an Observation"),
        (lambda: bounds.rerun(recorded(), seen(), 2), "first: expected -1 or 0 or 1"),
        (lambda: bounds.Alone(network(), 0, 0), "simulation: expected"),
    ],
    "replay": [
        (lambda: replay.replay(recorded(), simulation()), "simulation: expected a Simulation"),
        (lambda: replay.replay(simulation(), recorded(), "a"), "pixels: expected"),
        (lambda: replay.replay(simulation(), recorded(), PIXELS[1]), "image of the trace"),
        (lambda: replay.replay(simulation(), recorded(), PIXELS[:1]), "pixels: expected"),
        (lambda: replay.replay(simulation(), recorded(), edits=3), "edits: expected a list"),
        (lambda: replay.replay(simulation(), recorded(), edits=eventsnn.Drop(0)), "edits"),
        (lambda: replay.replay(simulation(), recorded(), edits=[0]), "edits"),
        (lambda: replay.run_at(recorded(), 0), "event: expected an event's number"),
        (lambda: replay.run_at(recorded(), "1"), "event: expected an event's number"),
        (lambda: replay.run_at(result(), 1), "trace: expected a Trace"),
        (lambda: replay.state_at(recorded(), 1.5), "event: expected an event's number"),
        (lambda: replay.state_at(recorded(), -1), "event: expected|number: expected"),
        (lambda: replay.state_at(simulation(), 1), "trace: expected a Trace"),
        (lambda: replay.begin(network(), recorded().drive), "simulation: expected a Simulation"),
        (lambda: replay.begin(simulation(), "a"), "drive: expected an array"),
        (lambda: replay.begin(simulation(), recorded().drive[:-1]), "drive: expected"),
        (lambda: replay.play(simulation(), recorded().drive, "0"), "number: expected"),
        (lambda: replay.play(result("clocked").simulation, recorded().drive), "engine 'event'"),
        (lambda: replay.play(simulation(), None), "drive: expected"),
        (lambda: replay.branch(recorded()), "run: expected an EventRun"),
        (lambda: replay.branch(result(), recorded()), "run: expected an EventRun"),
        (lambda: replay.branch(), "argument run"),
    ],
    "edits": [
        (lambda: eventsnn.Swap(1), "argument b"),
        (lambda: eventsnn.Swap(a=1, c=2), "options among"),
        (lambda: edited(eventsnn.Swap(1.5, 2)), "spikes by their seq, .*found 1.5"),
        (lambda: edited(eventsnn.Move("1", 2)), "spikes by their seq"),
        (lambda: eventsnn.Move(1, after=2), "options among"),
        (lambda: eventsnn.Move(0), "argument before"),
        (lambda: eventsnn.Drop(), "argument seq"),
        (lambda: edited(eventsnn.Drop([1, 2])), "spikes by their seq"),
        (lambda: eventsnn.Drop(1, 2), "at most 1 arguments"),
        (lambda: edited(eventsnn.Delay(0, "2")), "steps: expected 0 to 65,536 steps, found '2'"),
        (lambda: eventsnn.Delay(1), "argument steps"),
        (lambda: edits.edited(recorded(), [eventsnn.Delay(0, -1)]), "expected 0 to 65,536 steps"),
        (lambda: edits.edited(recorded(), eventsnn.Drop(0)), "edits"),
        (lambda: edits.edited(result(), []), "trace: expected a Trace"),
        (lambda: edits.edited(recorded(), ["drop"]), "edits"),
        (lambda: edits.recorded_order(recorded(), 3), "edits: expected a list"),
        (lambda: edits.recorded_order(simulation()), "trace: expected a Trace"),
        (lambda: edits.recorded_order(recorded(), [eventsnn.Drop(-1)]), "spikes by their seq"),
    ],
    "live": [
        (lambda: eventsnn.live(), "argument recorded, found none"),
        (lambda: eventsnn.live("run"), "recorded: expected .*found 'run'"),
        (lambda: eventsnn.live(network()), "recorded: expected .*found a Network"),
        (lambda: eventsnn.live(result(), pixel=1), "options among"),
        (
            lambda: eventsnn.live(recorded(), image=0),
            "image: expected none beside a trace, found 0",
        ),
    ],
    "report": [
        (lambda: report(), "argument run"),
        (lambda: report(3), "run: expected"),
        (lambda: report(result()), "run: expected .*found a Result"),
        (lambda: report("no such folder"), "a results folder, found nothing"),
        (lambda: report("no such folder", images=-1), "images: expected a whole number from 0"),
        (lambda: report("no such folder", image=1), "did you mean images"),
    ],
    "diff": [
        (lambda: eventsnn.diff(), "argument a"),
        (lambda: eventsnn.diff(result()), "argument b"),
        (lambda: eventsnn.diff(3, result()), "a: expected a results folder, Results or a Result"),
        (lambda: eventsnn.diff(result(), "no such folder"), "found nothing of that name"),
    ],
    "why": [
        (lambda: eventsnn.why(), "argument run"),
        (lambda: eventsnn.why(network()), "run: expected a Result, a results folder or Results"),
        (lambda: eventsnn.why("no such folder"), "found nothing of that name"),
        (lambda: eventsnn.why(result(), "first"), "image: expected one of the run's, 0 to 2"),
    ],
    "ordering": [
        (lambda: eventsnn.ordering(), "argument run"),
        (lambda: eventsnn.ordering(network()), "run: expected"),
        (lambda: eventsnn.ordering("no such folder"), "found nothing of that name"),
        (lambda: eventsnn.ordering(simulation(), 0), "image: expected"),
    ],
    "open_results": [
        (lambda: open_results(), "argument folder"),
        (lambda: open_results(3), "folder: expected"),
        (lambda: open_results("no such folder"), "a results folder, found nothing"),
        (lambda: open_results(result()), "folder: expected"),
    ],
    "export": [
        (lambda: export.write("nirr", simulation(), "."), "export: expected one of"),
        (lambda: export.write(simulation(), "nir", "."), "name: expected text"),
        (lambda: export.write("nir", network(), "."), "source: expected"),
        (lambda: export.write("gdf", simulation(), "."), "the path of a trace file"),
        (lambda: export.write("nir", simulation(), "no such folder"), "folder: expected"),
        (lambda: export.write("nir", simulation(), 3), "folder: expected"),
        (lambda: export.write("nir", simulation(), ".", ["a"]), "options: expected a mapping"),
        (lambda: export.nir.write(network(), "a.nir"), "simulation: expected a Simulation"),
        (lambda: export.nir.write(simulation(), 3), "path: expected"),
        (lambda: export.nir.write(simulation(), "a.nir", "brian"), "a reader among generic"),
        (lambda: export.spikes.write_gdf(result(), "a.gdf"), "source: expected a Trace"),
        (lambda: export.spikes.write_gdf(recorded(), None), "path: expected"),
        (lambda: export.spikes.write_sonata(3, "a.h5"), "source: expected a Trace"),
    ],
    "register": [
        (lambda: register("models", "mine", neurons.IF), "a kind among|kind: expected"),
        (lambda: register("model", "Mine!", neurons.IF), "a name of lower-case"),
        (lambda: register("model", "mine", "if"), "neuron 'mine'"),
        (lambda: register("model", 3, neurons.IF), "name: expected text"),
        (lambda: register("model", "mine"), "argument thing"),
        (lambda: register("engine", "mine", 3), "a class"),
    ],
    "plots.accuracy_figure": [
        (lambda: plots.accuracy_figure([], 0.5), "rows: expected one or more"),
        (lambda: plots.accuracy_figure(ROWS, "90%"), "ann_accuracy: expected"),
        (lambda: plots.accuracy_figure([{"T": 1}], 0.5), "rows: expected .*accuracy"),
        (lambda: plots.accuracy_figure(result(), 0.5), "rows: expected"),
    ],
    "plots.rates_figure": [
        (lambda: plots.rates_figure([]), "rows: expected one or more"),
        (lambda: plots.rates_figure([{"layer": "a"}]), "rows: expected .*rate"),
        (lambda: plots.rates_figure(RATES, title=3), "title: expected text"),
        (lambda: plots.rates_figure(result().rates()), "rows"),
    ],
    "plots.raster": [
        (lambda: plots.raster("trace-0.h5"), "trace: expected a Trace, found str; .*read_trace"),
        (lambda: plots.raster(recorded(), ["nowhere"]), "layer: expected one of"),
        (lambda: plots.raster(recorded(), potentials=[3]), "potentials: expected Observations"),
    ],
    "plots.causes": [
        (lambda: plots.causes(result(), 0), "trace: expected a Trace, found Result"),
        (lambda: plots.causes(recorded(), -1), "spike: expected"),
        (lambda: plots.causes(recorded()), "argument spike"),
    ],
    "plots.feature_maps": [
        (lambda: plots.feature_maps(recorded(), 99), "layer: expected one of"),
        (lambda: plots.feature_maps(recorded(), 0, [-1]), "channels"),
        (lambda: plots.feature_maps(recorded(), 0, steps=[0]), "steps"),
    ],
    "plots.save": [
        (lambda: plots.save("a.png", "b.png"), "figure: expected a Figure"),
        (lambda: plots.save(plots.rates_figure(RATES), 3), "path: expected"),
        (lambda: plots.save(plots.rates_figure(RATES)), "argument path"),
    ],
    "tables.text_table": [
        (lambda: tables.text_table([]), "rows: expected one or more"),
        (lambda: tables.text_table(result()), "rows: expected a list"),
        (lambda: tables.text_table([{"T": 1}, {"a": 2}]), "rows: expected"),
        (lambda: tables.text_table([{"T": 1}], 3), "columns: expected a mapping"),
    ],
    "tables.html_table": [
        (lambda: tables.html_table([]), "rows: expected one or more"),
        (lambda: tables.html_table("abc"), "rows: expected a list"),
        (lambda: tables.html_table([3]), r"rows\[0\]: expected a mapping"),
    ],
    "tables.write_csv": [
        (lambda: tables.write_csv([{"T": 1}], "a.csv"), "path: expected"),
        (lambda: tables.write_csv("no such folder/a.csv", []), "rows: expected one or more"),
        (lambda: tables.write_csv("a.csv", [{"T": 1}, {"a": 2}]), "rows: expected"),
    ],
    "tables.in_unit": [
        (lambda: tables.in_unit(3), "values: expected a list"),
        (lambda: tables.in_unit("abc"), "values: expected a list"),
        (lambda: tables.in_unit(["a"]), r"values\[0\]: expected a number"),
    ],
    "tables.dataset": [
        (lambda: tables.dataset(3), "variables: expected a mapping"),
        (lambda: tables.dataset({"a": 3}), r"variables\['a'\]: expected"),
        (lambda: tables.dataset(), "argument variables"),
    ],
    "tables.optional": [
        (lambda: tables.optional(3), "name: expected text"),
        (lambda: tables.optional("no_such_package"), "no_such_package, found none installed"),
        (lambda: tables.optional(""), "name: expected"),
    ],
    "tables.report_steps": [
        (lambda: tables.report_steps(0), "steps: expected a whole number from 1"),
        (lambda: tables.report_steps("8"), "steps: expected a whole number"),
        (lambda: tables.report_steps(2.5), "steps: expected a whole number"),
    ],
    "presets": [
        (lambda: presets.preset("srp"), "compat: expected one of"),
        (lambda: presets.preset(3), "expected .*found 3"),
        (lambda: presets.preset(), "argument name"),
        (lambda: presets.with_preset(simulate, "gn-code", {}), "compat 'gn-code'|given: expected"),
        (lambda: presets.with_preset(print, "gn-code", {}), "function: expected"),
        (lambda: presets.with_preset(simulate, "gn", {}), "compat: expected one of"),
    ],
    "inspect": [
        (lambda: list(describe("no such file.h5")), "no such file.h5"),
        (lambda: list(describe(3)), "path: expected"),
        (lambda: list(describe("sample", 3)), "arch: expected"),
        (lambda: list(describe(".")), "expected"),
    ],
    "data.accept": [
        (lambda: data.accept(PIXELS), "argument images"),
        (lambda: data.accept(network(), PIXELS), "graph: expected a Graph, found a Network"),
        (lambda: data.accept(graph(), PIXELS, where=3), "where: expected text"),
        (lambda: data.accept(graph(), None), "images: expected Images, raw pixels"),
    ],
    "data.labels_in": [
        (lambda: data.labels_in(graph(), "cat", 1), "labels: expected whole numbers"),
        (lambda: data.labels_in(graph(), [0, 1], 3), "a label for each of 3 images"),
        (lambda: data.labels_in(graph(), [[0.5] * 4], 1), "a single 1 in each row"),
        (lambda: data.labels_in(graph(), [0], "1"), "count: expected a whole number"),
    ],
    "data.as_vectors": [
        (lambda: data.as_vectors(network(), PIXELS), "graph: expected a Graph, found a Network"),
        (lambda: data.as_vectors(graph()), "argument images"),
        (lambda: data.as_vectors(PIXELS, graph()), "graph: expected a Graph"),
    ],
    "data.check_images": [
        (lambda: data.check_images(graph(), "a.npz"), "pixels: expected"),
        (lambda: data.check_images(graph(), PIXELS[0]), "shape"),
        (lambda: data.check_images(graph(), PIXELS, [0, 1]), "labels"),
        (lambda: data.check_images(graph(), PIXELS, "cat"), "labels: expected"),
    ],
    "ann.predict": [
        (lambda: ann.predict(network(), PIXELS), "graph: expected a Graph, found a Network"),
        (lambda: ann.predict(graph(), PIXELS[0]), "images of shape"),
        (lambda: ann.predict(graph(), "a.npz"), "pixels: expected"),
        (lambda: ann.predict(graph(), PIXELS, batch=0), "batch"),
        (lambda: ann.predict(graph(), PIXELS, workers=1.5), "workers: expected"),
        (lambda: ann.predict(graph(), PIXELS, progress=True), "progress: expected a function"),
    ],
    "Preprocessing": [
        (lambda: eventsnn.Preprocessing("1/255"), "scale: expected a number"),
        (lambda: eventsnn.Preprocessing(mean="0.5"), "mean: expected"),
        (lambda: eventsnn.Preprocessing(std=0), "std: expected numbers above 0"),
        (lambda: eventsnn.Preprocessing(sdt=1), "did you mean std"),
        (lambda: eventsnn.Preprocessing()("a.npz"), "images: expected"),
    ],
    "Node": [
        (lambda: eventsnn.Node("a"), "argument op"),
        (lambda: eventsnn.Node("a", "Relu", "input"), "inputs: expected a list.*'input'"),
        (lambda: eventsnn.Node("a", "Relu", ("input",), params=[1]), "params: expected a mapping"),
        (lambda: eventsnn.Node(1, "Relu", ("input",)), "name: expected text"),
    ],
    "Graph": [
        (lambda: eventsnn.Graph([], "input", "a", (1, 4, 4)), "expected"),
        (lambda: eventsnn.Graph("a.h5", "input", "a", (1, 4, 4)), "nodes: expected a list"),
        (lambda: eventsnn.Graph(graph().nodes, "input", "a", (4, 4)), "input_shape: expected"),
        (lambda: eventsnn.Graph(graph().nodes, "in", "a", (1, 4, 4)), "expected"),
        (lambda: eventsnn.Graph(graph().nodes, "input"), "argument output"),
    ],
    "Arithmetic": [
        (lambda: eventsnn.Arithmetic("fixed"), "argument dtype"),
        (lambda: simulation().arithmetic.quantise("a"), "values: expected an array"),
        (lambda: simulation().arithmetic.readout("a"), "values: expected an array"),
        (lambda: arithmetic.choose(network(), kind="float16", steps=4), "argument initial"),
        (lambda: arithmetic.choose(graph(), steps=4, initial=0, pixel_range=ENDS), "network: exp"),
        (lambda: choice(kind="float16"), "arithmetic: expected one of|kind"),
        (lambda: choice(steps="4"), "steps: expected a whole number"),
        (lambda: arithmetic.choose(), "argument network"),
        (lambda: choice(pixel_range=3), "pixel_range: expected"),
    ],
    "Batch": [
        (lambda: eventsnn.Batch.join([]), "batches: expected one or more"),
        (lambda: eventsnn.Batch.join(result()), "batches: expected a list"),
        (lambda: eventsnn.Batch.join([result()]), r"batches\[0\]: expected a Batch"),
    ],
    "encoding.events_of": [
        (lambda: encoding.events_of("a", (1, 4, 4), 4, 1024), "events: expected rows"),
        (lambda: encoding.events_of([[0, 99, 1]], (1, 4, 4), 4, 1024), "inputs inside 1x4x4"),
        (lambda: encoding.events_of([[0, 1, 2]], (1, 4, 4), 4, 1024), "signs of 1 or -1"),
        (lambda: encoding.events_of([], (4, 4), 4, 1024), "shape: expected"),
        (lambda: encoding.events_of([], (1, 4, 4), 4.5, 1024), "steps: expected a whole number"),
    ],
    "readers": [
        (lambda: readers.identify(3), "path: expected"),
        (lambda: readers.identify("no such file.h5"), "no such file.h5"),
        (lambda: readers.read_native("no such file.h5"), "no such file.h5"),
        (lambda: readers.read_native(), "argument path"),
        (lambda: readers.identify("a.h5", arch=[]), "arch: expected text or None"),
        (lambda: readers.write_native(graph()), "argument path"),
        (lambda: readers.read_native(3), "path: expected"),
        (lambda: readers.write_native("a.h5", graph()), "graph: expected a Graph"),
        (lambda: readers.write_native(graph(), 3), "path: expected"),
    ],
}


@cache
def found_errors():
    return errors.decompose(network(), PIXELS, **T)


def edited(*changes):
    return edits.edited(recorded(), changes)


def split(**changes):
    numbers, counts = np.ones((2, 3)), np.ones((2, 3), int)
    given = dict(a=numbers, y=numbers, spikes=counts, ideal=counts, theta=1.0, top=4, initial=0.5)
    return errors.split(**given | changes)


def totals():
    return np.zeros((1, len(simulation().resting)), np.int64)


def clocked(**options):
    return eventsnn.Simulation(network(), steps=4, **options)


def choice(**changes):
    return arithmetic.choose(network(), **dict(steps=4, initial=0.5, pixel_range=ENDS) | changes)


def message(call):
    """The InputError that a call ends in, as text; what else happens, in brackets."""
    try:
        found = call()
    except InputError as error:
        return str(error)
    except Exception as error:  # a bare one is what the table is about
        return f"[{type(error).__name__}: {error}]"
    return f"[nothing was raised: {type(found).__name__}]"


def wrong(call, words):
    """What is wrong with a slip's message, or ""."""
    told = message(call)
    good = not told.startswith("[") and "\n" not in told and "expected" in told
    return "" if good and re.search(words, told) else told


def test_slips_end_in_a_line_that_says_what_is_wrong(tmp_path, monkeypatch):
    """All in one test: most are over in microseconds."""
    monkeypatch.chdir(tmp_path)
    assert sum(map(len, SLIPS.values())) >= 300
    found = {
        f"{name} {i}": told
        for name, slips in SLIPS.items()
        for i, (call, words) in enumerate(slips)
        if (told := wrong(call, words))
    }
    assert found == {}
    assert list(Path().iterdir()) == []


# what only eventsnn itself calls, with arrays of its own making
INSIDE = """
arithmetic.factors arithmetic.parts cost.by_image
cost.spikezip_ann data.range_of edits.listed edits.named edits.nth_of edits.numbers_of
encoding.add_inputs encoding.bias_of encoding.by_site encoding.check_code encoding.drive_of
encoding.even_parts encoding.spikes_of_events errors.classify errors.contradicts
microscope.arrival_type neurons.is_dynamic neurons.levels neurons.made neurons.quanta
neurons.random_bits neurons.stages_of plots.caption plots.result_figure plots.shown
replay.first_difference replay.spread tables.check_rows tables.html_page
"""


def public_functions():
    """Name -> function, of all of `__all__` and of public modules."""
    found = {}
    for name in [*eventsnn.__all__, *eventsnn._MODULES]:
        thing = getattr(eventsnn, name)
        if inspect.isfunction(thing):
            found[name] = thing
        for key, value in vars(thing).items() if inspect.ismodule(thing) else ():
            own = getattr(value, "__module__", "") == thing.__name__
            if inspect.isfunction(value) and (own or key in getattr(thing, "__all__", ())):
                if key[0] != "_" and value not in found.values():
                    found[f"{name}.{key}"] = value
    return found


def test_every_public_function_has_three_slips():
    told = Path(__file__).read_text()
    few = [
        name
        for name in public_functions()
        if name not in INSIDE.split() and len(re.findall(rf"\b{re.escape(name)}\(", told)) < 3
    ]
    assert few == []


def test_the_annotations_of_checked_functions_can_be_read():
    """A name that is imported for types alone would only be missed when the function is called."""
    checks = [f.checks for f in public_functions().values() if hasattr(f, "checks")]
    checks += [f.__init__.checks for f in (eventsnn.Time, eventsnn.Images, eventsnn.Graph)]
    assert len(checks) > 60
    assert all(each.kinds.keys() <= each.signature.parameters.keys() for each in checks)


@pytest.mark.parametrize(
    "slip, words",
    [
        (
            lambda: eventsnn.Time(odrer="fifo"),
            "refractory, service, spread, ticks, window, found 'odrer'",
        ),
        (lambda: trace.read_trace(3), r"help\(eventsnn\.trace\.read_trace\)"),
        (lambda: microscope.plot(seen(), path=3), r"help\(eventsnn\.trace\.drawing\.plot\)"),
        (
            lambda: export.write("nir", simulation(), 3),
            r"help\(eventsnn\.export\.write\)",
        ),
        (lambda: result().plot("a.png"), "at most 0 arguments without a name, found 1"),
        (lambda: result().rates("act"), "at most 0 arguments without a name, found 1"),
        (lambda: open_results("/"), "/: expected a results folder, found no summary.json"),
    ],
)
def test_slips_are_named_as_the_caller_writes_them(slip, words):
    with pytest.raises(InputError, match=words):
        slip()


def test_an_array_without_axes_is_a_number():
    assert run(initial=np.array(0.25)).spikes.tolist() == run(initial=0.25).spikes.tolist()
