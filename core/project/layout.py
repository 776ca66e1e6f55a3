"""Where everything of a project lies, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

from core.errors import StorageError
from core.files import safe_name

PROJECT_FILE: Final = "project.json"


@dataclass(frozen=True, slots=True)
class ProjectLayout:
    """The paths of one project.

    Attributes:
        root: the project's folder, absolute.
    """

    SKIPPED: ClassVar[frozenset[str]] = frozenset(
        {"masks", "runs", "predictions", "exports", ".maskloop", "annotations"}
    )
    """Folders directly in the root that a scan for images passes over."""

    root: Path

    @property
    def project_file(self) -> Path:
        """`project.json`."""
        return self.root / PROJECT_FILE

    @property
    def masks(self) -> Path:
        """Index masks, derived from the annotations."""
        return self.root / "masks"

    @property
    def annotations(self) -> Path:
        """Annotations of images whose own folder is elsewhere or read-only."""
        return self.root / "annotations"

    @property
    def runs(self) -> Path:
        """One folder for each training run."""
        return self.root / "runs"

    @property
    def predictions(self) -> Path:
        """Predicted masks."""
        return self.root / "predictions"

    @property
    def exports(self) -> Path:
        """Where exports go unless another folder is named."""
        return self.root / "exports"

    @property
    def private(self) -> Path:
        """Lock, caches and thumbnails: nothing anybody would miss."""
        return self.root / ".maskloop"

    @property
    def lock_file(self) -> Path:
        """Held by the window or command that may write; the note beside it says whose it is."""
        return self.private / "lock"

    @property
    def cache(self) -> Path:
        """Thumbnails and the like, rebuilt when missing."""
        return self.private / "cache"

    @property
    def features(self) -> Path:
        """What the instant learner's encoder makes of images; computed again when it is gone."""
        return self.cache / "features"

    @property
    def journal(self) -> Path:
        """The list of files of a change of classes that is being put in place."""
        return self.private / "rewriting.json"

    @property
    def recolored(self) -> Path:
        """There while masks that are older than this file have old colours of classes."""
        return self.private / "recolored"

    @property
    def edits(self) -> Path:
        """Journals of edits that are not in their annotation files yet, one file for each image."""
        return self.private / "edits"

    @property
    def confirmed(self) -> Path:
        """Labels a person has looked at and called right."""
        return self.private / "confirmed.json"

    def new_run(self, model: str, now: datetime) -> Path:
        """Make an empty folder `runs/<date>_<time>-<model>`; no two runs share one.

        Raises:
            StorageError: the folder cannot be made.
        """
        name = f"{now:%Y-%m-%d_%H-%M-%S}-{safe_name(model)}"
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            for candidate in _numbered(name):
                folder = self.runs / candidate
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
                return folder
        except OSError as error:
            raise StorageError.from_os_error(self.runs / name, error) from error
        raise AssertionError("the numbers do not end")

    def runs_by_time(self) -> list[Path]:
        """The run folders, oldest first (their names begin with the time)."""
        try:
            return sorted(path for path in self.runs.iterdir() if path.is_dir() and path.name[0] != ".")
        except OSError:
            return []


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
