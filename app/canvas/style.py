"""Sizes and colours of what is drawn over an image. Lengths are logical screen pixels."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen

from core.annotation.model import BACKGROUND_LABEL, IGNORE_LABEL, ClassList

PICK_RADIUS: Final = 10.0
"""How near a click must be to a vertex, an edge or the first point (labelme's figure)."""
SNAP_RADIUS: Final = 8.0
"""How near a point must be to a neighbour's vertex or edge to snap to it."""
DRAG_START: Final = 4.0
"""A press becomes a drag after this way."""
HANDLE_RADIUS: Final = 4.5
MARGIN: Final = 16
"""Room around a fitted image, and how far one can scroll past its edge."""

FILL_ALPHA: Final = 64
SELECTED_FILL_ALPHA: Final = 96
HALO: Final = QColor(0, 0, 0, 110)
"""Dark rim under coloured lines: keeps them apart from an image of their own colour."""
HANDLE_FILL: Final = QColor(255, 255, 255)
HANDLE_RIM: Final = QColor(25, 25, 25)
HANDLE_HOT: Final = QColor(255, 196, 0)
"""The vertex under the cursor, or selected."""

UNKNOWN_COLOR: Final = QColor("#9aa0a6")
FRESH_COLOR: Final = QColor("#35c2ff")
"""What is drawn while no class is active."""
IGNORE_COLOR: Final = QColor("#d0d0d0")


class ClassColors:
    """Colour of a label, looked up by name once per label.

    Args:
        classes: the project's classes. Labels they do not have are grey.
    """

    def __init__(self, classes: ClassList) -> None:
        self._by_label = {label_class.name: QColor(label_class.color) for label_class in classes}
        self._by_label[IGNORE_LABEL] = IGNORE_COLOR
        background = classes.by_name(BACKGROUND_LABEL)
        if background is not None:
            self._by_label.setdefault(BACKGROUND_LABEL, QColor(background.color))

    def of(self, label: str) -> QColor:
        """The colour shapes of this label are drawn in."""
        return self._by_label.get(label, UNKNOWN_COLOR)


def line_pen(color: QColor, width: float) -> QPen:
    """A pen whose width does not grow with the zoom."""
    pen = QPen(color, width)
    pen.setCosmetic(True)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen


def visible_line(color: QColor) -> QColor:
    """The colour for a line: a nearly black class colour is lifted so that its halo does not swallow it."""
    if color.lightness() >= 60:
        return color
    lifted = QColor(color)
    lifted.setHsl(max(color.hslHue(), 0), color.hslSaturation(), 110, color.alpha())
    return lifted
