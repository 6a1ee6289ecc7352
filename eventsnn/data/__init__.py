"""Images: sets of them in the formats that people have, and the bundled ones."""

from eventsnn.data.images import Images, as_vectors, check_images, load_images, pixel_range

__all__ = ["Images", "as_vectors", "check_images", "load_images", "pixel_range"]
