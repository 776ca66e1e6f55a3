"""What the engine shows: predictions of the image the person looks at, and of those asked for.

`schedule.py` says which image is due, `overlay.py` whose weights predict it; here both meet the labels and
the window.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from core.annotation.model import ClassList
from core.errors import MaskloopError, WeightsFileError
from core.learning.asking import InterruptedPredictionError
from core.learning.data import LabelStore
from core.learning.doubting import UncertaintyWork
from core.learning.events import Event, Notice, OverlayCompared
from core.learning.header import check_classes, gone_classes, read_header
from core.learning.instant.live import LiveInstant
from core.learning.overlay import OverlayWeights, SavedWeights
from core.learning.runs import RunFolder
from core.learning.schedule import PredictionSchedule, Target
from core.learning.state import TrainState
from core.learning.uncertainty import UncertaintySource
from core.postprocess.pipeline import Pipeline


class AnswersFailure(Protocol):
    """Tells the window what went wrong."""

    def __call__(self, during: str, error: Exception) -> None:
        """Raises DeviceLostError where there is no going on."""
        ...


class Viewer:
    """Predicts what is due, with the weights that are best to show.

    Args:
        send: passes an event to the window.
        fail: answers a prediction that cannot be made.
        must_give_way: whether something waits that should not wait for a slow prediction of this image
            (None: of none in particular).
        clock: monotonic, seconds.
        instant: has its say in what is shown.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        fail: AnswersFailure,
        must_give_way: Callable[[str | None], bool],
        clock: Callable[[], float],
        instant: LiveInstant | None = None,
    ) -> None:
        self._send = send
        self._fail = fail
        self._must_give_way = must_give_way
        self._clock = clock
        self._schedule = PredictionSchedule()
        self._overlay = OverlayWeights(send, instant)
        self._doubts = UncertaintyWork(send, self._overlay)

    def clear(self) -> None:
        """Another project: nothing is watched, no weights predict."""
        self._schedule = PredictionSchedule()
        self._doubts.clear()
        self._overlay.use_file(None)

    @property
    def overlay(self) -> OverlayWeights:
        """Whose weights predict what is shown."""
        return self._overlay

    # --- images -------------------------------------------------------------------------------------------

    def watch(self, target: Target | None) -> None:
        """Keep this image's prediction fresh from now on; None for no image."""
        before = self._schedule.watched
        if before is None or target is None or before.key != target.key:
            self._doubts.clear()
        self._schedule.watch(target)

    def want_uncertainty(self, *, wanted: bool, source: UncertaintySource = "tta") -> None:
        """Whether the watched image's uncertainty should come with its predictions, and from what."""
        other, self._doubts.source = source != self._doubts.source, source
        if wanted and (other or not self._doubts.wanted):
            self._schedule.weights_replaced()  # predicted once more, for what the learners think of it
        self._doubts.wanted = wanted
        if not wanted:
            self._doubts.clear()

    @property
    def pipeline(self) -> Pipeline:
        """What is done to every prediction at present."""
        return self._overlay.post.pipeline

    def process(self, pipeline: Pipeline) -> None:
        """Do this to every prediction from now on."""
        if pipeline != self._overlay.post.pipeline:
            self._overlay.post.pipeline = pipeline
            self._schedule.weights_replaced()

    def request(self, target: Target) -> None:
        """Predict this image once."""
        self._schedule.request(target)

    def labels_changed(self, key: str) -> None:
        """If this image is watched, show the next weights without delay."""
        self._schedule.labels_changed(key)

    def forget(self, key: str) -> None:
        """The image is gone."""
        self._schedule.forget(key)
        self._overlay.forget_image(key)

    # --- weights ------------------------------------------------------------------------------------------

    def show_run(self, run: TrainState) -> None:
        """A run begins: its weights are shown once they are as good as those shown now."""
        self._overlay.use_run(run)

    def show_what_is_kept(self, run: RunFolder) -> bool:
        """The run is over: its best weights predict, if they are the better ones; False if it left none."""
        if not run.best_weights.is_file():
            return False
        self._overlay.run_ended(SavedWeights.best_of(run))
        if not self._overlay.comparing:
            self._schedule.weights_replaced()
        return True

    def show_file(self, path: Path, classes: ClassList | None) -> None:
        """Predict with this file. Raises WeightsFileError if it does not fit the project's classes."""
        header = read_header(path)
        if classes is not None:
            check_classes(path, header, classes)
        self._overlay.use_file(SavedWeights(path, path.name))
        self._schedule.weights_replaced()

    def show_best(self, run: RunFolder | None, classes: ClassList | None) -> None:
        """Predict with a project's best run, where there is one and its classes are still there."""
        self._schedule.weights_replaced()
        self._overlay.use_file(None)
        if run is None or classes is None:
            return
        try:
            gone = gone_classes(read_header(run.best_weights), classes)
        except MaskloopError as error:
            self._send(Notice(text=f"Earlier weights cannot be shown: {error}", level="warning"))
            return
        if gone:
            names = ", ".join(gone)
            text = f"The best run knows classes that are gone ({names}): train again to see predictions."
            self._send(Notice(text=text))
            return
        self._overlay.use_file(SavedWeights.best_of(run))

    def classes_replaced(self, classes: ClassList) -> bool:
        """Classes came or went: False if the weights that predict know one that is gone."""
        self._overlay.settle()
        known = self._overlay.file_classes
        return known is None or set(known.indices) <= set(classes.indices)

    @property
    def first_look_due(self) -> bool:
        """Whether the person looks at an image of which nothing is shown yet, though something could be."""
        return self._schedule.first_look_due and self._overlay.version is not None

    # --- work ---------------------------------------------------------------------------------------------

    def tick(self, store: LabelStore | None, *, training: bool) -> bool:
        """Do one piece of work; False when none is due."""
        target = self._schedule.next(self._clock(), self._overlay.version, training=training)
        if target is not None:
            self._predict(target, store)
            return True
        if self._doubts.due:
            self._schedule.also_took(self._doubts.work())
            return True
        if self._doubts.refinable and self._overlay.on_gpu:
            return self.refine(lambda: self._must_give_way(None))
        if self._overlay.comparison_due:
            self._compare()
            return True
        return False

    def refine(self, interrupted: Callable[[], bool]) -> bool:
        """Make the map of the watched image's uncertainty better; False where there is nothing to do.

        Args:
            interrupted: whether anything at all waits to be done.
        """
        if not self._doubts.refinable or interrupted():
            return False
        try:
            self._schedule.also_took(self._doubts.refine(interrupted))
        except InterruptedPredictionError:
            pass
        except Exception as error:  # noqa: BLE001 - the plain map is there
            self._fail("Uncertainty", error)
        return True

    def _predict(self, target: Target, store: LabelStore | None) -> None:
        started_s, version = self._clock(), self._overlay.version
        watched = self._schedule.watched
        keep = self._doubts.wanted and watched is not None and watched.key == target.key
        revision = store.get(target.key).revision if store is not None and target.key in store else 0
        try:
            prediction, opinions = self._overlay.opine(
                target, revision, lambda: self._must_give_way(target.key), keep=keep
            )
        except InterruptedPredictionError:
            return
        except WeightsFileError as error:
            self._overlay.drop_file()
            self._fail("Predict", error)
            return
        except Exception as error:  # noqa: BLE001 - one bad image must not end training
            self._schedule.failed(target)
            self._fail("Predict", error)
            return
        assert version is not None
        self._schedule.done(target, version, started_s=started_s, ended_s=self._clock())
        self._send(prediction)
        if opinions is not None:
            self._doubts.predicted(target, prediction, opinions)

    def _compare(self) -> None:
        """Score the weights that are shown on one more of a run's images, and say what came out."""
        try:
            compared = self._overlay.compare(lambda: self._must_give_way(None))
        except InterruptedPredictionError:
            return
        except Exception as error:  # noqa: BLE001 - weights that cannot be scored are not worth keeping
            self._overlay.drop_file()
            self._fail("Predict", error)
            return
        if compared is None:
            return
        self._send(compared)
        if not compared.run_is_shown and not self._overlay.comparing:
            self._send(Notice(text=_older_stay(compared)))


def _older_stay(compared: OverlayCompared) -> str:
    kept = "held-out images" if compared.on == "validation" else "training images"
    run = "none" if compared.run_miou is None else f"{compared.run_miou:.2f}"
    return (
        f"{compared.older} stays on show: mIoU {compared.older_miou or 0.0:.2f} on the same {kept},"
        f" against {run} of this run."
    )
