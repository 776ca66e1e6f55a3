"""Whether undrawn pixels stand in for background: in all images together and in single ones (decision 13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.annotation.model import AnnotationState
from core.learning.labels.data import ChannelMap, LabelStore


class BackgroundLack:
    """Answers for every image; what concerns all of them is found once per change of labels.

    Args:
        store: the labels.
        channels: which class is the background.
        keys: gives the images that are learned from at present.
        allowed: undrawn pixels may stand in for background at all.
    """

    def __init__(
        self, store: LabelStore, channels: ChannelMap, keys: Callable[[], Sequence[str]], *, allowed: bool
    ) -> None:
        self._store = store
        self._keys = keys
        background = channels.background
        self._index = channels.classes.indices[background] if allowed and background is not None else None
        self._found = False
        self._found_for: tuple[int, frozenset[str]] | None = None

    def everywhere(self, held_out: frozenset[str]) -> bool:
        """Do all images together show too little of it? `held_out`: those that are not learned from."""
        learned_from = self._store.revision, held_out
        if self._found_for != learned_from:  # every image asks, and each answer would look at all of them
            self._found_for, self._found = learned_from, self._lacking(self._keys())
        return self._found

    def of(self, key: str, held_out: frozenset[str]) -> bool:
        """Do undrawn pixels of an image stand in for background: also where its own labels lack that?

        Where all background is drawn in images of one kind and only objects in those of another, a learner
        would find that whatever is of the other kind is an object.
        """
        if self._store.get(key).state is not AnnotationState.IN_PROGRESS:
            return False
        return self._lacking((key,)) or self.everywhere(held_out)

    def _lacking(self, keys: Sequence[str]) -> bool:
        return self._index is not None and self._store.lacks_background(self._index, keys)
