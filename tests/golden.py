"""Golden digests with this numba, and code for several processors: python tests/golden.py

Each kind of code is compiled anew, in a cache of its own. What this processor cannot run is left
out, and said. Ends with status 1 where a digest differs.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy

HERE = Path(__file__).parent
# vectors -> (what the processor must have, numba's names)
CODE = {
    "SSE2": ("sse2", {"NUMBA_CPU_NAME": "generic"}),
    "AVX2": ("avx2", {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"}),
    "AVX-512": (
        "avx512f",
        {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx512f,-prefer-256-bit"},
    ),
}


def able(feature):
    """Whether this processor has a feature."""
    return llvm.get_host_cpu_features().get(feature, False)


def equal(names):
    """Whether the golden digests are as ever with code for a processor. names: environment."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    with tempfile.TemporaryDirectory() as cache:
        given = {**os.environ, **names, "EVENTSNN_CACHE_DIR": cache}
        given["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        test = [str(HERE / "engine" / "test_golden.py"), "-q", "-m", ""]
        done = subprocess.run([sys.executable, "-m", "pytest", *test], cwd=HERE.parent, env=given)
        return done.returncode == 0


def main():
    print(f"numba {numba.__version__}, numpy {numpy.__version__}, {llvm.get_host_cpu_name()}")
    results = {}
    for vectors, (feature, names) in CODE.items():
        if able(feature):
            results[vectors] = "equal" if equal(names) else "other digests"
        else:
            results[vectors] = "not tried, this processor lacks it"
        print(f"{vectors}: {results[vectors]}", flush=True)
    return int("other digests" in results.values())


if __name__ == "__main__":
    sys.exit(main())
