"""The bundled sample project, copied to where it can be written."""

from __future__ import annotations

import shutil
import stat
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
        StorageError: the folder exists already, or cannot be written.
    """
    try:
        # Contents only: an installed program may be read-only, and its permissions would come along.
        shutil.copytree(sample_folder(), destination, copy_function=shutil.copyfile)
        for folder in (destination, *(path for path in destination.rglob("*") if path.is_dir())):
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
        return destination
    except FileExistsError as error:
        raise StorageError(destination, "exists already; choose another folder for the sample") from error
    except OSError as error:
        raise StorageError.from_os_error(destination, error) from error
