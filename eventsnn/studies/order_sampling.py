"""A class is a distribution: each image under many random orders of arrival.

    found = order_sampling.measure(snn, images, orders=100, steps=8)
    print(found.table())
    found.components(seed=0)

Order `random` takes any of the deliveries that wait, all equally likely, so the runs of an image
with several seeds are independent draws, and P(class) is estimated by shares (semantics, section
15). With several encoding seeds, or several numbers of fraction bits F, the variance of the margin
is split between images, encoding seeds, F and orders (`components`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of, is_map
from eventsnn.arguments import Count, Natural, checked, named_fields
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import conditions, draws_order
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import RESAMPLES, bootstraps, share, wilson
from eventsnn.studies.components import components
from eventsnn.studies.drawn import BLOCK, Job, Kept, hashes, readouts_of
from eventsnn.studies.setting import simulated
from eventsnn.views.progress import following
from eventsnn.views.tables import Table

FEWEST = 2  # orders of an image
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


@checked
def measure(
    network: Network,
    images: GivenImages,
    *,
    orders: Count = 100,
    encoding_seeds: Count = 1,
    fractions: Sequence[int] | None = None,
    steps: Count = 8,
    labels: GivenLabels = None,
    kept: str | PathLike[str] | None = None,
    workers: Count | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> OrderSampling:
    """The `OrderSampling` of images under many random orders.

    network: that runs. images, labels: as for `eventsnn.simulate`. orders: of each image, 2 or
    more, with the seeds seed, seed + 1, …; with encoding "constant" a run with such a seed is that
    very run. encoding_seeds: seeds of the input, likewise, for encodings that draw. fractions:
    numbers of fraction bits F; None: the one that a run takes. Every pair of an encoding seed and
    an F has orders of its own, with the seeds that follow. steps: T. kept: a CSV file to which each
    readout is added as it comes; what it has already is not run again, so a study that was stopped
    goes on. workers: threads; None: one for each core; the numbers are the same with any. progress:
    whether a progress bar is shown. settings: of `Simulation` and `Time`; order is "random" unless
    another that draws is given.

    Raises InputError for an order that draws nothing, several encoding seeds where the encoding
    draws nothing, `fractions` in floating point, a model that hears everything before it fires, an
    output that is a map, input events, and a `kept` file of another study; and what a run raises.
    """
    given = accept(network.graph, images, labels)
    bits: list[int | None] = _fractions(fractions, settings)
    if orders < FEWEST:
        raise InputError("orders", f"{FEWEST} or more", orders)
    if _encoding_of(settings) == "events":
        do = "choose an encoding of pixels"
        raise InputError("encoding", "images", named("encoding", "events"), do)
    settings = {"engine": "event", "order": "random"} | settings
    made = [
        simulated(
            network, given.images, "sampled orders", steps=steps, **settings, **_with(its, settings)
        )
        for its in bits
    ]
    simulations, (_, pixels, numbers) = [each[0] for each in made], made[0]
    _check(simulations[0], encoding_seeds, settings)
    exact = [int(each.arithmetic.fraction_bits) for each in simulations]
    first = simulations[0].seed
    seeds = np.arange(first, first + encoding_seeds * len(exact) * orders)
    order_seeds = seeds.reshape(encoding_seeds, len(exact), orders)
    inputs = list(range(first, first + encoding_seeds))
    path = None if kept is None else Path(kept)
    readouts = []
    jobs = _jobs(simulations, pixels, numbers, inputs, order_seeds)
    size = network.readout.size
    with following(len(pixels) * order_seeds.size, "order", progress) as bar:
        for part in readouts_of(jobs, pixels, Kept(path, size), workers):
            readouts.append(part)
            bar.update(len(part))
    whole = np.concatenate(readouts).reshape(len(pixels), *order_seeds.shape, size)
    return OrderSampling(simulations[0], whole, numbers, given.labels, inputs, exact, order_seeds)


def _encoding_of(settings: dict[str, Any]) -> Any:
    """The name of the encoding that settings give, or None."""
    given = settings.get("encoding")
    return getattr(given, "kind", given)


def _fractions(given: Sequence[int] | None, settings: dict[str, Any]) -> list[int | None]:
    """The numbers of fraction bits, None: a run's own."""
    if given is None:
        return [None]
    if settings.get("fraction_bits") is not None:
        do = "leave one of them out"
        raise InputError("fractions", "no fraction_bits beside it", "both", do)
    if settings.get("arithmetic", "fixed") != "fixed":
        do = "leave it out"
        raise InputError("fractions", named("arithmetic", "fixed"), settings["arithmetic"], do)
    if not len(given) or len(set(given)) < len(given):
        raise InputError("fractions", "numbers of fraction bits, each once", list(given))
    return list(given)


def _with(bits: int | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The setting of F, if `fractions` gives it."""
    return {} if bits is None else {"fraction_bits": bits}


def _check(simulation: Simulation, encoding_seeds: int, settings: dict[str, Any]) -> None:
    """Raises InputError where there is nothing to sample."""
    where = "sampled orders"
    if is_map(simulation.network.graph):
        grid = "x".join(map(str, simulation.network.readout.grid))
        raise InputError(where, "an output of classes", f"a map of {grid}")
    if not draws_order(simulation):
        expected = "an order that draws (random, priority, jitter), in asynchronous time"
        found = named("order", simulation.time.order)
        raise InputError(where, expected, found, "leave ⟦order⟧ and ⟦engine⟧ out")
    if simulation.stages > 1:
        expected = "neurons whose spikes depend on the order"
        found = f"{type(simulation.neuron).__name__}, which hears everything before it fires"
        raise InputError(where, expected, found)
    if encoding_seeds > 1 and not simulation.encoding.code.spiking:
        found = named("encoding", simulation.encoding.name)
        do = "leave it out: the input draws nothing"
        raise InputError("encoding_seeds", "an encoding that draws, such as rate", found, do)


def _jobs(
    simulations: Sequence[Simulation],
    pixels: NDArray[Any],
    numbers: NDArray[np.int64],
    inputs: Sequence[int],
    order_seeds: NDArray[np.int64],
) -> Iterator[Job]:
    """All orders, image by image, in blocks."""
    runs = [hashes(simulation, pixels) for simulation in simulations]
    for i, number in enumerate(numbers.tolist()):
        for e, seed in enumerate(inputs):
            for f, simulation in enumerate(simulations):
                its = order_seeds[e, f].tolist()
                for start in range(0, len(its), BLOCK):
                    some = its[start : start + BLOCK]
                    yield Job(simulation, i, number, seed, some, runs[f][i])
