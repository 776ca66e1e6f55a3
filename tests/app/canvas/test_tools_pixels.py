"""Tools read the image's own pixels, of pictures and of tiles, and compute in a worker."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QImage

from app.canvas.pixels import Latest, PixelReader
from app.qt_pixels import paintable
from app.workers.tasks import TaskRunner
from core.errors import ImageFileError
from core.images.pyramid import PyramidShape, open_pyramid
from tests.patience import PATIENCE_MS, PATIENCE_S


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (201, 303, 3), np.uint8)


@pytest.fixture
def pyramid(tmp_path: Path, pixels: np.ndarray):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shape = PyramidShape(tile_side=64, overview_side=100)
    found = open_pyramid(tmp_path / "a.png", tmp_path / "cache", shape=shape)
    yield found
    found.close()


@pytest.fixture
def runner(qapp):
    runner = TaskRunner(1)
    yield runner
    runner.close()


@pytest.mark.parametrize(
    "kind", [QImage.Format.Format_RGB32, QImage.Format.Format_RGB888, QImage.Format.Format_ARGB32]
)
@pytest.mark.parametrize("box", [(0, 0, 303, 201), (17, 5, 58, 6), (300, 199, 400, 300)])
def test_a_window_of_a_picture_has_its_pixels(pixels, kind, box):
    reader = PixelReader.of(paintable(pixels).convertToFormat(kind))
    x0, y0, x1, y1 = box
    assert np.array_equal(reader.window(box), pixels[y0:y1, x0:x1])
    assert reader.box == (0, 0, 303, 201)


def test_a_grey_picture_has_three_equal_channels():
    grey = QImage(5, 4, QImage.Format.Format_Grayscale8)
    grey.fill(77)
    assert (PixelReader.of(grey).window((1, 1, 4, 3)) == 77).all()


def test_a_window_of_tiles_has_the_files_pixels(pyramid, pixels):
    reader = PixelReader.of(pyramid)
    with pytest.raises(ImageFileError, match="still being read"):
        reader.window((10, 20, 290, 180))
    pyramid.prepare(lambda *_: None)
    assert np.array_equal(reader.window((10, 20, 290, 180)), pixels[20:180, 10:290])


def test_without_an_image_there_is_no_reader():
    assert PixelReader.of(None) is None
    assert PixelReader.of(QImage()) is None


def test_only_the_newest_request_waits(runner):
    gate, called, results = threading.Event(), [], []

    def work(number: int) -> int:
        called.append(number)
        gate.wait(PATIENCE_S)
        return number

    owner = QObject()
    latest = Latest(runner, owner)
    for number in range(5):
        latest.run(work, number, doing="testing", then=results.append)
    assert latest.busy
    gate.set()
    while runner.busy:
        runner.wait(PATIENCE_MS)
    assert called == [0, 4]
    assert results == [0, 4]
    assert not latest.busy


def test_what_is_dropped_is_not_delivered(runner):
    gate, results = threading.Event(), []
    owner = QObject()
    latest = Latest(runner, owner)
    latest.run(gate.wait, 5, doing="testing", then=results.append)
    latest.run(gate.wait, 5, doing="testing", then=results.append)
    latest.drop()
    latest.run(str, 7, doing="testing", then=results.append)
    gate.set()
    while runner.busy:
        runner.wait(PATIENCE_MS)
    assert results == ["7"]


def test_a_failure_is_told_in_a_sentence(runner):
    def fail() -> None:
        raise ImageFileError("a.png", "is broken")

    owner = QObject()
    latest, said = Latest(runner, owner), []
    latest.failed.connect(said.append)
    latest.run(fail, doing="testing", then=print)
    while runner.busy:
        runner.wait(PATIENCE_MS)
    assert said == ["a.png: is broken"]
    assert not latest.busy


def test_the_wand_works_on_a_huge_image_in_tiles(make_desk, tmp_path, qtbot):
    grey = np.full((300, 400, 3), 50, np.uint8)
    grey[100:180, 150:260] = 190
    Image.fromarray(grey).save(tmp_path / "b.png")
    small = PyramidShape(tile_side=64, overview_side=100)
    desk = make_desk(image=open_pyramid(tmp_path / "b.png", tmp_path / "cache", shape=small))
    qtbot.waitUntil(lambda: desk.view.context.pixels.source.ready)
    desk.view.set_tool("wand")
    desk.double_click(200, 140)
    qtbot.waitUntil(lambda: len(desk.shapes) == 1)
    (x0, y0), (x1, y1) = desk.shapes[0].points.min(axis=0), desk.shapes[0].points.max(axis=0)
    assert (round(x0), round(y0), round(x1), round(y1)) == pytest.approx((150, 100, 260, 180), abs=1)
    desk.view.end_workers()


@pytest.fixture
def gate(pyramid, monkeypatch) -> threading.Event:
    """Until it is set the pyramid is not laid out."""
    gate, prepare = threading.Event(), pyramid.prepare

    def prepare_later(report) -> None:
        gate.wait(PATIENCE_S)
        prepare(report)

    monkeypatch.setattr(pyramid, "prepare", prepare_later)
    return gate


def test_a_stroke_goes_on_from_the_last_one_when_a_huge_image_was_laid_out_between(
    make_desk, pyramid, gate, qtbot
):
    desk = make_desk(image=pyramid)
    desk.view.set_tool("brush")
    desk.view.context.brush.radius = 5
    desk.click(50, 150)
    with qtbot.waitSignal(desk.view.laid_out):
        gate.set()
    desk.click(250, 150, Qt.KeyboardModifier.ShiftModifier)
    assert desk.covered()[150, 150]
    desk.view.end_workers()


@pytest.mark.parametrize("tool", ["superpixel", "blobs"])
def test_a_tool_in_hand_looks_again_once_a_huge_image_is_laid_out(make_desk, pyramid, gate, qtbot, tool):
    desk = make_desk(image=pyramid)
    desk.view.set_zoom(8.0)
    desk.view.set_tool(tool)
    desk.settle()
    assert desk.view._tool.overlay_box() is None
    gate.set()
    qtbot.waitUntil(lambda: desk.view._tool.overlay_box() is not None)
    desk.view.end_workers()
