"""Recipes: all that a training depends on, its presets, and the TOML files that hold them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):  # noqa: UP036, the oldest Python that is supported is 3.10
    import tomllib
else:
    import tomli as tomllib

from eventsnn.exceptions import InputError, check_options, named
from eventsnn.options import check_fields, option
from eventsnn.train.named import ACTIVATIONS, ARCHITECTURES, STEMS, parsed_activation

AUGMENTATIONS = ("none", "flip", "crop", "cutout", "autoaugment")
SCHEDULES = ("cosine", "onecycle", "steps", "constant")
MAX_TOML = 2**20  # bytes
# what a recipe says of itself and the network that it made; no option
ABOUT = ("data", "classes", "accuracy", "hours", "made_with")
# papers' settings: TCL section IV; SRP appendix A.1 and GN; DNISNM section 5.1.2; LSQ (Esser et al.
# 2020) section 3 for fine-tuning. What a paper does not give is eventsnn's default.
PRESETS: dict[str, dict[str, Any]] = {
    "tcl": {"epochs": 200, "rate": 0.1, "schedule": "steps", "lambda_start": 4.0},
    "srp": {
        "epochs": 300,
        "rate": 0.1,
        "schedule": "cosine",
        "weight_decay": 5e-4,
        "augment": "autoaugment",
    },
    "dnisnm": {
        "epochs": 300,
        "rate": 0.01,
        "schedule": "cosine",
        "weight_decay": 5e-4,
        "augment": "autoaugment",
    },
    "lsq": {"epochs": 90, "rate": 0.01, "schedule": "cosine", "weight_decay": 1e-4},
    "short": {"epochs": 20, "rate": 0.2, "schedule": "onecycle", "weight_decay": 5e-4},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training depends on. Raises InputError for a value that is not allowed.

    Two trainings of one recipe on the same data give the same network, to the bit on one CPU.
    """

    arch: str = option(
        "resnet20", "the architecture", "--arch resnet20", choices=ARCHITECTURES, group="network"
    )
    activation: str = option(
        "qcfs:8",
        "relu, tcl (clipping with trained lambda), qcfs:L (L levels), lsq:L (Q-ReLU with LSQ's "
        "learned scale), slip:L (SlipReLU), rnl (rate-norm layer) or rts:T (clipped, and shifted "
        "by half a spike of T steps)",
        "--activation qcfs:8",
        group="network",
        choices=tuple(ACTIVATIONS),
        open=True,
    )
    width: float = option(
        1.0, "a factor of all channels", "--width 0.5", kind=float, low=0.01, high=64.0,
        group="network",
    )  # fmt: skip
    stem: str = option(
        "auto",
        "how the network begins: as for CIFAR, as for ImageNet, or by the images' size",
        "--stem cifar",
        choices=STEMS,
        group="network",
    )
    lambda_start: float = option(
        4.0,
        "the first value of trained thresholds lambda (LSQ's and RNL's come from the first batch), "
        "and rts's, which stays",
        "--lambda-start 4",
        kind=float,
        low=1e-6,
        high=1e6,
        group="network",
    )
    start: str | None = option(
        None,
        "a network to begin with, instead of random weights: a network.h5 of a training of the "
        "same architecture, with any activation",
        "--start relu/network.h5",
        group="network",
    )
    data: str | None = option(
        None,
        "training and test images with labels, as --data of eventsnn.run",
        "--data cifar-10-batches-bin",
        group="data",
    )
    limit: int | None = option(
        None, "only the first training images", "--limit 5000", kind=int, low=1, group="data"
    )
    augment: str = option(
        "crop",
        "of training images: none; flip (mirrored, or not); crop (also moved by up to an eighth "
        "of their width); cutout (also a square hole of half the width); autoaugment (CIFAR's "
        "policies between crop and hole)",
        "--augment cutout",
        choices=AUGMENTATIONS,
        group="data",
    )
    residual: str = option(
        "keep",
        "of ResNets: keep, or reroute, which adds shortcuts behind activations (SpikeZIP section "
        "3.3)",
        "--residual reroute",
        choices=("keep", "reroute"),
        group="network",
    )
    paths: Any = option(
        None,
        "paths-ensemble training (SpikeZIP section 3.4), with lsq:L: levels of the major path, L, "
        "and of the sub-paths",
        "--paths 8,4,2",
        kind="steps",
        low=1,
        high=2**20,
        group="teaching",
    )
    alpha: float = option(
        1.0, "of the sub-paths' losses (SpikeZIP eq. 6)", "--alpha 1", kind=float, low=0.0,
        high=1e3, group="teaching",
    )  # fmt: skip
    scales: str = option(
        "share",
        "of the paths: share (SpikeZIP eq. 4), identical or independent (Table 5a)",
        "--scales identical",
        choices=("share", "identical", "independent"),
        group="teaching",
    )
    norms: str = option(
        "share",
        "of the paths: share gamma and beta, not statistics (SpikeZIP eq. 5), identical "
        "(all) or independent (none; Table 5b)",
        "--norms identical",
        choices=("share", "identical", "independent"),
        group="teaching",
    )
    teacher: str | None = option(
        None,
        "a network of full precision whose outputs are soft labels: any file that eventsnn reads, "
        "or a name; the loss of the major path is the mean of those with hard and with soft labels",
        "--teacher relu/network.h5",
        group="teaching",
    )
    labels: str = option(
        "soft",
        "of sub-paths where there is a teacher: hard, soft, or mixed",
        "--labels mixed",
        choices=("hard", "soft", "mixed"),
        group="teaching",
    )
    epochs: int = option(
        20, "passes over the training images", "--epochs 20", kind=int, low=1, high=100_000,
        group="optimiser",
    )  # fmt: skip
    batch: int = option(
        128, "images of a step", "--batch 128", kind=int, low=1, high=65536, group="optimiser"
    )
    rate: float = option(
        0.1, "the largest learning rate", "--rate 0.1", kind=float, low=1e-9, high=1e3,
        group="optimiser",
    )  # fmt: skip
    schedule: str = option(
        "cosine",
        "of the rate: cosine (to 0), onecycle (up over a quarter of the steps, then to 0), steps "
        "(a tenth at half and at three quarters, as TCL has it), constant",
        "--schedule onecycle",
        choices=SCHEDULES,
        group="optimiser",
    )
    momentum: float = option(
        0.9, "of SGD with Nesterov's momentum (0: without)", "--momentum 0.9", kind=float, low=0.0,
        high=0.9999, group="optimiser",
    )  # fmt: skip
    weight_decay: float = option(
        5e-4, "L2 coefficient of all but thresholds", "--weight-decay 5e-4", kind=float, low=0.0,
        high=1.0, group="optimiser",
    )  # fmt: skip
    lambda_decay: float = option(
        5e-4,
        "L2 coefficient of thresholds: alpha of TCL eq. 11",
        "--lambda-decay 1e-3",
        kind=float,
        low=0.0,
        high=1.0,
        group="optimiser",
    )
    seed: int = option(
        1, "of weights, order and augmentation", "--seed 1", kind=int, low=0, high=2**53,
        group="optimiser",
    )  # fmt: skip
    precision: str = option(
        "auto",
        "float32, bfloat16 (products; sums and weights have 32 bits), or auto: bfloat16 where "
        "timed first steps are faster with it",
        "--precision float32",
        choices=("auto", "float32", "bfloat16"),
        group="optimiser",
    )

    def __post_init__(self) -> None:
        check_fields(self, named)
        parsed_activation(self.activation)
        if self.activation == "relu":
            self._refuse_without_effect("lambda_start", "lambda_decay")
        if self.activation.startswith("lsq") or self.activation == "rnl":
            self._refuse_without_effect("lambda_start")
        if self.activation.startswith("rts"):
            self._refuse_without_effect("lambda_decay")
        self._check_paths()
        if self.arch == "lenet" and self.stem != "auto":
            expected = "auto with ⟦arch=lenet⟧, which has one form"
            raise InputError(named("stem"), expected, repr(self.stem), "leave it out")
        if self.arch == "yolo":
            for name, only in (("augment", "none"), ("teacher", None), ("stem", "auto")):
                if getattr(self, name) != only:
                    expected = f"{only or 'none'} with ⟦arch=yolo⟧"
                    raise InputError(named(name), expected, repr(getattr(self, name)))

    def _check_paths(self) -> None:
        if self.residual != "keep" and not self.arch.startswith("resnet"):
            raise InputError(named("residual"), "an arch with shortcuts", self.arch, "keep it")
        if self.paths is None:
            self._refuse_without_effect("alpha", "labels", "scales", "norms")
            return
        if self.teacher is None:
            self._refuse_without_effect("labels")
        name, levels = parsed_activation(self.activation)
        falling = all(a > b for a, b in zip(self.paths, self.paths[1:]))
        if name != "lsq" or self.paths[0] != levels or len(self.paths) < 2 or not falling:
            expected = "the levels of lsq:L, then fewer and fewer"
            found = f"{','.join(map(str, self.paths))} with {self.activation}"
            do = "for example ⟦activation=lsq:8⟧ and ⟦paths=8,4,2⟧"
            raise InputError(named("paths"), expected, found, do)

    def _refuse_without_effect(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value != _default(name):
                if name in ("alpha", "labels", "scales", "norms"):
                    found = f"{named(name, value)} without {named('paths')} or {named('teacher')}"
                else:
                    found = f"{named(name, value)} with {named('activation', self.activation)}"
                raise InputError(named(name), "an option with an effect", found, "leave it out")

    @property
    def network(self) -> dict[str, Any]:
        """What makes the network the one it is, for messages."""
        return {key: getattr(self, key) for key in ("arch", "activation", "width", "stem")}

    @property
    def id(self) -> str:
        """SHA-256 (hex) of all options but where the data lie."""
        values = {key: value for key, value in asdict(self).items() if key != "data"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _default(name: str) -> Any:
    return next(f.default for f in fields(Recipe) if f.name == name)


def made(given: dict[str, Any], preset: str | None = None) -> Recipe:
    """A Recipe of a preset's values and those given, which count more.

    given: option -> value. preset: a name among `PRESETS`, or None. Raises InputError for another
    name, an unknown option, or a value that is not allowed.
    """
    check_options("eventsnn.train", given, (f.name for f in fields(Recipe)))
    if preset is None:
        return Recipe(**given)
    if preset not in PRESETS:
        raise InputError(named("preset"), f"one of {', '.join(PRESETS)}", repr(preset))
    chosen = dict(PRESETS[preset])
    activation = given.get("activation", _default("activation"))
    if str(activation).partition(":")[0] in ("relu", "lsq", "rnl"):
        chosen.pop("lambda_start", None)
    return Recipe(**chosen | given)


def read_recipe(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(option -> value, what the recipe says of itself) of a TOML file.

    The options stand at the top of the file, `preset` among them. Under [about] it may call the
    data and the classes by their names, which the network's file then does, too, and say what came
    of it: accuracy (on all test images), hours (of one core) and made_with (versions). path: the
    file. Raises InputError for a file that cannot be read, and for keys that there are not.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_TOML + 1)
    except OSError as error:
        do = "check the path"
        raise InputError(path, "a recipe that can be read", error.strerror, do) from error
    if len(text) > MAX_TOML:
        raise InputError(path, "a recipe of at most 1 MB", "a larger file")
    try:
        given = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(path, "a recipe in TOML", error, "see examples/networks") from error
    about = given.pop("about", {})
    known = [*(f.name for f in fields(Recipe)), "preset"]
    _check_keys(path, given, known)
    if not isinstance(about, dict):
        raise InputError(f"{path}: about", "a table", repr(about))
    _check_keys(f"{path}: about", about, ABOUT)
    classes = about.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{path}: classes", "a list of names", repr(classes))
    return given, about


def _check_keys(where: object, given: Iterable[str], known: Sequence[str]) -> None:
    """Raises InputError for the first key that there is not, with the nearest that there is."""
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1, 0.6)
            do = f"did you mean {near[0]}?" if near else ""
            raise InputError(where, f"keys among {', '.join(known)}", repr(key), do, 1000)


def in_toml(recipe: Recipe) -> str:
    """A recipe as the text of a TOML file, all its options but those that are not given."""
    values = {key: value for key, value in asdict(recipe).items() if value is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
