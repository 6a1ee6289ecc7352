"""Damages valid files of every kind and reads them; exit status 1 if one does worse than one line.

python tests/fuzz.py 50000          reads the mutants 0 to 49,999 and says what became of them
python tests/fuzz.py 4711 4712      reads one
python tests/fuzz.py 5000 --whole   takes what can be read on to both engines, a results folder with
                                    a trace and exports, and compares it with another reader
"""

import sys
import tempfile
from pathlib import Path

from support.fuzzing import Reader, report
from support.whole import Whole

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--whole"]
    first, last = (0, *map(int, words))[-2:]
    make = Whole if "--whole" in sys.argv else Reader
    with tempfile.TemporaryDirectory() as place:
        sys.exit(1 if report(first, last, Path(place), make)["fault"] else 0)
