"""What a file of weights says about itself, read without torch: the window lists and checks files with this.

A safetensors file is eight bytes of length, a JSON header, and numbers. Its `__metadata__` may hold strings:
ours, under the key `maskloop`, is JSON again and says all that is needed to build the network, feed it and
name what it sees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from core.annotation.model import ClassList, JsonValue, LabelClass
from core.errors import WeightsFileError
from core.models.normalization import Normalization
from core.models.specs import Option

SCHEMA: Final = 1
METADATA_KEY: Final = "maskloop"
_LENGTH_BYTES: Final = 8
_MAX_HEADER_BYTES: Final = 100_000_000
"""The format's own limit."""


def program_version() -> str:
    """Version of this program as installed."""
    try:
        return version("maskloop")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsHeader:
    """The network a file holds, and what it was trained for.

    Attributes:
        architecture, encoder, options: what `registry.build` needs.
        classes: output channel k stands for `classes[k]`, whose mask value is `classes[k].index`.
        normalization: how pixels are prepared.
        tile: side of the square crops it was trained on, pixels of the scaled image.
        scale: factor by which images are resized before the network sees them.
        metrics: scores when it was saved: `miou`, `per_class_iou`, `step`, ...
        data_digest: names the labels it was trained on.
        temperature: what its logits are divided by before they become probabilities, so that these mean what
            they say; see `core.learning.scores.calibration`. Files without one: 1.
        post: what was done to its predictions where it was exported, see `core.postprocess.pipeline`;
            "" for nothing. Whoever predicts with it decides anew.
    """

    architecture: str
    encoder: str
    classes: ClassList
    normalization: Normalization
    tile: int
    scale: float = 1.0
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    metrics: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    data_digest: str = ""
    program_version: str = field(default_factory=program_version)
    temperature: float = 1.0
    post: str = ""

    def to_json(self) -> str:
        """For the file."""
        record = _Record(
            schema=SCHEMA,
            architecture=self.architecture,
            encoder=self.encoder,
            options=dict(self.options),
            classes=[_Class(index=c.index, name=c.name, color=c.color) for c in self.classes],
            background=self.classes.background,
            normalization=self.normalization.to_json(),
            tile=self.tile,
            scale=self.scale,
            metrics=dict(self.metrics),
            data_digest=self.data_digest,
            program_version=self.program_version,
            temperature=self.temperature,
            post=self.post,
        )
        return msgspec.json.encode(record).decode()

    @classmethod
    def from_json(cls, text: str) -> WeightsHeader:
        """From the file. Raises ValueError that names the field."""
        record = msgspec.json.decode(text, type=_Record)
        return cls(
            architecture=record.architecture,
            encoder=record.encoder,
            options=MappingProxyType(record.options),
            classes=ClassList(
                tuple(LabelClass(c.index, c.name, c.color) for c in record.classes), record.background
            ),
            normalization=Normalization.from_json(record.normalization),
            tile=record.tile,
            scale=record.scale,
            metrics=MappingProxyType(record.metrics),
            data_digest=record.data_digest,
            program_version=record.program_version,
            temperature=record.temperature if record.temperature > 0 else 1.0,
            post=record.post,
        )


class _Class(msgspec.Struct):
    index: int = msgspec.field()
    name: str = msgspec.field()
    color: str = msgspec.field()


class _Record(msgspec.Struct):
    """The JSON as it stands in the file."""

    schema: int
    architecture: str
    encoder: str
    options: dict[str, bool | int | float | str]
    classes: list[_Class]
    background: int | None
    normalization: dict[str, Any]
    tile: int
    scale: float
    metrics: dict[str, Any]
    data_digest: str
    program_version: str
    temperature: float = 1.0
    post: str = ""


class _Version(msgspec.Struct):
    schema: int


def read_header(path: Path) -> WeightsHeader:
    """Read what a file of weights says about itself.

    Raises:
        WeightsFileError: it is missing, truncated, damaged, of another program or of a newer version.
    """
    text = _metadata(path).get(METADATA_KEY)
    if not isinstance(text, str):
        raise WeightsFileError(
            path,
            "was not saved by this program: it does not say which network and classes "
            "it holds; choose one that was exported here",
        )
    try:
        schema = msgspec.json.decode(text, type=_Version).schema
        if schema > SCHEMA:
            raise WeightsFileError(path, "was saved by a newer version of this program; update it first")
        return WeightsHeader.from_json(text)
    except ValueError as error:
        raise WeightsFileError(path, f"its header is damaged ({error})") from error


def with_header(path: Path, header: WeightsHeader) -> bytes:
    """A file of weights that says this of itself, its numbers as they are.

    Raises:
        WeightsFileError: it cannot be read, or is damaged.
    """
    known = read_header(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsFileError(path, f"cannot be read ({error.strerror or error})") from error
    if known == header:
        return data
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    entries = json.loads(data[_LENGTH_BYTES:end])
    entries["__metadata__"] = {**entries.get("__metadata__", {}), METADATA_KEY: header.to_json()}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # numbers begin at a multiple of eight bytes
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data[end:]


def check_classes(path: Path, header: WeightsHeader, classes: ClassList) -> None:
    """Raise WeightsFileError, saying what differs, unless these classes are the header's.

    Index and name decide; colours and display order do not matter.
    """
    theirs = {c.index: c.name for c in header.classes}
    ours = {c.index: c.name for c in classes}
    if theirs == ours:
        return
    differences = [
        *(
            f"{i} is {theirs[i]!r} there and {ours[i]!r} here"
            for i in theirs
            if ours.get(i, theirs[i]) != theirs[i]
        ),
        *(f"{theirs[i]!r} ({i}) is only there" for i in theirs if i not in ours),
        *(f"{ours[i]!r} ({i}) is only here" for i in ours if i not in theirs),
    ]
    shown = ", ".join(differences[:4]) + (", ..." if len(differences) > 4 else "")
    raise WeightsFileError(
        path,
        f"has other classes than the project: {shown}; train again, or use it in the project it comes from",
    )


def gone_classes(header: WeightsHeader, classes: ClassList) -> tuple[str, ...]:
    """Names of the classes the weights know and the project has no more."""
    return tuple(c.name for c in header.classes if classes.by_index(c.index) is None)


def as_called_now(path: Path, header: WeightsHeader, classes: ClassList) -> WeightsHeader:
    """The header of a project's own weights, with the names and colours that its classes have by now.

    Raises:
        WeightsFileError: the weights know classes that are gone, or that have another index by now: then the
            index they know them by may be any class's.
    """
    if gone := gone_classes(header, classes):
        raise WeightsFileError(
            path, f"knows classes that the project has no more ({', '.join(gone)}); train again"
        )
    for theirs in header.classes:
        if (ours := classes.by_name(theirs.name)) is not None and ours.index != theirs.index:
            raise WeightsFileError(
                path,
                f"knows {theirs.name!r} as class {theirs.index}, which is class {ours.index} of the project;"
                " train again",
            )
    present = tuple(classes.by_index(theirs.index) or theirs for theirs in header.classes)
    return replace(header, classes=ClassList(present, header.classes.background))


def _metadata(path: Path) -> Mapping[str, object]:
    """The strings in a safetensors file's header, after checking that the numbers are all there."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            room = size - _LENGTH_BYTES
            if not 2 <= length <= min(room, _MAX_HEADER_BYTES):
                raise WeightsFileError(path, "is no safetensors file, or cut off; choose a file of weights")
            raw = file.read(length)
    except FileNotFoundError as error:
        raise WeightsFileError(path, "there is no such file") from error
    except OSError as error:
        raise WeightsFileError(path, f"cannot be read ({error.strerror or error})") from error
    try:
        header = json.loads(raw)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        metadata = header.get("__metadata__", {})
        complete = max(ends, default=0) == room - length
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise WeightsFileError(path, "is no safetensors file, or its header is damaged") from error
    if not complete:
        raise WeightsFileError(
            path,
            "is cut off or damaged: it holds fewer or more numbers than "
            "it says; use another file, or train again",
        )
    if not isinstance(metadata, dict):
        raise WeightsFileError(path, "its header is damaged")
    return metadata
