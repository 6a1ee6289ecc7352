"""Images: sets of them in the formats that people have, and the bundled ones."""

from eventsnn.data.images import Images, check_images, load_images, pixel_range

__all__ = ["Images", "check_images", "load_images", "pixel_range"]
