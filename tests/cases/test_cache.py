"""Cases from public reports: the cache of compiled kernels. What is marked xfail is still wrong."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from support.cases import python

pytestmark = pytest.mark.slow
RUN = ("-m", "eventsnn.run", "--limit", 4, "--steps", 2, "--out", "out")
STRANGER = "54321"  # a user without an entry in passwd


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with all kernels of the run."""
    folder = tmp_path_factory.mktemp("cache")
    process = run(folder, tmp_path_factory.mktemp("run"))
    assert process.returncode == 0, process.stderr
    return folder


def run(cache, folder):
    environment = {**os.environ, "EVENTSNN_CACHE_DIR": str(cache)}
    return python(*RUN, seconds=120, cwd=folder, env=environment)


# numba/numba 10434, 9348
@pytest.mark.parametrize(
    "ending, size", [(".nbi", 10), (".nbi", 0), (".nbc", 10)], ids=["index", "empty", "code"]
)
@pytest.mark.xfail(
    strict=True, reason="numba's traceback ends every run until the folder is deleted"
)
def test_a_truncated_cache_is_compiled_anew(ending, size, cache, tmp_path):
    folder = shutil.copytree(cache, tmp_path / "cache")
    found = list(folder.rglob(f"*{ending}"))
    assert found
    for path in found:
        path.write_bytes(path.read_bytes()[:size])
    process = run(folder, tmp_path)
    assert process.returncode == 0, process.stderr[-500:]


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
@pytest.mark.xfail(
    strict=True, reason="the home is asked for outside the guarded part, RuntimeError"
)
def test_a_user_without_a_home_can_run():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        if as_stranger("-c", "import eventsnn, numba, h5py", folder=folder).returncode:
            pytest.skip("another user cannot read this interpreter and its packages")
        process = as_stranger(*RUN, folder=folder)
        assert process.returncode == 0, process.stderr[-500:]
