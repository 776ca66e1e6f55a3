"""What annotation files on disk hold, read as any other program would."""

from __future__ import annotations

import json
from pathlib import Path


def shapes_on_disk(folder: Path, stem: str) -> list[dict]:
    """The shapes of the image `stem`, as JSON."""
    return json.loads((folder / f"{stem}.json").read_bytes())["shapes"]


def labels_in(path: Path) -> list[str]:
    """The labels in an annotation file, bottom to top."""
    return [shape["label"] for shape in json.loads(path.read_bytes())["shapes"]]
