"""Putting edits that a killed program had not saved into their annotation files.

The other half of `core.project.edit_journal`; called while a project is opened, by who holds its lock.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation, AnnotationState
from core.errors import AnnotationFileError, FileProblem, StorageError
from core.files import write_atomic
from core.project.annotation_store import load_annotation, save_annotation
from core.project.beside import name_beside
from core.project.edit_journal import SCHEMA, SUFFIX
from core.project.scan import ImageEntry

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Journal:
    """A journal as read: the image, the digest it starts from, its lines up to the first that is cut off."""

    key: str
    base: str | None
    lines: tuple[Record, ...]

    def missing_in(self, digest: str | None) -> list[Record] | None:
        """The edits that the annotation file of this digest lacks; None when it is another program's."""
        for line in reversed(self.lines):
            if "saving" in line and line["saving"] == digest:
                return [e for e in self.lines if "edit" in e and e["revision"] > line["revision"]]
        return [e for e in self.lines if "edit" in e] if digest == self.base else None

    def since_whole(self) -> list[Record] | None:
        """The edits from the last one that holds the whole annotation; None when none does."""
        places = [i for i, line in enumerate(self.lines) if line.get("edit") == "reset"]
        return [line for line in self.lines[places[-1] :] if "edit" in line] if places else None


def recover_edits(folder: Path, entries: Mapping[str, ImageEntry]) -> tuple[list[ImageEntry], list[str]]:
    """Complete the annotation files that lack edits of a program that was killed.

    A journal whose image is not there waits for it. Where another program changed the annotation file
    meanwhile, that file stays, and what can be told of the lost state is written beside it.

    Args:
        folder: where the journals are.
        entries: the project's images by key.

    Returns:
        The images whose masks are to be drawn again, and sentences for the person.
    """
    recovered: list[ImageEntry] = []
    completed: list[str] = []
    notes: list[str] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            journal = _read(path)
            if journal is None:  # killed before its first line was whole: nothing was noted
                _remove(path)
                continue
            entry = entries.get(journal.key)
            if entry is None:
                continue
            count, note = _complete(entry, journal, [e.image_path.stem for e in entries.values()])
            recovered.append(entry)
            if note:
                notes.append(note)
            if count:
                completed.append(f"{count} of {journal.key}")
            _remove(path)
        except FileProblem as problem:
            notes.append(f"Edits that were not saved wait for this: {problem}")
    if completed:
        notes.insert(0, f"The program ended before all edits were saved; recovered: {', '.join(completed)}.")
    return recovered, notes


class _Header(msgspec.Struct):
    schema: int
    image: str
    base: str | None


def _read(path: Path) -> _Journal | None:
    """The journal; None where not even the first line is whole. Raises FileProblem."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(path, f"cannot be read ({error.strerror or error})") from error
    first, end, rest = data.partition(b"\n")
    if not end:
        return None
    header: _Header | None = None
    with contextlib.suppress(msgspec.DecodeError):
        header = msgspec.json.decode(first, type=_Header)
    if header is None or header.schema != SCHEMA:
        raise AnnotationFileError(
            path, "is of another version of Maskloop, and stays as it is; open the project with that one"
        )
    return _Journal(header.image, header.base, tuple(_whole_lines(rest)))


def _whole_lines(data: bytes) -> Iterator[Record]:
    """Up to the first that is cut off, or that a power cut took the content of."""
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            return
        if not isinstance(record, dict) or not isinstance(record.get("revision"), int):
            return
        yield record


def _remove(path: Path) -> None:
    """It has nothing to say any more; where the disk refuses, it stays."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _complete(entry: ImageEntry, journal: _Journal, stems: Sequence[str]) -> tuple[int, str]:
    """Write the edits into the annotation file: how many, and a sentence where that was not possible."""
    loaded = load_annotation(entry)
    edits = journal.missing_in(loaded.digest)
    if edits is not None:
        if edits:
            annotation = _replayed(loaded.annotation, edits, entry.annotation_path)
            save_annotation(entry, annotation, loaded.digest, force=False)
        return len(edits), ""
    path = entry.annotation_path
    edits = journal.since_whole()
    if edits is None:
        return 0, (
            f"{path}: another program changed this file after Maskloop ended unexpectedly; the last edits "
            "made here could not be added to it."
        )
    annotation = _replayed(loaded.annotation, edits, path)
    beside = name_beside(path, "mine", stems)
    write_atomic(beside, dumps(annotation))
    return 0, f"{path}: another program changed this file; your edits were kept as {beside.name}."


def _replayed(annotation: Annotation, edits: Sequence[Record], path: Path) -> Annotation:
    """The annotation after these edits. Raises AnnotationFileError when they do not fit it."""
    shapes, state = list(annotation.shapes), annotation.state
    try:
        for edit in edits:
            content = loads(json.dumps(edit["file"]).encode(), path) if "file" in edit else None
            match edit["edit"]:
                case "reset":
                    assert content is not None
                    annotation, shapes, state = content, list(content.shapes), content.state
                case "inserted":
                    assert content is not None
                    shapes.insert(edit["index"], content.shapes[0])
                case "replaced":
                    assert content is not None
                    shapes[edit["index"]] = content.shapes[0]
                case "removed":
                    del shapes[edit["index"]]
                case "moved":
                    shapes.insert(edit["index"], shapes.pop(edit["old_index"]))
                case "state":
                    state = AnnotationState(edit["state"])
                case unknown:
                    raise ValueError(f"an edit {unknown!r}")
    except (LookupError, TypeError, ValueError, AssertionError) as error:
        raise AnnotationFileError(
            path, f"the edits noted in .maskloop/edits do not fit it ({error}); remove that folder to go on"
        ) from error
    return replace(annotation, shapes=tuple(shapes), state=state)
