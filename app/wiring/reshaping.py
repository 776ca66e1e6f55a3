"""Simplify and smooth: choose how much while the canvas shows what it does, then do it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, TypeAlias

from PySide6.QtCore import QObject, QPoint, QPointF, QSize

from app.actions import Actions
from app.canvas.pixels import Latest
from app.canvas.shape_index import union
from app.canvas.view import CanvasView
from app.dialogs.amount import AmountPopover
from app.session.session import Session
from app.workers.tasks import TaskRunner
from core.annotation.commands import OutlineEdit, ReplaceShapes, SimplifyShapes, SmoothShapes
from core.annotation.document import AnnotationDocument
from core.annotation.locking import refuse_locked
from core.annotation.model import Shape

Maker: TypeAlias = Callable[[AnnotationDocument, Collection[int], float], OutlineEdit]
Pairs: TypeAlias = Sequence[tuple[Shape, Shape]]

MOST_SHOWN: Final = 400
"""So many shapes are shown beforehand: each is painted anew for every amount."""
QUICK: Final = 3000
"""Outlines of so many vertices together are computed within some hundredths of a second."""
_WORKERS_MS: Final = 8000


def outcome(edit: OutlineEdit) -> Pairs | str:
    """Worker: each shape before and after, or why it cannot be done."""
    try:
        return edit.pairs()
    except ValueError as error:
        return str(error)


class Reshaping(QObject):
    """Joins the two actions with session and canvas.

    A few outlines change at once. Many are computed in a worker: those in sight are shown beforehand, the
    ones nearest the middle first; all change when the amount is accepted.
    """

    def __init__(self, session: Session, canvas: CanvasView, actions: Actions) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._amounts = {"Simplify": 1.0, "Smooth": 2.0}  # remembered from one time to the next, pixels
        self._runner = TaskRunner(1, self)
        self._work = Latest(self._runner, self)
        self._work.failed.connect(self._on_failed)
        self._popover: AmountPopover | None = None
        for name, title, make in (
            ("shape.simplify", "Simplify", SimplifyShapes.of),
            ("shape.smooth", "Smooth", SmoothShapes.of),
        ):
            actions[name].triggered.connect(partial(self._ask, title, make))

    def close(self) -> None:
        """End the worker."""
        self._work.drop()
        self._runner.close(_WORKERS_MS)

    # --- asking how much ----------------------------------------------------------------------------------

    def _ask(self, title: str, make: Maker, _checked: bool = False) -> None:
        document, uids = self._session.document, self._session.selection
        if document is None or not uids:
            return
        amount = self._amounts[title]
        whole = make(document, uids, amount)
        part = whole.of_some(self._in_sight(uids))
        # The canvas as its parent would go on getting its own keys, Enter among them.
        self._popover = popover = AmountPopover(title, amount, self._canvas.window())
        popover.amount_changed.connect(partial(self._show, whole, part))
        popover.cancelled.connect(self._on_cancelled)
        popover.chosen.connect(partial(self._on_chosen, title, document, whole))
        popover.popup_at(self._beside(uids, popover.sizeHint()))

    def _in_sight(self, uids: Collection[int]) -> frozenset[int]:
        """Of shapes those that can be seen: not more than can be shown, those nearest the middle."""
        index, (x0, y0, x1, y1) = self._canvas.context.index, self._canvas.context.visible_box
        seen = [uid for uid in index.near((x0, y0, x1, y1)) if uid in uids]

        def off_the_middle(uid: int) -> float:
            left, top, right, bottom = index[uid].box
            return (left + right - x0 - x1) ** 2 + (top + bottom - y0 - y1) ** 2

        return frozenset(sorted(seen, key=off_the_middle)[:MOST_SHOWN])

    def _beside(self, uids: Collection[int], size: QSize) -> QPoint:
        """A place for a popover on the desktop, with the shapes in sight: right, left, or in a corner."""
        canvas, margin = self._canvas, 16
        x0, y0, x1, _ = union(canvas.context.index[uid].box for uid in uids)
        left, right = (canvas.to_viewport(QPointF(x, y0)).toPoint() for x in (x0, x1))
        top = max(margin, right.y())
        if right.x() + margin + size.width() <= canvas.viewport().width():
            corner = QPoint(max(margin, right.x() + margin), top)
        elif left.x() - margin - size.width() >= 0:
            corner = QPoint(left.x() - margin - size.width(), top)
        else:
            corner = QPoint(margin, margin)
        return canvas.viewport().mapToGlobal(corner)

    # --- showing it ---------------------------------------------------------------------------------------

    def _show(self, whole: OutlineEdit, part: OutlineEdit, amount: float) -> None:
        try:
            refuse_locked(whole.before)
        except ValueError as error:
            self._note(f"Not possible: {error}.")
            return
        if not part.before:
            self._note(f"None of the {len(whole.before):,} shapes is in sight; all of them change.")
            return
        some = part.with_amount(amount)
        self._compute(some, "trying an outline", partial(self._on_tried, len(whole.before)))

    def _on_tried(self, count: int, found: Pairs | str) -> None:
        if self._popover is None:
            return
        if isinstance(found, str):
            self._note(f"Not possible: {found}.")
            return
        before, after = (sum(map(_vertices, shapes)) for shapes in zip(*found, strict=True))
        shown = f" in the {len(found):,} shapes shown; all {count:,} change" if len(found) < count else ""
        self._note(f"{before:,} vertices become {after:,}{shown}")
        self._canvas.change_live(previews={shape.uid: shape for _, shape in found})

    def _note(self, text: str) -> None:
        if self._popover is not None:
            self._popover.set_note(text)

    def _compute(self, edit: OutlineEdit, doing: str, then: Callable[[Pairs | str], None]) -> None:
        """Here where it is quick, else in the worker."""
        if sum(map(_vertices, edit.before)) <= QUICK:
            then(outcome(edit))
        else:
            self._work.run(outcome, edit, doing=doing, then=then)

    # --- doing it -----------------------------------------------------------------------------------------

    def _on_cancelled(self) -> None:
        self._popover = None
        self._work.drop()
        self._canvas.context.clear_preview()

    def _on_chosen(self, title: str, document: AnnotationDocument, whole: OutlineEdit, amount: float) -> None:
        self._popover = None
        self._amounts[title] = amount
        self._work.drop()
        edit = whole.with_amount(amount)
        self._compute(edit, "changing outlines", partial(self._do, document, edit))
        if self._work.busy:
            self._session.message.emit(f"{edit.name}: this takes a moment.", "info")

    def _do(self, document: AnnotationDocument, edit: OutlineEdit, found: Pairs | str) -> None:
        self._canvas.context.clear_preview()
        current = self._session.current
        if isinstance(found, str):
            self._session.message.emit(f"{found[:1].upper()}{found[1:]}.", "warning")
        elif current is None or current.document is not document or not _as_they_were(document, found):
            text = f"{edit.name}: not done, the shapes were changed meanwhile."
            self._session.message.emit(text, "warning")
        else:
            before, after = (tuple(shapes) for shapes in zip(*found, strict=True))
            if self._session.execute(ReplaceShapes(before, after, edit.name)):
                self._session.end_drag()

    def _on_failed(self, sentence: str) -> None:
        self._canvas.context.clear_preview()
        self._session.message.emit(sentence, "error")


def _as_they_were(document: AnnotationDocument, pairs: Pairs) -> bool:
    return all(before.uid in document and document.get(before.uid) is before for before, _ in pairs)


def _vertices(shape: Shape) -> int:
    return len(shape.points) + sum(map(len, shape.holes))
