"""What the scripts in analysis/ print: rows for the screen, titles, and what stands below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eventsnn import statistics
from eventsnn.simulation.conditions import together
from eventsnn.statistics import bootstrap_words, p_words
from eventsnn.views.short_names import spelt_out
from eventsnn.views.tables import COLUMNS, Headings, Table

Row = dict[str, Any]
PAIRED = ("gained", "lost", "p", "p Holm")  # the columns of `scripts.paired`
WHERE = "what each column is: docs/guide/numbers.md"


def show(title: str, rows: Iterable[Row], decided: str, formats: Headings | None = None) -> None:
    """Prints a table below its title and the conditions of its results.

    title: what the rows are, with the units of their numbers. rows: for the screen. decided: as
    `words` says it. formats: as for `tables.text_table`.
    """
    print(Table(rows, f"{title}\n{decided}", {**COLUMNS, **(formats or {})}))


def names_in(text: str) -> str:
    """What stands below all that a script printed: its short names, spelt out. text: all of it."""
    return f"\n{spelt_out(text, WHERE)}"


def discordant(row: Row) -> str:
    """A row's discordant images and p, as a cell of a table. row: after `scripts.paired`."""
    return "" if row["p"] is None else f"{row['gained']} : {row['lost']}, {p_words(row['p Holm'])}"


def compact(rows: Iterable[Row]) -> list[Row]:
    """Rows for the screen: the columns of `paired` as one, without ends of bootstrap intervals and
    without conditions, which `words` says of all.
    """
    shown = []
    for row in bare(rows):
        kept = {name: value for name, value in row.items() if name not in PAIRED}
        shown.append(kept | {"gained : lost": discordant(row)})
    return shown


def bare(rows: Iterable[Row]) -> list[Row]:
    """Rows for the screen, without ends of intervals and without conditions, as in `compact`."""
    ends = (" low", " high")
    return [
        {name: x for name, x in row.items() if name != "conditions" and not name.endswith(ends)}
        for row in rows
    ]


def words(rows: Iterable[Row]) -> str:
    """What decided the results of a table or a picture, as a line. rows: with "conditions"."""
    return str(together(row["conditions"] for row in rows))


def footnote(reference: str, seed: int, several: int = 1, trainings: int = 1) -> str:
    """What stands under a table of paired comparisons and of means with intervals.

    reference: the way that all others are compared with. seed: of the bootstrap. several: seeds of
    the ways that draw something, counted from `seed`. trainings: networks that were trained by the
    recipes of the table.
    """
    words = f"{statistics.footnote(reference, trainings, several)}\n"
    if several > 1:
        words += (
            f"ways that draw something: mean of {several} seeds, {seed} to {seed + several - 1}, "
            "their accuracy with a bootstrap interval, that of single runs with Wilson's\n"
        )
    return words + bootstrap_words(several, seed=seed)


def interval(row: Row) -> str:
    """A row's accuracy and its interval in percent, as a cell of a table. row: of `by_step`."""
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.0f}-{100 * row['high']:.0f}]"


def only(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The rows in which the columns have these values. values: column -> value."""
    return [row for row in rows if values.items() <= row.items()]


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """The values in column `key` of rows, each once, in order."""
    return list(dict.fromkeys(row[key] for row in rows))


def grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """The rows by value: {value in column `key`: its rows}, in order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def side_by_side(rows: Sequence[Row], key: str, cell: Callable[[Row], Any]) -> list[Row]:
    """Rows as the papers' tables have them: one for each value, with a column for each T.

    rows: with T. key: the column whose values they are. cell: row -> what stands there.
    """
    table = []
    for value, mine in grouped(rows, key).items():
        cells = {f"T = {row['T']}": cell(row) for row in mine}
        table.append({key: value} | cells)
    return table
