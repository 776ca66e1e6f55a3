"""Bringing image files into a project without ever overwriting one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from core.errors import FileProblem, ImageFileError, StorageError
from core.files import digest, file_digest, walk, write_atomic
from core.images.pages import page_of, split_page
from core.images.reader import image_size
from core.project.image_folders import is_image_name
from core.project.layout import PROJECT_FILE, ProjectLayout
from core.project.project import ImageEntry, Project
from core.project.scan import natural_order


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and its subfolders, in natural order.

    Links are followed. Hidden folders, and in a Maskloop project those that hold its runs, masks and exports,
    are passed over.
    """
    for top, folders, names in walk(folder):
        skipped = ProjectLayout.SKIPPED if PROJECT_FILE in names else frozenset()
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".") and name not in skipped), key=natural_order
        )
        for name in sorted(names, key=natural_order):
            if not name.startswith("."):
                yield top / name


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, in natural order."""
    return [path for path in files_below(folder) if is_image_name(path.name)]


def bring_images(
    project: Project, base: Path, sources: Iterable[Path], problems: list[FileProblem]
) -> dict[Path, ImageEntry]:
    """Make each image part of the project and say as which entry.

    An image that lies in the project already stays where it is. Any other is copied into the project's first
    image folder, in the subfolder it has below `base`; a name that is taken by other content gets a number,
    the same content is not copied again. Broken images, and those that scans of the project pass over, are
    added to `problems` and left out.
    """
    known = {entry.image_path.resolve() for entry in project.images()}
    copies: dict[Path, Path] = {}
    placed: dict[Path, Path] = {}
    for source in dict.fromkeys(sources):
        try:
            image_size(source)
            if source.resolve() in known:
                placed[source] = source
                continue
            file, page = split_page(source)
            if file not in copies:
                below = file.relative_to(base).parent if file.is_relative_to(base) else Path()
                copies[file] = place(_folder_for(project, below), file.name, _content(file))
            placed[source] = page_of(copies[file], page)
        except ImageFileError as problem:
            problems.append(problem)
    project.rescan()
    entries = {entry.image_path.resolve(): entry for entry in project.images()}
    brought: dict[Path, ImageEntry] = {}
    for source, path in placed.items():
        if (entry := entries.get(path.resolve())) is not None:
            brought[source] = entry
        elif (
            path.resolve() != source.resolve()
        ):  # else it lies in the project as something that is no image of it
            problems.append(ImageFileError(source, f"is at {path} now, where no images are looked for"))
    return brought


def _folder_for(project: Project, below: Path) -> Path:
    """Where images from a subfolder `below` of elsewhere go: not among what the project itself writes."""
    folder = project.import_folder()
    if folder == project.root and below.parts and below.parts[0].casefold() in ProjectLayout.SKIPPED:
        folder /= "images"
    return folder / below


def place(folder: Path, name: str, content: bytes) -> Path:
    """Write a file under its name, or a numbered one if another content has that; the path it has now.

    Raises:
        StorageError: it cannot be written.
    """
    wanted = Path(name)
    target = folder / name
    number = 2
    while (there := file_digest(target)) is not None:
        if there == digest(content):
            return target
        target = folder / f"{wanted.stem}_{number}{wanted.suffix}"
        number += 1
    write_atomic(target, content)
    return target


def _content(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise StorageError(source, f"cannot be read ({error.strerror or error})") from error
