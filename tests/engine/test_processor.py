"""Numba that is told of another processor: one line where its code would end the process."""

import os
import subprocess
import sys

import llvmlite.binding
import pytest

from eventsnn import InputError
from eventsnn.simulation import processor

HAS = llvmlite.binding.get_host_cpu_features()
LACKS_512 = pytest.mark.skipif(HAS.get("avx512f", True), reason="it has these vectors")


def run(here, **environment):
    """The command on the bundled network, in a process of its own."""
    command = [sys.executable, "-m", "eventsnn.run", "--limit", "1", "--steps", "1"]
    return subprocess.run(
        command, cwd=here, capture_output=True, text=True, env=os.environ | environment
    )


@LACKS_512
def test_a_processor_without_the_vectors_is_one_line(tmp_path):
    done = run(tmp_path, NUMBA_CPU_NAME="skylake-avx512", NUMBA_CPU_FEATURES="")
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        "eventsnn: error: sample: NUMBA_CPU_NAME: expected a processor whose instructions this one "
        "has, found skylake-avx512; unset it\n"
    )


@pytest.mark.parametrize("name", ["CPU_NAME", "CPU_FEATURES"])
def test_the_variable_is_named(monkeypatch, name):
    monkeypatch.setattr(processor, "_runs", lambda *_: False)
    for each in ("CPU_NAME", "CPU_FEATURES"):
        monkeypatch.setattr(processor.CONFIG, each, "x" if each == name else None)
    with pytest.raises(InputError, match=f"NUMBA_{name}"):
        processor.check_processor()


def test_a_plain_processor_is_any_processor():
    assert processor._runs(None, None)


def test_nothing_is_tried_where_nothing_is_said(monkeypatch):
    monkeypatch.setattr(processor, "_runs", lambda *_: pytest.fail("it was tried"))
    for name in ("CPU_NAME", "CPU_FEATURES"):
        monkeypatch.setattr(processor.CONFIG, name, None)
    processor.check_processor()
