"""Which image of the open project is shown, and the way to another one.

It changes only when the wanted one has been read whole: until then the person goes on with the one on show.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.session.browser import Browser
from app.session.image_editor import ImageEditor
from app.session.image_loading import LoadedImage
from app.session.open_project import OpenProject, vanished_image
from app.session.state import CurrentImage
from app.workers.tasks import Task
from core.annotation.commands import pasting
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState

if TYPE_CHECKING:
    from core.project.project import ImageEntry


class ShownImage(QObject):
    """Belongs to a session.

    Args:
        editor: edits what is shown.

    Attributes:
        current: the image on show.

    Signals:
        changed(object CurrentImage or None), history_changed(), message(str text, str level)
    """

    changed = Signal(object)
    history_changed = Signal()
    message = Signal(str, str)

    def __init__(self, editor: ImageEditor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.current: CurrentImage | None = None
        self._keep_previous = False
        self._editor = editor
        self._opened: OpenProject | None = None
        self._browser = Browser()
        self._copy_shapes = False
        self._steps: list[tuple[int, bool]] = []  # still to do, each from the image before it: by, copying
        self._load_task: Task | None = None

    def attach(self, opened: OpenProject | None) -> None:
        """Another project is open, or none; `leave` the one before first."""
        self._opened = opened
        self._browser.set_order(() if opened is None else opened.entries)

    def leave(self) -> None:
        """Show none, and want none."""
        self._steps.clear()
        self._drop_load()
        self._browser.wanted = None
        self._set_current(None)

    @property
    def keep_previous(self) -> bool:
        """Put the shapes of the image that is left on the next one, if that has none."""
        return self._keep_previous

    @keep_previous.setter
    def keep_previous(self, keep: bool) -> None:
        self._keep_previous = keep
        if not keep:
            self._steps.clear()

    # --- going to another image ---------------------------------------------------------------------------

    @property
    def wanted(self) -> str | None:
        """Key of the image that is shown or on its way."""
        return self._browser.wanted

    def open(self, key: str, *, copy_shapes: bool = False) -> None:
        """Show this image as soon as it is read; the latest request wins.

        `copy_shapes` puts the shapes of the image that is left on it, if it has none of its own.
        """
        opened = self._opened
        if opened is None or key not in opened.entries:
            return
        self._steps.clear()
        self._copy_shapes = copy_shapes or self.keep_previous
        opened.autosaver.save_now()
        self._read(opened, key)

    def _read(self, opened: OpenProject, key: str) -> None:
        self._drop_load()
        self._browser.wanted = key
        self._load_task = task = opened.load(key)
        task.done.connect(self._on_loaded)
        task.failed.connect(partial(self._on_failed, opened.entries[key]))

    def step(self, step: int, *, copy_shapes: bool, held: bool = False) -> None:
        """Go so many images on in the list's order, or say that there is none.

        Shapes are taken along from image to image: while some are on their way, the next step waits for them.
        One the other way takes the place of those that wait; of a held key's only one waits, so that it goes
        no further when the key is released.
        """
        if any((step > 0) != (waiting > 0) for waiting, _ in self._steps):
            self._steps.clear()
        if (copy_shapes or self.keep_previous) and self._copy_shapes and self._load_task is not None:
            if not (held and self._steps):
                self._steps.append((step, copy_shapes))
            return
        key = self.neighbour(step)
        if key is not None:
            self.open(key, copy_shapes=copy_shapes)
        elif self._opened is not None and self._browser.order:
            self.message.emit(f"This is the {'last' if step > 0 else 'first'} image.", "info")

    def set_order(self, keys: Iterable[str]) -> None:
        """The order in which next and previous go."""
        self._browser.set_order(keys)

    def neighbour(self, step: int) -> str | None:
        """The image `step` places on in the list's order, None beyond its ends."""
        return self._browser.neighbour(step, () if self._opened is None else tuple(self._opened.entries))

    def _drop_load(self) -> None:
        if self._load_task is not None:
            self._load_task.cancel()
            self._load_task = None

    def _on_loaded(self, found: LoadedImage) -> None:
        opened = self._opened
        if opened is None or opened.class_changes.busy:
            return  # its labels may be those of before: `follow_classes` reads it again
        self._load_task = None
        if found.entry.key != self._browser.wanted:
            return
        left = None if self.current is None else self.current.document
        self._set_current(opened.take(found))
        document = None if self.current is None else self.current.document
        if self._copy_shapes and left is not None and document is not None:
            self._copy(left, document)
        self._copy_shapes = False
        opened.prefetch(self.neighbour(1))
        if self._steps:
            (step, copy_shapes), *rest = self._steps
            self.step(step, copy_shapes=copy_shapes)
            self._steps = rest if self._load_task is not None else []

    def _copy(self, left: AnnotationDocument, document: AnnotationDocument) -> None:
        """Put the shapes of the image that was left on this one, if nobody has said anything of it yet."""
        if left.shapes and not document.shapes and document.state is AnnotationState.UNLABELLED:
            command, _ = pasting(document, left.shapes, title="Copy shapes")
            self._editor.execute(command)

    def _on_failed(self, entry: ImageEntry, sentence: str) -> None:
        self._load_task = None
        self._steps.clear()
        if entry.key == self._browser.wanted:
            self._set_current(CurrentImage(entry, problem=sentence))

    def _set_current(self, current: CurrentImage | None) -> None:
        self._editor.show(current)
        self.current = current
        if self._opened is not None:
            self._opened.watch(None if current is None else current.entry.key)
        self.changed.emit(current)
        self.history_changed.emit()

    # --- what the open project tells ----------------------------------------------------------------------

    def follow_classes(self) -> None:
        """The classes are others: an image on its way is read again, its labels may be those of before."""
        if self._load_task is not None and self._opened is not None and self._browser.wanted is not None:
            self._read(self._opened, self._browser.wanted)

    def follow_reload(self, key: str) -> None:
        """An annotation was read again from disk; its image may be usable now."""
        if self.current is None or key != self.current.entry.key:
            return
        if self.current.document is None and self._load_task is None:
            self.open(key)
        self.history_changed.emit()

    def drop_vanished(self) -> None:
        """Images vanished: next and previous do not go there any more."""
        if self._opened is not None:
            entries = self._opened.entries
            self._browser.set_order(key for key in self._browser.order if key in entries)

    def follow_images(self) -> None:
        """Images came or went: show a first one, say that this one is gone, or try it again."""
        if self._opened is None:
            return
        here = self._browser.wanted
        if here is None:
            if first := next(iter(self._opened.entries), None):
                self.open(first)
        elif here not in self._opened.entries:
            self._drop_load()
            shown = self.current
            if shown is not None and shown.entry.key in self._opened.entries:
                self._browser.wanted = shown.entry.key
                self.message.emit(f"{here} was moved or deleted before it could be shown.", "warning")
            elif shown is not None and shown.problem is None:
                self._set_current(vanished_image(shown.entry))
        elif self.current is None or self.current.problem is not None:
            self.open(here)
