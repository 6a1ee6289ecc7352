"""Other programs beside the rows of history.py that have their spikes."""

from __future__ import annotations

from functools import partial

import clocked
import layer
import measuring
import numpy as np


class Peers:
    """What other programs make of the same networks, images and T.

    args: of history.py. here: its `Measured`. left_out: lines, one for each program that cannot be
    measured here.
    """

    def __init__(self, args, here):
        self.found = {}
        self.left_out = []
        rows = list(here.simulations)
        if any(row.what == "clocked, if" for row in rows):
            nets = clocked.torch_ways(here.network, args.steps, args.cores)
            self._leave_out({name: clocked.WAYS[name].lacking for name in nets})
            for row in rows:
                if row.what == "clocked, if":
                    self.found[row] = {
                        f"{name}, if": in_torch(net, here, row) for name, net in nets.items() if net
                    }
        if here.layer and any(row.layer for row in rows):
            lacking = {
                name: measuring.lacking(peer.packages, peer.modules)
                for name, peer in layer.PEERS.items()
            }
            self._leave_out(lacking)
            for name, peer in layer.PEERS.items():
                for row in rows:
                    if row.layer and row.what == f"event, clocked, {peer.neuron}":
                        if not lacking[name]:
                            call, count = here.layer.elsewhere(peer, args)
                            self.found.setdefault(row, {})[name] = call, partial(counted, count)

    def _leave_out(self, lacking):
        self.left_out += [f"left out: {name} ({why})" for name, why in lacking.items() if why]

    def beside(self, row):
        """Name -> (a call that returns seconds, a function that returns spikes by layer)."""
        return self.found.get(row, {})


def in_torch(net, here, row):
    """The two functions of `Peers.beside` for a `Dense`."""
    pixels, clock = here.given(row), here.clock(row)
    images = here.network.graph.preprocessing(pixels)
    parts = [images[at : at + row.batch] for at in range(0, len(images), row.batch)]
    net.choose(parts[0], clock)
    at_once = net.at_once

    def call():
        net.at_once = at_once
        start = clock()
        for part in parts:
            net(part)
        return clock() - start

    return call, lambda: sum(net.spikes(part) for part in parts)


def counted(count):
    """Spikes of one layer, int64 [1]."""
    return np.array([count()])
