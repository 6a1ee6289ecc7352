"""python -m eventsnn: see `commands.main`."""

import sys

from eventsnn.commands.main import entry

if __name__ == "__main__":
    sys.exit(entry())
