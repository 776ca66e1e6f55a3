"""The folders that hold a project's images, and what lies in each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.errors import FileProblem, ImageFileError
from core.files import walk
from core.images.pages import page_names
from core.images.reader import IMAGE_SUFFIXES
from core.project.export_manifest import ExportManifest
from core.project.layout import PROJECT_FILE, ProjectLayout
from core.project.schema import ProjectFile


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """One folder with images.

    Attributes:
        key: the folder as the project names it; "" is the root.
        slot: its place under `masks/` and `annotations/`.
        inside: it lies in the project's folder.
        images: names of image files and of further pages in them. annotations: names of JSON files.
        ours: annotations may be written beside the images.
    """

    path: Path
    key: str
    slot: PurePosixPath
    inside: bool
    images: tuple[str, ...]
    annotations: tuple[str, ...]
    ours: bool


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def image_folders(
    layout: ProjectLayout,
    file: ProjectFile,
    exports: ExportManifest,
    problems: list[FileProblem],
    check: Callable[[], None],
) -> Iterator[ImageFolder]:
    """Every folder below the roots, with or without images; roots that are missing join `problems`.

    `check` is called before each look at a folder or an image; it may raise.
    """
    seen: set[str] = set()
    slots = file.slots
    root_is_writable = os.access(layout.root, os.W_OK)
    for spec in dict.fromkeys(file.image_roots):
        base = Path(os.path.normpath(layout.root / spec))
        if not base.is_dir():
            problems.append(
                ImageFileError(base, "this folder of images is not there; bring it back or remove it")
            )
            continue
        inside = base.is_relative_to(layout.root)
        walked = list(_walk(base, layout, seen, problems, check))
        exports.refresh()  # now: a file that was written meanwhile is noted since before it was there
        for path, names in walked:
            relative = path.relative_to(base)
            key = PurePosixPath(
                path.relative_to(layout.root).as_posix() if inside else f"{spec}/{relative.as_posix()}"
            )
            real = os.path.realpath(path)
            images = [n for n in names if is_image_name(n) and not exports.is_export(f"{real}{os.sep}{n}")]
            pages: list[str] = []
            for name in images:
                check()
                pages += page_names(path / name)
            yield ImageFolder(
                path=path,
                key="" if str(key) == "." else str(key),
                slot=key if inside else PurePosixPath(slots[spec], relative.as_posix()),
                inside=inside,
                images=tuple(pages),
                annotations=tuple(name for name in names if name.endswith(".json")),
                ours=inside and (not root_is_writable or os.access(path, os.W_OK)),
            )


def _walk(
    base: Path,
    layout: ProjectLayout,
    seen: set[str],
    problems: list[FileProblem],
    check: Callable[[], None],
) -> Iterator[tuple[Path, list[str]]]:
    """Every folder from `base` down with its file names; those in `seen` are left out, and join it.

    What a project writes (masks, runs, ...) is passed over, of one that lies in this one, too. Folders that
    cannot be read join `problems`.
    """

    def refused(error: OSError) -> None:
        reason = f"this folder cannot be looked into ({error.strerror or error})"
        problems.append(ImageFileError(error.filename or base, f"{reason}; change its permissions"))

    for path, folders, files in walk(base, seen, refused):
        check()
        is_project = path == layout.root or PROJECT_FILE in files
        skipped = ProjectLayout.SKIPPED if is_project else frozenset()
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in skipped)
        yield path, files


def nameable(folder: ImageFolder, problems: list[FileProblem]) -> ImageFolder:
    """The folder without images whose names are no text: JSON could not name them."""
    images = tuple(name for name in folder.images if _is_text(f"{folder.key}/{name}"))
    for name in set(folder.images) - set(images):
        readable = os.fsencode(folder.path / name).decode("utf-8", "replace")
        problems.append(ImageFileError(readable, "the file's name is not valid UTF-8; rename it"))
    return replace(folder, images=images)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
