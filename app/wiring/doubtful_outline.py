"""The doubtful region that a person was led to stays outlined until it is dealt with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer

from app.canvas.outlines import mask_rings
from app.canvas.view import CanvasView
from app.session.session import Session
from core.annotation.model import AnnotationState
from core.learning.overlay.doubt_regions import LEAST_DOUBT, DoubtfulRegion

if TYPE_CHECKING:
    from core.annotation.model import Points


class DoubtfulOutline(QObject):
    """At most one region is outlined: until another one is, it is labelled, or nobody doubts it any more."""

    def __init__(self, session: Session, canvas: CanvasView) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._region: DoubtfulRegion | None = None
        self._places: tuple[tuple[int, int], ...] = ()
        self._look = QTimer(self, singleShot=True, interval=0)  # when the canvas has followed the document
        self._look.timeout.connect(self._clear_if_labelled)
        session.document_changed.connect(self._on_document_changed)
        session.current_changed.connect(self.clear)

    def show(self, region: DoubtfulRegion, at: tuple[int, int], around: Sequence[Points] = ()) -> None:
        """Outline a region.

        Args:
            region: which one.
            at: its pixel that is pointed at: labelled there, it is dealt with.
            around: rings of what is predicted there, outlined for a moment.
        """
        corner = np.array(region.box[:2])
        self._canvas.spotlight.show([ring + corner for ring in mask_rings(region.mask)], around)
        self._region, self._places = region, (region.peak, at)

    def clear(self, _current: object = None) -> None:
        """Outline nothing."""
        if self._region is not None:
            self._region = None
            self._canvas.spotlight.clear()

    def follow(self, entropy: NDArray[np.uint8]) -> None:
        """A newer map (H, W), 0..255 for 0..1 bit, may not doubt the region any more."""
        if self._region is not None:
            x0, y0, x1, y1 = self._region.box
            if entropy[y0:y1, x0:x1][self._region.mask].mean() < 255 * LEAST_DOUBT:
                self.clear()

    def _on_document_changed(self, _change: object) -> None:
        if self._region is not None:
            self._look.start()

    def _clear_if_labelled(self) -> None:
        document = self._session.document
        if self._region is None or document is None:
            return
        labelled = any(self._canvas.context.index.covers(x + 0.5, y + 0.5) for x, y in self._places)
        if labelled or document.state is AnnotationState.DONE:
            self.clear()
