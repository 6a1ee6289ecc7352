"""All benchmarks, one after the other: clocked.py, event.py, orders.py and scaling.py with the same
network, images and T.

    python tests/benchmarks/all.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8

Without --limit each takes the number of images that it takes by itself. What is not installed is
left out, and the tables say so.
"""

import sys

import clocked
import event
import measuring
import orders
import scaling


def main(argv=None):
    """Returns the first exit status that is not 0."""
    argv = sys.argv[1:] if argv is None else argv
    measuring.options(__doc__).parse_args(argv)
    every = (clocked, event, orders, scaling)
    return next(filter(None, (benchmark.main(argv) for benchmark in every)), 0)


if __name__ == "__main__":
    sys.exit(main())
