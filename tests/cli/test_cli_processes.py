"""The command line as real processes, and the progress that it shows."""

import io
import os
import struct
import subprocess
import sys

import pytest
from support.command import (
    assert_one_line,
    command,
    environment,
    listing,
    strict,
)

import eventsnn
from eventsnn.runs.folder import FILES
from eventsnn.runs.say import Say

# --- real processes --------------------------------------------------------------------------


def test_help_is_light_and_complete():
    code = (
        "import sys\nfrom eventsnn.run import main\ntry:\n    main(['--help'])\nfinally:\n    "
        "heavy = {'h5py', 'matplotlib', 'tqdm'} & {name.split('.')[0] for name "
        "in sys.modules}\n    print(heavy or 'nothing heavy')"
    )
    process = command(code=code)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "") and out.endswith("nothing heavy\n")
    assert (
        "eventsnn run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 "
        "--limit 1000" in out
    )
    names = (
        "net data split limit steps report-steps thresholds calibration arithmetic workers batch "
        "seed out quiet json"
    )
    for name in names.split():
        assert f"\n  --{name}" in out
    assert out.count("e.g. --") == len(pipeline_options()) + 1  # --settings


def pipeline_options():
    import dataclasses

    from eventsnn.settings import Settings

    return dataclasses.fields(Settings)


def test_processes_end_with_the_right_status(here, files):
    for arguments, status, words in (
        [["--net", "nowhere.h5"], 2, ["nowhere.h5", "nothing of that name"]],
        [["--limit", "0"], 2, ["--limit"]],
        [["--net", files / "sum.h5", "--data", files / "data.npz"], 2, ["MaxPool"]],
    ):
        process = command(*arguments, "--json", cwd=here)
        out, err = process.communicate()
        assert (process.returncode, out) == (status, "")
        assert_one_line(err, words)
    process = command("--version")
    assert (
        process.communicate() == (f"eventsnn {eventsnn.__version__}\n", "")
        and process.returncode == 0
    )
    assert listing(here) == []


def test_a_process_prints_json_and_nothing_else(here, files):
    process = command(
        "--net", files / "net.h5", "--data", files / "data.npz", "--limit", 3, "--json", cwd=here
    )
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "") and strict(out)["images"] == 3


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_readers_that_stop_reading_do_not_stop_a_run(here, files):
    for arguments in (
        ["--net", files / "net.h5", "--data", files / "data.npz", "--out", "a"],
        ["--help"],
        ["--version"],
    ):
        process = command(*arguments, cwd=here)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert (process.wait(), err) == (0, "")
    assert sorted(os.listdir(here / "a")) == sorted(FILES)


def command_on(files):
    """The command that runs the network of a folder on its images."""
    given = ("--net", files / "net.h5", "--data", files / "data.npz")
    return [sys.executable, "-m", "eventsnn.run", *given]


@pytest.mark.slow
def test_a_terminal_that_lacks_letters_is_no_obstacle(here, files):
    """The tables hold dashes that ASCII has not, and names in files may hold anything."""
    done = subprocess.run(
        command_on(files),
        cwd=here,
        env={**environment(), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert (
        (done.returncode, done.stderr) == (0, b"")
        and done.stdout.isascii()
        and b"results in runs/" in done.stdout
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_standard_output_is_an_error(here, files):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command_on(files),
            cwd=here,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert_one_line(done.stderr, ["standard output", "No space left"])
    assert listing(here) == []


def test_a_full_disk_ends_a_real_process_well(here, files):
    resource = pytest.importorskip("resource")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    arguments = (
        "--net",
        files / "net.h5",
        "--data",
        files / "data.npz",
        "--out",
        "a",
        "--batch",
        1,
        "--steps",
        64,
    )
    process = command(*arguments, cwd=here, preexec_fn=limit)
    out, err = process.communicate()
    assert process.returncode == 2
    assert_one_line(err, ["a.partial", "room", "File too large"])
    assert os.listdir(here) == ["a.partial"] and len(os.listdir(here / "a.partial")) == 32, (
        "30 batches, identity and lock"
    )


# --- progress --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_comes_after_two_seconds_on_a_terminal_only(monkeypatch):
    """By the bar's own clock, which the test sets."""
    streams = {"terminal": Terminal(), "quiet": Terminal(), "file": io.StringIO()}
    bars = {}
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    for name, stream in streams.items():
        monkeypatch.setattr(sys, "stderr", stream)
        bars[name] = Say(None, name != "quiet").bar(100, "SNN")
        bars[name].update(10)
    now[0] = 1.9
    for bar in bars.values():
        bar.update(0)
    assert not any(stream.getvalue() for stream in streams.values())
    now[0] = 2.1
    for bar in bars.values():
        bar.update(10)
    shown = {name for name, stream in streams.items() if stream.getvalue()}
    assert shown == {"terminal"}
    assert all(word in streams["terminal"].getvalue() for word in ("SNN", "20/100", "image"))
    for bar in bars.values():
        bar.close()
    assert streams["terminal"].getvalue().split("\r")[-2].strip() == "", (
        "the bar is gone in the end"
    )


# a process in which the progress bar's clock goes on by `seconds` with each batch, and else stands;
# without tqdm's watch, which has its own clock and after ten seconds shows a bar that is not due
SLOW_RUN = """
import sys, tqdm.std
from eventsnn import console, run
from eventsnn.simulation import simulation
now = [0.0]
tqdm.std.time = lambda: now[0]
tqdm.std.tqdm.monitor_interval = 0
simulate = simulation.Simulation.run
def slow(self, pixels, **options):
    now[0] += {seconds}
    return simulate(self, pixels, **options)
simulation.Simulation.run = slow
sys.exit(console.command(run.main))
"""


def start_on_terminal(here, files, seconds, *options):
    """A process whose standard error is a pseudo-terminal, and the terminal.

    seconds: what each batch takes by the progress bar's clock.
    """
    import fcntl
    import termios

    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SLOW_RUN.format(seconds=seconds),
            "--net",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--batch",
            "4",
            "--workers",
            "1",
            *options,
        ],
        cwd=here,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    return process, terminal


def all_of(terminal):
    """What is written to a pseudo-terminal until its process ends."""
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux: the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return text
        text += part


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")
def test_progress_on_a_pseudo_terminal(here, files):
    slow, fast, quiet = (
        start_on_terminal(here, files, *options)
        for options in (
            (0.4, "--out", "slow"),
            (0.0, "--out", "fast", "--limit", "4"),
            (0.4, "--out", "quiet", "--quiet"),
        )
    )
    text = all_of(slow[1])
    assert b"SNN:" in text and b"/30" in text
    assert all_of(quiet[1]) == all_of(fast[1]) == b""
    assert [process.wait() for process, _ in (slow, fast, quiet)] == [0, 0, 0]
