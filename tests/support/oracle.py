"""The oracle: a second simulator, an object a neuron and a synapse, written from docs/semantics.md
alone. It shares no code with the engines or with the twin, and is slow and plain.

`oracle_graph` makes its network, `oracle_models` has its arithmetic and neurons. Whole runs of one
image stand here: in clocked time, and of models with two stages; `oracle_events` has asynchronous
time.
"""

from dataclasses import dataclass, field

from support.oracle_graph import Cell
from support.oracle_models import GN, chained


@dataclass
class Spike:
    """One spike that was sent. before, after: the potential, of neurons. cause: the number of the
    spike whose arrival fired it, or -1.
    """

    layer: int
    number: int
    sign: int
    step: int
    tick: int
    member: int
    pre: Cell
    cause: int
    before: object = 0
    after: object = 0


@dataclass
class Body:
    """The changing part of a cell.

    v: the potential. net: spikes fired less those taken back; of a pool unit its extreme. a: the
    state of an adaptive neuron. heard: clocked time's charge of a step. sums: what each member of a
    pool has sent. touched: when it decayed last. rests, window: until when (-1: no window is open).
    """

    cell: Cell
    v: object
    a: object
    heard: object
    levels: int = 0
    net: int = 0
    muted: bool = False
    sums: dict = field(default_factory=dict)
    touched: int = 0
    rests: int = 0
    window: int = -1


class Run:
    """One image through a `Net`: what all ways of time share.

    start: cell -> v(0). drive: step (from 1) -> {id of a cell: charge}, or None where nothing
    comes. events: (step, ticks after its beginning, synapses, sign) of the input's own. muted: ids
    of the cells that SRP silences. image: its number.

    It leaves `spikes` in order, `counted` [spikes, operations][layer][step], `ties` [layer],
    `readout` [step][class], `rows` of bodies, and `moved`, the last step in which anything did.
    """

    def __init__(self, net, model, numbers, start, drive, steps, events=(), muted=(), image=0):
        self.net, self.model, self.numbers, self.steps = net, model, numbers, steps
        self.drive, self.events, self.image = drive, events, image
        self.zero = numbers.one - numbers.one
        self.rows = [
            [
                Body(cell, start(cell), self.zero, self.zero, levels or 0, muted=id(cell) in muted)
                for cell in cells
            ]
            for cells, levels in zip(net.layers, net.levels)
        ]
        self.bodies = {id(body.cell): body for row in self.rows for body in row}
        self.step, self.cause, self.before = 0, -1, 0
        self.spikes, self.readout, self.moved = [], [], 0
        self.counted = [[[0] * steps for _ in net.layers] for _ in range(2)]
        self.ties = [0] * len(net.layers)

    def fire(self, body):
        """One evaluation: (how many are fired, [(sign, member)] of what is sent)."""
        count, met = self.model.fires(body, self.numbers.one)
        self.ties[body.cell.layer] += bool(met)
        self.before = body.v
        if count:
            self.model.settle(body, count, self.numbers.one)
        return count, [] if body.muted else members(count)

    def note(self, body, sign, member, tick=0):
        """A spike that is sent, in the record."""
        cell = body.cell
        spike = Spike(
            cell.layer, cell.number, sign, self.step, tick, member, cell, self.cause, self.before
        )
        spike.after = body.v
        if isinstance(self.model, GN):  # each member's spike takes a q from all
            spike.before = self.before - (member - 1) * self.numbers.one
            spike.after = spike.before - self.numbers.one
        self.spikes.append(spike)
        self.counted[0][spike.layer][self.step - 1] += 1
        self.moved = self.step

    def operate(self, synapse, count=1):
        """Counts the operations of what a synapse brings: none for the input's and for pools."""
        if synapse.pre is not None and synapse.post.kind != "pools":
            self.counted[1][synapse.post.layer][self.step - 1] += abs(count)

    def pool(self, body, pre, sign):
        """[(sign, member)] that a pool unit sends where its extreme changes (section 10)."""
        body.sums[id(pre)] = body.sums.get(id(pre), 0) + sign
        return self.changed(body)

    def changed(self, body):
        """[(sign, member)] of a pool unit, by the sums that it has heard."""
        extreme = min if body.cell.least else max
        found = extreme(body.sums.get(id(member), 0) for member in body.cell.heard)
        change, body.net = found - body.net, found
        return members(change)

    def touch(self, body, dt, ticks):
        """Decay over dt ticks (section 13); the readout and pools do not leak."""
        whole, rest = divmod(dt, ticks)
        for name, leak in zip(("v", "a"), self.model.leak):
            if leak == 1 or body.cell.kind != "fires":
                continue
            for d in [ticks] * whole + [rest] * (rest > 0):
                f = round(leak ** (d / ticks) * 2.0**30)
                setattr(body, name, (getattr(body, name) * f + 2**29) >> 30)

    def end_step(self):
        """The readout is taken."""
        self.readout.append([body.v for body in self.rows[-1]])

    def clocked(self, at_once=False):
        """Runs in clocked time (section 5). at_once: the readout is charged as spikes come."""
        for step in range(1, self.steps + 1):
            self.step = step
            drive = self.drive(step)
            self.moved = step if any((drive or {}).values()) else self.moved
            for key, body in self.bodies.items():
                body.heard = self.zero if drive is None else drive.get(key, self.zero)
            for when, _, synapses, sign in self.events:
                if when == step:
                    self.moved = step
                    for synapse in synapses:
                        self.bodies[id(synapse.post)].heard += sign * synapse.weight
            for row in self.rows:
                for body in row:
                    if at_once:
                        self._charge_readout()
                    self._send(body, self._turn(body))
            self.end_step()
        return self

    def _charge_readout(self):
        for body in self.rows[-1]:
            body.v, body.heard = body.v + body.heard, self.zero

    def _turn(self, body):
        """A neuron's turn in a step: what it sends."""
        if body.cell.kind == "pools":
            return self.changed(body)
        if self.step > 1:
            self.touch(body, 1, 1)
        body.v, body.heard = body.v + body.heard, self.zero
        return self.fire(body)[1] if body.cell.kind == "fires" else []

    def _send(self, body, sent):
        for sign, member in sent:
            self.note(body, sign, member)
        total = sum(sign for sign, _ in sent)
        for synapse in body.cell.synapses if total else ():
            self.operate(synapse, total)
            post = self.bodies[id(synapse.post)]
            if post.cell.kind == "pools":
                post.sums[id(body.cell)] = post.sums.get(id(body.cell), 0) + total
            else:
                post.heard += total * synapse.weight


class TwoStages(Run):
    """A model that hears everything before it fires by chance (TPP, section 13): the same spikes
    in clocked and in asynchronous time.
    """

    def run(self):
        """The whole run; the readout is that of the last step alone."""
        for step in range(1, self.steps + 1):
            for key, charge in (self.drive(step) or {}).items():
                self.bodies[key].v += charge
        for _, _, synapses, sign in self.events:
            for synapse in synapses:
                self.bodies[id(synapse.post)].v += sign * synapse.weight
        depths = self._depths()
        for g in range(1, max(depths) + 1):
            for step in range(1, self.steps + 1):
                self.step = step
                for depth, row in zip(depths, self.rows):
                    for body in row if depth == g else ():
                        if body.cell.kind == "fires":
                            self._by_chance(body)
        self.moved = self.steps
        self.end_step()
        return self

    def _depths(self):
        """The longest path to each layer; a pool has its source's."""
        depths = []
        for layer, kind in enumerate(self.net.kinds):
            heard = [
                depths[source]
                for source in range(layer)
                for cell in self.net.layers[source]
                if any(synapse.post.layer == layer for synapse in cell.synapses)
            ]
            depths.append(max(heard, default=0) + (kind != "pools"))
        return depths

    def _by_chance(self, body):
        cell, left = body.cell, self.steps - self.step + 1
        h = chained(self.model.seed, self.image, cell.layer, cell.number, self.step)
        if (h >> 11) * 2.0**-53 < float(body.v) / (float(self.numbers.one) * left):
            body.v -= self.numbers.one
            body.net += 1
            self._hear(body, 1)

    def _hear(self, body, sign):
        self.note(body, sign, 1)
        for synapse in body.cell.synapses:
            self.operate(synapse)
            post = self.bodies[id(synapse.post)]
            if post.cell.kind == "pools":
                for change, _ in self.pool(post, body.cell, sign):
                    self._hear(post, change)
            else:
                post.v += sign * synapse.weight


def members(count):
    """[(sign, member)] of so many net spikes of one evaluation."""
    sign = 1 if count > 0 else -1
    return [(sign, member) for member in range(1, abs(count) + 1)]
