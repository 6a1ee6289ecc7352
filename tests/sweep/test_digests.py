"""A sweep's digests, in every Python: these need no store, and so none of its packages."""

import hashlib
import pickle

from support.sweeping import study

from eventsnn.sweep.computing import Bench
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.planned import Planned

WANTED = "0a7544099ef200df849922e896d66ef56503e2c8753c48e1d224d2cc6e86ff3d"


def its(folder):
    return Plan(
        options={**study(folder), "engine": "event", "fraction_bits": 16},
        images={"size": 5},
        points=[{"order": "fifo"}, {"order": "random", "seed": 7}],
    )


def digest(cells, threads=None):
    """Of the spikes of all cells, whatever their order."""
    bench, found = Bench(threads), hashlib.sha256()
    for cell in sorted(cells, key=lambda cell: cell.id):
        arrays = bench.compute(cell).arrays
        for name in ("digests", "order_digests", "spikes", "operations"):
            if name in arrays:
                found.update(arrays[name].astype("<u8").tobytes())
    return found.hexdigest()


def test_digests_are_equal_in_every_python_for_all_threads_and_after_pickling(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    study(".")
    cells = list(Planned(its(".")).cells())
    assert digest(cells) == WANTED
    assert digest(cells, 1) == digest(cells, 4) == WANTED
    assert digest(pickle.loads(pickle.dumps(cells))) == WANTED
