"""Damaged trace files: refused in one line that names the dataset, or read as what they are."""

import h5py
import pytest
from support.trace_mutants import Mutants, wrong_values

from eventsnn import InputError
from eventsnn.trace import read_trace


@pytest.fixture(scope="module")
def mutants(tmp_path_factory):
    return Mutants(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("start", range(0, 24, 8))
def test_mutants_are_refused_or_read_as_what_they_are(mutants, start):
    """The first of many (2,000 in the slow set)."""
    for number in range(start, start + 8):
        seed, damage, path, expected = mutants.mutant(number)
        verdict = mutants.judge(seed, path, expected)
        assert not verdict.startswith("fault"), (number, damage, verdict)


@pytest.mark.long
def test_many_mutants(mutants):
    for number in range(1000, 3000):
        seed, damage, path, expected = mutants.mutant(number)
        verdict = mutants.judge(seed, path, expected)
        assert not verdict.startswith("fault"), (number, damage, verdict)


@pytest.mark.slow
def test_a_number_that_cannot_be_is_refused_by_its_dataset(mutants):
    """In each dataset, one at its last place."""
    path = mutants.folder / "wrong.h5"
    path.write_bytes(mutants.seeds[2].data)
    with h5py.File(path) as file:
        layer = next(iter(file["spikes"]))
        names = [f"spikes/{layer}/{name}" for name in file["spikes"][layer]]
        names += [f"deliveries/{name}" for name in file["deliveries"]] + ["starts", "drive"]
    assert len(names) == 19
    for number, name in enumerate(names):
        with h5py.File(path, "a") as file:
            right = file[name][-1]
            values = wrong_values(file, name)
            file[name][-1] = values[number % len(values)]
        with pytest.raises(InputError) as caught:
            read_trace(path)
        assert str(caught.value).startswith(f"{path}: /{name}: expected "), name
        with h5py.File(path, "a") as file:
            file[name][-1] = right
    assert len(read_trace(path).spikes)
