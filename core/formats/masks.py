"""Index masks: a PNG a image whose pixel values are class indices, 255 where nothing is known.

Import takes a folder that holds `images/` and `masks/`, or a folder of masks alone for images the project
has already; mask and image belong together by their stem. The masks become polygons that draw exactly the
same pixels, on images that are done, with `__ignore__` shapes where the mask has 255.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.annotation.model import UNLABELLED, AnnotationState
from core.annotation.vectorize import vectorize
from core.errors import FileProblem, MaskFileError, StorageError
from core.files import write_atomic
from core.formats.intake import bring_images, image_files
from core.formats.report import ExportReport, ImportReport
from core.images.reader import image_size
from core.project.mask_file import encode_index_mask, read_index_mask
from core.project.project import ImageEntry, Project


def import_into(project: Project, source: Path) -> ImportReport:
    """Bring masks into the project; see the module for the folders it understands.

    Every mask is read and checked before its image is touched. An image that has labels already keeps them
    and is reported, unless they are the mask's own.
    """
    report = ImportReport()
    masks = {
        path.stem: path for path in image_files(source / "masks" if (source / "masks").is_dir() else source)
    }
    if not masks:
        report.problems.append(
            MaskFileError(source, "there is no mask here; a mask is a PNG of class indices")
        )
        return report
    for mask_path, entry in _matched(project, source, masks, report.problems):
        try:
            _import_one(project, entry, mask_path, report)
        except FileProblem as problem:
            report.problems.append(problem)
    return report


def _matched(
    project: Project, source: Path, masks: dict[str, Path], problems: list[FileProblem]
) -> list[tuple[Path, ImageEntry]]:
    """Masks with the project's entry of their image."""
    if (source / "images").is_dir():
        images = [path for path in image_files(source / "images") if path.stem in masks]
        sizes_fit = [path for path in images if _fits(project, path, masks[path.stem], problems)]
        entries = {path.stem: entry for path, entry in bring_images(project, sizes_fit, problems).items()}
        seen = {path.stem for path in images}
    else:
        entries = {entry.image_path.stem: entry for entry in project.images()}
        seen = set(entries)
    problems += [
        MaskFileError(path, "no image has this mask's stem; put the image beside it and import again")
        for stem, path in masks.items()
        if stem not in seen
    ]
    return [(masks[stem], entry) for stem, entry in entries.items() if stem in masks]


def _fits(project: Project, image: Path, mask: Path, problems: list[FileProblem]) -> bool:
    """Whether the mask may be imported, checked before its image is copied."""
    try:
        read_index_mask(mask, size_hw=image_size(image), classes=project.classes)
    except FileProblem as problem:
        problems.append(problem)
        return False
    return True


def _import_one(project: Project, entry: ImageEntry, mask_path: Path, report: ImportReport) -> None:
    size_hw = image_size(entry.image_path)
    mask = read_index_mask(mask_path, size_hw=size_hw, classes=project.classes)
    loaded = project.load(entry)
    before = loaded.annotation
    if before.shapes or before.state is AnnotationState.DONE:
        if not np.array_equal(project.render_mask(entry, before), mask):
            raise MaskFileError(
                mask_path, f"{entry.key} has labels already; they were kept and the mask left out"
            )
        return
    shapes = vectorize(mask, project.classes, ignore=True)
    background = project.classes.background
    if background is not None:  # a done image needs no shape for it: what is not drawn is background
        shapes = tuple(s for s in shapes if project.classes.mask_value(s.label) != background)
    annotation = replace(before, shapes=shapes, state=AnnotationState.DONE, size_hw=size_hw)
    if not np.array_equal(project.render_mask(entry, annotation), mask):
        # A hole inside a shape that another class fills: keep every shape, background included.
        annotation = replace(annotation, shapes=vectorize(mask, project.classes, ignore=True))
    project.save(entry, annotation, loaded.digest)
    project.write_mask(entry, mask)
    report.images += 1
    report.shapes += len(annotation.shapes)


def export_from(project: Project, out: Path) -> ExportReport:
    """Write `<stem>.png` for every labelled image, flat, and `classes.json`; equal stems get a number."""
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
        target = out / f"{name}.png"
        write_atomic(target, encode_index_mask(labelled.mask, project.classes))
        report.files.append(target)
    report.problems += project.problems
    if report.files:
        target = out / "classes.json"
        write_atomic(target, _class_table(project))
        report.files.append(target)
    return report


def _class_table(project: Project) -> bytes:
    table = {
        "classes": [{"index": c.index, "name": c.name, "color": c.color} for c in project.classes],
        "background": project.classes.background,
        "unlabelled": UNLABELLED,
    }
    return (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()
