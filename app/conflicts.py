"""Another program changed an annotation that has unsaved edits here: what the file says, and keeping both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from core.annotation.model import Annotation, Shape
from core.errors import FileProblem
from core.files import file_digest

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

ConflictChoice: TypeAlias = Literal["reload", "mine", "both"]


@dataclass(frozen=True, slots=True, eq=False)
class Theirs:
    """The annotation file as another program left it; `annotation` is None when it cannot be read."""

    digest: str | None
    annotation: Annotation | None
    problem: str = ""


def read_theirs(project: Project, entry: ImageEntry) -> Theirs:
    """Worker: the file as it is on disk now."""
    digest = file_digest(entry.annotation_path)
    try:
        loaded = project.load(entry)
    except FileProblem as error:
        return Theirs(digest, None, str(error))
    return Theirs(loaded.digest, loaded.annotation)


def only_in(theirs: Annotation, mine: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Their shapes that equal none of mine, bottom to top."""
    by_place: dict[tuple[str, bytes], list[Shape]] = {}
    for shape in mine:
        by_place.setdefault((shape.label, shape.points.tobytes()), []).append(shape)
    return tuple(
        shape
        for shape in theirs.shapes
        if shape not in by_place.get((shape.label, shape.points.tobytes()), [])
    )
