"""Claims of GN (Lv et al., ICASSP 2024)."""

from __future__ import annotations

import numpy as np

from eventsnn.studies.claims.bench import QCFS, Bench
from eventsnn.studies.claims.findings import Claim, Finding, close, more, none_of, ratio

TIMES = (1, 2, 4, 8, 16, 32)
LAST = 32


def smaller(bench: Bench) -> list[Finding]:
    """The squared distance of GN's readout from the ANN's, of IF's."""
    findings = []
    for t in TIMES:
        group, plain = (bench.squares(QCFS, LAST, t, neuron=name) for name in ("gn:4", "if"))
        findings.append(ratio(f"T = {t}: GN's MSE of IF's", group, plain, ".1%", most=1.0))
    return findings


def pronounced(bench: Bench) -> list[Finding]:
    """That ratio after few steps less that after 32, on the same resamples of images."""
    findings = []
    rng = np.random.default_rng(0)
    squares = {
        (name, t): bench.squares(QCFS, LAST, t, neuron=name)
        for name in ("gn:4", "if")
        for t in (1, 2, 4, LAST)
    }
    count = len(squares["if", 1])
    draws = rng.integers(0, count, (2000, count))

    def of(t: int, some: np.ndarray) -> np.ndarray:
        first, second = (squares[name, t][some].mean(axis=-1) for name in ("gn:4", "if"))
        return np.asarray(first / second)

    whole = np.arange(count)
    for t in (1, 2, 4):
        drawn = of(t, draws) - of(LAST, draws)
        low, high = np.quantile(drawn, [0.025, 0.975])
        value = float(of(t, whole) - of(LAST, whole))
        words = f"MSE ratio at T = {t} less that at T = {LAST}"
        findings.append(Finding(words, value, float(low), float(high), most=0.0, form="+.1%"))
    return findings


def same(bench: Bench) -> list[Finding]:
    """Images in which GN with as many members as levels has another class than the ANN at T = 1."""
    ann = bench.loaded(QCFS)[2].argmax(axis=1)
    other = bench.run(QCFS, 1, neuron="gn:4").predictions(1) != ann
    return [none_of("images in another class", int(other.sum()), len(other))]


def lossless(bench: Bench) -> list[Finding]:
    """GN after two steps against the ANN."""
    first = bench.hits(QCFS, LAST, 2, neuron="gn:4")
    return [close("GN (tau = 4), T = 2, against the ANN", first, bench.ann_hits(QCFS), 0.02)]


def against_if(bench: Bench) -> list[Finding]:
    """GN against IF after few steps."""
    findings = []
    for t in (1, 2, 4):
        first = bench.hits(QCFS, LAST, t, neuron="gn:4")
        second = bench.hits(QCFS, LAST, t, neuron="if")
        findings.append(more(f"GN against IF, T = {t}", first, second))
    return findings


def against_srp(bench: Bench) -> list[Finding]:
    """GN against SRP after few steps."""
    findings = []
    for t in (1, 2):
        first = bench.hits(QCFS, LAST, t, neuron="gn:4")
        second = bench.hits(QCFS, 4, t, srp=4)
        findings.append(more(f"GN against SRP (tau = 4), T = {t}", first, second))
    return findings


def members(bench: Bench) -> list[Finding]:
    """More members against fewer, after one step."""
    findings = []
    for many, few in ((2, 1), (4, 2), (8, 4)):
        first = bench.hits(QCFS, LAST, 1, neuron=f"gn:{many}")
        second = bench.hits(QCFS, LAST, 1, neuron=f"gn:{few}" if few > 1 else "if")
        findings.append(more(f"tau = {many} against {few}, T = 1", first, second))
    return findings


def members_late(bench: Bench) -> list[Finding]:
    """More members against fewer, after many steps."""
    first = bench.hits(QCFS, LAST, 16, neuron="gn:8")
    second = bench.hits(QCFS, LAST, 16, neuron="gn:2")
    return [close("tau = 8 against 2, T = 16", first, second, 0.03)]


MEMBERS = "python analysis/gn_members.py --net fashion_qcfs --data fashion-mnist"
CLAIMS = {
    "gn-tab-1": Claim("GN", "Tab. 1", "GN's MSE is below IF's at every T", smaller, MEMBERS),
    "gn-tab-1-short": Claim(
        "GN",
        "Tab. 1",
        "the ratio of the two is lower at T = 1, 2 and 4 than at T = 32",
        pronounced,
        MEMBERS,
    ),
    "gn-law-7": Claim(
        "GN",
        "section 2.2",
        "with as many members as levels T = 1 gives the ANN's class",
        same,
        MEMBERS,
    ),
    "gn-tab-2": Claim(
        "GN", "Tab. 2", "almost the ANN's accuracy at T = 2: within 2 points", lossless, MEMBERS
    ),
    "gn-tab-2-if": Claim("GN", "Tab. 2", "above QCFS at T = 1, 2 and 4", against_if, MEMBERS),
    "gn-tab-2-srp": Claim(
        "GN",
        "Tab. 2",
        "above SRP at T = 1 and 2",
        against_srp,
        "python analysis/accuracy_latency.py --net fashion_qcfs --data fashion-mnist",
    ),
    "gn-fig-3": Claim(
        "GN",
        "Fig. 3",
        "more members improve accuracy at short T (2, 4, 8 at T = 1)",
        members,
        MEMBERS,
    ),
    "gn-fig-3-late": Claim(
        "GN",
        "Fig. 3",
        "above T = 8 they hardly do (8 against 2: within 3 points)",
        members_late,
        MEMBERS,
    ),
}
