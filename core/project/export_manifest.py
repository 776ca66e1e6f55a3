"""What exports and predictions have written where: they may replace it, and it is no image of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from core.errors import StorageError
from core.files import file_digest
from core.project.annotation_files import Stamp, stamp_of
from core.project.layout import ProjectLayout

_LOCK_PATIENCE_S: Final = 1.0


class ExportManifest:
    """`exports.jsonl` in the project's cache: a line `[path, digest]` for each content a file was given.

    A line comes before its file, so that whoever looks meanwhile, or after a kill, knows whose the file is.
    Lines are only added, so that programs that export at once lose nothing of each other; a file may have any
    of the contents noted for it. Paths in the project are relative to it, for it may be moved.
    `exports.json` is what earlier versions wrote: folder -> file name -> digest.
    """

    def __init__(self, layout: ProjectLayout) -> None:
        self._root = layout.root.resolve()
        self._path = layout.cache / "exports.jsonl"
        self._older = layout.cache / "exports.json"
        self._read_at: tuple[Stamp | None, Stamp | None] | None = None
        self._noted: dict[str, set[str]] = {}
        self._contents: dict[str, tuple[Stamp, str | None]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read what other programs have noted since."""
        stamps = stamp_of(self._older), stamp_of(self._path)
        if stamps == self._read_at:
            return
        self._read_at = stamps
        self._noted = {}
        for folder, files in _read_older(self._older).items():
            for name, content in files.items():
                self._add(f"{folder}/{name}", str(content))
        for path, content in _read(self._path):
            self._add(path, content)

    def knows(self, path: Path, content_digest: str) -> bool:
        """Whether a content was written to a file; `path` is absolute and without links."""
        return content_digest in self._noted.get(str(path), ())

    def is_export(self, path: str) -> bool:
        """Whether a file (absolute, without links) has a content that was written to it.

        Its digest is taken when it has changed.
        """
        noted = self._noted.get(path)
        stamp = None if noted is None else stamp_of(Path(path))
        if noted is None or stamp is None:
            return False
        kept = self._contents.get(path)
        if kept is None or kept[0] != stamp:
            kept = self._contents[path] = stamp, _readable_digest(Path(path))
        return kept[1] in noted

    def note(self, path: Path, content_digest: str) -> None:
        """A content is about to be written to a file (absolute, without links).

        Raises:
            StorageError: that cannot be noted down.
        """
        if self.knows(path, content_digest):
            return
        self._add(str(path), content_digest)
        inside = path.is_relative_to(self._root)
        name = (path.relative_to(self._root) if inside else path).as_posix()
        from filelock import FileLock  # 70 ms that opening a project need not wait for

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{self._path}.lock", timeout=_LOCK_PATIENCE_S)
            with lock, self._path.open("a", encoding="utf-8", newline="\n") as lines:
                # The newline first: a line that was cut short takes no other one with it.
                lines.write(f"\n{json.dumps([name, content_digest])}")
        except OSError as error:
            raise StorageError.from_os_error(self._path, error) from error

    def _add(self, path: str, content_digest: str) -> None:
        # On strings: of ten thousand lines, paths as objects take half the time.
        place = os.path.normpath(os.path.join(self._root, path))  # noqa: PTH118
        self._noted.setdefault(place, set()).add(content_digest)


def _readable_digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except StorageError:
        return None


def _read(path: Path) -> list[tuple[str, str]]:
    """Paths and digests; a line that was cut short is passed over."""
    found: list[tuple[str, str]] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            name, content = json.loads(line)
        except (ValueError, TypeError):
            continue
        found.append((str(name), str(content)))
    return found


def _read_older(path: Path) -> dict[str, dict[str, str]]:
    try:
        folders = json.loads(path.read_bytes())
        return {str(folder): dict(files) for folder, files in folders.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
