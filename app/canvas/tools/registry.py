"""Every tool of the canvas, in the order menus and tool bars show them."""

from __future__ import annotations

from typing import Final

from app.canvas.aids.ruler import RulerTool
from app.canvas.tools.base import Tool
from app.canvas.tools.blobs import BlobTool
from app.canvas.tools.boxes import CircleTool, LineTool, PointTool, RectangleTool
from app.canvas.tools.brush import BrushTool, EraserTool
from app.canvas.tools.freehand import FreehandTool
from app.canvas.tools.grabcut import GrabCutTool
from app.canvas.tools.live_wire import LiveWireTool
from app.canvas.tools.oriented import OrientedRectangleTool
from app.canvas.tools.paths import LinestripTool, PolygonTool
from app.canvas.tools.region import RegionTool
from app.canvas.tools.select import SelectTool
from app.canvas.tools.split import SplitTool
from app.canvas.tools.superpixel import SuperpixelTool
from app.canvas.tools.wand import WandTool

TOOLS: Final[tuple[type[Tool], ...]] = (
    SelectTool,
    PolygonTool,
    FreehandTool,
    BrushTool,
    EraserTool,
    LiveWireTool,
    WandTool,
    GrabCutTool,
    SuperpixelTool,
    BlobTool,
    RectangleTool,
    OrientedRectangleTool,
    CircleTool,
    LineTool,
    LinestripTool,
    PointTool,
    RegionTool,
    SplitTool,
    RulerTool,
)


def tool_names() -> tuple[str, ...]:
    """What `CanvasView.set_tool` takes."""
    return tuple(tool.name for tool in TOOLS)


def tool_class(name: str) -> type[Tool]:
    """The tool of this name. Raises ValueError naming those there are."""
    for tool in TOOLS:
        if tool.name == name:
            return tool
    raise ValueError(f"there is no tool {name!r}; there are {', '.join(tool_names())}")
