"""Damages valid files of every kind and reads them; exit status 1 if one does worse than one line.

python tests/fuzz.py 50000       reads the mutants 0 to 49,999 and says what became of them
python tests/fuzz.py 4711 4712   reads one
"""

import sys
import tempfile
from pathlib import Path

from support.fuzzing import report

if __name__ == "__main__":
    first, last = (0, *map(int, sys.argv[1:]))[-2:]
    with tempfile.TemporaryDirectory() as place:
        sys.exit(1 if report(first, last, Path(place))["fault"] else 0)
