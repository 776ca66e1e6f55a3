"""Replacing many files whole or not at all, even when the program is killed in between.

1. Every new content is written to a temporary file beside its target, durably. A failure here removes them.
2. The journal is written: from here on the change counts as made.
3. The temporaries are renamed over their targets. A failure here puts the old contents back.
4. The journal is removed.

A program that dies in step 3 leaves the journal; `recover` then finishes the renaming.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import StorageError
from core.files import replace_file, write_atomic, write_temporary


def replace_all(contents: Mapping[Path, bytes], journal: Path) -> None:
    """Give every file its new content, or leave all as they were; a link goes on pointing at its file.

    Raises:
        StorageError: a file cannot be written; nothing has changed.
    """
    temporaries: dict[Path, Path] = {}
    target = journal
    try:
        for path, content in contents.items():
            target = path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            temporaries[target] = write_temporary(target, content)
        target = journal
        write_atomic(journal, json.dumps([[str(t), str(path)] for path, t in temporaries.items()]).encode())
    except BaseException as error:
        _remove(temporaries.values())
        if isinstance(error, OSError):
            raise StorageError.from_os_error(target, error) from error
        raise
    try:
        _put_in_place(temporaries)
    finally:
        with contextlib.suppress(OSError):
            journal.unlink(missing_ok=True)


def recover(journal: Path) -> int:
    """Finish a replacement that was cut short; the number of files put in place now.

    Raises:
        StorageError: a file cannot be put in place; the journal stays for another try.
    """
    try:
        pairs = [(Path(t), Path(target)) for t, target in json.loads(journal.read_bytes())]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(journal, f"cannot be read ({error}); move it away to go on") from error
    finished = 0
    for temporary, target in pairs:
        if temporary.exists():
            try:
                replace_file(temporary, target)
            except OSError as error:
                raise StorageError.from_os_error(target, error) from error
            finished += 1
    journal.unlink(missing_ok=True)
    return finished


def _put_in_place(temporaries: Mapping[Path, Path]) -> None:
    old: dict[Path, bytes | None] = {}
    target = Path()
    try:
        for target, temporary in temporaries.items():
            old[target] = target.read_bytes() if target.exists() else None
            replace_file(temporary, target)
    except OSError as error:
        _remove(temporaries.values())
        for path, content in old.items():
            _put_back(path, content)
        raise StorageError.from_os_error(target, error) from error


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    elif path.read_bytes() != content:
        write_atomic(path, content)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
