"""Claims of SRP (Hao et al., AAAI 2023)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from eventsnn.statistics import wilson
from eventsnn.studies.claims.bench import QCFS, RELU, TCL, Bench
from eventsnn.studies.claims.findings import Claim, Finding, close, mean, more, none_of

SHARE = 0.01  # of theta, within which a mean error counts as none
STEPS = 4


def observation(bench: Bench) -> list[Finding]:
    """Case 1 against the largest of the others, in each layer that makes errors."""
    found = bench.cases(QCFS, STEPS)
    findings = []
    for row in found.layers:
        name = row["layer"]
        if not row["I"]:
            continue
        others = max((2, 3, 4), key=lambda k: row[f"I case {k}"])
        first, second = (found.samples[name, f"I case {k}"].values for k in (1, others))
        words = f"{name}: case 1 less case {others}, % of neurons"
        findings.append(mean(words, first - second, least=0.0))
    return findings


def theorem(bench: Bench) -> list[Finding]:
    """Neurons that contradict Theorem 1."""
    found = bench.cases(QCFS, STEPS)
    number = sum(row["conditions hold"] for row in found.theorem)
    return [none_of("neurons that contradict it", found.counterexamples, number)]


def negligible(bench: Bench) -> list[Finding]:
    """Case 2 among neurons with a residual potential below 0 that fire too much."""
    found = bench.cases(QCFS, STEPS)
    first, second = (sum(row[f"v < 0, case {k}"] for row in found.theorem) for k in (1, 2))
    number = first + second
    words = f"case 2 of {number:,} neurons with v(T) < 0 that fire too much"
    return [Finding(words, second / number, *wilson(second, number), most=0.1, form=".1%")]


def uniform(bench: Bench) -> list[Finding]:
    """Eq. 9 where y is uniform in [0, theta]: exactly, for L = 4 levels and T steps."""
    findings = []
    for steps in (1, 2, 4, 8):
        error = float(_stairs(4) - _stairs(steps))
        findings.append(Finding(f"T = {steps}: mean error", error, error, error, -1e-12, 1e-12))
    return findings


def _stairs(levels: int) -> Fraction:
    """The mean of a stair of `levels` steps with a shift of one half, y uniform in [0, 1]."""
    heights = [Fraction(k, levels) for k in range(levels + 1)]
    widths = [Fraction(1, levels)] * (levels + 1)
    widths[0] = widths[-1] = Fraction(1, 2 * levels)
    return sum((height * width for height, width in zip(heights, widths)), Fraction(0))


def real(steps: int) -> Any:
    """Eq. 9 on the activations of a network: the mean of the quantisation error, by layer."""

    def judge(bench: Bench) -> list[Finding]:
        found = bench.parts(QCFS, steps)
        findings = []
        for row in found.layers:
            name, theta = row["layer"], row["theta"]
            values = found.samples[name, "quantisation mean"].values / theta
            words = f"{name}: mean error, of theta"
            findings.append(mean(words, values, ".2%", least=-SHARE, most=SHARE))
        return findings

    return judge


def reduces(bench: Bench) -> list[Finding]:
    """Error II of the last five layers without SRP less that with it."""
    plain, masked = bench.cases(QCFS, STEPS), bench.cases(QCFS, STEPS, srp=4)
    findings = []
    for row in plain.layers[-5:]:
        key = row["layer"], "II"
        change = plain.samples[key].values - masked.samples[key].values
        findings.append(mean(f"{row['layer']}: points of error II", change, least=0.0))
    return findings


def against_qcfs(bench: Bench) -> list[Finding]:
    """SRP after 4 steps behind 4 of its first stage against IF after 8, which take as long."""
    first, second = bench.hits(QCFS, STEPS, srp=4), bench.hits(QCFS, 32, 8)
    return [more("SRP, T = 4, against IF, T = 8", first, second)]


def against_opi(bench: Bench) -> list[Finding]:
    """SRP on IF with v(0) = theta / 2 and untrained thresholds (Fig. 7, OPI)."""
    first = bench.hits(RELU, 4, srp=4)
    return [more("SRP (tau = 4), T = 4, against OPI, T = 8", first, bench.hits(RELU, 32, 8))]


def against_tcl(bench: Bench) -> list[Finding]:
    """SRP on TCL (Fig. 7)."""
    first = bench.hits(TCL, 8, srp=24)
    return [more("SRP (tau = 24), T = 8, against TCL, T = 32", first, bench.hits(TCL, 32))]


def grows(bench: Bench) -> list[Finding]:
    """A longer first stage against a short one."""
    first, second = bench.hits(QCFS, 4, srp=4), bench.hits(QCFS, 4, srp=1)
    return [more("tau = 4 against 1, T = 4", first, second)]


def stabilises(bench: Bench) -> list[Finding]:
    """A first stage longer than L against one of L."""
    first, second = bench.hits(QCFS, 4, srp=16), bench.hits(QCFS, 4, srp=4)
    return [close("tau = 16 against 4 = L, T = 4", first, second, 0.03)]


def costs_later(bench: Bench) -> list[Finding]:
    """IF after many steps against SRP."""
    first, second = bench.hits(QCFS, 32), bench.hits(QCFS, 32, srp=4)
    return [close("SRP against IF, T = 32", second, first, 0.03)]


CASES = "python analysis/error_cases.py --net fashion_qcfs --data fashion-mnist --steps 4 --srp 4"
TAU = "python analysis/srp_tau.py --net fashion_qcfs --data fashion-mnist"
CLAIMS = {
    "srp-observation-1": Claim(
        "SRP",
        "Observation 1",
        "Case 1 has the largest share of unevenness error I in every layer",
        observation,
        CASES,
    ),
    "srp-theorem-1": Claim(
        "SRP",
        "Theorem 1",
        "phi > a exactly where v(T) < 0 (a > 0), and only there (a = 0)",
        theorem,
        CASES,
    ),
    "srp-case-2": Claim(
        "SRP",
        "section 4",
        "where v(T) < 0 case 2 can be neglected beside case 1: below a tenth",
        negligible,
        CASES,
    ),
    "srp-eq-9-uniform": Claim(
        "SRP",
        "eq. 9",
        "the mean of a - phi is 0 for every T and L, y uniform in [0, theta]",
        uniform,
    ),
    "srp-eq-9-real-T-2": Claim(
        "SRP",
        "eq. 9",
        "the same on a network's own activations, T = 2, L = 4: within 1 % of theta",
        real(2),
        "python analysis/error_parts.py --net fashion_qcfs --data fashion-mnist --steps 2",
    ),
    "srp-eq-9-real-T-8": Claim(
        "SRP",
        "eq. 9",
        "the same on a network's own activations, T = 8, L = 4: within 1 % of theta",
        real(8),
        "python analysis/error_parts.py --net fashion_qcfs --data fashion-mnist --steps 8",
    ),
    "srp-fig-5": Claim(
        "SRP",
        "Fig. 5",
        "SRP reduces unevenness error II in each of the last five layers",
        reduces,
        CASES,
    ),
    "srp-tab-1": Claim(
        "SRP",
        "Tab. 1",
        "SRP (tau = 4) after 4 steps is more accurate than QCFS after 8",
        against_qcfs,
        TAU,
    ),
    "srp-fig-6": Claim("SRP", "Fig. 6", "accuracy grows with tau", grows, TAU),
    "srp-fig-6-end": Claim(
        "SRP", "Fig. 6", "a tau above L hardly improves: within 3 points", stabilises, TAU
    ),
    "srp-fig-7-opi": Claim("SRP", "Fig. 7", "SRP improves OPI at equal latency", against_opi),
    "srp-fig-7-tcl": Claim("SRP", "Fig. 7", "SRP improves TCL at equal latency", against_tcl),
    "srp-tab-1-end": Claim(
        "SRP", "Tab. 1", "at T = 32 SRP is as accurate as QCFS: within 3 points", costs_later, TAU
    ),
}
