"""From what a person names or drops to the project it belongs to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from core.errors import AnnotationFileError, UsageError
from core.files import is_file, is_folder
from core.images.pages import image_file
from core.images.reader import IMAGE_SUFFIXES
from core.project.annotation_files import customary
from core.project.layout import ProjectLayout
from core.project.project import Project


@dataclass(frozen=True, slots=True)
class Target:
    """What to open: a project folder, and the image to show first (None: the first one)."""

    root: Path
    image: Path | None = None


def locate(path: Path) -> Target:
    """Find the project of a folder, a project.json, an image or a labelme JSON.

    Raises:
        UsageError: there is no such path, or it is none of these.
        AnnotationFileError: a JSON that names no image that exists, or one in a folder where its labels would
            not be seen.
    """
    path = Path(path).expanduser().absolute()
    if not (is_file(path) or is_folder(path)):
        raise UsageError(
            f"{path} does not exist (any more), or may not be looked into; choose another folder"
        )
    if is_folder(path):
        return Target(_project_around(path) or path)
    if path.name == ProjectLayout(path.parent).project_file.name:
        return Target(path.parent)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Target(_project_around(path.parent) or path.parent, path)
    if path.suffix.lower() == ".json":
        image = _image_of_annotation(path)
        if (keeper := _project_keeping(path)) is not None:
            return Target(keeper, image)
        root = _project_around(image.parent) or image.parent
        _require_in_sight(path, image, root)
        return Target(root, image)
    raise UsageError(f"{path} is neither a folder, an image nor a labelme JSON; open one of these")


def _project_around(folder: Path) -> Path | None:
    """The project that has this folder among its images, or is this folder; None when there is none."""
    if is_file(ProjectLayout(folder).project_file):
        return folder
    for root in folder.parents:
        project_file = ProjectLayout(root).project_file
        if is_file(project_file):
            roots = _image_roots(project_file)
            inside = any(folder.is_relative_to(root / image_root) for image_root in roots)
            return root if inside else None
    return None


def _project_keeping(path: Path) -> Path | None:
    """The project that keeps this annotation of an image elsewhere; None for any other annotation."""
    roots = (folder.parent for folder in path.parents if folder == ProjectLayout(folder.parent).annotations)
    return next((root for root in roots if is_file(ProjectLayout(root).project_file)), None)


def _require_in_sight(path: Path, image: Path, root: Path) -> None:
    """Raise AnnotationFileError where an image would be shown without the labels that were asked for."""
    beside = path.parent.resolve() == image.parent.resolve()
    if not beside and not any((image.parent / name).is_file() for name in customary(image.name)):
        raise AnnotationFileError(
            path,
            "its image is in another folder, for which these labels are not read; bring them in with: "
            f'maskloop import "{root.resolve()}" "{path.parent}" --format labelme',
        )


def _image_roots(project_file: Path) -> list[str]:
    """The image folders a project.json names; none from a broken file, which opening it will explain."""
    try:
        roots = json.loads(project_file.read_bytes())["image_roots"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [root for root in roots if isinstance(root, str)] if isinstance(roots, list) else []


class _Annotation(msgspec.Struct):
    """The fields of interest: the points of ten thousand polygons are skipped, not built."""

    image_path: str = msgspec.field(name="imagePath")
    image_data: msgspec.Raw = msgspec.field(name="imageData", default=msgspec.Raw(b"null"))


_IMAGE_PATH: Final = msgspec.json.Decoder(_Annotation)


def _image_of_annotation(path: Path) -> Path:
    try:
        data = path.read_bytes()
        try:
            file = _IMAGE_PATH.decode(data)
            image_path, embedded = file.image_path, bytes(file.image_data) != b"null"
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            content = json.loads(data)  # a byte order mark, or no annotation at all
            image_path, embedded = content["imagePath"], content.get("imageData") is not None
        image = path.parent / PurePosixPath(image_path.replace("\\", "/"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationFileError(
            path, "this is no labelme JSON with an imagePath; open its image or folder instead"
        ) from error
    for candidate in (image, path.parent / image.name):
        if is_file(image_file(candidate)):
            return candidate
    way = "open the image itself"
    if embedded:
        way = (
            f'it is in this file; write it out with: maskloop import PROJECT "{path.parent}" --format labelme'
        )
    raise AnnotationFileError(path, f"imagePath names {image_path}, which is not there; {way}")


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening: the project (None: it is the one that is open already) and the wanted image."""

    target: Target
    project: Project | None


def open_target(path: Path, open_root: Path | None, *, report: Callable[[float], None]) -> Opened:
    """Worker: open what `path` names, unless it is in the project at `open_root`, whose lock we hold.

    Raises:
        MaskloopError: one sentence; nothing is open then.
        TaskCancelledError: by `report`, when nobody wants the project any more; nothing is open then, either.
    """
    target = locate(path)
    if open_root is not None and target.root.resolve() == open_root.resolve():
        return Opened(target, None)
    project = Project.open(target.root)
    try:
        report(1.0)
    except BaseException:
        project.close()
        raise
    return Opened(target, project)
