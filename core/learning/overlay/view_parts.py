"""Which part of an image is predicted ahead of the rest: what is on the screen of a large one. Torch-free."""

from __future__ import annotations

from typing import Final

from core.images.upright import Box

LARGE_PIXELS: Final = 1 << 21
"""Smaller images are predicted at once: that takes a second or two on a CPU."""
MOST_SHARE: Final = 0.5
"""A view of more than this share of an image gains too little by going ahead."""


def clipped(box: Box, size_hw: tuple[int, int]) -> Box | None:
    """What of a box lies inside an image; None: nothing."""
    x0, y0, x1, y1 = box
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(size_hw[1], x1), min(size_hw[0], y1)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def is_large(size_hw: tuple[int, int]) -> bool:
    """Whether predicting an image of this size takes long enough for its parts to matter."""
    return size_hw[0] * size_hw[1] >= LARGE_PIXELS


def part_ahead(view: Box | None, size_hw: tuple[int, int]) -> Box | None:
    """The part of an image of this size to predict ahead of the rest; None where that does not pay.

    Args:
        view: what is on the screen, x0, y0, x1, y1 in pixels of the image; None: not known.
        size_hw: of the image.
    """
    part = None if view is None or not is_large(size_hw) else clipped(view, size_hw)
    if part is None:
        return None
    x0, y0, x1, y1 = part
    return part if (x1 - x0) * (y1 - y0) <= MOST_SHARE * size_hw[0] * size_hw[1] else None
