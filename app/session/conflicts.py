"""Another program changed an annotation that has unsaved edits here: what its file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from core.annotation.model import Annotation
from core.errors import FileProblem
from core.files import file_digest
from core.project.adopting import load_adopting

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

ConflictChoice: TypeAlias = Literal["reload", "mine", "both"]
"""Take the file as it is; write over it; write over it and keep a copy of it beside."""


@dataclass(frozen=True, slots=True, eq=False)
class Theirs:
    """The annotation file as another program left it.

    Attributes:
        digest: of the file; None when it was removed.
        annotation: what it says; None when it cannot be read.
        problem: why it cannot be read.
        copy: where it was kept, if it was.
    """

    digest: str | None
    annotation: Annotation | None
    problem: str = ""
    copy: Path | None = None


def read_theirs(
    project: Project, entry: ImageEntry, keep_copy: Literal["always", "unreadable", "never"]
) -> Theirs:
    """Worker: the file as it is on disk now, copied beside itself where that is asked for.

    Raises:
        StorageError: the copy cannot be written.
    """
    digest = file_digest(entry.annotation_path)
    annotation: Annotation | None = None
    problem = ""
    try:
        loaded = load_adopting(project, entry)
        digest, annotation = loaded.digest, loaded.annotation
    except FileProblem as error:
        problem = str(error)
    wanted = keep_copy == "always" or (keep_copy == "unreadable" and annotation is None)
    return Theirs(digest, annotation, problem, project.keep_theirs(entry) if wanted else None)
