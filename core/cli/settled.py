"""A project for reading whose classes have the indices that they will keep."""

from __future__ import annotations

from pathlib import Path

from core.errors import MaskloopError, ProjectLockedError
from core.project.project import Project


def open_settled(root: Path) -> Project:
    """The project, open for reading only; labels that were no classes yet are some now, in project.json too.

    Weights and masks know a class by its index alone. One that is written nowhere becomes another class's as
    soon as another label appears.

    Raises:
        MaskloopError: such labels cannot be written down, for the project is open elsewhere or read-only; or
            as `Project.open`.
    """
    project = Project.open(root, lock=False)
    if not project.unwritten_classes:
        return project
    labels = ", ".join(project.unwritten_classes)
    try:
        project = Project.open(root)
    except ProjectLockedError as error:
        raise MaskloopError(
            f"labels that are no classes yet ({labels}) cannot become some: {error}"
        ) from error
    project.close()  # the lock is held no longer than it takes
    if project.unwritten_classes:
        raise MaskloopError(
            f"{project.layout.project_file}: labels that are no classes yet ({labels}) cannot become some,"
            " for nothing can be written here; copy the folder to a place of your own"
        )
    return project
