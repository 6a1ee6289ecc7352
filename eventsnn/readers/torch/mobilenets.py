"""MobileNetV2 as torchvision has it: Sandler et al. (2018), table 2, of any width."""

from __future__ import annotations

from eventsnn.readers.torch.layout import Layout

# of each stage: how many blocks, and the stride of the first
STAGES = ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1))


class MobileNetV2(Layout):
    """A MobileNetV2. Parameters as those of `Layout`; its option is size."""

    def build(self) -> int:
        """Makes the nodes; returns the images' height and width."""
        self.notes.append("strides are torchvision's")
        self.relu = ("Clip", {"min": 0, "max": 6.0})
        self.layer("features.0.0", "features.0.1", "features.0.2", 2)
        number = 1
        for count, first in STAGES:
            for i in range(count):
                self._block(f"features.{number}", 1 if i else first)
                number += 1
        last = f"features.{number}"
        self.layer(f"{last}.0", f"{last}.1", f"{last}.2")
        self.pooled("classifier.1")
        return self.size(224)

    def _block(self, block: str, stride: int) -> None:
        """An inverted residual: expansion (but in the first), depthwise, and back to few."""
        start, inner, place = self.last, f"{block}.conv", 0
        expands = f"{inner}.1.0.weight" in self.keys
        first = self.weight(f"{inner}.0.0").shape
        if expands:
            self.layer(f"{inner}.0.0", f"{inner}.0.1", f"{inner}.0.2")
            place = 1
        deep = f"{inner}.{place}"
        channels = self.weight(f"{deep}.0").shape[0]
        self.layer(f"{deep}.0", f"{deep}.1", f"{deep}.2", stride, before=channels)
        self.layer(f"{inner}.{place + 1}", f"{inner}.{place + 2}")
        into = first[1] if expands else first[0]
        if stride == 1 and into == self.weight(f"{inner}.{place + 1}").shape[0]:
            self.add(f"{block}.add", "Add", inputs=[start, self.last])
