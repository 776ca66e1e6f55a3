"""labelme as a second program: files go in, come back saved by its own window."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.interop.labelme_environment import LabelmeAbsentError, labelme_python, surroundings

SCRIPT = Path(__file__).with_name("labelme_visits.py")
LIMIT_S = 240


@dataclass(frozen=True)
class Visit:
    """What labelme saw of one file.

    Attributes:
        complaints: text of the dialogs it opened; empty: it took the file as it is.
        saved: it wrote the file anew.
        size_hw: the image's size as labelme has it.
        shapes: label, shape_type, points and locked of each.
        masks: number of a shape -> as labelme's exporter draws it, bool (H, W).
    """

    complaints: list[str]
    saved: bool
    size_hw: tuple[int, int]
    shapes: list[dict[str, Any]]
    masks: dict[int, NDArray[np.bool_]]


class Labelme:
    """labelme in an interpreter of its own."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self.version = ""

    def visit(self, files: Iterable[Path], keys: Iterable[tuple[str, str]] = ()) -> list[Visit]:
        """Open each file in labelme's window, press the keys, save with Ctrl+S, close."""
        files = list(files)
        listing = files[0].with_suffix(".visits")
        pressed = [list(key) for key in keys]
        listing.write_text(json.dumps([{"file": str(file), "keys": pressed} for file in files]))
        command = [self._python, SCRIPT, listing]
        with surroundings() as variables:
            ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=LIMIT_S)
        assert ran.returncode == 0, "\n".join(ran.stderr.splitlines()[-12:])
        told = json.loads(ran.stdout.splitlines()[-1])
        self.version = told["version"]
        return [_visit(each) for each in told["visits"]]


def _visit(told: dict[str, Any]) -> Visit:
    masks: dict[int, NDArray[np.bool_]] = {}
    if "masks" in told:
        with np.load(told["masks"]) as drawn:
            masks = {int(number): drawn[number] for number in drawn.files}
    height, width = told.get("size_hw", (0, 0))
    return Visit(told["complaints"], told["saved"], (height, width), told["shapes"], masks)


@pytest.fixture(scope="session")
def labelme() -> Labelme:
    """Installs labelme beside the project the first time; skips with the reason where it cannot be had."""
    try:
        return Labelme(labelme_python())
    except LabelmeAbsentError as reason:
        pytest.skip(str(reason))
