"""The engine's one folder of images to predict, between more urgent work.

While a run trains, both take turns, so that the folder has a quarter of the time; what the person looks at
goes before both. Between two passes of the network everything else has its chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, Literal

from core.learning.commands import HoldFolder, PredictFolder
from core.learning.events import Event, FolderEnded, FolderProblem, FolderProgress, Notice
from core.learning.prediction.folder_prediction import FolderPrediction, ImageDone

SHARE_BESIDE_TRAINING: Final = 0.25
REPORT_S: Final = 0.2
"""Between two reports, at least."""


class FolderHost:
    """Holds at most one job.

    Args:
        send: passes an event to the window.
        clock: monotonic, seconds.
    """

    def __init__(self, send: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._work: FolderPrediction | None = None
        self._number = 0
        self._steps: Iterator[ImageDone | None] = iter(())
        self._held = False
        self._held_s = 0.0
        self._held_since = 0.0
        self._not_before_s = float("-inf")
        self._reported_s = float("-inf")

    @property
    def busy(self) -> bool:
        """There is a job, and it is not held."""
        return self._work is not None and not self._held

    def handle(self, command: PredictFolder | HoldFolder) -> None:
        """Begin, hold, go on with or give up a job.

        Raises:
            MaskloopError: its weights or the folder of results cannot be used.
        """
        if isinstance(command, PredictFolder):
            self.close()
            self._number = command.number
            try:
                self._begin(command)
            except Exception as error:
                self._send(FolderEnded(number=command.number, reason="failed", problem=str(error)))
                raise
        elif command.wanted == "cancel":
            self._end("cancelled")
        else:
            self._hold(command.wanted == "hold")

    def tick(self, *, training: bool) -> bool:
        """Do one piece of work; False when none is due.

        Args:
            training: a run goes on: the folder waits for its turn.

        Raises:
            MaskloopError: the job has to end.
        """
        work = self._work
        if work is None or self._held:
            return False
        started_s = self._clock()
        if training and started_s < self._not_before_s:
            return False
        try:
            image = next(self._steps)
        except StopIteration:
            self._end("done")
            return True
        except Exception as error:
            self._end("failed", str(error))
            raise
        taken_s = self._clock() - started_s
        self._not_before_s = self._clock() + taken_s * (1 / SHARE_BESIDE_TRAINING - 1)
        if image is not None and image.problem:
            self._send(FolderProblem(number=self._number, path=str(image.path), text=image.problem))
        if self._clock() >= self._reported_s + REPORT_S:
            self._report(image)
        return True

    def close(self) -> None:
        """The process ends, or another job comes: the present one can be gone on with."""
        self._steps = iter(())  # first of all: an image that is half predicted is given up
        if self._work is not None:
            self._work.close()
            self._work = None

    # --- inside -------------------------------------------------------------------------------------------

    def _begin(self, command: PredictFolder) -> None:
        self._held, self._held_s = command.held, 0.0
        self._held_since = self._clock()
        self._not_before_s = self._reported_s = float("-inf")
        self._work = FolderPrediction(command.job, notify=self._tell, clock=self._working_s)
        self._steps = self._work.steps()
        if self._held:
            self._report(None)

    def _hold(self, held: bool) -> None:
        if self._work is None or held == self._held:
            return
        if held:
            self._held_since = self._clock()
        else:
            self._held_s += self._clock() - self._held_since
        self._held = held
        self._report(None)

    def _working_s(self) -> float:
        """A clock that stands while the job is held."""
        now_s = self._held_since if self._held else self._clock()
        return now_s - self._held_s

    def _end(self, reason: Literal["done", "cancelled", "failed"], problem: str = "") -> None:
        work = self._work
        if work is None:
            return
        self._report(None)
        self.close()
        counts = work.outcomes
        self._send(
            FolderEnded(
                number=self._number,
                reason=reason,
                predicted=counts["predicted"],
                known=counts["known"],
                failed=counts["failed"],
                problem=problem,
            )
        )

    def _report(self, image: ImageDone | None) -> None:
        work = self._work
        if work is None:
            return
        self._reported_s = self._clock()
        self._send(
            FolderProgress(
                number=self._number,
                done=work.done,
                total=work.total,
                known=work.outcomes["known"],
                failed=work.outcomes["failed"],
                images_per_s=work.images_per_s,
                seconds_left=work.seconds_left,
                image="" if image is None else image.path.name,
                held=self._held,
            )
        )

    def _tell(self, text: str, progress: float | None) -> None:
        self._send(Notice(text=text, progress=progress))
