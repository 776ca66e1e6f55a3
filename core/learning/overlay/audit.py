"""The label audit: every labelled image is judged by a network that has never seen its labels.

A network that learned from a wrong label half believes it. So the judges are heads of the instant learner,
fitted by cross-fitting (`core.learning.instant.crossfit`) on the other images alone. The deep network has
trained on most of what it would judge; on the images that its run holds out it has its say beside them.
Shapes of a class that only their own image shows cannot be judged, and are counted; so are images of which
there are no features or no map, because they are too large or cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation
from core.errors import MaskloopError, NothingToLearnError
from core.images.pyramid import is_huge
from core.learning.events import AuditEnded, AuditProgress, Event
from core.learning.instant.crossfit import FEWEST_IMAGES, Judge, judges
from core.learning.instant.learner import FeaturesDone, InstantLearner
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import LabelStore
from core.learning.labels.suspects import Judged, judge
from core.learning.overlay.asking import InterruptedPredictionError
from core.learning.overlay.held_out_judge import HeldOutJudge
from core.project.project import Project

STEPS: Final = 160
"""Of each judge's fit: twice as many as for a score, because single shapes depend on it."""

MOST_TRIES: Final = 3
"""How often the deep network is asked about an image while a person keeps the engine busy."""

_AUDITS: Final = "The label audit judges each image by what the others teach"


def audit(
    learner: InstantLearner,
    store: LabelStore,
    root: Path,
    deep: Callable[[], HeldOutJudge | None] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[AuditProgress | AuditEnded]:
    """Judge every labelled image; one piece of work at a time.

    Args:
        learner: of these labels; its points are used, its head is left alone.
        store: the labels.
        root: the project's folder: shapes are read from the annotations in it.
        deep: the deep network as it is by then, for images it has not learned from; None: there is none.
        interrupted: whether something waits that goes before the deep network's opinion of an image, which is
            taken later then; and not at all after `MOST_TRIES`.

    Raises:
        NothingToLearnError: there are labels on fewer than two images.
        MaskloopError: the project cannot be read.
    """
    labelled = len(store.labelled_keys())
    if not learner.version:
        for piece in learner.update(steps=0):
            if isinstance(piece, FeaturesDone):
                yield AuditProgress(done=0, steps=piece.images, doing=f"looking at image {piece.done}")
    keys = [key for key in learner.keys if learner.points(key) is not None]
    if len(keys) < FEWEST_IMAGES:
        raise NothingToLearnError(f"{_AUDITS}; label at least {FEWEST_IMAGES} images first.")
    shapes = _Annotations(root)
    done = images = regions = left_out = 0
    for judging in judges(learner, keys, steps=STEPS):
        if judging is None:
            yield AuditProgress(done=done, steps=len(keys), doing="learning from the other images")
            continue
        for key in judging.fold:
            for attempt in range(MOST_TRIES + 1):
                other = deep if attempt < MOST_TRIES else lambda: None
                try:
                    found = _judged(judging, store, shapes, key, other, interrupted)
                    break
                except InterruptedPredictionError:
                    yield AuditProgress(done=done, steps=len(keys), doing=f"judging {key}")
            done += 1
            if found is not None:
                images += 1
                regions += found.shapes
                left_out += found.left_out
            suspects = () if found is None else found.suspects
            yield AuditProgress(done=done, steps=len(keys), doing=f"judging {key}", found=suspects)
    passed_over = labelled - images
    yield AuditEnded(
        images=images, regions=regions, left_out=left_out, passed_over=passed_over, complete=True
    )


def _judged(
    judging: Judge,
    store: LabelStore,
    shapes: _Annotations,
    key: str,
    deep: Callable[[], HeldOutJudge | None],
    interrupted: Callable[[], bool],
) -> Judged | None:
    """None for an image whose files cannot be read, that is gone by now, or that is huge.

    Raises InterruptedPredictionError.
    """
    network = judging.learner
    try:
        labels, annotation = store.get(key), shapes.of(key)
        if is_huge(labels.image_path):  # its probabilities would take gigabytes
            return None
        image, features = store.pixels(key), network.features(key)
    except (KeyError, MaskloopError):
        return None  # the list of problems has it
    probabilities: NDArray[np.floating] | None = network.predict(features, probabilities=True).probabilities
    assert probabilities is not None
    classes = network.channels.named_as(store.classes).classes  # the label files go by these names
    try:
        other = deep()
        if other is not None and key in other.images:
            probabilities = other.joined(image, probabilities, classes.indices, interrupted)
    except MaskloopError:
        pass  # weights that cannot be used are told where the person looks at an image
    return judge(key, image, annotation, labels.mask, probabilities, classes, judging.taught)


class _Annotations:
    """The project's label files as they are on disk now; the window saves them before it asks."""

    def __init__(self, root: Path) -> None:
        self._project = Project.open(root, lock=False)

    def of(self, key: str) -> Annotation:
        """Raises UsageError, FileProblem."""
        return self._project.load(self._project.entry(key)).annotation


class LabelAuditor:
    """The engine's one audit: begun, continued piece by piece between more urgent work, given up.

    Args:
        send: passes events to the window.
        instant: whose learner judges.
        deep, interrupted: as in `audit`.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        instant: LiveInstant,
        deep: Callable[[], HeldOutJudge | None] = lambda: None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._send = send
        self._instant = instant
        self._deep = deep
        self._interrupted = interrupted
        self._work: Iterator[AuditProgress | AuditEnded] | None = None
        self._said: tuple[int, str] | None = None
        self._number = 0

    @property
    def busy(self) -> bool:
        """Whether an audit goes on."""
        return self._work is not None

    def begin(self, store: LabelStore, root: Path, number: int) -> None:
        """Judge these labels, in an audit of this number; one that goes on is given up.

        Raises:
            MaskloopError: the encoder's weights are not to be had.
        """
        learner = self._instant.learner or self._instant.new_learner()
        self._work, self._said = audit(learner, store, root, self._deep, self._interrupted), None
        self._number = number

    def cancel(self) -> None:
        """Give up; what was found is known already."""
        if self._work is not None:
            self._work = None
            ended = AuditEnded(images=0, regions=0, left_out=0, passed_over=0, complete=False)
            self._send(replace(ended, number=self._number))

    def tick(self) -> bool:
        """Do one piece of work; False when there is none.

        Raises:
            MaskloopError: there is no audit any more then.
        """
        if self._work is None:
            return False
        try:
            event = next(self._work)
        except BaseException:
            self._work = None
            raise
        if isinstance(event, AuditEnded):
            self._work = None
        elif not event.found and (event.done, event.doing) == self._said:
            return True  # a step of a fit: nothing to tell
        else:
            self._said = event.done, event.doing
        self._send(replace(event, number=self._number))
        return True
