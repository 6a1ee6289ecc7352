"""A small YOLO on scenes of Fashion-MNIST, and what its training has instead of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from eventsnn.ann.graph import Preprocessing
from eventsnn.data.images import load_images
from eventsnn.detection import Boxes, Head, make_scenes, mean_average_precision
from eventsnn.exceptions import InputError
from eventsnn.train.networks import Make, conv, scaled
from eventsnn.train.recipe import Recipe
from eventsnn.train.sets import Sets

SIZE = 64  # of scenes
MOST = 4  # objects in a scene
TRAIN, TEST = 10_000, 1000  # scenes
SEEDS = {"train": 1, "test": 2}
TARGET = 8  # scale, row, column, x, y, width, height, class
LEAST = 0.05  # score of boxes that mAP is taken of


class Yolo(nn.Module):
    """A detector of two scales, with the activation chosen in place of LeakyReLU.

    Five 3x3 convolutions to a map of stride 8, two more to one of stride 16. A head reads this one,
    which also goes through a 1x1 convolution and nearest upsampling; Concat joins that to the map
    of stride 8, and another head reads both (YOLOv3, Redmon and Farhadi 2018, section 2.3). The
    output is the two heads' maps, flattened and joined. make: of activations. channels: of the
    images. head: the output's layout. width: a factor of all channels.
    """

    def __init__(self, make: Make, channels: int, head: Head, width: float) -> None:
        super().__init__()
        a, b, c, d = (scaled(n, width) for n in (16, 32, 64, 128))
        maps = head.maps[0][0]

        def layer(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(
                conv(inputs, outputs, size, stride), nn.BatchNorm2d(outputs), make()
            )

        self.fine = nn.Sequential(
            layer(channels, a, 3, 2), layer(a, b, 3, 2), layer(b, b), layer(b, c, 3, 2), layer(c, c)
        )
        self.coarse = nn.Sequential(layer(c, d, 3, 2), layer(d, d))
        self.up = nn.Sequential(layer(d, c, 1), nn.Upsample(scale_factor=2, mode="nearest"))
        self.fine_head = nn.Sequential(layer(2 * c, c), nn.Conv2d(c, maps, 1))
        self.coarse_head = nn.Sequential(layer(d, d), nn.Conv2d(d, maps, 1))

    def forward(self, x: Any) -> Any:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        joined = torch.cat([fine, self.up(coarse)], 1)
        outputs = [self.fine_head(joined).flatten(1), self.coarse_head(coarse).flatten(1)]
        return torch.cat(outputs, 1)


class Detection:
    """A detector's task: its network, loss and score. sets: made by `load_scenes`."""

    words = "mAP at 0.5"

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        self.head = Head.of_scenes(sets.count)

    def network(self, make: Make, recipe: Recipe) -> Yolo:
        """The new network of a recipe; the scores of cells begin near 0. make: of activations."""
        made = Yolo(make, 1, self.head, recipe.width)
        for part in made.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        for part in (made.fine_head[1], made.coarse_head[1]):
            nn.init.normal_(part.weight, 0, 0.01)
            nn.init.zeros_(part.bias)
            with torch.no_grad():
                part.bias[4] = -3.0
        return made

    def loss(self, outputs: Any, targets: Any) -> Any:
        """YOLOv3's loss (section 2.1), of each object: squares of sizes, else cross-entropies.

        outputs: [N, outputs]. targets: [N, M, 8] as `targets_of` has them.
        """
        there = targets[..., 0] >= 0
        objects = max(int(there.sum()), 1)
        total = outputs.sum() * 0
        for scale, maps in enumerate(self.head.split(outputs)):
            image, place = (there & (targets[..., 0] == scale)).nonzero(as_tuple=True)
            its = targets[image, place]
            wanted = torch.zeros_like(maps[:, 4])
            cells = (image, its[:, 1].long(), its[:, 2].long())
            wanted[cells] = 1
            total = total + functional.binary_cross_entropy_with_logits(
                maps[:, 4], wanted, reduction="sum"
            )
            found = maps.permute(0, 2, 3, 1)[cells]
            total = total + functional.binary_cross_entropy_with_logits(
                found[:, :2], its[:, 3:5], reduction="sum"
            )
            total = total + (found[:, 2:4] - its[:, 5:7]).square().sum()
            total = total + functional.cross_entropy(
                found[:, 5:], its[:, 7].long(), reduction="sum"
            )
        return total / objects

    def right(self, outputs: Any, targets: Any) -> int:
        """How many images have all their objects' cells say that there is one, of that class."""
        good = torch.ones(len(outputs), dtype=torch.bool, device=outputs.device)
        for scale, maps in enumerate(self.head.split(outputs)):
            image, place = (targets[..., 0] == scale).nonzero(as_tuple=True)
            its = targets[image, place]
            found = maps.permute(0, 2, 3, 1)[image, its[:, 1].long(), its[:, 2].long()]
            hit = (found[:, 4] > 0) & (found[:, 5:].argmax(1) == its[:, 7].long())
            good[image[~hit]] = False
        return int(good.sum())

    def score(self, outputs: Any) -> float:
        """The mAP at 0.5 of the test scenes' outputs."""
        found = self.head.boxes(outputs.numpy(), LEAST)
        truth = truth_of_test(self.sets)
        return mean_average_precision(found, truth, classes=self.sets.count)


def load_scenes(data: str, limit: int | None) -> Sets:
    """Scenes of images of one channel, such as Fashion-MNIST's.

    Training scenes are made of training images, test scenes of test images; the seeds are fixed.
    data: as --data of eventsnn.run. limit: of training scenes (None: 10,000). Raises InputError for
    what cannot be read, and for images without labels or of another kind.
    """
    arrays: dict[str, Any] = {}
    classes: tuple[str, ...] = ()
    count = 0
    for split, scenes in (("train", limit or TRAIN), ("test", TEST)):
        images = load_images(data, split=split)
        if images.labels is None or images.split != split:
            raise InputError(f"--data {data}", f"labelled {split} images", "none")
        made = make_scenes(
            images.pixels, images.labels, scenes, seed=SEEDS[split], size=SIZE, most=MOST
        )
        if split == "train":
            classes, count = tuple(images.classes), int(images.labels.max()) + 1
        elif int(images.labels.max()) >= count:
            raise InputError(f"--data {data}", f"classes 0 to {count - 1}", images.labels.max())
        arrays[split] = torch.from_numpy(made.pixels)
        arrays[f"{split}_labels"] = targets_of(made.truth, Head.of_scenes(count))
    share = arrays["train"].float() / 255
    mean, std = (np.array([round(float(x), 4)]) for x in (share.mean(), share.std()))
    return Sets(
        **arrays,
        classes=classes,
        count=count,
        preprocessing=Preprocessing(1 / 255, mean, std),
        name=f"scenes of {load_images(data, limit=1).name}",
    )


def targets_of(truth: list[Boxes], head: Head) -> Any:
    """What an output should say: float32 [N, M, 8], -1 where there is no object.

    truth: the boxes of each scene. head: the output's layout.
    """
    out = torch.full((len(truth), MOST, TARGET), -1.0)
    for number, boxes in enumerate(truth):
        for place, (scale, row, column, its, kind) in enumerate(head.cells(boxes)):
            values = [scale, row, column, *its.tolist(), kind]
            out[number, place] = torch.tensor(values)
    return out


def truth_of_test(sets: Sets) -> list[Boxes]:
    """The boxes of the test scenes, out of their targets."""
    head, found = Head.of_scenes(sets.count), []
    for targets in sets.test_labels.numpy().astype(np.float64):
        its = targets[targets[:, 0] >= 0]
        scale = its[:, 0].astype(int)
        stride, anchor = np.array(head.strides)[scale], np.array(head.anchors)[scale]
        centre = (its[:, [2, 1]] + its[:, 3:5]) * stride[:, None]
        half = np.exp(its[:, 5:7]) * anchor[:, None] / 2
        corners = np.hstack([centre - half, centre + half])
        found.append(Boxes(corners, its[:, 7].astype(np.int64)))
    return found
