"""Replacing many files whole or not at all, even when the program is killed in between.

1. Every new content is written to a temporary file beside its target, durably. A failure here removes them.
2. The journal is written: from here on the change counts as made.
3. The temporaries are renamed over their targets, each of which must still be as it was read. A failure here
   puts the old contents back.
4. The journal is removed.

A program that dies in step 3 leaves the journal; `recover` then finishes the renaming. The journal's paths
are relative to the project where they can be: its folder may be moved before that.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import ForeignChangeError, StorageError
from core.files import digest, file_digest, replace_file, write_atomic, write_temporary
from core.project.beside import name_beside
from core.project.layout import ProjectLayout


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a file is to become.

    Attributes:
        content: its new bytes.
        read: digest of the file that they were made from; None where there was no file.
    """

    content: bytes
    read: str | None


class _Line(NamedTuple):
    """One file in the journal; earlier versions wrote absolute paths and no digest."""

    temporary: str
    target: str
    read: str | msgspec.UnsetType | None = msgspec.UNSET


def replace_all(replacements: Mapping[Path, Replacement], layout: ProjectLayout) -> None:
    """Give every file its new content, or leave all as they were; a link goes on pointing at its file.

    Raises:
        ForeignChangeError: another program changed a file since it was read; no file of ours has changed.
        StorageError: a file cannot be written; nothing has changed.
    """
    temporaries: dict[Path, Path] = {}
    target = layout.journal
    by_target = {path.resolve(): replacement for path, replacement in replacements.items()}
    try:
        for target, replacement in by_target.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporaries[target] = write_temporary(target, replacement.content)
        target = layout.journal
        lines = [
            _Line(_spoken(temporary, layout.root), _spoken(path, layout.root), by_target[path].read)
            for path, temporary in temporaries.items()
        ]
        write_atomic(layout.journal, json.dumps(lines).encode())
    except BaseException as error:
        _remove(temporaries.values())
        if isinstance(error, OSError):
            raise StorageError.from_os_error(target, error) from error
        raise
    try:
        _put_in_place(by_target, temporaries)
    finally:
        with contextlib.suppress(OSError):
            layout.journal.unlink(missing_ok=True)


def recover(layout: ProjectLayout) -> list[str]:
    """Finish a replacement that was cut short; what to tell the person about it.

    A file that another program changed since then stays as it is, and its replacement is kept beside it.

    Raises:
        StorageError: a file cannot be put in place; the journal stays for another try.
    """
    try:
        lines = msgspec.convert(json.loads(layout.journal.read_bytes()), list[_Line])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise StorageError(layout.journal, f"cannot be read ({error}); move it away to go on") from error
    notes: list[str] = []
    finished = 0
    for line in lines:
        temporary, target = layout.root / line.temporary, layout.root / line.target
        if not temporary.exists():
            continue
        place = target
        if line.read is not msgspec.UNSET and file_digest(target) != line.read:
            place = name_beside(target, "mine", ())
            notes.append(
                f"{target} was changed or removed by another program before a change of classes that was cut "
                f"short had come to it: that stays so, and what the change makes of it is in {place.name}."
            )
        try:
            replace_file(temporary, place)
        except OSError as error:
            raise StorageError.from_os_error(place, error) from error
        finished += 1
    layout.journal.unlink(missing_ok=True)
    return ["A change of classes that was cut short has been completed.", *notes] if finished else []


def _spoken(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _put_in_place(replacements: Mapping[Path, Replacement], temporaries: Mapping[Path, Path]) -> None:
    old: dict[Path, bytes | None] = {}
    target = Path()
    try:
        for target, temporary in temporaries.items():
            content = target.read_bytes() if target.exists() else None
            if (None if content is None else digest(content)) != replacements[target].read:
                raise ForeignChangeError(
                    target, "was changed by another program just now; nothing was changed, try again"
                )
            replace_file(temporary, target)
            old[target] = content
    except (OSError, ForeignChangeError) as error:
        _remove(temporaries.values())
        for path, content in old.items():
            _put_back(path, content, replacements[path])
        if isinstance(error, OSError):
            raise StorageError.from_os_error(target, error) from error
        raise


def _put_back(path: Path, content: bytes | None, replacement: Replacement) -> None:
    if file_digest(path) != digest(replacement.content):
        return  # another program has written it since
    if content is None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    else:
        write_atomic(path, content)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
