"""What is under the mouse, for the status bar: pixel, value, drawn class, predicted class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from app.canvas.view import CanvasView
from app.learning.controller import LearningController
from app.learning.region_of_prediction import at
from app.learning.score_words import is_tested
from app.session.session import Session
from app.session.state import CurrentImage
from app.status_bar import StatusBar
from app.wiring.label_mask import LabelMask
from core.images.upright import Box
from core.learning.events import Prediction


class PointerInfo(QObject):
    """Follows the mouse over the canvas."""

    def __init__(
        self,
        session: Session,
        controller: LearningController,
        canvas: CanvasView,
        mask: LabelMask,
        status: StatusBar,
    ) -> None:
        super().__init__(canvas)
        self._session = session
        self._mask = mask
        self._status = status
        self._canvas = canvas
        self._predicted: NDArray[np.uint8] | None = None
        self._confidence: NDArray[np.uint8] | None = None
        self._region: Box | None = None
        self._tested = False
        canvas.cursor_moved.connect(self._refresh)
        canvas.cursor_left.connect(self._refresh)
        canvas.zoom_changed.connect(self._refresh)
        for scroll_bar in (canvas.horizontalScrollBar(), canvas.verticalScrollBar()):
            scroll_bar.valueChanged.connect(self._refresh)
        mask.changed.connect(self._refresh)
        controller.prediction_changed.connect(self._on_prediction_changed)

    def _on_prediction_changed(self, prediction: Prediction | None) -> None:
        self._tested = prediction is not None and is_tested(prediction)
        self._region = None if prediction is None else prediction.region
        self._predicted = None if prediction is None else prediction.classes.unpack()
        self._confidence = None if prediction is None else prediction.confidence.unpack()
        self._refresh()

    def _refresh(self, *_moved: float) -> None:
        current = self._session.current
        size_hw = None if current is None else current.size_hw
        at = self._canvas.under_mouse()
        if at is None or current is None or size_hw is None:
            self._status.clear_position()
            return
        x, y = int(np.floor(at.x())), int(np.floor(at.y()))
        if not (0 <= x < size_hw[1] and 0 <= y < size_hw[0]):
            self._status.clear_position()
            return
        classes = self._session.classes
        self._status.set_position(x, y, _value_at(current, x, y))
        drawn = self._mask.class_at(x, y)
        self._status.set_label(None if drawn is None else classes.by_index(drawn))
        self._tell_predicted(x, y)

    def _tell_predicted(self, x: int, y: int) -> None:
        if self._predicted is None or self._confidence is None:
            self._status.set_predicted(None)
            return
        index, confidence = (at(maps, self._region, x, y) for maps in (self._predicted, self._confidence))
        if index is None or confidence is None:
            self._status.set_predicted(None)
        else:
            found = self._session.classes.by_index(index)
            self._status.set_predicted(found, confidence / 255 if self._tested else None)


def _value_at(current: CurrentImage, x: int, y: int) -> str:
    """What to say of a pixel; nothing where a huge image's tile is not in memory."""
    if current.pyramid is not None:
        value = current.pyramid.pixel(x, y)
        return "" if value is None else value_text(*value)
    assert current.image is not None
    color = current.image.pixelColor(x, y)
    return value_text(color.red(), color.green(), color.blue())


def value_text(red: int, green: int, blue: int) -> str:
    """Grey as one number, colours as three."""
    return f"value {red}" if red == green == blue else f"value {red}, {green}, {blue}"
