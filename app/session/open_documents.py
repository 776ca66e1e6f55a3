"""The documents of visited images, with their undo histories.

A history survives switching images; only documents that were never edited are dropped again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from core.annotation.document import AnnotationDocument, Change
from core.annotation.history import History
from core.annotation.model import Annotation

if TYPE_CHECKING:
    from core.project.project import ImageEntry

KEPT_UNTOUCHED: Final = 32


@dataclass(slots=True, eq=False)
class OpenDocument:
    """One visited image's live annotation.

    `labels_seen` holds every label it has or had while open: its history can bring any of them back.
    """

    entry: ImageEntry
    document: AnnotationDocument
    history: History
    labels_seen: set[str] = field(default_factory=set)

    @property
    def untouched(self) -> bool:
        """Nothing was ever edited."""
        return not (self.history.can_undo or self.history.can_redo)


class OpenDocuments:
    """All documents of one project that are in memory, the most recently used last."""

    def __init__(self, observer: Callable[[str, Sequence[Change]], None]) -> None:
        self._observer = observer
        self._documents: dict[str, OpenDocument] = {}
        self._unsubscribe: dict[str, Callable[[], None]] = {}

    def __iter__(self) -> Iterator[OpenDocument]:
        return iter(list(self._documents.values()))

    def get(self, key: str) -> OpenDocument | None:
        """The document of an image that was visited, now the most recently used."""
        found = self._documents.pop(key, None)
        if found is not None:
            self._documents[key] = found
        return found

    def open(self, entry: ImageEntry, annotation: Annotation, size_hw: tuple[int, int]) -> OpenDocument:
        """A fresh document with an empty history."""
        document = AnnotationDocument(replace(annotation, size_hw=size_hw))
        opened = OpenDocument(entry, document, History(document))
        opened.labels_seen.update(shape.label for shape in document.shapes)
        key = entry.key

        def observe(changes: Sequence[Change]) -> None:
            if any(change.kind == "reset" for change in changes):
                opened.labels_seen.update(shape.label for shape in document.shapes)
            touched = chain.from_iterable((change.before, change.after) for change in changes)
            opened.labels_seen.update(shape.label for shape in touched if shape is not None)
            self._observer(key, changes)

        self.drop(key)
        self._documents[key] = opened
        self._unsubscribe[key] = document.subscribe(lambda change: observe((change,)), many=observe)
        return opened

    def reset(self, key: str, annotation: Annotation) -> OpenDocument:
        """The file changed under the document: start over from it; a reset empties its history.

        The document object stays (views keep showing it); its revision goes on growing.
        """
        opened = self._documents[key]
        opened.labels_seen.clear()
        opened.document.reset(replace(annotation, size_hw=opened.document.snapshot().size_hw))
        return opened

    def follow(
        self, key: str, labels: Mapping[str, str | None], annotation: Annotation | None = None
    ) -> None:
        """Labels became others: shapes and history follow, and nothing else changes.

        The document starts over where shapes went with their label, or where `annotation` says more.

        Args:
            key: of the image.
            labels: what became of each label; None: its shapes went.
            annotation: what is on disk now; None where more is known here than there.
        """
        opened = self._documents[key]
        present = opened.document.snapshot()
        names = {old: new for old, new in labels.items() if new is not None}
        kept = [each for each in present.shapes if each.label in names or each.label not in labels]
        shapes = tuple(shape.with_(label=names.get(shape.label, shape.label)) for shape in kept)
        if len(names) < len(labels) or (annotation is not None and shapes != annotation.shapes):
            self.reset(key, annotation or replace(present, shapes=shapes))
            return
        opened.history.relabel(names)
        opened.labels_seen.difference_update(names)
        opened.labels_seen.update(names.values())

    def drop(self, key: str) -> None:
        """Forget one document."""
        if self._documents.pop(key, None) is not None:
            self._unsubscribe.pop(key)()

    def droppable(self, keep: str | None) -> list[str]:
        """Images whose untouched documents are more than worth keeping, oldest first."""
        untouched = [d.entry.key for d in self._documents.values() if d.untouched and d.entry.key != keep]
        return untouched[: max(0, len(untouched) - KEPT_UNTOUCHED)]

    def clear(self) -> None:
        """Forget all documents."""
        for key in list(self._documents):
            self.drop(key)
