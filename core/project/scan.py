"""Finding a project's images, and giving each its annotation and mask file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from core.errors import AnnotationFileError, FileProblem
from core.files import carry_on, is_file
from core.images.pages import image_file
from core.project.annotation_files import Glance, Glances, customary, pair, stamp_of
from core.project.export_manifest import ExportManifest
from core.project.image_folders import ImageFolder, image_folders, nameable
from core.project.layout import PROJECT_FILE, ProjectLayout
from core.project.mask_file import is_own_mask
from core.project.schema import SLOTS_KEY, ProjectFile

_DIGITS: Final = re.compile(r"(\d+)")

MOST_ANNOTATION_BYTES: Final = 32 * 2**20
"""A JSON that belongs to no image is looked into up to this size: data sets of other programs are larger."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image of a project and the files that go with it.

    Attributes:
        key: the image's path as the project names it, with `/`: "images/a.png", "../elsewhere/b.jpg"; further
            pages of a TIFF are "images/c.tif#2", "images/c.tif#3", ...
        image_path: its file; of a further page the file's path and `#2`, which `core.images` understands.
        annotation_path: where its labelme JSON is, or will be.
        mask_path: where its index mask is, or will be.
        source_path: a labelme JSON in a folder that is not ours to write to, read as long as there is nothing
            at `annotation_path`.
    """

    key: str
    image_path: Path
    annotation_path: Path
    mask_path: Path
    source_path: Path | None = None


@dataclass(frozen=True, slots=True)
class ScanChange:
    """Keys of the images that appeared and vanished since the scan before."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def scan(
    layout: ProjectLayout,
    file: ProjectFile,
    glances: Glances,
    exports: ExportManifest,
    before: Mapping[str, ImageEntry],
    problems: list[FileProblem],
    check: Callable[[], None] = carry_on,
) -> dict[str, ImageEntry]:
    """All images of the project by key, in natural order ("2" before "10").

    What `exports` says was written by an export or a prediction, and is as it was left, is passed over. Roots
    that are missing and annotations whose image has vanished are added to `problems`. `file` has a slot for
    each root outside the project. `before` is the last scan's result: where files on disk do not decide, an
    image keeps the annotation file it had. `check` is called before each look at a folder or a file; it may
    raise to end the scan.
    """
    entries: list[ImageEntry] = []
    folders = list(image_folders(layout, file, exports, problems, check))
    for folder in folders:
        entries += _entries(layout, nameable(folder, problems), glances, before, check)
    problems += _left_over(layout, folders, entries, glances, check)
    problems += _given_up(layout, file)
    entries.sort(key=lambda entry: natural_order(entry.key))
    return {entry.key: entry for entry in entries}


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """A sort key by which "2" comes before "10"."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part.casefold()) for part in _DIGITS.split(text)
    ]


# --- entries ----------------------------------------------------------------------------------------------


def _entries(
    layout: ProjectLayout,
    folder: ImageFolder,
    glances: Glances,
    before: Mapping[str, ImageEntry],
    check: Callable[[], None],
) -> Iterator[ImageEntry]:
    if not folder.images:
        return
    elsewhere = layout.annotations / folder.slot
    # An image `project.png` in the root must not take project.json for its annotation.
    reserved = {PROJECT_FILE} if folder.path == layout.root else frozenset()
    beside = _paired(folder, folder.path, folder.annotations, glances, before, check, reserved)
    kept = _json_names(elsewhere)
    away = _paired(folder, elsewhere, kept, glances, before, check) if kept or not folder.ours else {}
    for image in folder.images:
        key = f"{folder.key}/{image}" if folder.key else image
        there = folder.path / beside[image]
        source = None
        if folder.ours and (beside[image] in folder.annotations or away.get(image) not in kept):
            path = there
        else:
            path = elsewhere / away[image]
            if away[image] not in kept and beside[image] in folder.annotations:
                source = there
        old = before.get(key)
        mask = (
            old.mask_path
            if old is not None and old.annotation_path == path
            else _mask_path(layout, folder, path.name)
        )
        yield ImageEntry(key, folder.path / image, path, mask, source)


def _left_over(
    layout: ProjectLayout,
    folders: Sequence[ImageFolder],
    entries: Sequence[ImageEntry],
    glances: Glances,
    check: Callable[[], None],
) -> Iterator[FileProblem]:
    """Annotations that no image has: theirs has vanished, lies elsewhere, or is not the one beside them."""
    in_use = {path for entry in entries for path in (entry.annotation_path, entry.source_path)}
    images: dict[Path, ImageEntry] = {}
    for folder in (*folders, _folder_of_annotations(layout)):
        beside: dict[str, Path] = {}
        elsewhere: list[str] = []
        embedded: list[str] = []
        for name in sorted(folder.annotations):
            path = folder.path / name
            if path in in_use:
                continue
            check()
            glance = _glance_of_labels(path, glances)
            bare = glance is not None and _names_no_file(path, glance)
            if glance is not None and bare and glance.embedded:
                embedded.append(name)
            elif bare or is_own_mask(_mask_path(layout, folder, name)):
                yield AnnotationFileError(
                    path, "its image is not there any more; bring it back, or move this file away as well"
                )
            elif glance is not None:
                images = images or {entry.image_path: entry for entry in entries}
                beside = beside or {
                    n: folder.path / image for image in folder.images for n in customary(image)
                }
                entry = _bare_image(path, glance, beside.get(name), images, glances)
                if entry is not None and entry.image_path.parent == folder.path:
                    yield AnnotationFileError(
                        path,
                        f"imagePath: is {glance.image_path}, so these are no labels of "
                        f"{entry.image_path.name} beside it; write that there if they are",
                    )
                elif entry is not None:
                    elsewhere.append(f"{name} of {entry.key}")
        if embedded:
            what = "has annotations with their images inside, which are not shown"
            yield _to_import(layout, folder, what, embedded, "write the images out")
        if elsewhere:
            what = "has annotations of images in other folders, which are not read"
            yield _to_import(layout, folder, what, elsewhere, "bring them in")


def _to_import(
    layout: ProjectLayout, folder: ImageFolder, what: str, found: Sequence[str], way: str
) -> FileProblem:
    """What a folder has that only an import brings into the project, by its first example."""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    command = f'maskloop import "{layout.root}" "{folder.path}" --format labelme'
    return AnnotationFileError(folder.path, f"{what} ({found[0]}{more}); {way} with: {command}")


def _given_up(layout: ProjectLayout, file: ProjectFile) -> Iterator[FileProblem]:
    """Labels of roots that the project has no more."""
    for spec, slot in file.slots.items():
        folder = layout.annotations / slot
        if spec not in file.image_roots and folder.is_dir():
            yield AnnotationFileError(
                folder,
                f"has labels of images in {spec}, which is no image root any more; if these have moved, "
                f"write their new place in image_roots and {SLOTS_KEY} of {PROJECT_FILE}, else move this "
                "folder away as well",
            )


def _folder_of_annotations(layout: ProjectLayout) -> ImageFolder:
    """The project's own, into which labelme may have been told to write."""
    path = layout.annotations
    slot = PurePosixPath(path.name)
    return ImageFolder(
        path, path.name, slot, inside=True, images=(), annotations=_json_names(path), ours=True
    )


def _glance_of_labels(path: Path, glances: Glances) -> Glance | None:
    """What is in a JSON file that is labelme's and has shapes; None for any other."""
    stamp = stamp_of(path)
    if stamp is None or stamp[1] > MOST_ANNOTATION_BYTES:
        return None
    glance = glances.at(path)
    return glance if glance is not None and glance.labels and glance.image_path else None


def _names_no_file(path: Path, glance: Glance) -> bool:
    """Whether the image that an annotation names is neither there nor beside it."""
    named = PurePosixPath(str(glance.image_path))
    return not any(is_file(image_file(place)) for place in (path.parent / named, path.parent / named.name))


def _bare_image(
    path: Path,
    glance: Glance,
    beside: Path | None,
    images: Mapping[Path, ImageEntry],
    glances: Glances,
) -> ImageEntry | None:
    """The image without labels that an annotation is of, or seems to be: the one it names, or `beside` it."""
    named = Path(os.path.normpath(path.parent / str(glance.image_path)))
    for place in (named, beside):
        entry = None if place is None else images.get(place)
        if entry is None or path.name not in customary(entry.image_path.name):
            continue
        if entry.source_path is None and glances.at(entry.annotation_path) is None:
            return entry
    return None


def _paired(
    folder: ImageFolder,
    annotations_in: Path,
    names: Sequence[str],
    glances: Glances,
    before: Mapping[str, ImageEntry],
    check: Callable[[], None],
    reserved: Collection[str] = (),
) -> dict[str, str]:
    # Only files that could be some image's: a folder may hold JSON of other kinds, in any number and size.
    stems = {PurePosixPath(image).stem for image in folder.images} | set(folder.images)
    found: dict[str, Glance] = {}
    for name in names:
        if name.removesuffix(".json") in stems and name not in reserved:
            check()
            glance = glances.at(annotations_in / name)
            if glance is not None:
                found[name] = glance
    earlier: dict[str, str] = {}
    for image in folder.images:
        old = before.get(f"{folder.key}/{image}" if folder.key else image)
        if old is not None and old.annotation_path.parent == annotations_in:
            earlier[image] = old.annotation_path.name
    return pair(
        annotations_in,
        folder.images,
        found,
        before=earlier,
        images_in=folder.path,
        reserved=reserved,
        check=check,
    )


def _json_names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(path.name for path in folder.iterdir() if path.name.endswith(".json"))
    except OSError:
        return ()


def _mask_path(layout: ProjectLayout, folder: ImageFolder, annotation_name: str) -> Path:
    """`masks/<same path>.png`, or a name beside it where somebody else's file has that one."""
    stem = annotation_name.removesuffix(".json")
    slot = folder.slot
    if not folder.inside and (layout.root / slot.parts[0]).is_dir():
        slot = PurePosixPath(f"{slot.parts[0]}.outside", *slot.parts[1:])
    path = layout.masks / slot / f"{stem}.png"
    if path.exists() and not is_own_mask(path):
        return path.with_name(f"{stem}.maskloop.png")
    return path
