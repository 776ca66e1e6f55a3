"""Which images of a folder are predicted, kept so that a killed program goes on where it was. Torch-free.

One JSON object a line, each at most a few hundred bytes; a line that was cut short is passed over::

    {"begun": image}                                            it is being predicted now
    {"left": image}                                             it was given up in good order
    {"again": true}                                             what stands above is to be predicted once more
    {"image": ..., "stamp": ..., "weights": ..., "format": ...,
     "file": ..., "digest": ..., "size": ...}                   the file that comes next, then is there

Each of several programs that share a folder (`shard`) writes a journal of its own and reads all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import StorageError
from core.files import digest, file_digest
from core.project.layout import ProjectLayout

if TYPE_CHECKING:
    from core.formats.prediction_files import ReadyFile

NAME: Final = ".maskloop-predictions"
MOST_BEGINNINGS: Final = 2
"""So often an image may have been begun and neither finished nor given up: after that it is the culprit."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """One file that was written.

    Attributes:
        image: absolute path of the image. stamp: of its file, see `core.images.pages.stamp`.
        weights: digest of the weights' file.
        file: its name in the folder of results, with `/`. digest, size: of its content.
    """

    image: str
    stamp: str
    weights: str
    format: str
    file: str
    digest: str
    size: int

    @classmethod
    def of(cls, image: Path, ready: ReadyFile, *, stamp: str, weights: str, output_format: str) -> Predicted:
        """A file that is ready, of an image that had this stamp before it was read."""
        made = ready.name, ready.digest, ready.size
        return cls(identity(image), stamp, weights, output_format, *made)


def identity(image: Path) -> str:
    """What an image is called in the journal."""
    return str(image.absolute())


class PredictionJournal:
    """The journal of one folder of results.

    Args:
        out: that folder.
        root: the project the weights come from; the journal is kept there, or in the folder itself.
        shard: number and count of the programs that share the work.
    """

    def __init__(self, out: Path, root: Path | None, shard: tuple[int, int] = (0, 1)) -> None:
        self._out = out
        number, count = shard
        place = out / NAME
        if root is not None and os.access(root, os.W_OK):
            place = ProjectLayout(root).private / "predictions" / digest(str(out.resolve()).encode())[:16]
        part = "" if count == 1 else f"-{number + 1}-of-{count}"
        self._file = place.with_name(f"{place.name}{part}.jsonl")
        self._all = f"{place.name}*.jsonl"
        self._by_file: dict[str, Predicted] = {}
        self._by_image: dict[str, Predicted] = {}
        self._older: dict[str, Predicted] = {}
        self._last: set[str] = set()
        self._begun: Counter[str] = Counter()
        self._written_in: dict[str, str] = {}  # which file tells of an image
        self._read()

    @property
    def files(self) -> tuple[Predicted, ...]:
        """What was written to which file last."""
        return tuple(self._there(entry) for entry in self._by_file.values())

    def _there(self, entry: Predicted) -> Predicted:
        """Where a file was announced and did not come, what was written before it."""
        older = self._older.get(entry.file)
        if entry.file not in self._last or older is None:
            return entry
        try:
            return older if file_digest(self._out / entry.file) == older.digest else entry
        except StorageError:
            return entry

    def names(self, output_format: str) -> dict[str, str]:
        """Files that images have been given, by absolute path."""
        return {e.image: e.file for e in self._by_file.values() if e.format == output_format}

    def is_done(self, image: str, stamp: str, weights: str, output_format: str) -> bool:
        """Whether this very image has been predicted with these weights, and the file is still there."""
        entry = self._by_image.get(image)
        if entry is None or self._by_file.get(entry.file) is not entry:
            return False
        if (entry.stamp, entry.weights, entry.format) != (stamp, weights, output_format):
            return False
        return self.is_there(entry)

    def is_there(self, entry: Predicted) -> bool:
        """Whether the file is there, as it was written as far as its size tells."""
        path = self._out / entry.file
        try:
            if path.stat().st_size != entry.size:
                return False
            # The last line may be of a file that did not come: there its content decides.
            return entry.file not in self._last or file_digest(path) == entry.digest
        except (OSError, StorageError):
            return False

    def is_fatal(self, image: str) -> bool:
        """Whether the program has died of this image, as it seems."""
        return self._begun[image] >= MOST_BEGINNINGS

    def forget(self) -> None:
        """Everything is to be predicted once more; files keep their names and may be replaced."""
        self._by_image.clear()
        self._begun.clear()
        self._append({"again": True})

    def begin(self, image: str) -> None:
        """The image is taken up."""
        self._append({"begun": image})

    def leave(self, image: str) -> None:
        """The image is given up, in good order or because it cannot be used."""
        self._begun[image] = 0
        self._append({"left": image})

    def coming(self, entry: Predicted) -> None:
        """A file is about to be put in its place."""
        self._note(entry)
        self._append(asdict(entry))

    def tidy(self) -> None:
        """Leave nothing behind where nothing was written."""
        written = any(file_digest(self._out / e.file) == e.digest for e in self._by_file.values())
        if not written and not any(self._begun.values()):
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    # --- inside -------------------------------------------------------------------------------------------

    def _note(self, entry: Predicted) -> None:
        if entry.file in self._by_file:
            self._older[entry.file] = self._by_file[entry.file]
        self._by_file[entry.file] = self._by_image[entry.image] = entry
        self._begun[entry.image] = 0

    def _append(self, line: dict[str, Any]) -> None:
        # A folder that cannot keep a journal can still be predicted into, from the start each time.
        line |= {"at": time.time()}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(line, ensure_ascii=False))  # whatever the last line came to

    def _read(self) -> None:
        """Take in what all programs have noted, in the order of the clock."""
        lines: list[tuple[float, str, dict[str, Any]]] = []
        for path in sorted(self._file.parent.glob(self._all)):
            at, last = 0.0, ""
            with contextlib.suppress(OSError):
                for line in path.read_bytes().split(b"\n"):
                    with contextlib.suppress(ValueError, TypeError):  # cut short, or of another version
                        fields = dict(json.loads(line))
                        at = float(fields.pop("at", at))  # earlier versions did not note it
                        lines.append((at, path.name, fields))
                        last = str(fields.get("file", last))
            self._last.add(last)
        for _, name, fields in sorted(lines, key=lambda line: line[0]):
            with contextlib.suppress(TypeError):
                self._take(name, fields)

    def _take(self, name: str, fields: dict[str, Any]) -> None:
        """Note what a line in the file of this name says."""
        if "begun" in fields:
            self._begun[fields["begun"]] += 1
        elif "again" in fields:
            # Of several programs each begins anew with its own share.
            shards = name.rpartition("-of-")[2] if "-of-" in name else ""
            for image, entry in list(self._by_image.items()):
                written_in = self._written_in.get(entry.image, "")
                if written_in == name or not shards or not written_in.endswith(f"-of-{shards}"):
                    del self._by_image[image]
            self._begun.clear()
        elif "left" in fields:
            self._begun[fields["left"]] = 0
        else:
            entry = Predicted(**fields)
            self._note(entry)
            self._written_in[entry.image] = name
