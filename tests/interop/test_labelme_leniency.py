"""What other tools and older versions write: read by us, written so that labelme takes it.

Each case is a file as some tool writes it, and whether labelme 7 itself opens it. Ours reads every one, and
what ours writes then opens in labelme. A second table has the files that ours refuses and leaves alone.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from core.annotation.labelme_json import dumps, loads
from core.errors import AnnotationFileError

pytestmark = [pytest.mark.labelme, pytest.mark.slow, pytest.mark.timeout(1200)]

HEIGHT, WIDTH = 60, 80
RING: Final = [[10, 10], [50, 12], [48.5, 50.25], [9, 45]]
CORNERS: Final = [[10, 10], [50, 10], [50, 40], [10, 40]]
GONE: Final = object()
"""A key that the file does not have."""


def png(mode: str) -> str:
    """A mask of 5 x 4 pixels as base64."""
    inside = np.zeros((4, 5), np.uint8)
    inside[1:3, 1:4] = 255
    buffer = io.BytesIO()
    Image.fromarray(inside).convert(mode).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def record(**changes: Any) -> dict[str, Any]:
    whole = {
        "label": "nerve",
        "points": RING,
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    return {key: value for key, value in (whole | changes).items() if value is not GONE}


def content(shape: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    whole = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [record() if shape is None else shape],
        "imagePath": "scan.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    return {key: value for key, value in (whole | changes).items() if value is not GONE}


def mask(mode: str, points: list[list[float]]) -> dict[str, Any]:
    return content(record(shape_type="mask", points=points, mask=png(mode)))


READ: Final[dict[str, tuple[bool, dict[str, Any]]]] = {
    "as labelme writes it": (True, content()),
    "without a version": (True, content(version=GONE)),
    "without flags": (True, content(flags=GONE)),
    "flags are null": (True, content(flags=None)),
    "without a size": (True, content(imageHeight=GONE, imageWidth=GONE)),
    "size is null": (True, content(imageHeight=None, imageWidth=None)),
    "size is a float": (False, content(imageHeight=60.0, imageWidth=80.0)),
    "without imageData": (False, content(imageData=GONE)),
    "imagePath from Windows": (True, content(imagePath=".\\scan.png")),
    "keys of version 3": (
        False,
        content(
            record(description=GONE, group_id=GONE, shape_type=GONE, flags=GONE, mask=GONE, line_color=None),
            version="3.16.7",
            lineColor=[0, 255, 0, 128],
            fillColor=[255, 0, 0, 128],
        ),
    ),
    "keys of version 4": (True, content(record(description=GONE, mask=GONE), version="4.0.0")),
    "shape without flags": (True, content(record(flags=GONE))),
    "shape flags are null": (True, content(record(flags=None))),
    "shape flags are a list": (False, content(record(flags=[]))),
    "description is null": (True, content(record(description=None))),
    "group_id is a float": (False, content(record(group_id=3.0))),
    "without shape_type": (False, content(record(shape_type=GONE))),
    "rectangle of four points": (False, content(record(shape_type="rectangle", points=CORNERS))),
    "rectangle of five points": (
        False,
        content(record(shape_type="rectangle", points=[*CORNERS, CORNERS[0]])),
    ),
    "rectangle of four points, askew": (False, content(record(shape_type="rectangle", points=RING))),
    "line of three points": (False, content(record(shape_type="line", points=RING[:3]))),
    "point of two points": (False, content(record(shape_type="point", points=RING[:2]))),
    "points far outside": (True, content(record(points=[[-500, -20], [900, 30], [40, 1e6]]))),
    "all points at one place": (True, content(record(points=[[10, 10]] * 3))),
    "outline crosses itself": (True, content(record(points=[[10, 10], [50, 50], [50, 10], [10, 50]]))),
    "an empty rectangle": (True, content(record(shape_type="rectangle", points=[[10, 10], [10, 10]]))),
    "empty label": (True, content(record(label=""))),
    "mask, grey": (True, mask("L", [[3, 4], [7, 7]])),
    "mask, black and white": (True, mask("1", [[3, 4], [7, 7]])),
    "mask, corners swapped": (True, mask("L", [[7, 7], [3, 4]])),
    "mask, corners between pixels": (True, mask("L", [[3.4, 4.4], [7.4, 7.4]])),
    "locked": (True, content(record(locked=True))),
    "locked is false": (True, content(record(locked=False))),
    "locked is null": (False, content(record(locked=None))),
    "no shapes": (True, content(shapes=[])),
    "other keys": (True, content(record(score=0.5), generator={"name": "tool"})),
}

REFUSED: Final[dict[str, tuple[bool, dict[str, Any]]]] = {
    "without shapes": (False, content(shapes=GONE)),
    "shapes are null": (False, content(shapes=None)),
    "without imagePath": (False, content(imagePath=GONE)),
    "label is null": (False, content(record(label=None))),
    "without points": (False, content(record(points=GONE))),
    "no points": (False, content(record(points=[]))),
    "three coordinates": (False, content(record(points=[[1, 2, 3]] * 3))),
    "point is text": (False, content(record(points=[["1", "2"], [3, 4], [5, 6]]))),
    "unknown shape_type": (False, content(record(shape_type="ellipse"))),
    "circle of three points": (False, content(record(shape_type="circle", points=RING[:3]))),
    "group_id is true": (False, content(record(group_id=True))),
    "locked is a number": (False, content(record(locked=1))),
    "description is a number": (False, content(record(description=5))),
    "a flag is text": (False, content(record(flags={"a": "yes"}))),
    "image flag is a number": (False, content(flags={"a": 1})),
    "mask without pixels": (False, content(record(shape_type="mask", points=RING[:2]))),
    "mask is no PNG": (False, content(record(shape_type="mask", points=RING[:2], mask="AAAA"))),
    "polygon with a mask": (False, content(record(mask=png("L")))),
    # Half-drawn outlines have no inside: labelme shows them, its own exporter stops at them.
    "polygon of two points": (True, content(record(points=RING[:2]))),
    "line strip of one point": (True, content(record(shape_type="linestrip", points=RING[:1]))),
}


def write(folder: Path, case: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "scan.png")
    file = folder / "scan.json"
    file.write_text(json.dumps(case), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def verdicts(labelme, tmp_path_factory) -> dict[str, tuple[list[str], list[str] | None]]:
    """What labelme complained of in each file: as it was, and as ours wrote it (None: not read)."""
    root = tmp_path_factory.mktemp("cases")
    cases = {name: case for name, (_, case) in (READ | REFUSED).items()}
    originals = {
        name: write(root / "as it was" / str(k), case) for k, (name, case) in enumerate(cases.items())
    }
    ours: dict[str, Path] = {}
    for k, (name, file) in enumerate(originals.items()):
        try:
            data = dumps(loads(file.read_bytes(), file))
        except AnnotationFileError:
            continue
        ours[name] = write(root / "ours" / str(k), cases[name])
        ours[name].write_bytes(data)
    files = [*originals.values(), *ours.values()]
    visits = dict(zip(files, labelme.visit(files), strict=True))
    return {
        name: (visits[file].complaints, visits[ours[name]].complaints if name in ours else None)
        for name, file in originals.items()
    }


@pytest.mark.parametrize("name", READ)
def test_what_ours_reads_it_writes_so_that_labelme_opens_it(verdicts, name) -> None:
    _, of_ours = verdicts[name]
    assert of_ours == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(verdicts, name) -> None:
    _, of_ours = verdicts[name]
    assert of_ours is None


@pytest.mark.parametrize("name", READ | REFUSED)
def test_labelme_itself_takes_the_file_or_not(verdicts, name) -> None:
    """If labelme changes its mind, our reader should hear of it."""
    of_original, _ = verdicts[name]
    expected, _ = (READ | REFUSED)[name]
    assert (of_original == []) == expected, of_original
