"""What history.py keeps in a file, and the commits that it compares.

    python tests/benchmarks/keeping.py speed.jsonl

Prints the last line of each machine, number of cores, network and T as a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import measuring

from eventsnn.exceptions import InputError

ROOT = Path(__file__).resolve().parents[2]
ALIKE = ("machine", "cores", "network", "steps")


NAMES = ("", "of", "batch", "kept")


def name_of(cells):
    """What a row is called: engine, order and model; network; batch."""
    return f"{cells['']}, {cells['of']}, batch {cells['batch']}"


def about(args):
    """What must be alike in two lines that are compared."""
    return {
        "machine": measuring.processor(),
        "cores": args.cores,
        "network": Path(args.net).stem,
        "steps": args.steps,
    }


def add(args, rows):
    """Adds a line to --keep. rows: of the table."""
    line = about(args) | {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": measuring.versions(),
        "rows": {
            name_of(row): {key: cell for key, cell in row.items() if cell and key not in NAMES}
            for row in rows
        },
    }
    with open(args.keep, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def last_of(path, alike):
    """The rows of the last line of a file that is alike, or {}."""
    if not path or not Path(path).exists():
        return {}
    line = lines_of(path).get(tuple(alike[key] for key in ALIKE))
    return line["rows"] if line else {}


def lines_of(path):
    """Values of ALIKE -> the last line that has them. Raises InputError where a line is no such."""
    found = {}
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            line["rows"] = {name: dict(cells) for name, cells in line["rows"].items()}
            found[tuple(line[key] for key in ALIKE)] = line
        except (ValueError, LookupError, TypeError, AttributeError):
            where, expected = f"{path}, line {number}", "what history.py --keep has kept"
            raise InputError(where, expected, text[:60], "give another file") from None
    return found


def markdown(line):
    """A kept line as a table: where and when, then its rows."""
    rows = line["rows"]
    columns = list(dict.fromkeys(key for cells in rows.values() for key in cells))
    versions = ", ".join(f"{package} {number}" for package, number in line["versions"].items())
    table = [[f"{line['network']}, T = {line['steps']}", *columns], ["---"] * (1 + len(columns))]
    table += [[name, *(cells.get(key, "") for key in columns)] for name, cells in rows.items()]
    what = (
        f"{line['machine']}, cores used: {line['cores']}, load average {line['load']}, "
        f"{line['date']}, commit {line['commit']}; {versions}"
    )
    return "\n".join([what, "", *("| " + " | ".join(cells) + " |" for cells in table)])


def main(argv=None):
    """Prints each table; returns the exit status: 0, or 2 after one line for wrong input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="what history.py --keep wrote")
    try:
        for line in lines_of(parser.parse_args(argv).file).values():
            print(markdown(line) + "\n")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def other(args, script):
    """A function that measures a row, by its name, of the commit `args.against`.

    script: history.py, which serves in a process of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = git("archive", "--format=tar", args.against, "eventsnn", text=False)
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        options = ["--net", args.net, "--data", args.data, "--steps", str(args.steps)]
        options += ["--limit", str(args.limit), "--cores", str(args.cores)]
        options += ["--batches", args.batches, "--rows", args.rows]
        options += ["--layer", args.layer] if args.layer else []
        code = f"import sys; sys.path[:0] = {[folder, str(script.parent)]!r}; "
        code += f"import {script.stem} as script; script.main(sys.argv[1:])"
        command = [sys.executable, "-c", code, "--serve", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as process:

            def said():
                line = process.stdout.readline().strip()
                if not line:
                    found = "a process that ended, as its last lines say"
                    raise InputError("--against", "a commit that has these rows", found)
                return line

            def measure(name):
                process.stdin.write(name + "\n")
                process.stdin.flush()
                return float(said())

            said()
            yield measure  # that its input is closed behind this ends the process


def commit():
    """The commit of this copy, with "+" where files differ from it; "" where git knows none."""
    try:
        return git("describe", "--always", "--dirty=+", "--abbrev=12").strip()
    except InputError:
        return ""


def git(*words, text=True):
    """What git prints of this repository. Raises InputError where it refuses."""
    command = ["git", "-C", str(ROOT), *words]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=text).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        found = getattr(error, "stderr", "") or error
        found = found.decode() if isinstance(found, bytes) else str(found)
        raise InputError("git", "a commit of this repository", found.strip()) from None


if __name__ == "__main__":
    sys.exit(main())
