"""Classification: the network, loss and score of a training."""

from __future__ import annotations

from typing import Any

from torch.nn import functional

from eventsnn.train.networks import Make, network
from eventsnn.train.recipe import Recipe
from eventsnn.train.sets import Sets


class Classification:
    """A classifier's task. sets: its images."""

    words = "test accuracy"

    def __init__(self, sets: Sets) -> None:
        self.sets = sets

    def network(self, make: Make, recipe: Recipe) -> Any:
        """The new network of a recipe. make: of its activations."""
        shape = tuple(self.sets.train.shape[1:])
        reroute = recipe.residual == "reroute"
        count = self.sets.count
        return network(recipe.arch, make, shape, count, recipe.width, recipe.stem, reroute)

    def loss(self, outputs: Any, labels: Any) -> Any:
        """The mean cross-entropy.

        outputs: [N, classes]. labels: int64 [N], or probabilities [N, classes].
        """
        return functional.cross_entropy(outputs, labels)

    def right(self, outputs: Any, labels: Any) -> int:
        """How many images are classified correctly. outputs, labels: as for `loss`."""
        return int((outputs.argmax(1) == labels).sum())

    def score(self, outputs: Any) -> float:
        """The share of the test images that is classified correctly. outputs: of all of them."""
        return self.right(outputs, self.sets.test_labels) / len(outputs)
