"""All claims, what was found of them, and the page that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from eventsnn.exceptions import InputError
from eventsnn.studies.claims import dnisnm, gn, spikezip, srp, tcl
from eventsnn.studies.claims.bench import Bench
from eventsnn.studies.claims.findings import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Claim,
    Judged,
    NotRun,
    corrected,
)

CLAIMS: dict[str, Claim] = {
    **srp.CLAIMS,
    **dnisnm.CLAIMS,
    **spikezip.CLAIMS,
    **gn.CLAIMS,
    **tcl.CLAIMS,
}
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN)
SHOWN = 3  # findings of a claim on the page, those that decide first
ABOUT = """\
Each claim of the five papers that these networks can judge, as the command above found it, and by
the papers' words as closely as a test can take them. The networks are small (`fashion_*`, ResNet-8
on Fashion-MNIST) and not the papers'; so a verdict is of the claim at this scale.

A claim **holds** where the 95 % interval of the number lies within what is claimed, **fails**
where it lies wholly outside, and else is **undecided**. Comparisons of accuracies need p < 0.05 as
well (exact McNemar, on the same images, after Holm for this page). Other means have bootstrap
intervals of images. Of a theorem one exception is enough to fail. Of several numbers all have to
hold. Claims that take training are judged from tables, on the test images that their own commands
name (500 where they name no `--limit`); without a table they are **not run**. "within" bounds
(2 points, …) are ours, as papers say "almost" and "hardly".
"""


def chosen(words: str | None) -> list[str]:
    """The claims of an option such as srp-theorem-1,gn-tab-1; None: all.

    words: names, or beginnings of names. Raises InputError for what none begins with.
    """
    if words is None:
        return list(CLAIMS)
    found = []
    for word in words.split(","):
        mine = [name for name in CLAIMS if name.startswith(word)]
        if not mine:
            raise InputError("claims", f"names such as {', '.join(list(CLAIMS)[:3])}", repr(word))
        found += mine
    return list(dict.fromkeys(found))


def judge(bench: Bench, names: Iterable[str], correct: bool = True) -> list[Judged]:
    """What is found of claims.

    bench: networks and runs. names: of claims. correct: whether p are corrected over all of them.
    """
    found = []
    for name in names:
        claim = CLAIMS[name]
        try:
            found.append(Judged(name, claim, tuple(claim.judge(bench))))
        except NotRun as why:
            found.append(Judged(name, claim, (), str(why)))
    return corrected(found) if correct else found


def rows_of(judged: Sequence[Judged]) -> list[dict[str, object]]:
    """A row for each finding, for CSV; of a claim that was not run one row."""
    rows: list[dict[str, object]] = []
    for its in judged:
        begun = {"claim": its.name, "paper": its.claim.paper, "place": its.claim.place}
        begun |= {"verdict": its.verdict, "claimed": its.claim.words}
        for each in its.findings:
            numbers = {"value": each.value, "low": each.low, "high": each.high, "p Holm": each.p}
            rows.append({**begun, "found": each.what, "finding": each.verdict, **numbers})
        if not its.findings:
            none = dict.fromkeys(("value", "low", "high", "p Holm"))
            rows.append({**begun, "found": its.why, "finding": NOT_RUN, **none})
    return rows


def summary(judged: Sequence[Judged]) -> str:
    """How many claims have which verdict, in words."""
    count = Counter(its.verdict for its in judged)
    parts = [f"{count[verdict]} {verdict}" for verdict in VERDICTS if count[verdict]]
    return f"{len(judged)} claims: {', '.join(parts)}"


def markdown(
    judged: Sequence[Judged], command: str, networks: str, tables: Sequence[str] = ()
) -> str:
    """The page.

    judged: all claims. command: that made it. networks: what was run, in words. tables: the
    commands that made the tables of trainings.
    """
    lines = ["# What the papers claim", "", "```", command, "```", "", ABOUT]
    if tables:
        lines += ["The tables of trainings are from:", "", "```", *tables, "```", ""]
    lines += [f"{summary(judged)}. {networks}", ""]
    for paper in dict.fromkeys(its.claim.paper for its in judged):
        mine = [its for its in judged if its.claim.paper == paper]
        lines += [f"## {paper}", "", "| claim | verdict | found |", "| --- | --- | --- |"]
        for its in mine:
            said = _cell(f"{its.claim.place}: {its.claim.words}")
            lines.append(f"| `{its.name}`: {said} | **{its.verdict}** | {_found(its)} |")
        lines += ["", f"Measured at more length, and of one's own networks ({paper}):", "", "```"]
        lines += dict.fromkeys(its.claim.command for its in mine if its.claim.command)
        lines += ["```", ""]
    return "\n".join(lines)


def _found(its: Judged) -> str:
    """The findings that decide, as a cell."""
    if not its.findings:
        return _cell(its.why)
    deciding = [each for each in its.findings if each.verdict == its.verdict]
    shown = [each.words for each in deciding[:SHOWN]]
    left = len(its.findings) - len(shown)
    alike = sum(each.verdict == its.verdict for each in its.findings) - len(shown)
    if left:
        shown.append(f"{left} more numbers, {alike} of them alike")
    return _cell("; ".join(shown))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
