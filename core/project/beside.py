"""Names and copies beside a file of the project that another program changed: neither version is lost."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from core.errors import StorageError
from core.files import write_atomic


def copy_beside(path: Path, image_stems: Collection[str]) -> Path | None:
    """Copy an annotation file to `<stem>.theirs-<n>.json`; see `name_beside`.

    Returns:
        The copy; None if there is no file.

    Raises:
        StorageError: it cannot be read or written.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(path, f"cannot be read ({error.strerror or error})") from error
    copy = name_beside(path, "theirs", image_stems)
    write_atomic(copy, data)
    return copy


def name_beside(path: Path, whose: str, image_stems: Collection[str]) -> Path:
    """`<stem>.<whose>-<n>.json` beside an annotation file: a name that nothing has and no image is given.

    Args:
        path: the annotation file.
        whose: "theirs" or "mine".
        image_stems: stems of the project's images: a file named after one would become its annotation.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        # Compared without case: on many disks two names that differ in case are one.
        taken = {PurePosixPath(file.name.casefold()).stem for file in path.parent.iterdir()}
    except OSError as error:
        raise StorageError(path, f"cannot be read ({error.strerror or error})") from error
    taken |= {stem.casefold() for stem in image_stems}
    number = 1
    while f"{path.stem}.{whose}-{number}".casefold() in taken:
        number += 1
    return path.with_name(f"{path.stem}.{whose}-{number}.json")
