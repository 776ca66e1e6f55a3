"""Save as: a copy of an annotation elsewhere, still pointing at its image."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation
from core.files import write_atomic


def save_copy(annotation: Annotation, image_path: Path, target: Path) -> Path:
    """Write a labelme JSON whose imagePath leads from its own folder to the image.

    Raises:
        StorageError: it cannot be written there.
    """
    try:
        relative = os.path.relpath(image_path, target.parent)
    except ValueError:  # another drive on Windows: only an absolute path leads there
        relative = str(image_path)
    write_atomic(target, dumps(replace(annotation, image_path=Path(relative).as_posix())))
    return target
