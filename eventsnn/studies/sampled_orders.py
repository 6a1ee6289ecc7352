"""What images under many random orders say (`order_sampling`; semantics, section 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.arguments import Natural, named_fields
from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import RESAMPLES, bootstraps, share, wilson
from eventsnn.studies.components import components
from eventsnn.views.tables import Table

# the terms of the variance: which of image, encoding seed, F and order an effect differs by
TERMS = {
    "images": (0,),
    "encoding seeds": (0, 1),
    "F": (2,),
    "images x F": (0, 2),
    "encoding seeds x F": (0, 1, 2),
    "orders": (0, 1, 2, 3),
}
TITLE = (
    "Class of each image over {} random orders of arrival; P: share of the most frequent class, "
    "95 % interval; entropy (bits), Miller-Madow, and the bias that it takes away; margin: of the "
    "most frequent class over the next, ANN's output: mean, least and greatest; stable: P low "
    "above 1/2"
)
VARIANCE = (
    "Variance of the margin (ANN's output, squared) by what draws it, {} images; share: of all "
    "components above 0; 95 % bootstrap intervals draw images"
)
FORMATS = {name: (name, ".1%") for name in ("P", "P low", "P high", "share")}
FORMATS |= {name: (name, ".3f") for name in ("entropy", "bias")}
FORMATS |= {
    name: (name, ".3g")
    for name in ("margin", "least", "greatest", "variance", "variance low", "variance high")
}


@named_fields
@dataclass(repr=False)
class OrderSampling:
    """Images under many random orders, from `measure`. N images, E encoding seeds, F, O orders.

    simulation: of the first number of fraction bits. readouts: float64 [N, E, F, O, K], after step
    T, in the ANN's units. numbers: int64 [N], the images' numbers. labels: int64 [N] or None.
    encoding_seeds: E of them. fractions: F in the order of the axis. order_seeds: int64 [E, F, O].
    """

    simulation: Simulation
    readouts: NDArray[np.float64]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    encoding_seeds: list[int]
    fractions: list[int]
    order_seeds: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each run, int64 [N, E, F, O]."""
        return classes_of(self.readouts)

    def probabilities(self) -> NDArray[np.float64]:
        """P(class) of each image, float64 [N, classes]: shares of the orders.

        They are those of the first encoding seed and the first F, so that the orders are
        independent draws of one distribution.
        """
        found = self.classes[:, 0, 0]
        count = max(2, self.readouts.shape[-1])
        return np.stack([np.bincount(row, minlength=count) for row in found]) / found.shape[1]

    def intervals(self) -> NDArray[np.float64]:
        """The ends of the 95 % interval of each P(class) (Wilson), float64 [N, classes, 2]."""
        n = self.readouts.shape[3]
        counts = np.rint(self.probabilities() * n).astype(int)
        ends = {int(hits): wilson(int(hits), n) for hits in np.unique(counts)}
        return np.array([[ends[hits] for hits in row] for row in counts.tolist()])

    @property
    def top(self) -> NDArray[np.int64]:
        """The most frequent class of each image, of equals the first: int64 [N]."""
        return self.probabilities().argmax(axis=1)

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Where the lower end of the interval of P(top class) is above 1/2: bool [N]."""
        low = self.intervals()[..., 0]
        return np.take_along_axis(low, self.top[:, None], axis=1)[:, 0] > 0.5

    def margins(self) -> NDArray[np.float64]:
        """The readout of an image's top class less the largest of the others, [N, E, F, O].

        Of one output alone it is that output, or less than 0 it for class 0. Below 0 the class is
        another one.
        """
        top = self.top.reshape(-1, 1, 1, 1, 1)
        if self.readouts.shape[-1] == 1:
            return (self.readouts * np.where(top == 1, 1, -1))[..., 0]
        mine = np.take_along_axis(self.readouts, top, axis=-1)[..., 0]
        others = self.readouts.copy()
        np.put_along_axis(others, np.broadcast_to(top, (*mine.shape, 1)), -np.inf, axis=-1)
        return mine - others.max(axis=-1)

    def entropy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(the entropy of each image's class in bits, the bias that was taken away), float64 [N].

        The entropy of shares is too small, by about (m - 1) / (2 O ln 2) bits of the m classes that
        were seen and O orders (Miller 1955), which is added. Classes that were never seen make what
        is left too small still; with one class seen both are 0.
        """
        p = self.probabilities()
        terms = np.where(p > 0, p * np.log2(np.where(p > 0, p, 1)), 0)
        bias = (1.0 - (p > 0).sum(axis=1)) / (2 * self.readouts.shape[3] * np.log(2))
        return 0.0 - terms.sum(axis=1) - bias, 0.0 + bias

    def rows(self) -> list[dict[str, Any]]:
        """One row for each image, as `table` has them."""
        p, ends, (entropy, bias) = self.probabilities(), self.intervals(), self.entropy()
        margins = self.margins()[:, 0, 0]
        rows = []
        for i, (c, steady) in enumerate(zip(self.top.tolist(), self.stable.tolist())):
            row: dict[str, Any] = {"image": int(self.numbers[i])}
            if self.labels is not None:
                row["label"] = int(self.labels[i])
            row |= {"class": c, "P": float(p[i, c])}
            row |= {"P low": float(ends[i, c, 0]), "P high": float(ends[i, c, 1])}
            row |= {"classes": int((p[i] > 0).sum()), "stable": "yes" if steady else "no"}
            row |= {"entropy": float(entropy[i]), "bias": float(bias[i])}
            of_margin = (margins[i].mean(), margins[i].min(), margins[i].max())
            row |= dict(zip(("margin", "least", "greatest"), map(float, of_margin)))
            rows.append(row)
        return rows

    def table(self) -> Table:
        """One row for each image: its most frequent class, how often, entropy and margins."""
        title = TITLE.format(self.readouts.shape[3])
        return Table(self.rows(), f"{title}\n{conditions(self.simulation)}", FORMATS)

    def summary(self, seed: Natural = 0) -> dict[str, Any]:
        """The whole in a row, with the ends of 95 % intervals.

        Shares of images: `stable`, `one class` (no order changed it), with labels `right`, whose
        top class is the label, and `stable and right`. Means of images, bootstrapped: `P`, of the
        top class; `accuracy` of a random order; `entropy`. seed: of the bootstrap.
        """
        p, top = self.probabilities(), self.top
        row: dict[str, Any] = {"images": len(top), "orders": self.readouts.shape[3]}
        row |= share("stable", self.stable) | share("one class", (p > 0).sum(axis=1) == 1)
        means = {"P": p.max(axis=1), "entropy": self.entropy()[0]}
        if self.labels is not None:
            row |= share("right", top == self.labels)
            row |= share("stable and right", self.stable & (top == self.labels))
            means["accuracy"] = (self.classes[:, 0, 0] == self.labels[:, None]).mean(axis=1)
        for name, its in bootstraps(means, seed=seed).items():
            row |= {name: its.value, f"{name} low": its.low, f"{name} high": its.high}
        return row

    def components(self, resamples: int = RESAMPLES, seed: Natural = 0) -> Table:
        """The variance of the margin by what draws it; see `eventsnn.studies.components`.

        Encoding seeds are nested in images, since each image draws its own input; F is crossed with
        both; orders are nested in all three, as no two runs share an order. Terms of what was not
        varied are left out, and theirs is then part of the next (images hold one encoding seed's
        effect, too). resamples, seed: of the bootstrap. Raises InputError for one image alone.
        """
        margins = self.margins()
        varied = [k for k, size in enumerate(margins.shape) if size > 1]
        terms: dict[str, tuple[int, ...]] = {}
        for name, axes in TERMS.items():
            kept = tuple(varied.index(k) for k in axes if k in varied)
            if kept and kept not in terms.values():
                terms[name] = kept
        if 0 not in varied:
            raise InputError("components", "two images or more", len(margins), "give more")
        values = margins.reshape([margins.shape[k] for k in varied])
        found = components(values, terms, resamples=resamples, seed=seed)
        whole = sum(max(0.0, its.variance) for its in found.values())
        rows = []
        for name, its in found.items():
            row = {"of": name, "variance": its.variance}
            row |= {"variance low": its.low, "variance high": its.high, "df": its.df}
            row["share"] = max(0.0, its.variance) / whole if whole else float("nan")
            rows.append(row)
        title = VARIANCE.format(len(margins))
        return Table(rows, f"{title}\n{conditions(self.simulation)}", FORMATS)

    def __repr__(self) -> str:
        n, e, f, o, _ = self.readouts.shape
        beside = f", {e} encoding seeds, {f} numbers of fraction bits" if e * f > 1 else ""
        return (
            f"<OrderSampling: {n} images, {o} orders{beside}, {conditions(self.simulation)}; "
            f"the class of {self.stable.mean():.1%} is stable>"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
