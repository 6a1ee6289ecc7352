"""Detection: boxes out of a readout that is a map, what is left of overlapping ones, and mAP.

head = eventsnn.detection.Head((64, 64), (8, 16), (20.0, 32.0), classes=10)
boxes = head.boxes(result.readout())
eventsnn.detection.mean_average_precision(boxes, truth, classes=10)
"""

from eventsnn.detection.boxes import Boxes
from eventsnn.detection.head import Head
from eventsnn.detection.precision import average_precision, mean_average_precision
from eventsnn.detection.scenes import Scenes, make_scenes

__all__ = [
    "Boxes",
    "Head",
    "Scenes",
    "average_precision",
    "make_scenes",
    "mean_average_precision",
]
