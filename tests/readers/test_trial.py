"""What ends badly does so in a copy of the process (files/trial.py)."""

import os
import re

import h5py
import numpy as np
import pytest

from eventsnn.exceptions import InputError
from eventsnn.files import reading
from eventsnn.files.trial import trial
from eventsnn.readers import load

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied")


def endless():
    while True:
        pass


@pytest.mark.parametrize(
    "action, words",
    [
        (lambda: None, ""),
        (endless, "work for more than 1 seconds"),
        (lambda: bytearray(2**40), "a need of more than 268,435,456 bytes"),
        (os.abort, "a crash (status -6)"),
        (lambda: 1 / 0, "a crash (status 1)"),
    ],
    ids=["nothing", "endless", "memory", "abort", "exception"],
)
def test_a_trial_says_how_it_ended(action, words, capfd):
    assert trial(action, 1, 2**28) == words
    assert capfd.readouterr() == ("", "")


def test_no_process_for_a_trial_is_told(monkeypatch, tmp_path):
    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["a"] = np.zeros(3)
    monkeypatch.setattr(os, "fork", fork)
    with (
        pytest.raises(InputError, match="found no process to try it in .* unavailable"),
        reading.open_hdf5(tmp_path / "net.h5"),
    ):
        pass


def test_a_file_is_tried_once_until_it_changes(monkeypatch, tmp_path):
    tried = []

    def note(action, seconds, memory):
        tried.append((seconds, memory))
        return ""

    monkeypatch.setattr(reading, "trial", note)
    path = tmp_path / "net.h5"
    for _ in range(2):
        with h5py.File(path, "a") as file:
            file.create_dataset(f"a{len(file)}", data=np.zeros(2**21))
        for _ in range(2):
            with reading.open_hdf5(path) as file:
                assert file
    assert [seconds for seconds, _ in tried] == [10, 18]
    assert tried[1][1] == reading.MEMORY + 2 * path.stat().st_size


def test_a_state_dict_of_few_groups_with_many_links_is_refused(tmp_path):
    """One group of 3,000 links to itself has more keys than any network."""
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["conv.bias"] = np.zeros(1, "f4")
        group = file.create_group("conv")
        group["weight"] = np.zeros((1, 1, 3, 3), "f4")
        for i in range(3000):
            group[f"again{i}"] = group
    with pytest.raises(InputError, match=re.escape("at most 20,000 keys and groups, found more")):
        load(tmp_path / "net.h5", "resnet20:L=4")
