"""How fast the canvas is with 100, 1,000 and 10,000 polygons of 20 vertices on 2048 x 2048 pixels.

    python tests/bench/bench_canvas.py [--platform xcb]

Prints milliseconds, median and 95th percentile. Aims: repaint 16, mouse move 1, vertex move to painted 16.
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


def timed(action: Callable[[int], None], repeat: int) -> list[float]:
    """Milliseconds of each call."""
    spent = []
    for number in range(repeat):
        start = time.perf_counter()
        action(number)
        spent.append((time.perf_counter() - start) * 1000)
    return spent


def report(name: str, spent: list[float]) -> None:
    """One line of the table."""
    print(f"  {name:<46}{quantile(spent, 0.5):9.2f}{quantile(spent, 0.95):9.2f}", flush=True)


def measure(count: int) -> None:
    """Print the table for so many polygons."""
    from PySide6.QtCore import QEvent, QPointF, Qt
    from PySide6.QtGui import QImage, QMouseEvent
    from PySide6.QtWidgets import QApplication

    from app.canvas.view import CanvasView
    from core.annotation.document import AnnotationDocument
    from core.annotation.history import History
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
    print(f"{count} polygons of {VERTICES} vertices, window 1600 x 1000{'median':>8}{'p95':>9}")

    def open_all(_: int) -> None:
        view.set_image(image)
        view.set_document(document)
        paint()

    report("open image and shapes, painted", timed(open_all, 3))
    report("repaint everything", timed(paint, 50))

    def anew(_: int) -> None:
        view.set_classes(classes)
        paint()

    report("all shapes drawn anew, painted", timed(anew, 10))

    def zoom(number: int) -> None:
        view.set_zoom(0.5 * 1.1 ** (number % 12))
        paint()

    report("zoom step, painted", timed(zoom, 24))
    view.zoom_actual()
    paint()

    def scroll(number: int) -> None:
        view.verticalScrollBar().setValue(200 + 17 * (number % 30))
        paint()

    report("scroll step at 100 %, painted", timed(scroll, 60))
    view.zoom_fit()
    paint()

    path = np.random.default_rng(2).uniform(100, 900, (200, 2))

    def hover(number: int) -> None:
        send(QEvent.Type.MouseMove, QPointF(*path[number]), none, none)

    report("mouse move with hover, handled", timed(hover, 200))

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

    report("vertex move, painted", timed(pull, 60))

    def drop(_: int) -> None:
        send(QEvent.Type.MouseButtonRelease, start + outwards * 65, left, none)
        QApplication.processEvents()

    report("vertex dropped, painted", timed(drop, 1))

    def undo(number: int) -> None:
        history.redo() if number % 2 else history.undo()
        QApplication.processEvents()

    report("undo and redo, painted", timed(undo, 20))

    def select_all(number: int) -> None:
        view.set_selection(frozenset(s.uid for s in document.shapes) if number % 2 == 0 else frozenset())
        QApplication.processEvents()

    report("select all or none, painted", timed(select_all, 6))

    view.set_selection(frozenset(s.uid for s in document.shapes))
    tools = view.context
    middles = (s.points.mean(axis=0) for s in document.shapes)
    free = next(m for m in middles if tools.hits.vertex(document, *m, tools.reach, tools.selection) is None)
    grip = view.to_viewport(QPointF(*free))
    send(QEvent.Type.MouseButtonPress, grip, left, left)

    def drag_all(number: int) -> None:
        send(QEvent.Type.MouseMove, grip + QPointF(5 + number % 3, 0), none, left)
        QApplication.processEvents()

    report("drag step of all shapes, painted", timed(drag_all, 10))

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--platform", default="offscreen", help="Qt platform plugin")
    parser.add_argument("--counts", type=int, nargs="*", default=[100, 1000, 10000])
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = options.platform
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    print(describe("PySide6-Essentials", "numpy", "opencv-python-headless"))
    for count in options.counts:
        measure(count)
    app.quit()


if __name__ == "__main__":
    main()
