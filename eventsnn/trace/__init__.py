"""What was recorded of an image, event by event, and the questions that one asks of it."""

from eventsnn.trace.files import TraceFile
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import Recorder, Trace, record

__all__ = ["Recorder", "Trace", "TraceFile", "read_trace", "record"]
