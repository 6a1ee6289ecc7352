"""Neuron models, for the engines and for the twin."""

from support import twin

from eventsnn.neurons import STBIF, Burst, Signed

MODELS = {"st-bif": {}, "gn": {"tau": 3}, "gn of 6": {"tau": 6}}
# compiled in one kind of numbers alone: in whole numbers
MORE = {"signed:0.1": {}, "burst:2": {}}


def models_of(simulation):
    """The twin's models, one for each layer."""
    if isinstance(simulation.neuron, STBIF):
        return [twin.STBIF(int(limit)) for limit in simulation.neuron.limits]
    if isinstance(simulation.neuron, Signed):
        return [twin.Signed(low.item()) for low in simulation.neuron.lows]
    if isinstance(simulation.neuron, Burst):
        return twin.Burst(simulation.neuron.most_at_once)
    return {"IF": twin.IF(), "SNM": twin.SNM()}.get(type(simulation.neuron).__name__) or twin.GN(
        simulation.neuron.members
    )
