"""What a diagnosis is once it is made: how it prints, as text, tables and HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eventsnn.arguments import named_fields
from eventsnn.exceptions import in_flags, in_python
from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import p_words, wilson
from eventsnn.studies.diagnosis.measured import Measured
from eventsnn.studies.diagnosis.parts import inherited_square, own_square
from eventsnn.studies.diagnosis.remedies import Remedy
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, NOTED, STATES, UNKNOWN, Verdict
from eventsnn.views.tables import Table, html_page, optional

BELOW = "below the ANN"  # the verdict where no other tells why, or the images cannot tell
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
            f"{p_words(pair.p)}"
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
                lines += [f"\n{heading}", *(f"  {v.kind}: {told(v.line)}" for v in its)]
        lines += ["\nlayer by layer", *(f"  {told(v.line)}" for v in self.layers)]
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
            lines += [told(line) for line in self._not_tried()]
            lines += [self._choice(told)]
        elif self.measured.below:
            lines += ["\nremedies were not tried"]
        if command:
            lines += ["\na run with it", f"  {command}"]
        return lines

    def _not_tried(self) -> list[str]:
        """Lines of the remedies that were not tried to the end, those of one reason together."""
        whys: dict[tuple[str, str], list[str]] = {}
        for remedy in self.remedies:
            if remedy.why_not:
                how = "not confirmed" if remedy.chosen else "not tried"
                whys.setdefault((how, remedy.why_not), []).append(remedy.name)
        return [f"{how}: {', '.join(names)}: {why}" for (how, why), names in whys.items()]

    def _choice(self, told: Callable[[str], str]) -> str:
        best = self.remedy
        if best is None:
            failed = next((r.name for r in self.remedies if r.chosen and r.why_not), "")
            if failed:
                return f"none of them is better on both halves: {failed} could not be confirmed"
            return "none of them is better than the network as it is"
        assert best.confirmed is not None
        pair, count = best.confirmed, len(self.measured.images)
        how = best.calls if told is in_python else told(best.options)
        verdict = "confirmed" if best.helps else "not confirmed: more images may tell"
        return (
            f"best: {best.name}, {how}: on the other {pair.images} images "
            f"{pair.gained} gained, {pair.lost} lost, {p_words(pair.p)}: {verdict}; "
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
        page = html_page(self, self.table())
        if not self.remedies:
            return page
        words = [self._choice(in_python)]
        words += [in_python(line) for line in self._not_tried()]
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
