"""What the Shape menu does with the selected shapes: combine, convert, group, lock. See also `reshaping`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from PySide6.QtCore import QObject
from PySide6.QtGui import QActionGroup

from app.actions import Actions
from app.canvas.view import CanvasView
from app.session.session import Session
from app.settings import Settings
from core.annotation import commands
from core.annotation.areas import AREAL
from core.annotation.commands import Command, Overlap
from core.annotation.document import AnnotationDocument
from core.annotation.locking import is_locked
from core.annotation.model import BACKGROUND_LABEL, Shape, ShapeType

Maker: TypeAlias = Callable[[AnnotationDocument, Collection[int]], Command]

OVERLAPS: Final = {
    "shape.draw_stack": Overlap.STACK,
    "shape.draw_under": Overlap.UNDER,
    "shape.draw_over": Overlap.OVER,
}
_SAID: Final = {
    Overlap.STACK: "New shapes lie on top of the others.",
    Overlap.UNDER: "New shapes take only free pixels.",
    Overlap.OVER: "New shapes take their pixels from the others.",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the selection has in it, as far as actions depend on it."""

    count: int = 0
    areas: int = 0
    outlines: bool = False
    polygons: bool = False
    holes: bool = False
    no_polygons: bool = False
    no_masks: bool = False
    grouped: bool = False
    unlocked: bool = False

    @classmethod
    def of(cls, shapes: Collection[Shape]) -> Chosen:
        """Look through the selected shapes once."""
        types = {shape.shape_type for shape in shapes}
        return cls(
            count=len(shapes),
            areas=sum(shape.shape_type in AREAL for shape in shapes),
            outlines=bool(types & {ShapeType.POLYGON, ShapeType.LINESTRIP}),
            polygons=ShapeType.POLYGON in types,
            holes=any(shape.holes for shape in shapes),
            no_polygons=bool(types & (AREAL - {ShapeType.POLYGON})),
            no_masks=bool(types - {ShapeType.MASK}),
            grouped=any(shape.group_id is not None for shape in shapes),
            unlocked=any(not is_locked(shape) for shape in shapes),
        )


class ShapeActions(QObject):
    """Joins the actions on shapes with session and canvas."""

    def __init__(self, session: Session, canvas: CanvasView, actions: Actions, settings: Settings) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._actions = actions
        self._settings = settings
        self._connect_actions()
        session.current_changed.connect(self._update_actions)
        session.selection_changed.connect(self._update_actions)
        session.history_changed.connect(self._update_actions)
        self._update_actions()

    def _connect_actions(self) -> None:
        makers: dict[str, Maker] = {
            "shape.unite": commands.uniting,
            "shape.subtract": commands.subtracting,
            "shape.intersect": commands.intersecting,
            "shape.give_way": lambda d, uids: commands.giving_way(d, uids, spare=self._backdrop()),
            "shape.push_away": lambda d, uids: commands.pushing_away(d, uids, spare=self._backdrop()),
            "shape.cut_hole": lambda d, uids: commands.making_hole(d, next(iter(uids))),
            "shape.clip": lambda d, uids: commands.clipping(d, uids, self._canvas.context.image_size),
            "shape.fill_holes": commands.FillHoles.of,
            "shape.to_polygon": commands.to_polygons,
            "shape.to_mask": lambda d, uids: commands.to_masks(d, uids, self._canvas.context.image_size),
            "shape.group": commands.Group.of,
            "shape.ungroup": commands.Group.dissolving,
        }
        actions = self._actions
        for name, make in makers.items():
            actions[name].triggered.connect(partial(self._do, make))
        slots: dict[str, Callable[[], None]] = {
            "shape.lock": self.lock,
            "shape.unlock": self.unlock_all,
            "edit.select_class": self.select_class,
            "edit.select_group": self.select_group,
        }
        for name, slot in slots.items():
            actions[name].triggered.connect(partial(_call, slot))
        self._overlap_group = QActionGroup(self)
        for name in OVERLAPS:
            self._overlap_group.addAction(actions[name])
        actions["shape.draw_stack"].setChecked(True)
        self._overlap_group.triggered.connect(lambda action: self.set_overlap(OVERLAPS[action.objectName()]))
        self._canvas.context.snapper.enabled = self._settings.snapping
        actions["shape.snap"].setChecked(self._settings.snapping)
        actions["shape.snap"].toggled.connect(self._on_snap_toggled)

    # --- what is possible ---------------------------------------------------------------------------------

    def _update_actions(self, *_told: object) -> None:
        document, chosen = self._session.document, Chosen.of(self._session.editor.selected)
        others = document is not None and len(document) > chosen.count
        possible = {
            "shape.unite": chosen.areas > 1,
            "shape.subtract": chosen.areas > 1,
            "shape.intersect": chosen.areas > 1,
            "shape.give_way": chosen.areas > 0 and others,
            "shape.push_away": chosen.areas > 0 and others,
            "shape.cut_hole": chosen.count == 1,
            "shape.clip": chosen.count > 0,
            "shape.simplify": chosen.outlines,
            "shape.smooth": chosen.polygons,
            "shape.fill_holes": chosen.holes,
            "shape.to_polygon": chosen.no_polygons,
            "shape.to_mask": chosen.no_masks,
            "shape.group": chosen.count > 1,
            "shape.ungroup": chosen.grouped,
            "shape.lock": chosen.count > 0,
            "shape.unlock": bool(self._canvas.context.index.locked),
            "edit.select_class": chosen.count > 0,
            "edit.select_group": chosen.grouped,
        }
        for name, enabled in possible.items():
            self._actions[name].setEnabled(enabled)
        self._actions["shape.lock"].setText("Unloc&k" if chosen.count and not chosen.unlocked else "Loc&k")

    def _backdrop(self) -> frozenset[str]:
        background = self._session.classes.by_name(BACKGROUND_LABEL)
        return frozenset([BACKGROUND_LABEL] if background is None else [BACKGROUND_LABEL, background.name])

    # --- doing it -----------------------------------------------------------------------------------------

    def _do(self, make: Maker, _checked: bool = False) -> bool:
        """Do a command with the selected shapes, or say why not."""
        document = self._session.document
        if document is None or not self._session.selection:
            return False
        before = {shape.uid for shape in document.shapes}
        try:
            command = make(document, self._session.selection)
        except ValueError as error:
            text = str(error)
            self._session.message.emit(f"{text[:1].upper()}{text[1:]}.", "warning")
            return False
        if not self._session.execute(command):
            return False
        self._session.end_drag()
        new = {shape.uid for shape in document.shapes} - before
        if new:  # the pieces of one shape stay selected together
            self._session.set_selection(self._session.selection | new)
        return True

    def lock(self) -> None:
        """Lock the selected shapes, which the mouse then passes through; unlock them if all are locked."""
        lock = any(not is_locked(shape) for shape in self._session.editor.selected)
        done = self._do(lambda document, uids: commands.SetLocked.of(document, uids, locked=lock))
        if done and lock:
            self._session.set_selection(())

    def unlock_all(self) -> None:
        """Unlock all shapes of the image."""
        document, unlocked = self._session.document, frozenset(self._canvas.context.index.locked)
        if document is None or not unlocked:
            return
        if self._session.execute(commands.SetLocked.of(document, unlocked, locked=False)):
            self._session.end_drag()
            self._session.set_selection(unlocked)

    def select_class(self) -> None:
        """Select all shapes that have the labels of the selected ones."""
        self._select_like(lambda shape: shape.label)

    def select_group(self) -> None:
        """Select all shapes that are grouped with the selected ones."""
        self._select_like(lambda shape: shape.group_id)

    def _select_like(self, trait: Callable[[Shape], object]) -> None:
        document = self._session.document
        wanted = {trait(shape) for shape in self._session.editor.selected} - {None}
        if document is not None:
            free = self._canvas.context.editable()
            found = {uid for uid in free if trait(document.get(uid)) in wanted}
            self._session.set_selection(self._session.selection | found)

    # --- how new shapes are drawn -------------------------------------------------------------------------

    def set_overlap(self, overlap: Overlap) -> None:
        """Choose what new shapes do to those they overlap."""
        self._canvas.context.overlap = overlap
        self._session.message.emit(_SAID[overlap], "info")

    def _on_snap_toggled(self, snap: bool) -> None:
        self._canvas.context.snapper.enabled = self._settings.snapping = snap
        words = "Points snap to neighbours; Alt suspends it." if snap else "Points stay where they are put."
        self._session.message.emit(words, "info")


def _call(slot: Callable[[], None], _checked: bool = False) -> None:
    slot()
