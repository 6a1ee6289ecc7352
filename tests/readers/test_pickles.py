"""Pickles are read without doing what they say: no code runs, and nothing takes room or time."""

import io
import os
import pickle
import time
from collections import OrderedDict

import pytest
from support.fuzzing import memory
from support.torch_files import Global, Made, pickled

from eventsnn.exceptions import InputError
from eventsnn.files import pickles
from eventsnn.files.pickles import Named, Unknown, unpickled


def read(data, call=lambda name, args: Unknown(name)):
    return unpickled(io.BytesIO(data), "net", call, lambda given: Unknown("a persistent id"))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_those_of_python(protocol):
    value = {
        "a": [1, -2, 2**40, 2**80, 0.5, None, True, False, "ä\n", ("x",), (), (1, 2), (1, 2, 3)],
        "b": {"c": {1: "d"}, 2.5: (1, 2, 3, 4)},
        "e": "long" * 100,
    }
    value["twice"] = value["a"]
    found = read(pickle.dumps(value, protocol))
    assert found == value and found["twice"] is found["a"]


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read(pickle.dumps({"x": Evil(), "y": [Evil()], "z": OrderedDict(a=Evil())}, protocol))
    assert found["x"].name in ("posix.system", "nt.system") and not list(tmp_path.iterdir())


def test_what_was_made_stays_what_it_is_whatever_is_done_to_it():
    made = Made("os.system", "touch ran")
    for value in (
        made,
        Made("builtins.eval", "1"),
        Made("builtins.exec", "1", new=True),
        Made("builtins.getattr", Global("os.environ"), "clear"),
    ):
        found = read(pickled({"x": value}))["x"]
        assert isinstance(found, Unknown) and found.name == value.name
    assert read(pickled(Global("os.system"))) == Named("os.system")
    # called again, with items, attributes and a state of its own
    program = b"\x80\x02cos\nsystem\n(X\x01\0\0\0xtR(tRX\x01\0\0\0kX\x01\0\0\0vs}b."
    assert read(program).name == "os.system"


@pytest.mark.parametrize(
    "program, words",
    [
        (b"", "whole pickle"),
        (b"\x80\x02", "whole pickle"),
        (b"\x80\x02.", "whole pickle"),
        (b"\x80\x020.", "whole pickle"),
        (b"\x80\x02t.", "whole pickle"),
        (b"\x80\x02h\x05.", "whole pickle"),
        (b"\x80\x02K\x01K\x02\x93.", "whole pickle"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
        (b"\x80\x02\x8e" + (2**62).to_bytes(8, "little") + b"x.", "whole pickle"),
        (b"\x80\x02\x8e" + b"\xff" * 8 + b"x.", "whole pickle"),
        (b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.", "whole pickle"),
        (b"\x80\x02X\xff\xff\xff\xff.", "whole pickle"),
        (b"\x80\x02\xff.", "whole pickle"),
        (b"I" + b"9" * 9999 + b"\n.", "whole pickle"),
    ],
)
def test_programs_that_cannot_be_are_refused(program, words):
    with pytest.raises(InputError, match=words) as caught:
        read(program)
    assert str(caught.value).isprintable()


def test_what_doubles_with_each_step_takes_neither_room_nor_time():
    doubled = b"\x80\x02" + b"K\x01" + b"2\x86" * 100_000 + b"."  # (x, x), 100,000 deep
    as_key = b"\x80\x02}K\x01" + b"2\x86" * 5_000 + b"K\x02s."
    lists = b"\x80\x02]" + b"q\x00" + b"h\x00h\x00h\x00\x87a" * 1000 + b"."  # holds itself
    before, start = memory(), time.process_time()
    assert isinstance(read(doubled), tuple)
    assert read(as_key) == {}
    assert isinstance(read(lists), list)
    assert time.process_time() - start < 5 and memory() - before < 2**27


def test_programs_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(pickles, "MAX_STEPS", 1000)
    with pytest.raises(InputError, match="at most 1,000 steps"):
        read(b"\x80\x02" + b"N0" * 1000 + b"N.")


def test_large_numbers_are_no_keys():
    """Python takes as long to hash them as they are long, each time."""
    large = b"\x8b" + (10_000).to_bytes(4, "little") + b"\x01" * 10_000
    assert read(b"\x80\x02}" + large + b"K\x01s.") == {}


def test_long_texts_are_no_keys_and_no_names():
    """Two of them that are equal would be compared as often as one is put in the other's place."""
    text = b"X" + (2**20).to_bytes(4, "little") + b"x" * 2**20
    program = b"\x80\x02}q\0" + text + b"q\1" + text + b"q\2" + b"00"
    start = time.process_time()
    assert read(program + b"h\1Nsh\2Ns" * 50_000 + b".") == {}
    assert time.process_time() - start < 5
    with pytest.raises(InputError, match="a name without end"):
        read(program + b"h\1h\2\x93.")
