"""Reading an annotation that another program may have written: new labels in it become classes first."""

from __future__ import annotations

from core.errors import FileProblem
from core.project.annotation_store import Loaded
from core.project.project import Project
from core.project.project_classes import taken
from core.project.scan import ImageEntry


def load_adopting(project: Project, entry: ImageEntry) -> Loaded:
    """As `project.load`; no label in it is unknown then, or its shapes would be missing from the mask.

    Classes that cannot be written down are classes until the project is closed, and `project.notes` says so.

    Raises:
        AnnotationFileError, ImageFileError: as `Project.load`.
    """
    loaded = project.load(entry)
    if all(project.classes.mask_value(shape.label) is not None for shape in loaded.annotation.shapes):
        return loaded
    with project.turn:  # a change of the classes may just have rewritten the file
        loaded = project.load(entry)
        known = set(project.classes.names)
        try:
            project.adopt_labels(shape.label for shape in loaded.annotation.shapes)
        except FileProblem as problem:
            if project.writable:
                project.notes.append(str(problem))
        if added := [name for name in project.classes.names if name not in known]:
            project.notes.append(taken(added))
        return loaded
