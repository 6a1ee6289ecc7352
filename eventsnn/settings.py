"""Everything a run depends on, in one frozen dataclass; the command line's options are its fields."""
from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, fields

from eventsnn.checks import InputError


def option(default, help, example, *, choices=None, kind=str, low=None, high=None, result=True):
    """A field of Settings: its default, what --help says, and what is allowed.

    kind: str, int, float, bool or "steps" (whole numbers separated by commas). result: whether it can change the outcome.
    """
    return field(default=default, metadata=dict(help=help, example=example, choices=choices, kind=kind, low=low, high=high, result=result))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run and how; see `python -m eventsnn.run --help` for each field. Raises InputError for a value that is not allowed."""

    net: str = option("sample", "the trained network: a checkpoint file, or 'sample', the bundled one", "--net vgg16_qcfs.h5")
    data: str = option("sample", "images: a CIFAR binary folder, IDX files, an .npz or HDF5 with images and labels, or 'sample'",
                       "--data cifar-10-batches-bin")
    split: str = option("test", "which part of the data to run on", "--split train", choices=("train", "test"))
    limit: int | None = option(None, "run on the first N images only", "--limit 1000", kind=int, low=1)
    steps: int = option(32, "T, the number of time steps", "--steps 64", kind=int, low=1, high=2**16)
    report_steps: tuple[int, ...] = option((), "steps to report accuracy at; default: powers of two and T", "--report-steps 1,2,3,4,8",
                                           kind="steps")
    thresholds: str = option("auto", "threshold rule; auto: the activation's own (tcl, qcfs, lsq), else percentile",
                             "--thresholds percentile", choices=("auto", "max", "percentile", "tcl", "qcfs", "lsq"))
    percentile: float = option(99.9, "the percentile of activations that becomes the threshold", "--percentile 99.99", kind=float,
                               low=0.001, high=100)
    calibration: str = option("train:0-127", "calibration images: split and positions in --data", "--calibration train:0-511")
    max_pooling: str = option("refuse", "what to do with MaxPool: refuse, or replace it by average pooling (another function)",
                              "--max-pooling average", choices=("refuse", "average"))
    initial: float = option(0.5, "v(0), the initial potential, in thresholds", "--initial 0", kind=float, low=-1000, high=1000)
    arithmetic: str = option("fixed", "fixed point (exact in any order) or floating point", "--arithmetic float64",
                             choices=("fixed", "float32", "float64"))
    fraction_bits: int | None = option(None, "F of fixed point; default: the largest that cannot overflow", "--fraction-bits 16", kind=int,
                                       low=1, high=40)
    seed: int = option(0, "seed of everything random", "--seed 7", kind=int, low=0, high=2**63 - 1)
    workers: int | None = option(None, "threads; default: all cores; never changes a result", "--workers 1", kind=int, low=1, high=1024,
                                 result=False)
    batch: int = option(16, "images handed to a thread at a time; never changes a result", "--batch 4", kind=int, low=1, high=10**6,
                        result=False)
    out: str | None = option(None, "results folder; default: runs/<network>-<id>", "--out results/vgg16", result=False)
    quiet: bool = option(False, "print nothing but errors", "--quiet", kind=bool, result=False)
    json: bool = option(False, "print summary.json alone to standard output", "--json", kind=bool, result=False)

    def __post_init__(self):
        for f in fields(self):
            _check(f, getattr(self, f.name))
        if any(t > self.steps for t in self.report_steps):
            raise InputError("--report-steps", f"steps up to --steps {self.steps}", ",".join(map(str, self.report_steps)))
        _calibration_range(self.calibration)

    @property
    def calibration_range(self):
        """(split, first, last) of the calibration images."""
        return _calibration_range(self.calibration)

    def outcome(self):
        """The settings that can change a result, as a dict ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata["result"]}

    def id(self, *more):
        """Eight hexadecimal digits: equal for runs that must give equal results. more: hashes of network and images."""
        kept = {k: v for k, v in self.outcome().items() if k not in ("net", "data")}
        return hashlib.sha256(json.dumps([kept, *more], sort_keys=True).encode()).hexdigest()[:8]


def _check(f, value):
    name, m = "--" + f.name.replace("_", "-"), f.metadata
    if value is None and f.default is None:
        return
    kind = m["kind"]
    if kind == "steps":
        good = isinstance(value, tuple) and all(type(t) is int and t >= 1 for t in value)
        expected = "whole numbers from 1, separated by commas"
    elif kind is float:
        good, expected = isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value), "a number"
    else:
        good, expected = type(value) is kind, {int: "a whole number", bool: "true or false", str: "text"}[kind]
    if good and m["choices"] and value not in m["choices"]:
        good, expected = False, "one of " + ", ".join(m["choices"])
    if good and (m["low"] is not None and value < m["low"] or m["high"] is not None and value > m["high"]):
        good = False
        expected += f" from {m['low']:,}" + (f" to {m['high']:,}" if m["high"] is not None else "")
    if kind is str and good and not value:
        good, expected = False, "some text"
    if not good:
        raise InputError(name, expected, repr(value), f"for example {m['example']}")


def _calibration_range(text):
    try:
        split, _, positions = text.rpartition(":")
        first, _, last = positions.partition("-")
        first, last = int(first), int(last or first)
        if split not in ("train", "test") or not 0 <= first <= last < first + 100_000:
            raise ValueError
    except ValueError:
        raise InputError("--calibration", "SPLIT:FIRST-LAST with at most 100,000 images, such as train:0-127", repr(text),
                         "count positions from 0") from None
    return split, first, last
