"""Bringing image files into a project without ever overwriting one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from core.errors import FileProblem, ImageFileError, StorageError
from core.files import file_digest
from core.images.reader import IMAGE_SUFFIXES, image_size
from core.project.project import ImageEntry, Project


def image_files(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def bring_images(
    project: Project, sources: Iterable[Path], problems: list[FileProblem]
) -> dict[Path, ImageEntry]:
    """Make each image part of the project and say as which entry.

    An image that lies in the project already stays where it is. Any other is copied into the project's first
    image folder; a name that is taken by other content gets a number, the same content is not copied again.
    Broken images are added to `problems` and left out.
    """
    known = {entry.image_path.resolve(): entry for entry in project.images()}
    targets: dict[Path, Path] = {}
    for source in sources:
        try:
            image_size(source)
        except ImageFileError as error:
            problems.append(error)
            continue
        inside = source.resolve() in known
        targets[source] = source.resolve() if inside else _copied(source, project.import_folder())
    project.rescan()
    known = {entry.image_path.resolve(): entry for entry in project.images()}
    return {source: known[target.resolve()] for source, target in targets.items()}


def _copied(source: Path, folder: Path) -> Path:
    """Where the image now is in `folder`, copying it unless the same content is there under its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / source.name
        number = 2
        while target.exists():
            if file_digest(target) == file_digest(source):
                return target
            target = folder / f"{source.stem}_{number}{source.suffix}"
            number += 1
        shutil.copyfile(source, target)
    except OSError as error:
        raise StorageError.from_os_error(folder / source.name, error) from error
    return target
