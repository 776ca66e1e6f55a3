"""A head for the image in view: what the learner's head knew before, bent to what is drawn in this image.

The learner's head serves all images, and a refit takes it a second. A correction lies where it was wrong, and
of a refit's points many are corrections: right after them it errs elsewhere in the same image, where it was
right (docs/decisions/0013). So the image that somebody looks at is predicted by a copy of the head that spoke
before the corrections, whose last layer alone is fitted to this image's labels and those of the others::

    image opened         predicted by the learner's head, which is what a copy will be bent from
    corrected            a copy is bent, in tenths of a second, and predicts; then the learner is refitted
    another image        the copy waits until this one is opened again, those of the last few images do; then
                         another one is bent, from what the learner knows by then
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from core.annotation.model import AnnotationState
from core.learning.instant.last_layer import fit_last_layer
from core.learning.instant.learner import InstantLearner
from core.learning.instant.points import thinned
from core.learning.labels.data import ImageLabels, LabelStore

SHARES: Final = (0.5, 0.5)
"""What counts: this image's labels, the other images' labels."""
MOST_POINTS: Final = 2048
"""Of each: four times as many gave the same (docs/decisions/0013), and somebody waits."""
KEPT: Final = 4
"""Images whose heads are kept: who goes back and forth between two finds both as they were."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bent:
    """What came of bending.

    Attributes:
        of: the learner whose head was bent.
        before: knows what that knew before the corrections; None: it is to be taken from `of` anew.
        before_version: of `of`, when `before` was taken.
        copy: knows the corrections; None: there was nothing to bend to.
        labels_version: of the labels that it knows; None: it is to be bent again.
    """

    of: InstantLearner
    before: InstantLearner | None
    before_version: int
    copy: InstantLearner | None
    labels_version: int | None


class HeadInView:
    """The head of one image.

    Args:
        key: the image's.
        store: its labels, and the others'.

    Attributes:
        key: the image's.
    """

    def __init__(self, key: str, store: LabelStore) -> None:
        self.key = key
        self._store = store
        self._bent: _Bent | None = None

    def learner(self, general: InstantLearner) -> InstantLearner:
        """Whom to ask about the image: one with a head of its own, where it was bent from this learner's."""
        bent = self._bent_from(general)
        return general if bent is None or bent.copy is None else bent.copy

    def begin_anew(self, general: InstantLearner) -> None:
        """The image is opened again: from now on a copy is bent from what the learner knows by now."""
        bent = self._bent_from(general)
        if bent is not None and bent.before_version != general.version:
            self._bent = replace(bent, before=None, labels_version=None)

    def waits(self, general: InstantLearner) -> bool:
        """Whether `fitted` has something to do."""
        if not self.helps(general):
            return self._bent is not None
        bent = self._bent_from(general)
        return bent is None or bent.labels_version != self._labels.version

    def helps(self, general: InstantLearner) -> bool:
        """Whether somebody corrects this image, and the learner, which knows others, has a say in it."""
        if not general.version or self.key not in self._store:
            return False
        labels, keys = self._labels, general.keys
        corrected = labels.has_labels and labels.state is not AnnotationState.DONE
        return corrected and self.key in keys and len(keys) > 1

    def knows(self, general: InstantLearner, labels: ImageLabels) -> bool:
        """Whether a copy of this learner's head has learned these labels of the image."""
        bent = self._bent_from(general)
        return bent is not None and bent.copy is not None and bent.labels_version == labels.version

    def fitted(self, general: InstantLearner) -> Iterator[None]:
        """Bend a copy of the head to the image, if there is something to bend it to."""
        if not self.helps(general):
            self._bent = None
            return
        known = self._bent_from(general)
        if known is None or known.before is None:  # the learner itself has spoken of the image until now
            before, before_version = _copy(general), general.version
        else:
            before, before_version = known.before, known.before_version
        version = self._labels.version
        general.look_at(self.key)
        yield None
        own = general.points(self.key)
        others = [part for key in general.keys if key != self.key and (part := general.points(key))]
        if own is None or not others:
            self._bent = _Bent(general, None, 0, None, version) if self.helps(general) else None
            return
        copy, parts = _copy(before), (thinned([own], MOST_POINTS), thinned(others, MOST_POINTS))
        yield from fit_last_layer(copy.network, parts, SHARES, general.device)
        self._bent = _Bent(general, before, before_version, copy, version)

    def drop_copy_of_another(self, general: InstantLearner) -> None:
        """Give back what a learner other than this one needs."""
        self._bent = self._bent_from(general)

    def _bent_from(self, general: InstantLearner) -> _Bent | None:
        return self._bent if self._bent is not None and self._bent.of is general else None

    @property
    def _labels(self) -> ImageLabels:
        return self._store.get(self.key)


class HeadsInView:
    """The heads of the images somebody looked at last."""

    def __init__(self) -> None:
        self._store: LabelStore | None = None
        self._key: str | None = None
        self._heads: OrderedDict[str, HeadInView] = OrderedDict()

    @property
    def now(self) -> HeadInView | None:
        """Of the image in view; None where there is none."""
        return None if self._key is None else self._heads.get(self._key)

    def of(self, key: str | None) -> HeadInView | None:
        """As `now`, if this is the image in view."""
        return self.now if key == self._key else None

    def follow(self, store: LabelStore | None) -> None:
        """Of these labels from now on; the heads of others are forgotten."""
        self._store = store
        self._heads.clear()
        self.watch(self._key)

    def watch(self, key: str | None) -> bool:
        """This image is in view from now on, None for none; whether it is another one than before."""
        another, self._key = key != self._key, key
        if key is None or self._store is None:
            return another
        if key not in self._heads:
            self._heads[key] = HeadInView(key, self._store)
        self._heads.move_to_end(key)
        while len(self._heads) > KEPT:
            self._heads.popitem(last=False)
        return another

    def drop_copies_of_others(self, general: InstantLearner) -> None:
        """This learner has taken another one's place: nobody asks the copies of that any more."""
        for head in self._heads.values():
            head.drop_copy_of_another(general)

    def forget(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        if self._heads.pop(key, None) is not None and key == self._key:
            self.watch(key)


def _copy(learner: InstantLearner) -> InstantLearner:
    """Another learner that knows the same and asks the same encoder."""
    copy = learner.twin()
    copy.network.take_head(learner.network)
    return copy
