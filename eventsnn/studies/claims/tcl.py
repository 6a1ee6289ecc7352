"""Claims of TCL (Ho and Chang, DAC 2021)."""

from __future__ import annotations

import numpy as np

from eventsnn.studies.claims.bench import RELU, TCL, Bench
from eventsnn.studies.claims.findings import Claim, Finding, close, more
from eventsnn.studies.claims.trained import better, lower_ann, smaller_factors
from eventsnn.studies.setting import neuron_layers

LONG = 128
MAX = {"thresholds": "max"}


def percentile(value: float) -> dict[str, object]:
    """Options of a conversion with a percentile as threshold."""
    return {"thresholds": "percentile", "percentile": value}


def latency(bench: Bench) -> list[Finding]:
    """Smaller norm-factors against the largest activation at short T."""
    findings = []
    for t in (8, 16):
        first = bench.hits(RELU, LONG, t, convert=percentile(99.9))
        second = bench.hits(RELU, LONG, t, convert=MAX)
        findings.append(more(f"99.9th percentile against the largest, T = {t}", first, second))
    return findings


def clipping(bench: Bench) -> list[Finding]:
    """Small norm-factors against the largest activation at long T."""
    first = bench.hits(RELU, LONG, convert=MAX)
    second = bench.hits(RELU, LONG, convert=percentile(99.0))
    return [more(f"the largest against the 99th percentile, T = {LONG}", first, second)]


def factors(bench: Bench) -> list[Finding]:
    """Trained thresholds of each layer, of the largest activation of the network with ReLU."""
    own, largest = bench.network(TCL), bench.network(RELU, **MAX)
    pairs = zip(neuron_layers(own).values(), neuron_layers(largest).values())
    logs = np.array([np.log(np.mean(a.theta) / np.mean(b.theta)) for a, b in pairs])
    from scipy.stats import t

    half = float(t.ppf(0.975, len(logs) - 1)) * logs.std(ddof=1) / np.sqrt(len(logs))
    value, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist()
    words = "trained thresholds, of the largest activation, geometric mean of layers"
    return [Finding(words, value, low, high, most=1.0, form=".3f")]


def unharmed(bench: Bench) -> list[Finding]:
    """The ANN with clipping layers against the one with ReLU, on the same images."""
    first, second = bench.ann_hits(TCL), bench.ann_hits(RELU)
    return [close("the ANN with TCL against that without", first, second, 0.02)]


def lossless(bench: Bench) -> list[Finding]:
    """The spiking network after 128 steps against its ANN."""
    first, second = bench.hits(TCL, LONG), bench.ann_hits(TCL)
    return [close(f"TCL, T = {LONG}, against its ANN", first, second, 0.02)]


def _figure(number: int) -> str:
    return (
        f"python analysis/training_figures.py --figure tcl-{number} --data fashion-mnist "
        f"--steps 35 --out runs/training/tcl-{number}"
    )


RULES = (
    "python analysis/neuron_thresholds.py --net fashion_relu --data fashion-mnist "
    "--rules max,99.9,99 --steps 128"
)
LATENCY = "python analysis/accuracy_latency.py --net fashion_tcl --data fashion-mnist --steps 128"
CLAIMS = {
    "tcl-3a-latency": Claim(
        "TCL",
        "section III.A",
        "smaller norm-factors shorten latency: the 99.9th percentile is "
        "above the largest activation at T = 8 and 16",
        latency,
        RULES,
    ),
    "tcl-3a-clipping": Claim(
        "TCL",
        "section III.A",
        "clipping errors cost accuracy at long T: the 99th percentile is "
        f"below the largest activation at T = {LONG}",
        clipping,
        RULES,
    ),
    "tcl-fig-3": Claim(
        "TCL",
        "Fig. 3",
        "training makes norm-factors smaller than the largest activation",
        factors,
        "python analysis/trained_networks.py --nets fashion_tcl,fashion_relu+max "
        "--data fashion-mnist",
    ),
    "tcl-fig-5": Claim(
        "TCL", "Fig. 5", "clipping layers hardly change the ANN: within 2 points", unharmed, LATENCY
    ),
    "tcl-tab-2": Claim(
        "TCL",
        "Tab. II",
        f"a loss below half a point at T = 100 to 150; here within 2 points at T = {LONG}",
        lossless,
        LATENCY,
    ),
    "tcl-fig-6": Claim(
        "TCL",
        "Fig. 6",
        "trained thresholds lose less than the 99.9th percentile; here SNNs' accuracies, T = 35",
        better("tcl-6", "TCL", "99.9 %", 35),
        _figure(6),
    ),
    "tcl-fig-6-99-5": Claim(
        "TCL",
        "Fig. 6",
        "and less than the 99.5th percentile; likewise",
        better("tcl-6", "TCL", "99.5 %", 35),
        _figure(6),
    ),
    "tcl-fig-7": Claim(
        "TCL",
        "Fig. 7",
        "a larger alpha makes smaller norm-factors (1e-2 against 1e-4)",
        smaller_factors("tcl-7", "alpha 1e-2", "alpha 1e-4"),
        _figure(7),
    ),
    "tcl-tab-1": Claim(
        "TCL",
        "Tab. I",
        "a larger alpha is more accurate at short T (1e-2 against 1e-4, T = 25)",
        better("tcl-7", "alpha 1e-2", "alpha 1e-4", 25),
        _figure(7),
    ),
    "tcl-tab-1-ann": Claim(
        "TCL",
        "section IV.A",
        "the ANN is worse with a larger alpha (1e-2 against 1e-4)",
        lower_ann("tcl-7", "alpha 1e-2", "alpha 1e-4", 0.0),
        _figure(7),
    ),
}
