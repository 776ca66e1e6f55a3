"""One image's annotation file: read with its digest, written only over what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation
from core.errors import AnnotationFileError, ForeignChangeError, StorageError
from core.files import digest, file_digest, write_atomic
from core.images.reader import image_size
from core.project.annotation_files import Glance, belongs_to_another
from core.project.class_edits import ClassEdit
from core.project.opening import relative_to_project
from core.project.scan import ImageEntry
from core.project.transaction import Replacement


@dataclass(frozen=True, slots=True)
class Loaded:
    """An annotation as read, and the digest of its file (None: there is no file yet)."""

    annotation: Annotation
    digest: str | None


def load_annotation(entry: ImageEntry) -> Loaded:
    """Read an image's annotation; an image without one gets an empty one.

    Raises:
        AnnotationFileError: the file is broken, of another image, or of an image of another size.
        ImageFileError: the image is missing or broken.
    """
    size_hw = image_size(entry.image_path)
    path, data = _annotation_bytes(entry)
    if data is None:
        return Loaded(Annotation(image_path=_image_path_for(entry), size_hw=size_hw), None)
    annotation = loads(data, path)
    if belongs_to_another(annotation.image_path, path.parent, entry.image_path):  # new since the last scan
        raise AnnotationFileError(
            path, f"imagePath: is {annotation.image_path}, another image than {entry.image_path.name}"
        )
    require_size(entry, annotation.size_hw, size_hw, path)
    annotation = replace(annotation, size_hw=size_hw)
    if path != entry.annotation_path:
        return Loaded(replace(annotation, image_path=_image_path_for(entry)), None)
    return Loaded(annotation, digest(data))


def require_size(
    entry: ImageEntry,
    annotated_hw: tuple[int, int] | None,
    size_hw: tuple[int, int],
    path: Path | None = None,
) -> None:
    """Refuse an annotation made for an image of another size.

    Args:
        entry: the image.
        annotated_hw: height and width as its annotation has them; None if it does not say.
        size_hw: the image's own.
        path: the annotation file, if it is not the entry's.

    Raises:
        AnnotationFileError: they differ.
    """
    if annotated_hw not in (None, size_hw):
        height, width = annotated_hw or (0, 0)
        raise AnnotationFileError(
            path or entry.annotation_path,
            f"imageWidth and imageHeight are {width} x {height}, but {entry.image_path.name} has "
            f"{size_hw[1]} x {size_hw[0]} pixels; put the right image or the right JSON in place",
        )


def save_annotation(
    entry: ImageEntry,
    annotation: Annotation,
    expected_digest: str | None,
    *,
    force: bool,
    announce: Callable[[str], None] | None = None,
) -> str:
    """Write an image's annotation if its file still has the expected digest, or with `force` in any case.

    A size or image path that is missing or wrong is filled in. `announce` is told the new digest just before
    the file is replaced.

    Returns:
        The file's new digest.

    Raises:
        ForeignChangeError: another program wrote the file meanwhile.
        StorageError: it cannot be written; what was there is untouched.
    """
    path = entry.annotation_path
    data = dumps(_fitting(annotation, entry))
    new = digest(data)
    current = file_digest(path)
    if current == new:
        return current
    if not force:
        _require_unchanged(path, current, expected_digest)
    if announce is not None:
        announce(new)
    write_atomic(path, data)
    return new


def remove_annotation(entry: ImageEntry, expected_digest: str | None) -> None:
    """Delete an image's annotation file if it still has the expected digest; no file is no error.

    Raises:
        ForeignChangeError: another program wrote the file meanwhile.
        StorageError: it cannot be deleted.
    """
    path = entry.annotation_path
    current = file_digest(path)
    if current is None:
        return
    _require_unchanged(path, current, expected_digest)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError.from_os_error(path, error) from error


def _require_unchanged(path: Path, current: str | None, expected: str | None) -> None:
    if current != expected:
        what = "was removed" if current is None else "was changed"
        raise ForeignChangeError(path, f"{what} by another program; read it again, keep yours, or keep both")


def rewritten(entry: ImageEntry, edit: ClassEdit, glance: Glance | None) -> Replacement | None:
    """What replaces an image's annotation file in a change of classes; None if that does not touch it.

    Raises:
        AnnotationFileError: the file is broken and may hold a label that changes.
    """
    if glance is None or (glance.problem is None and not edit.labels & glance.labels.keys()):
        return None
    path, data = _annotation_bytes(entry)
    if data is None:
        return None
    if glance.problem is not None:
        # Nobody can tell which shapes it has, unless the label does not occur in it at all.
        if not any(form in data for label in edit.labels for form in _written(label)):
            return None
        raise glance.problem
    content = dumps(_fitting(edit.applied(loads(data, path)), entry))
    return Replacement(content, digest(data) if path == entry.annotation_path else None)


def _written(label: str) -> set[bytes]:
    """How a JSON file may have a label: as it is, or as labelme escapes it."""
    return {json.dumps(label, ensure_ascii=ascii)[1:-1].encode() for ascii in (False, True)}


def _annotation_bytes(entry: ImageEntry) -> tuple[Path, bytes | None]:
    """Where an image's annotation is read from, and its content; None if there is none."""
    for path in (entry.annotation_path, entry.source_path):
        if path is None:
            continue
        try:
            return path, path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise AnnotationFileError(path, f"cannot be read ({error.strerror or error})") from error
    return entry.annotation_path, None


def _image_path_for(entry: ImageEntry) -> str:
    """The image as its annotation names it: relative to the JSON's folder."""
    return relative_to_project(entry.annotation_path.parent, entry.image_path)


def _fitting(annotation: Annotation, entry: ImageEntry) -> Annotation:
    """The annotation with a size, and with a path that leads to its image."""
    if annotation.size_hw is None:
        annotation = replace(annotation, size_hw=image_size(entry.image_path))
    try:
        leads_there = (entry.annotation_path.parent / annotation.image_path).samefile(entry.image_path)
    except (OSError, ValueError):
        leads_there = False
    return annotation if leads_there else replace(annotation, image_path=_image_path_for(entry))
