"""Images that are stored turned or mirrored: what the EXIF orientation does to sizes, boxes and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from core.images.reader import turned

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True, slots=True)
class Upright:
    """One orientation, 1..8; sizes are (height, width)."""

    orientation: int

    @property
    def sideways(self) -> bool:
        """Rows are stored as columns."""
        return self.orientation > 4

    @property
    def from_right(self) -> bool:
        """The corner that is stored first is on the right of the upright image."""
        return self.orientation in (2, 3, 6, 7)

    @property
    def from_below(self) -> bool:
        """The corner that is stored first is at the foot of the upright image."""
        return self.orientation in (3, 4, 7, 8)

    def size(self, stored_hw: tuple[int, int]) -> tuple[int, int]:
        """The upright size of what is stored so large."""
        return (stored_hw[1], stored_hw[0]) if self.sideways else stored_hw

    def pixels(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored pixels (H, W, ...) upright: a view."""
        return turned(stored, self.orientation)

    def stored_box(self, box: Box, upright_hw: tuple[int, int]) -> Box:
        """Where the pixels of an upright box are stored; `pixels` of them gives the box."""
        x0, y0, x1, y1 = box
        height, width = upright_hw
        if self.from_below:
            y0, y1 = height - y1, height - y0
        if self.from_right:
            x0, x1 = width - x1, width - x0
        return (y0, x0, y1, x1) if self.sideways else (x0, y0, x1, y1)

    def origin(self, level: int, level_hw: tuple[int, int], size_hw: tuple[int, int]) -> tuple[int, int]:
        """x, y of an upright level's corner in pixels of the upright image: 0, or a little less.

        Levels are halved from the corner that is stored first; where that is on the right or below, the
        pixels that fill up an odd level are on the left or above.
        """
        x = size_hw[1] - (level_hw[1] << level) if self.from_right else 0
        y = size_hw[0] - (level_hw[0] << level) if self.from_below else 0
        return x, y
