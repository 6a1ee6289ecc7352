"""Input events: they stand in a list of their own, and come before all that is due at their tick.

In all functions: net: EventTables; state: State (semantics, section 5).
"""

from __future__ import annotations

from eventsnn.engine.event.layout import DELIVERY, LAYER_BIT, NUMBER_BIT, SIGN_BIT
from eventsnn.engine.event.queue import EVENT, EVENT_SPIKE, INPUT, INPUT_END, INPUT_FROM
from eventsnn.engine.event.ring import NEVER
from eventsnn.engine.jit import inner_kernel


@inner_kernel
def input_moment(state):
    """The moment of the step's next input event, or NEVER."""
    at = state.at
    if at[INPUT] == at[INPUT_END]:
        return NEVER
    return 2 * (at[INPUT_FROM] + state.inputs[at[INPUT], 0])


@inner_kernel
def take_input(net, state):
    """Takes the step's next input event into at[EVENT] and at[EVENT_SPIKE]; there is one."""
    at = state.at
    given = at[INPUT]
    at[EVENT] = (
        ((state.v.size + state.inputs[given, 1]) << NUMBER_BIT)
        | ((net.readout + 1) << LAYER_BIT)
        | ((1 if state.inputs[given, 2] < 0 else 0) << SIGN_BIT)
        | DELIVERY
    )
    at[EVENT_SPIKE] = -2 - given
    at[INPUT] += 1
