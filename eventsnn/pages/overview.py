"""What came out of a run, in a few numbers, and what was assumed for it."""

from __future__ import annotations

from typing import Any

from eventsnn.pages.markup import (
    Column,
    Element,
    element,
    folded,
    items,
    paragraph,
    table,
)
from eventsnn.pages.pictures import picture
from eventsnn.runs.report import CHANGED, OPERATIONS
from eventsnn.runs.results import Results
from eventsnn.runs.served import cores_in_words
from eventsnn.statistics import p_words, wilson
from eventsnn.views import plots
from eventsnn.views.tables import in_unit

ACCURACY = (
    Column("T", "T"),
    Column("accuracy", "accuracy", ".2%"),
    Column("accuracy_low", "95 % from", ".1%"),
    Column("accuracy_high", "to", ".1%"),
    Column("top5_accuracy", "top-5", ".2%"),
    Column("only_snn_right", "only SNN right", ","),
    Column("only_ann_right", "only ANN right", ","),
    Column("p_holm", "p", ".2g"),
    Column("agreement_with_ann", "as the ANN", ".2%"),
    Column(CHANGED[0], "as the changed ANN", ".2%"),
    Column("readout_mse", "error of the readout", ".4g"),
    Column("spikes_per_image", "spikes", ",.0f"),
    Column(OPERATIONS, "operations", ",.0f"),
)
LAYERS = (
    Column("layer", "layer"),
    Column("activation", "activation"),
    Column("shape", "shape"),
    Column("neurons", "neurons", ","),
    Column("theta", "threshold", ".4g"),
    Column("rate", "rate", ".2%"),
    Column("spikes_per_image", "spikes", ",.0f"),
    Column(OPERATIONS, "operations", ",.0f"),
    Column("ties_per_image", "ties", ",.2f"),
)
CORES = (
    Column("busy", "busy", ".1%"),
    Column("queue", "queue", ",.1f"),
    Column("longest", "longest", ","),
    Column("undelivered", "undelivered", ",.1f"),
)
NO_LABELS = "There are no labels, so there is no accuracy: what is compared is the ANN."
# costs in words, and the unit of each
COSTS = {
    "ann_macs": ("multiplications of the ANN", ""),
    "counted_operations": ("synaptic operations, counted", ""),
    "counted_microjoule": ("energy of those", "µJ"),
    "dnisnm_operations": ("operations, by DNISNM's formula", ""),
    "dnisnm_microjoule": ("energy, by DNISNM's formula", "µJ"),
    "dnisnm_energy_drop": ("energy against the ANN, by DNISNM's formula", "share"),
    "spikezip_microjoule": ("energy, by SpikeZIP's figures", "µJ"),
    "spikezip_ann_microjoule": ("energy of the ANN, by SpikeZIP's figures", "µJ"),
}


def summary(results: Results) -> list[Element]:
    """Accuracy of ANN and SNN, agreement and spikes, with intervals; notes and warnings.

    results: of the run.
    """
    found, last = results.summary, results.accuracy[-1]
    tiles = element("dl", class_="tiles")
    count = found["images"]
    if last["accuracy"] is not None:
        ends = last["accuracy_low"], last["accuracy_high"]
        tiles.append(_tile("SNN accuracy", last["accuracy"], ends, f"{last['T']} steps, "))
        hits = round(found["ann_accuracy"] * count)
        tiles.append(_tile("ANN accuracy", found["ann_accuracy"], wilson(hits, count)))
    changed = found.get("changed_ann_accuracy")
    if changed is not None:
        ends = wilson(round(changed * count), count)
        tiles.append(_tile("changed ANN's accuracy", changed, ends))
    same = None
    if not is_map(results):
        same = wilson(round(last["agreement_with_ann"] * count), count)
    tiles.append(_tile("same class as the ANN", last["agreement_with_ann"], same))
    for words, key in (
        ("spikes an image", "spikes_per_image"),
        ("operations an image", OPERATIONS),
    ):
        tiles.append(_large(words, last[key]))
    parts = [tiles]
    parts.append(paragraph(_against(last) if last["accuracy"] is not None else NO_LABELS))
    parts += [paragraph(words) for words in _after(found)]
    notes = [str(note) for note in found["notes"]]
    if notes:
        heading = element("h3", "Notes and warnings of the run")
        parts += [heading, element("div", items(notes), class_="warned")]
    parts += [element("h3", "What was assumed"), items(_assumed(found))]
    return parts


def is_map(results: Results) -> bool:
    """Whether the readout is a map of places, which has no classes. results: of the run."""
    return not str(results.layers[-1]["shape"]).endswith("x1x1")


def _tile(words: str, share: float, ends: tuple[float, float] | None, before: str = "") -> Element:
    """A share with its interval. before: what stands in front of that."""
    under = before.removesuffix(", ")
    if ends is not None:
        under = f"{before}95 % interval {ends[0]:.1%} to {ends[1]:.1%}"
    number = element("div", f"{share:.2%}", class_="big", data_value=repr(share))
    return _of(words, number, under)


def _large(words: str, number: float) -> Element:
    unit, factor = in_unit([number])
    shown = f"{number * factor:,.1f} {unit}" if unit else f"{number:,.0f}"
    return _of(words, element("div", shown, class_="big", data_value=repr(number)), "mean")


def _of(words: str, number: Element, under: str) -> Element:
    below = element("div", under, class_="small") if under else None
    return element("div", element("dt", words), element("dd", number, below))


def _against(last: dict[str, Any]) -> str:
    """How the SNN compares with the ANN, image by image. last: the row of the last step."""
    return (
        f"Images that the SNN alone has right after {last['T']} steps: {last['only_snn_right']:,}; "
        f"the ANN alone: {last['only_ann_right']:,} (McNemar's exact test, two-sided, after Holm "
        f"for all T: {p_words(last['p_holm'])}). Intervals are Wilson's; they hold for this "
        "network, not for training anew."
    )


def _after(found: dict[str, Any]) -> list[str]:
    """What is said of equilibrium and SRP's first stage, where there are such."""
    told = []
    if "equilibrium" in found:
        rest = found["equilibrium"]
        told.append(
            f"Equilibrium: T_eq is {rest['mean_t_eq']:.1f} on average and "
            f"{rest['largest_t_eq']} at most; {rest['images_not_at_rest']:,} images still moved in "
            "the last step."
        )
    if "stage_one" in found:
        stage = found["stage_one"]
        told.append(
            f"First stage: {stage['steps']} steps, {stage['spikes_per_image']:,.0f} spikes "
            f"and {stage[OPERATIONS]:,.0f} operations an image more."
        )
    if "cores" in found:
        words = cores_in_words(found["cores"])
        told.append(f"{words[0].upper()}{words[1:]}.")
    return told


def _assumed(found: dict[str, Any]) -> list[str]:
    """What the run took for granted, in words."""
    network, data = found["network"], found["data"]
    low, high = data["pixel_range"]
    told = [
        f"Conditions: {found.get('conditions', 'not said by this version of the run')}.",
        f"Preprocessing: {network['preprocessing']}.",
        f"Pixels: {low:g} to {high:g}, {data['pixel_range_source']}.",
        f"Images for calibration and the check of the conversion: {data['calibration']}.",
    ]
    if "note" in network:
        told.append(f"The network's file says: {network['note']}.")
    if network.get("test_accuracy") is not None:
        told.append(f"The network's file says it has {network['test_accuracy']:.2%} on its tests.")
    return told


def over_time(results: Results) -> list[Element]:
    """Accuracy after T steps, as a picture and as the table behind it. results: of the run."""
    rows, ann = results.accuracy, results.summary["ann_accuracy"]
    figure = plots.accuracy_figure(rows, ann)
    last = rows[-1]
    key, what = "accuracy", "Accuracy"
    if ann is None:
        key, what = "agreement_with_ann", "Share of images in the ANN's class"
    words = (
        f"{what} against time steps T, {len(rows)} points from {rows[0][key]:.2%} at T = "
        f"{rows[0]['T']} to {last[key]:.2%} at T = {last['T']}"
    )
    words += "." if ann is None else f"; a dashed line is the ANN's {ann:.2%}."
    columns = [c for c in ACCURACY if c.key == "T" or any(r.get(c.key) is not None for r in rows)]
    caption = (
        "After T steps. 95 %: Wilson's interval. Only SNN right, only ANN right: images; p: "
        "McNemar's exact test after Holm for all T. Error of the readout: mean square of its "
        "difference to the ANN's logits. Spikes and operations: of all steps up to T, mean of an "
        "image."
    )
    return [
        picture(figure, "accuracy", f"{what} after T steps", words),
        table("accuracy-table", caption, rows, columns, by="T"),
    ]


def layers(results: Results) -> list[Element]:
    """Rates by layer, as a picture and as the table behind it. results: of the run."""
    spiking = results.layers[:-1]
    silent = dict.fromkeys(("theta", "rate", "spikes_per_image"))  # the readout never fires
    rows = [*spiking, {**results.layers[-1], **silent}]
    caption = (
        "Layers. Threshold: in units of the ANN's activation. Rate: spikes per neuron and step. "
        "Spikes, operations into the layer and exact ties: mean of an image."
    )
    columns: tuple[Column, ...] = LAYERS
    if "busy" in results.layers[-1]:
        columns += CORES
        caption += (
            " Busy: share of the ticks in which the layer's core is in service. Queue, longest: "
            "events that wait for it at once at most, mean and largest of images. Undelivered: on "
            "their way when a run ends."
        )
    parts = [table("layers-table", caption, rows, columns)]
    if spiking:
        most = max(spiking, key=lambda row: row["rate"])
        least = min(spiking, key=lambda row: row["rate"])
        words = (
            f"A bar for each of {len(spiking)} layers; most spikes per neuron and step in "
            f"{most['layer']}, {most['rate']:.2%}, least in {least['layer']}, {least['rate']:.2%}."
        )
        drawn = plots.rates_figure(spiking)
        parts.insert(0, picture(drawn, "rates", "Firing rates by layer", words))
    return parts


def costs(results: Results) -> list[Element]:
    """What an image costs, by each formula. results: of the run."""
    cost, meaning = results.summary["cost_per_image"], results.summary["cost_meaning"]
    rows = []
    for key, value in cost.items():
        words, unit = COSTS.get(key, (key, ""))
        row = {"what": words, "value": float(value), "unit": unit}
        rows.append(row | {"meaning": str(meaning.get(key, ""))})
    columns = (
        Column("what", "what"),
        Column("value", "an image"),
        Column("unit", "unit"),
        Column("meaning", "how it is found"),
    )
    caption = "What an image costs, mean of all images; energies are estimates of papers."
    seconds, count = results.summary["seconds_simulation"], results.summary["images"]
    return [
        table("costs-table", caption, rows, columns),
        paragraph(
            f"The simulation took {seconds:,.1f} s for {count:,} images on "
            f"{results.summary['running']['workers']} threads, without compiling."
        ),
        folded("What the numbers of this page mean", meanings(results)),
    ]


def meanings(results: Results) -> Element:
    """The run's own words for its numbers. results: of the run."""
    found = element("dl")
    for key, words in results.summary["meaning"].items():
        found.append(element("dt", element("code", key)))
        found.append(element("dd", str(words)))
    return found
