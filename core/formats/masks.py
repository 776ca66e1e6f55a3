"""Index masks: a PNG for each image whose pixel values are class indices, 255 where nothing is known.

What import takes, SRC being the folder it is given:

- masks: everything in `SRC/masks/` if there is such a folder, else in SRC itself, subfolders too;
- images: those in `SRC/images/`, copied into the project, if there is such a folder; else the project's own;
- a mask belongs to the image of the same stem (`a.png` to `a.jpg`, `stack#2.png` to the second page of
  `stack.tif`), in the same subfolder where several have it; `a_mask.png` and the like belong to `a` where no
  image is called so;
- classes: the project's. A project that has none of its own yet gets a class for every index; names come from
  a `classes.json` beside the masks (as export writes it) or from the project they lie in, and then indices
  are translated by name.

The masks become shapes that draw exactly the same pixels, on images that are done, with `__ignore__` shapes
where the mask has 255.
"""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.annotation.vectorize import vectorize
from core.errors import FileProblem, MaskFileError
from core.formats.export_folder import ExportFolder
from core.formats.intake import bring_images, images_below
from core.formats.mask_classes import TABLE_NAME, class_table, meaning_of_values, translated
from core.formats.report import ExportReport, ImportReport
from core.images.pages import image_file, image_stem, page_names
from core.images.reader import image_size
from core.project.mask_file import encode_index_mask, is_own_mask, read_index_mask
from core.project.project import ImageEntry, Project

_SUFFIXES: Final = ("_mask", "-mask", "_masks", "_label", "_labels", "_seg", "_gt", "_L")


def import_into(project: Project, source: Path) -> ImportReport:
    """Bring masks into the project; see the module for the folders it understands.

    Every mask is read and checked before anything is written; what is wrong with one is reported, and the
    others come in. An image that has labels already keeps them and is reported, unless they draw the mask.
    """
    report = ImportReport()
    source = source.resolve()
    folder = source / "masks" if (source / "masks").is_dir() else source
    images = source / "images"
    pictures = {entry.image_path for entry in project.images()}
    masks = [
        path
        for path in images_below(folder)
        if path not in pictures and not path.is_relative_to(images) and not _is_derived(project, path)
    ]
    if not masks:
        if folder != project.layout.masks:  # importing a project onto itself: nothing to do
            report.problems.append(MaskFileError(source, "there is no mask here, no PNG of class indices"))
        return report
    copies = images.is_dir() and not _are_own(project, images)
    choices = _by_path(images) if copies else {entry.image_path: entry.key for entry in project.images()}
    matched = _matched(folder, masks, choices, report.problems)
    used = _values(matched, report.problems)
    meaning = meaning_of_values(project, folder, set().union(*used.values()), report)
    if set().union(*used.values()) == {0, UNLABELLED}:
        report.problems.append(
            MaskFileError(
                folder,
                "has masks of 0 and 255 only, and 255 means unlabelled; if it is a class, save it as 1",
            )
        )
    if copies:
        refused = {image for mask, image in matched.items() if mask not in used}
        wanted = [image for image in choices if image not in refused]
        brought = bring_images(project, images, wanted, report.problems)
    else:
        brought = {entry.image_path: entry for entry in project.images()}
    for mask_path, image in matched.items():
        if mask_path not in used or image not in brought:
            continue
        try:
            mask = translated(mask_path, read_index_mask(mask_path), meaning, project.classes)
            _import_one(project, brought[image], mask_path, mask, report)
        except FileProblem as problem:
            report.problems.append(problem)
    return report


def _are_own(project: Project, images: Path) -> bool:
    """Whether the images of a folder are the project's already."""
    return any(entry.image_path.is_relative_to(images) for entry in project.images())


def _is_derived(project: Project, path: Path) -> bool:
    """Whether a mask is one this project derived from its own annotations."""
    return path.is_relative_to(project.layout.masks) and is_own_mask(path)


def _by_path(images: Path) -> dict[Path, str]:
    pages = (path.with_name(name) for path in images_below(images) for name in page_names(path))
    return {page: page.relative_to(images).as_posix() for page in pages}


def _matched(
    folder: Path, masks: Sequence[Path], choices: Mapping[Path, str], problems: list[FileProblem]
) -> dict[Path, Path]:
    """For each mask its image, out of `choices` (path -> name with subfolders)."""
    by_stem: dict[str, list[Path]] = {}
    for image in choices:
        by_stem.setdefault(image_stem(image), []).append(image)
        by_stem.setdefault(image.name, []).append(image)  # masks/a.jpg.png, for the second image of a stem
    called = {mask.stem for mask in masks}
    matched: dict[Path, Path] = {}
    taken: set[Path] = set()
    for mask in masks:
        found = by_stem.get(mask.stem) or _without_suffix(mask.stem, by_stem)
        if len(found) > 1:  # what has a mask of its whole name has no other
            found = [image for image in found if image.name == mask.stem or image.name not in called] or found
        if len(found) > 1:
            relative = mask.relative_to(folder).with_suffix("")
            found = [image for image in found if _ends_with(choices[image], relative.as_posix())] or found
        if not found:
            problem = "no image has this mask's stem; put the image beside it and import again"
        elif len(found) > 1:
            names = ", ".join(choices[image] for image in found[:3])
            problem = (
                f"belongs to more than one image ({names}); name the mask after one of them, with suffix"
            )
        elif _is_the_image(mask, found[0]):
            continue
        elif found[0] in taken:
            problem = f"{choices[found[0]]} has another mask here already; only the first was taken"
        else:
            matched[mask] = found[0]
            taken.add(found[0])
            continue
        problems.append(MaskFileError(mask, problem))
    return matched


def _is_the_image(mask: Path, image: Path) -> bool:
    """Whether what could be a mask is a copy of its image, lying beside the mask."""
    try:
        return filecmp.cmp(mask, image_file(image), shallow=False)
    except OSError:
        return False  # reading it says why


def _without_suffix(stem: str, by_stem: Mapping[str, list[Path]]) -> list[Path]:
    shorter = (stem.removesuffix(suffix) for suffix in _SUFFIXES if stem.endswith(suffix))
    return next((by_stem[name] for name in shorter if name in by_stem), [])


def _ends_with(key: str, relative: str) -> bool:
    image = PurePosixPath(key)
    stem = image.with_name(image_stem(image)).as_posix()
    return stem == relative or stem.endswith(f"/{relative}")


def _values(matched: Mapping[Path, Path], problems: list[FileProblem]) -> dict[Path, set[int]]:
    """The values in each mask that can be read and has its image's size; the others are reported."""
    values: dict[Path, set[int]] = {}
    for mask, image in matched.items():
        try:
            pixels = read_index_mask(mask, size_hw=image_size(image))
            values[mask] = set(np.flatnonzero(np.bincount(pixels.ravel(), minlength=256)).tolist())
        except FileProblem as problem:
            problems.append(problem)
    return values


def _import_one(
    project: Project, entry: ImageEntry, mask_path: Path, mask: NDArray[np.uint8], report: ImportReport
) -> None:
    loaded = project.load(entry)
    before = loaded.annotation
    if before.shapes or before.state is AnnotationState.DONE:
        if not np.array_equal(project.render_mask(entry, before), mask):
            raise MaskFileError(
                mask_path, f"{entry.key} has labels already; they were kept and the mask was left out"
            )
        return
    annotation = replace(
        before, shapes=vectorize(mask, project.classes, ignore=True), state=AnnotationState.DONE
    )
    project.save(entry, annotation, loaded.digest)
    project.write_mask(entry, mask)
    report.images += 1
    report.shapes += len(annotation.shapes)


def export_from(project: Project, out: Path) -> ExportReport:
    """Write `<stem>.png` for every labelled image, flat, and `classes.json`; equal stems get a number."""
    report = ExportReport()
    folder = ExportFolder(project.layout, out, report)
    for labelled in project.labelled():
        name = f"{folder.free_stem(labelled.entry.image_path)}.png"
        folder.write(name, encode_index_mask(labelled.mask, project.classes))
    if report.files:
        folder.write(TABLE_NAME, class_table(project.classes))
    report.problems += project.problems
    return report
