"""Offers to go on with training that was cut short: by a crash, a kill, or a window that was closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QAction

from app.learning.controller import LearningController
from app.panels.offer_strip import OfferStrip
from app.session.session import Session
from app.workers.tasks import Task, TaskRunner
from core.errors import MaskloopError
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import CutShort, decline, unfinished
from core.learning.training.fold_plan import unfinished_folds

if TYPE_CHECKING:
    from core.project.layout import ProjectLayout

RESUME: Final = "Resume"
AGAIN_MS: Final = 2000
"""Time between two looks at a run that another process holds."""
MOST_LOOKS: Final = 13
"""The engine of a window that was killed may hold its run for some 20 s: it notices, and saves."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Training that has not ended.

    Attributes:
        held: a process is at it still.
    """

    found: CutShort
    held: bool


class ResumeOffer(QObject):
    """Looks at a project's runs when it is opened, and whenever training has ended.

    A run that another process holds is looked at again for a while: its engine may be about to leave it.

    Args:
        session: says which project is open.
        controller: trains.
        strip: shows the offer.
        action: takes it as well, from the menu and the palette; enabled as long as there is one.

    Attributes:
        looked: the project's runs have been looked at.
    """

    def __init__(
        self, session: Session, controller: LearningController, strip: OfferStrip, action: QAction
    ) -> None:
        super().__init__(strip)
        self._session = session
        self._controller = controller
        self._strip = strip
        self._action = action
        self._runner = TaskRunner(1, self)
        self._looking: Task | None = None
        self._offered: CutShort | None = None
        self._looks = 0
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._look)
        self.looked = False
        action.setEnabled(False)
        action.triggered.connect(self.take)
        strip.taken.connect(self.take)
        strip.dismissed.connect(self._on_dismissed)
        session.project_changed.connect(self._on_project_changed)
        controller.training_state_changed.connect(self._on_training_state)

    def close(self) -> None:
        """End the worker."""
        self._again.stop()
        self._runner.close()

    @property
    def offered(self) -> CutShort | None:
        """The run that would be resumed."""
        return self._offered

    def take(self) -> None:
        """Go on with the run: with what is left of its steps or its time, from what was saved of it."""
        offered = self._offered
        if offered is None:
            return
        try:
            config = RunFolder(offered.path).config
        except MaskloopError as error:
            self._session.message.emit(str(error), "error")
            self._withdraw()
            return
        self._session.save_now()
        # The checkpoint knows what is left; the device is what the run had, unless it has gone.
        rest = replace(config, steps=None, seconds=None, device="auto")
        self._controller.train(rest, resume_run=str(offered.path))

    def _on_dismissed(self) -> None:
        offered = self._offered
        self._withdraw()
        if offered is not None:
            task = self._runner.run(decline, RunFolder(offered.path), doing="remembering your answer")
            task.failed.connect(self._on_failed)

    # --- when to look -------------------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        self._withdraw()
        self._look()

    def _on_training_state(self, state: str) -> None:
        if state == "idle":
            self._look()
        else:
            self._withdraw()

    def _look(self) -> None:
        project = self._session.project
        if project is None or self._controller.training_state != "idle":
            return
        self._looking = self._runner.run(
            look_for_unfinished, project.layout, doing="looking for training that was cut short"
        )
        self._looking.done.connect(self._on_looked)
        self._looking.failed.connect(self._on_failed)

    def _on_looked(self, seen: Unfinished | None) -> None:
        self.looked = True
        self._looks += 1
        if seen is None or self._controller.training_state != "idle":
            return
        if seen.held:
            if self._looks < MOST_LOOKS:
                self._again.start(AGAIN_MS)
            return
        self._offered = seen.found
        self._action.setEnabled(True)
        self._strip.offer(seen.found.sentence(), RESUME)

    def _on_failed(self, sentence: str) -> None:
        self._session.message.emit(sentence, "warning")

    def _withdraw(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._again.stop()
        self._looks = 0
        self._offered = None
        self.looked = False
        self._action.setEnabled(False)
        self._strip.hide()


def look_for_unfinished(layout: ProjectLayout) -> Unfinished | None:
    """Worker: the run, or cross-validation, of a project that should be offered to be resumed."""
    found = unfinished_folds(layout) or unfinished(layout.runs_by_time())
    return None if found is None else Unfinished(found, held=found.held_elsewhere())
