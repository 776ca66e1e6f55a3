"""The side panels joined with the session: image list, classes, shapes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QListView, QWidget

from app.canvas.view import CanvasView
from app.dialogs.message import Choice, MessageDialog
from app.panels.class_list import ClassPanel
from app.panels.class_rows import class_hotkeys
from app.panels.image_list import ImageListPanel
from app.panels.shape_list import ShapePanel
from app.session.image_status import ImageStatus
from app.session.session import Session
from app.wiring.label_mask import LabelMask
from app.wiring.questions import ends_with_project
from app.workers.thumbnails import ThumbnailLoader
from core.annotation.commands import Reorder
from core.annotation.model import LabelClass, spoken_label

if TYPE_CHECKING:
    from app.session.state import CurrentImage
    from core.project.project import ScanChange

ROWS_AT_ONCE = 500
SHAPES_DELAY_MS = 30
"""A drag changes a shape sixty times a second; the list need not follow each time."""

_MERGE_CHOICES: Final = (Choice("keep", "Cancel"), Choice("merge", "Merge", "danger"))


class ImagePanelWiring(QObject):
    """Image list and thumbnails."""

    def __init__(self, session: Session, panel: ImageListPanel) -> None:
        super().__init__(panel)
        self._session = session
        self._panel = panel
        self._thumbnails = ThumbnailLoader(self)
        self._thumbnails.ready.connect(panel.set_thumbnail)
        self._thumbnails.failed.connect(self._on_thumbnail_failed)
        # Laying out ten thousand rows at once takes a tenth of a second in which the window stands.
        panel.view.setLayoutMode(QListView.LayoutMode.Batched)
        panel.view.setBatchSize(ROWS_AT_ONCE)
        panel.image_requested.connect(session.open_image)
        panel.order_changed.connect(session.set_browse_order)
        panel.thumbnail_needed.connect(self._thumbnails.request)
        session.project_changed.connect(self._on_project_changed)
        session.images_changed.connect(self._on_images_changed)
        session.statuses_changed.connect(panel.update_statuses)
        session.current_changed.connect(self._on_current_changed)

    def close(self) -> None:
        """End the thumbnail workers."""
        self._thumbnails.close()

    def _on_project_changed(self) -> None:
        self._panel.set_current(None)
        self._panel.forget_thumbnails()
        project = self._session.project
        self._thumbnails.begin(None if project is None else project.layout.cache / "thumbnails")

    def _on_images_changed(self, _change: ScanChange | None) -> None:
        self._panel.set_entries(self._session.entries, self._status)

    def _status(self, key: str) -> ImageStatus:
        statuses = self._session.statuses
        return ImageStatus() if statuses is None else statuses.get(key)

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        self._panel.set_current(None if current is None else current.entry.key)

    def _on_thumbnail_failed(self, key: str, sentence: str) -> None:
        statuses = self._session.statuses
        if statuses is not None:
            statuses.set_image_problem(key, sentence)


class ClassPanelWiring(QObject):
    """Class list, its digit keys, shares of pixels, and which classes are hidden.

    With a tool that draws, a class that is chosen is for what is drawn next; else selected shapes get it.
    """

    def __init__(
        self, session: Session, panel: ClassPanel, canvas: CanvasView, mask: LabelMask, window: QWidget
    ) -> None:
        super().__init__(panel)
        self._session = session
        self._panel = panel
        self._canvas = canvas
        self._mask = mask
        self._window = window
        self._hotkeys: dict[int, int] = {}
        self.digit_actions = [self._digit_action(digit, window) for digit in range(10)]
        edits = session.class_editor
        panel.class_activated.connect(self._choose)
        panel.class_added.connect(edits.add)
        panel.class_renamed.connect(edits.rename)
        panel.class_recolored.connect(edits.recolor)
        panel.classes_reordered.connect(edits.reorder)
        panel.class_merged.connect(self._on_merge_wanted)
        panel.class_deleted.connect(self._on_delete_wanted)
        session.project_changed.connect(self._on_project_changed)
        session.classes_changed.connect(self._on_classes_changed)
        session.active_class_changed.connect(self._on_active_class_changed)
        mask.changed.connect(self._on_shares_changed)

    def _digit_action(self, digit: int, window: QWidget) -> QAction:
        action = QAction(f"Class {digit}", self)
        action.setObjectName(f"class.{digit}")
        action.setShortcut(QKeySequence(str(digit)))
        action.setVisible(False)
        action.triggered.connect(partial(self._on_digit, digit))
        window.addAction(action)
        return action

    def _on_digit(self, digit: int, _checked: bool = False) -> None:
        if digit in self._hotkeys:
            self._choose(self._hotkeys[digit])

    def _choose(self, index: int) -> None:
        label_class = self._session.classes.by_index(index)
        if label_class is None:
            return
        if self._canvas.draws:
            self._session.set_selection(())  # the brush adds to a selected shape, whatever its class
        self._session.choose_class(label_class)

    def _on_project_changed(self) -> None:
        for question in self._panel.findChildren(QDialog):
            question.reject()

    def _on_classes_changed(self) -> None:
        classes = self._session.classes
        self._hotkeys = dict(class_hotkeys(classes))
        self._panel.set_classes(classes)
        for digit, action in enumerate(self.digit_actions):
            label_class = classes.by_index(self._hotkeys[digit]) if digit in self._hotkeys else None
            action.setVisible(label_class is not None)
            action.setText("" if label_class is None else f"Draw {label_class.name}")
        self._on_active_class_changed(self._session.active_class)

    def _on_active_class_changed(self, label_class: LabelClass | None) -> None:
        self._panel.set_active(None if label_class is None else label_class.index)

    def _on_shares_changed(self) -> None:
        self._panel.set_shares(self._mask.shares)

    def _on_delete_wanted(self, index: int) -> None:
        """Count its shapes first: only a class that is in use needs a question."""
        self._count(index, partial(self._delete, index))

    def _on_merge_wanted(self, source: int, into: int) -> None:
        """As above: what is merged cannot be told apart again."""
        self._count(source, partial(self._merge, source, into))

    def _count(self, index: int, then: Callable[[int], None]) -> None:
        task = self._session.class_editor.count_shapes(index)
        if task is not None:
            task.done.connect(then)

    def _delete(self, index: int, shapes: int) -> None:
        label_class = self._session.classes.by_index(index)
        if label_class is None:
            return
        if shapes == 0:
            self._session.class_editor.delete(index)
            return
        from app.dialogs.delete_class import DeleteClassDialog

        others = [c for c in self._session.classes if c.index != index]
        dialog = DeleteClassDialog(
            label_class, shapes, others, self._session.classes.background, self._window
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self._session.class_editor.delete(index, dialog.answer))
        ends_with_project(self._session, dialog)
        dialog.open()

    def _merge(self, source: int, into: int, shapes: int) -> None:
        classes = self._session.classes
        old, new = classes.by_index(source), classes.by_index(into)
        if old is None or new is None:
            return
        if shapes == 0:
            self._session.class_editor.merge(source, into)
            return
        amount = "1 shape becomes" if shapes == 1 else f"{shapes:,} shapes become"
        text = f"{amount} “{new.name}” in this project. Undo does not bring a class back."
        title = f"Merge “{old.name}” into “{new.name}”?"
        dialog = MessageDialog("question", title, text, choices=_MERGE_CHOICES, parent=self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(partial(self._on_merge_answered, source, into))
        ends_with_project(self._session, dialog)
        dialog.open()

    def _on_merge_answered(self, source: int, into: int, answer: str) -> None:
        if answer == "merge":
            self._session.class_editor.merge(source, into)


class ShapePanelWiring(QObject):
    """Shape list, and which shapes are hidden, one by one or with their class.

    Of a hidden class a shape can be shown by itself; where all shapes are shown, so are their classes.
    What comes into a hidden class is not seen any more: the hint says so.
    """

    def __init__(self, session: Session, panel: ShapePanel, classes: ClassPanel, canvas: CanvasView) -> None:
        super().__init__(panel)
        self._session = session
        self._panel = panel
        self._classes = classes
        self._canvas = canvas
        self._hidden: frozenset[int] = frozenset()
        self._shown: frozenset[int] = frozenset()  # though their classes are hidden
        self._hidden_classes: set[int] = set()
        self._of_hidden: frozenset[int] = frozenset()  # shapes of these
        self._timer = QTimer(self, singleShot=True, interval=SHAPES_DELAY_MS)
        self._timer.timeout.connect(self._follow_document)
        panel.selection_changed.connect(session.set_selection)
        panel.shape_moved.connect(self._on_shape_moved)
        panel.visibility_changed.connect(self._on_visibility_changed)
        classes.class_visibility_changed.connect(self._on_class_visibility_changed)
        session.current_changed.connect(self._on_current_changed)
        session.document_changed.connect(self._on_document_changed)
        session.classes_changed.connect(self._on_classes_changed)
        session.selection_changed.connect(self._on_selection_changed)

    def _on_current_changed(self, _current: CurrentImage | None) -> None:
        self._hidden = self._shown = frozenset()
        self._refresh()

    def _on_document_changed(self, _change: object) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_classes_changed(self) -> None:
        self._hidden_classes &= set(self._session.classes.indices)
        self._panel.set_classes(self._session.classes)
        self._refresh()

    def _on_selection_changed(self, selection: frozenset[int]) -> None:
        if self._timer.isActive():
            self._follow_document()  # what was just drawn must be in the list to be selected there
        self._panel.set_selection(selection)

    def _follow_document(self) -> None:
        before, document = self._of_hidden, self._session.document
        self._refresh()
        if document is not None and (fresh := self._of_hidden - before - self._shown):
            classes = " and ".join(sorted({spoken_label(document.get(uid).label) for uid in fresh}))
            self._canvas.show_note(
                f"{classes} is hidden: click the eye in the class list to see what is drawn."
            )

    def _refresh(self) -> None:
        self._timer.stop()
        document = self._session.document
        self._panel.set_shapes(() if document is None else document.shapes)
        self._panel.set_selection(self._session.selection)
        self._apply_hidden()

    def _apply_hidden(self) -> None:
        if self._session.document is None:
            return
        self._of_hidden = self._of_classes(self._hidden_classes)
        hidden = self._hidden | (self._of_hidden - self._shown)
        self._canvas.set_hidden(hidden)
        self._panel.set_hidden(hidden)

    def _of_classes(self, indices: Collection[int]) -> frozenset[int]:
        """The uids of this image's shapes of these classes."""
        document = self._session.document
        if document is None or not indices:
            return frozenset()
        found = {label: self._session.classes.by_name(label) for label in {s.label for s in document.shapes}}
        labels = {label for label, each in found.items() if each and each.index in indices}
        return frozenset(shape.uid for shape in document.shapes if shape.label in labels)

    def _on_visibility_changed(self, hidden: frozenset[int]) -> None:
        with_class = self._of_classes(self._hidden_classes)
        # What is hidden with its class comes back with it, unless it was hidden by itself before.
        self._hidden = (hidden - with_class) | (hidden & self._hidden)
        self._shown = with_class - hidden
        if not hidden:
            for index in [index for index in self._hidden_classes if self._of_classes({index})]:
                self._hidden_classes.remove(index)
                self._classes.set_class_visible(index, visible=True)
        self._apply_hidden()

    def _on_class_visibility_changed(self, index: int, visible: bool) -> None:
        if visible:
            self._hidden_classes.discard(index)
        else:
            self._hidden_classes.add(index)
        self._shown -= self._of_classes({index})
        self._apply_hidden()

    def _on_shape_moved(self, uid: int, index: int) -> None:
        current = self._session.current
        if current is not None and current.document is not None:
            self._session.execute(Reorder.of(current.document, [uid], index))
