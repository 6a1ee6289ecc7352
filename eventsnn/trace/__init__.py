"""What was recorded of an image, event by event, and the questions that one asks of it."""

from eventsnn.trace.files import TraceFile
from eventsnn.trace.reading import read_trace
from eventsnn.trace.stored import open_trace
from eventsnn.trace.trace import Recorder, Trace, record

__all__ = ["Recorder", "Trace", "TraceFile", "open_trace", "read_trace", "record"]
