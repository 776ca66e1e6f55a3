"""A folder as a person types it into a field."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from core.files import is_file


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedFolder:
    """What is meant, and what is there.

    Attributes:
        path: whole, with the home folder for ~.
        problem: a sentence on why it cannot be used; "" where it can.
        exists: it is there. filled: it holds something.
    """

    path: Path
    problem: str = ""
    exists: bool = False
    filled: bool = False


def typed_folder(text: str) -> TypedFolder | None:
    """Look at the folder that is meant; None where nothing is typed. One that can be made has no problem."""
    path = Path(text.strip())
    if not path.parts:
        return None
    with contextlib.suppress(RuntimeError):  # nobody of that name: it stays relative
        path = path.expanduser()
    if not path.is_absolute():
        start = Path().absolute().anchor
        return TypedFolder(path=path, problem=f"{path} could be anywhere: begin with {start} or ~.")
    try:
        with os.scandir(path) as inside:
            return TypedFolder(path=path, exists=True, filled=next(inside, None) is not None)
    except FileNotFoundError:
        return TypedFolder(path=path)
    except NotADirectoryError:
        taken = next((part for part in (path, *path.parents) if is_file(part)), path)
        return TypedFolder(path=path, problem=f"{taken} is a file; choose a folder.")
    except OSError as error:
        return TypedFolder(path=path, problem=f"{path}: {error.strerror}.")
