"""Order `cores` of the engine against the naive twin, event by event (semantics, section 12)."""

from itertools import product

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.models import models_of
from support.networks import pixel_range, pooled_graph, random_graph, random_pixels, skipping_graph
from support.twin_cores import ARBITRATIONS, run_cores
from support.ways import STEPS, assert_same

from eventsnn import convert
from eventsnn.engine.event import layout
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Recorder

TICKS = 1024
# (service, latency, more of time) in ticks
CASES = {
    "no time": ((0, 0), 0, {}),
    "by event": ((40, 0), 0, {}),
    "by weight": ((0, 1), 0, {"spread": 8}),
    "late": ((3, 2), 100, {"refractory": 256}),
    "free": ((8, 1), 0, {"barrier": False}),
    "free and late": ((1, 0), 700, {"barrier": False, "refractory": 1536, "spread": 4}),
}


def runs(seed, case, arbitration, model="if", make=random_graph, models=None, **options):
    """(simulation, its run, records, the twin's outcome, the twin's run) of the same image."""
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    (a, b), latency, more = CASES[case]
    time = {name: value / TICKS if name == "refractory" else value for name, value in more.items()}
    service = (a / TICKS, b / TICKS)
    simulation = Simulation(
        convert(graph),
        steps=STEPS,
        engine="event",
        neuron=model,
        time=Time(
            order="cores", service=service, latency=latency / TICKS, arbitration=arbitration, **time
        ),
        seed=5,
        pixel_range=pixel_range(pixels),
        **options,
    )
    recorder = Recorder()
    found = simulation.image(pixels[0], 3, recorder)
    ran = found.ran
    outcome, cores = run_cores(
        twin_net(ran),
        twin_drive(ran, pixels[0]),
        twin_start(ran),
        STEPS,
        (models or models_of)(ran),
        service=(a, b),
        latency=latency,
        arbitration=arbitration,
        seed=5,
        image=3,
        unit=1 << ran.arithmetic.finer,
        **more,
    )
    return ran, found, recorder.records(), outcome, cores


def assert_same_cores(simulation, found, records, outcome, cores):
    """Spikes, potentials, deliveries and their ticks, and all that is told of cores."""
    run, served = found.run, found.served
    assert_same(simulation, run, records, outcome)
    assert records[2][:, layout.D_TICK].tolist() == cores.ticks_of
    projections = [p for p in simulation.network.projections if p.source >= 0]
    q = (records[2][:, layout.D_PART] >> 3) - 1
    taken = outcome.deliveries[: len(q)]
    assert [(projections[i].source,) for i in q] == [(d.layer,) for d in taken]
    assert [(i,) for i in q] == [d.projections for d in taken]
    assert served.busy.tolist() == [core.busy for core in cores.cores]
    assert served.longest_queue.tolist() == [core.longest for core in cores.cores]
    assert served.end == cores.end and served.waiting.sum() == outcome.under_way
    classes = cores.classes
    rows = [classes[0]] + [b for a, b in zip(classes, classes[1:]) if a[1] != b[1]]
    assert served.classes[:, 1].tolist() == [found for _, found in rows]
    assert served.classes[-1, 0] == cores.last_class_since()
    assert found.under_way == outcome.under_way


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_engine_is_the_twin(case, arbitration):
    for seed, make in ((len(case), random_graph), (1, skipping_graph)):
        assert_same_cores(*runs(seed, case, arbitration, make=make))
