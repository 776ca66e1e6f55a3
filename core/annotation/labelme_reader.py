"""The bytes of a labelme JSON file to an annotation. What is read how: `core.annotation.labelme_json`."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labelme_counts import fitting, needed_points
from core.annotation.labelme_keys import (
    FILE_KEYS,
    LOCKED_KEY,
    OUR_KEY,
    SCHEMA,
    SEAM_KEYS,
    SHAPE_KEYS,
    VERSION,
    without,
)
from core.annotation.labelme_plain import NOT_STRICT, decoded, plain_shape, points_of, strict_fields
from core.annotation.model import (
    Annotation,
    AnnotationState,
    JsonValue,
    Points,
    Shape,
    ShapeType,
    frozen_points,
)
from core.errors import AnnotationFileError
from core.geometry import unseam

_TYPES: Final[Mapping[str, ShapeType]] = {member.value: member for member in ShapeType}
_NUMBERS: Final = frozenset((int, float))
_NO_FLAGS: Final[Mapping[str, bool]] = MappingProxyType({})
_NO_EXTRA: Final[Mapping[str, JsonValue]] = MappingProxyType({})
_PORTION: Final = 512
"""Shapes read in one go: the interpreter is free for the window between two portions."""
_RESTORE: Final = "restore it from a backup, or move it away to label the image anew"
_MEND: Final = "mend it in a text editor or remove the shape; the file is left as it is"


def loads(data: bytes, path: Path | str) -> Annotation:
    """Read the bytes of a labelme JSON file; `path` is for messages only.

    Raises:
        AnnotationFileError: not JSON, not labelme's, or a field that cannot be read without loss. The message
            names the field, as in `shapes[3].points`.
    """
    reader = _Reader(path)
    if (file := strict_fields(data)) is not None:
        with contextlib.suppress(*NOT_STRICT):
            return reader.annotation(file)
    return reader.annotation(_parse(data, path))


def _parse(data: bytes, path: Path | str) -> dict[str, Any]:
    if not data.strip(b"\0 \t\r\n"):
        raise AnnotationFileError(path, f"is empty; {_RESTORE}")
    try:
        file = json.loads(data.decode(json.detect_encoding(data)))
    except UnicodeDecodeError as error:
        raise AnnotationFileError(
            path, f"is not UTF-8 text (byte {error.start}); save it again as UTF-8, or {_RESTORE}"
        ) from error
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        what = "is cut off" if cut else f"is not valid JSON ({error.msg})"
        raise AnnotationFileError(
            path, f"{what} at line {error.lineno}, column {error.colno}; {_RESTORE}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise AnnotationFileError(path, f"is JSON that cannot be read ({error}); {_RESTORE}") from error
    if not isinstance(file, dict):
        raise AnnotationFileError(path, f"holds {_kind(file)}, not a labelme annotation; {_RESTORE}")
    if "shapes" not in file:
        raise AnnotationFileError(
            path, "is JSON but not labelme's: it has no `shapes`; move it away to label the image"
        )
    return file


class _Reader:
    """Reads one file; knows its path for messages."""

    def __init__(self, path: Path | str) -> None:
        self._path = path

    def annotation(self, file: dict[str, Any]) -> Annotation:
        shapes = file["shapes"]
        if not isinstance(shapes, list):
            self._refuse("shapes", f"must be a list, not {_kind(shapes)}")
        image_path = file.get("imagePath")
        if not isinstance(image_path, str):
            self._refuse("imagePath", f"must be the image's file name, not {_kind(image_path)}")
        image_data = file.get("imageData")
        if image_data is not None and not isinstance(image_data, str):
            self._refuse("imageData", f"must be text or null, not {_kind(image_data)}")
        version = file.get("version")
        if isinstance(version, (dict, list)):
            self._refuse("version", f"must be text, not {_kind(version)}")
        read = self._shapes(shapes)
        ours = self._own_key(file, "")
        return Annotation(
            image_path=image_path.replace("\\", "/"),
            size_hw=self._size(file),
            shapes=read,
            state=self._state(ours, has_shapes=bool(read)),
            flags=self._flags(file.get("flags"), "flags"),
            image_data=image_data,
            version=VERSION if version is None else str(version),
            extra=_extra(file, FILE_KEYS, without(ours or {}, "schema", "state")),
        )

    def _shapes(self, records: list[Any]) -> tuple[Shape, ...]:
        read: list[Shape] = []
        for start in range(0, len(records), _PORTION):
            portion = records[start : start + _PORTION]
            plain = [plain_shape(record) for record in portion]
            points = points_of([shape for shape in plain if shape is not None])
            for index, (record, shape) in enumerate(zip(portion, plain, strict=True), start):
                if shape is None:
                    thorough = decoded(record)
                    read.append(self._shape(thorough, f"shapes[{index}]"))
                    continue
                read.append(
                    Shape(
                        label=shape.label,
                        shape_type=shape.shape_type or ShapeType.POLYGON,
                        points=next(points),
                        group_id=shape.group_id,
                        description=shape.description or "",
                        flags=MappingProxyType(shape.flags) if shape.flags else _NO_FLAGS,
                        extra=_NO_EXTRA,
                    )
                )
        return tuple(read)

    def _shape(self, record: Any, field: str) -> Shape:
        if not isinstance(record, dict):
            self._refuse(field, f"must be an object, not {_kind(record)}")
        label = record.get("label")
        if not isinstance(label, str):
            self._refuse(f"{field}.label", f"must be text, not {_kind(label)}")
        group_id = record.get("group_id")
        if type(group_id) is float and group_id.is_integer():
            group_id = int(group_id)
        if group_id is not None and type(group_id) is not int:
            self._refuse(f"{field}.group_id", f"must be a whole number or null, not {_kind(group_id)}")
        description = record.get("description")
        if description is not None and not isinstance(description, str):
            self._refuse(f"{field}.description", f"must be text or null, not {_kind(description)}")
        shape_type = self._type(record.get("shape_type"), f"{field}.shape_type")
        points = self._points(record.get("points"), f"{field}.points")
        if (fitted := fitting(shape_type, points)) is None:
            self._refuse(f"{field}.points", f"{needed_points(shape_type)}, not {len(points)}")
        shape_type, points = fitted
        mask = self._mask(record.get("mask"), shape_type, points, f"{field}.mask")
        if mask is not None:
            points = frozen_points([points.min(axis=0), points.max(axis=0)])
        holes: tuple[Points, ...] = ()
        ours = self._own_key(record, f"{field}.")
        if ours is not None and shape_type is ShapeType.POLYGON:
            points, holes = _rings(points, *(ours.get(key) for key in SEAM_KEYS))
        if not self._locked(record.get(LOCKED_KEY), f"{field}.{LOCKED_KEY}"):
            record = without(record, LOCKED_KEY)  # false, null and left out are the same
        return Shape(
            label=label,
            shape_type=shape_type,
            points=points,
            holes=holes,
            group_id=group_id,
            description=description or "",
            flags=self._flags(record.get("flags"), f"{field}.flags"),
            mask=mask,
            extra=_extra(record, SHAPE_KEYS, without(ours or {}, *SEAM_KEYS)),
        )

    def _type(self, value: Any, field: str) -> ShapeType:
        if value is None:
            return ShapeType.POLYGON
        found = _TYPES.get(value) if isinstance(value, str) else None
        if found is None:
            self._refuse(field, f"{value!r} is none of {', '.join(_TYPES)}")
        return found

    def _points(self, value: Any, field: str) -> Points:
        if not isinstance(value, list):
            self._refuse(field, f"must be a list of [x, y], not {_kind(value)}")
        if not value:
            self._refuse(field, "is empty: a shape needs points")
        for index, point in enumerate(value):
            if not isinstance(point, list) or len(point) != 2:
                self._refuse(f"{field}[{index}]", f"must be [x, y], not {_kind(point)}")
        if not _NUMBERS.issuperset(map(type, chain.from_iterable(value))):
            for index, (x, y) in enumerate(value):
                if type(x) not in _NUMBERS or type(y) not in _NUMBERS:
                    wrong = y if type(x) in _NUMBERS else x
                    self._refuse(f"{field}[{index}]", f"must be two numbers, not {_kind(wrong)}")
        try:
            points = frozen_points(value)
        except OverflowError:
            self._refuse(field, "has a number that is too large for a coordinate")
        finite = np.isfinite(points)
        if not finite.all():
            index = int(np.flatnonzero(~finite.all(axis=1))[0])
            self._refuse(f"{field}[{index}]", "is not a finite number (NaN or infinity)")
        return points

    def _mask(
        self, value: Any, shape_type: ShapeType, points: Points, field: str
    ) -> NDArray[np.bool_] | None:
        if shape_type is not ShapeType.MASK:
            if value is not None:
                self._refuse(field, f"must be null, because the shape_type is {shape_type}")
            return None
        if not isinstance(value, str):
            self._refuse(field, f"must be a PNG in base64, not {_kind(value)}")
        try:
            with Image.open(io.BytesIO(base64.b64decode(value, validate=True)), formats=["PNG"]) as png:
                mask = np.asarray(np.array(png) != 0)
        except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            self._refuse(field, f"is not a PNG in base64 ({error})", error)
        if mask.ndim == 3:  # what is transparent counts as well
            mask = np.asarray(mask[..., : 1 if mask.shape[2] == 2 else 3].any(axis=2))
        height, width = mask.shape
        across, down = np.abs(points[1] - points[0]) + 1
        if max(abs(across - width), abs(down - height)) > 1:  # corners need not be whole pixels
            self._refuse(field, f"is {width} x {height} pixels, but its points span {across:g} x {down:g}")
        mask.flags.writeable = False
        return mask

    def _flags(self, value: Any, field: str) -> Mapping[str, bool]:
        if value is None or value == [] or value == {}:
            return _NO_FLAGS
        if not isinstance(value, dict):
            self._refuse(field, f"must be an object of true and false, not {_kind(value)}")
        for key, flag in value.items():
            if not isinstance(flag, bool):
                self._refuse(f"{field}.{key}", f"must be true or false, not {_kind(flag)}")
        return MappingProxyType(value)

    def _locked(self, value: Any, field: str) -> bool:
        if value is not None and not isinstance(value, bool):
            self._refuse(field, f"must be true or false, not {_kind(value)}")
        return value is True

    def _size(self, file: Mapping[str, Any]) -> tuple[int, int] | None:
        sides: list[int] = []
        for key in ("imageHeight", "imageWidth"):
            side = file.get(key)
            if side is None:
                continue
            if type(side) is float and side.is_integer():
                side = int(side)
            if type(side) is not int or side <= 0:
                self._refuse(key, f"must be the image's size in pixels, not {_kind(side)}")
            sides.append(side)
        return (sides[0], sides[1]) if len(sides) == 2 else None

    def _own_key(self, record: Mapping[str, Any], prefix: str) -> dict[str, JsonValue] | None:
        value = record.get(OUR_KEY)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._refuse(f"{prefix}{OUR_KEY}", f"must be an object, not {_kind(value)}")
        return value

    def _state(self, ours: Mapping[str, JsonValue] | None, *, has_shapes: bool) -> AnnotationState:
        if ours is not None:
            schema = ours.get("schema", SCHEMA)
            if type(schema) is not int:
                self._refuse(f"{OUR_KEY}.schema", f"must be a whole number, not {_kind(schema)}")
            if schema > SCHEMA:
                raise AnnotationFileError(
                    self._path,
                    f"{OUR_KEY}.schema: written by a newer Maskloop (schema {schema}); update this one",
                )
            if "state" in ours:
                try:
                    return AnnotationState(str(ours["state"]))
                except ValueError as error:
                    known = ", ".join(AnnotationState)
                    self._refuse(f"{OUR_KEY}.state", f"{ours['state']!r} is none of {known}", error)
        return AnnotationState.DONE if has_shapes else AnnotationState.UNLABELLED

    def _refuse(self, field: str, problem: str, cause: BaseException | None = None) -> NoReturn:
        raise AnnotationFileError(self._path, f"{field}: {problem}; {_MEND}") from cause


def _extra(
    record: Mapping[str, Any], known: frozenset[str], ours: dict[str, JsonValue]
) -> Mapping[str, JsonValue]:
    extra = {key: value for key, value in record.items() if key not in known and key != OUR_KEY}
    if ours:
        extra[OUR_KEY] = ours
    return MappingProxyType(extra) if extra else _NO_EXTRA


def _rings(points: Points, starts: JsonValue, first: JsonValue) -> tuple[Points, tuple[Points, ...]]:
    """Outer ring and holes, if the seams are as they were written; else the ring as it is."""
    apart = unseam(points, _whole_numbers(starts), _whole_numbers(first))
    if apart is None:
        return points, ()
    outer, holes = apart
    return frozen_points(outer), tuple(frozen_points(hole) for hole in holes)


def _whole_numbers(value: JsonValue) -> list[int]:
    """A list of whole numbers, or none at all: only a hint, and somebody may have edited it."""
    if not isinstance(value, list):
        return []
    numbers = [number for number in value if type(number) is int and abs(number) < 2**31]
    return numbers if len(numbers) == len(value) else []


def _kind(value: Any) -> str:
    """What a JSON value is, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
