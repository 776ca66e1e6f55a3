"""What the parts that join panels with the program have in common: session and engine, and a worker."""

from __future__ import annotations

from dataclasses import dataclass, field

from PySide6.QtCore import QObject

from app.actions import Actions
from app.learning.controller import LearningController
from app.session.session import Session
from app.settings import Settings
from app.workers.tasks import TaskRunner
from app.workers.trainer_thread import TrainerThread


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """What every part of a window may need.

    Attributes:
        session: the open project.
        controller, trainer: what the engine says, and what it is told.
        actions: what a person can ask for.
        settings: what is remembered between starts.
        parts: those that are made of this, in order.
    """

    session: Session
    controller: LearningController
    trainer: TrainerThread
    actions: Actions
    settings: Settings
    parts: list[Wiring] = field(default_factory=list)


class Wiring(QObject):
    """Joins one concern of the window with session and engine; connects itself, and `close` ends its worker.

    The worker has no thread before it is given something to do.

    Args:
        common: what all of them share.
        parent: what it belongs to.
    """

    def __init__(self, common: Common, parent: QObject) -> None:
        super().__init__(parent)
        self._session = common.session
        self._controller = common.controller
        self._trainer = common.trainer
        self._actions = common.actions
        self._settings = common.settings
        self._runner = TaskRunner(1, self)
        common.parts.append(self)

    def close(self) -> None:
        """End the worker."""
        self._runner.close()
