"""The magic wand: press on an object, and what is connected and of like colour is found."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QPainter

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_tag
from app.canvas.pixels import PixelReader
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer
from app.canvas.tools.found import FoundRegionTool
from core.annotation.commands import XY
from core.interactive.region_growing import MAX_PIXELS, RegionGrower
from core.interactive.window import Patch, window_around

_PER_LEVEL: Final = 3.0
"""Screen pixels the mouse moves sideways for one grey level of tolerance."""
_FIRST_TOLERANCE: Final = 16.0
_MOST: Final = 255.0

Combine = Literal["new", "add", "subtract"]


class _Seed:
    """Where the wand was pressed. Its pixels are read and compared at the first look, in the worker.

    Args:
        before: finds what the region is added to or taken from; called once, in the worker.
    """

    def __init__(
        self, reader: PixelReader, xy: XY, combine: Combine, before: Callable[[], Patch] | None
    ) -> None:
        self._reader = reader
        self._xy = xy
        self._combine = combine
        self._before = before
        self._base: Patch | None = None
        self._grower: RegionGrower | None = None
        self._origin = 0, 0

    def region(self, tolerance: float) -> Patch:
        """Worker: the region of a tolerance, with what was found before."""
        grown = self._grow(tolerance)
        if self._before is not None:
            self._base, self._before = self._before(), None
        if self._base is None:
            return grown
        return self._base.plus(grown) if self._combine == "add" else self._base.minus(grown)

    def _grow(self, tolerance: float) -> Patch:
        if self._grower is None:
            box = window_around(self._xy, (self._reader.height, self._reader.width), MAX_PIXELS)
            self._origin = box[0], box[1]
            local = self._xy[0] - box[0], self._xy[1] - box[1]
            self._grower = RegionGrower(self._reader.window(box), local)
        patch = self._grower.grow(tolerance)
        return Patch(patch.mask, patch.x + self._origin[0], patch.y + self._origin[1])


class WandTool(FoundRegionTool):
    """A press finds a region, a drag to the right widens the tolerance, to the left narrows it.

    With Shift the region is added to what is found already, with Alt taken from it; without, it takes its
    place. A double-click finds and accepts.
    """

    name = "wand"
    title = "Magic wand"
    overlay_margin = 140.0  # the tag with the tolerance

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.tolerance = _FIRST_TOLERANCE
        """Grey levels; kept from one region to the next."""
        self._seed: _Seed | None = None
        self._pressed: tuple[Pointer, float] | None = None
        self._at: XY | None = None

    def forget(self) -> None:
        """The press, too."""
        super().forget()
        self._seed = None
        self._pressed = None

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Find what is here."""
        reader = self.context.pixels
        if not pointer.left or self.context.document is None or reader is None:
            return
        x, y = pointer.xy
        if not (0 <= x < reader.width and 0 <= y < reader.height):
            return
        self.let_accepted_go()
        before = self._found_by_now()
        combine: Combine = "add" if pointer.shift else "subtract" if pointer.alt else "new"
        if combine == "subtract" and before is None:
            self.context.say("There is nothing to take from yet; click without Alt first.")
            return
        self.work.drop()
        self._seed = _Seed(reader, pointer.xy, combine, None if combine == "new" else before)
        self._pressed = pointer, self.tolerance
        self._at = pointer.xy
        self._look()

    def _found_by_now(self) -> Callable[[], Patch] | None:
        """What finds all that was pressed so far; the last of it may still be looked for. None: nothing."""
        if self._seed is not None and self.work.busy:
            return partial(self._seed.region, self.tolerance)
        found = self.found
        return None if found is None else lambda: found.patch

    def move(self, pointer: Pointer) -> None:
        """Change the tolerance while the button is held."""
        if self._pressed is None:
            return
        start, tolerance = self._pressed
        moved = pointer.screen.x() - start.screen.x()
        self._at = pointer.xy
        self._set_tolerance(tolerance + moved / _PER_LEVEL)

    def release(self, pointer: Pointer) -> None:
        """What is found stays, until it is accepted or dropped."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if pointer.left:
            self._pressed = None

    def double_click(self, pointer: Pointer) -> None:
        """Accept what the first press found."""
        if pointer.left and self.busy:
            self.accept()

    def _set_tolerance(self, tolerance: float) -> None:
        tolerance = float(min(_MOST, max(0.0, math.floor(tolerance + 0.5))))
        if tolerance != self.tolerance:
            self.tolerance = tolerance
            self._look()

    def _look(self) -> None:
        if self._seed is not None:
            self.look(partial(self._seed.region, self.tolerance), doing="growing a region")

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Also the bracket keys."""
        return super().claims(event) or event.key() in (Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight)

    def key(self, event: QKeyEvent) -> bool:
        """Change the tolerance by a sixth, a level at the least; accept, drop."""
        step = max(1.0, self.tolerance / 6)
        match event.key():
            case Qt.Key.Key_BracketRight:
                self._set_tolerance(self.tolerance + step)
                return True
            case Qt.Key.Key_BracketLeft:
                self._set_tolerance(self.tolerance - step)
                return True
        return super().key(event)

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around the region and the tag."""
        box = super().overlay_box()
        if self._pressed is None or self._at is None:
            return box
        here = (*self._at, *self._at)
        return here if box is None else union([box, here])

    def paint_overlay(self, painter: QPainter) -> None:
        """The region, and while dragging its tolerance."""
        super().paint_overlay(painter)
        if self._pressed is not None and self._at is not None:
            draw_tag(painter, self.context.to_screen(self._at), f"tolerance {self.tolerance:.0f}")

    @property
    def hint(self) -> str:
        """What to do next."""
        if self._pressed is not None:
            return f"Drag right or left to change the tolerance: {self.tolerance:.0f} grey levels"
        if self.work.busy:
            return "Growing the region …"
        if self.found is not None:
            return "Enter accepts; Shift+click adds more, Alt+click takes away, [ and ] tolerance, Esc drops"
        return f"Click an object, or drag sideways to change the tolerance ({self.tolerance:.0f})"
