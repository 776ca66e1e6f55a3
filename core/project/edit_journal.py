r"""Edits that are not in their annotation file yet, one line each, so that a killed program loses none.

Writing the annotation file of ten thousand polygons takes a second, and may have to wait for a mask; a line
here takes a millisecond. A journal belongs to one image::

    {"schema": 1, "image": key, "base": digest}                       of the annotation file, null: no file
    {"revision": 7, "edit": "replaced", "index": 2, "file": {...}}    a labelme file with the one shape
    {"revision": 8, "edit": "state", "state": "done"}
    {"revision": 9, "edit": "reset", "file": {...}}                   the whole annotation
    {"revision": 8, "saving": digest}                                 the file of this digest has all up to 8

The "saving" line is written just before the file is replaced, so that whichever of the two files a crash
leaves, `core.project.edit_recovery` knows which edits it lacks. Once annotation and mask are on disk, the
journal goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from core.annotation.document import AnnotationDocument, Change, ChangeKind
from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState

SCHEMA: Final = 1
SUFFIX: Final = ".jsonl"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One change of a document, complete in itself; immutable, so a worker may write it down.

    Attributes:
        revision: the document's, after the change.
        kind: as in `Change`; see there for `index` and `old_index`.
        content: an annotation with the one shape concerned; for "reset" the whole annotation.
        state: for "state".
    """

    revision: int
    kind: ChangeKind
    index: int | None = None
    old_index: int | None = None
    content: Annotation | None = None
    state: AnnotationState | None = None

    @classmethod
    def of(cls, change: Change, document: AnnotationDocument) -> Self:
        """The change a document has just told of."""
        match change.kind:
            case "reset":
                return cls.whole(document)
            case "state":
                return cls(change.revision, "state", state=document.state)
            case "inserted" | "replaced":
                assert change.after is not None
                content = Annotation("", shapes=(change.after,))
                return cls(change.revision, change.kind, change.index, content=content)
            case _:
                return cls(change.revision, change.kind, change.index, change.old_index)

    @classmethod
    def whole(cls, document: AnnotationDocument) -> Self:
        """The document as it is, whatever was before."""
        return cls(document.revision, "reset", content=document.snapshot())

    def line(self) -> bytes:
        """As it stands in the journal."""
        record: dict[str, object] = {"revision": self.revision, "edit": self.kind}
        if self.index is not None:
            record["index"] = self.index
        if self.old_index is not None:
            record["old_index"] = self.old_index
        if self.state is not None:
            record["state"] = self.state.value
        if self.content is not None:
            record["file"] = msgspec.Raw(_on_one_line(dumps(self.content)))
        return msgspec.json.encode(record) + b"\n"


def journal_path(folder: Path, key: str) -> Path:
    """The journal of an image: keys have `/` and any length, file names do not."""
    return folder / f"{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}{SUFFIX}"


@dataclass(slots=True, eq=False)
class _Beginning:
    """What the annotation file was when the journal began anew, and what became of the journal since."""

    base: str | None
    written: bool = False
    broken: bool = False


class EditJournal:
    """The journal of one open image.

    `note` and `restart` are for one thread and never wait for the disk, `flush` is for one, `saving` for any.

    A journal that cannot be written (a full disk, say) is given up until its next restart: it is the second
    net, and what became of the annotation file itself is said elsewhere.
    """

    def __init__(self, folder: Path, key: str, base: str | None) -> None:
        self.path = journal_path(folder, key)
        self._key = key
        self._beginning = _Beginning(base)
        self._waiting: list[Edit] = []
        self._lock = threading.Lock()
        self._disk = threading.Lock()

    def note(self, *edits: Edit) -> bool:
        """Take edits; True when `flush` must be called for them (else a call that is due will see to it)."""
        with self._lock:
            first = not self._waiting
            self._waiting += edits
            return first

    def restart(self, base: str | None, *edits: Edit) -> None:
        """The annotation file has this digest and lacks just these edits; `flush` is due."""
        with self._lock:
            self._beginning = _Beginning(base)
            self._waiting = list(edits)

    def flush(self) -> None:
        """Write what was noted; remove the file of a journal that has nothing to say any more."""
        with self._lock:
            edits, self._waiting = self._waiting, []
            beginning = self._beginning
        data = b"".join(edit.line() for edit in edits)  # of ten thousand polygons half a second
        with self._disk:
            if beginning is not self._beginning:
                return  # restarted meanwhile: these edits are not lacking any more
            if data:
                self._append(beginning, data)
            elif not beginning.written:
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def saving(self, revision: int, digest: str | None) -> None:
        """The annotation file is about to become the one of this digest, with all up to this revision."""
        with self._disk:
            self._append(self._beginning, _line({"revision": revision, "saving": digest}))

    def _append(self, beginning: _Beginning, data: bytes) -> None:
        if beginning.broken:
            return
        try:
            if not beginning.written:
                header = _line({"schema": SCHEMA, "image": self._key, "base": beginning.base})
                self.path.parent.mkdir(parents=True, exist_ok=True)
                data = header + data
            # One write: a killed program leaves all of it, or a last line that is cut and passed over.
            with self.path.open("ab" if beginning.written else "wb", buffering=0) as file:
                file.write(data)
                os.fsync(file.fileno())
            beginning.written = True
        except OSError as error:
            beginning.broken = True
            _log.warning("%s: edits cannot be noted (%s)", self.path, error)


def _on_one_line(file: bytes) -> bytes:
    try:
        return msgspec.json.format(file, indent=-1)
    except msgspec.MsgspecError:  # NaN, which some tools write and Python reads
        return json.dumps(json.loads(file), separators=(",", ":")).encode("ascii")


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
