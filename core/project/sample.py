"""The bundled sample project, copied to where it can be written."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import MaskloopError, StorageError


def sample_folder() -> Path:
    """The sample as it came with the program; read-only."""
    import resources

    folder = Path(next(iter(resources.__path__))) / "sample"
    if not (folder / "project.json").is_file():
        raise MaskloopError(f"{folder}: the sample project is missing; install the program again")
    return folder


def copy_sample(destination: Path) -> Path:
    """Copy the sample project to a new folder and return it.

    Raises:
        StorageError: the folder exists already, or cannot be written; then nothing of the sample stays.
    """
    sample = sample_folder()
    try:
        destination.mkdir(parents=True)
    except FileExistsError as error:
        raise StorageError(destination, "exists already; choose another folder for the sample") from error
    except OSError as error:
        raise StorageError.from_os_error(destination, error) from error
    try:
        for source in sorted(sample.rglob("*")):
            target = destination / source.relative_to(sample)
            if source.is_dir():
                target.mkdir()
            else:  # contents only: an installed program may be read-only, and so would the copy be
                shutil.copyfile(source, target)
    except BaseException as error:
        shutil.rmtree(destination, ignore_errors=True)  # half a sample would pass for a whole one next time
        if isinstance(error, OSError):
            raise StorageError.from_os_error(destination, error) from error
        raise
    return destination
