"""What a point can snap to: the nearest vertex or edge of all shapes, found in microseconds.

Rings are cut into chunks of a few dozen edges, whose boxes stand in four columns: a query compares all boxes
at once (ten thousand take some twenty microseconds), then looks at the few chunks in reach. A change of one
shape costs its own chunks, so that there is nothing to rebalance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.geometry import Ring

CHUNK: Final = 32
"""Edges in a chunk: a few boxes for each shape, a few edges for each box."""


@dataclass(frozen=True, slots=True)
class Snap:
    """A point on a shape.

    Attributes:
        x, y: where it is, image pixels; for a vertex exactly its coordinates.
        kind: a vertex, or somewhere on an edge.
        uid: the shape.
        ring: 0 the outline, k hole k - 1.
        index: the vertex; or the edge, by the vertex it starts at.
        distance: from the point that was asked about, pixels.
    """

    x: float
    y: float
    kind: Literal["vertex", "edge"]
    uid: int
    ring: int
    index: int
    distance: float

    @property
    def xy(self) -> tuple[float, float]:
        """Where it is."""
        return self.x, self.y


@dataclass(frozen=True, slots=True)
class VertexRef:
    """A vertex of a shape: ring 0 is the outline, k hole k - 1."""

    uid: int
    ring: int
    vertex: int


@dataclass(frozen=True, slots=True)
class Outlines:
    """The rings of one shape; not `closed` means lines, single points being lines of one vertex."""

    rings: tuple[Ring, ...]
    closed: bool


@dataclass(slots=True)
class _Chunk:
    """Edges `start` to `stop` of one ring; `points` has their vertices, the last one's end included."""

    uid: int
    ring: int
    start: int
    points: Ring | None = None


class SnapIndex:
    """Vertices and edges of shapes by their uids."""

    def __init__(self) -> None:
        self._outlines: dict[int, Outlines] = {}
        self._rows: dict[int, list[int]] = {}
        self._chunks: list[_Chunk | None] = []
        self._free: list[int] = []
        self._boxes = np.zeros((4, 0))  # x0, y0, x1, y1: a column each, contiguous

    # --- following shapes ---------------------------------------------------------------------------------

    def load(self, shapes: Iterable[tuple[int, Outlines]]) -> None:
        """Start over with these shapes."""
        self._outlines = dict(shapes)
        uids, chunks, boxes = _chunks_of(self._outlines.items())
        self._chunks = list(chunks)
        self._boxes = boxes
        self._free = []
        self._rows = {}
        for row, uid in enumerate(uids):
            self._rows.setdefault(uid, []).append(row)

    def put(self, uid: int, outlines: Outlines) -> None:
        """Add a shape, or take over how it looks now."""
        self.drop(uid)
        self._outlines[uid] = outlines
        _, chunks, boxes = _chunks_of([(uid, outlines)])
        while len(self._free) < len(chunks):
            self._grow(len(chunks))
        rows = [self._free.pop() for _ in chunks]
        self._boxes[:, rows] = boxes
        for row, chunk in zip(rows, chunks, strict=True):
            self._chunks[row] = chunk
        self._rows[uid] = rows

    def drop(self, uid: int) -> None:
        """Forget a shape; one that is not there is forgotten already."""
        rows = self._rows.pop(uid, [])
        self._outlines.pop(uid, None)
        for row in rows:
            self._chunks[row] = None
        self._boxes[:, rows] = np.nan  # compares false with everything
        self._free.extend(rows)

    def __len__(self) -> int:
        return len(self._outlines)

    def __getitem__(self, uid: int) -> Outlines:
        return self._outlines[uid]

    # --- asking -------------------------------------------------------------------------------------------

    def nearest(self, x: float, y: float, reach: float, *, leave_out: Collection[int] = ()) -> Snap | None:
        """What a point would snap to: the nearest vertex in reach, else the nearest point of an edge.

        Args:
            x: image pixels.
            y: image pixels.
            reach: how far it may be, pixels.
            leave_out: uids of shapes that do not count (hidden ones, the one that is being moved).
        """
        chunks, points, first = self._around(x, y, reach, leave_out)
        if not chunks:
            return None
        away = points - (x, y)
        distances = np.hypot(away[:, 0], away[:, 1])
        best = int(distances.argmin())
        if distances[best] <= reach:
            chunk, offset = _owner(chunks, first, best)
            count = len(self._outlines[chunk.uid].rings[chunk.ring])
            at, index = points[best].tolist(), (chunk.start + offset) % count
            return Snap(at[0], at[1], "vertex", chunk.uid, chunk.ring, index, float(distances[best]))
        feet, edges = _feet_on_edges(points, first, (x, y))
        if len(edges) == 0:
            return None
        gaps = np.hypot(feet[:, 0] - x, feet[:, 1] - y)
        near = int(gaps.argmin())
        if gaps[near] > reach:
            return None
        chunk, offset = _owner(chunks, first, int(edges[near]))
        at = feet[near].tolist()
        return Snap(at[0], at[1], "edge", chunk.uid, chunk.ring, chunk.start + offset, float(gaps[near]))

    def vertices_at(self, x: float, y: float, *, leave_out: Collection[int] = ()) -> list[VertexRef]:
        """The vertices that lie exactly there, each once, by uid, ring and vertex."""
        chunks, points, first = self._around(x, y, 0.0, leave_out)
        found = set()
        for at in np.flatnonzero((points == (x, y)).all(axis=1)).tolist():
            chunk, offset = _owner(chunks, first, at)
            count = len(self._outlines[chunk.uid].rings[chunk.ring])
            found.add((chunk.uid, chunk.ring, (chunk.start + offset) % count))
        return [VertexRef(*place) for place in sorted(found)]

    def rings_at(
        self, x: float, y: float, within: float, *, leave_out: Collection[int] = ()
    ) -> set[tuple[int, int]]:
        """The rings (uid, ring) that pass within so many pixels of a point."""
        chunks, points, first = self._around(x, y, within, leave_out)
        if not chunks:
            return set()
        feet, edges = _feet_on_edges(points, first, (x, y))
        near = edges[np.hypot(feet[:, 0] - x, feet[:, 1] - y) <= within]
        owners = (_owner(chunks, first, edge)[0] for edge in near.tolist())
        return {(chunk.uid, chunk.ring) for chunk in owners}

    def rings_near(
        self, box: tuple[float, float, float, float], *, leave_out: Collection[int] = ()
    ) -> set[tuple[int, int]]:
        """The rings (uid, ring) some of whose edges have boxes that meet this one (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = self._boxes
        rows = np.flatnonzero((x0 <= box[2]) & (x1 >= box[0]) & (y0 <= box[3]) & (y1 >= box[1]))
        chunks = (self._chunks[row] for row in rows.tolist())
        return {(c.uid, c.ring) for c in chunks if c is not None and c.uid not in leave_out}

    # --- inside -------------------------------------------------------------------------------------------

    def _around(
        self, x: float, y: float, reach: float, leave_out: Collection[int]
    ) -> tuple[list[_Chunk], Ring, NDArray[np.intp]]:
        """The chunks in reach, all their points (N, 2), and where each chunk's points begin."""
        x0, y0, x1, y1 = self._boxes
        rows = np.flatnonzero((x0 <= x + reach) & (x1 >= x - reach) & (y0 <= y + reach) & (y1 >= y - reach))
        chunks = [
            chunk
            for row in rows.tolist()
            if (chunk := self._chunks[row]) is not None and chunk.uid not in leave_out
        ]
        parts = [chunk.points if chunk.points is not None else self._points(chunk) for chunk in chunks]
        first = np.zeros(len(parts), np.intp)
        if not parts:
            return chunks, np.zeros((0, 2)), first
        np.cumsum([len(part) for part in parts[:-1]], out=first[1:])
        return chunks, np.concatenate(parts), first

    def _points(self, chunk: _Chunk) -> Ring:
        """A chunk's vertices, cut out of its ring when first asked for."""
        outlines = self._outlines[chunk.uid]
        ring = outlines.rings[chunk.ring]
        chunk.points = ring[chunk.start : chunk.start + CHUNK + 1]
        if outlines.closed and chunk.start + CHUNK >= len(ring):
            chunk.points = np.concatenate([chunk.points, ring[:1]])
        return chunk.points

    def _grow(self, need: int) -> None:
        size = len(self._chunks)
        more = max(64, size, need)
        self._boxes = np.hstack([self._boxes, np.full((4, more), np.nan)])
        self._chunks.extend([None] * more)
        self._free.extend(range(size + more - 1, size - 1, -1))


def _chunks_of(
    shapes: Iterable[tuple[int, Outlines]],
) -> tuple[list[int], list[_Chunk], NDArray[np.float64]]:
    """The chunks of shapes, whose each is, and their boxes (4, N): vectorised over all rings at once."""
    owners: list[tuple[int, int, bool]] = []
    rings: list[Ring] = []
    for uid, outlines in shapes:
        for number, ring in enumerate(outlines.rings):
            if len(ring):
                owners.append((uid, number, outlines.closed))
                rings.append(ring)
    if not rings:
        return [], [], np.zeros((4, 0))
    counts = np.array([len(ring) for ring in rings])
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    points = np.concatenate(rings)
    following = np.arange(1, len(points) + 1)
    closed = np.array([owner[2] for owner in owners])
    lasts = begins + counts - 1
    following[lasts] = np.where(closed, begins, lasts)
    low, high = np.minimum(points, points[following]), np.maximum(points, points[following])
    # In an open line the last vertex starts no edge; it stands with those before it where there are any.
    edges = np.where(closed, counts, np.maximum(counts - 1, 1))
    pieces = -(-edges // CHUNK)
    ring_of_piece = np.repeat(np.arange(len(rings)), pieces)
    place = np.arange(len(ring_of_piece)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = begins[ring_of_piece] + place * CHUNK
    boxes = np.vstack([np.minimum.reduceat(low, starts).T, np.maximum.reduceat(high, starts).T])
    uids: list[int] = []
    chunks: list[_Chunk] = []
    for ring_number, piece in zip(ring_of_piece.tolist(), place.tolist(), strict=True):
        uid, number, _ = owners[ring_number]
        uids.append(uid)
        chunks.append(_Chunk(uid, number, piece * CHUNK))
    return uids, chunks, boxes


def _owner(chunks: Sequence[_Chunk], first: NDArray[np.intp], point: int) -> tuple[_Chunk, int]:
    """Whose point it is, and which one of that chunk."""
    number = int(np.searchsorted(first, point, side="right")) - 1
    return chunks[number], point - int(first[number])


def _feet_on_edges(
    points: Ring, first: NDArray[np.intp], xy: tuple[float, float]
) -> tuple[Ring, NDArray[np.intp]]:
    """The nearest point of every edge, and which point each edge starts at.

    Between two chunks there is no edge; a chunk of one vertex is an edge without length.
    """
    alone = np.diff(first, append=len(points)) == 1
    real = np.ones(len(points), np.bool_)
    real[np.append(first[1:], len(points)) - 1] = alone
    starts = np.flatnonzero(real)
    ends = starts + 1
    ends[np.isin(starts, first[alone])] -= 1
    origin, along = points[starts], points[ends] - points[starts]
    squared = (along**2).sum(axis=1)
    share = ((xy - origin) * along).sum(axis=1) / np.where(squared > 0, squared, 1.0)
    return origin + np.clip(share, 0.0, 1.0)[:, None] * along, starts
