"""What exports and predictions have written where: they may replace it, and it is no image of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path

from core.files import write_atomic
from core.project.layout import ProjectLayout


class ExportManifest:
    """`exports.json` in the project's cache: folder -> file name -> digest of what was written.

    Folders in the project are noted relative to it, for it may be moved; those of earlier versions are not.
    """

    def __init__(self, layout: ProjectLayout) -> None:
        self._root = layout.root.resolve()
        self._path = layout.cache / "exports.json"
        self._folders: dict[str, dict[str, str]] = {}
        for folder, files in _read(self._path).items():
            self.written_to(Path(folder)).update(files)

    def written_to(self, folder: Path) -> dict[str, str]:
        """Digests by the names (below the folder, with `/`) of what was written there; more may be added.

        Args:
            folder: without links; relative to the project, or absolute.
        """
        place = Path(os.path.normpath(self._root / folder))
        name = place.relative_to(self._root).as_posix() if place.is_relative_to(self._root) else str(place)
        return self._folders.setdefault(name, {})

    def files(self) -> frozenset[str]:
        """The paths of all files, absolute and without links."""
        return frozenset(
            os.path.normpath(self._root / folder / name)
            for folder, files in self._folders.items()
            for name in files
        )

    def save(self) -> None:
        """Write it down. Raises StorageError."""
        write_atomic(self._path, json.dumps(self._folders, indent=1).encode())


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        folders = json.loads(path.read_bytes())
        return {str(folder): dict(files) for folder, files in folders.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
