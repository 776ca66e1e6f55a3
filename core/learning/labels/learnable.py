"""Whether the labels give a network something to learn, and if not, what to draw. Torch-free."""

from __future__ import annotations

from core.annotation.model import AnnotationState
from core.errors import NothingToLearnError
from core.learning.config import TrainConfig
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.labels.weak_background import undrawn


def check_learnable(store: LabelStore, config: TrainConfig) -> None:
    """Raise NothingToLearnError, which says what to draw, unless two classes can be told apart."""
    classes = store.classes
    if len(classes) < 2:
        has = f"only the class {classes[0].name!r}" if len(classes) else "no classes"
        raise NothingToLearnError(
            f"the project has {has}: add a class for what you want to find, and draw some"
        )
    counts = store.counts()
    labelled = [label_class for label_class in classes if counts[label_class.index]]
    if not labelled:
        names = ", ".join(c.name for c in classes if c.index != classes.background)
        raise NothingToLearnError(
            f"nothing is labelled yet: draw at least one shape ({names}) and train again"
        )
    if len(labelled) > 1:
        return
    only = labelled[0]
    if only.index == classes.background:
        raise NothingToLearnError(
            f"only {only.name!r} is labelled: draw at least one shape of another class; images that are"
            " marked done and have no shapes are all background"
        )
    background = None if classes.background is None else classes.by_index(classes.background)
    if background is None:
        raise NothingToLearnError(
            f"only {only.name!r} is labelled and the project has no background class:"
            " draw a second class as well"
        )
    if config.weak_background <= 0 or not _has_undrawn(store):
        raise NothingToLearnError(
            f"only {only.name!r} is labelled and no background: draw some {background.name!r}, or mark an"
            " image that is completely labelled as done"
        )


def _has_undrawn(store: LabelStore) -> bool:
    """Whether any touched image has pixels that can stand in for background."""
    channels = ChannelMap(store.classes)
    for key in store.labelled_keys():
        labels = store.get(key)
        if labels.state is AnnotationState.IN_PROGRESS and undrawn(channels.to_channels(labels.mask)).any():
            return True
    return False
