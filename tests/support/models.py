"""Neuron models, for the engines and for the twin."""

from support import twin

from eventsnn.neurons import STBIF

MODELS = {"st-bif": {}, "gn": {"tau": 3}, "gn of 6": {"tau": 6}}


def models_of(simulation):
    """The twin's models, one for each layer."""
    if isinstance(simulation.neuron, STBIF):
        return [twin.STBIF(int(limit)) for limit in simulation.neuron.limits]
    return {"IF": twin.IF(), "SNM": twin.SNM()}.get(type(simulation.neuron).__name__) or twin.GN(
        simulation.neuron.members
    )
