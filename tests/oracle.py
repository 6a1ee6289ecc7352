"""Runs random networks by the engines and by the oracle; exit status 1 if any number differs.

python tests/oracle.py 10000       the networks 0 to 9,999, and a table of what was tried
python tests/oracle.py 4711 4712   one

Stopped (Ctrl-C, kill), it prints the table of those tried so far.
"""

import signal
import sys

from support.oracle_report import campaign

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    first, last = (0, *map(int, sys.argv[1:]))[-2:]
    sys.exit(1 if campaign(first, last) else 0)
