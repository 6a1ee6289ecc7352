"""One layer in Brian2, NEST and brainevent, synapse by synapse."""

from __future__ import annotations

import os
import time

import numpy as np

for name, value in {
    "PYNEST_QUIET": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}.items():
    os.environ.setdefault(name, value)  # read when they are imported


def synapses(m):
    """(source, target, weight) of every synapse of a LinearMap: int64, int64, float64."""
    _, groups, ci, co = m.blocks.shape
    g, a, b = np.meshgrid(range(groups), range(ci), range(co), indexing="ij")
    i = m.p[:, None] * groups * ci + (g * ci + a).reshape(-1)
    j = m.r[:, None] * groups * co + (g * co + b).reshape(-1)
    return i.reshape(-1), j.reshape(-1), m.blocks[m.k].reshape(-1)


def brian(i, j, weight, sources, targets, events, args):
    """Two functions: one runs the layer in Brian2 and returns the processor's seconds that its
    steps took, without what is prepared before them; the other says how many spikes it fired. A
    step lasts 1 ms.
    """
    import brian2 as b

    b.BrianLogger.suppress_name("method_choice")
    b.defaultclock.dt = 1 * b.ms
    given = b.SpikeGeneratorGroup(sources, events[:, 2], events[:, 0] * b.ms)
    neurons = b.NeuronGroup(targets, "v : 1", threshold="v >= 1", reset="v -= 1")
    joined = b.Synapses(given, neurons, "w : 1", on_pre="v += w")
    joined.connect(i=i, j=j)
    joined.w, neurons.v = weight, 0.5
    spikes = b.SpikeMonitor(neurons, record=False)
    moments = []  # before each step, and behind it
    clocks = [
        b.NetworkOperation(lambda: moments.append(time.process_time()), when=when)
        for when in ("before_start", "after_end")
    ]
    network = b.Network(given, neurons, joined, spikes, *clocks)
    network.store()

    def again():
        network.restore()
        moments.clear()
        network.run((args.steps + 1) * b.ms)  # neurons are tested in the step after
        return moments[-1] - moments[0]

    return again, lambda: int(spikes.num_spikes)


def nest(i, j, weight, sources, targets, events, args):
    """The same in NEST on one thread, where parrots repeat the input's spikes. Each call runs on,
    and the input comes again.
    """
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.SetKernelStatus({"resolution": 1.0, "local_num_threads": 1})
    stretch, calls = args.steps + 4, args.repeats + 2
    neurons = nest.Create(
        "iaf_psc_delta",
        targets,
        params=dict(E_L=0.0, V_reset=0.0, V_th=1.0, V_m=0.5, tau_m=1e12, t_ref=0.0),
    )
    parrots, clocks = nest.Create("parrot_neuron", sources), nest.Create("spike_generator", sources)
    order = np.argsort(events[:, 2], kind="stable")
    times = np.split(
        events[order, 0] + 1.0, np.searchsorted(events[order, 2], np.arange(1, sources))
    )
    clocks.set(
        [{"spike_times": np.concatenate([t + stretch * k for k in range(calls)])} for t in times]
    )
    nest.Connect(clocks, parrots, "one_to_one", {"delay": 1.0})
    nest.Connect(
        np.array(parrots.tolist())[i],
        np.array(neurons.tolist())[j],
        "one_to_one",
        {"weight": weight, "delay": np.ones(len(weight)), "synapse_model": "static_synapse"},
    )
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Prepare()
    seen = [0, 0]  # spikes before the last call, and after it

    def again():
        neurons.V_m = 0.5
        start = time.process_time()
        nest.Run(stretch)
        took = time.process_time() - start
        seen[:] = seen[1], recorder.n_events
        return took

    return again, lambda: seen[1] - seen[0]


def brainevent(i, j, weight, sources, targets, events, args):
    """The same in brainevent on JAX, float32 on one thread: a sparse matrix, whose rows are added
    up where a source fired, step by step.
    """
    import brainevent as be
    import jax
    import jax.numpy as jnp

    order = np.lexsort((j, i))
    first = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=sources))])
    data = jnp.asarray(weight[order], jnp.float32)
    rows = data, jnp.asarray(j[order], jnp.int32), jnp.asarray(first, jnp.int32)
    matrix = be.CSR(rows, shape=(sources, targets))
    fired = np.zeros((args.steps, sources), bool)
    fired[events[:, 0], events[:, 2]] = True

    @jax.jit
    def run(matrix, fired):
        def step(v, now):
            v = v + be.BinaryArray(now) @ matrix
            spikes = v >= 1
            return v - spikes.astype(v.dtype), spikes.sum()

        return jax.lax.scan(step, jnp.full(targets, 0.5, jnp.float32), fired)[1]

    fired, counts = jnp.asarray(fired), []

    def again():
        start = time.process_time()
        counts[:] = [run(matrix, fired).block_until_ready()]
        return time.process_time() - start

    return again, lambda: int(counts[0].sum())
