"""eventsnn: an event-driven simulator of converted spiking networks, one spike at a time.

net = eventsnn.load("vgg16_qcfs.h5")
snn = eventsnn.convert(net)
result = snn.run(eventsnn.load_images("cifar-10-batches-bin", limit=100), steps=32)
"""

from importlib import import_module

__version__ = "0.1.0"

_WHERE = {
    "load": "eventsnn.readers",
    "load_torch": "eventsnn.readers.torch.module",
    "save": "eventsnn.readers",
    "convert": "eventsnn.network.convert",
    "load_images": "eventsnn.data.images",
    "InputError": "eventsnn.exceptions",
    "Swap": "eventsnn.trace.edits",
    "Move": "eventsnn.trace.edits",
    "Drop": "eventsnn.trace.edits",
    "Delay": "eventsnn.trace.edits",
}
__all__ = [*_WHERE]


def __getattr__(name):
    """Import on first use, so that the command line starts fast."""
    if name in _WHERE:
        module = import_module(_WHERE[name])
        value = globals()[name] = getattr(module, name)
        return value
    raise AttributeError(f"module 'eventsnn' has no attribute {name!r}")
