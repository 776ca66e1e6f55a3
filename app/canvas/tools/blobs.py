"""Blob proposals: candidates are outlined, a click picks one, a drag many, a key all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_line
from app.canvas.pixels import Latest, PixelReader
from app.canvas.shape_index import union
from app.canvas.style import line_pen
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.found import TOLERANCE, preview_path
from app.canvas.tools.half_drawn import drops
from core.annotation.commands import XY
from core.annotation.document import Change
from core.annotation.model import Shape
from core.interactive.blobs import Blob, BlobKind, blob_candidates
from core.interactive.window import Patch, PixelBox, overlap, window_around

_WINDOW_PIXELS: Final = 4_000_000
"""Pixels searched at once, around the middle of what is in sight."""
_FIRST_RADIUS: Final = 8.0
_SPREAD: Final = 2.0
"""The largest radius is so many times the typical one, the smallest such a part of it."""
_STEP: Final = 1.25
_LEAST_RADIUS: Final = 2.0
_LARGEST_RADIUS: Final = 250.0
_LIMIT: Final = 2000
_PALE: Final = QColor(255, 255, 255, 200)
_SIDES: Final = {None: "bright or dark", False: "bright", True: "dark"}
_KINDS: Final[dict[BlobKind, str]] = {"log": "round spots", "mser": "spots of any form"}
_OTHER_KIND: Final[dict[BlobKind, BlobKind]] = {"log": "mser", "mser": "log"}
_NONE: Final = Qt.KeyboardModifier.NoModifier
_KEYPAD: Final = Qt.KeyboardModifier.KeypadModifier
_CTRL_ALT: Final = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
_NEXT_SIDE: Final = {None: False, False: True, True: None}


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A blob, the shapes it would become, and their outline in image coordinates."""

    blob: Blob
    shapes: tuple[Shape, ...]
    path: QPainterPath


def candidates_in(
    reader: PixelReader, box: PixelBox, radius: float, kind: BlobKind, dark: bool | None
) -> tuple[Candidate, ...]:
    """Worker: the candidates of a window."""
    blobs = blob_candidates(
        reader.window(box),
        min_radius=max(1.0, radius / _SPREAD),
        max_radius=radius * _SPREAD,
        kind=kind,
        dark=dark,
        limit=_LIMIT,
    )
    found = []
    for blob in blobs:
        patch = Patch(blob.patch.mask, blob.patch.x + box[0], blob.patch.y + box[1])
        shapes = patch.shapes("", TOLERANCE)
        center = blob.center[0] + box[0], blob.center[1] + box[1]
        moved = Blob(patch, center, blob.radius, blob.score)
        found.append(Candidate(moved, shapes, preview_path(shapes)))
    return tuple(found)


class BlobTool(Tool):
    """Round things and steady regions are outlined in what is in sight; those labelled already are left out.

    A click on one adds it, a drag adds those in the box, Enter all. The bracket keys change the size
    looked for, / round spots or spots of any form (by LoG and by MSER), I bright or dark ones.
    """

    name = "blobs"
    title = "Blob proposals"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.radius = _FIRST_RADIUS
        """Of a typical blob, image pixels."""
        self.kind: BlobKind = "log"
        self.dark: bool | None = None
        self.work = Latest(context.runner, context.view)
        self.work.failed.connect(self._on_failed)
        self.work.changed.connect(context.refresh)
        self._offer_soon = QTimer(context.view)
        self._offer_soon.setSingleShot(True)
        self._offer_soon.timeout.connect(self._offer_again)
        self._candidates: tuple[Candidate, ...] | None = None
        self._open: tuple[Candidate, ...] = ()
        self._boxes = np.zeros((0, 4))  # of the open ones: a move of the mouse looks at all of them
        self._paths = QPainterPath()
        self._searched: PixelBox | None = None
        self._hovered: Candidate | None = None
        self._pressed: Pointer | None = None
        self._at: XY | None = None

    @property
    def busy(self) -> bool:
        """Is a box being dragged?"""
        return self._pressed is not None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Those on show."""
        return self._open

    def activate(self) -> None:
        """Look for candidates in what is in sight."""
        if self._searched is None:
            self._search()

    def image_readable(self) -> None:
        """Look again, if nothing could be looked at."""
        self.activate()

    def cancel(self) -> None:
        """Show none."""
        self.work.drop()
        self._offer_soon.stop()
        self._candidates = None
        self._searched = None
        self._pressed = None
        self._offer()

    def document_changed(self, change: Change) -> None:
        """What is labelled is no candidate any more, what was undone is one again."""
        if self._candidates is not None:
            self._offer_soon.start()  # once for a command that changes a thousand shapes

    # --- searching ----------------------------------------------------------------------------------------

    def _search(self) -> None:
        reader = self.context.pixels
        x0, y0, x1, y1 = self.context.visible_box
        if reader is None or self.context.document is None or x0 >= x1 or y0 >= y1:
            return
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        box = overlap((x0, y0, x1, y1), window_around(middle, (reader.height, reader.width), _WINDOW_PIXELS))
        self._searched = box
        self.work.run(
            candidates_in,
            reader,
            box,
            self.radius,
            self.kind,
            self.dark,
            doing="looking for blobs",
            then=self._on_found,
        )

    def _on_found(self, found: tuple[Candidate, ...]) -> None:
        self._candidates = found
        self._offer()

    def _on_failed(self, sentence: str) -> None:
        """The next move looks again: the image may be readable soon."""
        self._searched = None
        self.context.say(sentence)

    def _offer(self) -> None:
        """Show the candidates that no shape covers."""
        self._open = tuple(each for each in self._candidates or () if not self._is_labelled(each))
        self._boxes = np.array([each.blob.patch.box for each in self._open]).reshape(-1, 4)
        self._paths = QPainterPath()
        for each in self._open:
            self._paths.addPath(each.path)
        self._hovered = None if self._at is None else self._candidate_at(self._at)

    def _offer_again(self) -> None:
        self._offer()
        self.context.refresh()

    def _is_labelled(self, candidate: Candidate) -> bool:
        document = self.context.document
        if document is None:
            return False
        under = self.context.index.under(*candidate.blob.center, 0.0)
        return any(document.get(uid).label not in self.context.spare for uid in under)

    def _candidate_at(self, xy: XY) -> Candidate | None:
        x0, y0, x1, y1 = self._boxes.T
        near = np.flatnonzero((x0 <= xy[0]) & (xy[0] < x1) & (y0 <= xy[1]) & (xy[1] < y1))
        return next((self._open[k] for k in near if self._open[k].blob.patch.contains(xy)), None)

    def _between(self, start: XY, end: XY) -> tuple[Candidate, ...]:
        """Those whose centre lies in a box, and those on which it begins or ends."""
        (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        ends = self._candidate_at(start), self._candidate_at(end)
        return tuple(
            each
            for each in self._open
            if each in ends or (x0 <= each.blob.center[0] <= x1 and y0 <= each.blob.center[1] <= y1)
        )

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Begin a click or a box."""
        if pointer.left and self.context.document is not None:
            self._pressed = pointer
            self._at = pointer.xy

    def move(self, pointer: Pointer) -> None:
        """Highlight what a click would take; look for more where nobody has looked."""
        self._at = pointer.xy
        self._hovered = self._candidate_at(pointer.xy)
        if self._pressed is None and self.context.clamp(pointer.xy) == pointer.xy:
            box = self._searched
            if box is None or not (box[0] <= pointer.x < box[2] and box[1] <= pointer.y < box[3]):
                self._search()

    def release(self, pointer: Pointer) -> None:
        """Add the candidate clicked, or those in the box."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left or self._pressed is None:
            return
        start, self._pressed = self._pressed, None
        if pointer.dragged_from(start):
            self._add(self._between(start.xy, pointer.xy))
        else:
            clicked = self._candidate_at(start.xy)
            self._add(() if clicked is None else (clicked,))

    def leave(self) -> None:
        """Highlight nothing."""
        self._at = None
        self._hovered = None

    def _add(self, chosen: tuple[Candidate, ...]) -> None:
        # Candidates stay in sight until they are labelled.
        self.context.add_drawn(*(shape for each in chosen for shape in each.shapes), kept=True)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Take all, sizes, method, polarity; Esc or Ctrl+Z while dragging."""
        if self.busy and drops(event):
            return True
        if event.key() in (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight, Qt.Key.Key_Slash):
            return _types(event)
        keys = {Qt.Key.Key_I}
        if self._open:
            keys |= {Qt.Key.Key_Return, Qt.Key.Key_Enter}
        return event.key() in keys and event.modifiers() in (_NONE, _KEYPAD)

    def key(self, event: QKeyEvent) -> bool:
        """See `claims`."""
        if not self.claims(event):
            return False
        match event.key():
            case Qt.Key.Key_Escape | Qt.Key.Key_Z:
                self._pressed = None
            case Qt.Key.Key_BracketLeft | Qt.Key.Key_BracketRight:
                larger = event.key() == Qt.Key.Key_BracketRight
                wanted = self.radius * (_STEP if larger else 1 / _STEP)
                self.radius = min(_LARGEST_RADIUS, max(_LEAST_RADIUS, wanted))
                self._search()
            case Qt.Key.Key_Slash:
                self.kind = _OTHER_KIND[self.kind]
                self._search()
            case Qt.Key.Key_I:
                self.dark = _NEXT_SIDE[self.dark]
                self._search()
            case _ if not event.isAutoRepeat():
                self._add(self._open)
        return True

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> Qt.CursorShape:
        """A hand over a candidate."""
        return Qt.CursorShape.CrossCursor if self._hovered is None else Qt.CursorShape.PointingHandCursor

    @property
    def hint(self) -> str:
        """What to do next."""
        sizes = f"{self.radius / _SPREAD:.0f} to {self.radius * _SPREAD:.0f} px"
        if self.work.busy:
            return f"Looking for {_KINDS[self.kind]} of radius {sizes} …"
        keys = f"[ ] other sizes, / {_KINDS[_OTHER_KIND[self.kind]]}, I {_SIDES[_NEXT_SIDE[self.dark]]} ones"
        what = f"{_SIDES[self.dark]} {_KINDS[self.kind]} of radius {sizes}"
        if not self._open:
            return f"No {what} in sight; {keys}"
        return f"{len(self._open)} {what}: click one, drag over many, Enter takes all; {keys}"

    def _taken(self) -> tuple[Candidate, ...]:
        """What a click here, or the end of the drag, would take."""
        if self._pressed is not None and self._at is not None:
            return self._between(self._pressed.xy, self._at)
        return () if self._hovered is None else (self._hovered,)

    def overlay_box(self) -> Box | None:
        """Around all candidates and the dragged box."""
        boxes: list[Box] = []
        if not self._paths.isEmpty():
            rect = self._paths.boundingRect()
            boxes.append((rect.left(), rect.top(), rect.right(), rect.bottom()))
        if self._pressed is not None and self._at is not None:
            boxes += [(*self._pressed.xy, *self._pressed.xy), (*self._at, *self._at)]
        return union(boxes) if boxes else None

    def paint_overlay(self, painter: QPainter) -> None:
        """Outlines of candidates, the box; what a click or the release would take is filled."""
        color = self.context.drawing_color
        painter.setBrush(Qt.BrushStyle.NoBrush)
        path = self.context.to_viewport_path(self._paths)
        for pen_color, width, style in (
            (QColor(0, 0, 0, 110), 3.0, Qt.PenStyle.SolidLine),
            (_PALE, 1.3, Qt.PenStyle.SolidLine),
        ):
            pen = line_pen(pen_color, width)
            pen.setStyle(style)
            painter.setPen(pen)
            painter.drawPath(path)
        tint = QColor(color)
        tint.setAlpha(110)
        for each in self._taken():
            taken = self.context.to_viewport_path(each.path)
            painter.fillPath(taken, tint)
            draw_line(painter, taken, color, 2.0)
        if self._pressed is not None and self._at is not None:
            band = QPainterPath()
            corners = self.context.to_screen(self._pressed.xy), self.context.to_screen(self._at)
            band.addRect(QRectF(*corners).normalized())
            draw_line(painter, band, color, 1.2, Qt.PenStyle.DashLine)


def _types(event: QKeyEvent) -> bool:
    """Does a key give its character? Some layouts want Shift or AltGr, which is Ctrl+Alt on Windows."""
    return event.modifiers() & _CTRL_ALT in (_NONE, _CTRL_ALT)
