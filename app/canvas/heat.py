"""Uncertainty over the image as heat: clear where the network is sure, yellow to red where it doubts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage

from app.canvas.layer_cache import Frame
from app.canvas.overlay import paint_sampled

RAMP: Final = ((0.0, (255, 226, 92)), (0.5, (255, 140, 36)), (1.0, (226, 26, 84)))
"""Colours from sure to doubtful: lighter to darker, so that they are told apart without colour vision too."""
_CLEAR_BELOW: Final = 0.06
"""Bits: what every pixel has tints nothing."""
STRONGEST: Final = 0.6
"""Opacity of the greatest doubt at full strength. With more the image beneath could not be made out, and just
there a person has to see what is what."""


def heat_rgb(level: float) -> tuple[int, int, int]:
    """The colour of an uncertainty 0..1."""
    stops = [stop for stop, _ in RAMP]
    red, green, blue = (
        float(np.interp(level, stops, [color[channel] for _, color in RAMP])) for channel in range(3)
    )
    return round(red), round(green), round(blue)


def heat_strength(level: float) -> float:
    """How much of the heat's opacity an uncertainty 0..1 gets, 0..1: rises fast, for faint doubt counts."""
    return float(max(0.0, (level - _CLEAR_BELOW) / (1.0 - _CLEAR_BELOW)) ** 0.6)


class HeatLayer:
    """Draws an uncertainty map as an indexed picture.

    Attributes:
        uncertainty: (H, W) uint8, 0 (sure) to 255; None: nothing is known.
        visible: whether it is to be drawn at all.
    """

    margin = 0.0

    def __init__(self) -> None:
        self.uncertainty: NDArray[np.uint8] | None = None
        self.visible = False
        self._opacity = 0.7
        self._table: list[int] = []
        self.set_opacity(self._opacity)

    @property
    def opacity(self) -> float:
        """Of what is most doubtful, 0..1 of STRONGEST."""
        return self._opacity

    def set_opacity(self, opacity: float) -> None:
        """0 (invisible) to 1."""
        self._opacity = min(1.0, max(0.0, opacity))
        table = []
        for value in range(256):
            red, green, blue = heat_rgb(value / 255)
            alpha = round(255 * STRONGEST * self._opacity * heat_strength(value / 255))
            table.append(alpha << 24 | red << 16 | green << 8 | blue)
        self._table = table

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect`; see `layer_cache.Layer`."""
        if self.uncertainty is not None and self.visible and self._opacity > 0:
            paint_sampled(target, rect, frame, self.uncertainty, self._table)
