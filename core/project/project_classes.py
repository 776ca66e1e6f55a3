"""The classes of an open project: adding them, and changing them together with the shapes that carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from core.annotation.model import IGNORE_LABEL, ClassList, LabelClass
from core.errors import UsageError
from core.files import carry_on
from core.project import class_edits, label_list
from core.project.annotation_store import rewritten
from core.project.class_edits import ClassEdit
from core.project.image_index import ImageIndex
from core.project.layout import ProjectLayout
from core.project.mask_store import is_outdated, keep_current
from core.project.opening import with_class
from core.project.project_json import ProjectJson
from core.project.scan import ImageEntry
from core.project.transaction import Replacement, replace_all


class ProjectClasses:
    """Reads and changes the class list in project.json and the labels in the annotations.

    Args:
        layout: the project's paths.
        json: project.json.
        index: the project's images.
        notes: gets a sentence for what was found and done.
    """

    def __init__(self, layout: ProjectLayout, json: ProjectJson, index: ImageIndex, notes: list[str]) -> None:
        self._layout = layout
        self._json = json
        self._index = index
        self._notes = notes
        self._refused: set[str] = set()  # labels that were told

    @property
    def classes(self) -> ClassList:
        """The classes in display order."""
        return self._json.classes

    def add(self, name: str, color: str | None, *, index: int | None) -> LabelClass:
        """Add a class and write it down. Raises UsageError, StorageError, ForeignChangeError."""
        content, added = with_class(self._json.content, name, color, index=index)
        self._json.write(content)
        return added

    def adopt(self, labels: Iterable[str]) -> tuple[LabelClass, ...]:
        """Make classes of labels that are none yet; nothing is written."""
        added: list[LabelClass] = []
        for label in labels:
            if label == IGNORE_LABEL or self.classes.by_name(label) is not None:
                continue
            try:
                self._json.content, label_class = with_class(self._json.content, label, as_is=True)
            except UsageError as error:
                if label not in self._refused:
                    self._notes.append(f"Shapes labelled {label!r} are left out: {error}.")
                self._refused.add(label)
                continue
            added.append(label_class)
        return tuple(added)

    def adopt_found(self, *, first: bool, check: Callable[[], None] = carry_on) -> tuple[LabelClass, ...]:
        """Make classes of the labels in the annotations, and say so; nothing is written.

        `first` (the project was not one before) takes also those that labels.txt lists.
        """
        used = self._index.label_counts(check)
        added: list[LabelClass] = []
        if first:
            images = self._index.entries.values()
            folders = dict.fromkeys([self._layout.root, *(entry.image_path.parent for entry in images)])
            added += self.adopt(label_list.listed_labels(folders, used))
        added += self.adopt(used)
        if added:
            self._notes.append(taken(label_class.name for label_class in added))
        return tuple(added)

    def usage(self, index: int) -> int:
        """How many shapes carry this class's label. Raises UsageError."""
        labels = class_edits.labels_of(self.classes, class_edits.found(self.classes, index))
        counts = self._index.label_counts()
        return sum(counts[label] for label in labels)

    def apply(self, edit: ClassEdit) -> list[ImageEntry]:
        """Rewrite project.json and every annotation with an affected label, all or none of them.

        Returns:
            The images whose masks are out of date: indices have changed.

        Raises:
            AnnotationFileError: a broken file may hold an affected label.
            StorageError, ForeignChangeError: a file cannot be replaced; nothing has changed.
        """
        before = self._json.content
        content = before.with_classes(edit.classes, retired=edit.retired)
        replacements: dict[Path, Replacement] = {}
        touched: list[ImageEntry] = []
        entries = tuple(self._index.entries.values())
        for entry in entries if edit.labels else ():
            replacement = rewritten(entry, edit, self._index.glance(entry))
            if replacement is not None:
                replacements[entry.annotation_path] = replacement
                touched.append(entry)
        current = [] if edit.retired else self._with_current_masks(touched)
        replacements[self._json.path] = new = self._json.replacement(content)
        replace_all(replacements, self._layout)
        self._json.accept(content, new.content)
        for entry in touched:
            self._index.forget(entry)
        for entry in current:  # indices are as they were, and so are the masks
            keep_current(entry)
        if not edit.retired:
            return []
        stale = entries if content.background != before.background else touched
        return [entry for entry in stale if entry.mask_path.exists()]

    def _with_current_masks(self, entries: Iterable[ImageEntry]) -> list[ImageEntry]:
        """The images whose masks need not be drawn anew, neither for their annotation nor for colours."""
        mark = self._layout.recolored
        recolored_ns = mark.stat().st_mtime_ns if mark.exists() else 0
        return [
            entry
            for entry in entries
            if entry.mask_path.exists()
            and entry.mask_path.stat().st_mtime_ns > recolored_ns
            and not is_outdated(entry)
        ]


def taken(names: Iterable[str]) -> str:
    """The sentence for classes made of labels in annotations."""
    found = tuple(names)
    count = f"{len(found)} classes were" if len(found) > 1 else "The class was"
    return f"{count} taken from the annotations: {', '.join(found)}."
