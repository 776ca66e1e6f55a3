"""A huge image in the window: opened, edited, saved, told to the engine, left again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import core.images.pyramid
import core.project.contents
from core.annotation.commands import MoveVertex, drawing
from core.annotation.model import Shape, ShapeType, frozen_points
from core.annotation.rasterize import rasterize
from core.learning.commands import LabelsChanged, Predict, Watch
from core.project.mask_file import read_index_mask
from core.project.strip_mask import StripMask
from tests.app.engine_events import prediction

SIZE_WH = (700, 520)


@pytest.fixture(autouse=True)
def huge_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of more than 100,000 pixels are huge here."""
    for module in (core.images.pyramid, core.project.contents):
        monkeypatch.setattr(module, "HUGE_PIXELS", 100_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scans = tmp_path / "scans"
    scans.mkdir()
    pixels = np.random.default_rng(0).integers(60, 200, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    Image.fromarray(pixels).save(scans / "a.png")
    Image.fromarray(pixels[:100, :100]).save(scans / "b.png")
    return scans


def polygon(x: float, y: float) -> Shape:
    corners = [(x, y), (x + 60, y), (x + 60, y + 50), (x, y + 50)]
    return Shape("nerve", ShapeType.POLYGON, frozen_points(corners))


def test_an_edit_of_a_huge_image_is_on_disk_and_with_the_engine(bench, folder: Path, qtbot) -> None:
    bench.open(folder)
    bench.add_class("nerve")
    session, current = bench.session, bench.session.current
    assert current is not None
    assert current.image is None
    assert current.pyramid is not None
    assert current.size_hw == SIZE_WH[::-1]
    assert current.document is not None

    with qtbot.waitSignal(session.labels_written) as written:
        session.execute(drawing(current.document, [polygon(100, 90), polygon(300, 400)]))
    with qtbot.waitSignal(session.labels_written) as written:
        uid = current.document.shapes[0].uid
        session.execute(MoveVertex.of(current.document, uid, 0, (80, 70)))

    wanted = rasterize(current.document.snapshot(), session.classes)
    assert isinstance(written.args[0].mask, StripMask)
    assert np.array_equal(read_index_mask(current.entry.mask_path), wanted)
    assert np.array_equal(session.project.read_mask(current.entry), wanted)
    assert bench.window.parts.label_mask.class_at(110, 100) == session.classes.by_name("nerve").index
    assert bench.window.parts.label_mask.class_at(5, 5) is None
    qtbot.waitUntil(
        lambda: any(
            isinstance(sent, LabelsChanged) and np.array_equal(sent.mask.unpack(), wanted)
            for sent in bench.trainer.sent
        )
    )


def test_of_a_huge_image_what_is_on_the_screen_is_predicted(bench, folder: Path, qtbot) -> None:
    bench.open(folder)

    def watched() -> list[Watch]:
        return [sent for sent in bench.trainer.sent if isinstance(sent, Watch) and sent.key == "a.png"]

    qtbot.waitUntil(lambda: bool(watched()))
    assert watched()[-1].view == (0, 0, *SIZE_WH)
    assert not any(isinstance(sent, Predict) and sent.key == "a.png" for sent in bench.trainer.sent)

    bench.canvas.set_zoom(8.0)
    qtbot.waitUntil(lambda: len(watched()) == 2)
    view = watched()[-1].view
    assert view == bench.canvas.view_box
    assert view[2] - view[0] < 200

    x0, y0, x1, y1 = view
    nerve = np.full(((y1 - y0) // 2, (x1 - x0) // 2), 1, np.uint8)  # coarser than the image
    bench.trainer.event_received.emit(prediction("a.png", nerve, region=view))
    assert bench.canvas.has_prediction
    assert bench.canvas.prediction is None, "no map of every pixel"
    assert bench.canvas.region_at((x0 + x1) / 2, (y0 + y1) / 2) is None
    bench.window.controller.accepting.accept_region((x0 + x1) // 2, (y0 + y1) // 2)
    assert not bench.window.actions_["train.accept_all"].isEnabled()
    assert bench.labels() == []


def test_going_to_a_small_image_and_back(bench, folder: Path, qtbot) -> None:
    bench.open(folder)
    session = bench.session

    session.next_image()
    qtbot.waitUntil(lambda: session.current.entry.key == "b.png")
    assert session.current.image is not None
    assert session.current.pyramid is None

    session.previous_image()
    qtbot.waitUntil(lambda: session.current.entry.key == "a.png")
    assert session.current.pyramid is not None
    qtbot.waitUntil(lambda: session.current.pyramid.ready)
    assert bench.canvas.content_size.toTuple() == SIZE_WH


def test_labels_from_disk_are_known_at_once(bench, folder: Path, qtbot) -> None:
    bench.open(folder)
    bench.add_class("nerve")
    entry = bench.session.current.entry
    loaded = bench.session.project.load(entry)
    bench.session.project.save(entry, replace(loaded.annotation, shapes=(polygon(200, 200),)), loaded.digest)
    bench.session.open_image("b.png")
    qtbot.waitUntil(lambda: bench.session.current.entry.key == "b.png")
    bench.session.open_image("a.png")

    qtbot.waitUntil(lambda: bench.window.parts.label_mask.class_at(220, 220) is not None)
    assert bench.window.parts.label_mask.shares == {bench.session.classes.by_name("nerve").index: 1.0}
