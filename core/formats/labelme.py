"""labelme folders: a JSON beside each image.

Import copies images and annotations into the project and overwrites nothing; a folder that belongs to the
project already is left as it is. Export writes the project's annotations as labelme files of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import BACKGROUND_LABEL, IGNORE_LABEL, Annotation
from core.errors import AnnotationFileError, FileProblem, StorageError
from core.files import write_atomic
from core.formats.intake import bring_images, image_files
from core.formats.report import ExportReport, ImportReport
from core.project.project import Project


def import_into(project: Project, source: Path) -> ImportReport:
    """Bring a labelme folder (images and JSON files side by side, subfolders too) into the project.

    Labels that are no class yet become classes, in the order of `labels.txt` where there is one, else as they
    are first met. An image that has labels in the project already keeps them and is reported.
    """
    report = ImportReport()
    found = _annotated(source, report.problems)
    if not found and not report.problems:
        report.problems.append(AnnotationFileError(source, "there is no labelme JSON in this folder"))
    entries = bring_images(project, [image for _, image, _ in found], report.problems)
    _add_classes(project, source, [annotation for _, _, annotation in found], report)
    for json_path, image, annotation in found:
        entry = entries.get(image)
        if entry is None or json_path.resolve() == entry.annotation_path.resolve():
            continue
        try:
            loaded = project.load(entry)
            if loaded.annotation.shapes or loaded.digest is not None:
                raise AnnotationFileError(json_path, f"{entry.key} has labels already; they were kept")
            path = Path(os.path.relpath(entry.image_path, entry.annotation_path.parent)).as_posix()
            moved = replace(annotation, image_path=path)
            project.save(entry, moved, loaded.digest)
            project.write_mask(entry, project.render_mask(entry, moved))
        except FileProblem as problem:
            report.problems.append(problem)
            continue
        report.images += 1
        report.shapes += len(annotation.shapes)
    return report


def _annotated(source: Path, problems: list[FileProblem]) -> list[tuple[Path, Path, Annotation]]:
    """Every labelme JSON below `source` with its image."""
    found = []
    for path in sorted(source.rglob("*.json")):
        if path.name in ("project.json", "classes.json"):
            continue
        try:
            annotation = loads(path.read_bytes(), path)
            found.append((path, _image_of(path, annotation), annotation))
        except FileProblem as problem:
            problems.append(problem)
        except OSError as error:
            problems.append(AnnotationFileError(path, f"cannot be read ({error.strerror or error})"))
    return found


def _image_of(path: Path, annotation: Annotation) -> Path:
    """The image an annotation is about: as its path says, or beside it under the name or stem."""
    name = PureWindowsPath(annotation.image_path).name  # understands both kinds of slash
    beside = [p for p in image_files(path.parent) if p.stem == path.stem]
    as_written = path.parent / PurePosixPath(annotation.image_path.replace("\\", "/"))
    for candidate in (as_written, path.parent / name, *beside):
        if candidate.is_file():
            return candidate
    raise AnnotationFileError(
        path, f"imagePath: {annotation.image_path} is not there; put the image beside it"
    )


def _add_classes(
    project: Project, source: Path, annotations: Iterable[Annotation], report: ImportReport
) -> None:
    listed: list[str] = []
    labels_file = next(
        (p for p in (source / "labels.txt", source.parent / "labels.txt") if p.is_file()), None
    )
    if labels_file is not None:
        lines = labels_file.read_text(encoding="utf-8", errors="replace").splitlines()
        listed = [line.strip() for line in lines]
    used = dict.fromkeys(shape.label for annotation in annotations for shape in annotation.shapes)
    wanted = [label for label in listed if label in used] + [label for label in used if label not in listed]
    for label in wanted:
        if label not in (BACKGROUND_LABEL, IGNORE_LABEL) and project.classes.by_name(label) is None:
            project.add_class(label)
            report.new_classes.append(label)


def export_from(project: Project, out: Path) -> ExportReport:
    """Write `<stem>.json` for every image that has labels, flat; the JSON points back to the image."""
    report = ExportReport()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.from_os_error(out, error) from error
    taken: set[str] = set()
    for labelled in project.labelled():
        stem = labelled.entry.image_path.stem
        name, number = stem, 2
        while name.lower() in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name.lower())
        image = Path(os.path.relpath(labelled.entry.image_path.resolve(), out.resolve())).as_posix()
        target = out / f"{name}.json"
        write_atomic(target, dumps(replace(labelled.annotation, image_path=image)))
        report.files.append(target)
    report.problems += project.problems
    return report
