"""How fast the whole main window is with very many polygons, and with a folder of very many images.

    python tests/bench/bench_window.py [--polygons 10000] [--images 10000]

The real window of 1600 x 1000, offscreen, the engine asleep; the hands are those of `versus_labelme.py`.
Prints the median milliseconds that passed, what the window's thread took of the processor meanwhile (which
other programs enlarge much less), and what the first should be at most.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from hands_on_maskloop import Maskloop
from machine import describe, quantile
from PIL import Image
from PySide6.QtWidgets import QApplication
from versus_labelme import write_files
from window_hands import MEASUREMENTS, Hands

from app.application import make_application
from app.theme import apply_theme
from core.annotation.commands import TranslateShapes

AIMS_MS = {
    "open to full paint": 1000,
    "repaint": 16,
    "zoom step, painted": 16,
    "scroll step, painted": 16,
    "mouse move, handled": 1,
    "vertex moved, painted": 16,
    "undo, painted": 16,
    "save: file on the disk": 1000,
    "save: the window waits": 16,
}
SETTLED_S = 1.5
"""JSON and mask are on disk by then, so that one measurement does not pay for another."""
GAP_AIM_MS = 50


def report(name: str, spent: list[float], busy: list[float], at_most: float | None) -> None:
    """One line of the table."""
    median = quantile(spent, 0.5) if spent else float("nan")
    processor = f"{quantile(busy, 0.5):10.1f}" if busy else f"{'':>10}"
    aim = "" if at_most is None else f"{at_most:9.0f}{'' if median <= at_most else '  over'}"
    print(f"  {name:<46}{median:10.1f}{processor}{aim}", flush=True)


def measure_polygons(folder: Path, count: int) -> None:
    """The table of one image with so many polygons."""
    file, ring = write_files(folder, count)
    subject = Maskloop(folder)
    hands = Hands(subject, file, ring)
    print(f"{count} polygons of 20 vertices on 2048 x 2048 pixels")
    print(f"{'':<48}{'passed':>10}{'processor':>10}{'at most':>9}")
    for name, method in MEASUREMENTS.items():
        hands.processor_ms.clear()
        spent = method(hands)
        report(name, spent, hands.processor_ms, AIMS_MS.get(name))
        hands.settle(SETTLED_S)

    session = subject.window.session
    assert session.current is not None
    document = session.current.document
    assert document is not None
    uids = [shape.uid for shape in document.shapes]

    def also(name: str, action: Callable[[int], object], repeat: int = 4) -> None:
        spent: list[float] = []
        hands.processor_ms.clear()
        for number in range(repeat):
            spent += hands.timed(lambda _, number=number: action(number), 1)
            hands.settle(SETTLED_S)
        report(name, spent, hands.processor_ms, None)

    def move(number: int) -> None:
        session.end_drag()
        session.execute(TranslateShapes.of(document, uids, 3.0 + number, -2.0))

    also("all selected or none, painted", lambda n: session.set_selection(uids if n % 2 == 0 else ()))
    also("all moved, painted", move)
    also("all moved: undo and redo, painted", lambda n: session.redo() if n % 2 else session.undo())
    classes = subject.window.canvas.classes
    also("colour of a class, painted", lambda _: subject.window.canvas.set_classes(classes))
    subject.window.close()


def measure_folder(folder: Path, count: int) -> None:
    """How long the window stands while a folder of so many images is opened."""
    pixels = folder / "first.png"
    Image.new("RGB", (64, 64)).save(pixels)
    data = pixels.read_bytes()
    images = folder / "images"
    images.mkdir()
    for number in range(count):
        (images / f"{number:05}.png").write_bytes(data)
    subject = Maskloop(folder)
    Hands(subject, pixels, ())
    turns: list[tuple[float, float]] = []
    start = time.perf_counter()
    subject.window.open_path(images)
    # Until the first image is shown, and while all others are looked at.
    end = None
    while end is None or time.perf_counter() < end:
        before, busy = time.perf_counter(), time.thread_time()
        QApplication.processEvents()
        turns.append(((time.perf_counter() - before) * 1000, (time.thread_time() - busy) * 1000))
        time.sleep(0.001)
        if end is None and subject.window.session.current is not None:
            shown_ms = (time.perf_counter() - start) * 1000
            end = time.perf_counter() + 3.0
    print(f"a folder of {count} images")
    report("open to the first image", [shown_ms], [], None)
    report("longest that the window stood", [max(turns)[0]], [max(b for _, b in turns)], GAP_AIM_MS)
    subject.window.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--polygons", type=int, nargs="*", default=[10_000])
    parser.add_argument("--images", type=int, nargs="*", default=[10_000])
    options = parser.parse_args()
    apply_theme(make_application(), "dark")
    print(describe("PySide6-Essentials", "numpy", "msgspec"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load average before: {load:.1f}")
    for measure, counts in ((measure_polygons, options.polygons), (measure_folder, options.images)):
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder), count)


if __name__ == "__main__":
    main()
