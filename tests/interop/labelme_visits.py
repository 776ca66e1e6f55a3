"""Open files in labelme, have it save them, and tell what it saw: `python labelme_visits.py VISITS.json`.

Runs in labelme's interpreter. The argument is a list of `{"file": path, "keys": [[key, modifiers], ...]}`;
the keys are pressed on the canvas before saving. Standard output gets one JSON object `{"version", "visits"}`
with, for each visit, `complaints`, `saved`, `size_hw`, `shapes` (`label`, `shape_type`, `points`, `locked`)
and `masks`, which names an .npz of the shapes as labelme's exporter draws them (keys: their numbers).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from labelme import _utils
from labelme_window import VERSION, Complaints, action, canvas_of, make_application, make_window
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

UNDRAWN = frozenset(("points",))
"""Types its exporter has no drawing for."""


def visit(file: Path, keys: list[list[str]], complaints: Complaints) -> dict[str, Any]:
    """Open one file, press the keys, save, close."""
    complaints.said.clear()
    window = make_window(file)
    window.show()
    QApplication.processEvents()
    canvas = canvas_of(window)
    seen: dict[str, Any] = {"complaints": list(complaints.said), "saved": False, "shapes": []}
    if not complaints.said:
        seen |= describe(canvas, file)
        press(canvas, keys)
        before = file.stat().st_mtime_ns, file.read_bytes()
        save = action(window, "Ctrl+S")
        save.setEnabled(True)  # labelme offers it after an edit only
        save.trigger()
        QApplication.processEvents()
        seen["saved"] = before != (file.stat().st_mtime_ns, file.read_bytes())
        seen["complaints"] = list(complaints.said)
    window.close()
    window.deleteLater()
    QApplication.processEvents()
    return seen


def describe(canvas: QWidget, file: Path) -> dict[str, Any]:
    """What stands in the canvas."""
    shapes = canvas.shapes
    height, width = canvas.pixmap.height(), canvas.pixmap.width()
    masks = {}
    for number, shape in enumerate(shapes):
        if shape.shape_type not in UNDRAWN and (mask := drawn(shape, (height, width))) is not None:
            masks[str(number)] = mask
    where = file.with_suffix(".labelme.npz")
    np.savez_compressed(where, **masks)
    return {
        "size_hw": [height, width],
        "shapes": [
            {
                "label": shape.label,
                "shape_type": shape.shape_type,
                "points": shape.points.tolist(),
                "locked": shape.locked,
            }
            for shape in shapes
        ],
        "masks": str(where),
    }


def drawn(shape: Any, size_hw: tuple[int, int]) -> np.ndarray | None:
    """One shape as labelme's exporter draws it: bool (H, W); None where the exporter gives up."""
    record = {name: getattr(shape, name) for name in ("label", "group_id", "shape_type", "mask")}
    record["points"] = shape.points.tolist()
    try:
        classes, _ = _utils.shapes_to_label(
            img_shape=size_hw, shapes=[record], label_name_to_value={shape.label: 1}
        )
    except AssertionError:  # too few points: its window shows what its exporter does not take
        return None
    return classes == 1


def press(canvas: QWidget, keys: list[list[str]]) -> None:
    """Press and release keys, named as in Qt without their prefixes, e.g. ["A", "Control"]."""
    for key, modifier in keys:
        pressed, held = Qt.Key[f"Key_{key}"], Qt.KeyboardModifier[f"{modifier}Modifier"]
        QTest.keyClick(canvas, pressed, held)
        QApplication.processEvents()


def main() -> None:
    """Make all visits in one process: starting labelme takes seconds."""
    app = make_application()
    complaints = Complaints()
    visits = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    seen = [visit(Path(each["file"]), each["keys"], complaints) for each in visits]
    print(json.dumps({"version": VERSION, "visits": seen}))
    app.quit()


if __name__ == "__main__":
    main()
