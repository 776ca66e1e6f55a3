"""Where to work next, in the engine's spare moments: how useful images are, which labels look wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from core.errors import MaskloopError, UsageError
from core.images.pyramid import PYRAMIDS
from core.learning.commands import AuditLabels, RateImages
from core.learning.events import Event
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import LabelStore
from core.learning.overlay.audit import LabelAuditor
from core.learning.overlay.overlay import OverlayWeights
from core.learning.overlay.usefulness import UsefulnessRater
from core.learning.overlay.viewer import AnswersFailure
from core.project.layout import ProjectLayout

AUDIT_SHARE: Final = 0.5
"""Of the time while a run trains: somebody waits for an audit."""
AUDIT_TURN_S: Final = 1.0
"""What an audit may take at a time while a run trains; a command ends the turn sooner."""
MOST_OWED_S: Final = 5.0
"""Of its share, what an audit may still take later, after a validation say."""
READ_ANEW: Final = "the labels were read anew, and the audit of the old ones was given up; audit again"


class Guide:
    """Rater and auditor, in turn.

    Args:
        send: passes an event to the window.
        fail: answers what went wrong.
        overlay: whose opinion counts for usefulness.
        instant: whose learner judges labels.
        clock: monotonic, seconds.
        interrupted: whether something waits that goes before an audit's next piece.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        fail: AnswersFailure,
        overlay: OverlayWeights,
        instant: LiveInstant,
        clock: Callable[[], float] = time.monotonic,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fail = fail
        self._rater = UsefulnessRater(send, overlay, instant, clock)
        self._auditor = LabelAuditor(send, instant, overlay.held_out_judge, interrupted)
        self._clock = clock
        self._interrupted = interrupted
        self._root: Path | None = None
        self._store: LabelStore | None = None
        self._audit_left_s: float | None = None
        self._audit_may_take_s = 0.0

    def follow(self, root: Path, store: LabelStore) -> None:
        """These labels, read anew: an audit of what they were is over."""
        self._root, self._store = root, store
        self._rater.quick_looks.pyramids = ProjectLayout(root).cache / PYRAMIDS
        if self._auditor.busy:
            self._fail("AuditLabels", MaskloopError(READ_ANEW))
        self._auditor.cancel()

    def forget(self) -> None:
        """No project is open: nobody waits for the answers."""
        self._rater.clear()
        self._auditor.cancel()
        self._root = self._store = None

    def handle(self, command: RateImages | AuditLabels) -> None:
        """Do one command.

        Raises:
            UsageError: no project is open.
            MaskloopError: the bundled encoder cannot be used.
        """
        match command:
            case RateImages():
                self._rater.consider(command.images)
            case AuditLabels(on=True):
                if self._store is None or self._root is None:
                    raise UsageError("no project is open; open a folder of images first")
                self._auditor.begin(self._store, self._root, command.number)
            case AuditLabels():
                self._auditor.cancel()
            case _:
                assert_never(command)

    def tick(self, *, training: bool) -> bool:
        """Do one piece of work; False when there is none, or a run has to have its turn first."""
        if self._auditor.busy:
            return self._audit(training=training)
        try:
            return self._rater.tick(self._store, training=training)
        except MaskloopError:
            return True  # what cannot be predicted with is told where the person looks at an image
        except Exception as error:  # noqa: BLE001 - without it everything else still works
            self._fail("RateImages", error)
            return True

    def _audit(self, *, training: bool) -> bool:
        """One piece of the audit; beside a run as many as make up for what the run has had since."""
        if not training:
            self._audit_left_s, self._audit_may_take_s = None, 0.0
            self._audit_piece()
            return True
        started_s = self._clock()
        had_s = 0.0 if self._audit_left_s is None else started_s - self._audit_left_s
        self._audit_may_take_s += had_s * AUDIT_SHARE / (1.0 - AUDIT_SHARE)
        self._audit_may_take_s = min(self._audit_may_take_s, MOST_OWED_S)
        now_s = started_s
        while self._auditor.busy and self._audit_may_take_s >= 0.0 and now_s - started_s < AUDIT_TURN_S:
            self._audit_piece()
            before_s, now_s = now_s, self._clock()
            self._audit_may_take_s -= now_s - before_s
            if self._interrupted():
                break
        self._audit_left_s = now_s
        return True

    def _audit_piece(self) -> None:
        try:
            self._auditor.tick()
        except Exception as error:  # noqa: BLE001 - the audit is over; the engine goes on
            self._fail("AuditLabels", error)
