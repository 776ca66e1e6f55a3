"""Points an area of the image out: its outline glows for a moment and then stays until it is cleared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QAbstractAnimation, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QTransform

from app.canvas.outlines import Box
from app.canvas.painting import path_of_rings
from core.annotation.model import Points

if TYPE_CHECKING:
    from app.canvas.tool_view import ToolView

SHOWN_MS: Final = 2400
_GLOWS: Final = 0.55
"""Share of that time before it begins to fade."""
_RESTS: Final = 0.5
"""How strong what stays is; it glows at 1."""
_MARGIN: Final = 8.0


class Spotlight:
    """One area at a time; another one takes its place."""

    def __init__(self, view: ToolView) -> None:
        self._view = view
        self._path = QPainterPath()
        self._around = QPainterPath()
        self._strength = 0.0
        self._fading = QVariantAnimation(view)
        self._fading.setDuration(SHOWN_MS)
        self._fading.setStartValue(1.0)
        self._fading.setKeyValueAt(_GLOWS, 1.0)
        self._fading.setEndValue(_RESTS)
        self._fading.valueChanged.connect(self._on_value)
        self._fading.finished.connect(self._on_rest)

    @property
    def box(self) -> Box | None:
        """What is pointed out, image pixels; None: nothing."""
        if self._path.isEmpty():
            return None
        rect = self._path.boundingRect()
        return rect.left(), rect.top(), rect.right(), rect.bottom()

    def show(self, rings: Sequence[Points], around: Sequence[Points] = ()) -> None:
        """Point out what these rings, in image pixels, enclose.

        Args:
            rings: of the area.
            around: of a larger one that it belongs to, drawn dashed while it glows.
        """
        self.clear()
        self._path, self._around = path_of_rings(rings), path_of_rings(around)
        self._strength = 1.0
        self._repaint()
        self._fading.start()

    def clear(self) -> None:
        """Point out nothing."""
        self._repaint()
        self._path, self._around = QPainterPath(), QPainterPath()
        self._strength = 0.0
        if self._fading.state() != QAbstractAnimation.State.Stopped:
            self._fading.stop()

    def paint(self, painter: QPainter, to_viewport: QTransform) -> None:
        """Draw it; the painter's coordinates are viewport pixels."""
        if self._path.isEmpty():
            return
        shown, around = to_viewport.map(self._path), to_viewport.map(self._around)
        for color, width in (((0, 0, 0), 6.0), ((255, 255, 255), 2.5)):
            alpha = round((150 if color == (0, 0, 0) else 255) * self._strength)
            pen = QPen(QColor(*color, alpha), width * self._strength)
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            painter.strokePath(shown, pen)
            if not around.isEmpty():
                pen.setWidthF(width / 2)
                if color != (0, 0, 0):
                    pen.setDashPattern((4.0, 4.0))
                painter.strokePath(around, pen)

    def _on_value(self, strength: float) -> None:
        if strength != self._strength:
            self._strength = strength
            self._repaint()

    def _on_rest(self) -> None:
        self._repaint()
        self._around = QPainterPath()

    def _repaint(self) -> None:
        if not self._path.isEmpty():
            rect = self._path.boundingRect().united(self._around.boundingRect())
            self._view.update_box((rect.left(), rect.top(), rect.right(), rect.bottom()), _MARGIN)
