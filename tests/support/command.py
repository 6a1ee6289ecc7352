"""The command line on small networks: files to give it, and what it says and leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from support.networks import Builder

import eventsnn
from eventsnn.run import main
from eventsnn.runs.folder import FILES

ROOT = Path(eventsnn.__file__).parents[1]


def pooled_sum():
    """MaxPool over a sum of two layers, which has no exact spiking form."""
    b = Builder(np.random.default_rng(1), (2, 6, 6))
    one, other = (b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]), "QCFS") for _ in range(2))
    x = b.add("MaxPool", [b.add("Add", [one, other])], {"kernel_shape": [2, 2], "strides": [2, 2]})
    return b.graph(b.gemm(b.add("Flatten", [x])))


def pixels_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (count, 2, 6, 6)).astype(np.uint8)


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def succeeds(capsys, *arguments):
    """Run; returns what stood on standard output."""
    capsys.readouterr()
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), (status, err)
    return out


def assert_one_line(err, words):
    """One line that says where, what was expected, what was found and what to do."""
    assert err.count("\n") == 1 and err.endswith("\n") and err.startswith("eventsnn: error: "), err
    assert ": expected " in err and ", found " in err and "; " in err and len(err) < 700, err
    assert all(word in err for word in words), err


def fails(capsys, here, arguments, *words):
    """Run on wrong input: status 2, one line, nothing left behind, whether with words or as
    JSON.
    """
    for extra in [], ["--json"]:
        before = listing(here)
        capsys.readouterr()
        status = main([*map(str, arguments), *extra])
        out, err = capsys.readouterr()
        assert status == 2
        assert_one_line(err, words)
        assert "results in" not in out and (out == "" or not extra)
        assert listing(here) == before


def contents(path):
    """Every dataset of run.h5: name -> (array, attributes)."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (item[()], dict(item.attrs))})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def assert_same_results(a, b):
    """Equal in every dataset, table and picture, and in the summary but for seconds, threads and
    batch.
    """
    one, two = contents(a / "run.h5"), contents(b / "run.h5")
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name][0], two[name][0]) and one[name][1] == two[name][1], name
    for name in set(FILES) - {"summary.json", "run.h5"}:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (a, b))
    assert one.keys() == two.keys()
    assert {k for k in one if one[k] != two[k]} <= {"seconds_simulation", "running"}


def strict(text):
    """JSON without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


def environment():
    """This process's, with the package to be found, and with standard output buffered as it is by
    default.
    """
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**usual, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def command(*arguments, code=None, cwd=None, **options):
    """A real process: python -m eventsnn.run, or code that calls it."""
    start = ["-c", code] if code else ["-m", "eventsnn.run"]
    return subprocess.Popen(
        [sys.executable, *start, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def set_value(path, value):
    def edit(file):
        file["params"][path][...] = np.asarray(value, np.float32)

    return edit
