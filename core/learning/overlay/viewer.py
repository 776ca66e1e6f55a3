"""What the engine shows: predictions of the image the person looks at, and of those asked for.

`schedule.py` says which image is due, `overlay.py` whose weights predict it; here both meet the labels and
the window.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from core.annotation.model import ClassList
from core.errors import FileProblem, MaskloopError, WeightsFileError
from core.images.pyramid import is_huge
from core.images.reader import image_size
from core.images.upright import Box
from core.learning.events import Event, Notice, OverlayCompared, WeightsGone
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import LabelStore
from core.learning.overlay.asking import InterruptedPredictionError
from core.learning.overlay.doubting import UncertaintyWork
from core.learning.overlay.excerpts import Excerpts
from core.learning.overlay.overlay import OverlayWeights
from core.learning.overlay.schedule import PredictionSchedule, Target
from core.learning.overlay.urgency import Urgency
from core.learning.overlay.view_parts import is_large, part_ahead
from core.learning.prediction.saved_weights import SavedWeights
from core.learning.prediction.uncertainty import UncertaintySource
from core.learning.runs.header import check_classes, gone_classes, read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.training.state import TrainState
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
        urgency: what should not wait for a slow prediction.
        clock: monotonic, seconds.
        instant: has its say in what is shown.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        fail: AnswersFailure,
        urgency: Urgency,
        clock: Callable[[], float],
        instant: LiveInstant | None = None,
    ) -> None:
        self._send = send
        self._fail = fail
        self._urgency = urgency
        self._clock = clock
        self._instant = instant
        self._schedule = PredictionSchedule()
        self._overlay = OverlayWeights(send, instant, lambda: urgency.anything)
        self._doubts = UncertaintyWork(send, self._overlay)
        self._excerpts = Excerpts()
        self._ahead: tuple[Target, object] | None = None  # the part that was predicted last, and with what
        self._ahead_took_s = 0.0
        self._had_weights = False

    def follow(self, pyramids: Path) -> None:
        """Find what is laid out of huge images in this folder."""
        self._excerpts.follow(pyramids)

    def clear(self) -> None:
        """Another project: nothing is watched, no weights predict."""
        self._schedule = PredictionSchedule()
        self._doubts.clear()
        self._excerpts.follow(None)
        self._overlay.deep.use_file(None)
        self._had_weights = False

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
            self._excerpts.close()
        self._schedule.watch(target)
        if target is not None and target.view is not None and not self._excerpts.suit(target.view):
            self._schedule.weights_replaced()

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
        self._overlay.deep.use_run(run)

    def show_what_is_kept(self, run: RunFolder) -> bool:
        """The run is over: its best weights predict, if they are the better ones; False if it left none."""
        if not run.best_weights.is_file():
            return False
        self._overlay.deep.run_ended(SavedWeights.best_of(run))
        if not self._overlay.deep.comparing:
            self._schedule.weights_replaced()
        return True

    def show_file(self, path: Path, classes: ClassList | None) -> None:
        """Predict with this file. Raises WeightsFileError if it does not fit the project's classes."""
        header = read_header(path)
        if classes is not None:
            check_classes(path, header, classes)
        self._overlay.deep.use_file(SavedWeights(path, path.name))
        self._schedule.weights_replaced()

    def show_best(self, run: RunFolder | None, classes: ClassList | None) -> None:
        """Predict with a project's best run, where there is one and its classes are still there."""
        self._schedule.weights_replaced()
        self._overlay.deep.use_file(None)
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
        self._overlay.deep.use_file(SavedWeights.best_of(run))

    def classes_replaced(self, classes: ClassList) -> bool:
        """Classes came or went: False if the weights that predict know one that is gone."""
        self._overlay.deep.settle()
        known = self._overlay.deep.file_classes
        return known is None or set(known.indices) <= set(classes.indices)

    @property
    def first_look_due(self) -> bool:
        """Whether the person looks at an image of which nothing is shown yet, though something could be."""
        return self._schedule.first_look_due and self._overlay.version is not None

    # --- work ---------------------------------------------------------------------------------------------

    def tick(self, store: LabelStore | None, *, training: bool) -> bool:
        """Do one piece of work; False when none is due."""
        watched = self._schedule.watched
        voice = self._overlay.voice_of(None if watched is None else watched.key)
        self._tell_if_gone(weights=voice is not None)
        target = self._schedule.next(self._clock(), voice, training=training)
        if target is not None:
            self._predict(target, store)
            return True
        if self._doubts.due:
            try:
                self._schedule.also_took(self._doubts.work())
            except Exception as error:  # noqa: BLE001 - without it everything else still works
                self._fail("Uncertainty", error)
            return True
        if self._doubts.refinable and self._overlay.on_gpu:
            return self.refine(lambda: self._urgency.before(None))
        if self._overlay.deep.comparison_due:
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

    def _tell_if_gone(self, *, weights: bool) -> None:
        """Where nothing predicts any more, and nothing is being learned that soon would."""
        if weights:
            self._had_weights = True
        elif self._had_weights and (self._instant is None or not self._instant.urgent):
            self._had_weights = False
            self._send(WeightsGone())

    def _predict(self, target: Target, store: LabelStore | None) -> None:
        """The next piece of what is to be predicted of an image: a part of a large one, else all of it."""
        voice = self._overlay.voice_of(target.key)
        try:
            revision = self._revision_known(target.key, store)
            if is_huge(Path(target.image_path)):
                self._predict_excerpt(target, voice, revision)
                return
            part = self._part_ahead(target, voice)
            if part is not None:
                self._predict_part(target, part, voice, revision)
            else:
                self._predict_whole(target, voice, revision)
        except InterruptedPredictionError:
            return
        except WeightsFileError as error:
            self._overlay.deep.drop_file()
            self._fail("Predict", error)
        except Exception as error:  # noqa: BLE001 - one bad image must not end training
            self._schedule.failed(target, unreadable=isinstance(error, FileProblem))
            self._fail("Predict", error)

    def _revision_known(self, key: str, store: LabelStore | None) -> int:
        """Of an image's labels, the revision that whoever has a say has learned; a run has the newest."""
        if store is None or key not in store:
            return 0
        labels = store.get(key)
        instant = self._overlay.speakers.instant
        if instant is None or instant.learner is None:
            return labels.revision
        return instant.revision_of(labels)

    def _part_ahead(self, target: Target, voice: object) -> Box | None:
        """The part of a large image that comes before the rest; None where all of it is due."""
        if self._ahead == (target, voice) or self._overlay.post.pipeline:
            return None  # post-processing is done to whole images
        return part_ahead(target.view, image_size(Path(target.image_path)))

    def _predict_part(self, target: Target, part: Box, voice: object, revision: int) -> None:
        started_s = self._clock()
        prediction = self._overlay.predict_part(
            target, part, revision, lambda: self._urgency.before_the_rest(target)
        )
        self._ahead, self._ahead_took_s = (target, voice), self._clock() - started_s
        self._schedule.part_done()
        self._send(prediction)

    def _predict_whole(self, target: Target, voice: object, revision: int) -> None:
        started_s = self._clock()
        watched = self._schedule.watched
        looked_at = watched is not None and watched.key == target.key
        quick = looked_at and not is_large(image_size(Path(target.image_path)))
        urgent = self._urgency.before if quick else self._urgency.before_the_rest
        prediction, opinions = self._overlay.opine(
            target, revision, lambda: urgent(target), keep=self._doubts.wanted and looked_at
        )
        took_s = self._ahead_took_s if self._ahead == (target, voice) else 0.0
        self._done(target, voice, started_s - took_s)
        self._send(prediction)
        if opinions is not None:
            self._doubts.predicted(target, prediction, opinions)

    def _predict_excerpt(self, target: Target, voice: object, revision: int) -> None:
        """Of a huge image only what is on the screen is ever predicted, and so nothing of one to come."""
        started_s = self._clock()
        watched = self._schedule.watched
        on_screen = watched is not None and watched.key == target.key
        excerpt = self._excerpts.read(target) if on_screen else None
        if excerpt is None:
            self._schedule.failed(target)  # the window says so again once it has laid the image out
            return

        def urgent() -> bool:
            view = self._urgency.view_of(target)
            return self._urgency.before(target) or (view is not None and not excerpt.suits(view))

        prediction = self._overlay.predict_excerpt(target, excerpt, revision, urgent)
        self._done(target, voice, started_s)
        self._send(prediction)

    def _done(self, target: Target, voice: object, started_s: float) -> None:
        self._schedule.done(target, voice, started_s=started_s, ended_s=self._clock())
        if self._instant is not None and self._instant.urgent:
            self._schedule.labels_changed(target.key)  # newer labels wait: they are shown without delay, too

    def _compare(self) -> None:
        """Score the weights that are shown on one more of a run's images, and say what came out."""
        try:
            compared = self._overlay.deep.compare(lambda: self._urgency.before(None))
        except InterruptedPredictionError:
            return
        except Exception as error:  # noqa: BLE001 - weights that cannot be scored are not worth keeping
            self._overlay.deep.drop_file()
            self._fail("Predict", error)
            return
        if compared is None:
            return
        self._send(compared)
        if not compared.run_is_shown and not self._overlay.deep.comparing:
            self._send(Notice(text=_older_stay(compared)))


def _older_stay(compared: OverlayCompared) -> str:
    kept = "held-out images" if compared.on == "validation" else "training images"
    run = "none" if compared.run_miou is None else f"{compared.run_miou:.2f}"
    return (
        f"{compared.older} stays on show: mIoU {compared.older_miou or 0.0:.2f} on the same {kept},"
        f" against {run} of this run."
    )
