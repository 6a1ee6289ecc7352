"""Digests of models and the like of one's own: equal for equals, others where they may do other."""

import subprocess
import sys

import numpy as np
import pytest

from eventsnn.sweep.made_of import digest_of_thing as digest

FACTOR = 3


def scaled(x):
    return FACTOR * x


def made(share, table=None):
    def shares(steps):
        return [share * scaled(t) for t in range(steps)], table

    return shares


class Model:
    low = 0.5

    def __init__(self, high):
        self.high = high

    def fire(self, v):
        return scaled(v) > self.high


def test_what_a_function_encloses_is_part_of_it():
    assert digest(made(1)) == digest(made(1)) != digest(made(2))
    table = np.arange(4)
    assert digest(made(1, table)) == digest(made(1, table.copy())) != digest(made(1, table + 1))
    assert digest(made(1, {"a": [1, 2]})) != digest(made(1, {"a": [1, 3]}))


def test_so_is_the_state_of_an_object():
    assert digest(Model(1)) == digest(Model(1)) != digest(Model(2))


@pytest.mark.parametrize("thing", [scaled, made(1), Model, Model(1)])
def test_so_is_what_its_module_has_that_it_refers_to(thing, monkeypatch):
    before = digest(thing)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 4)
    assert digest(thing) != before


def test_so_are_the_attributes_of_a_class(monkeypatch):
    before = digest(Model(1))
    monkeypatch.setattr(Model, "low", 0.25)
    assert digest(Model(1)) != before


def test_what_encloses_itself_ends():
    rings = []
    rings.append(rings)
    assert digest(made(rings)) == digest(made(rings))


def test_code_without_a_file_has_the_same_digest_in_every_process():
    code = """
from eventsnn.sweep.made_of import digest_of_thing
def outer(k):
    return lambda x: [k + y for y in (x, 3)]
print(digest_of_thing(outer(1)), digest_of_thing(outer(2)))
"""
    command = [sys.executable, "-c", code]
    told = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    one, other = told[0].split()
    assert told[0] == told[1] and one != other and len(one) == 64
