"""project.json as it is held while a project is open, and the digest by which a foreign change is noticed."""

from __future__ import annotations

from pathlib import Path

from core.annotation.model import ClassList
from core.errors import ForeignChangeError
from core.files import digest, file_digest, write_atomic
from core.project import schema
from core.project.schema import ProjectFile
from core.project.transaction import Replacement


class ProjectJson:
    """The content of one project.json.

    Attributes:
        path: the file.
        content: what it says, or will say once it is written.
    """

    def __init__(self, path: Path, content: ProjectFile, digest_on_disk: str | None) -> None:
        self.path = path
        self.content = content
        self._digest = digest_on_disk
        self._settled = content.class_list

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Names of classes that have come and are not in the file yet."""
        return tuple(name for name in self.classes.names if self._settled.by_name(name) is None)

    @property
    def classes(self) -> ClassList:
        """The classes in display order."""
        return self.content.class_list

    def write(self, content: ProjectFile) -> None:
        """Replace the file and, once it is written, what is held of it.

        Raises:
            ForeignChangeError: another program wrote the file meanwhile.
            StorageError: it cannot be written; file and content are as they were.
        """
        new = self.replacement(content)
        write_atomic(self.path, new.content)
        self.accept(content, new.content)

    def replacement(self, content: ProjectFile) -> Replacement:
        """What is to be written for `content`. Raises ForeignChangeError, as `write` does."""
        if file_digest(self.path) != self._digest:
            raise ForeignChangeError(
                self.path, "was changed by another program; close the project and open it again"
            )
        return Replacement(schema.dumps(content), self._digest)

    def accept(self, content: ProjectFile, data: bytes) -> None:
        """`data`, the bytes of `content`, are on disk now."""
        self.content, self._digest, self._settled = content, digest(data), content.class_list
