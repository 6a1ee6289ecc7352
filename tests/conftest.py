"""The quick set: of a test with many parameters it runs a few, evenly spread; the rest are slow.

Set CI to have hypothesis draw the same examples in every run.
"""

import os
from collections import defaultdict

import pytest
from hypothesis import settings

QUICK = 3

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks as slow what the quick set leaves out of each family of parameters."""
    families = defaultdict(list)
    for item in items:
        families[item.path, getattr(item, "originalname", item.name)].append(item)
    for family in families.values():
        count = len(family)
        quick = {i * count // QUICK for i in range(QUICK)}
        for i, item in enumerate(family):
            if i not in quick:
                item.add_marker(pytest.mark.slow)
