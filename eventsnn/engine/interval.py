"""The ends of what may arrive, where of each source only an interval of spike counts is known."""

from eventsnn.engine.jit import kernel


@kernel
def add_end(p, r, row, ci, co, blocks, up, down, out):
    """out[n, r, :] += the most that down <= x <= up [n, p, :] can bring through the block at `row`,
    tap by tap; int64 throughout.

    Each source stands at `up` where its weight is positive, else at `down`; with the two exchanged
    it is the least.
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
