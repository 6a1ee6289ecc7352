"""The event engine's queue has room on demand: an event that lacks it goes on where it was."""

import numpy as np
import pytest
from support.dynamic import DYNAMIC
from support.networks import pooled_graph, random_graph
from support.ways import assert_same, both

from eventsnn import convert
from eventsnn.engine.event import driver, queue
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time


def bursting(make, most=30):
    """`make`, where every arrival in a second layer brings up to `most` spikes at once."""

    def graph(rng):
        made = make(rng)
        first = next(i for i, node in enumerate(made.nodes) if node is made.activations[0])
        for node in made.nodes[first:]:
            if node.op in ("Conv", "Gemm"):
                node.params["W" if node.op == "Conv" else "B"][:] *= most
                return made
        return made

    return graph


@pytest.fixture
def scarce(monkeypatch):
    """Runs begin with hardly any room; the list that is returned tells where events were held."""
    held = []
    grow = driver.EventRun._grow

    def grow_and_tell(run):
        held.append(int(run.state.at[queue.HELD]))
        grow(run)

    monkeypatch.setattr(driver.EventRun, "_grow", grow_and_tell)
    monkeypatch.setattr(driver, "queue_arrays", lambda capacity, few: queue.queue_arrays(2, few))
    monkeypatch.setattr(driver, "RECORDS", 1)
    return held


@pytest.mark.parametrize(
    "case",
    [
        "fifo",
        "random",
        "excitatory_first",
        "clocked",
        "refractory",
        "window, fifo",
        "window, refractory, free",
        "delays by neuron",
    ],
)
@pytest.mark.parametrize(("model", "make"), [("if", random_graph), ("snm", pooled_graph)])
def test_an_event_that_lacks_room_goes_on(make, model, case, scarce):
    # behind pools a spike reaches so many that the twin takes seconds for larger bursts
    most = 30 if make is random_graph else 8
    assert_same(*both(11, case, model, make=bursting(make, most)))
    assert any(scarce) or case in ("clocked", "refractory", "window, refractory, free")


@pytest.mark.parametrize("case", ["fifo", "window, fifo", "refractory"])
def test_so_it_does_with_states(case, scarce):
    model = "adaptive"
    mine, twins = DYNAMIC[model]
    assert_same(*both(11, case, mine, make=bursting(random_graph), models=twins))
    assert any(scarce) or case == "refractory"


def test_room_follows_what_fires():
    """A neuron whose threshold is next to nothing asks for no memory until it fires."""
    rng = np.random.default_rng(12)
    graph = random_graph(rng)
    plain = Simulation(convert(graph), steps=2, engine="event", time=Time())
    heavy = random_graph(np.random.default_rng(12))
    for node in heavy.nodes:
        if node is heavy.activations[0]:
            break
        for name in ("W", "B"):
            if name in node.params:
                node.params[name][:] = 0  # nothing ever reaches what is heavy
    for node in heavy.nodes[len(heavy.nodes) // 2 :]:
        if node.op in ("Conv", "Gemm"):
            node.params["W" if node.op == "Conv" else "B"][:] *= 1e6
    simulation = Simulation(convert(heavy), steps=2, engine="event", time=Time())
    rows = [
        len(s.engine.begin(np.zeros(len(s.resting), s.resting.dtype)).state.heap)
        for s in (plain, simulation)
    ]
    assert rows[0] == rows[1]
