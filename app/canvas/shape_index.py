"""The shapes of a document as the canvas needs them: outlines, boxes, order, and what lies under a point.

No Qt. Boxes stand in one array, so that a look-up among 10,000 shapes is one vectorised comparison (about
40 microseconds) and a change costs one row; a tree would be faster to ask and dearer to keep up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.canvas.outlines import Box, Outline, contains, edge_distance, outline_of, outlines_of
from core.annotation.document import AnnotationDocument, Change
from core.annotation.locking import is_locked
from core.annotation.model import Shape

MANY_CHANGES: Final = 64
"""From so many changes of one edit on everything is read and drawn anew."""
_EMPTY_BOX: Final = (np.inf, np.inf, -np.inf, -np.inf)


@dataclass(frozen=True, slots=True)
class Touched:
    """What a change made out of date.

    Attributes:
        box: the part of the image to draw again; None for everything.
    """

    box: Box | None


class ShapeIndex:
    """Follows one document. `hidden` shapes are neither drawn nor hit, locked ones are drawn only."""

    def __init__(self) -> None:
        self._document: AnnotationDocument | None = None
        self._outlines: dict[int, Outline] = {}
        self._rows: dict[int, int] = {}  # uid -> row
        self._uids = np.zeros(0, np.int64)  # row -> uid, 0 where free
        self._boxes = np.zeros((0, 4))
        self._places = np.zeros(0, np.int64)  # row -> place in the order, valid while `_ordered`
        self._shown = np.zeros(0, np.bool_)
        self._free: list[int] = []
        self._ordered = False
        self._hidden: frozenset[int] = frozenset()
        self._locked: set[int] = set()
        self._among: tuple[frozenset[int], frozenset[int]] | None = None  # last asked of, and answered

    # --- following the document ---------------------------------------------------------------------------

    def load(self, document: AnnotationDocument | None) -> None:
        """Start over with the shapes of a document."""
        self._document = document
        self._among = None
        shapes = () if document is None else document.shapes
        self._outlines = dict(zip((shape.uid for shape in shapes), outlines_of(shapes), strict=True))
        self._rows = {uid: row for row, uid in enumerate(self._outlines)}
        self._uids = np.fromiter(self._outlines, np.int64, len(self._outlines))
        self._boxes = np.array([outline.box for outline in self._outlines.values()]).reshape(-1, 4)
        self._places = np.arange(len(self._uids))
        self._shown = np.array([uid not in self._hidden for uid in self._outlines], np.bool_)
        self._free = []
        self._ordered = True
        self._locked = {shape.uid for shape in shapes if shape.extra and is_locked(shape)}

    def follow(self, change: Change) -> Touched | None:
        """Take over one change of the document; None when nothing looks different."""
        match change.kind:
            case "reset":
                self.load(self._document)
                return Touched(None)
            case "state":
                return None
            case _:
                pass
        assert change.uid is not None, "a change of one shape names it"
        before = self._outlines.get(change.uid)
        if change.after is None:
            self._drop(change.uid)
        elif change.kind == "moved":
            self._ordered = False
        else:
            self._put(change.after)
        after = self._outlines.get(change.uid)
        return Touched(union(outline.box for outline in (before, after) if outline is not None))

    def reload(self) -> None:
        """Take over very many changes at once: reading all shapes anew costs less than following each."""
        self.load(self._document)

    def set_hidden(self, uids: Collection[int]) -> Box | None:
        """Hide exactly these shapes. Returns the box of those that changed, None for no change."""
        hidden = frozenset(uids)
        changed = [uid for uid in hidden ^ self._hidden if uid in self._rows]
        self._hidden = hidden
        self._among = None
        for uid in changed:
            self._shown[self._rows[uid]] = uid not in hidden
        return union(self._outlines[uid].box for uid in changed) if changed else None

    def _put(self, shape: Shape) -> None:
        self._among = None
        row = self._rows.get(shape.uid)
        if row is None:
            if not self._free:
                self._grow()
            row = self._free.pop()
            self._rows[shape.uid] = row
            self._uids[row] = shape.uid
            self._shown[row] = shape.uid not in self._hidden
            self._ordered = False
        outline = outline_of(shape)
        (self._locked.add if is_locked(shape) else self._locked.discard)(shape.uid)
        self._outlines[shape.uid] = outline
        self._boxes[row] = outline.box

    def _drop(self, uid: int) -> None:
        row = self._rows.pop(uid)
        self._among = None
        del self._outlines[uid]
        self._locked.discard(uid)
        self._boxes[row] = _EMPTY_BOX
        self._uids[row] = 0
        self._shown[row] = False
        self._free.append(row)
        self._ordered = False

    def _grow(self) -> None:
        size = len(self._uids)
        more = max(64, size)
        self._uids = np.concatenate([self._uids, np.zeros(more, np.int64)])
        self._boxes = np.concatenate([self._boxes, np.tile(_EMPTY_BOX, (more, 1))])
        self._places = np.concatenate([self._places, np.zeros(more, np.int64)])
        self._shown = np.concatenate([self._shown, np.zeros(more, np.bool_)])
        self._free.extend(range(size + more - 1, size - 1, -1))

    # --- asking -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._outlines)

    def __contains__(self, uid: object) -> bool:
        return uid in self._outlines

    def __getitem__(self, uid: int) -> Outline:
        return self._outlines[uid]

    @property
    def hidden(self) -> frozenset[int]:
        """The uids last given to `set_hidden`."""
        return self._hidden

    def shown(self) -> list[int]:
        """All shapes that are not hidden, bottom to top."""
        return self._in_order(np.flatnonzero(self._shown))

    def editable(self) -> list[int]:
        """All shapes that are neither hidden nor locked, bottom to top."""
        return [uid for uid in self.shown() if uid not in self._locked]

    def shown_among(self, uids: frozenset[int]) -> frozenset[int]:
        """Those of the shapes that are there and not hidden; a move of the mouse asks it of ten thousand."""
        if self._among is None or self._among[0] is not uids:
            self._among = uids, frozenset(uid for uid in uids if self.is_shown(uid))
        return self._among[1]

    def is_shown(self, uid: int) -> bool:
        """Is the shape there and not hidden?"""
        return uid in self._outlines and uid not in self._hidden

    def near(self, box: Box) -> list[int]:
        """Shown shapes whose boxes meet `box`, bottom to top."""
        x0, y0, x1, y1 = box
        meets = self._shown & (self._boxes[:, 0] <= x1) & (self._boxes[:, 2] >= x0)
        meets &= (self._boxes[:, 1] <= y1) & (self._boxes[:, 3] >= y0)
        return self._in_order(np.flatnonzero(meets))

    @property
    def locked(self) -> Set[int]:
        """Shapes that are seen and not edited."""
        return self._locked

    def within_reach(self, box: Box) -> list[int]:
        """As `near`, without what is locked."""
        near = self.near(box)
        return [uid for uid in near if uid not in self._locked] if self._locked else near

    def under(self, x: float, y: float, reach: float) -> list[int]:
        """Shapes in reach that contain the point or have an edge within `reach` of it, topmost first."""
        near = self.within_reach((x - reach, y - reach, x + reach, y + reach))
        return [uid for uid in reversed(near) if self.touches(uid, x, y, reach)]

    def covers(self, x: float, y: float) -> bool:
        """Does any shape that is shown, locked or not, contain the point?"""
        return any(contains(self._outlines[uid], x, y) for uid in self.near((x, y, x, y)))

    def touches(self, uid: int, x: float, y: float, reach: float) -> bool:
        """Does the shape contain the point, or have an edge within `reach` pixels of it?"""
        outline = self._outlines[uid]
        return contains(outline, x, y) or edge_distance(outline, x, y) <= reach

    def box_of(self, uids: Iterable[int]) -> Box:
        """Smallest box around shapes; an empty one around none. Uids that are not there count nothing."""
        rows = [row for uid in uids if (row := self._rows.get(uid)) is not None]
        if not rows:
            return _EMPTY_BOX
        boxes = self._boxes[rows]
        x0, y0 = boxes[:, :2].min(axis=0).tolist()
        x1, y1 = boxes[:, 2:].max(axis=0).tolist()
        return x0, y0, x1, y1

    def _in_order(self, rows: NDArray[np.intp]) -> list[int]:
        if not self._ordered and self._document is not None:
            order = [shape.uid for shape in self._document.shapes]
            places = np.fromiter((self._rows[uid] for uid in order), np.int64, len(order))
            self._places[places] = np.arange(len(order))
            self._ordered = True
        found: list[int] = self._uids[rows[np.argsort(self._places[rows])]].tolist()
        return found


def union(boxes: Iterable[Box]) -> Box:
    """Smallest box around boxes; an empty one (infinite corners crossed) around none."""
    x0, y0, x1, y1 = _EMPTY_BOX
    for left, top, right, bottom in boxes:
        x0, y0, x1, y1 = min(x0, left), min(y0, top), max(x1, right), max(y1, bottom)
    return x0, y0, x1, y1
