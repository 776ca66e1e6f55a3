"""Where to work next, in the engine's spare moments: how useful images are, which labels look wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from core.errors import MaskloopError, UsageError
from core.learning.audit import LabelAuditor
from core.learning.commands import AuditLabels, RateImages
from core.learning.data import LabelStore
from core.learning.events import Event
from core.learning.instant.live import LiveInstant
from core.learning.overlay import OverlayWeights
from core.learning.usefulness import UsefulnessRater
from core.learning.viewer import AnswersFailure

AUDIT_SHARE: Final = 0.5
"""Of the time while a run trains: somebody waits for an audit."""


class Guide:
    """Rater and auditor, in turn.

    Args:
        send: passes an event to the window.
        fail: answers what went wrong.
        overlay: whose opinion counts for usefulness.
        instant: whose learner judges labels.
        clock: monotonic, seconds.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        fail: AnswersFailure,
        overlay: OverlayWeights,
        instant: LiveInstant,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fail = fail
        self._rater = UsefulnessRater(send, overlay, instant, clock)
        self._auditor = LabelAuditor(send, instant)
        self._clock = clock
        self._root: Path | None = None
        self._store: LabelStore | None = None
        self._not_before_s = float("-inf")

    def follow(self, root: Path, store: LabelStore) -> None:
        """These labels, read anew: an audit of others is over."""
        if root != self._root:
            self._rater.clear()
        self._root, self._store = root, store
        self._auditor.cancel()

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
                self._auditor.begin(self._store, self._root)
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
        started_s = self._clock()
        if training and started_s < self._not_before_s:
            return False
        try:
            self._auditor.tick()
        except Exception as error:  # noqa: BLE001 - the audit is over; the engine goes on
            self._fail("AuditLabels", error)
        ended_s = self._clock()
        self._not_before_s = ended_s + (ended_s - started_s) * (1.0 - AUDIT_SHARE) / AUDIT_SHARE
        return True
