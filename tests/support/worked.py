"""The worked examples of the papers, from examples/arrival_order.py."""

import importlib.util
from pathlib import Path


def load_example():
    path = Path(__file__).parents[2] / "examples" / "arrival_order.py"
    spec = importlib.util.spec_from_file_location("arrival_order", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


examples = load_example()
