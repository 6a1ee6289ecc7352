"""The training itself: steps of SGD, a test after each epoch, a state that survives a kill."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from eventsnn.exceptions import InputError
from eventsnn.train.activations import activation, check_thresholds, thresholds
from eventsnn.train.augmenting import augmented, generator
from eventsnn.train.classifier import Classification
from eventsnn.train.detector import Detection
from eventsnn.train.files import STATE
from eventsnn.train.paths import Paths
from eventsnn.train.recipe import Recipe
from eventsnn.train.schedule import rate
from eventsnn.train.sets import Sets
from eventsnn.train.starting import begun_with
from eventsnn.train.state import read_state, write_state
from eventsnn.train.teacher import Teacher

TESTED = 500  # images of a batch in a test
SAVED = 120  # seconds between states within an epoch
ORDER, AUGMENT = 1, 2  # streams of random numbers


@dataclass
class Progress:
    """How far a training is.

    epoch: that is under way, from 1. step: of it, from 0. loss: sum over the images of its steps so
    far. right: how many of them were classified correctly. seconds, cpu: of wall clock and of the
    processors, for all epochs. precision: "float32" or "bfloat16". threads: of torch, 0 where that
    is not known. curves: a row for each epoch that ended. norms: likewise, name -> threshold.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    right: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    precision: str = "float32"
    threads: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)
    norms: list[dict[str, float]] = field(default_factory=list)

    def check(self, epochs: int, steps: int) -> None:
        """Raises ValueError unless it is one of a training of so many epochs of so many steps."""
        for f in fields(self):
            kinds = {"int": int, "float": (int, float), "str": str}.get(str(f.type), list)
            if not isinstance(getattr(self, f.name), kinds):  # type: ignore[arg-type]
                raise ValueError(f"progress without its {f.name}")
        whole = 1 <= self.epoch <= epochs + 1 and 0 <= self.step < steps
        rows = [*self.curves, *self.norms]
        if not whole or len(self.curves) != self.epoch - 1 or len(self.norms) != self.epoch - 1:
            raise ValueError("progress of another training")
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("progress without rows of curves")


class Training:
    """A training that begins, or goes on from the state in its folder.

    recipe: what it depends on. sets: its images. out: its folder. device: of torch, "cpu" or
    "cuda". say: takes lines about what happens. Raises InputError for a state of another training.
    """

    def __init__(
        self, recipe: Recipe, sets: Sets, out: Path, device: str, say: Callable[[str], None]
    ) -> None:
        self.recipe, self.sets, self.out, self.say = recipe, sets, out, say
        self.device = torch.device(device)
        self.steps = math.ceil(len(sets.train) / recipe.batch)
        self.data = digest(sets)
        torch.manual_seed(recipe.seed)
        self.task = Detection(sets) if recipe.arch == "yolo" else Classification(sets)
        make = partial(activation, recipe.activation, recipe.lambda_start)
        self.module = self.task.network(make, recipe)
        if recipe.start is not None:
            self.sets, words = begun_with(self.module, recipe.start, sets)
            say(words)
        self.module.to(self.device, memory_format=torch.channels_last)
        self.paths = None
        if recipe.paths:
            self.paths = Paths(self.module, recipe.paths, recipe.scales, recipe.norms)
            self.paths.to(self.device)
        self.teacher = Teacher(recipe.teacher, sets, self.device) if recipe.teacher else None
        self.optimiser = torch.optim.SGD(
            groups(self.module, recipe), lr=recipe.rate, momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )  # fmt: skip
        self.progress = Progress()
        self._resume()

    def _resume(self) -> None:
        found = read_state(self.out / STATE, self.recipe, self.data)
        if found is None:
            self.progress.precision = self._chosen_precision()
            self.progress.threads = torch.get_num_threads()
            return
        try:
            self.module.load_state_dict(found["module"])
            self.optimiser.load_state_dict(found["optimiser"])
            self.progress = Progress(**found["progress"])
            self.progress.check(self.recipe.epochs, self.steps)
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            do = "delete it to begin anew, or choose another ⟦out⟧"
            where = self.out / STATE
            raise InputError(where, "the state of this network", error, do) from error
        p = self.progress
        threads = torch.get_num_threads()
        if p.threads not in (0, threads):
            self.say(f"{threads} threads, {p.threads} before: sums may round otherwise")
        p.threads = threads
        if p.epoch <= self.recipe.epochs:
            self.say(f"going on in epoch {p.epoch}, after {p.step} of {self.steps} steps")

    def _chosen_precision(self) -> str:
        if self.recipe.precision != "auto":
            return self.recipe.precision
        times = {kind: self._timed(kind) for kind in ("float32", "bfloat16")}
        chosen = min(times, key=times.__getitem__)
        words = ", ".join(f"{kind} {t:.2f} s" for kind, t in times.items())
        self.say(f"precision: {chosen}, as a timed step is fastest with it ({words})")
        return chosen

    def _timed(self, precision: str) -> float:
        """Seconds of the second step on a copy of the network."""
        from copy import deepcopy

        copied = deepcopy(self.module).train()
        x = self.sets.prepared(self.sets.train[: self.recipe.batch]).to(self.device)
        labels = self.sets.train_labels[: self.recipe.batch].to(self.device)
        for _ in range(2):
            begin = time.perf_counter()
            with self._cast(precision):
                loss = self.task.loss(copied(x).float(), labels)
            loss.backward()
            seconds = time.perf_counter() - begin
        return seconds

    def _cast(self, precision: str) -> Any:
        low = precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low)

    def epoch(self, shown: Callable[[int, float], None] = lambda step, loss: None) -> None:
        """Trains to the end of the epoch that is under way, tests, and writes the state.

        shown: is called after each step with its number and the mean loss of the epoch so far.
        Raises InputError where the loss or a threshold is no number any more.
        """
        p, recipe = self.progress, self.recipe
        begin, cpu, saved = time.perf_counter(), cpu_seconds(), time.perf_counter()
        spent = p.seconds, p.cpu
        order = torch.randperm(
            len(self.sets.train), generator=generator(recipe.seed, ORDER, p.epoch)
        )
        self.module.train()
        batches = order.split(recipe.batch)
        for step in range(p.step, self.steps):
            self._step(batches[step], step)
            p.step = step + 1
            p.seconds = spent[0] + time.perf_counter() - begin
            p.cpu = spent[1] + cpu_seconds() - cpu
            shown(p.step, p.loss / min(p.step * recipe.batch, len(order)))
            if time.perf_counter() - saved > SAVED and p.step < self.steps:
                self.save()
                saved = time.perf_counter()
        check_thresholds(self.module, f"epoch {p.epoch}")
        loss, right = self.test()
        p.seconds = spent[0] + time.perf_counter() - begin
        p.cpu = spent[1] + cpu_seconds() - cpu
        now = (p.epoch - 1) * self.steps + self.steps - 1
        row = {
            "epoch": p.epoch,
            "rate": recipe.rate * rate(recipe.schedule, now, recipe.epochs * self.steps),
            "training_loss": p.loss / len(order),
            "training_accuracy": p.right / len(order),
            "test_loss": loss,
            "test_accuracy": right,
            "seconds": round(p.seconds, 1),
            "cpu_seconds": round(p.cpu, 1),
        }
        p.curves.append(row)
        p.norms.append(thresholds(self.module))
        p.epoch, p.step, p.loss, p.right = p.epoch + 1, 0, 0.0, 0
        self.save()
        self.say(
            f"epoch {p.epoch - 1}/{recipe.epochs}: loss {row['training_loss']:.4f}, training "
            f"accuracy {row['training_accuracy']:.4f}, test loss {loss:.4f}, {self.task.words} "
            f"{right:.4f}, {p.seconds - spent[0]:.0f} s ({p.cpu - spent[1]:.0f} s of processor)"
        )

    def _step(self, batch: Any, step: int) -> None:
        p, recipe = self.progress, self.recipe
        random = generator(recipe.seed, AUGMENT, p.epoch, step)
        pixels = augmented(self.sets.train[batch], recipe.augment, random)
        x = self.sets.prepared(pixels).to(self.device)
        labels = self.sets.train_labels[batch].to(self.device)
        now = (p.epoch - 1) * self.steps + step
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * rate(recipe.schedule, now, recipe.epochs * self.steps)
        soft = None if self.teacher is None else self.teacher(pixels)
        self.optimiser.zero_grad()
        total = 0.0
        for path in reversed(range(len(recipe.paths or (0,)))):  # the major one last: it stays
            loss, logits = self._loss(path, x, labels, soft)
            value = float(loss.detach())
            if not math.isfinite(value):
                do = "lower ⟦rate⟧; the last state is kept"
                where = f"epoch {p.epoch}, step {step + 1}"
                raise InputError(where, "a loss that is a number", value, do)
            loss.backward()
            total += value
        self.optimiser.step()
        p.loss += total * len(batch)
        p.right += self.task.right(logits.detach(), labels)

    def _loss(self, path: int, x: Any, labels: Any, soft: Any) -> tuple[Any, Any]:
        """(A path's part of the loss, SpikeZIP eq. 6; its logits).

        path: 0 for the major one, or all there is. x: prepared images. labels: int64 [N]. soft:
        the teacher's probabilities, or None.
        """
        weight = 1.0
        if self.paths is not None:
            self.paths.select(path)
            weight = self.paths.weight(path, self.recipe.alpha)
        with self._cast(self.progress.precision):
            logits = self.module(x).float()
        how = "hard" if soft is None else self.recipe.labels if path else "mixed"
        hard = self.task.loss(logits, labels) if how != "soft" else 0.0
        # its gradient is that of the KL divergence from the teacher
        taught = self.task.loss(logits, soft) if how != "hard" else 0.0
        return weight * (hard + taught) / (2 if how == "mixed" else 1), logits

    def test(self) -> tuple[float, float]:
        """(mean loss, share classified correctly or mAP) on the test images, in float32."""
        loss, count = 0.0, len(self.sets.test)
        found = []
        self.module.eval()
        with torch.no_grad():
            for i in range(0, count, TESTED):
                x = self.sets.prepared(self.sets.test[i : i + TESTED]).to(self.device)
                labels = self.sets.test_labels[i : i + TESTED].to(self.device)
                outputs = self.module(x)
                loss += float(self.task.loss(outputs, labels)) * len(x)
                found.append(outputs.cpu())
        return loss / count, self.task.score(torch.cat(found))

    def save(self) -> None:
        """Writes the state."""
        values = {
            "recipe": asdict(self.recipe),
            "data": self.data,
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        write_state(self.out / STATE, values)


def groups(module: Any, recipe: Recipe) -> list[dict[str, Any]]:
    """The optimiser's groups: thresholds with an L2 coefficient of their own (TCL eq. 11).

    module: the network. recipe: has the coefficients.
    """
    found: dict[bool, list[Any]] = {False: [], True: []}
    for value in module.parameters():
        found[value.ndim == 0].append(value)
    decays = {False: recipe.weight_decay, True: recipe.lambda_decay}
    return [{"params": found[key], "weight_decay": decays[key]} for key in found if found[key]]


def digest(sets: Sets) -> str:
    """SHA-256 (hex) of the images and labels."""
    made = hashlib.sha256()
    for values in (sets.train, sets.train_labels, sets.test, sets.test_labels):
        made.update(str(tuple(values.shape)).encode())
        made.update(values.numpy().tobytes())
    return made.hexdigest()


def cpu_seconds() -> float:
    """Seconds of the processors that this process has taken, in all its threads."""
    return time.process_time()
