"""Every edit a person can make, as a small immutable object that can be done, undone and merged.

A command holds whole shapes as they were (`before`), so that undoing is exact to the last bit. Build it with
its `of(document, ...)`, which looks up what it needs; hand it to `History.push`. A result that would be
invalid (a polygon under three vertices, a ring that starts to cross itself, a coordinate that is not a
number) raises ValueError with a sentence for the person, before anything changes.

How commands merge, so that one drag is one entry of the history:

- `MoveVertex` with `MoveVertex` of the same vertex: the last place wins.
- `InsertVertex` with `MoveVertex` of the inserted vertex: the vertex is inserted at the last place.
- `MoveSharedVertex` with `MoveSharedVertex` of the same vertices: the last place wins.
- `TranslateShapes` with `TranslateShapes` of the same shapes: offsets add up.
- `ReplaceShapes` with `ReplaceShapes` of the same shapes and title, when both say `drag=True`.
- `Composite` with `Composite` when they have as many parts and every part merges with its counterpart.
- Nothing else merges. `History.break_merge()`, undo and redo end the drag.

A merged command starts from the oldest `before` and is applied in place of both: the document is then what
the merged command says, not a sum of rounding steps.

This module is where to import commands from; they are defined side by side with their likes: `stack_edits`
(what is there, in which order), `content_edits` (whole shapes), `vertex_edits`, `region_edits` (outlines),
`combining` (shapes that make other shapes) and `layering` (who gives way to whom).
"""

from __future__ import annotations

from core.annotation.combining import (
    clipping,
    divided_by,
    intersecting,
    making_hole,
    splitting,
    subtracting,
    to_masks,
    to_polygons,
    uniting,
)
from core.annotation.command import XY, Command, Composite, ShapeEdit
from core.annotation.content_edits import Group, Relabel, ReplaceShapes, SetLocked, TranslateShapes
from core.annotation.layering import (
    Overlap,
    covering,
    drawing_as,
    drawing_over,
    drawing_under,
    extending_as,
    finished_area,
    giving_way,
    pushing_away,
)
from core.annotation.region_edits import CutHole, FillHoles, OutlineEdit, SimplifyShapes, SmoothShapes
from core.annotation.stack_edits import AddShapes, RemoveShapes, Reorder, SetState, drawing, pasting
from core.annotation.vertex_edits import (
    InsertSharedVertex,
    InsertVertex,
    MoveSharedVertex,
    MoveVertex,
    RemoveVertex,
    shares_vertices,
)

__all__ = [
    "XY",
    "AddShapes",
    "Command",
    "Composite",
    "CutHole",
    "FillHoles",
    "Group",
    "InsertSharedVertex",
    "InsertVertex",
    "MoveSharedVertex",
    "MoveVertex",
    "OutlineEdit",
    "Overlap",
    "Relabel",
    "RemoveShapes",
    "RemoveVertex",
    "Reorder",
    "ReplaceShapes",
    "SetLocked",
    "SetState",
    "ShapeEdit",
    "SimplifyShapes",
    "SmoothShapes",
    "TranslateShapes",
    "clipping",
    "covering",
    "divided_by",
    "drawing",
    "drawing_as",
    "drawing_over",
    "drawing_under",
    "extending_as",
    "finished_area",
    "giving_way",
    "intersecting",
    "making_hole",
    "pasting",
    "pushing_away",
    "shares_vertices",
    "splitting",
    "subtracting",
    "to_masks",
    "to_polygons",
    "uniting",
]
