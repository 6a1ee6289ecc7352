"""What a run found: tables on the screen, CSV files, pictures, summary.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from eventsnn.runs import run_file
from eventsnn.simulation.simulation import cores
from eventsnn.studies.cost import MEANING as COST_MEANING
from eventsnn.studies.cost import costs
from eventsnn.views import tables
from eventsnn.views.tables import report_steps

MEANING = {
    "ann_accuracy": "share of the images that the ANN as loaded classifies as labelled; null without labels",
    "snn_accuracy": "the same for the spiking network after T steps, by T",
    "agreement_with_ann": "share of the images that the spiking network puts into the ANN's class after T steps, by T",
    "readout_mse": "mean squared difference of the readout and the ANN's output, over images and classes, by T; null behind a Softmax",
    "equilibrium": "T_eq, the last step in which a neuron fired or charge arrived; an image still moving in step T is not at rest",
    "stage_one": "what SRP's first stage cost; the other figures leave it out, but for cost_per_image",
    "spikes_per_image": "spikes of all neurons in all steps, mean over images",
    "synaptic_operations_per_image": "weights touched by delivered spikes, mean over images; the input's drive is not counted",
    "ties_per_image": "evaluations in which a potential met its threshold exactly, mean over images",
    "seconds_simulation": "wall time of the simulation, of all sessions if the run was stopped and taken up again; without compiling, and "
    "without what a stop threw away",
}


def report(folder, simulation, images, ann_output, settings, provenance, say):
    """Write run.h5, CSVs, pictures and summary.json into the folder's `results`; print the tables;
    return the summary.
    """
    from eventsnn.views import plots

    steps = sorted(set(settings.report_steps)) or report_steps(settings.steps)
    totals = run_file.write_hdf5(
        folder.results / "run.h5",
        folder,
        simulation,
        images,
        ann_output,
        steps,
        provenance,
        settings.trace,
    )
    layers = layer_rows(simulation, totals, len(images))
    softmax = graph_ends_in_softmax(simulation.network.graph)
    accuracy = accuracy_rows(
        totals,
        steps,
        images.labels,
        ann_output.argmax(axis=1),
        None if softmax else ann_output.shape[1],
    )
    ann_accuracy = (
        None
        if images.labels is None
        else float(np.mean(ann_output.argmax(axis=1) == images.labels))
    )
    tables.write_csv(folder.results / "layers.csv", layers)
    tables.write_csv(folder.results / "accuracy.csv", accuracy)
    title = f"{provenance['network'].get('arch', Path(settings.net).stem)}, {len(images):,} images of {images.name}"
    plots.save(
        plots.accuracy_figure(accuracy, ann_accuracy, title), folder.results / "accuracy.png"
    )
    plots.save(plots.rates_figure(layers[:-1], title), folder.results / "rates.png")
    summary = {
        "ann_accuracy": ann_accuracy,
        "snn_accuracy": {str(row["T"]): row["accuracy"] for row in accuracy},
        "agreement_with_ann": {str(row["T"]): row["agreement_with_ann"] for row in accuracy},
        "readout_mse": {str(row["T"]): row["readout_mse"] for row in accuracy},
        "images": len(images),
        "spikes_per_image": float(totals.spikes.sum() / len(images)),
        "synaptic_operations_per_image": float(totals.operations.sum() / len(images)),
        "ties_per_image": float(totals.ties.sum() / len(images)),
        "seconds_simulation": totals.seconds,
        "cost_per_image": costs(
            simulation.network,
            (totals.spikes.sum(axis=1) + totals.stage_one[0]) / len(images),
            (totals.operations.sum(axis=1) + totals.stage_one[1]) / len(images),
        ),
        **after_stages(simulation, totals, len(images)),
        "neurons": simulation.network.neurons,
        "layers": len(simulation.network.spiking),
        "arithmetic": simulation.arithmetic.kind,
        "fraction_bits": simulation.arithmetic.fraction_bits or None,
        "meaning": MEANING,
        "cost_meaning": COST_MEANING,
        "running": {"workers": settings.workers or cores(), "batch": settings.batch},
        **provenance,
    }
    (folder.results / "summary.json").write_text(
        json.dumps(summary, indent=1, allow_nan=False) + "\n"
    )
    print_tables(layers, accuracy, summary, settings, say)
    return summary


def after_stages(simulation, totals, count):
    """What the summary says of equilibrium, where drive ends, and of SRP's first stage, where there
    is one.
    """
    found = {}
    if simulation.drive_steps < simulation.steps:
        found["equilibrium"] = {
            "mean_t_eq": float(totals.t_eq.mean()),
            "largest_t_eq": int(totals.t_eq.max()),
            "images_not_at_rest": int((totals.t_eq == simulation.steps).sum()),
        }
    if simulation.srp:
        spikes, operations = totals.stage_one.sum(axis=1) / count
        found["stage_one"] = {
            "steps": simulation.srp,
            "spikes_per_image": float(spikes),
            "synaptic_operations_per_image": float(operations),
        }
    return found


def layer_rows(simulation, totals, count):
    """One row a layer: what it is, its threshold, its rate (spikes per neuron and step), and means
    per image.
    """
    return [
        {
            "layer": layer.name,
            "activation": layer.node.op if layer.node else "readout",
            "shape": "x".join(map(str, layer.grid)),
            "neurons": layer.size,
            "theta": layer.scale,
            "rate": float(spikes.sum() / (layer.size * simulation.steps * count)),
            "spikes_per_image": float(spikes.sum() / count),
            "synaptic_operations_per_image": float(operations.sum() / count),
            "ties_per_image": float(ties / count),
        }
        for layer, spikes, operations, ties in zip(
            simulation.network.layers, totals.spikes, totals.operations, totals.ties
        )
    ]


def graph_ends_in_softmax(graph):
    """Whether the ANN's output is no sum of charge, which the readout is."""
    return graph.by_name[graph.output].op == "Softmax"


def accuracy_rows(totals, steps, labels, ann_classes, classes):
    """One row for each T: accuracy with its 95 % interval, agreement with the ANN, mean squared
    error of the readout against the ANN's output (classes None: not known), spikes and operations
    per image up to T.
    """
    count, rows = len(ann_classes), []
    for t, predicted, error in zip(steps, totals.predictions.T, totals.squared_errors.sum(axis=0)):
        hits = None if labels is None else int(np.sum(predicted == labels))
        low, high = (None, None) if hits is None else tables.wilson(hits, count)
        rows.append(
            {
                "T": t,
                "accuracy": None if hits is None else hits / count,
                "accuracy_low": low,
                "accuracy_high": high,
                "agreement_with_ann": float(np.mean(predicted == ann_classes)),
                "readout_mse": None if classes is None else float(error / (count * classes)),
                "spikes_per_image": float(totals.spikes[:, :t].sum() / count),
                "synaptic_operations_per_image": float(totals.operations[:, :t].sum() / count),
            }
        )
    return rows


def print_tables(layers, accuracy, summary, settings, say):
    """Say what came out: a row a layer, a row a T, and the sum of it."""
    unit, factor = tables.in_unit(
        [row["synaptic_operations_per_image"] for row in (*layers, *accuracy)]
    )
    columns = {
        **tables.COLUMNS,
        "agreement_with_ann": tables.COLUMNS["agreement"],
        "spikes_per_image": ("spikes", ",.0f"),
        "synaptic_operations_per_image": (f"{unit} operations".strip(), ",.2f" if unit else ",.0f"),
    }

    def scaled(row):
        return {
            **row,
            "synaptic_operations_per_image": row["synaptic_operations_per_image"] * factor,
        }

    say(
        "\nLayers, means per image (rate: spikes per neuron and step; operations: synaptic, of the spikes that arrive)"
    )
    silent = dict.fromkeys(("theta", "rate", "spikes_per_image"))  # the readout never fires
    rows = [scaled(row) for row in layers[:-1]] + [scaled(layers[-1]) | silent]
    say(
        tables.text_table(
            [{k: v for k, v in row.items() if k != "ties_per_image"} for row in rows], columns
        )
    )
    labelled = summary["ann_accuracy"] is not None
    say(
        "\nAfter T steps"
        + (
            " (with the 95 % interval of the accuracy; as the ANN: images put into the same class)"
            if labelled
            else " (as the ANN: images put into the same class)"
        )
    )
    rows = []
    for row in map(scaled, accuracy):
        known = (
            {
                "accuracy": row["accuracy"],
                "interval": f"{row['accuracy_low']:.1%} – {row['accuracy_high']:.1%}",
            }
            if labelled
            else {}
        )
        rows.append(
            {
                "T": row["T"],
                **known,
                **{
                    k: row[k]
                    for k in (
                        "agreement_with_ann",
                        "spikes_per_image",
                        "synaptic_operations_per_image",
                    )
                },
            }
        )
    say(tables.text_table(rows, columns))
    seconds, images = summary["seconds_simulation"], summary["images"]
    speed, size = tables.in_unit(
        [summary["synaptic_operations_per_image"] * images / max(seconds, 1e-9)]
    )
    speed = f"{summary['synaptic_operations_per_image'] * images / max(seconds, 1e-9) * size:,.1f} {speed}"
    cost = summary["cost_per_image"]
    if "stage_one" in summary:
        stage = summary["stage_one"]
        say(
            f"\nSRP's first stage: {stage['steps']} steps, {stage['spikes_per_image']:,.0f} spikes and "
            f"{stage['synaptic_operations_per_image'] / 1e6:,.2f} M operations an image more"
        )
    if "equilibrium" in summary:
        rest = summary["equilibrium"]
        say(
            f"\nequilibrium: T_eq {rest['mean_t_eq']:.1f} on average, {rest['largest_t_eq']} at most"
            + (
                f"; {rest['images_not_at_rest']:,} images still moved in step {accuracy[-1]['T']}: raise --steps"
                if rest["images_not_at_rest"]
                else ""
            )
        )
    say(
        f"\nEnergy an image, as papers estimate it: {cost['counted_microjoule']:,.3g} µJ at 0.9 pJ for each operation counted;\n"
        f"by DNISNM's formula {cost['dnisnm_microjoule']:,.3g} µJ ({cost['dnisnm_energy_drop']:+.0%} against the ANN); by SpikeZIP's "
        f"{cost['spikezip_microjoule']:,.3g} µJ (ANN {cost['spikezip_ann_microjoule']:,.3g} µJ)"
    )
    last = (
        f"SNN {accuracy[-1]['accuracy']:.2%} at T = {accuracy[-1]['T']}; ANN {summary['ann_accuracy']:.2%}; "
        if labelled
        else ""
    )
    threads = settings.workers or cores()
    say(
        f"\n{last}{summary['ties_per_image']:,.1f} exact ties an image\nsimulated {images:,} images in {seconds:.1f} s: "
        f"{speed.strip()} synaptic operations a second on {threads} thread{'s' * (threads > 1)}"
    )
