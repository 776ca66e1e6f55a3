"""labelme folders: a JSON for each image, usually beside it.

Import copies images and annotations into the project and overwrites nothing; what belongs to the project
already is left as it is. Export writes the project's annotations as labelme files of their own.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from PIL import Image

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation, AnnotationState
from core.errors import AnnotationFileError, FileProblem
from core.files import is_file
from core.formats.export_folder import ExportFolder
from core.formats.intake import bring_images, files_below, images_below, place
from core.formats.mask_classes import TABLE_NAME
from core.formats.report import ExportReport, ImportReport
from core.images.pages import image_file
from core.images.reader import read_image
from core.project.image_folders import is_image_name
from core.project.label_list import FILE_NAME, listed_labels
from core.project.layout import PROJECT_FILE
from core.project.project import ImageEntry, Project

_OTHERS = frozenset({PROJECT_FILE, TABLE_NAME})
"""This program's own files beside annotations; that of an image `project.png`, say, is called so, too."""


def import_into(project: Project, source: Path) -> ImportReport:
    """Bring a labelme folder (images and JSON files, subfolders too) into the project.

    A JSON belongs to the image its `imagePath` names, else to one beside it under that name or its own stem;
    where there is none, an image embedded in it is written out. Images without a JSON come too, unlabelled.
    Labels that are no class yet become classes, in the order of `labels.txt` where there is one, else as they
    are first met. An image that has labels in the project already keeps them and is reported.
    """
    report = ImportReport()
    source = source.resolve()
    own = {path for entry in project.images() for path in (entry.annotation_path, entry.source_path) if path}
    report.problems += _broken_below(project, source)
    before = {entry.key for entry in project.images()}
    found = _annotated(project, source, own, report.problems)
    project.rescan()  # images that were embedded lie among its own now, and those may be below `source`
    images = [*(image for _, image, _ in found), *images_below(source)]
    entries = bring_images(project, source, images, report.problems)
    new = {entry.key for entry in project.images()} - before
    _add_classes(project, source, [annotation for _, _, annotation in found], report)
    labelled: set[str] = set()
    for json_path, image, annotation in found:
        if (entry := entries.get(image)) is None:
            continue
        try:
            if _put(project, entry, json_path, annotation):
                report.shapes += len(annotation.shapes)
                labelled.add(entry.key)
        except FileProblem as problem:
            report.problems.append(problem)
    report.images = len(new | labelled)
    if not found and not entries and not report.problems:
        report.problems.append(AnnotationFileError(source, "there is no labelme JSON and no image in it"))
    return report


def _put(project: Project, entry: ImageEntry, json_path: Path, annotation: Annotation) -> bool:
    """Give an image of the project its imported annotation; False if it has the very same already."""
    loaded = project.load(entry)
    size_hw = loaded.annotation.size_hw
    if annotation.size_hw not in (None, size_hw) and annotation.size_hw and size_hw:
        (height, width), (real_height, real_width) = annotation.size_hw, size_hw
        raise AnnotationFileError(
            json_path,
            f"imageWidth and imageHeight are {width} x {height}, but {entry.image_path.name} has "
            f"{real_width} x {real_height} pixels; put the right image beside it and import again",
        )
    moved = replace(annotation, image_path=loaded.annotation.image_path, size_hw=size_hw)
    if loaded.digest is not None:
        kept = loaded.annotation
        if (kept.shapes, kept.state, dict(kept.flags)) == (moved.shapes, moved.state, dict(moved.flags)):
            return False
        if kept.shapes or kept.flags or kept.state is AnnotationState.DONE:
            raise AnnotationFileError(json_path, f"{entry.key} has labels already; they were kept")
    project.save(entry, moved, loaded.digest)
    project.write_mask(entry, project.render_mask(entry, moved))
    return True


def _broken_below(project: Project, source: Path) -> list[FileProblem]:
    """What is wrong with the project's own annotations in `source`; they are left as they are."""
    glances = [project.glance(entry) for entry in project.images()]
    problems = [glance.problem for glance in glances if glance is not None and glance.problem is not None]
    return [problem for problem in problems if problem.path.resolve().is_relative_to(source)]


def _annotated(
    project: Project, source: Path, own: set[Path], problems: list[FileProblem]
) -> list[tuple[Path, Path, Annotation]]:
    """Every labelme JSON below `source` that is not the project's already, with its image."""
    found = []
    for path in files_below(source):
        if path.suffix != ".json" or path in own:
            continue
        try:
            if (annotation := _annotation_at(path)) is not None:
                found.append((path, _image_of(project, path, annotation), annotation))
        except FileProblem as problem:
            problems.append(problem)
        except OSError as error:
            problems.append(AnnotationFileError(path, f"cannot be read ({error.strerror or error})"))
    return found


def _annotation_at(path: Path) -> Annotation | None:
    """What a JSON file says; None for one of this program's own. Raises AnnotationFileError, OSError."""
    try:
        return loads(path.read_bytes(), path)
    except AnnotationFileError:
        if path.name in _OTHERS:
            return None
        raise


def _image_of(project: Project, path: Path, annotation: Annotation) -> Path:
    """The image an annotation is about; an embedded one is written into the project."""
    name = PurePosixPath(annotation.image_path).name
    beside = sorted(p for p in path.parent.iterdir() if p.stem == path.stem and is_image_name(p.name))
    for candidate in (path.parent / annotation.image_path, path.parent / name, *beside):
        file = image_file(candidate)
        if is_image_name(file.name) and is_file(file):
            return Path(os.path.normpath(candidate))
    if annotation.image_data is None:
        raise AnnotationFileError(
            path, f"imagePath: {annotation.image_path} is not there; put the image beside it and import again"
        )
    try:
        content = base64.b64decode(annotation.image_data, validate=True)
    except binascii.Error as error:
        raise AnnotationFileError(
            path, f"imageData: is not base64 ({error}), and there is no image"
        ) from error
    try:
        Image.open(io.BytesIO(content)).close()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise AnnotationFileError(
            path, "imageData: is no image; put the image beside it and import again"
        ) from error
    return place(project.import_folder(), name if is_image_name(name) else f"{path.stem}.png", content)


def _add_classes(
    project: Project, source: Path, annotations: Iterable[Annotation], report: ImportReport
) -> None:
    used = dict.fromkeys(shape.label for annotation in annotations for shape in annotation.shapes)
    listed = listed_labels([source, *(p.parent for p in files_below(source) if p.name == FILE_NAME)], used)
    # A project that has no classes of its own yet takes the whole list, as labelme's own tools would.
    of_its_own = any(c.index != project.classes.background for c in project.classes)
    wanted = [label for label in listed if label in used or not of_its_own]
    report.new_classes += [added.name for added in project.adopt_labels([*wanted, *used])]


def export_from(project: Project, out: Path, *, with_images: bool = False) -> ExportReport:
    """Write `<stem>.json` for every image that has labels, flat; equal stems get a number.

    Args:
        project: what to export.
        out: the folder.
        with_images: copy the images too; else each JSON points back to its image where it is.
    """
    report = ExportReport()
    folder = ExportFolder(project.layout, out, report)
    for entry, annotation in project.annotated():
        image = entry.image_path
        stem = folder.free_stem(image)
        if with_images:
            if image_file(image) != image:  # one page of a file: other programs show the first alone
                image_path, content = f"{stem}.png", _png(image)
            else:
                image_path, content = f"{stem}{image.suffix}", image.read_bytes()
            folder.write(image_path, content)
        else:
            image_path = _path_from(out, image)
        folder.write(f"{stem}.json", dumps(replace(annotation, image_path=image_path)))
    report.problems += project.problems
    return report


def _png(image: Path) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(read_image(image)).save(buffer, "PNG")
    return buffer.getvalue()


def _path_from(out: Path, image: Path) -> str:
    try:
        return Path(os.path.relpath(image.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive on Windows: no relative path exists
        return image.resolve().as_posix()
