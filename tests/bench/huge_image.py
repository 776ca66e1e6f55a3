"""A 20,000 x 20,000 image in the real window: first paint, panning, one vertex, memory.

    python tests/bench/huge_image.py [--side 20000] [--kinds jpeg,tiff,png] [--keep FOLDER]

Makes the files in a temporary folder (a minute, 4 GB) and opens each in a process of its own, offscreen.
Aims: first paint 2 s for JPEG and tiled TIFF, at most 1.5 GB for the process, panning without a late frame.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from machine import describe, quantile

FILES = {"jpeg": "scan.jpg", "tiff": "tiled.tif", "deflate": "deflate.tif", "png": "scan.png"}
FRAMES = 400
POLYGONS = 500


def make(kind: str, path: Path, side: int) -> None:
    """A picture with structure at all scales and a little noise, as a camera or a scanner gives."""
    import numpy as np
    import pyvips

    generator = np.random.default_rng(0)
    picture = pyvips.Image.black(side, side, bands=3).cast("float") + 40
    for cells, strength in ((20, 90), (400, 60), (5000, 40)):
        small = generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = pyvips.Image.new_from_memory(small.tobytes(), cells, cells, 3, "uchar")
        picture += layer.resize(side / cells, kernel="cubic").crop(0, 0, side, side) * (strength / 255)
    grain = pyvips.Image.gaussnoise(1000, 1000, mean=0, sigma=2)
    picture += grain.replicate(-(-side // 1000), -(-side // 1000)).crop(0, 0, side, side)
    picture = picture.cast("uchar").copy(interpretation="srgb")
    tiles = {"tile": True, "tile_width": 256, "tile_height": 256, "bigtiff": True}
    options = {
        "jpeg": {"Q": 90},
        "tiff": tiles,
        "deflate": {**tiles, "compression": "deflate"},
        "png": {"compression": 1},
    }[kind]
    picture.write_to_file(str(path), **options)


def peak_mb() -> float:
    """The most memory this process ever held, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def say(name: str, value: str) -> None:
    """One line of the table."""
    print(f"  {name:<62}{value:>24}", flush=True)


def measure(path: Path) -> None:
    """Open one image in the window and print what it cost."""
    from PySide6.QtWidgets import QApplication

    from app.application import make_application
    from app.main_window import MainWindow
    from app.settings import Settings
    from app.theme import apply_theme
    from app.workers.trainer_thread import TrainerThread

    class QuietTrainer(TrainerThread):
        """Starts no engine: what is measured here is the window."""

        def start_engine(self) -> None:
            pass

        def send(self, command: object) -> None:
            pass

    app = make_application()
    apply_theme(app, "dark")
    window = MainWindow(Settings(path.parent / "settings.ini"), QuietTrainer())
    window.resize(1600, 1000)
    window.show()
    canvas, session = window.canvas, window.session

    def until(condition: Callable[[], bool], limit_s: float = 600.0) -> float:
        start = time.perf_counter()
        while not condition() and time.perf_counter() - start < limit_s:
            QApplication.processEvents()
            time.sleep(0.001)
        QApplication.processEvents()
        return time.perf_counter() - start

    def feed():
        return canvas._feed

    def shown(rows: float) -> bool:
        if feed() is None or not feed().overviews:
            return False
        last = feed().overviews[-1]
        return last.pixelColor(last.width() // 2, int((last.height() - 1) * rows)).red() > 0

    def spent_since(begun: float, processor: float) -> str:
        return f"{time.perf_counter() - begun:8.2f} s ({time.process_time() - processor:6.2f} s)"

    print(f"  {'':<62}{'passed (processor time)':>24}")
    for round_name in ("first opening", "opened again, from the cache"):
        start = time.perf_counter(), time.process_time()
        window.open_path(path) if round_name == "first opening" else session.open_image(path.name)
        until(lambda: shown(0.0))
        say(f"{round_name}: something of it painted", spent_since(*start))
        until(lambda: shown(1.0))
        say(f"{round_name}: all of it painted", spent_since(*start))
        until(lambda: not feed().busy)
        say(f"{round_name}: every tile can be had", spent_since(*start))
        say("peak memory so far", f"{peak_mb():8.0f} MB")

    for zoom in (1.0, 0.3):
        canvas.set_zoom(zoom)
        until(lambda: not feed().busy)
        spent, bar_x, bar_y = [], canvas.horizontalScrollBar(), canvas.verticalScrollBar()
        for _ in range(FRAMES):
            begun = time.perf_counter()
            bar_x.setValue(bar_x.value() + 9)
            bar_y.setValue(bar_y.value() + 5)
            QApplication.processEvents()
            spent.append((time.perf_counter() - begun) * 1000)
            time.sleep(max(0.0, 0.016 - (time.perf_counter() - begun)))
        figures = "  ".join(f"{quantile(spent, share):.1f}" for share in (0.5, 0.99, 1.0))
        say(f"a frame while panning at {zoom:.0%}: p50, p99, worst", f"{figures} ms")

    edit(window, until)
    say("peak memory", f"{peak_mb():8.0f} MB")
    window.close()
    until(lambda: window.closing.finished if hasattr(window, "closing") else not window.isVisible(), 10)


def edit(window, until: Callable[..., float]) -> None:
    """Draw some hundred polygons, then move one vertex."""
    import numpy as np
    from PySide6.QtWidgets import QApplication

    from core.annotation.commands import MoveVertex, drawing
    from core.annotation.model import Shape, ShapeType, frozen_points

    session = window.session
    height, width = session.current.size_hw
    generator = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shapes = [
        Shape(
            "cell",
            ShapeType.POLYGON,
            frozen_points(generator.uniform(300, (width - 300, height - 300)) + circle * 200),
        )
        for _ in range(POLYGONS)
    ]
    session.add_class("cell")
    until(lambda: not session.busy and session.classes.by_name("cell") is not None)
    written: list[int] = []
    session.labels_written.connect(lambda labels: written.append(labels.revision))
    document = session.current.document

    def timed(name: str, act: Callable[[], object]) -> None:
        written.clear()
        begun = time.perf_counter()
        act()
        QApplication.processEvents()
        say(f"{name}: painted", f"{(time.perf_counter() - begun) * 1000:8.1f} ms")
        until(lambda: bool(written) and written[-1] == document.revision, 120)
        say(f"{name}: JSON and mask on disk (0.25 s of it waiting)", f"{time.perf_counter() - begun:8.2f} s")

    timed(f"{POLYGONS} polygons", lambda: session.execute(drawing(document, shapes)))
    uid = document.shapes[POLYGONS // 2].uid
    x, y = document.get(uid).points[0]
    for step in (5, 10):
        move = MoveVertex.of(document, uid, 0, (x + step, y))
        timed("one vertex moved", partial(session.execute, move))


def _forget(folder: Path) -> None:
    """Take away what an earlier run left beside the image."""
    for name in (".maskloop", "masks"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for old in folder.glob("*.json"):
        old.unlink()


def main() -> None:
    """Make the files, measure each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--kinds", default="jpeg,tiff,deflate,png")
    parser.add_argument("--keep", type=Path, help="make the files here, and use those that are here")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        measure(chosen.one)
        return
    print(describe("PySide6-Essentials", "pyvips-binary", "pillow", "opencv-python-headless", "numpy"))
    with tempfile.TemporaryDirectory() as temporary:
        for kind in chosen.kinds.split(","):
            folder = (chosen.keep or Path(temporary)) / kind
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / FILES[kind]
            if not path.exists():
                make(kind, path, chosen.side)
            _forget(folder)
            print(
                f"{path.name}, {chosen.side} x {chosen.side}, {path.stat().st_size / 1e6:.0f} MB", flush=True
            )
            subprocess.run([sys.executable, __file__, "--one", str(path)], check=True)


if __name__ == "__main__":
    main()
