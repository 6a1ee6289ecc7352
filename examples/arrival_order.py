"""Why the order of arrival matters: the worked examples of two papers, run in the event engine and
explained spike by spike.

    python examples/arrival_order.py --out arrival_order

SRP (Reducing ANN-SNN Conversion Error through Residual Membrane Potential), Fig. 1(b)-(d): two
inputs with weights 2 and -1 that each fire three times in six steps. DNISNM (ANN-to-SNN conversion
with data-based neuronal initialization and signed neuron with memory), Fig. 3 and 6: inputs 1, 2, 3
with weights 1, 2, -1. Prints the story and leaves one picture for each case.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from eventsnn import convert
from eventsnn.ann.graph import Graph, Node
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.microscope import plot
from eventsnn.trace.replay import Move, play, replay
from eventsnn.trace.trace import record
from eventsnn.views.plots import save

SEEDS = 200
SLOT = 0.2  # of a step: how far apart spikes are in DNISNM's figures
SRP = {  # the steps in which the input of weight 2, and that of weight -1, fires
    "even": ([0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1]),
    "inhibition late": ([1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]),
    "inhibition early": ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]),
}
DNISNM = {"in time": 0, "late": 2}  # by how many slots the inhibition is delayed


def one_neuron(weights):
    """A network of inputs, one neuron with these weights and a readout that counts its spikes; all
    thresholds are 1.
    """

    def dense(name, source, rows):
        return Node(
            name,
            "Conv",
            (source,),
            {"kernel_shape": [1, 1]},
            {"W": np.array(rows, np.float32)[:, :, None, None]},
        )

    nodes = (
        Node("inputs", "ClippedRelu", ("pixels",), {"lambda": 1.0}),
        dense("weights", "inputs", [weights]),
        Node("target", "ClippedRelu", ("weights",), {"lambda": 1.0}),
        dense("spikes", "target", [[1]]),
    )
    return convert(Graph(nodes, "pixels", "spikes", (len(weights), 1, 1), source="one neuron"))


def srp(case):
    """SRP Fig. 1: six clocked steps; each input is driven by a threshold in the steps in which it
    fires. Returns its Trace.
    """
    simulation = Simulation(
        one_neuron([2, -1]),
        steps=6,
        engine="event",
        time=Time(order="clocked"),
        initial=0,
        pixel_range=(0, 1),
    )
    drive = np.zeros((6, 4), simulation.arithmetic.dtype)
    drive[:, :2] = np.transpose(SRP[case]) * simulation.arithmetic.one
    return play(simulation, drive)[1]


def dnisnm(neuron, case):
    """DNISNM Fig. 3 (IF) and 6 (SNM): one step of asynchronous time. A neuron rests for a slot
    after each spike, so input x fires x times, a slot apart; the third one's spikes take longer.
    Returns its Trace.
    """
    delays = [np.array([0, 0, DNISNM[case] * SLOT]), np.zeros(1)]
    time = Time(order="delays", delays=delays, refractory=SLOT, ticks=1000)
    simulation = Simulation(
        one_neuron([1, 2, -1]),
        steps=1,
        engine="event",
        neuron=neuron,
        time=time,
        initial=0,
        pixel_range=(0, 3),
    )
    return record(simulation, np.array([1, 2, 3], np.float32).reshape(3, 1, 1))[1]


def at_once(order, seed=0):
    """The same six spikes without rest or delay, in one of the orders of arrival: (Simulation,
    pixels, Trace).
    """
    network, time = one_neuron([1, 2, -1]), Time(order=order)
    simulation = Simulation(
        network, steps=1, engine="event", time=time, initial=0, seed=seed, pixel_range=(0, 3)
    )
    pixels = np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    return simulation, pixels, record(simulation, pixels)[1]


def inhibition_in_time(trace):
    """The edits that deliver every spike of the inhibitory input before the first of all others."""
    inputs = trace.of("inputs")
    first = int(trace.deliveries["spike"][0])
    return [Move(int(seq), before=first) for seq in inputs["seq"][inputs["neuron"] == 2]]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("arrival_order"),
        help="the folder for the pictures (default: %(default)s)",
    )
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)

    def show(heading, name, trace):
        explained = explain_neuron(trace, "target", 0)
        save(plot(explained.observation, heading), out / f"{name}.png")
        print(f"{heading}\n{explained}\n")

    print(
        "SRP Fig. 1: weights 2 and -1, each input fires 3 times in T = 6 steps. The ANN says "
        "ReLU(2 * 0.5 - 0.5) = 3/6.\n"
    )
    for case in SRP:
        show(f"SRP Fig. 1: {case}", f"srp_{case.replace(' ', '_')}", srp(case))
    print("DNISNM Fig. 3: inputs 1, 2, 3, weights 1, 2, -1. The ANN says 1 + 4 - 3 = 2.\n")
    for case in DNISNM:
        show(
            f"DNISNM Fig. 3: inhibition {case}",
            f"dnisnm_3_{case.replace(' ', '_')}",
            dnisnm("if", case),
        )
    show("DNISNM Fig. 6: SNM takes the spike back", "dnisnm_6_late", dnisnm("snm", "late"))
    print(
        "The same six spikes without any rest: an IF neuron answers at once, as often as its "
        "charge allows.\n"
    )
    for order in ("excitatory_first", "inhibitory_first", "fifo"):
        trace = at_once(order)[2]
        print(f"{order}: {len(trace.of('target'))} spikes")
    counts = Counter(len(at_once("random", seed)[2].of("target")) for seed in range(SEEDS))
    print(
        f"random, {SEEDS} seeds: "
        + ", ".join(f"{spikes} spikes {counts[spikes]} times" for spikes in sorted(counts))
    )
    simulation, pixels, trace = at_once("fifo")
    print(
        "\nWhere fifo's last spike came from:\n"
        + str(explain_spike(trace, int(trace.of("target")["seq"][-1])))
    )
    print("\nAnd fifo again, with the inhibition moved to the front:")
    print(replay(simulation, trace, pixels, inhibition_in_time(trace)))
    print(f"\nPictures: {out}/*.png")


if __name__ == "__main__":
    main()
