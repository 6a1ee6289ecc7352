"""What the benchmarks have in common: options, alternating repeats, tables."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import cores
from eventsnn.studies.scripts import whole_numbers
from eventsnn.views.tables import text_table

PACKAGES = ("numba", "torch", "spikingjelly", "brian2", "nest-simulator", "brainevent", "jax")
VECTORS = (("avx512f", "AVX-512"), ("avx2", "AVX2"))


def options(words, *, limit=64):
    """An ArgumentParser with what all benchmarks ask for; words: the script's docstring."""
    parser = argparse.ArgumentParser(
        description=words, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", default="sample", help="checkpoint, or 'sample'")
    parser.add_argument("--data", default="sample", help="images, as for eventsnn.run")
    parser.add_argument(
        "--steps",
        default="8",
        help="T; several, separated by commas, are measured one after the other",
    )
    parser.add_argument("--limit", type=int, default=limit, help="number of images")
    parser.add_argument(
        "--repeats", type=int, default=5, help="how often each is measured, in turn"
    )
    parser.add_argument("--cores", type=int, default=cores(), help="processor cores to use")
    return parser


def run(study, parser, argv=None):
    """Print the machine and call study(args) for each T; returns the exit status: 0, or 2 after one
    line for wrong input.
    """
    args = parser.parse_args(argv)
    try:
        for name in ("limit", "repeats", "cores"):
            if getattr(args, name) < 1:
                raise InputError(f"--{name}", "a whole number from 1", getattr(args, name))
        every = whole_numbers(args.steps, "--steps")
        print(machine(args.cores))
        for args.steps in every:
            study(args)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def machine(count):
    """Processor, cores, load, versions and date, in one line."""
    found = ", ".join(f"{package} {number}" for package, number in versions().items())
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    day = time.strftime("%d %B %Y")
    return f"{processor()}, {count} of {cores()} cores{load}; {found}; {day}"


def processor():
    """The processor's name and the widest vectors that it has."""
    name = _of_processor("model name") or platform.processor() or "processor"
    flags = flags_of_processor()
    widest = next((words for flag, words in VECTORS if flag in flags), None)
    return f"{name} ({widest})" if widest else name


def flags_of_processor():
    """The names of what the processor can do, as Linux has them; elsewhere none."""
    return _of_processor("flags").split()


def _of_processor(key):
    """A line of /proc/cpuinfo, or ""."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def versions():
    """Name -> version of what is measured here and installed."""
    return {package: found for package in PACKAGES if (found := version(package))}


def version(package):
    """The version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def lacking(packages, modules=()):
    """What stands in the way of using `packages`, and what to do; "" where nothing does.

    packages: as pip calls them. modules: what of them is imported, to see whether it can be.
    """
    wanted = [package for package in packages if version(package) is None]
    if wanted:
        return f"pip install {' '.join(wanted)}"
    try:
        for module in modules:
            importlib.import_module(module)
    except Exception as error:  # whatever another program raises
        return f"its import fails: {type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def alternate(ways, repeats, clock=time.perf_counter):
    """Call each of `ways` (name -> function) once unmeasured, then `repeats` times in turn; returns
    name -> seconds of each call, by `clock`.

    A call that returns a float has measured itself.
    """
    for call in ways.values():
        call()
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, call in ways.items():
            start = clock()
            took = call()
            seconds[name].append(took if isinstance(took, float) else clock() - start)
    return seconds


def row(name, seconds, ours, *, each, operations, beside="times ours", **more):
    """A row of a table: milliseconds (median, lowest, highest) for each of `each` images, giga
    synaptic operations a second, and how many times longer than ours, in the column `beside`.
    seconds: of the repeats; operations: of one repeat; ours: our seconds, measured in turn with
    these.
    """
    low, middle, high = 1e3 * np.quantile(seconds, (0, 0.5, 1)) / each
    return {
        "": name,
        "ms": f"{middle:.2f} ({low:.2f}-{high:.2f})",
        "G ops/s": f"{operations / np.median(seconds) / 1e9:.2f}",
        beside: f"{np.median(seconds) / np.median(ours):.3g}",
    } | more


def absent(name, why="not installed"):
    """The row of what cannot be measured here."""
    return {"": name, "ms": why}


def show(title, rows):
    """Print a table; what a row does not have stays empty."""
    rows = [{key: found.get(key, "") for key in rows[0]} for found in rows]
    print(f"\n{title}\n{text_table(rows)}", flush=True)
