"""An annotation to the bytes of a labelme JSON file. What stands where: `core.annotation.labelme_json`."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labelme_keys import FILE_KEYS, OUR_KEY, SCHEMA, SEAM_KEYS, SHAPE_KEYS, own, without
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType
from core.geometry import first_vertices, seam_holes


def dumps(annotation: Annotation) -> bytes:
    """The file for an annotation: UTF-8, indent 2, every key that labelme 7 expects, in its order.

    Raises:
        ValueError: a shape that no reader would accept; `core.annotation.commands` lets none arise.
    """
    height, width = annotation.size_hw or (None, None)
    state = annotation.state
    if state is AnnotationState.UNLABELLED and annotation.shapes:
        state = AnnotationState.IN_PROGRESS  # else the file would read as done
    ours = own(annotation.extra)
    if state is not AnnotationState.UNLABELLED:
        ours = {"schema": SCHEMA, "state": state.value, **without(ours, "schema", "state")}
    file = {
        "version": annotation.version,
        "flags": dict(annotation.flags),
        "shapes": [],
        "imagePath": annotation.image_path,
        "imageData": annotation.image_data,
        "imageHeight": height,
        "imageWidth": width,
        **without(annotation.extra, *FILE_KEYS),
    }
    file.pop(OUR_KEY, None)
    if ours:
        file[OUR_KEY] = ours
    return _quickly(file, annotation.shapes) or _thoroughly(file, annotation.shapes)


def _shape_record(shape: Shape, index: int) -> dict[str, object]:
    ring = shape.points
    ours = without(own(shape.extra), *SEAM_KEYS) if shape.extra else {}
    if shape.holes:
        if shape.shape_type is not ShapeType.POLYGON:
            raise ValueError(f"shapes[{index}]: a {shape.shape_type} cannot have holes")
        ring, starts = seam_holes(shape.points, shape.holes)
        ours["ring_starts"] = list(starts)
        if any(first := first_vertices(ring, starts, shape.holes)):
            ours["first_vertices"] = list(first)
    if len(ring) == 0 or not np.isfinite(ring).all():
        raise ValueError(f"shapes[{index}].points: there must be points, and all of them numbers")
    if (shape.mask is None) != (shape.shape_type is not ShapeType.MASK):
        raise ValueError(f"shapes[{index}].mask: a mask shape has a mask, another one has none")
    record: dict[str, object] = {**without(shape.extra, OUR_KEY, *SHAPE_KEYS)} if shape.extra else {}
    if ours:
        record[OUR_KEY] = ours
    record |= {
        "label": shape.label,
        "points": ring.tolist(),
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.shape_type,
        "flags": dict(shape.flags),
        "mask": None if shape.mask is None else _mask_to_text(shape.mask),
    }
    return record


def _mask_to_text(mask: NDArray[np.bool_]) -> str:
    """A mask (h, w) as base64 of an 8-bit PNG, 255 inside."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _quickly(file: Mapping[str, Any], shapes: Sequence[Shape]) -> bytes | None:
    """The file, thirty times as fast as the standard library, whose indented writer is pure Python.

    Portion by portion: the interpreter is free for the window in between, and no list of ten thousand
    polygons is ever built. None for what msgspec would write otherwise: half a surrogate pair, a huge
    integer, NaN; no tool writes them, but they were in the file.
    """
    pieces: list[bytes] = []
    try:
        for start in range(0, len(shapes), _PORTION):
            portion = shapes[start : start + _PORTION]
            records = [_shape_record(shape, index) for index, shape in enumerate(portion, start)]
            if not all(_is_plain(record, SHAPE_KEYS) for record in records):
                return None
            pieces.append(_indented({"shapes": records})[len(_OPENED) : -len(_CLOSED)])
        if not _is_plain(file, FILE_KEYS):
            return None
        frame = _indented(file)
    except (UnicodeEncodeError, OverflowError):
        return None
    if not pieces:
        return frame
    # The first there is: what stands before it are the version's text and flags that are true or false.
    head, _, tail = frame.partition(_EMPTY)
    return b"".join([head, _OPENED[1:], b",\n".join(pieces), _CLOSED[:-2], tail])


_PORTION: Final = 512
_EMPTY: Final = b'\n  "shapes": []'
_OPENED: Final = b'{\n  "shapes": [\n'
_CLOSED: Final = b"\n  ]\n}"


def _indented(content: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def _thoroughly(file: Mapping[str, Any], shapes: Sequence[Shape]) -> bytes:
    records = [_shape_record(shape, index) for index, shape in enumerate(shapes)]
    text = json.dumps({**file, "shapes": records}, indent=2, ensure_ascii=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps({**file, "shapes": records}, indent=2, ensure_ascii=True).encode("ascii")


def _is_plain(record: Mapping[str, Any], known: frozenset[str]) -> bool:
    """Whether the unknown keys have no NaN or infinity, which some tools write and msgspec makes null."""
    if len(record) <= len(known):
        return True
    unknown = [value for key, value in record.items() if key not in known]
    while unknown:
        value = unknown.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if isinstance(value, dict):
            unknown.extend(value.values())
        elif isinstance(value, list):
            unknown.extend(value)
    return True
