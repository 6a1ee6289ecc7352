"""Claims of SpikeZIP."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventsnn.studies import cost
from eventsnn.studies.claims.bench import LSQ, QCFS, Bench
from eventsnn.studies.claims.findings import Claim, Finding, mean, none_of, ratio
from eventsnn.studies.claims.trained import best, better, faster
from eventsnn.studies.setting import neuron_layers, top_of

REST = 128
AT_REST: dict[str, Any] = {"neuron": "st-bif", "encoding": "even"}
# steps in which neurons may answer once, so that firing does not multiply from layer to layer
ORDER = {"engine": "event", "order": "random", "refractory": 1.0}


def equal(bench: Bench) -> list[Finding]:
    """Outputs at rest that are not the quantised ANN's, in the same whole numbers."""
    found = bench.rest(LSQ, REST)
    outputs = found.readout.size
    return [none_of("outputs that differ", int(found.outputs.sum()), outputs)]


def lemma(bench: Bench) -> list[Finding]:
    """Neurons at rest that have not fired as the stair says, clocked and in random order."""
    findings = []
    for words, options in (("clocked", {}), ("in random order, without a clock", ORDER)):
        found = bench.rest(LSQ, REST, **options)
        number = len(found.neurons) * found.simulation.network.neurons
        findings.append(none_of(f"neurons, {words}", int(found.neurons.sum()), number))
    return findings


def tracer(bench: Bench) -> list[Finding]:
    """The spikes that a tracer has to hold: S_max of each layer of 8 levels, in bits."""
    simulation = bench.rest(LSQ, REST).simulation
    most = max(top_of(simulation, i) for i in neuron_layers(simulation.network))
    bits = float(np.ceil(np.log2(most + 1)))
    return [Finding("bits of the largest S_max", bits, bits, bits, most=5.0, form=".0f")]


def fast(bench: Bench) -> list[Finding]:
    """T_eq, the steps until nothing moves."""
    return [mean("T_eq, mean of images", bench.rest(LSQ, REST).t_eq, ".1f", most=16.0)]


def closer(bench: Bench) -> list[Finding]:
    """L1 distance of the last layer from the quantised ANN's: ST-BIF less IF, of its norm."""
    found = bench.distances(LSQ, REST)
    last = len(found.layers) - 1
    findings = []
    for t in (4, 8, 16):
        place = found.steps.index(t)
        apart = found.apart[:, :, place, last]
        findings.append(
            ratio(
                f"T = {t}: ST-BIF less IF, of the norm",
                apart[:, 0] - apart[:, 1],
                found.norms[:, last],
                "+.1%",
                most=0.0,
            )
        )
    return findings


def cheaper(bench: Bench) -> list[Finding]:
    """Operations of ST-BIF at rest, of those of IF at T = 16 and 32, on the same network."""
    rest = bench.run(QCFS, REST, **AT_REST).operations.sum(axis=(1, 2))
    findings = []
    for t in (8, 16, 32):
        plain = bench.run(QCFS, 32).operations[:, :, :t].sum(axis=(1, 2))
        findings.append(ratio(f"at rest, of IF's at T = {t}", rest, plain, ".1%", most=1.0))
    return findings


def below_ann(bench: Bench) -> list[Finding]:
    """77 fJ an operation, of 12.5 pJ a FLOP of the ANN."""
    run = bench.run(LSQ, REST, **AT_REST)
    operations = run.operations.sum(axis=(1, 2)) * cost.SYNAPTIC_OPERATION * 1e-6
    whole = cost.spikezip_ann(bench.network(LSQ))
    return [mean("energy at rest, of the ANN's", operations / whole, ".2%", most=0.5)]


LATENCY = "python analysis/accuracy_latency.py --net fashion_qcfs --data fashion-mnist"
EQUAL = "python analysis/equivalence.py --net fashion_lsq --data fashion-mnist"


def _figure(name: str) -> str:
    return (
        f"python analysis/training_figures.py --figure spikezip-{name} --data fashion-mnist "
        f"--out runs/training/spikezip-{name}"
    )


CLAIMS = {
    "spikezip-theorem-1": Claim(
        "SpikeZIP", "Theorem 1", "the outputs at rest are the quantised ANN's", equal, EQUAL
    ),
    "spikezip-lemma-1": Claim(
        "SpikeZIP",
        "Lemma 1",
        "at rest a neuron has fired what the stair of its charge says, whatever the order",
        lemma,
        EQUAL,
    ),
    "spikezip-tracer": Claim(
        "SpikeZIP", "section 4.5", "4 bits are enough for the tracer of spikes (8 levels)", tracer
    ),
    "spikezip-latency": Claim(
        "SpikeZIP", "section 4.1", "at rest within 16 steps (8 levels)", fast, EQUAL
    ),
    "spikezip-fig-5": Claim(
        "SpikeZIP",
        "Fig. 5",
        "ST-BIF is nearer to the quantised ANN than IF after 4, 8 and 16 "
        "steps (L1 of the last layer)",
        closer,
        EQUAL,
    ),
    "spikezip-fig-7": Claim(
        "SpikeZIP",
        "Fig. 7",
        "it takes less energy than QCFS with IF from T = 8 on",
        cheaper,
        LATENCY,
    ),
    "spikezip-fig-7-ann": Claim(
        "SpikeZIP",
        "Fig. 7",
        "its energy is much below the ANN's: less than half",
        below_ann,
        "python analysis/energy.py --net fashion_lsq --data fashion-mnist --neurons st-bif",
    ),
    "spikezip-rcr": Claim(
        "SpikeZIP",
        "Fig. 6a",
        "rerouted shortcuts (RCR) raise accuracy at T = 2",
        better("spikezip-6a", "R", "N", 2),
        _figure("6a"),
    ),
    "spikezip-pet": Claim(
        "SpikeZIP",
        "Fig. 6a",
        "paths-ensemble training raises accuracy at T = 2",
        better("spikezip-6a", "P", "N", 2),
        _figure("6a"),
    ),
    "spikezip-both": Claim(
        "SpikeZIP",
        "Fig. 6a",
        "both together do at T = 2",
        better("spikezip-6a", "PR", "N", 2),
        _figure("6a"),
    ),
    "spikezip-6b-early": Claim(
        "SpikeZIP",
        "Fig. 6b",
        "fewer levels are better at T = 2 (2 against 8)",
        better("spikezip-6b", "2 levels", "8 levels", 2),
        _figure("6b"),
    ),
    "spikezip-6b-late": Claim(
        "SpikeZIP",
        "Fig. 6b",
        "and worse at rest",
        better("spikezip-6b", "8 levels", "2 levels", "rest"),
        _figure("6b"),
    ),
    "spikezip-5a": Claim(
        "SpikeZIP",
        "Tab. 5a",
        "shared scales are better than identical and independent ones at T = 2, 4 and 8",
        best("spikezip-5a", "share", ("identical", "independent"), (2, 4, 8)),
        _figure("5a"),
    ),
    "spikezip-5b": Claim(
        "SpikeZIP",
        "Tab. 5b",
        "shared BatchNormalization is better than independent ones at T = 2",
        better("spikezip-5b", "share", "independent", 2),
        _figure("5b"),
    ),
    "spikezip-5b-late": Claim(
        "SpikeZIP",
        "Tab. 5b",
        "and better than identical ones at rest",
        better("spikezip-5b", "share", "identical", "rest"),
        _figure("5b"),
    ),
    "spikezip-5c": Claim(
        "SpikeZIP",
        "Tab. 5c",
        "a larger alpha is better at T = 2 (4 against 1)",
        better("spikezip-5c", "alpha 4", "alpha 1", 2),
        _figure("5c"),
    ),
    "spikezip-5c-late": Claim(
        "SpikeZIP",
        "Tab. 5c",
        "and a smaller one at rest (1 against 4)",
        better("spikezip-5c", "alpha 1", "alpha 4", "rest"),
        _figure("5c"),
    ),
    "spikezip-5d": Claim(
        "SpikeZIP",
        "Tab. 5d",
        "soft labels are better than hard ones at rest",
        better("spikezip-5d", "soft", "hard", "rest"),
        _figure("5d"),
    ),
    "spikezip-cost": Claim(
        "SpikeZIP",
        "section 4.1",
        "PET increases the cost of training slightly (PR against R): by less than a half",
        faster("spikezip-6a", "PR", "R", 1.5),
        _figure("6a"),
    ),
}
