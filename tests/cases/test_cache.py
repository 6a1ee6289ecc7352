"""Cases from public reports: the cache of compiled kernels."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from support.cases import python

from eventsnn.engine.jit import cache_dir

pytestmark = pytest.mark.slow
RUN = ("-m", "eventsnn.run", "--limit", 4, "--steps", 2, "--out", "out")
STRANGER = "54321"  # a user without an entry in passwd


# numba/numba 10434, 9348
def test_a_truncated_cache_is_compiled_anew(tmp_path):
    """One kernel's files are cut short (tests/engine/test_kernel_cache.py has other damage)."""
    environment = {**os.environ, "EVENTSNN_CACHE_DIR": str(tmp_path)}
    whole = Path(cache_dir())
    folder = tmp_path / whole.name
    before = python(*RUN, seconds=120, cwd=tmp_path)
    assert (before.returncode, before.stderr) == (0, "")
    shutil.copytree(whole, folder)
    found = sorted(folder.glob("add_charge-*.nbc"))
    assert found
    for number, path in enumerate(found):
        path.write_bytes(path.read_bytes()[: 10 * (number % 2)])
    process = python(*RUN, "--overwrite", seconds=120, cwd=tmp_path, env=environment)
    assert process.returncode == 0, process.stderr[-500:]
    (line,) = process.stderr.splitlines()
    assert line.startswith("eventsnn: warning: kernel cache: ") and "compiled anew" in line
    assert any(path.stat().st_size > 1000 for path in found)


def as_stranger(*arguments, folder):
    """A process of a user without a home, who may write nowhere but in the folder."""
    before = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"]
    hidden = ("HOME", "EVENTSNN_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"TMPDIR": str(folder), "MPLCONFIGDIR": str(folder)}
    return python(*arguments, seconds=120, before=before, cwd=folder, env=environment)


# numba/numba 5566, rustdesk/rustdesk-server 526, apple/containerization 103
@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="needs root and setpriv",
)
def test_a_user_without_a_home_can_run():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        if as_stranger("-c", "import eventsnn, numba, h5py", folder=folder).returncode:
            pytest.skip("another user cannot read this interpreter and its packages")
        process = as_stranger(*RUN, folder=folder)
        assert process.returncode == 0, process.stderr[-500:]
        (line,) = process.stderr.splitlines()
        assert "there is no home folder: kernels are kept in" in line
        (kept,) = folder.glob("eventsnn-*")
        assert kept.stat().st_uid == int(STRANGER) and kept.stat().st_mode & 0o777 == 0o700
