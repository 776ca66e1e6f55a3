"""Says what of the image is on the screen, once the view has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.canvas.view import CanvasView

if TYPE_CHECKING:
    from app.session.session import Session

REST_MS: Final = 150
"""Without a move: scrolling and zooming come in many small steps."""


class ViewFeed(QObject):
    """Follows zoom, scroll bars and images.

    Signals:
        rested(object): the view, x0, y0, x1, y1 in pixels of the image; None where there is no image.
    """

    rested = Signal(object)

    def __init__(self, canvas: CanvasView, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._timer = QTimer(self, singleShot=True, interval=REST_MS)
        self._timer.timeout.connect(self._tell)
        canvas.zoom_changed.connect(self._on_moved)
        canvas.laid_out.connect(self._on_moved)
        for bar in (canvas.horizontalScrollBar(), canvas.verticalScrollBar()):
            bar.valueChanged.connect(self._on_moved)
            bar.rangeChanged.connect(self._on_moved)  # the window has another size
        session.current_changed.connect(self._on_moved)

    def stop(self) -> None:
        """Say no more."""
        self._timer.stop()

    def _on_moved(self, *_to: object) -> None:
        self._timer.start()

    def _tell(self) -> None:
        self.rested.emit(self._canvas.view_box)
