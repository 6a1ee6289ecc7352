"""Leases: who works on a store, and for how long that counts."""

import json
import os
import time

import pytest

from eventsnn.exceptions import InputError
from eventsnn.sweep.lease import Lease, holder, name_of, others_at_work
from eventsnn.sweep.progress import Progress
from eventsnn.sweep.working import Done


def test_a_lease_is_held_inside_its_block(tmp_path):
    with Lease(tmp_path) as lease:
        its = holder(lease.path)
        assert its["pid"] == os.getpid() and 0 <= its["age"] < 60
        with pytest.raises(InputError, match=f"found process {os.getpid()} on .*wait for it"):
            Lease(tmp_path).__enter__()
        with Lease(tmp_path, "lease-1-of-2"):
            pass
    assert holder(lease.path) is None and os.listdir(tmp_path) == []


def test_a_lease_that_is_not_renewed_expires_and_its_holder_is_told(tmp_path):
    with Lease(tmp_path, lasts=0.2, renewed=60) as first:
        time.sleep(0.4)
        with Lease(tmp_path, lasts=0.2, renewed=60) as second:
            first.taken_over = json.loads(second.path.read_text())
            with pytest.raises(InputError, match="expected this driver's lease, found process"):
                first.check()
            second.check()


def test_a_lease_is_renewed_and_one_that_was_taken_over_is_noticed(tmp_path):
    with Lease(tmp_path, lasts=60, renewed=0.05) as lease:
        before = lease.path.stat().st_mtime_ns
        time.sleep(0.5)
        assert lease.path.stat().st_mtime_ns > before
        lease.path.write_text(json.dumps({"token": "another's", "pid": 1, "host": "elsewhere"}))
        for _ in range(100):
            if lease.taken_over:
                break
            time.sleep(0.05)
        with pytest.raises(InputError, match="found process 1 on elsewhere"):
            lease.check()
    assert lease.path.exists()  # it is the other's


def test_a_driver_of_this_machine_that_is_gone_holds_nothing(tmp_path):
    with Lease(tmp_path) as lease:
        record = json.loads(lease.path.read_text())
    path = tmp_path / "lease.json"
    path.write_text(json.dumps(record))
    assert holder(path)["pid"] == os.getpid()
    path.write_text(json.dumps({**record, "pid": 2**22 + 1}))
    assert holder(path) is None
    path.write_text(json.dumps({**record, "began": "another boot 5"}))
    assert holder(path) is None
    path.write_text(json.dumps({**record, "host": "elsewhere"}))
    assert holder(path)["host"] == "elsewhere"
    path.write_text("half a fi")
    assert holder(path) is None


@pytest.mark.parametrize(
    "held, part, free",
    [
        (None, (1, 2), False),
        ((1, 2), None, False),
        ((1, 2), (1, 3), False),
        ((1, 2), (2, 2), True),
        (None, None, True),  # one of its own kind: `Lease` itself tells of it
    ],
)
def test_drivers_of_all_and_of_parts_see_each_other(tmp_path, held, part, free):
    with Lease(tmp_path, name_of(held)):
        there = others_at_work(tmp_path, part)
        assert (there is None) == free and (free or there["pid"] == os.getpid())
    assert others_at_work(tmp_path, part) is None


def test_without_a_terminal_progress_is_a_line_a_minute(capsys):
    now = [0.0]
    with Progress(100, 40, 600, clock=lambda: now[0]) as shown:
        for second in range(1, 31):
            now[0] = 5.0 * second
            error = {"kind": "x"} if second == 20 else None
            shown.add(Done("", 10, 1.0, 0.0, 0, error, {}))
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "eventsnn: 52 of 100 cells, 2 images/s, about 4 minutes left",
        "eventsnn: 64 of 100 cells, 2 images/s, 1 failed, about 3 minutes left",
    ]
    with Progress(2, 0, 2, shown=False, clock=lambda: 100.0 * len(told)) as shown:
        shown.add(Done("", 1, 1.0, 0.0, 0, None, {}))
    assert capsys.readouterr().err == ""
