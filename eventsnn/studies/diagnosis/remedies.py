"""What may help: each tried on one half of the images, the best confirmed on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import named_fields
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.network.network import Network
from eventsnn.simulation.time import MAX_STEPS
from eventsnn.statistics import Paired, compare, p_words
from eventsnn.studies.diagnosis.measured import Measured, run
from eventsnn.studies.diagnosis.verdict import FOUND, Verdict
from eventsnn.views.progress import bar

PERCENTILES = (99.9, 99.0, 99.99)
MOST_DNI = 2 * 10**7  # synapses, each of which has a weight of its own then
CONFIRMED = 0.05  # p of the chosen remedy on the other half, below which it helps
REST = 128  # steps of ST-BIF, at least
Maker = Callable[[dict[str, Any]], Network]  # the network with other options of `convert`


@named_fields
@dataclass(frozen=True)
class Remedy:
    """One remedy of `eventsnn.diagnose`.

    name: in words. convert, simulate: the options that it changes, of `eventsnn.convert` and of
    `eventsnn.simulate`. why_not: why it was not tried, or could not be
    confirmed, or "". right: images of the first half that
    it has right, and images: of how many. chosen: against the network as it is, on that half; None
    where it was not tried. confirmed: the like on the other half, of the one that was chosen; None
    of others. whole: images that it has right on both.
    """

    name: str
    convert: dict[str, Any] = field(default_factory=dict)
    simulate: dict[str, Any] = field(default_factory=dict)
    why_not: str = ""
    right: int = 0
    images: int = 0
    chosen: Paired | None = None
    confirmed: Paired | None = None
    whole: int = 0

    @property
    def options(self) -> str:
        """What it changes, as options in a message (`exceptions.named`)."""
        given = {**self.convert, **self.simulate}
        return " ".join(
            named(name, f"{value:g}" if isinstance(value, float) else value)
            for name, value in given.items()
        )

    @property
    def calls(self) -> str:
        """The like as calls of Python."""
        calls = []
        for function, changes in (("convert", self.convert), ("simulate", self.simulate)):
            given = ", ".join(f"{name}={value!r}" for name, value in changes.items())
            calls += [f"{function}(…, {given})"] if given else []
        return " and ".join(calls)

    @property
    def helps(self) -> bool:
        """Whether the other half of the images confirms it."""
        found = self.confirmed
        return found is not None and found.gained > found.lost and found.p < CONFIRMED

    def row(self) -> dict[str, Any]:
        """It as a row of a table."""
        tried = self.chosen is not None
        other = self.confirmed
        return {
            "remedy": self.name,
            "right": f"{self.right} of {self.images}" if tried else "",
            "gained : lost": self.chosen.words if self.chosen else "",
            "on the other half": f"{other.counts}, {p_words(other.p)}" if other else "",
        }


def candidates(m: Measured, verdicts: Sequence[Verdict], calibrated: bool) -> Iterator[Remedy]:
    """The remedies that make sense, the cheapest first.

    m: what was measured. verdicts: that were found. calibrated: whether thresholds can be found
    again.
    """
    found = {verdict.kind for verdict in verdicts if verdict.state == FOUND}
    yield from _thresholds(m, found, calibrated)
    if "few fraction bits" in found:
        more: dict[str, Any] = {"arithmetic": "float64"}
        if m.options.get("fraction_bits") is not None:
            more["fraction_bits"] = None
        yield Remedy("float64", {}, more)
    steps, first = m.simulation.steps, m.options.get("readout_from", 0)
    if m.simulation.encoding.divides and m.simulation.stages == 1 and not m.options.get("srp"):
        for start in sorted({steps // 4, steps // 2} - {0, first}):
            yield Remedy(f"readout from step {start}", {}, {"readout_from": start})
    yield from _models(m)
    if any(layer.pools for layer in m.network.layers):
        yield Remedy("average pooling", {"max_pooling": "average"})
    for times in (2, 4):
        if steps * times <= MAX_STEPS:
            yield Remedy(f"T = {steps * times}", {}, {"steps": steps * times})
    if "rises and falls" in found:
        for t in [t for t in m.steps[:-1] if t >= steps // 4]:
            yield Remedy(f"T = {t}", {}, {"steps": t})


def _thresholds(m: Measured, found: set[str], calibrated: bool) -> Iterator[Remedy]:
    """Other rules for thresholds, where these are found on images, or look wrong."""
    own = any(node.op not in ("Relu", "Clip") for node in m.network.graph.activations)
    rule = m.network.thresholds
    wrong = any(kind.startswith(("threshold", "dead", "outliers")) for kind in found)
    if own and rule not in OWN_RULES:
        yield Remedy("activations' own thresholds", {"thresholds": "auto"})
    if own and not wrong:
        return
    why = "" if calibrated else "it needs calibration images (calibration=)"
    for p in PERCENTILES:
        if rule != f"percentile {p:g}":
            options = {"thresholds": "percentile", "percentile": p}
            yield Remedy(f"percentile {p:g}", options, why_not=why)
    if rule != "max":
        yield Remedy("largest activation (max)", {"thresholds": "max"}, why_not=why)
    if rule != "dni":
        big = m.network.synapses > MOST_DNI
        told = f"{m.network.synapses:,} synapses would each get a weight of their own"
        why = told if big and calibrated else why
        yield Remedy("a threshold a neuron (DNI)", {"thresholds": "dni"}, why_not=why)


OWN_RULES = ("qcfs", "tcl", "lsq", "slip")


def _models(m: Measured) -> Iterator[Remedy]:
    """Other neurons, of integrate-and-fire."""
    if type(m.simulation.neuron).__name__ != "IF" or m.options.get("initial") is not None:
        return
    if not m.simulation.encoding.divides or m.options.get("srp"):
        return
    # what was asked of one model need not go with another
    yield Remedy("SNM neurons", {}, {"neuron": "snm"})
    yield Remedy(f"SRP, {(stage := min(4, m.simulation.steps))} steps first", {}, {"srp": stage})
    yield Remedy("group neurons, 4 members", {}, {"neuron": "gn:4"})
    levels = [
        node.attrs["levels"] for node in m.network.graph.activations if "levels" in node.attrs
    ]
    if levels and len(levels) == len(m.network.graph.activations):
        changed: dict[str, Any] = {"neuron": "st-bif", "encoding": "even"}
        if m.options.get("readout_from"):
            changed["readout_from"] = 0
        if m.simulation.steps < REST:
            changed["steps"] = REST
        yield Remedy("ST-BIF neurons", {}, changed)


def tried(m: Measured, remedies: Sequence[Remedy], make: Maker, shown: bool | None) -> list[Remedy]:
    """The remedies with what they gave, the chosen one with its confirmation.

    m: the network as it is. remedies: to try. make: the network with other options. shown: whether
    a progress bar is.
    """
    even = np.arange(0, len(m.images), 2)
    first, right = m.images.take(even), m.right()[even]
    hits: dict[int, NDArray[np.bool_]] = {}
    results = list(remedies)
    with bar(len(remedies) + 1, "remedy", shown) as progress:
        for k, remedy in enumerate(remedies):
            try:
                if not remedy.why_not:
                    hits[k] = _hits(m, remedy, make, first)
            except InputError as error:
                results[k] = replace(remedy, why_not=_why(error))
            progress.update()
        against = compare({k: (its, right) for k, its in hits.items()})
        for k, its in hits.items():
            given: dict[str, Any] = {
                "right": int(its.sum()),
                "images": len(even),
                "chosen": against[k],
            }
            results[k] = replace(results[k], **given)
        better = [k for k in hits if against[k].gained > against[k].lost]
        if better and len(m.images) > 1:
            best = max(better, key=lambda k: results[k].right)  # of equals the first, the cheapest
            results[best] = _confirmed(m, results[best], make)
        progress.update()
    return results


def _confirmed(m: Measured, chosen: Remedy, make: Maker) -> Remedy:
    """The chosen remedy, with what it gives on the other half of the images."""
    odd = np.arange(1, len(m.images), 2)
    try:
        other = _hits(m, chosen, make, m.images.take(odd))
    except InputError as error:  # such as a queue that does not empty, on one of these
        return replace(chosen, why_not=f"on the other half: {_why(error)}")
    pair = compare({"chosen": (other, m.right()[odd])})["chosen"]
    return replace(chosen, confirmed=pair, whole=chosen.right + int(other.sum()))


def _why(error: InputError) -> str:
    """Why a remedy was not tried, in a line."""
    return one_line(f"expected {error.expected}, found {error.found}")


def _hits(m: Measured, remedy: Remedy, make: Maker, images: Images) -> NDArray[np.bool_]:
    """Which images the network has right with a remedy, bool [N]."""
    network = make(remedy.convert) if remedy.convert else m.network
    result = run(network, images, {**m.options, **remedy.simulate}, False)
    return np.asarray(result.predictions() == images.labels)
