"""The small networks of `eventsnn.neurons.verify`, run by the naive twin."""

from types import SimpleNamespace

from support import twin, twin_codes

from eventsnn.neurons.verifying.small import EIGHTH

TICKS = 1024


def part(size, unit=TICKS):
    return size * unit // EIGHTH


def twin_of(model, levels):
    """The twin's own model, one a layer, for a built-in one in whole numbers."""
    name = type(model).__name__
    if name == "STBIF":
        return [twin.STBIF(n) for n in levels] + [twin.IF()]
    if name == "GN":
        return twin.GN(model.members)
    if name == "Signed":
        return [twin.Signed(int(low)) for low in model.lows]
    if name == "Burst":
        return twin.Burst(model.most_at_once)
    if name == "FewSpike":
        return twin_codes.FewSpike(model.steps)
    if name == "Radix":
        return [twin_codes.Radix(model.steps, int(top)) for top in model.tops]
    if name == "Phase":
        return twin_codes.Phase(model.period)
    if name in ("TSC", "TTFS"):
        return getattr(twin_codes, name)(model.steps)
    if name == "ExactTTFS":
        return twin_codes.ExactTTFS(model.steps, model.ticks)
    if name == "LIF":
        return twin.LIF(model.leak)
    if name == "Adaptive":
        return twin.Adaptive(model.rise, model.leak)
    return {"IF": twin.IF(), "HardIF": twin.IFHard(), "SNM": twin.SNM()}.get(name) or twin.TPP(
        model.seed
    )


def run_twin(small, model, way, steps=None, models=None):
    """What the twin makes of a network: spikes, p and net of each neuron, as `naive.Ran` has them.

    models: the twin's; None: those of a built-in model.
    """
    q, count = model[0], len(small.layers)
    members = getattr(model, "members", 1)
    places = [small.place(i) for i in range(count)]
    sizes = [small.layers.count(n) for n in range(len(small.levels))]
    layers = [twin.Layer(f"layer {n}", size, q * members) for n, size in enumerate(sizes)]
    layers.append(twin.Layer("readout", 1, q))
    projections = []
    for source in range(len(sizes)):
        for target in range(source + 1, len(sizes)):
            weights = [[0] * sizes[source] for _ in range(sizes[target])]
            mask = [[False] * sizes[source] for _ in range(sizes[target])]
            for s in small.synapses:
                if (small.layers[s.pre], small.layers[s.post]) == (source, target):
                    weights[places[s.post]][places[s.pre]] = part(s.charge, q)
                    mask[places[s.post]][places[s.pre]] = True
            if any(map(any, mask)):
                projections.append(twin.Projection(source, target, weights, mask))
    arrivals = way.arrivals(small)
    inputs = []
    for target, size in enumerate(sizes):
        weights = [[0] * len(arrivals) for _ in range(size)]
        mask = [[False] * len(arrivals) for _ in range(size)]
        for number, (_, a) in enumerate(arrivals):
            if small.layers[a.neuron] == target:
                weights[places[a.neuron]][number] = part(a.charge, q)
                mask[places[a.neuron]][number] = True
        inputs.append(twin.Projection(None, target, weights, mask))
    events = [(a.step - 1, part(a.after), number, 1) for number, (_, a) in enumerate(arrivals)]
    steps = steps or small.steps
    drive = [[[0] * size for size in sizes] + [None]] + [[None] * len(layers)] * (steps - 1)
    start = [[part(small.start, q)] * size for size in sizes] + [[0]]
    net = twin.Net(layers, projections, inputs if arrivals else [])
    models = models or twin_of(model, small.levels)
    if way.order == "clocked engine":
        found = twin.run_clocked(net, drive, start, steps, models, events=events)
    else:
        order = twin.random(way.seed) if way.order == "random" else getattr(twin, way.order)
        delays = [0] * count
        for i, delay in enumerate(way.delays):
            delays[i] = part(delay)
        rows = [
            [delays[i] for i in range(count) if small.layers[i] == n] for n in range(len(sizes))
        ]
        found = twin.run_async(
            net,
            drive,
            start,
            steps,
            models,
            order,
            refractory=part(way.refractory),
            window=part(way.window),
            delays=twin.PerNeuron([*rows, [0]]) if any(delays) else None,
            events=events,
        )
    first = [small.layers.index(n) for n in range(len(sizes))]
    return SimpleNamespace(
        spikes=[(s.step + 1, s.tick, first[s.layer] + s.neuron, s.sign) for s in found.spikes],
        p=[p for row in found.potentials[:-1] for p in row],
        net=[s for row in found.memory[:-1] for s in row],
    )


def singly(ran, clocked):
    """The spikes of a `naive.Ran`, one by one, as the twin records them."""
    return [
        (step, None if clocked else tick, i, 1 if n > 0 else -1)
        for step, tick, i, n in ran.spikes
        for _ in range(abs(n))
    ]
