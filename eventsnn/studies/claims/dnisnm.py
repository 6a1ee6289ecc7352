"""Claims of DNISNM (Wang et al., Neural Networks 2024)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.studies import cost
from eventsnn.studies.claims.bench import RELU, Bench
from eventsnn.studies.claims.findings import Claim, Finding, close, mean, more
from eventsnn.studies.setting import neuron_layers
from eventsnn.studies.zoo.measured import MEANS

LAST = 32
MAX = {"thresholds": "max"}
DNI = {"thresholds": "dni"}
CHUNK = 32


def similar(bench: Bench) -> list[Finding]:
    """Correlation of neurons' largest activations on training and on test images, by layer."""
    graph, images, _ = bench.loaded(RELU)
    training = bench.calibration(RELU).pixels
    count = min(len(training), len(images))
    names = [layer.name for layer in neuron_layers(bench.network(RELU)).values()]
    first, second = (largest(graph, pixels[:count], names) for pixels in (training, images.pixels))
    findings = []
    for name in names:
        r = float(np.corrcoef(first[name], second[name])[0, 1])
        half = 1.96 / np.sqrt(len(first[name]) - 3)  # Fisher's z
        low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
        words = f"{name}: r of {len(first[name]):,} neurons, {count} images each"
        findings.append(Finding(words, r, float(low), float(high), least=0.5, form=".2f"))
    return findings


def largest(graph: Any, pixels: NDArray[Any], names: list[str]) -> dict[str, NDArray[np.float64]]:
    """The largest activation of each neuron on some images: name of a layer -> [neurons]."""
    found: dict[str, NDArray[np.float64]] = {}
    for start in range(0, len(pixels), CHUNK):
        x = graph.preprocessing(pixels[start : start + CHUNK])
        values = ann.forward(graph, x, keep=names)
        for name in names:
            most = values[name].max(axis=0).ravel().astype(np.float64)
            found[name] = np.maximum(found.get(name, most), most)
    return found


def dni(bench: Bench) -> list[Finding]:
    """DNI against a threshold for each layer, v(0) = 0 (RMP) and theta / 2 (OPI)."""
    findings = []
    for t in (8, 16, LAST):
        first = bench.hits(RELU, LAST, t, convert=DNI)
        for words, options in (("RMP", {"initial": 0.0}), ("OPI", {})):
            second = bench.hits(RELU, LAST, t, convert=MAX, **options)
            findings.append(more(f"IF + DNI against {words}, T = {t}", first, second))
    return findings


def signed(bench: Bench) -> list[Finding]:
    """SNM against IF, thresholds by layer."""
    findings = []
    for t in (8, 16, LAST):
        first = bench.hits(RELU, LAST, t, convert=MAX, neuron="snm")
        second = bench.hits(RELU, LAST, t, convert=MAX)
        findings.append(more(f"SNM against IF, T = {t}", first, second))
    return findings


def avoids(bench: Bench) -> list[Finding]:
    """What is left of unevenness with SNM, by layer behind the first."""
    found = bench.parts(RELU, 8, neuron="snm")
    findings = []
    for row in found.layers[1:]:
        values = found.samples[row["layer"], "unevenness square"].values
        whole = found.samples[row["layer"], "ann square"].values
        words = f"{row['layer']}: squared unevenness, of the activations' square"
        findings.append(mean(words, values / whole, ".2%", most=0.001))
    return findings


def both(bench: Bench) -> list[Finding]:
    """SNM and DNI against DNI, and against SNM."""
    findings = []
    first = bench.hits(RELU, LAST, 8, convert=DNI, neuron="snm")
    for words, second in (
        ("IF + DNI", bench.hits(RELU, LAST, 8, convert=DNI)),
        ("SNM", bench.hits(RELU, LAST, 8, convert=MAX, neuron="snm")),
    ):
        findings.append(more(f"SNM + DNI against {words}, T = 8", first, second))
    return findings


def lossless(bench: Bench) -> list[Finding]:
    """SNM and DNI against the ANN."""
    first = bench.hits(RELU, LAST, convert=DNI, neuron="snm")
    return [close(f"SNM + DNI, T = {LAST}, against the ANN", first, bench.ann_hits(RELU), 0.02)]


def energy(bench: Bench) -> list[Finding]:
    """(SNN - ANN) / ANN by eq. 26, of each image."""
    network = bench.network(RELU, **DNI)
    run = bench.run(RELU, LAST, DNI, neuron="snm")
    findings = []
    for t, claimed in ((4, -0.8), (16, -0.4)):
        spikes, operations = (
            getattr(run, name)[:, :, :t].sum(axis=2).astype(float) for name in MEANS[:2]
        )
        drop = cost.by_image(network, spikes, operations)["dnisnm_energy_drop"]
        findings.append(mean(f"T = {t}: energy drop", drop, "+.1%", most=claimed))
    return findings


THRESHOLDS = (
    "python analysis/neuron_thresholds.py --net fashion_relu --data fashion-mnist --rules max,dni"
)
LATENCY = (
    "python analysis/accuracy_latency.py --net fashion_relu --data fashion-mnist "
    "--models if+max+zero,if+max,if+dni,snm+max,snm+dni"
)
CLAIMS = {
    "dnisnm-fig-4": Claim(
        "DNISNM",
        "Fig. 4",
        "neurons' largest activations on training and on test images are much "
        "alike in every layer: r above 0.5",
        similar,
        THRESHOLDS,
    ),
    "dnisnm-fig-7": Claim(
        "DNISNM", "Fig. 7", "DNI is above RMP and OPI at T = 8, 16 and 32", dni, LATENCY
    ),
    "dnisnm-fig-8": Claim(
        "DNISNM", "Fig. 8", "SNM is above IF at T = 8, 16 and 32, same thresholds", signed, LATENCY
    ),
    "dnisnm-4-2": Claim(
        "DNISNM",
        "section 4.2",
        "SNM completely avoids what the order of spikes does in a step's "
        "sum: unevenness below 0.1 % of the activations' square",
        avoids,
        "python analysis/error_parts.py --net fashion_relu --data fashion-mnist --neurons snm",
    ),
    "dnisnm-both": Claim(
        "DNISNM", "section 4.3", "the two together are above each alone at T = 8", both, LATENCY
    ),
    "dnisnm-tab-2": Claim(
        "DNISNM",
        "Tab. 2",
        "nearly lossless at T = 32: within 2 points of the ANN",
        lossless,
        LATENCY,
    ),
    "dnisnm-tab-5": Claim(
        "DNISNM",
        "Tab. 5",
        "eq. 26 drops by more than 80 % at T = 4 and 40 % at T = 16",
        energy,
        "python analysis/energy.py --net fashion_relu --data fashion-mnist --neurons snm "
        "--thresholds dni",
    ),
}
