"""What an import or export did, file by file where something was passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import FileProblem


@dataclass(slots=True)
class ImportReport:
    """Counts of what came in, and each file that did not."""

    images: int = 0
    shapes: int = 0
    new_classes: list[str] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)


@dataclass(slots=True)
class ExportReport:
    """The files written, and each image that was left out."""

    files: list[Path] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
