"""How fast the canvas is: many polygons of 20 vertices, or one of 100,000, on 2048 x 2048 pixels.

    python tests/bench/bench_canvas.py [--counts 100 1000 10000] [--vertices 100000] [--clock cpu]

Prints milliseconds, median and 95th percentile, and what the median should be at most. The least of several
runs counts: whatever else the machine does can only make it slower.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
from machine import describe, quantile

SIDE = 2048
VERTICES = 20


def polygons(count: int, seed: int = 0) -> list[np.ndarray]:
    """Random star-shaped polygons (20, 2), spread over the image; together they cover about a fifth of it."""
    generator = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    size = 0.25 * SIDE / np.sqrt(count)
    radius = generator.uniform(0.7, 1.3, (count, VERTICES)) * size
    centre = generator.uniform(size * 1.4, SIDE - size * 1.4, (count, 1, 2))
    return list(centre + radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
clock = CLOCKS["wall"]


def timed(action: Callable[[int], None], repeat: int) -> list[float]:
    """Milliseconds of each call."""
    spent = []
    for number in range(repeat):
        start = clock()
        action(number)
        spent.append((clock() - start) * 1000)
    return spent


def report(name: str, spent: list[float], at_most: float | None = None) -> None:
    """One line of the table."""
    least, median, high = min(spent), quantile(spent, 0.5), quantile(spent, 0.95)
    aim = "" if at_most is None else f"{at_most:9.0f}{'' if median <= at_most else '  over'}"
    print(f"  {name:<46}{least:9.2f}{median:9.2f}{high:9.2f}{aim}", flush=True)


HEAD = f"{'least':>9}{'median':>9}{'p95':>9}{'at most':>9}"


def outline(vertices: int) -> np.ndarray:
    """A coastline (N, 2): a circle with bays of all sizes, simple."""
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    generator = np.random.default_rng(5)
    radius = np.full(vertices, 0.36 * SIDE)
    for waves in (5, 17, 60, 200, 900, 4000):
        radius += 0.2 * SIDE / waves * np.sin(waves * angle + generator.uniform(0, 6)) ** 3 / 2
    centre = SIDE / 2
    return centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def measure(count: int) -> None:
    """Print the table for so many polygons."""
    from PySide6.QtCore import QEvent, QPointF, Qt
    from PySide6.QtGui import QImage, QMouseEvent
    from PySide6.QtWidgets import QApplication

    from app.canvas.view import CanvasView
    from core.annotation.document import AnnotationDocument
    from core.annotation.history import History
    from core.annotation.labelme_json import dumps
    from core.annotation.model import Annotation, ClassList, LabelClass, Shape, ShapeType, frozen_points

    classes = ClassList(
        tuple(LabelClass(k, f"class{k}", f"#{40 * k:02x}{255 - 40 * k:02x}80") for k in range(6)), 0
    )
    shapes = tuple(
        Shape(f"class{1 + k % 5}", ShapeType.POLYGON, frozen_points(points))
        for k, points in enumerate(polygons(count))
    )
    pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    image = QImage(pixels.tobytes(), SIDE, SIDE, 3 * SIDE, QImage.Format.Format_RGB888)
    view = CanvasView()
    view.resize(1600, 1000)
    view.show()
    view.set_classes(classes)
    viewport = view.viewport()
    document = AnnotationDocument(Annotation("a.png", (SIDE, SIDE), shapes))
    history = History(document)
    view.command_issued.connect(history.push)
    view.drag_ended.connect(history.break_merge)
    view.selection_requested.connect(view.set_selection)

    def paint(_: int = 0) -> None:
        viewport.update()
        QApplication.processEvents()
        QApplication.sendPostedEvents()

    def send(kind: QEvent.Type, where: QPointF, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
        event = QMouseEvent(kind, where, where, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(viewport, event)

    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
    print(f"{count} polygons of {VERTICES} vertices, window 1600 x 1000")
    print(" " * 48 + HEAD)

    def open_all(_: int) -> None:
        view.set_image(image)
        view.set_document(document)
        paint()

    report("open image and shapes, painted", timed(open_all, 3), 1000)
    report("repaint everything", timed(paint, 50), 16)

    def anew(_: int) -> None:
        view.set_classes(classes)
        paint()

    report("all shapes drawn anew, painted", timed(anew, 10))

    def zoom(number: int) -> None:
        view.set_zoom(0.5 * 1.1 ** (number % 12))
        paint()

    report("zoom step, painted", timed(zoom, 24), 16)
    view.zoom_actual()
    paint()

    def scroll(number: int) -> None:
        view.verticalScrollBar().setValue(200 + 17 * (number % 30))
        paint()

    report("scroll step at 100 %, painted", timed(scroll, 60), 16)
    view.zoom_fit()
    paint()

    path = np.random.default_rng(2).uniform(100, 900, (200, 2))

    def hover(number: int) -> None:
        send(QEvent.Type.MouseMove, QPointF(*path[number]), none, none)

    report("mouse move with hover, handled", timed(hover, 200), 1)

    view.set_tool("polygon")
    send(QEvent.Type.MouseButtonPress, QPointF(*path[0]), left, left)
    send(QEvent.Type.MouseButtonRelease, QPointF(*path[0]), left, none)
    hover(1)
    report("mouse move with snapping while drawing, handled", timed(hover, 200), 1)
    view.set_tool("brush")
    send(QEvent.Type.MouseButtonPress, QPointF(*path[0]), left, left)

    def paint_stroke(number: int) -> None:
        turn = number / 40
        where = QPointF(700 + 300 * np.cos(turn), 480 + 300 * np.sin(turn))
        send(QEvent.Type.MouseMove, where, none, left)
        QApplication.processEvents()

    report("brush move, painted", timed(paint_stroke, 400), 16)
    view.set_tool("select")

    def hover_painted(number: int) -> None:
        hover(number)
        QApplication.processEvents()

    report("mouse move with hover, painted", timed(hover_painted, 200))

    shape = shapes[-1]
    start = view.to_viewport(QPointF(*shape.points[0]))
    centre = view.to_viewport(QPointF(*shape.points.mean(axis=0)))
    outwards = (start - centre) / max(1.0, (start - centre).manhattanLength())
    send(QEvent.Type.MouseMove, start, none, none)
    send(QEvent.Type.MouseButtonPress, start, left, left)
    QApplication.processEvents()

    def pull(number: int) -> None:
        send(QEvent.Type.MouseMove, start + outwards * (6 + number), none, left)
        QApplication.processEvents()

    report("vertex move, painted", timed(pull, 60), 16)

    def drop(_: int) -> None:
        send(QEvent.Type.MouseButtonRelease, start + outwards * 65, left, none)
        QApplication.processEvents()

    report("vertex dropped, painted", timed(drop, 1), 16)

    def undo(number: int) -> None:
        history.redo() if number % 2 else history.undo()
        QApplication.processEvents()

    report("undo and redo, painted", timed(undo, 20), 16)

    def save(_: int) -> None:
        dumps(document.snapshot())

    report("JSON of all shapes, in a worker", timed(save, 3), 1000)

    view.set_names_visible(True)
    report("all shapes and names drawn anew, painted", timed(anew, 5))
    view.set_names_visible(False)

    def select_all(number: int) -> None:
        view.set_selection(frozenset(s.uid for s in document.shapes) if number % 2 == 0 else frozenset())
        QApplication.processEvents()

    report("select all or none, painted", timed(select_all, 6))

    view.set_selection(frozenset(s.uid for s in document.shapes))
    paint()
    tools = view.context
    middles = (s.points.mean(axis=0) for s in document.shapes)
    free = next(m for m in middles if tools.hits.vertex(document, *m, tools.reach, tools.selection) is None)
    grip = view.to_viewport(QPointF(*free))
    send(QEvent.Type.MouseButtonPress, grip, left, left)

    def drag_all(number: int) -> None:
        send(QEvent.Type.MouseMove, grip + QPointF(5 + number % 3, 0), none, left)
        QApplication.processEvents()

    report("drag step of all shapes, painted", timed(drag_all, 10), 16)

    def drop_all(_: int) -> None:
        send(QEvent.Type.MouseButtonRelease, grip + QPointF(6, 0), left, none)
        QApplication.processEvents()

    report("all shapes dropped, painted", timed(drop_all, 1))
    view.set_selection(frozenset())
    rows, columns = np.mgrid[:SIDE, :SIDE]
    predicted = ((rows // 200 + columns // 200) % 6).astype(np.uint8)
    confidence = (columns % 256).astype(np.uint8)
    report(
        "set a 4-megapixel prediction",
        timed(lambda _: view.set_prediction(predicted, confidence), 20),
    )

    def predict(_: int) -> None:
        view.set_prediction(predicted, confidence)
        QApplication.processEvents()

    report("set a 4-megapixel prediction, painted", timed(predict, 20))

    def fade(number: int) -> None:
        view.set_prediction_opacity(0.2 + 0.02 * number)
        QApplication.processEvents()

    report("opacity step, painted", timed(fade, 20))
    view.set_tool("region")

    def point_at(number: int) -> None:
        send(QEvent.Type.MouseMove, QPointF(*path[number]), none, none)
        QApplication.processEvents()

    report("region highlight, painted", timed(point_at, 40))
    view.close()


def measure_one(vertices: int) -> None:
    """Print the table for one polygon of so many vertices."""
    from PySide6.QtCore import QEvent, QPointF, Qt
    from PySide6.QtGui import QImage, QMouseEvent
    from PySide6.QtWidgets import QApplication

    from app.canvas.view import CanvasView
    from core.annotation.commands import MoveVertex
    from core.annotation.document import AnnotationDocument
    from core.annotation.history import History
    from core.annotation.labelme_json import dumps
    from core.annotation.model import Annotation, ClassList, LabelClass, Shape, ShapeType, frozen_points

    shape = Shape("coast", ShapeType.POLYGON, frozen_points(outline(vertices)))
    pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    image = QImage(pixels.tobytes(), SIDE, SIDE, 3 * SIDE, QImage.Format.Format_RGB888)
    view = CanvasView()
    view.resize(1600, 1000)
    view.show()
    view.set_classes(ClassList((LabelClass(1, "coast", "#2080ff"),)))
    document = AnnotationDocument(Annotation("a.png", (SIDE, SIDE), (shape,)))
    history = History(document)
    view.command_issued.connect(history.push)
    view.selection_requested.connect(view.set_selection)
    view.set_image(image)
    view.set_document(document)

    def paint(_: int = 0) -> None:
        view.viewport().update()
        QApplication.processEvents()

    def anew(_: int) -> None:
        view._shapes.invalidate()
        paint()

    def zoom(number: int) -> None:
        view.set_zoom(0.5 * 1.3 ** (number % 6))
        paint()

    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton

    def send(kind: QEvent.Type, where: QPointF, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
        event = QMouseEvent(kind, where, where, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(view.viewport(), event)

    print(f"one polygon of {vertices} vertices, window 1600 x 1000")
    print(" " * 48 + HEAD)
    paint()
    report("drawn anew, painted", timed(anew, 10), 30)
    report("zoom step, painted", timed(zoom, 12), 30)
    view.zoom_fit()
    path = np.random.default_rng(2).uniform(100, 900, (60, 2))

    def hover(number: int) -> None:
        send(QEvent.Type.MouseMove, QPointF(*path[number]), none, none)

    report("mouse move with hover, handled", timed(hover, 60))
    view.set_selection({shape.uid})
    paint()
    report("selected, repaint", timed(paint, 10), 30)
    report("selected, zoom step, painted", timed(zoom, 12), 30)
    view.zoom_fit()
    paint()
    grip = view.to_viewport(QPointF(*shape.points[0]))
    send(QEvent.Type.MouseMove, grip, none, none)
    send(QEvent.Type.MouseButtonPress, grip, left, left)

    def pull(number: int) -> None:
        send(QEvent.Type.MouseMove, grip + QPointF(6 + number % 3, 0), none, left)
        QApplication.processEvents()

    report("vertex move, painted", timed(pull, 10))
    send(QEvent.Type.MouseButtonRelease, grip + QPointF(6, 0), left, none)
    view.set_selection(frozenset())
    if not history.can_undo:
        x, y = shape.points[0].tolist()
        history.push(MoveVertex.of(document, shape.uid, 0, (x + 3, y)))
    paint()

    def undo(number: int) -> None:
        history.redo() if number % 2 else history.undo()

    def undo_painted(number: int) -> None:
        undo(number)
        QApplication.processEvents()

    report("undo and redo", timed(undo, 10), 16)
    report("undo and redo, painted", timed(undo_painted, 10))
    report("JSON, in a worker", timed(lambda _: dumps(document.snapshot()), 3), 1000)
    view.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--platform", default="offscreen", help="Qt platform plugin")
    parser.add_argument("--counts", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--vertices", type=int, nargs="*", default=[100_000])
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: time of this thread alone, for a machine that others use meanwhile",
    )
    options = parser.parse_args()
    global clock
    clock = CLOCKS[options.clock]
    os.environ["QT_QPA_PLATFORM"] = options.platform
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    print(describe("PySide6-Essentials", "numpy", "opencv-python-headless"))
    for count in options.counts:
        measure(count)
    for vertices in options.vertices:
        measure_one(vertices)
    app.quit()


if __name__ == "__main__":
    main()
