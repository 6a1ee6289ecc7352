"""Images: sets of them in the formats that people have, and the bundled ones."""

from eventsnn.data.accepting import Accepted, accept, labels_in
from eventsnn.data.images import Images, as_vectors, check_images, load_images
from eventsnn.data.ranges import range_of
from eventsnn.data.recordings import Recordings, load_events

__all__ = [
    "Accepted",
    "Images",
    "Recordings",
    "accept",
    "as_vectors",
    "check_images",
    "labels_in",
    "load_events",
    "load_images",
    "range_of",
]
