"""What is drawn on a project's images, as their annotation files have it now. Torch-free.

Masks reach the engine ahead of the files, by message. What needs the shapes themselves reads the files, which
the window writes within half a second of an edit; `stamp` tells when it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from core.annotation.model import Annotation
from core.errors import MaskloopError
from core.project.annotation_files import Stamp, stamp_of

if TYPE_CHECKING:
    from core.project.project import Project
    from core.project.scan import ImageEntry

Stamps: TypeAlias = tuple[Stamp | None, Stamp | None]


class DrawnShapes:
    """The annotations of a project, read when they are asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._missing: set[str] = set()

    def stamp(self, key: str) -> Stamps | None:
        """What changes whenever an image's annotation does; None for an image the project does not have."""
        entry = self._entry(key)
        if entry is None:
            return None
        own = stamp_of(entry.annotation_path)
        return own, None if entry.source_path is None else stamp_of(entry.source_path)

    def annotation(self, key: str) -> Annotation | None:
        """An image's annotation; None where there is none that can be read."""
        entry = self._entry(key)
        if entry is None:
            return None
        try:
            return self._project.load(entry).annotation
        except MaskloopError:  # whoever opens the image is told
            return None

    def _entry(self, key: str) -> ImageEntry | None:
        """The image's files; one that came after the last look at the folders is looked for once more."""
        for look_again in (False, True):
            if look_again and key in self._missing:
                return None
            try:
                if look_again:
                    self._missing.add(key)
                    self._project.rescan()
                return self._project.entry(key)
            except MaskloopError:
                pass
        return None
