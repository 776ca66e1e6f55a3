"""The live state of one image's annotation: shapes in order, a revision number, observers.

Commands (`core.annotation.commands`) are the only writers in the program; observers (canvas, lists,
autosaver) only look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

from core.annotation.model import Annotation, AnnotationState, Shape

_log = logging.getLogger(__name__)
_Told = TypeVar("_Told")

ChangeKind: TypeAlias = Literal["inserted", "removed", "replaced", "moved", "state", "reset"]


@dataclass(frozen=True, slots=True)
class Change:
    """One mutation, told to every observer after it has happened.

    Attributes:
        revision: the document's revision after the change.
        kind: what happened. After "state" and "reset" look at the document itself.
        uid: the shape concerned; None for "state" and "reset".
        before: the shape as it was; None if it was not there.
        after: the shape as it is; None if it is gone.
        index: where the shape stands, or stood when it was removed; bottom is 0.
        old_index: for "moved" where it stood before.
    """

    revision: int
    kind: ChangeKind
    uid: int | None = None
    before: Shape | None = None
    after: Shape | None = None
    index: int | None = None
    old_index: int | None = None


Observer: TypeAlias = Callable[[Change], None]
BatchObserver: TypeAlias = Callable[[Sequence[Change]], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    """Who is told: of every change, or where `many` is given of all changes of one atomic block together."""

    observer: Observer
    many: BatchObserver | None


class AnnotationDocument:
    """The annotation being edited. Every mutation costs what it touches, whatever else is drawn.

    Observers are called in the order they came, after the state is whole: those that take many changes at
    once at the end of the outermost atomic block, the others after each change. One that raises is logged and
    left behind: neither the state nor the other observers suffer. One that mutates the document is
    refused with RuntimeError, because the observers after it would see changes out of order.
    """

    def __init__(self, annotation: Annotation) -> None:
        self._observers: list[_Subscription] = []
        self._untold: list[Change] = []
        self._revision = 0
        self._notifying = False
        self._journals: list[list[Callable[[], object]]] = []
        self._depth = 0  # of atomic blocks
        self._frame: Annotation  # all that is neither shapes nor state
        self._state: AnnotationState
        self._by_uid: dict[int, Shape]
        self._order: list[int]
        self._places: dict[int, int]
        self._known_places: int  # `_places` is right for the first so many of the order
        self._shapes: tuple[Shape, ...] | None  # None until asked for again
        self._load(annotation)

    # --- looking ------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Number of mutations so far."""
        return self._revision

    @property
    def state(self) -> AnnotationState:
        """How much of the image the shapes tell."""
        return self._state

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All shapes, bottom to top."""
        if self._shapes is None:
            self._shapes = tuple(self._by_uid[uid] for uid in self._order)
        return self._shapes

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, uid: object) -> bool:
        return uid in self._by_uid

    def get(self, uid: int) -> Shape:
        """The shape with this uid. Raises KeyError when it is not (or no longer) in the document."""
        try:
            return self._by_uid[uid]
        except KeyError:
            raise KeyError(f"no shape with uid {uid} in this document") from None

    def index_of(self, uid: int) -> int:
        """Where a shape stands, 0 at the bottom. Raises KeyError when it is not in the document."""
        self.get(uid)
        known = self._places.get(uid, -1)
        if 0 <= known < len(self._order) and self._order[known] == uid:
            return known
        # Places are remembered for a prefix of the order, which edits shorten and look-ups extend.
        for index in range(self._known_places, len(self._order)):
            self._places[self._order[index]] = index
            if self._order[index] == uid:
                self._known_places = index + 1
                return index
        raise AssertionError("a shape of the document has no place in its order")

    def snapshot(self) -> Annotation:
        """The whole annotation as it is now, immutable: safe to hand to a worker."""
        return replace(self._frame, shapes=self.shapes, state=self._state)

    def subscribe(self, observer: Observer, *, many: BatchObserver | None = None) -> Callable[[], None]:
        """Call `observer(change)` after every mutation, until the returned function is called.

        With `many` an atomic block in which more than one thing changed is told at its end instead, all at
        once: an edit of ten thousand shapes need not cost ten thousand calls.
        """
        subscription = _Subscription(observer, many)
        self._observers.append(subscription)

        def unsubscribe() -> None:
            if subscription in self._observers:
                self._observers.remove(subscription)

        return unsubscribe

    # --- mutating -----------------------------------------------------------------------------------------

    def insert(self, index: int, shape: Shape) -> None:
        """Put a shape at `index` of the order (0 is the bottom, `len` the top).

        Raises:
            ValueError: a shape with this uid is there already.
            IndexError: no such place.
        """
        self._must_not_be_notifying()
        if shape.uid in self._by_uid:
            raise ValueError(f"shape {shape.uid} is in this document already; add a copy of it")
        if not 0 <= index <= len(self._order):
            raise IndexError(f"place {index} is not among the {len(self._order)} shapes")
        self._order.insert(index, shape.uid)
        self._by_uid[shape.uid] = shape
        self._known_places = min(self._known_places, index)
        self._note(lambda: self.remove(shape.uid))
        self._changed("inserted", shape.uid, after=shape, index=index)

    def remove(self, uid: int) -> tuple[int, Shape]:
        """Take a shape out. Returns where it stood and the shape. Raises KeyError when it is not there."""
        self._must_not_be_notifying()
        index = self.index_of(uid)
        shape = self._by_uid.pop(uid)
        del self._order[index]
        self._places.pop(uid, None)
        self._known_places = min(self._known_places, index)
        self._note(lambda: self.insert(index, shape))
        self._changed("removed", uid, before=shape, index=index)
        return index, shape

    def replace(self, shape: Shape) -> Shape:
        """Put `shape` in place of the one with the same uid. Returns that one. Raises KeyError."""
        self._must_not_be_notifying()
        before = self.get(shape.uid)
        self._by_uid[shape.uid] = shape
        self._note(lambda: self.replace(before))
        self._changed("replaced", shape.uid, before=before, after=shape, index=self.index_of(shape.uid))
        return before

    def move(self, uid: int, index: int) -> int:
        """Move a shape within the order. Returns where it stood. Raises KeyError, IndexError."""
        self._must_not_be_notifying()
        old = self.index_of(uid)
        if not 0 <= index < len(self._order):
            raise IndexError(f"place {index} is not among the {len(self._order)} shapes")
        self._order.insert(index, self._order.pop(old))
        self._known_places = min(self._known_places, old, index)
        shape = self._by_uid[uid]
        self._note(lambda: self.move(uid, old))
        self._changed("moved", uid, before=shape, after=shape, index=index, old_index=old)
        return old

    def set_state(self, state: AnnotationState) -> None:
        """Say how much of the image the shapes tell."""
        self._must_not_be_notifying()
        before, self._state = self._state, state
        self._note(lambda: self.set_state(before))
        self._changed("state")

    def reset(self, annotation: Annotation) -> None:
        """Start over with another annotation of the same image (it was reloaded from disk)."""
        self._must_not_be_notifying()
        before = self.snapshot()
        self._load(annotation)
        self._note(lambda: self.reset(before))
        self._changed("reset")

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All or nothing: an exception inside the block takes back what the block has done, and goes on."""
        self._journals.append([])
        self._depth += 1
        try:
            yield
        except BaseException:
            undone = self._journals.pop()
            outer, self._journals = self._journals, []  # an outer block has nothing to take back of this
            for undo in reversed(undone):
                undo()
            self._journals = outer
            raise
        else:
            done = self._journals.pop()
            if self._journals:
                self._journals[-1].extend(done)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._tell_together()

    # --- inside -------------------------------------------------------------------------------------------

    def _load(self, annotation: Annotation) -> None:
        by_uid = {shape.uid: shape for shape in annotation.shapes}
        if len(by_uid) != len(annotation.shapes):
            raise ValueError("two shapes of this annotation are the same one; use copies")
        self._frame = replace(annotation, shapes=())
        self._state = annotation.state
        self._by_uid = by_uid
        self._order = list(by_uid)
        self._places = {}
        self._known_places = 0
        self._shapes = annotation.shapes

    def _note(self, undo: Callable[[], object]) -> None:
        """Remember how to take the mutation back while somebody may want to."""
        if self._journals:
            self._journals[-1].append(undo)

    def _must_not_be_notifying(self) -> None:
        if self._notifying:
            raise RuntimeError("an observer tried to change the document it was told about")

    def _changed(
        self,
        kind: ChangeKind,
        uid: int | None = None,
        before: Shape | None = None,
        after: Shape | None = None,
        index: int | None = None,
        old_index: int | None = None,
    ) -> None:
        if kind not in ("state", "reset"):
            self._shapes = None
        self._revision += 1
        change = Change(self._revision, kind, uid, before, after, index, old_index)
        if self._depth:
            self._untold.append(change)
        self._notifying = True
        try:
            for told in tuple(self._observers):
                if told.many is None or not self._depth:
                    self._tell(told.observer, change, change)
        finally:
            self._notifying = False

    def _tell_together(self) -> None:
        changes, self._untold = tuple(self._untold), []
        if not changes:
            return
        self._notifying = True
        try:
            for told in tuple(self._observers):
                if told.many is None:
                    continue
                if len(changes) == 1:
                    self._tell(told.observer, changes[0], changes[0])
                else:
                    self._tell(told.many, changes, changes[-1])
        finally:
            self._notifying = False

    def _tell(self, observer: Callable[[_Told], None], told: _Told, last: Change) -> None:
        try:
            observer(told)
        except Exception:  # noqa: BLE001
            # A boundary: whatever an observer does wrong, a half-applied command would be worse.
            _log.exception("an observer failed on revision %d (%s)", last.revision, last.kind)


def by_index(document: AnnotationDocument, uids: Iterable[int]) -> list[tuple[int, Shape]]:
    """Place and shape of each uid, bottom to top. Raises KeyError for one that is not there."""
    return sorted(((document.index_of(uid), document.get(uid)) for uid in uids), key=lambda pair: pair[0])
