"""Every tool at work, for docs/: `python -m tests.app.canvas.tool_pictures docs/images/tools.jpg`.

Each tool is used by mouse and keys on an image of the bundled sample, and shown in the middle of it.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.canvas.tools.registry import TOOLS
from app.canvas.view import CanvasView
from app.qt_pixels import paintable
from app.theme import apply_theme
from core.annotation.labelme_json import loads
from core.annotation.rasterize import rasterize
from core.images.reader import read_image
from core.project.project import Project
from core.project.sample import sample_folder
from tests.app.canvas.conftest import LEFT, Desk
from tests.patience import PATIENCE_MS

VIEW_WH: Final = (372, 264)
COLUMNS: Final = 4
CAPTION: Final = 26
GAP: Final = 8
XY = tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """How to bring a tool into the middle of its work.

    Attributes:
        act: what the hand does; the picture is taken after it.
        image: of the sample.
        around: the part shown: centre x, y and width in pixels of the image.
        shapes: show what is labelled; else only the image.
        prediction: show a prediction (made of the labels).
    """

    act: Callable[[Desk], object]
    image: str = "0000"
    around: tuple[float, float, float] = (320, 200, 210)
    shapes: bool = True
    prediction: bool = False


def hold(desk: Desk, *stops: XY, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press at the first stop and go through all, without a release."""
    desk.press(*stops[0], keys)
    for before, after in itertools.pairwise(stops):
        for share in np.linspace(0, 1, 13)[1:]:
            x, y = np.array(before) * (1 - share) + np.array(after) * share
            desk.move(x, y, keys, held=LEFT)


def arc(center: XY, radii: XY, start: float, stop: float, steps: int = 14) -> list[XY]:
    angles = np.radians(np.linspace(start, stop, steps))
    return [(center[0] + radii[0] * math.cos(a), center[1] + radii[1] * math.sin(a)) for a in angles]


def settle(desk: Desk) -> None:
    QApplication.processEvents()
    while desk.view.context.runner.busy:
        desk.view.context.runner.wait(PATIENCE_MS)
        QApplication.processEvents()


def select(desk: Desk) -> None:
    desk.click(310, 200)
    (chosen,) = desk.selection
    points = desk.document.get(chosen).points
    x, y = points[points[:, 1].argmin()].tolist()
    hold(desk, (x, y), (x + 6, y - 14))


def polygon(desk: Desk) -> None:
    *corners, last = arc((316, 201), (47, 25), 150, 400, 8)
    for corner in corners:
        desk.click(*corner)
    desk.move(*last)


def live_wire(desk: Desk) -> None:
    for x, y in arc((429, 192), (46, 25), 200, 350, 4):
        desk.click(x, y)
        settle(desk)
    desk.move(458, 208)


def wand(desk: Desk) -> None:
    hold(desk, (430, 190), (438, 190))


def superpixel(desk: Desk) -> None:
    settle(desk)
    hold(desk, (405, 195), (450, 195))


def blobs(desk: Desk) -> None:
    settle(desk)
    for _ in range(3):
        desk.key(Qt.Key.Key_BracketRight)
    settle(desk)
    desk.move(*desk.view._tool.candidates[0].blob.center)


def grabcut(desk: Desk) -> None:
    desk.drag((255, 160), (378, 238))


def oriented(desk: Desk) -> None:
    desk.click(165, 262)
    desk.click(232, 232)
    desk.move(238, 250)


def region(desk: Desk) -> None:
    desk.move(312, 205)


def linestrip(desk: Desk) -> None:
    for place in ((150, 262), (196, 246), (236, 232)):
        desk.click(*place)
    desk.move(272, 212)


SCENES: Final[dict[str, Scene]] = {
    "select": Scene(select),
    "polygon": Scene(polygon, shapes=False),
    "freehand": Scene(lambda desk: hold(desk, *arc((316, 200), (50, 27), 100, 380)), shapes=False),
    "brush": Scene(lambda desk: hold(desk, (310, 205), (345, 205), (368, 178))),
    "eraser": Scene(lambda desk: hold(desk, (255, 214), (300, 206)), prediction=True, shapes=False),
    "live_wire": Scene(live_wire, around=(410, 200, 180), shapes=False),
    "wand": Scene(wand, around=(410, 200, 180), shapes=False),
    "grabcut": Scene(grabcut, shapes=False),
    "superpixel": Scene(superpixel, around=(410, 200, 180), shapes=False),
    "blobs": Scene(blobs, around=(330, 215, 260), shapes=False),
    "rectangle": Scene(lambda desk: hold(desk, (266, 172), (366, 228)), shapes=False),
    "oriented_rectangle": Scene(oriented, around=(210, 235, 180), shapes=False),
    "circle": Scene(lambda desk: hold(desk, (316, 200), (352, 214)), shapes=False),
    "line": Scene(lambda desk: hold(desk, (160, 268), (280, 212)), around=(220, 235, 210), shapes=False),
    "linestrip": Scene(linestrip, around=(220, 235, 210), shapes=False),
    "point": Scene(lambda desk: [desk.click(*p) for p in ((300, 190), (330, 205), (345, 192))], shapes=False),
    "region": Scene(region, prediction=True, shapes=False),
    "split": Scene(lambda desk: (desk.click(330, 165), desk.click(322, 205), desk.move(312, 238))),
    "ruler": Scene(lambda desk: hold(desk, (272, 219), (361, 180))),
}


def take(view: CanvasView, project: Project, tool: str) -> QImage:
    """The canvas in the middle of a tool's work."""
    scene = SCENES[tool]
    folder = sample_folder() / "images"
    pixels = read_image(folder / f"{scene.image}.png")
    path = folder / f"{scene.image}.json"
    annotation = loads(path.read_bytes(), path)
    view.set_document(None)
    view.set_image(paintable(pixels))
    desk = Desk(view, annotation.shapes if scene.shapes else (), pixels.shape[1::-1])
    view.set_classes(project.classes)
    view.set_active_class(project.classes.by_name("nerve"))
    x, y, width = scene.around
    view.set_zoom(VIEW_WH[0] / width)
    view.centerOn(x, y)
    if scene.prediction:
        view.set_prediction(rasterize(annotation, project.classes))
    view.context.brush.radius = 9
    view.set_tool("select")
    view.set_tool(tool)
    scene.act(desk)
    settle(desk)
    picture = view.viewport().grab().toImage()
    view.set_tool("select" if tool != "select" else "polygon")
    for signal in (view.command_issued, view.drag_ended, view.selection_requested, view.label_needed):
        signal.disconnect()
    return picture


def sheet(pictures: list[tuple[str, QImage]]) -> QImage:
    """All of them, with their names."""
    width, height = VIEW_WH[0] + GAP, VIEW_WH[1] + CAPTION + GAP
    rows = math.ceil(len(pictures) / COLUMNS)
    whole = QImage(COLUMNS * width - GAP, rows * height - GAP, QImage.Format.Format_RGB888)
    whole.fill(QColor(18, 18, 22))
    painter = QPainter(whole)
    font = QFont()
    font.setPixelSize(15)
    painter.setFont(font)
    painter.setPen(QColor(230, 230, 235))
    for number, (title, picture) in enumerate(pictures):
        x, y = number % COLUMNS * width, number // COLUMNS * height
        painter.drawText(QRect(x + 4, y, VIEW_WH[0], CAPTION), Qt.AlignmentFlag.AlignVCenter, title)
        painter.drawImage(x, y + CAPTION, picture.scaled(*VIEW_WH))
    painter.end()
    return whole


def main(out: Path) -> None:
    """Take all pictures and write the sheet."""
    application = QApplication([])
    apply_theme(application, "dark")
    view = CanvasView()
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.resize(*VIEW_WH)
    view.show()
    QTest.qWaitForWindowExposed(view)
    with Project.open(sample_folder(), lock=False) as project:
        pictures = [(tool.title, take(view, project, tool.name)) for tool in TOOLS]
    sheet(pictures).save(str(out), quality=88)
    view.end_workers()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
