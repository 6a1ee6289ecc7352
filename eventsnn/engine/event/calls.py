"""What the event engine calls by its address, as it depends on a model or an order (`bound`).

A plain model is asked whether it fires. A model with more than a potential is brought all charges
of a spike at once, too, as it is asked after each. Max pooling needs no model, but its spikes go by
the order. So a new model costs the time of compiling these alone.

In all functions: net: EventTables; neuron: a model; order: a policy; rules: Rules; band: Band;
state: State.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from eventsnn.engine.bound import Absent, Bound, bound, call
from eventsnn.engine.event import dynamic, firing
from eventsnn.engine.event.cores import Cores
from eventsnn.engine.event.layout import Band, EventTables, Rules, State
from eventsnn.engine.jit import bindable, inner_kernel
from eventsnn.engine.tables import table, there
from eventsnn.neurons.contract import is_dynamic

WORD = np.int64(0)
BROUGHT = types.Tuple((types.int64, types.boolean))  # operations, whether one came near overflow


@table
class Calls(NamedTuple):
    """What is bound to a model and an order.

    ask: `ask_bound`. each: 1 for a model that has more than a potential; bring: its `bring_each`.
    follow: `follow_bound`. cores: the policy, where it is `Cores`, else None.
    """

    ask: Bound
    each: int
    bring: Bound | Absent
    follow: Bound | Absent
    cores: Cores | None


def calls_of(
    net: EventTables, neuron: Any, order: Any, rules: Rules, band: Band, state: State
) -> Calls:
    """Binds a model and an order, for a run with such tables and such a state.

    Raises InputError where numba does not compile functions of theirs.
    """
    both, given = (neuron, order), (net, rules, band, state)
    followed, brought = (net, rules, state, *[WORD] * 4), (*given, *[WORD] * 7)
    pools, each = bool((net.pools >= 0).any()), is_dynamic(type(neuron))
    return Calls(
        bound(ask_bound, both, (*given, WORD, WORD, WORD)),
        int(each),
        bound(bring_each, both, brought) if each else Absent(2, brought, BROUGHT),
        bound(follow_bound, (order,), followed) if pools else Absent(1, followed, types.boolean),
        order if isinstance(order, Cores) else None,
    )


@bindable
def ask_bound(neuron, order, net, rules, band, state, layer, number, cause):
    """Evaluates one neuron. layer, number, cause: as in `firing`. Returns whether room is lacking:
    called again, it goes on.
    """
    return dynamic.ask(
        there(net),
        there(neuron),
        there(order),
        there(rules),
        there(band),
        there(state),
        layer,
        number,
        cause,
    )


@bindable
def bring_each(
    neuron, order, net, rules, band, state, target, first, group, offset, negative, half, spike
):
    """What a spike brings to one target layer, target by target: `dynamic.bring_each`."""
    return dynamic.bring_each(
        there(net),
        there(neuron),
        there(order),
        there(rules),
        there(band),
        there(state),
        target,
        first,
        group,
        offset,
        negative,
        half,
        spike,
    )


@bindable
def follow_bound(order, net, rules, state, layer, number, pooled, cause):
    """A pool unit sends the change of its maximum: `firing.follow`."""
    net, order, rules, state = there(net), there(order), there(rules), there(state)
    return firing.follow(net, order, rules, state, layer, number, pooled, cause)


@inner_kernel
def ask(net, calls, rules, band, state, layer, number, cause):
    """Evaluates one neuron: calls `ask_bound`."""
    return call(
        calls.ask, net, rules, band, state, np.int64(layer), np.int64(number), np.int64(cause)
    )


@inner_kernel
def follow(net, calls, rules, state, layer, number, pooled, cause):
    """A pool unit sends the change of its maximum: calls `follow_bound`."""
    return call(
        calls.follow,
        net,
        rules,
        state,
        np.int64(layer),
        np.int64(number),
        np.int64(pooled),
        np.int64(cause),
    )


@inner_kernel
def bring_bound(
    net, calls, rules, band, state, target, first, group, offset, negative, half, spike
):
    """What a spike brings to one target layer: calls `bring_each`. As `kernels.bring_stretches`."""
    return call(
        calls.bring,
        net,
        rules,
        band,
        state,
        np.int64(target),
        np.int64(first),
        np.int64(group),
        np.int64(offset),
        np.int64(negative),
        np.int64(half),
        np.int64(spike),
    )


def has_cores(cores: Any) -> bool:
    """Whether the order is `Cores`. cores: numba's type of Calls.cores."""
    return not isinstance(cores, types.NoneType)
