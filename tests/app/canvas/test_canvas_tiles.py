"""A huge image on the canvas looks as a small one does, and arrives in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage

from app.canvas.view import CanvasView
from app.qt_pixels import paintable
from core.images.pyramid import Pyramid, PyramidShape, open_pyramid

HEIGHT, WIDTH = 602, 801
SMALL = PyramidShape(tile_side=64, overview_side=220)


@pytest.fixture
def pixels() -> np.ndarray:
    small = np.random.default_rng(5).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


@pytest.fixture
def huge(tmp_path: Path, pixels: np.ndarray) -> Callable[..., Pyramid]:
    def make(name: str = "a.png", orientation: int = 1) -> Pyramid:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
        return open_pyramid(tmp_path / name, tmp_path / "cache", shape=SMALL)

    return make


@pytest.fixture
def view(qtbot) -> Iterator[CanvasView]:
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(500, 400)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # they come and go with the zoom
    view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    with qtbot.waitExposed(view):
        view.show()
    yield view
    view.end_workers()


def shown(view: CanvasView) -> np.ndarray:
    image = view.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    found = np.frombuffer(image.bits(), np.uint8).reshape(image.height(), image.width(), 4)
    return found[..., :3].astype(int)


def settled(qtbot, view: CanvasView) -> np.ndarray:
    """What is painted once every tile in sight has arrived."""

    def complete() -> bool:
        shown(view)  # asks for what is missing: an image that is laid out meanwhile has more tiles
        return view._feed is not None and not view._feed.busy

    qtbot.waitUntil(complete)
    return shown(view)


def look(view: CanvasView, zoom: float, x: float, y: float) -> None:
    view.set_zoom(zoom)
    view.centerOn(QPointF(x, y))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("zoom", [0.2, 0.4, 0.75, 1.0, 3.0, 20.0])
def test_tiles_look_as_the_whole_image_does(qtbot, view, huge, orientation, zoom) -> None:
    pyramid = huge(orientation=orientation)
    view.set_image(pyramid)
    height, width = pyramid.size_hw
    look(view, zoom, width * 0.6, height * 0.55)
    tiles = settled(qtbot, view)

    whole = pyramid.region(0, 0, width, height)
    view.set_image(paintable(whole))
    look(view, zoom, width * 0.6, height * 0.55)

    difference = np.abs(tiles - shown(view))
    assert difference.mean() < 1.5
    assert (difference.max(axis=2) > 24).mean() < 0.01


def test_something_is_there_before_the_tiles(qtbot, view, huge) -> None:
    view.set_image(huge())
    qtbot.waitUntil(lambda: not view._feed.busy)  # fitted into the view, it needs no tiles
    look(view, 1.0, 400, 300)

    coarse = shown(view)
    fine = settled(qtbot, view)

    assert coarse.std() > 10
    assert np.abs(coarse - fine).mean() < 12


def test_panning_brings_the_tiles_that_come_into_sight(qtbot, view, huge, pixels) -> None:
    view.set_image(huge())
    look(view, 1.0, 250, 250)
    settled(qtbot, view)
    for _ in range(10):
        view.horizontalScrollBar().setValue(view.horizontalScrollBar().value() + 17)
        shown(view)

    panned = settled(qtbot, view)
    corner = view.to_image(QPointF(0, 0))
    x, y = round(corner.x()), round(corner.y())

    part = pixels[y + 5 : y + 300, x + 5 : x + 400, ::-1].astype(int)
    assert np.abs(panned[5:300, 5:400] - part).max() <= 1


def test_the_status_says_how_far_a_png_is_laid_out(qtbot, view, huge) -> None:
    hints: list[str] = []
    view.hint_changed.connect(hints.append)
    view.set_image(huge("scan.png"))
    qtbot.waitUntil(lambda: not view._feed.busy)

    assert any(hint.startswith("Reading scan.png: ") and hint.endswith("%") for hint in hints)
    assert not hints[-1].startswith("Reading")


def test_another_image_takes_its_place_while_it_is_laid_out(qtbot, view, huge) -> None:
    pyramid = huge()
    view.set_image(pyramid)
    plain = QImage(300, 200, QImage.Format.Format_RGB32)
    plain.fill(0x204060)

    view.set_image(plain)

    assert view.content_size == plain.size()
    assert tuple(shown(view)[200, 250]) == (0x60, 0x40, 0x20)
    qtbot.waitUntil(lambda: not view._leaving or all(feed.close(0) for feed in view._leaving))


def test_a_damaged_file_says_so_and_the_canvas_goes_on(qtbot, view, tmp_path, huge) -> None:
    huge("b.png")
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    hints: list[str] = []
    view.hint_changed.connect(hints.append)

    view.set_image(open_pyramid(tmp_path / "b.png", tmp_path / "cache", shape=SMALL))

    qtbot.waitUntil(lambda: any("cut short" in hint for hint in hints))
    shown(view)
