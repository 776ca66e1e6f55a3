"""Drawing and editing: the canvas, the tools' actions, clipboard, labels and the session, joined.

A finished area is drawn with the rectangle tool and without an active class: the canvas then asks for a
label, and the answer is a `_background_` shape at the bottom of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QAction, QActionGroup, QCursor
from PySide6.QtWidgets import QMenu

from app.actions import Actions
from app.canvas.handles import moves_by_pixels
from app.canvas.outlines import outline_of
from app.canvas.shape_index import union
from app.canvas.tools.registry import tool_class, tool_names
from app.canvas.view import CanvasView
from app.session.session import Session
from app.wiring.questions import ends_with_project
from core.annotation.commands import XY, Reorder, drawing, finished_area, pasting
from core.annotation.model import AnnotationState, LabelClass, Shape

if TYPE_CHECKING:
    from app.session.state import CurrentImage

TOOL_ACTIONS: Final = {f"shape.{name}": name for name in tool_names()} | {"shape.finished_area": "rectangle"}
"""Each tool has the action of its name."""
COPY_OFFSET_PX: Final = 12.0
"""How far a copy lies from its original, screen pixels."""
NO_IMAGE: Final = "Open a folder of images to begin"
READING: Final = "Reading the image …"
EMPTY_PROJECT: Final = "There are no images in this folder yet.\nPut some into it: they appear by themselves."


class Editing(QObject):
    """Joins canvas, actions and session. Knows the window only as a parent for menus and dialogs."""

    def __init__(self, session: Session, canvas: CanvasView, actions: Actions) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._actions = actions
        self._clipboard: tuple[Shape, ...] = ()
        self._clipboard_from: tuple[Path, str] | None = None  # project and image
        self._clipboard_classes: dict[str, int] = {}  # indices of its labels: names change
        self._pasted = 0  # so often beside where it was copied from
        self._finished_area = False
        self._tool_before = "select"
        self._connect_canvas()
        self._connect_session()
        self._connect_actions()
        self._on_current_changed(None)

    def _connect_canvas(self) -> None:
        canvas, session = self._canvas, self._session
        canvas.command_issued.connect(session.execute)
        canvas.drag_ended.connect(session.end_drag)
        canvas.selection_requested.connect(session.set_selection)
        canvas.label_needed.connect(self._on_label_needed)
        canvas.label_asked_again.connect(self._ask_label_of)
        canvas.tool_changed.connect(self._on_tool_changed)
        canvas.context_menu_requested.connect(self._on_menu_requested)

    def _connect_session(self) -> None:
        session, canvas = self._session, self._canvas
        session.project_changed.connect(self._on_project_changed)
        session.current_changed.connect(self._on_current_changed)
        session.classes_changed.connect(self._on_classes_changed)
        session.active_class_changed.connect(self._on_active_class_changed)
        session.class_editor.chosen.connect(canvas.context.waiting.take)
        session.selection_changed.connect(canvas.set_selection)
        session.selection_changed.connect(self._update_actions)
        session.history_changed.connect(self._update_actions)

    def _connect_actions(self) -> None:
        actions, session = self._actions, self._session
        self._tool_group = QActionGroup(self)
        for name in TOOL_ACTIONS:
            self._tool_group.addAction(actions[name])
        self._tool_group.triggered.connect(self._on_tool_chosen)
        actions["shape.select"].setChecked(True)
        slots: dict[str, Callable[[], None]] = {
            "edit.copy": self.copy,
            "edit.paste": self.paste,
            "edit.duplicate": self.duplicate,
            "edit.delete": self.delete,
            "edit.select_all": self.select_all,
            "edit.label": self.edit_label,
            "shape.done_next": self.done_and_next,
            "shape.to_front": partial(self.restack, top=True),
            "shape.to_back": partial(self.restack, top=False),
            "shape.brush_smaller": partial(self._canvas.change_brush_size, -1),
            "shape.brush_larger": partial(self._canvas.change_brush_size, 1),
        }
        for name, slot in slots.items():
            actions[name].triggered.connect(_without_arguments(slot))
        actions["shape.done"].triggered.connect(self._on_done_triggered)
        actions["view.labels"].toggled.connect(session.editor.set_shapes_visible)
        actions["edit.keep_previous"].toggled.connect(self._on_keep_previous)

    # --- what the session says ----------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        self._canvas.set_placeholder(self._why_no_image())
        self._clipboard_classes = {}  # another project's indices stand for other classes
        if count := self._canvas.context.waiting.count:
            what = "A shape waits for its label" if count == 1 else f"{count} shapes wait for their label"
            self._session.message.emit(f"{what} where drawn, until the program ends.", "info")

    def _why_no_image(self) -> str:
        session = self._session
        if session.project is None:
            return NO_IMAGE
        return READING if session.entries else EMPTY_PROJECT

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        canvas = self._canvas
        canvas.set_document(None)
        shown = None if current is None else current.image or current.pyramid
        if current is None or shown is None:
            problem = None if current is None else current.problem
            canvas.set_placeholder(problem or self._why_no_image())
            canvas.set_image(None)
        else:
            canvas.set_image(shown)
            canvas.set_document(current.document, str(current.entry.annotation_path))
        self._update_actions()

    def _on_classes_changed(self) -> None:
        self._canvas.set_classes(self._session.classes)

    def _on_active_class_changed(self, label_class: LabelClass | None) -> None:
        self._canvas.set_active_class(None if self._finished_area else label_class)

    def _update_actions(self) -> None:
        session, actions = self._session, self._actions
        document = session.document
        for name in ("edit.copy", "edit.duplicate", "edit.delete", "edit.label", "shape.to_front"):
            actions[name].setEnabled(bool(session.selection))
        actions["shape.to_back"].setEnabled(bool(session.selection))
        actions["edit.paste"].setEnabled(document is not None and bool(self._clipboard))
        for name in ("edit.select_all", "shape.done", "shape.done_next", "file.delete_annotation"):
            actions[name].setEnabled(document is not None)
        actions["file.save_as"].setEnabled(document is not None)
        done = document is not None and document.state is AnnotationState.DONE
        actions["shape.done"].setChecked(done)
        for action in self._tool_group.actions():
            action.setEnabled(document is not None)
        if session.classes.background is None:
            actions["shape.finished_area"].setEnabled(False)

    # --- tools --------------------------------------------------------------------------------------------

    def _on_tool_chosen(self, action: QAction) -> None:
        finished_area = action.objectName() == "shape.finished_area"
        if finished_area and not self._finished_area:
            self._tool_before = self._canvas.tool
        self._finished_area = finished_area
        self._canvas.set_active_class(None if finished_area else self._session.active_class)
        tool = TOOL_ACTIONS[action.objectName()]
        if not tool_class(tool).uses_selection:
            self._session.set_selection(())
        self._canvas.set_tool(tool)
        self._canvas.setFocus()

    def _on_tool_changed(self, tool: str) -> None:
        """The canvas changed its tool by itself, or was told to elsewhere: show which it is."""
        if self._finished_area and tool == "rectangle":
            return
        name = next((n for n, t in TOOL_ACTIONS.items() if t == tool and n != "shape.finished_area"), None)
        if name is not None:
            self._actions[name].setChecked(True)

    def _end_finished_area(self) -> None:
        before = next(n for n, tool in TOOL_ACTIONS.items() if tool == self._tool_before)
        self._actions[before].trigger()

    def _on_label_needed(self, shapes: tuple[Shape, ...]) -> None:
        document = self._session.document
        if document is None or not self._finished_area:
            self._ask_label_of(shapes)
            return
        self._session.execute(finished_area(document, shapes))
        self._session.end_drag()
        self._end_finished_area()

    def _ask_label_of(self, shapes: tuple[Shape, ...]) -> None:
        image = self._session.current
        if image is not None and image.document is not None:
            self._ask_label("", partial(self._draw, image, shapes))

    def _draw(self, image: CurrentImage, shapes: tuple[Shape, ...], label: str) -> None:
        """Add shapes to the image they were drawn on: another may be on show when a new class is made."""
        document = image.document
        assert document is not None, "it was drawn on"
        # A class that was made for them has become active, which labels what waits.
        there = {shape.uid for shape in document.shapes}
        labelled = [shape.with_(label=label) for shape in shapes if shape.uid not in there]
        if not labelled:
            return
        shown = document is self._session.document
        try:
            command = self._canvas.context.drawing(labelled) if shown else drawing(document, labelled)
        except ValueError as error:
            self._session.message.emit(f"Nothing was added: {error}.", "warning")
            return
        if self._session.execute(command, on=image):
            self._canvas.context.waiting.labelled({shape.uid for shape in labelled})
        self._session.end_drag()
        label_class = self._session.classes.by_name(label)
        if label_class is not None:
            self._session.set_active_class(label_class)

    # --- labels -------------------------------------------------------------------------------------------

    def edit_label(self) -> None:
        """Ask for another label for the selected shapes."""
        self.edit_label_of(self._session.selection)

    def edit_label_of(self, uids: Collection[int]) -> None:
        """Ask for another label for shapes of the image that is shown."""
        image = self._session.current
        if image is None or image.document is None or not uids:
            return
        labels = {image.document.get(uid).label for uid in uids}
        relabel = partial(self._session.editor.relabel, uids, on=image)
        self._ask_label(labels.pop() if len(labels) == 1 else "", relabel)

    def _ask_label(self, current: str, then: Callable[[str], None]) -> None:
        from app.dialogs.label import LabelDialog

        # The canvas as its parent would go on getting its own keys, Enter among them.
        dialog = LabelDialog(self._session.classes, current, self._canvas.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.label_chosen.connect(partial(self._with_class, then))
        ends_with_project(self._session, dialog)
        dialog.popup_at(QCursor.pos())

    def _with_class(self, then: Callable[[str], None], label: str) -> None:
        """Go on with a label that is a class, made one first if need be."""
        if self._session.classes.mask_value(label) is not None:
            then(label)
            return
        task = self._session.add_class(label)
        if task is not None:
            task.done.connect(lambda _added: then(label))

    # --- clipboard and selection --------------------------------------------------------------------------

    def copy(self) -> None:
        """Remember the selected shapes."""
        if shapes := self._session.editor.selected:
            self._clipboard, self._clipboard_from = tuple(shapes), self._place()
            classes = {label: self._session.classes.by_name(label) for label in {s.label for s in shapes}}
            # `_background_` is what it is, whatever the background is called.
            self._clipboard_classes = {
                label: found.index for label, found in classes.items() if found and found.name == label
            }
            self._pasted = 0
            self._update_actions()

    def paste(self) -> None:
        """Add what was copied: beside itself on the same image, at its own place on another."""
        beside = self._place() == self._clipboard_from
        steps = self._pasted + 1 if beside else 0  # a second paste lies beside the first
        if self._add_copies(self._with_classes_of_now(self._clipboard), steps, "Paste"):
            self._pasted = max(self._pasted, steps)

    def _place(self) -> tuple[Path, str] | None:
        """The project and the key of the image that is shown."""
        project, current = self._session.project, self._session.current
        return None if project is None or current is None else (project.root, current.entry.key)

    def _with_classes_of_now(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Copied shapes under their classes' names of now; those of classes that are gone stay out."""
        classes = self._session.classes
        found = {label: classes.by_index(index) for label, index in self._clipboard_classes.items()}
        names = {label: each.name for label, each in found.items() if each is not None}
        named = [shape.with_(label=names.get(shape.label, shape.label)) for shape in shapes]
        gone = sorted({shape.label for shape in named if classes.mask_value(shape.label) is None})
        if gone:
            text = f"There is no class {' or '.join(gone)} here; add it to paste its shapes."
            self._session.message.emit(text, "warning")
        return tuple(shape for shape in named if shape.label not in gone)

    def duplicate(self) -> None:
        """Copy the selected shapes beside themselves."""
        self._add_copies(tuple(self._session.editor.selected), 1, "Duplicate")

    def _add_copies(self, shapes: tuple[Shape, ...], steps: int, title: str) -> bool:
        """Put copies so many steps beside the shapes, and select them."""
        document = self._session.document
        if document is None or not shapes:
            return False
        command, copies = pasting(document, shapes, offset=self._beside(shapes, steps), title=title)
        if not self._session.execute(command):
            return False
        self._session.set_selection(shape.uid for shape in copies)
        return True

    def _beside(self, shapes: tuple[Shape, ...], steps: int) -> XY:
        """An offset to the lower right; to the left or up where the image ends."""
        step = COPY_OFFSET_PX / self._canvas.zoom
        away = steps * (max(1.0, float(round(step))) if moves_by_pixels(shapes) else step)
        box, bounded = union(outline_of(shape).box for shape in shapes), self._canvas.context.bounded
        dx = next((way for way in (away, -away) if bounded(box, way, 0.0)[0] == way), 0.0)
        dy = next((way for way in (away, -away) if bounded(box, 0.0, way)[1] == way), 0.0)
        return (dx, dy) if dx or dy else (away, away)

    def delete(self) -> None:
        """Delete the selected shapes, but none by a key that was meant for what is half drawn."""
        if not self._canvas.busy:
            self._session.delete_selection()

    def select_all(self) -> None:
        """Select every shape of the image that is shown and not locked."""
        if self._session.document is not None:
            self._session.set_selection(self._canvas.context.editable())
            self._actions["shape.select"].trigger()

    # --- shapes among each other --------------------------------------------------------------------------

    def restack(self, *, top: bool) -> None:
        """Bring the selected shapes to the top or the bottom of the stack."""
        document = self._session.document
        if document is not None and self._session.selection:
            index = len(document) if top else 0
            self._session.execute(Reorder.of(document, self._session.selection, index))

    # --- state of the image -------------------------------------------------------------------------------

    def _on_done_triggered(self, done: bool) -> None:
        document = self._session.document
        if document is None:
            return
        if done:
            self._session.set_image_state(AnnotationState.DONE)
        else:
            drawn = AnnotationState.IN_PROGRESS if document.shapes else AnnotationState.UNLABELLED
            self._session.set_image_state(drawn)
        self._update_actions()

    def done_and_next(self) -> None:
        """Mark the image as done and go on."""
        self._session.set_image_state(AnnotationState.DONE)
        self._session.next_image()

    def _on_keep_previous(self, kept: bool) -> None:
        self._session.keep_previous = kept

    # --- context menu -------------------------------------------------------------------------------------

    def _on_menu_requested(self, position: QPoint) -> None:
        menu = self.context_menu()
        menu.popup(position)

    def context_menu(self) -> QMenu:
        """What can be done with the selection, or with the image."""
        menu = QMenu(self._canvas)
        menu.aboutToHide.connect(menu.deleteLater)
        names = ["edit.paste", "edit.select_all", "", "shape.done", "view.fit"]
        if self._session.selection:
            names = ["edit.label", "edit.copy", "edit.duplicate", "edit.delete", ""]
            names += ["shape.to_front", "shape.to_back", "shape.cut_hole", ""]
            names += ["shape.unite", "shape.subtract", "shape.simplify", "shape.smooth", "", "shape.lock"]
        for name in names:
            if name:
                menu.addAction(self._actions[name])
            else:
                menu.addSeparator()
        return menu


def _without_arguments(slot: Callable[[], None]) -> Callable[..., None]:
    """Actions tell their checked state; most slots do not want it."""

    def call(*_checked: object) -> None:
        slot()

    return call
