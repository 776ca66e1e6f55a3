"""From the command to a usable window: `python tests/bench/startup.py [PROJECT] [--runs N]`.

Each run is a process of its own, started after one warm-up (files in the page cache). It opens the window on
the project and leaves as soon as the first image has been painted and the event loop is free for a click.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, quantile

from core.project.sample import copy_sample

MARK = "usable "


def open_and_leave(project: Path) -> None:
    """What `maskloop PROJECT` does, up to the moment the window can be used; prints that moment."""
    from PySide6.QtCore import QTimer

    from app.application import make_application
    from app.main_window import MainWindow
    from app.settings import Settings
    from app.theme import apply_theme

    app = make_application()
    apply_theme(app, "dark")
    window = MainWindow(Settings(project / ".maskloop" / "settings.ini"))
    window.left.connect(app.quit)
    window.resize(1600, 1000)
    window.show()
    window.open_path(project)

    def usable() -> None:
        print(f"{MARK}{time.time()}", flush=True)
        window.close()

    def on_image(current: object) -> None:
        if current is not None:
            window.repaint()
            QTimer.singleShot(0, usable)

    window.session.current_changed.connect(on_image)
    app.exec()


def start_once(project: Path) -> float:
    """Seconds from spawning the process to its usable window."""
    environment = {**os.environ}
    environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    started = time.time()
    result = subprocess.run(
        [sys.executable, __file__, str(project), "--child"],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    line = next(line for line in result.stdout.splitlines() if line.startswith(MARK))
    return float(line.removeprefix(MARK)) - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        open_and_leave(options.project)
        return
    print(describe("PySide6-Essentials", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        project = options.project or copy_sample(Path(folder) / "project")
        start_once(project)
        seconds = [start_once(project) for _ in range(options.runs)]
    print(
        f"usable window after {quantile(seconds, 0.5):.2f} s (median of {len(seconds)}; "
        f"{min(seconds):.2f} to {max(seconds):.2f} s)"
    )


if __name__ == "__main__":
    main()
