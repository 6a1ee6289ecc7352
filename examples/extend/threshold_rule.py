"""A threshold rule of one's own: mean and spread of the positive activations.

    python -m eventsnn.run --plugin examples/extend/threshold_rule.py --thresholds spread

A rule is a function of a layer's name and of its activations on the calibration images.
"""

import numpy as np

import eventsnn
from eventsnn.network.rules import Rule


def spread(layer, activations):
    """The mean of the positive activations and three standard deviations; float32 [N, ...] in."""
    positive = activations[activations > 0].astype(np.float64)
    return float(positive.mean() + 3 * positive.std())


eventsnn.register(
    "threshold rule",
    "spread",
    Rule("mean and three deviations of positive activations", spread, calibrated=True),
)
