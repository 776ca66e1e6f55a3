"""The hands on labelme: runs in its interpreter, started by `versus_labelme.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from labelme_window import VERSION, canvas_of, make_application, make_window
from PySide6.QtCore import QPointF, qVersion
from window_hands import measure


class Labelme:
    """labelme's window, as its own start shows it."""

    def __init__(self) -> None:
        self.window = make_window()
        self.window.show()
        self.canvas = canvas_of(self.window)

    def open(self, file: Path) -> None:
        self.window._load_file(image_or_label_path=str(file))

    def loaded(self) -> bool:
        return bool(self.canvas.shapes)

    def to_widget(self, x: float, y: float) -> QPointF:
        return self.canvas.transform_image_point_to_widget(QPointF(x, y))


def main() -> None:
    task = json.loads(sys.argv[1])
    app = make_application()
    print(json.dumps({"program": f"labelme {VERSION}, Qt {qVersion()}"}), flush=True)
    subject = Labelme()
    measure(subject, Path(task["file"]), task["ring"], task["skip"])
    app.quit()


if __name__ == "__main__":
    main()
