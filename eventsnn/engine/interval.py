"""The ends of what may arrive, where of each source only an interval of spike counts is known."""

from __future__ import annotations

from eventsnn.engine.jit import kernel


@kernel
def add_end(p, r, row, ci, co, blocks, up, down, out):
    """Adds to `out` the most that sources between `down` and `up` can bring, tap by tap.

    Tap k adds to out[n, r[k], :] the largest product of the block at row[k] with any x, where
    down[n, p[k], :] <= x <= up[n, p[k], :]: each source stands at `up` where its weight is
    positive, else at `down`. With the two exchanged it is the least.

    p, r: integers [taps], source and target site of a tap. row: int64 [taps], where its block
    begins in `blocks`. ci, co: source and target channels of a group. blocks: int64, the weights.
    up, down: int64 [N, sites, channels], spike counts. out: int64 [N, sites, channels].
    """
    for tap in range(p.size):
        for c in range(up.shape[2]):
            start, to = row[tap] + c * co, c // ci * co
            for n in range(up.shape[0]):
                a, b = up[n, p[tap], c], down[n, p[tap], c]
                if a != 0 or b != 0:
                    for i in range(co):
                        w = blocks[start + i]
                        out[n, r[tap], to + i] += w * (a if w > 0 else b)
