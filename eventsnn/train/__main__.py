"""python -m eventsnn.train: see `command`."""

from __future__ import annotations

from eventsnn.console import begin, command

if __name__ == "__main__":
    begin()

import sys

from eventsnn.train.command import main

if __name__ == "__main__":
    sys.exit(command(main))
