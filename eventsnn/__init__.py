"""eventsnn: an event-driven simulator of converted spiking networks, one spike at a time.

    net = eventsnn.load("vgg16_qcfs.h5")
    snn = eventsnn.convert(net)
    result = snn.run(eventsnn.load_images("cifar-10-batches-bin", limit=100), steps=32)
"""
from importlib import import_module

__version__ = "0.1.0"

_WHERE = {"load": "eventsnn.readers", "load_torch": "eventsnn.readers.torch_module", "save": "eventsnn.readers",
          "convert": "eventsnn.conversion", "load_images": "eventsnn.data", "InputError": "eventsnn.checks",
          "Swap": "eventsnn.edits", "Move": "eventsnn.edits", "Drop": "eventsnn.edits", "Delay": "eventsnn.edits"}
__all__ = [*_WHERE]


def __getattr__(name):
    """Import on first use, so that the command line starts fast."""
    if name in _WHERE:
        module = import_module(_WHERE[name])
        value = globals()[name] = getattr(module, name)
        return value
    raise AttributeError(f"module 'eventsnn' has no attribute {name!r}")
