"""Opening and making projects: what happens before there is a `Project`."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from core.annotation.model import MAX_CLASSES, ClassList, LabelClass
from core.errors import ProjectFileError, StorageError, UsageError
from core.files import ProjectLock, digest, safe_name
from core.project import class_edits, schema
from core.project.annotation_files import Glances
from core.project.export_manifest import ExportManifest
from core.project.image_folders import is_image_name
from core.project.layout import PROJECT_FILE, ProjectLayout
from core.project.palette import palette_color, unused_color
from core.project.scan import scan
from core.project.schema import SLOTS_KEY, ProjectFile
from core.project.transaction import recover

DEFAULT_BACKGROUND: Final = "background"


def project_root(path: Path) -> Path:
    """The folder of the project that a path means: a folder itself, or the project a file belongs to.

    Raises:
        ProjectFileError: a file that is neither a project.json, an image nor a labelme JSON.
    """
    given, path = path, path.resolve()
    if not path.is_file():
        return path
    if not is_image_name(path.name) and path.suffix.lower() != ".json":
        raise ProjectFileError(given, "is no project: give its folder, its project.json, or an image in it")
    for folder in path.parents:
        file = folder / PROJECT_FILE
        if file.is_file() and b'"image_roots"' in file.read_bytes():  # other tools use that name too
            return folder
    return path.parent


def take_lock(layout: ProjectLayout, holder: str | None) -> tuple[ProjectLock | None, list[str]]:
    """The lock, or None where nothing can be written, and what to tell the person about it."""
    lock = ProjectLock(layout.lock_file, holder)
    try:
        lock.acquire()
    except StorageError as error:
        if not _is_refused(error):
            raise StorageError(layout.root, error.problem) from error
        what = layout.root if not os.access(layout.root, os.W_OK) else layout.private
        return None, [
            f"{what} is read-only: you can look at the project, but what you draw cannot be saved. "
            "Copy the folder to a place of your own to work on it."
        ]
    notes: list[str] = []
    try:
        if lock.stale_holder is not None:
            notes.append(lock.stale_holder.was_cut_short())
        notes += recover(layout)
    except BaseException:
        lock.release()
        raise
    return lock, notes


def _is_refused(error: StorageError) -> bool:
    """Whether the place may not be written at all (a full disk is another matter)."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def read_file(layout: ProjectLayout) -> tuple[ProjectFile | None, str | None]:
    """project.json and its digest; None where there is none yet. Raises ProjectFileError."""
    path = layout.project_file
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise ProjectFileError(path, f"cannot be read ({error.strerror or error})") from error
    return schema.loads(data, path), digest(data)


def new_file(layout: ProjectLayout) -> ProjectFile:
    """What a folder becomes when it is first opened: all images in it, background as the only class."""
    file = ProjectFile(name=layout.root.name or "project", classes=(), background=None, image_roots=(".",))
    return file.with_classes(new_classes((), DEFAULT_BACKGROUND))


def new_classes(classes: Sequence[str | LabelClass], background: str | None) -> ClassList:
    """Checked classes with indices and colours; the background is the one of that name. Raises UsageError."""
    if not classes and background is not None:
        classes = (background,)
    if len(classes) > MAX_CLASSES:
        raise UsageError(f"{len(classes)} classes are too many; a project has at most {MAX_CLASSES}")
    names = [c if isinstance(c, str) else c.name for c in classes]
    background_index: int | None = None
    if background in names:
        named = classes[names.index(background)]
        background_index = names.index(background) if isinstance(named, str) else named.index
    result = ClassList((), None)
    for position, given in enumerate(classes):
        if isinstance(given, str):
            color = palette_color(position, background=background_index)
            given = LabelClass(position, given, color)
        of_others = None if given.index == background_index else background_index
        name = class_edits.checked_name(ClassList(result.classes, of_others), given.name)
        if result.by_index(given.index) is not None:
            raise UsageError(f"the class index {given.index} is given twice")
        if not 0 <= given.index < MAX_CLASSES:
            raise UsageError(f"the class index {given.index} is not from 0 to {MAX_CLASSES - 1}")
        checked = LabelClass(given.index, name, class_edits.checked_color(given.color))
        result = ClassList((*result.classes, checked), None)
    return ClassList(result.classes, background_index)


def with_class(
    file: ProjectFile,
    name: str,
    color: str | None = None,
    *,
    index: int | None = None,
    as_is: bool = False,
) -> tuple[ProjectFile, LabelClass]:
    """The project with one class more. `as_is` takes a label from a file letter by letter."""
    classes = file.class_list
    checked = class_edits.checked_name(classes, name, as_is=as_is)
    if index is None:
        index = file.next_index()
        if index is None:
            raise UsageError("all 255 class indices are used up")
    elif index in (*classes.indices, *file.retired_indices) or not 0 <= index < MAX_CLASSES:
        raise UsageError(f"the class index {index} is taken, or was a deleted class's")
    if color is None:
        used = [label_class.color for label_class in classes]
        color = unused_color(index, used, background=classes.background)
    added = LabelClass(index, checked, class_edits.checked_color(color))
    return file.with_classes(replace(classes, classes=(*classes.classes, added))), added


def image_roots_for(root: Path, given: Sequence[str | Path]) -> tuple[str, ...]:
    """Image folders as project.json names them; see `Project.create`."""
    roots = tuple(dict.fromkeys(relative_to_project(root, folder) for folder in given))
    if roots == ("images",) and not (root / "images").is_dir() and _holds_images(root):
        return (".",)
    return roots


def with_slots(root: Path, file: ProjectFile) -> ProjectFile:
    """The project with a slot for each image root outside it: a folder of its own below `annotations/`.

    It is given once and stays, whatever roots come and go: the labels are found by it.
    """
    slots = file.slots
    taken = {part.casefold() for spec in file.image_roots for part in PurePosixPath(spec).parts[:1]}
    taken |= {slot.casefold() for slot in slots.values()}
    for spec in file.image_roots:
        folder = Path(os.path.normpath(root / spec))
        if spec in slots or folder.is_relative_to(root):
            continue
        name = slots[spec] = safe_name(folder.name)
        number = 2
        while slots[spec].casefold() in taken:
            slots[spec] = f"{name}-{number}"
            number += 1
        taken.add(slots[spec].casefold())
    if slots == file.slots:
        return file
    return msgspec.structs.replace(file, settings={**file.settings, SLOTS_KEY: slots})


def folders_inside(root: Path, image_roots: Sequence[str]) -> list[Path]:
    """The image folders that lie in the project, which need not exist."""
    folders = [Path(os.path.normpath(root / spec)) for spec in image_roots]
    return [folder for folder in folders if folder.is_relative_to(root)]


def relative_to_project(root: Path, folder: str | Path) -> str:
    """A folder as project.json names it: relative to the project where that is possible, with `/`."""
    path = Path(os.path.normpath(root / folder))
    if not path.is_relative_to(root) and path.resolve().is_relative_to(root):
        path = path.resolve()
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive on Windows
        return path.as_posix()


def _holds_images(root: Path) -> bool:
    layout = ProjectLayout(root)
    file = ProjectFile(name="", classes=(), background=None, image_roots=(".",))
    return bool(scan(layout, file, Glances(), ExportManifest(layout), {}, []))
