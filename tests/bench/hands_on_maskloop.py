"""The hands on our window: started by `versus_labelme.py`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF, qVersion
from window_hands import measure

from app.application import make_application
from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from app.workers.trainer_thread import TrainerThread


class Asleep(TrainerThread):
    """The engine stays out of it: labelme has none to share the processor with."""

    def start_engine(self) -> None:
        pass


class Maskloop:
    """The main window as `maskloop` shows it."""

    def __init__(self, folder: Path) -> None:
        self.window = MainWindow(Settings(folder / "settings.ini"), Asleep())
        self.window.show()
        self._canvas = self.window.canvas
        self.canvas = self._canvas.viewport()

    def open(self, file: Path) -> None:
        self.window.open_path(file)

    def loaded(self) -> bool:
        current = self.window.session.current
        return current is not None and current.document is not None and bool(current.document.shapes)

    def to_widget(self, x: float, y: float) -> QPointF:
        return self._canvas.to_viewport(QPointF(x, y))


def main() -> None:
    task = json.loads(sys.argv[1])
    app = make_application()
    apply_theme(app, "dark")
    print(json.dumps({"program": f"Maskloop {version('maskloop')}, Qt {qVersion()}"}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        subject = Maskloop(Path(folder))
        measure(subject, Path(task["file"]), task["ring"], task["skip"])
        subject.window.left.connect(app.quit)
        subject.window.close()


if __name__ == "__main__":
    main()
