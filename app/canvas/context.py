"""What a tool may see and do: the document, the view's geometry, and a way to issue commands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF

from app.canvas.hits import Hit, HitTester
from app.canvas.overlay import Region
from core.annotation.commands import Command, drawing
from core.annotation.document import AnnotationDocument
from core.annotation.model import ClassList, LabelClass, Points, Shape, ShapeType, frozen_points

if TYPE_CHECKING:
    from app.canvas.live_shapes import LiveShapes
    from app.canvas.shape_index import ShapeIndex
    from app.canvas.view import CanvasView

_log = logging.getLogger(__name__)
