"""Where a run's words go, its progress bars, and what it says of its input."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TextIO

from tqdm import tqdm

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.exceptions import NOTE, in_flags, one_line, printable
from eventsnn.settings import Settings
from eventsnn.views.progress import bar


@dataclass
class Say:
    """Where words go.

    stream: where lines are printed, or None: nowhere. bars: whether progress may be shown, on a
    terminal.
    """

    stream: TextIO | None
    bars: bool

    def __call__(self, text: str = "") -> None:
        if self.stream and not put(text, self.stream):
            # nobody reads on, as in `… | head`; the results folder is still wanted
            self.stream = None

    def bar(self, total: int, label: str, there: int = 0) -> tqdm:
        """A progress bar, shown after two seconds; where there is no terminal, how long it takes.

        total: how many images there are. label: what happens to them. there: how many of them are
        done already.
        """
        return bar(total, "image", self.bars, desc=label, leave=False, initial=there)


def put(text: str, stream: TextIO) -> bool:
    """Prints a line to `stream`; returns whether somebody reads it.

    Raises OSError, with the name "standard output", where the stream cannot be written.
    """
    try:
        print(printable(text), file=stream)
        if hasattr(stream, "flush"):
            stream.flush()
    except BrokenPipeError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None
    return True


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream, which may be none, is a terminal."""
    return stream is not None and hasattr(stream, "isatty") and stream.isatty()


def describe_input(graph: Graph, images: Images, settings: Settings, say: Say) -> None:
    """Says what was found: layers, neurons, parameters, activations, preprocessing, images.

    graph, images: what was loaded. settings: whose limit is compared. say: where words go.
    """
    name = graph.meta.get("arch", "unnamed")
    accuracy = graph.meta.get("test_accuracy")
    said = "" if accuracy is None else f"; test accuracy {accuracy:.2%}, it says"
    size = f"{len(graph.nodes)} nodes, {graph.parameters:,} parameters"
    say(f"network: {name} from {graph.source}: {size}{said}")
    counts = Counter(node.op for node in graph.activations)
    kinds = ", ".join(f"{count} {op}" for op, count in counts.items()) or "none"
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    say(f"activations: {kinds}; {neurons:,} neurons")
    say(f"preprocessing: {in_flags(graph.preprocessing.words)}")
    if "note" in graph.meta:
        say(f"note: {one_line(graph.meta['note'], NOTE)}")
    shape = "x".join(map(str, images.pixels.shape[1:]))
    words = f"{len(images):,} of {images.name} ({images.split}), {shape} {images.pixels.dtype}"
    if images.labels is None:
        words += "; no labels, so no accuracy"
    classes = images.classes or graph.meta.get("classes", ())
    if classes:
        more = " …" if len(classes) > 10 else ""
        words += f"; classes {', '.join(classes[:10])}{more}"
    say(f"images: {words}")
    if settings.limit and len(images) < settings.limit:
        say(f"note: --limit asks for {settings.limit:,} images, there are {len(images):,}")
