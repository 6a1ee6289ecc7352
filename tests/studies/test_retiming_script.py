"""analysis/retiming.py: recordings say what their images do, and anyone runs its attacks again."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn import adversary
from eventsnn.simulation.encoding import Encoding

pytestmark = pytest.mark.filterwarnings("ignore:.*rounding to fixed point, F = ")
FILE = Path(__file__).parents[2] / "analysis" / "retiming.py"
STEPS = 4


def script():
    spec = importlib.util.spec_from_file_location("analysis_retiming", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_recording_has_its_images_mean():
    """An input fires with probability |x| / x_max, so its events bring x a step in the mean."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-2, 2, (1, 2, 3, 3))
    steps = 4000
    (events,), unit = script().recordings_of(pixels, np.array([7]), steps, 0)
    assert unit == np.abs(pixels).max()
    x = pixels.ravel()
    sums = np.zeros(x.size)
    np.add.at(sums, events[:, 1].astype(int), unit * events[:, 2])
    deviation = np.sqrt(np.abs(x) * (unit - np.abs(x)) / steps)
    assert (np.abs(sums / steps - x) <= 5 * deviation + 1e-12).all()
    slots = events[:, 1] * steps + events[:, 0]
    assert len(np.unique(slots)) == len(slots), "one spike a slot"
    other, _ = script().recordings_of(pixels, np.array([8]), steps, 0)
    assert not np.array_equal(events, other[0])


@pytest.mark.slow
def test_the_tables_hold_together_and_attacks_run_again(tmp_path):
    out, saved = tmp_path / "out", tmp_path / "saved"
    words = ["--limit", "4", "--steps", str(STEPS), "--seconds", "1000", "--replays", "150"]
    words += ["--draws", "1", "--neurons", "snm", "--within", "1,0"]
    assert script().main([*words, "--save", str(saved), "--out", str(out)]) == 0
    rows, recordings = (rows_of(out / f"{name}.csv") for name in ("retiming", "recordings"))
    assert [row["within"] for row in rows] == ["1", "any"]
    images = eventsnn.load_images("sample", limit=4)
    ann = eventsnn.load("sample")
    network = eventsnn.convert(ann)
    _, unit = script().recordings_of(ann.preprocessing(images.pixels), images.indices, STEPS, 0)
    for row in rows:
        mine = [each for each in recordings if each["within"] == row["within"]]
        assert len(mine) == int(row["images"])
        assert float(row["flipped"]) == np.mean([each["flipped"] == "True" for each in mine])
        assert float(row["B0"]) == np.median([float(each["B0"]) for each in mine])
        files = sorted((saved / f"snm-{row['within']}").glob("*.json"))
        assert len(files) == len(mine)
        for each in mine:
            if row["within"] == "1" and each["flipped"] == "True":
                assert float(each["B-inf"]) == 1
            number, retimed = adversary.read_retimed(
                saved / f"snm-{row['within']}" / f"retimed-{each['image']}.json"
            )
            assert number == int(each["image"])
            encoding = Encoding(kind="events", unit=unit)
            run = eventsnn.simulate(
                network, [retimed], encoding=encoding, steps=STEPS, neuron="snm"
            )
            assert run.predictions().tolist() == [int(each["becomes"])]
    assert any(each["flipped"] == "True" for each in recordings)
    assert (out / "retiming.svg").exists() and (out / "retiming.png").exists()
