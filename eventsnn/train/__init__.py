"""Training of the networks that eventsnn converts: python -m eventsnn.train --help.

It needs PyTorch (pip install "eventsnn[train]"), which only the modules that compute import.
Nothing else in eventsnn imports this package.
"""
