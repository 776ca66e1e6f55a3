"""The cached layers: drawn in parts, stretched, at high density, they look as if drawn at once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from app.canvas import shape_layer
from app.canvas.layer_cache import Frame, merged
from app.canvas.live_shapes import FEW
from core.annotation.commands import MoveVertex, Relabel, RemoveShapes, Reorder, TranslateShapes
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation, ClassList, Shape, ShapeType, frozen_points
from tests.patience import PATIENCE_S


def as_array(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    return (
        np.frombuffer(image.bits(), np.uint8).reshape(image.height(), image.width(), 4)[..., :3].astype(int)
    )


def shown(desk) -> np.ndarray:
    return as_array(desk.view.viewport().grab().toImage())


def drawn_anew(desk) -> np.ndarray:
    desk.view.set_classes(desk.view.classes)
    return shown(desk)


def plainly_different(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pixels; lines are smoothed a little differently where a redrawn part ends."""
    return float((np.abs(a - b).max(axis=2) > 48).mean())


def crowd(count: int, size: int = 400) -> list[Shape]:
    generator = np.random.default_rng(3)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return [
        Shape(
            ("nerve", "vessel")[number % 2],
            ShapeType.POLYGON,
            frozen_points(generator.uniform(10, (size - 10, size * 0.7), 2) + generator.uniform(2, 9) * ring),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [30, 1200])
def test_an_edit_redraws_its_part_to_the_same_picture(make_desk, count):
    desk = make_desk(*crowd(count))
    shown(desk)
    uids = [shape.uid for shape in desk.shapes]
    for command in (
        lambda: RemoveShapes.of(desk.document, uids[:5]),
        lambda: Relabel.of(desk.document, uids[7:10], "vessel"),
        lambda: Reorder.of(desk.document, uids[-3:], 0),
        lambda: MoveVertex.of(desk.document, uids[12], 0, (200.0, 100.0)),
    ):
        desk.history.push(command())
        assert plainly_different(shown(desk), drawn_anew(desk)) < 0.002
    for _ in range(4):
        desk.history.undo()
    assert plainly_different(shown(desk), drawn_anew(desk)) < 0.002


def test_a_dragged_vertex_is_shown_without_drawing_the_others_again(make_desk, monkeypatch):
    desk = make_desk(
        *crowd(300), Shape("nerve", ShapeType.POLYGON, frozen_points([(5, 5), (390, 9), (200, 290)]))
    )
    desk.click(200, 150)
    desk.press(200, 290)
    shown(desk)
    drawn: list[QRect] = []
    layer = desk.view._shapes._lying
    render = layer.render
    monkeypatch.setattr(
        layer, "render", lambda target, rect, frame: (drawn.append(rect), render(target, rect, frame))
    )
    before = shown(desk)
    for step in range(1, 6):
        # Alt: nothing to snap to
        desk.move(200, 290 - 10 * step, keys=Qt.KeyboardModifier.AltModifier, held=Qt.MouseButton.LeftButton)
        assert plainly_different(shown(desk), before) > 0
    assert drawn == []
    desk.release(200, 240, keys=Qt.KeyboardModifier.AltModifier)
    shown(desk)
    assert desk.points()[2] == [200, 240]


def test_hovering_repaints_only_around_the_shape(make_desk, square, qtbot):
    desk = make_desk(square)
    desk.move(390, 290)
    QApplication.processEvents()
    areas: list[QRect] = []
    original = desk.view.drawForeground

    def watch(painter, rect):
        areas.append(QRect(desk.view._exposed))
        original(painter, rect)

    desk.view.drawForeground = watch
    desk.move(150, 150)
    qtbot.waitUntil(lambda: bool(areas))
    assert all(area.width() < 250 and area.height() < 250 for area in areas)


def test_a_slow_layer_is_stretched_while_zooming_and_sharp_afterwards(make_desk, qtbot):
    desk = make_desk(*crowd(400))
    desk.view.set_zoom(3.0)
    QApplication.processEvents()  # scroll bars come
    shown(desk)
    desk.view._shapes._lying_cache._cost_s = 1.0  # as if it had ten thousand
    desk.view.set_zoom(desk.view.zoom * 2)
    stretched = shown(desk)
    qtbot.waitUntil(lambda: plainly_different(shown(desk), stretched) > 0.01)
    assert plainly_different(shown(desk), drawn_anew(desk)) == 0


def recolored(classes: ClassList) -> ClassList:
    return replace(classes, classes=tuple(replace(c, color=f"#{c.rgb[1]:02x}20f0") for c in classes))


def test_colours_of_very_many_shapes_change_in_a_worker_and_edits_meanwhile_show(make_desk, qtbot):
    desk = make_desk(*crowd(400))
    QApplication.processEvents()  # scroll bars come
    before = shown(desk)
    cache = desk.view._shapes._lying_cache
    cache._cost_s = 1.0  # as if it had ten thousand
    classes = recolored(desk.view.classes)
    desk.view.set_classes(classes)
    assert plainly_different(shown(desk), before) < 0.002  # the window did not wait
    gone = max(desk.shapes, key=lambda shape: float(np.ptp(shape.points)))
    desk.history.push(RemoveShapes.of(desk.document, [gone.uid]))
    shown(desk)
    qtbot.waitUntil(lambda: plainly_different(shown(desk), before) > 0.05)
    found = shown(desk)
    cache._cost_s = 0.0
    assert plainly_different(found, drawn_anew(desk)) < 0.002


def test_another_image_never_shows_the_shapes_that_a_worker_drew_for_the_last(make_desk, qtbot):
    desk = make_desk(*crowd(400))
    QApplication.processEvents()
    shown(desk)
    desk.view._shapes._lying_cache._cost_s = 1.0
    desk.view.set_classes(recolored(desk.view.classes))
    shown(desk)
    desk.view.set_document(AnnotationDocument(Annotation("b.png", (400, 400))))
    empty = shown(desk)
    qtbot.waitUntil(lambda: not desk.view._pictures.busy)
    assert (shown(desk) == empty).all()


def test_very_many_selected_shapes_are_highlighted(make_desk):
    desk = make_desk(*crowd(FEW + 20))
    plain = shown(desk)
    desk.key(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert len(desk.selection) == FEW + 20
    highlighted = shown(desk)
    assert (np.abs(highlighted - plain).max(axis=2) > 10).mean() > 0.02
    desk.key(Qt.Key.Key_Escape)
    assert plainly_different(shown(desk), plain) < 0.001


def test_very_many_shapes_can_be_dragged(make_desk, make_shape):
    corners = [(x, y) for x in range(20, 350, 14) for y in range(20, 260, 12)]
    desk = make_desk(*[make_shape([(x, y), (x + 9, y), (x + 9, y + 9), (x, y + 9)]) for x, y in corners])
    desk.key(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    x, y = corners[200]
    desk.press(x + 4.5, y + 4.5)
    before = shown(desk)
    desk.move(x + 8, y + 8, held=Qt.MouseButton.LeftButton)
    desk.move(x + 24.5, y + 14.5, held=Qt.MouseButton.LeftButton)
    assert plainly_different(shown(desk), before) > 0.01
    desk.release(x + 24.5, y + 14.5)
    np.testing.assert_allclose(desk.shapes[0].points[0], (40, 30), atol=1)
    np.testing.assert_allclose(desk.shapes[-1].points[0], np.add(corners[-1], (20, 10)), atol=1)
    assert desk.history.position == 1


@pytest.mark.parametrize("zoom", [1.5, 20.0, 64.0])
def test_a_shape_far_larger_than_the_view_is_drawn_right(make_desk, make_shape, zoom):
    outer = [(-9000, -9000), (9000, -9000), (9000, 9000), (-9000, 9000)]
    desk = make_desk(make_shape(outer, "vessel", holes=[[(150, 100), (250, 100), (250, 200), (150, 200)]]))
    desk.view.set_zoom(zoom)
    desk.view.centerOn(150, 150)
    assert desk.color(148, 150).green() > 140
    assert desk.color(152, 150).green() == 128
    on_the_edge = desk.color(150, 150)
    assert on_the_edge.green() > on_the_edge.red() + 60


def test_hidden_shapes_vanish_and_come_back(make_desk, square):
    desk = make_desk(square)
    assert desk.color(150, 150).red() > 140
    desk.view.set_hidden({square.uid})
    assert desk.color(150, 150).red() == 128
    desk.view.set_hidden(frozenset())
    assert desk.color(150, 150).red() > 140
    desk.select({square.uid})
    desk.view.set_hidden({square.uid})
    assert desk.color(150, 150).red() == 128
    desk.view.set_labels_visible(False)
    desk.view.set_hidden(frozenset())
    assert desk.color(150, 150).red() == 128


def test_every_shape_type_shows_itself_plain_and_selected(make_desk, make_shape):
    inside = {
        ShapeType.POLYGON: ([(20, 20), (100, 20), (60, 90)], (60, 40)),
        ShapeType.RECTANGLE: ([(120, 20), (200, 90)], (160, 50)),
        ShapeType.CIRCLE: ([(260, 60), (290, 60)], (270, 60)),
        ShapeType.ORIENTED_RECTANGLE: ([(320, 40), (380, 20), (390, 60), (330, 80)], (350, 50)),
        ShapeType.LINE: ([(20, 150), (100, 150)], (60, 150)),
        ShapeType.LINESTRIP: ([(120, 150), (200, 150), (200, 200)], (160, 150)),
        ShapeType.POINT: ([(260, 150)], (260, 150)),
        ShapeType.POINTS: ([(320, 150), (350, 150)], (350, 150)),
        ShapeType.MASK: ([(20, 220), (59, 259)], (40, 240)),
    }
    shapes = []
    for kind, (points, _) in inside.items():
        shape = make_shape(points, shape_type=kind)
        shapes.append(shape.with_(mask=np.ones((40, 40), bool)) if kind is ShapeType.MASK else shape)
    desk = make_desk(*shapes)
    for selection in (frozenset(), frozenset(shape.uid for shape in shapes)):
        desk.select(selection)
        for kind, (_, at) in inside.items():
            shade = desk.color(*at)
            assert shade.red() > shade.green() + 20, (kind, selection)


def test_merging_leaves_apart_what_does_not_touch():
    near = [QRect(0, 0, 10, 10), QRect(5, 5, 10, 10)]
    far = QRect(100, 100, 5, 5)
    assert sorted(merged([near[0], far, near[1]]), key=QRect.x) == [QRect(0, 0, 15, 15), far]
    assert merged([QRect(20 * k, 0, 5, 5) for k in range(20)]) == [QRect(0, 0, 385, 5)]


def test_a_frame_maps_boxes_both_ways():
    frame = Frame(scale=2.0, dx=10.0, dy=-6.0, width=300, height=200, ratio=1.0)
    assert frame.to_image(QRect(10, -6, 20, 40)) == (0.0, 0.0, 10.0, 20.0)
    assert frame.to_device((0.0, 10.0, 10.0, 20.0)) == QRect(10, 14, 20, 20)
    assert frame.to_device((-1e9, -1e9, 1e9, 1e9), 5.0) == QRect(0, 0, 300, 200)
    assert frame.to_device((np.inf, np.inf, -np.inf, -np.inf)).isEmpty()


HIGH_DPI = """
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
import numpy as np
from app.canvas.view import CanvasView
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation, ClassList, LabelClass, Shape, ShapeType, frozen_points

app = QApplication([])
view = CanvasView()
view.resize(401, 301)
view.show()
image = QImage(200, 150, QImage.Format.Format_RGB888)
image.fill(QColor(128, 128, 128))
view.set_image(image)
view.set_classes(ClassList((LabelClass(0, "b", "#000000"), LabelClass(1, "a", "#ff0000")), 0))
square = frozen_points([(50, 50), (100, 50), (100, 100), (50, 100)])
view.set_document(AnnotationDocument(Annotation("a", (150, 200), (Shape("a", ShapeType.POLYGON, square),))))
found = np.zeros((150, 200), np.uint8)
found[:, 150:] = 1
view.set_prediction(found)
for moved in (0, 7):
    view.horizontalScrollBar().setValue(view.horizontalScrollBar().value() + moved)
    shown = view.viewport().grab().toImage()
    ratio = shown.devicePixelRatio()
    assert ratio == 1.5, ratio
    for x, y, tinted in ((47, 75, 0), (53, 75, 1), (97, 75, 1), (103, 75, 0), (148.5, 60, 0), (151.5, 60, 1)):
        at = view.to_viewport(QPointF(x, y)) * ratio
        red = shown.pixelColor(round(at.x()), round(at.y())).red()
        assert (red > 140) == bool(tinted), (x, y, red)
    view.set_zoom(3.0)
print("fine")
"""


def test_on_a_high_density_screen_everything_stands_where_it_should():
    root = Path(__file__).resolve().parents[3]
    result = subprocess.run(
        [sys.executable, "-c", HIGH_DPI],
        env={**os.environ, "QT_SCALE_FACTOR": "1.5", "QT_QPA_PLATFORM": "offscreen"},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.stdout.strip() == "fine", result.stderr


@pytest.mark.parametrize("zoom", [0.5, 1.0, 6.0])
def test_an_outline_of_very_many_vertices_looks_like_one_of_few(make_desk, zoom):
    """Selected shapes are painted in one way up to some thousand vertices and in another beyond."""

    def ring(count):
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        bays = 80 + 12 * np.sin(9 * angle)
        return Shape(
            "nerve",
            ShapeType.POLYGON,
            frozen_points(np.stack([200 + bays * np.cos(angle), 150 + bays * np.sin(angle)], axis=1)),
        )

    pictures = []
    for count in (700, 20_000):
        shape = ring(count)
        desk = make_desk(shape)
        desk.view.set_zoom(zoom)
        desk.view.centerOn(250, 150)
        plain = shown(desk)
        desk.select({shape.uid})
        desk.view.context.hover(None)
        pictures.append((plain, shown(desk)))
    (few, few_selected), (many, many_selected) = pictures
    assert plainly_different(few, many) < 0.01
    assert plainly_different(few_selected, many_selected) < 0.02 + 0.03 * (zoom <= 1)
    assert plainly_different(many, many_selected) > 0.002


def test_fills_that_are_drawn_together_look_as_if_drawn_one_by_one(make_desk, monkeypatch):
    shapes = crowd(700)
    holed = shapes[350].with_(holes=(shapes[350].points * 0.5 + shapes[350].points.mean(axis=0) * 0.5,))
    desk = make_desk(*shapes[:350], holed, *shapes[351:])
    together = shown(desk)
    monkeypatch.setattr(shape_layer, "_MANY_FILLS", 10_000)
    assert (drawn_anew(desk) == together).all()


def test_an_edit_of_very_many_shapes_shows_and_so_does_its_undo(make_desk):
    desk = make_desk(*crowd(300))
    before = shown(desk)
    uids = [shape.uid for shape in desk.shapes]
    desk.history.push(TranslateShapes.of(desk.document, uids, 20.0, 30.0))
    assert plainly_different(shown(desk), before) > 0.02
    assert plainly_different(shown(desk), drawn_anew(desk)) < 0.002
    x, y = desk.document.get(uids[0]).points.mean(axis=0)
    assert uids[0] in desk.view._index.under(x, y, 1.0)
    desk.history.undo()
    assert plainly_different(shown(desk), before) < 0.002
    desk.history.push(RemoveShapes.of(desk.document, uids))
    assert desk.view._index.shown() == []


def test_very_many_shapes_are_dragged_as_one_picture_and_land_where_they_were_shown(make_desk, monkeypatch):
    desk = make_desk(*crowd(300))
    desk.select({shape.uid for shape in desk.shapes})
    shown(desk)
    free = next(s for s in desk.shapes if s.points.min() > 60 and s.points.max() < 240)
    x, y = free.points.mean(axis=0)
    desk.press(x, y)
    desk.move(x + 4, y + 4, held=Qt.MouseButton.LeftButton)
    shown(desk)
    drawn: list[QRect] = []
    layer = desk.view._shapes._dragged
    render = layer.render
    monkeypatch.setattr(
        layer, "render", lambda target, rect, frame: (drawn.append(rect), render(target, rect, frame))
    )
    desk.move(x + 8, y + 2, held=Qt.MouseButton.LeftButton)
    dragged = shown(desk)
    width, height = desk.view.viewport().width(), desk.view.viewport().height()
    assert all(min(rect.width(), rect.height()) < min(width, height) / 4 for rect in drawn)  # strips
    desk.release(x + 8, y + 2)
    assert desk.history.position == 1
    assert plainly_different(shown(desk), dragged) < 0.03
