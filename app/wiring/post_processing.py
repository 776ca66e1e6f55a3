"""Post-processing joined: what is chosen in the panel goes to the engine, which does it to what it shows.

::

    panel --PostProcess--> engine: the watched image is predicted anew --Prediction--> overlay, accepting
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication

from app.panels.headings import TabbedPanels
from app.panels.post_processing import PostPanel
from app.wiring.part import Common, Wiring
from core.errors import UsageError
from core.learning.commands import PostProcess
from core.postprocess.pipeline import Pipeline

if TYPE_CHECKING:
    from core.learning.events import Prediction

SEND_AFTER_MS: Final = 250
"""A number that is being typed or turned is not computed at every step."""
NEXT: Final = "It is done to the next prediction."
COMPUTING: Final = "Computing …"
NOT_DONE: Final = "This image is shown as the network sees it."


class PostWiring(Wiring):
    """Remembers the choice for each project; off until a person switches something on.

    Args:
        common: of its actions `train.post_process`, which shows the panel.
        panel: a tab of `tabs`.
    """

    def __init__(self, common: Common, *, panel: PostPanel, tabs: TabbedPanels) -> None:
        super().__init__(common, panel)
        self._panel = panel
        self._tabs = tabs
        self._sent = Pipeline()
        self._version_then = 0
        self._timer = QTimer(self, singleShot=True, interval=SEND_AFTER_MS)
        self._timer.timeout.connect(self._send)
        self._actions["train.post_process"].triggered.connect(self._open)
        panel.pipeline_changed.connect(self._on_pipeline_changed)
        panel.copy_requested.connect(self._on_copy)
        self._session.project_changed.connect(self._on_project_changed)
        self._session.classes_changed.connect(self._on_classes_changed)
        self._controller.prediction_changed.connect(self._tell)
        self._controller.engine_state_changed.connect(self._on_engine_state)
        self._on_project_changed()

    @property
    def pipeline(self) -> Pipeline:
        """What is chosen."""
        return self._panel.pipeline

    def close(self) -> None:
        """End what is under way."""
        self._timer.stop()
        super().close()

    def _open(self) -> None:
        self._tabs.show_panel(self._panel)

    def _on_project_changed(self) -> None:
        project = self._session.project
        if project is None:
            return
        try:
            pipeline = Pipeline.parsed(self._settings.post_processing(project.root))
        except UsageError:  # of another version of the program
            pipeline = Pipeline()
        self._panel.set_pipeline(pipeline)  # sent with the project's classes, which follow

    def _on_classes_changed(self) -> None:
        if self._session.project is None:
            return  # the next one says what is wanted
        self._panel.set_background(self._session.classes.background is not None)
        self._send()

    def _on_pipeline_changed(self, _pipeline: Pipeline) -> None:
        project = self._session.project
        if project is not None:
            self._settings.set_post_processing(project.root, str(self._panel.pipeline))
        self._timer.start()
        self._tell()

    def _send(self) -> None:
        self._timer.stop()
        pipeline = self._panel.pipeline
        if pipeline != self._sent:
            self._sent = pipeline
            shown = self._controller.prediction
            self._version_then = 0 if shown is None else shown.weights_version
            self._trainer.send(PostProcess(steps=str(pipeline)))
        self._tell()

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if state == "ready":
            self._version_then = 0  # a new engine counts weights from 1 again

    def _on_copy(self) -> None:
        text = str(self._panel.pipeline)
        QGuiApplication.clipboard().setText(text)
        self._session.message.emit(f'Copied: --post "{text}"', "info")

    def _tell(self, _prediction: Prediction | None = None) -> None:
        self._panel.set_note(self._words())

    def _words(self) -> str:
        wanted, shown = str(self._panel.pipeline), self._controller.prediction
        if shown is None:
            return NEXT if wanted else ""
        if shown.post == wanted:
            return f"Shown, {shown.seconds:.1f} s with the prediction." if wanted else ""
        if wanted and not shown.post and shown.weights_version > self._version_then:
            return NOT_DONE  # a message has said why
        return COMPUTING
