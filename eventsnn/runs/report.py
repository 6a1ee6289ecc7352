"""What a run found: tables on the screen, CSV files, pictures, summary.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import classes_of
from eventsnn.ann.tops import in_top
from eventsnn.data.images import Images
from eventsnn.runs import run_file
from eventsnn.runs.folder import Folder
from eventsnn.runs.pictures import Drawing, Painter
from eventsnn.runs.run_file import Found, Totals
from eventsnn.runs.served import cores_in_words, of_cores, of_layer
from eventsnn.settings import Settings
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.statistics import Paired, compare, p_words, wilson
from eventsnn.studies.cost import MEANING as COST_MEANING
from eventsnn.studies.cost import costs
from eventsnn.studies.workload import static
from eventsnn.views import tables
from eventsnn.views.short_names import spelt_out
from eventsnn.views.tables import report_steps

OPERATIONS = "synaptic_operations_per_image"
AGAIN = "images_run_again_in_64_bits"
WHERE = "what each number is: docs/guide/numbers.md"
TOPS = ("top5_accuracy",)  # columns that there are with labels of many classes
# columns that there are where the network was made from a changed ANN
CHANGED = ("agreement_with_changed_ann", "readout_mse_changed_ann")
MEANING = {
    "conditions": "what decided the result, as tables and pictures have it",
    "ann_accuracy": "share of the images that the ANN as loaded classifies as labelled; null "
    "without labels",
    "snn_accuracy": "the same for the spiking network after T steps, by T",
    "agreement_with_ann": "share of the images that the spiking network puts into the class of "
    "the ANN as loaded after T steps, by T; for an output that is a map, share of its places with "
    "the same largest channel (of one channel: above 0 in both, or in neither)",
    "readout_mse": "mean squared difference of the readout and the ANN's logits (its output, or "
    "what a final Softmax is of), over images and classes, by T",
    "equilibrium": "T_eq, the last step in which a neuron fired or charge arrived; an image still "
    "moving in step T is not at rest",
    "cores": "of order cores: when a run ended, what the busiest core did, and images' latency, "
    "the tick from whose end on the readout's class is what it is at last, in ticks; in layers.csv "
    "busy: share of a run's ticks in service, queue and longest: events that wait at once at most, "
    "mean and largest of images, undelivered: events on their way when a run ends",
    "neurobench": "of NeuroBench's metrics what no spike decides: footprint, bytes of parameters; "
    "connection_sparsity, share of weights that are 0; dense, products of T steps as if no input "
    "and no weight were 0; cost.neurobench measures the others",
    "stage_one": "what a first stage (SRP, offset) cost; the other figures leave it out, but for "
    "cost_per_image",
    "spikes_per_image": "spikes of all neurons in all steps, mean over images",
    "synaptic_operations_per_image": "weights touched by delivered spikes, mean over images; the "
    "input's drive is not counted",
    "ties_per_image": "evaluations in which a potential met its threshold exactly, mean over "
    "images",
    AGAIN: "images in which 32 bits did not hold a potential; their numbers are those of 64 bits",
    "seconds_simulation": "wall time of the simulation, of all sessions if the run was stopped and "
    "taken up again; without compiling, and without what a stop threw away",
}
MEANING_TOPS = {
    "ann_top5_accuracy": "share of the images whose label is among the five classes with the ANN's "
    "largest outputs; where there are labels and more than ten classes",
    "snn_top5_accuracy": "the same for the spiking network after T steps, by T",
}
MEANING_CHANGED = {
    "changed_ann_accuracy": "as ann_accuracy, of the ANN with the changed function (see notes) "
    "that the network was made from",
    "agreement_with_changed_ann": "as agreement_with_ann, with that changed ANN",
    "readout_mse_changed_ann": "as readout_mse, with that changed ANN",
}

Row = dict[str, Any]


def report(
    folder: Folder,
    simulation: Simulation,
    images: Images,
    found: Found,
    settings: Settings,
    provenance: dict[str, Any],
    say: Callable[[str], object],
    painter: Painter,
) -> dict[str, Any]:
    """Writes run.h5, CSVs, pictures and summary.json; prints the tables; returns the summary.

    folder: the files go into its `results`. simulation: what ran. images: all of the run.
    found: what the ANN gave for them. settings: of the run. provenance: JSON-able; all that is
    needed to make the run again. say: is called with each text. painter: draws the pictures. Raises
    OSError where the disk refuses.
    """
    every = report_steps(settings.steps, settings.readout_from)
    every = [settings.steps] if simulation.stages > 1 else every
    steps = sorted(set(settings.report_steps)) or every
    totals = run_file.write_hdf5(
        folder.results / "run.h5",
        folder,
        simulation,
        images,
        found,
        steps,
        provenance,
        settings.trace,
    )
    layers = layer_rows(simulation, totals, len(images))
    accuracy = accuracy_rows(totals, steps, images.labels, found)
    of_anns = dict.fromkeys(("ann_accuracy", "changed_ann_accuracy")[: len(found.compared)])
    if images.labels is not None:
        right = [np.mean(classes_of(its) == images.labels) for its in found.compared]
        of_anns = dict(zip(of_anns, map(float, right)))
    ann_accuracy = of_anns["ann_accuracy"]
    if totals.in_top is not None and images.labels is not None:
        of_anns["ann_top5_accuracy"] = float(in_top(found.logits, images.labels).mean())
    tables.write_csv(folder.results / "layers.csv", layers)
    tables.write_csv(folder.results / "accuracy.csv", accuracy)
    name = provenance["network"].get("arch", Path(settings.net).stem)
    title = f"{name}, {len(images):,} images of {images.name}"
    decided = str(conditions(simulation))
    pictures = Drawing(folder.results, layers, accuracy, ann_accuracy, title, decided)
    painter.draw(pictures)
    summary = {
        "conditions": decided,
        **of_anns,
        **_summary(simulation, totals, accuracy, len(images)),
        "meaning": MEANING
        | ({} if found.changed is None else MEANING_CHANGED)
        | ({} if totals.in_top is None else MEANING_TOPS),
        "cost_meaning": COST_MEANING,
        "running": {"workers": settings.workers or cores(), "batch": settings.batch},
        **provenance,
    }
    text = json.dumps(summary, indent=1, allow_nan=False)
    (folder.results / "summary.json").write_text(text + "\n")
    print_tables(layers, accuracy, summary, say)
    return summary


def _summary(
    simulation: Simulation, totals: Totals, accuracy: Sequence[Row], count: int
) -> dict[str, Any]:
    """What the summary says of `count` images and of the network that ran them."""
    network, last = simulation.network, accuracy[-1]
    spikes = (totals.spikes.sum(axis=1) + totals.stage_one[0]) / count
    operations = (totals.operations.sum(axis=1) + totals.stage_one[1]) / count
    return {
        "snn_accuracy": {str(row["T"]): row["accuracy"] for row in accuracy},
        "agreement_with_ann": {str(row["T"]): row["agreement_with_ann"] for row in accuracy},
        "readout_mse": {str(row["T"]): row["readout_mse"] for row in accuracy},
        **{key: {str(row["T"]): row[key] for row in accuracy} for key in CHANGED if key in last},
        **{
            f"snn_{key}": {str(row["T"]): row[key] for row in accuracy}
            for key in TOPS
            if key in last
        },
        "images": count,
        "spikes_per_image": float(totals.spikes.sum() / count),
        OPERATIONS: float(totals.operations.sum() / count),
        "ties_per_image": float(totals.ties.sum() / count),
        "seconds_simulation": totals.seconds,
        "cost_per_image": costs(network, spikes, operations),
        "neurobench": static(network.graph, simulation.steps),
        **after_stages(simulation, totals, count),
        **of_cores(simulation, totals),
        "neurons": network.neurons,
        "layers": len(network.spiking),
        "arithmetic": simulation.arithmetic.kind,
        "fraction_bits": simulation.arithmetic.fraction_bits or None,
        **({AGAIN: totals.widened} if watches(simulation) else {}),
    }


def watches(simulation: Simulation) -> bool:
    """Whether images may have to be run again in 64 bits. simulation: what ran."""
    narrow = simulation.arithmetic.dtype == np.int32
    return narrow and (simulation.arithmetic.watched or simulation.engine.asynchronous)


def after_stages(simulation: Simulation, totals: Totals, count: int) -> dict[str, Any]:
    """What the summary says of equilibrium and of SRP's first stage.

    Equilibrium is in it where drive ends, the stage where there is one. simulation: what ran.
    totals: over all images. count: how many they are.
    """
    found: dict[str, Any] = {}
    if simulation.drive_steps < simulation.steps:
        found["equilibrium"] = {
            "mean_t_eq": float(totals.t_eq.mean()),
            "largest_t_eq": int(totals.t_eq.max()),
            "images_not_at_rest": int((totals.t_eq == simulation.steps).sum()),
        }
    if simulation.srp or simulation.offset:
        spikes, operations = totals.stage_one.sum(axis=1) / count
        found["stage_one"] = {
            "steps": simulation.srp or simulation.offset,
            "spikes_per_image": float(spikes),
            OPERATIONS: float(operations),
        }
    return found


def layer_rows(simulation: Simulation, totals: Totals, count: int) -> list[Row]:
    """One row a layer: what it is, its threshold, its rate, and means per image.

    The rate is spikes per neuron and step. simulation: what ran. totals: over all images. count:
    how many they are.
    """
    rows = []
    for i, layer in enumerate(simulation.network.layers):
        spikes = totals.spikes[i].sum()
        row = {
            "layer": layer.name,
            "activation": layer.node.op if layer.node else "readout",
            "shape": "x".join(map(str, layer.grid)),
            "neurons": layer.size,
            "theta": layer.scale,
            "rate": float(spikes / (layer.size * simulation.steps * count)),
            "spikes_per_image": float(spikes / count),
            OPERATIONS: float(totals.operations[i].sum() / count),
            "ties_per_image": float(totals.ties[i] / count),
        }
        if totals.served:
            row |= of_layer(totals, i)
        rows.append(row)
    return rows


def accuracy_rows(
    totals: Totals,
    steps: Sequence[int],
    labels: NDArray[np.int64] | None,
    found: Found,
) -> list[Row]:
    """One row for each T: what is known of the images after T steps.

    It has the accuracy with its 95 % interval, top-5 of more than ten classes, the images that it
    and the ANN alone have right with McNemar's p (after Holm for all T, too: semantics, section
    15), the agreement with the ANN, the mean squared error of the readout against the ANN's logits,
    and spikes and operations per image up to T. Where the network was made from a changed ANN, it
    has agreement and error against that, too.

    totals: over all images. steps: the numbers T. labels: int64 [N], or None. found: what the ANN
    gave.
    """
    count, size = found.logits.shape
    rows = []
    agreed = totals.agreed.mean(axis=1)
    errors = totals.squared_errors.sum(axis=1) / (count * size)
    against: dict[int, Paired] = {}
    if labels is not None:
        right = totals.predictions == labels[:, None]
        ann_right = classes_of(found.logits) == labels
        pairs = {t: (right[:, i], ann_right) for i, t in enumerate(steps)}
        against = compare(pairs)
    for i, (t, predicted) in enumerate(zip(steps, totals.predictions.T)):
        accuracy = low = high = None
        if labels is not None:
            hits = int(np.sum(predicted == labels))
            accuracy = hits / count
            low, high = wilson(hits, count)
        row = {
            "T": t,
            "accuracy": accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            **_tops(totals, i),
            "only_snn_right": against[t].gained if against else None,
            "only_ann_right": against[t].lost if against else None,
            "p": against[t].p if against else None,
            "p_holm": against[t].holm if against else None,
            "agreement_with_ann": float(agreed[0, i]),
            "readout_mse": float(errors[0, i]),
            **dict(zip(CHANGED, (float(its[1, i]) for its in (agreed, errors) if len(its) > 1))),
            "spikes_per_image": float(totals.spikes[:, :t].sum() / count),
            OPERATIONS: float(totals.operations[:, :t].sum() / count),
        }
        rows.append(row)
    return rows


def _tops(totals: Totals, i: int) -> Row:
    """The columns TOPS of the i-th number of steps, where they are known."""
    return {} if totals.in_top is None else dict.fromkeys(TOPS, float(totals.in_top[:, i].mean()))


def print_tables(
    layers: Sequence[Row],
    accuracy: Sequence[Row],
    summary: dict[str, Any],
    say: Callable[[str], object],
) -> None:
    """Says what came out: a row a layer, a row a T, and the sum of it.

    layers: as `layer_rows` returns them. accuracy: as `accuracy_rows` does. summary: as `report`
    does. say: is called with each text.
    """
    unit, factor = tables.in_unit([row[OPERATIONS] for row in (*layers, *accuracy)])
    changed = CHANGED[0] in accuracy[-1]
    what = "images put into the same class"
    if not layers[-1]["shape"].endswith("x1x1"):
        what = "places of the map at which the same channel is the largest, or above 0 if it is one"
    as_loaded = " as loaded" if changed else ""
    heading, form = tables.COLUMNS["agreement"]
    columns = {
        **tables.COLUMNS,
        **tables.CORES,
        "agreement_with_ann": (heading + as_loaded, form),
        CHANGED[0]: ("as the changed ANN", form),
        "spikes_per_image": ("spikes", ",.0f"),
        OPERATIONS: (f"{unit} operations".strip(), ",.2f" if unit else ",.0f"),
    }
    labelled = summary["ann_accuracy"] is not None
    say(
        "\nLayers, means per image (threshold: of the ANN's activation; rate: spikes per neuron\n"
        f"and step; operations: synaptic, of the spikes that arrive)\n{summary['conditions']}"
    )
    say(tables.text_table(_shown_layers(layers, factor), columns))
    interval = ""
    if labelled:
        interval = (
            "with the 95 % interval of the accuracy; images that SNN or ANN alone has right,\n"
            "McNemar's p after Holm for all T; "
        )
    say(f"\nAfter T steps ({interval}as the ANN: {what})\n{summary['conditions']}")
    if changed:
        alone = "the ANN that alone has images right: as loaded; " if labelled else ""
        say(f"({alone}the changed ANN: as in the notes above, the network was made from it)")
    say(tables.text_table(_shown_accuracy(accuracy, factor, labelled), columns))
    last = accuracy[-1]
    if "stage_one" in summary:
        stage = summary["stage_one"]
        say(
            f"\nFirst stage: {stage['steps']} steps, {stage['spikes_per_image']:,.0f} spikes "
            f"and {stage[OPERATIONS] / 1e6:,.2f} M operations an image more"
        )
    if "equilibrium" in summary:
        rest = summary["equilibrium"]
        moving = ""
        if rest["images_not_at_rest"]:
            images = f"{rest['images_not_at_rest']:,} images"
            moving = f"; {images} still moved in step {last['T']}: raise --steps"
        say(
            f"\nequilibrium: T_eq {rest['mean_t_eq']:.1f} on average, {rest['largest_t_eq']} at "
            f"most{moving}"
        )
    if summary.get(AGAIN):
        again = f"{summary[AGAIN]:,} of {summary['images']:,} images were run again in 64 bits"
        say(f"\n{again}, as 32 did not hold a potential (the numbers are the same)")
    if "cores" in summary:
        say(f"\n{cores_in_words(summary['cores'])}")
    say(_energy(summary["cost_per_image"]))
    ends = ""
    if labelled:
        ends = f"SNN {last['accuracy']:.2%} at T = {last['T']}; ANN{as_loaded} "
        ends += f"{summary['ann_accuracy']:.2%}; "
        for key in TOPS:
            if last.get(key) is not None:
                ends += f"top-5 {last[key]:.2%}, ANN {summary[f'ann_{key}']:.2%}; "
        if changed:
            ends += f"changed ANN {summary['changed_ann_accuracy']:.2%}; "
    ties = f"{summary['ties_per_image']:,.1f} exact ties an image"
    say(f"\n{ends}{ties}\n{_speed(summary, summary['running']['workers'])}")
    names = ["ANN SNN T", "p =" if labelled else "", summary["conditions"]]
    names += dict.fromkeys(str(row["activation"]) for row in layers)
    say(f"\n{spelt_out(' '.join(names), WHERE)}")


def _shown_layers(layers: Sequence[Row], factor: float) -> list[Row]:
    """The layers' rows for the screen, with operations in a unit of 1 / `factor`."""
    silent = dict.fromkeys(("theta", "rate", "spikes_per_image"))  # the readout never fires
    rows = []
    for row in (*layers[:-1], {**layers[-1], **silent}):
        shown = {**row, OPERATIONS: row[OPERATIONS] * factor}
        del shown["ties_per_image"]
        shown.pop("longest", None)
        if not any(row.get("undelivered") for row in layers):
            shown.pop("undelivered", None)
        rows.append(shown)
    return rows


def _shown_accuracy(accuracy: Sequence[Row], factor: float, labelled: bool) -> list[Row]:
    """The rows of each T for the screen, with operations in a unit of 1 / `factor`."""
    rows = []
    for row in accuracy:
        shown: Row = {"T": row["T"]}
        if labelled:
            shown["accuracy"] = row["accuracy"]
            shown |= {key: row[key] for key in TOPS if row.get(key) is not None}
            shown["interval"] = f"{row['accuracy_low']:.1%} – {row['accuracy_high']:.1%}"
            counts = f"{row['only_snn_right']} : {row['only_ann_right']}"
            shown["only SNN : only ANN"] = f"{counts}, {p_words(row['p_holm'])}"
        for key in ("agreement_with_ann", CHANGED[0]):
            if key in row:
                shown[key] = row[key]
        shown["spikes_per_image"] = row["spikes_per_image"]
        shown[OPERATIONS] = row[OPERATIONS] * factor
        rows.append(shown)
    return rows


def _energy(cost: dict[str, int | float]) -> str:
    """What an image costs, in words."""
    return (
        f"\nEnergy an image, as papers estimate it: {cost['counted_microjoule']:,.3g} µJ at 0.9 pJ "
        "for each operation counted;\n"
        f"by DNISNM's formula {cost['dnisnm_microjoule']:,.3g} µJ "
        f"({cost['dnisnm_energy_drop']:+.0%} against the ANN); by SpikeZIP's "
        f"{cost['spikezip_microjoule']:,.3g} µJ (ANN {cost['spikezip_ann_microjoule']:,.3g} µJ)"
    )


def _speed(summary: dict[str, Any], threads: int) -> str:
    """How fast the simulation was, in words."""
    images, seconds = summary["images"], summary["seconds_simulation"]
    operations = summary[OPERATIONS] * images / max(seconds, 1e-9)
    unit, factor = tables.in_unit([operations])
    speed = f"{operations * factor:,.1f} {unit}".strip()
    return (
        f"simulated {images:,} images in {seconds:.1f} s: {speed} synaptic operations a second "
        f"on {threads} thread{'s' * (threads > 1)}"
    )
