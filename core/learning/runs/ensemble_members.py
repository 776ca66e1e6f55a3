"""Which runs can be asked together with one that predicts. Torch-free: the window asks, too."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import RunFolder

MOST_MEMBERS: Final = 5


def members_beside(run: Path, classes: ClassList) -> list[Path]:
    """Weights of the newest other runs beside a run's folder that know the same classes."""
    found: list[Path] = []
    for folder in sorted((path for path in run.parent.iterdir() if path.is_dir()), reverse=True):
        weights = RunFolder(folder).best_weights
        if folder == run or len(found) == MOST_MEMBERS - 1 or not weights.is_file():
            continue
        with contextlib.suppress(MaskloopError):  # damaged, or of a newer program
            if set(read_header(weights).classes.indices) == set(classes.indices):
                found.append(weights)
    return found
