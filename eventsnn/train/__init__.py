"""Training of the networks that eventsnn converts: eventsnn train --help.

It needs PyTorch (the extra `train`), which only the modules that compute import.
Nothing else in eventsnn imports this package.
"""
