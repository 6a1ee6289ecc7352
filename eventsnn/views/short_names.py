"""Short names, spelt out: what a table, or what is printed around it, leaves to be asked."""

from __future__ import annotations

import re
import textwrap

WIDTH = 100  # letters of a line
# name, as it is written -> (how it is found, what it stands for); papers: docs/papers.md
SHORT: dict[str, tuple[str, str]] = {
    "ANN": (r"ANN", "artificial neural network, as it was trained"),
    "SNN": (r"SNN", "spiking neural network, which it became"),
    "T": (r"T =|T", "number of time steps"),
    "T_eq": (r"T_eq", "last step in which a neuron fired or charge arrived"),
    "IF": (r"IF|if|gn:1", "integrate-and-fire neuron"),
    "if-hard": (r"if-hard", "integrate-and-fire neuron, reset to 0"),
    "LIF": (r"LIF|lif", "leaky integrate-and-fire neuron"),
    "SNM": (r"SNM|snm", "signed neuron with memory, which takes spikes back (DNISNM)"),
    "ST-BIF": (
        r"ST-BIF|st-bif",
        "spike-tracing bipolar integrate-and-fire neuron, which takes spikes back (SpikeZIP)",
    ),
    "GN": (r"GN|gn", "group neuron: members with staggered thresholds on one potential"),
    "TPP": (r"TPP|tpp", "two-phase probabilistic neuron: hears first, then fires at random"),
    "TSC": (r"TSC|tsc", "temporal switch coding: two spikes, whose distance is the value"),
    "TTFS": (
        r"TTFS|ttfs|ttfs-exact",
        "time to first spike: one spike, the sooner the larger the value",
    ),
    "SRP": (r"SRP|srp", "a first stage of tau steps; neurons that it leaves below 0 stay silent"),
    "COS": (r"COS|offset", "v(0) of each image, a spike up or down by a few steps before the run"),
    "DNI": (r"DNI|dni", "a threshold for each neuron: data-based neuronal initialisation (DNISNM)"),
    "QCFS": (
        r"QCFS|qcfs",
        "stair with trained thresholds: quantisation, clip, floor, shift",
    ),
    "TCL": (r"TCL|tcl", "trainable clipping layer, with a trained threshold"),
    "LSQ": (
        r"LSQ|lsq",
        "learned step size quantisation, a stair with a learned scale",
    ),
    "QuantRelu": (r"QuantRelu", "quantised ReLU: a stair up to its threshold"),
    "ClippedRelu": (r"ClippedRelu", "ReLU that ends at its threshold"),
    "SlipReLU": (r"SlipRelu|slip", "sum of a clipped ReLU and a stair, each with its weight"),
    "MAC": (r"MACs?", "multiplication with addition, of which the ANN needs one a weight"),
    "mAP": (r"mAP", "mean average precision of boxes, over classes"),
    "MSE": (r"MSE|mse", "mean squared error"),
    "spike-norm": (r"spike-norm", "the largest charge that a step of the SNN brings (SpikeNorm)"),
    "p": (
        r"p =|p Holm|p two-sided",
        "probability that chance gives such a difference, or a larger one",
    ),
    "fifo": (r"fifo", "first in, first out: in the order of emission"),
}


def spelt_out(text: str, also: str = "") -> str:
    """The short names in a text and what they stand for, each once, as lines; "" without any.

    text: what was printed. also: put at the end.
    """
    found = [
        f"{name}: {meaning}"
        for name, (pattern, meaning) in SHORT.items()
        if re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", text)
    ]
    if not found:
        return also
    words = "; ".join(found) + (f"; {also}" if also else "")
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)
