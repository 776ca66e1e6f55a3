"""A folder exports and predictions are written to: only what was written there before is overwritten."""

from __future__ import annotations

import contextlib
from pathlib import Path

from core.errors import StorageError
from core.files import digest, file_digest, replace_file, write_atomic
from core.formats.report import ExportReport
from core.images.pages import image_stem
from core.project.export_manifest import ExportManifest
from core.project.layout import ProjectLayout


class ExportFolder:
    """Writes an export's files into one folder.

    A file that is already there is replaced if it is as an earlier export left it; another one is somebody's
    work and is reported instead, or where it has the same content left as it is. Without a project (`layout`
    None) nothing remembers what was exported, so that no file is ever replaced by another one.
    """

    def __init__(self, layout: ProjectLayout | None, out: Path, report: ExportReport) -> None:
        self._out = out
        self._report = report
        self._manifest = None if layout is None else ExportManifest(layout)
        self._place = out.resolve()
        self._exported: set[tuple[str, str]] = set()  # names and digests
        self._taken: dict[str, Path] = {}  # stems, and the folders of their images
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError.from_os_error(out, error) from error

    def free_stem(self, image: Path) -> str:
        """What a file made of an image is called: by its stem, or with a number if this export has used it.

        The second image of a stem in one folder goes by its whole name, as its annotation does. Upper and
        lower case are alike.
        """
        stem = image_stem(image)
        if self._taken.get(stem.casefold()) == image.parent:
            stem = image.name
        name, number = stem, 2
        while name.casefold() in self._taken:
            name, number = f"{stem}_{number}", number + 1
        self._taken[name.casefold()] = image.parent
        return name

    def adopt(self, name: str, content_digest: str) -> None:
        """A file of this digest is from an earlier export that could not note it down itself."""
        self._note(name, content_digest)

    def write(self, name: str, data: bytes) -> bool:
        """Write one file, noted before, and add it to the report; False where another one is in the way.

        Raises:
            StorageError: the folder cannot be written.
        """
        target, new = self._out / name, digest(data)
        there = file_digest(target)
        if not self._is_ours(name, there, new):
            return False
        if there != new:
            self._note(name, new)
            write_atomic(target, data)
        self._report.files.append(target)
        return True

    def place(self, name: str, finished: Path, new: str) -> bool:
        """As `write`, of a file that is written already, beside its place; it is moved or taken away."""
        target = self._out / name
        try:
            there = file_digest(target)
            is_ours = self._is_ours(name, there, new)
            if is_ours and there != new:
                self._note(name, new)
                replace_file(finished, target)
            else:
                finished.unlink(missing_ok=True)
        except OSError as error:
            finished.unlink(missing_ok=True)
            raise StorageError.from_os_error(target, error) from error
        if is_ours:
            self._report.files.append(target)
        return is_ours

    def _is_ours(self, name: str, there: str | None, new: str) -> bool:
        """Whether a file may be written in the place of what is there."""
        if there in (None, new) or (name, there) in self._exported:
            return True
        if self._manifest is not None and self._manifest.knows(self._place / name, there):
            return True
        self._report.problems.append(
            StorageError(
                self._out / name, "was there before and is not from an export; choose an empty folder"
            )
        )
        return False

    def _note(self, name: str, content_digest: str) -> None:
        self._exported.add((name, content_digest))
        if self._manifest is not None:
            # Without the note the next export asks for an empty folder: no reason to fail this one.
            with contextlib.suppress(StorageError):
                self._manifest.note(self._place / name, content_digest)
