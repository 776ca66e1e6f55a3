"""Predicted regions become shapes of the current image: found in a worker, drawn here, undoable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.learning.overlay_words import ONLY_SHOWN, no_prediction
from app.learning.prediction_shapes import accepting, shapes_of_all, shapes_of_region
from app.learning.shown_prediction import ShownPrediction
from app.workers.tasks import TaskRunner
from core.annotation.document import AnnotationDocument
from core.annotation.model import ClassList, Shape

if TYPE_CHECKING:
    from app.session.session import Session


class Accepting(QObject):
    """Turns what is shown over the current image into shapes; says why where it cannot.

    Args:
        session: whose current image is drawn on.
        worker: finds the outlines.
        shown: what is predicted of it.

    Attributes:
        absence: why there is no prediction, or what helps; asked where one is missing.
    """

    def __init__(
        self, session: Session, worker: TaskRunner, shown: ShownPrediction, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._worker = worker
        self._shown = shown
        self.absence: Callable[[], str] = str

    def accept_region(self, x: int, y: int, label: str | None = None) -> None:
        """Make the region at a pixel a shape, with this label instead of the predicted one."""
        self._accept(partial(shapes_of_region, x=x, y=y, label=label, partly=self._shown.partly))

    def accept_all(self) -> None:
        """Make every region a shape; undone in one step."""
        if self._shown.partly:
            self._session.message.emit("The rest of this image is still being predicted.", "info")
            return
        self._accept(shapes_of_all)

    def _accept(self, vectorise: Callable[..., tuple[Shape, ...]]) -> None:
        current, prediction = self._session.current, self._shown.prediction
        if current is None or current.document is None:
            return
        if prediction is None:
            self._session.message.emit(no_prediction(self.absence()), "info")
            return
        if prediction.region is not None:
            self._session.message.emit(ONLY_SHOWN, "info")
            return
        if current.size_hw not in (None, prediction.classes.size_hw):
            text = "The prediction is of another size than the image; wait for a new one."
            self._session.message.emit(text, "info")
            return
        document, classes = current.document, self._session.classes
        self._shown.keep()
        task = self._worker.run(
            vectorise,
            prediction.classes.unpack(),
            document.snapshot(),
            classes,
            doing="accepting a prediction",
            priority=1,
        )
        task.done.connect(partial(self._on_shapes, document, document.revision, classes))
        task.failed.connect(self._on_failed)

    def _on_shapes(
        self, document: AnnotationDocument, revision: int, classes: ClassList, shapes: tuple[Shape, ...]
    ) -> None:
        current = self._session.current
        if current is None or current.document is not document:
            text = "The prediction was not accepted because another image was opened meanwhile."
            self._session.message.emit(text, "info")
            return
        if document.revision != revision:
            self._session.message.emit("Something was drawn meanwhile; accept the prediction again.", "info")
            return
        called = {each.index: each.name for each in self._session.classes}
        if any(called.get(each.index) != each.name for each in classes):
            self._session.message.emit("The classes changed meanwhile; accept the prediction again.", "info")
            return
        self._session.execute(accepting(document, shapes))

    def _on_failed(self, sentence: str) -> None:
        self._session.message.emit(sentence, "info")
