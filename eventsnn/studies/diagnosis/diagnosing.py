"""The diagnosis of a network: what is wrong, of which layer, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.ann.graph import Graph
from eventsnn.arguments import checked, named_fields
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.data.images import Images
from eventsnn.data.ranges import PixelRange, outwards, range_of
from eventsnn.doubts import ENOUGH
from eventsnn.exceptions import InputError, check_options, in_flags, in_python, named
from eventsnn.network.check import TOLERANCE, deviation
from eventsnn.network.convert import convert
from eventsnn.network.network import Network
from eventsnn.network.thresholds import needs_calibration
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.time import Time
from eventsnn.statistics import wilson
from eventsnn.studies.diagnosis import numbers, output, parts, preprocessing, streams, thresholds
from eventsnn.studies.diagnosis.measured import Measured, measure
from eventsnn.studies.diagnosis.parts import inherited_square, own_square
from eventsnn.studies.diagnosis.remedies import Maker, Remedy, candidates, tried
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, NOTED, STATES, UNKNOWN, Verdict
from eventsnn.views.tables import Table, html_page, optional

FAMILIES = (thresholds, parts, streams, numbers, output)
OPTIONS = {*(f.name for c in (Specification, Time) for f in fields(c)), "engine", "encoding"}
OWN = {"labels", "calibration", "pixel_range", "remedies", "progress"}
BELOW = "below the ANN"
PERHAPS = 0.05  # of the images: such a loss is worth more images
CHECKED = 4  # images on which the conversion is compared with the graph
# (graph, options of `convert`) -> the network
Make = Callable[[Graph, dict[str, Any]], Network]
HEADINGS = {FOUND: "what is wrong", NOTED: "noted, without harm that shows", UNKNOWN: "not known"}


@named_fields
@dataclass
class Diagnosis:
    """What `eventsnn.diagnose` found; `print` shows it.

    measured: what it was made from. verdicts: all of them. remedies: that were tried, or why not;
    empty where there was nothing to mend. advice: options that restore the ANN's preprocessing, as
    on the command line, name -> value; empty where it is right. name: of the images.
    """

    measured: Measured
    verdicts: list[Verdict]
    remedies: list[Remedy] = field(default_factory=list)
    advice: dict[str, str] = field(default_factory=dict)
    name: str = "images"

    @property
    def sound(self) -> bool:
        """Whether nothing was found to be wrong, and the images are enough to say so."""
        known = [v.state for v in self.verdicts if v.kind == BELOW]
        return not self.wrong and UNKNOWN not in known

    @property
    def wrong(self) -> list[Verdict]:
        """The verdicts that say what is wrong."""
        return [verdict for verdict in self.verdicts if verdict.state == FOUND]

    @property
    def remedy(self) -> Remedy | None:
        """The remedy that was chosen, confirmed or not; None where none was better."""
        return next((each for each in self.remedies if each.confirmed is not None), None)

    @property
    def summary(self) -> str:
        """How the network stands to its ANN, in a sentence."""
        m, pair = self.measured, self.measured.against_ann
        right, count = int(m.right().sum()), len(m.images)
        low, high = wilson(right, count)
        told = (
            f"the ANN has {m.ann_right.mean():.1%} right, the spiking network {right / count:.1%} "
            f"({low:.1%} to {high:.1%}); {pair.lost} images lost, {pair.gained} gained, "
            f"p = {pair.p:.2g}"
        )
        if self.measured.below:
            return f"{told}: it is below its ANN"
        if pair.lost > pair.gained:
            return f"{told}: {count} images cannot tell whether it is below its ANN"
        return f"{told}: it is not below its ANN"

    @property
    def layers(self) -> list[Verdict]:
        """One verdict for each layer: the worst of it, or how it stands."""
        found = []
        for i, layer in enumerate(self.measured.network.spiking):
            its = [v for v in self.verdicts if v.layer == layer.name]
            its.sort(key=lambda v: STATES.index(v.state))
            found.append(its[0] if its else _plain(self.measured, i))
        return found

    def table(self) -> Table:
        """A row for each verdict: what was found first, and how the other layers stand."""
        plain = [verdict for verdict in self.layers if verdict not in self.verdicts]
        rows = sorted([*self.verdicts, *plain], key=lambda v: STATES.index(v.state))
        title = (
            f"Verdicts on {len(self.measured.images)} images; each number's unit is in its words"
        )
        return Table([verdict.row() for verdict in rows], f"{title}\n{self._conditions}")

    def remedy_table(self) -> Table:
        """A row for each remedy that was tried."""
        half = (len(self.measured.images) + 1) // 2
        title = f"Remedies, tried on {half} images against the network as it is; p after Holm"
        return Table([each.row() for each in self.remedies if each.chosen], title)

    @property
    def _conditions(self) -> str:
        return str(conditions(self.measured.simulation))

    def text(self, command: str | None = None) -> str:
        """All of it as text.

        command: that of a run as advised, or "", where options are spelled as on the command line;
        None: they are spelled for Python.
        """
        told = in_python if command is None else in_flags
        m, lines = self.measured, []
        lines += [f"{len(m.images)} images of {self.name}; {self._conditions}"]
        lines += [self.summary]
        if not self.wrong:
            nothing = "nothing was found to be wrong"
            lines += [f"sound: {nothing}" if self.sound else f"{nothing}, so far"]
        for state, heading in HEADINGS.items():
            its = [v for v in self.verdicts if v.state == state]
            if its:
                lines += [f"\n{heading}", *(f"  {v.kind}: {told(str(v))}" for v in its)]
        lines += ["\nlayer by layer", *(f"  {told(str(v))}" for v in self.layers)]
        lines += self._what_to_do(command)
        return "\n".join(line for line in lines if line)

    def _what_to_do(self, command: str | None) -> list[str]:
        """What to do, and what came of it."""
        told = in_python if command is None else in_flags
        lines = []
        if self.advice:
            words = " ".join(f"⟦{name}={value}⟧" for name, value in self.advice.items())
            lines += ["\nfirst, prepare pixels as the ANN was trained; what is said above is with"]
            lines += [f"  {told(words)}"]
        if self.remedies:
            lines += ["\nwhat to do", str(self.remedy_table())]
            lines += [f"not tried: {told(words)}" for words in self._not_tried()]
            lines += [self._choice(told)]
        elif self.measured.below:
            lines += ["\nremedies were not tried"]
        if command:
            lines += ["\na run with it", f"  {command}"]
        return lines

    def _not_tried(self) -> list[str]:
        """The remedies that were not tried, those of one reason together."""
        whys: dict[str, list[str]] = {}
        for remedy in self.remedies:
            if not remedy.chosen:
                whys.setdefault(remedy.why_not, []).append(remedy.name)
        return [f"{', '.join(names)}: {why}" for why, names in whys.items()]

    def _choice(self, told: Callable[[str], str]) -> str:
        best = self.remedy
        if best is None:
            return "none of them has more images right than the network as it is"
        assert best.confirmed is not None
        pair, count = best.confirmed, len(self.measured.images)
        verdict = "confirmed" if best.helps else "not confirmed: more images may tell (a larger "
        verdict += "" if best.helps else told("⟦limit⟧)")
        return (
            f"best: {best.name}, {told(best.options)}: on the other {pair.images} images "
            f"{pair.gained} gained, {pair.lost} lost, p = {pair.p:.2g}: {verdict}; "
            f"{best.whole / count:.1%} of all {count} are right then"
        )

    def to_pandas(self) -> Any:
        """`table` as a DataFrame; needs pandas."""
        return optional("pandas").DataFrame(self.table())

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        words = ", ".join(dict.fromkeys(v.kind for v in self.wrong))
        words = words or ("sound" if self.sound else "nothing found so far")
        return f"<Diagnosis: {words}; {self.summary}>"

    def _repr_html_(self) -> str:
        table = self.table()
        rows = [{**row, "words": in_python(row["words"])} for row in table]
        page = html_page(self, Table(rows, table.title))
        if not self.remedies:
            return page
        words = [self._choice(in_python), *(f"not tried: {why}" for why in self._not_tried())]
        return page + html_page("; ".join(words), self.remedy_table())


def _plain(m: Measured, i: int) -> Verdict:
    """How a layer stands of which nothing else is said."""
    layer, rate = m.network.layers[i], m.rate(i)
    words, row = f"rate {rate:.2%}", m.error(layer.name)
    if row is not None and row["ann square"]:
        words += (
            f"; error {row['error']:.1%} of its activations' mean square, own "
            f"{own_square(row):.1%}, inherited {inherited_square(row):.1%}"
        )
    return Verdict("layer", layer.name, FINE, rate, words)


@checked
def diagnose(
    network: Network | Graph,
    images: GivenImages,
    *,
    labels: GivenLabels = None,
    steps: int = Specification.steps,
    calibration: GivenImages | None = None,
    pixel_range: tuple[float, float] | None = None,
    remedies: bool = True,
    progress: bool | None = None,
    **settings: Any,
) -> Diagnosis:
    """Why a network is below its ANN, layer by layer, and what helps: a `Diagnosis`; print it.

    A hundred images are enough for what is badly wrong. Remedies are tried on every other image,
    where the network is below its ANN by more than chance; the best is confirmed on the rest.

    network: what `eventsnn.convert` returns; or a graph, which is converted with thresholds "auto".
    images: as for `eventsnn.simulate`. labels: theirs; without them the ANN's own classes stand in.
    steps: T. calibration: images on which other thresholds are found, as for `convert`.
    pixel_range: lowest and highest raw pixel; None: as for `simulate`, or what the pixels have.
    remedies: whether they are tried. progress: whether progress bars are shown, as for
    `simulate`. settings: of the run that is diagnosed, as for `simulate`: engine, neuron, encoding,
    srp, readout_from, order and the like. Raises InputError for an output that is a map, and what
    `convert` and `simulate` raise.
    """
    check_options("eventsnn.diagnose", settings, OPTIONS | OWN)
    graph = network.graph if isinstance(network, Network) else network
    given = accept(graph, images, labels)
    if calibration is not None:
        calibration = accept(graph, calibration, labelled=False, where="calibration").images
    if pixel_range is not None:
        range_of(graph, given.pixels, pixel_range)
    own_set = images if isinstance(images, Images) else None
    own = Images(
        own_set.name if own_set else "images",
        own_set.split if own_set else "test",
        np.asarray(given.numbers),
        given.pixels,
        given.labels,
        (),
        pixel_range or (own_set.pixel_range if own_set else None),
    )

    def make(of: Graph, changes: dict[str, Any]) -> Network:
        if isinstance(network, Network) and not changes and of is graph:
            return network
        if isinstance(network, Network) and not changes and calibration is None:
            return replace(network, graph=of)
        options = {"thresholds": "auto", **changes}
        needed = needs_calibration(of, options["thresholds"])
        return convert(of, calibration=calibration if needed else None, **options)

    return examine(
        graph,
        make,
        own,
        {"steps": steps, **settings},
        calibrated=calibration is not None,
        remedies=remedies,
        progress=progress,
    )


def examine(
    graph: Graph,
    make: Make,
    images: Images,
    options: dict[str, Any],
    *,
    calibrated: bool,
    remedies: bool = True,
    progress: bool | None = None,
) -> Diagnosis:
    """The `Diagnosis` of what a graph becomes; `diagnose` is for callers.

    graph: the ANN. make: the network of it, with other options. images: with labels or without.
    options: of `simulate`. calibrated: whether thresholds can be found anew. remedies, progress: as
    for `diagnose`.
    """
    if is_map(graph):
        shape = "x".join(map(str, graph.shapes[graph.output]))
        do = "the error by layer is what eventsnn.errors tells"
        raise InputError("diagnose", "an output of classes", f"a map of {shape}", do)
    first = preprocessing.tried(graph, images, progress)
    verdicts = [first.verdict]
    if first.way is not None:
        graph = replace(graph, preprocessing=first.way.preprocessing)
    classes, right = preprocessing.ann_hits(graph, images)
    own_labels = images.labels is not None
    if not own_labels:
        images = replace(images, labels=classes)
        right = np.ones(len(images), bool)
    images = replace(images, pixel_range=_range(graph, images).ends)
    network = make(graph, {})
    verdicts.append(_conversion(network, images.pixels[:CHECKED]))
    m = measure(graph, network, images, own_labels, right, options, progress)
    for family in FAMILIES:
        verdicts += family.verdicts(m)
    found: list[Remedy] = []
    if remedies and m.below:
        maker: Maker = lambda changes: make(graph, changes)  # noqa: E731
        found = tried(m, list(candidates(m, verdicts, calibrated)), maker, progress)
    verdicts += _below(m, verdicts)
    advice = dict(first.way.options) if first.way is not None else {}
    return Diagnosis(m, verdicts, found, advice, f"{images.name} {images.split}")


def _below(m: Measured, verdicts: list[Verdict]) -> list[Verdict]:
    """What is said where no verdict tells why a network is below its ANN, or it cannot be told."""
    pair, count = m.against_ann, len(m.images)
    if m.below:
        words = "the network is below its ANN, and none of the verdicts tells why"
        told = any(v.state == FOUND for v in verdicts)
        return [] if told else [Verdict(BELOW, "", FOUND, pair.difference, words)]
    lost = pair.counts
    if count < ENOUGH:
        words = f"{count} images are too few to tell (gained : lost {lost}): give a larger "
    elif -pair.difference >= PERHAPS:
        words = (
            f"{count} images cannot tell (gained : lost {lost}, p = {pair.p:.2g}): give a larger "
        )
    else:
        return []
    return [Verdict(BELOW, "", UNKNOWN, pair.difference, words + named("limit"))]


def _range(graph: Graph, images: Images) -> PixelRange:
    """The range of pixels in force, or, where the images have others, theirs."""
    try:
        return range_of(graph, images)
    except InputError:
        least, most = float(images.pixels.min()), float(images.pixels.max())
        return PixelRange(*outwards(min(least, 0.0), max(most, 1.0)), "those of the images")


def _conversion(network: Network, pixels: NDArray[Any]) -> Verdict:
    """Whether the converted network computes what its graph does."""
    worst, where = deviation(network, pixels)
    words = f"converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value"
    if worst <= TOLERANCE:
        return Verdict("conversion", "", FINE, worst, words)
    words += f", at {where}: this is a defect of eventsnn, please report it"
    return Verdict("conversion", "", FOUND, worst, words)
