"""labelme's JSON: nothing is lost on the way through, and what cannot be read says which field and why."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from core.errors import AnnotationFileError

SQUARE = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]
HOLE = [[2.0, 2.0], [4.0, 2.0], [4.0, 4.0], [2.0, 4.0]]


def record(**changes: Any) -> dict[str, Any]:
    shape = {
        "label": "nerve",
        "points": SQUARE,
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    return {key: value for key, value in (shape | changes).items() if value is not ...}


def file(*shapes: Any, **changes: Any) -> dict[str, Any]:
    whole = {
        "version": "5.8.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 20,
        "imageWidth": 30,
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def read(content: Any) -> Annotation:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return loads(data, "folder/a.json")


def refusal(content: Any) -> str:
    with pytest.raises(AnnotationFileError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("folder/a.json: ")
    return message.removeprefix("folder/a.json: ")


def png(mask: Any, mode: str = "L") -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, dtype=np.uint8)).convert(mode).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mask_record(**changes: Any) -> dict[str, Any]:
    corners = [[3, 4], [5, 5]]
    return record(shape_type="mask", points=corners, mask=png([[0, 1, 255], [7, 0, 0]])) | changes


# --- written ----------------------------------------------------------------------------------------------


def test_a_file_is_written_the_way_labelme_writes_it() -> None:
    shape = Shape("größe", ShapeType.POLYGON, frozen_points(SQUARE[:3]), extra={"score": 0.5})
    annotation = Annotation(
        "bilder/a.jpg", (20, 30), (shape,), AnnotationState.DONE, extra={"camera": [1, 2]}
    )
    expected = """{
  "version": "5.5.0",
  "flags": {},
  "shapes": [
    {
      "score": 0.5,
      "label": "größe",
      "points": [
        [
          0.0,
          0.0
        ],
        [
          10.0,
          0.0
        ],
        [
          10.0,
          10.0
        ]
      ],
      "group_id": null,
      "description": "",
      "shape_type": "polygon",
      "flags": {},
      "mask": null
    }
  ],
  "imagePath": "bilder/a.jpg",
  "imageData": null,
  "imageHeight": 20,
  "imageWidth": 30,
  "camera": [
    1,
    2
  ],
  "maskloop": {
    "schema": 1,
    "state": "done"
  }
}"""
    assert dumps(annotation).decode("utf-8") == expected


def test_a_polygon_with_holes_is_one_ring_for_other_readers() -> None:
    shape = Shape("a", ShapeType.POLYGON, frozen_points(SQUARE), (frozen_points(HOLE),))
    written = json.loads(dumps(Annotation("a.jpg", (20, 30), (shape,))))["shapes"][0]
    assert list(written) == ["maskloop", *record()]
    assert written["maskloop"] == {"ring_starts": [2]}
    assert written["points"] == [*SQUARE[:2], *HOLE, HOLE[0], SQUARE[1], *SQUARE[2:]]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape("a", ShapeType.LINE, frozen_points(SQUARE[:2]), (frozen_points(HOLE),)), "cannot have holes"),
        (Shape("a", ShapeType.POLYGON, frozen_points([])), "there must be points"),
        (Shape("a", ShapeType.POINT, frozen_points([(math.nan, 0)])), "all of them numbers"),
        (Shape("a", ShapeType.MASK, frozen_points(SQUARE[:2])), "a mask shape has a mask"),
    ],
)
def test_what_no_reader_would_accept_is_never_written(shape, message) -> None:
    good = Shape("a", ShapeType.POLYGON, frozen_points(SQUARE))
    with pytest.raises(ValueError, match=rf"shapes\[1\].*{message}"):
        dumps(Annotation("a.jpg", shapes=(good, shape)))


# --- through and back -------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
KNOWN = {"maskloop", *record(), *file()}
extras = st.dictionaries(texts.filter(lambda key: key not in KNOWN), json_values, max_size=3)
floats = st.floats(-1e6, 1e6) | st.integers(-100, 5000).map(float)


@st.composite
def shapes(draw) -> Shape:
    shape_type = draw(st.sampled_from(ShapeType))
    fewest = {"polygon": 3, "oriented_rectangle": 4, "point": 1, "points": 1}.get(shape_type, 2)
    growing = shape_type in ("polygon", "linestrip", "points")
    count = draw(st.integers(fewest, fewest + 5)) if growing else fewest
    points = draw(st.lists(st.tuples(floats, floats), min_size=count, max_size=count))
    mask, holes = None, ()
    if shape_type is ShapeType.MASK:
        height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        mask = np.array(draw(st.binary(min_size=height * width, max_size=height * width)))
        mask = np.frombuffer(mask.item().ljust(height * width, b"\0"), np.uint8).reshape(height, width) > 99
        points = [(5, 6), (5 + width - 1, 6 + height - 1)]
    elif shape_type is ShapeType.POLYGON and draw(st.booleans()):
        points, holes = SQUARE, (np.roll(HOLE, draw(st.integers(0, 3)), axis=0), np.add(HOLE, 4))
    return Shape(
        draw(texts),
        shape_type,
        frozen_points(points),
        tuple(frozen_points(hole) for hole in holes),
        draw(st.none() | st.integers(-5, 5)),
        draw(texts),
        draw(st.dictionaries(texts, st.booleans(), max_size=2)),
        mask,
        draw(extras),
    )


annotations = st.builds(
    Annotation,
    image_path=texts.map(lambda text: text.replace("\\", "/")),
    size_hw=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    shapes=st.lists(shapes(), max_size=4).map(tuple),
    state=st.sampled_from([AnnotationState.IN_PROGRESS, AnnotationState.DONE]),
    flags=st.dictionaries(texts, st.booleans(), max_size=2),
    image_data=st.none() | st.just("/9j/4AAQ"),
    version=st.sampled_from(["3.16.7", "5.5.0"]),
    extra=extras,
)


@given(annotations)
@settings(max_examples=200, deadline=None)
def test_an_annotation_comes_back_as_it_was(annotation) -> None:
    data = dumps(annotation)
    assert loads(data, "a.json") == annotation
    assert dumps(loads(data, "a.json")) == data


def test_unknown_keys_survive_in_their_order_even_inside_our_own() -> None:
    content = file(
        record(line_color=[1, 2, 3], maskloop={"ring_starts": [1], "origin": "network"}),
        zulu=1,
        maskloop={"schema": 1, "state": "in_progress", "seconds": 12.5},
        alpha={"deep": [None, "x"]},
    )
    annotation = read(content)
    written = json.loads(dumps(annotation))
    assert list(written)[7:] == ["zulu", "alpha", "maskloop"]
    assert written["maskloop"] == {"schema": 1, "state": "in_progress", "seconds": 12.5}
    assert written["alpha"] == {"deep": [None, "x"]}
    assert list(written["shapes"][0])[:2] == ["line_color", "maskloop"]
    # The seams did not fit these points, so there is no hole; what is not ours to judge stays.
    assert written["shapes"][0]["maskloop"] == {"origin": "network"}
    assert loads(dumps(annotation), "a.json") == annotation


def test_a_foreign_polygon_that_crosses_itself_comes_through_unchanged() -> None:
    bowtie = [[0.1, 0.2], [10.3, 10.4], [10.5, 0.6], [0.7, 10.8], [0.1, 0.2]]
    outside = [[-1e7, -3.5], [1e9, 2], [5, 1e9]]
    written = json.loads(dumps(read(file(record(points=bowtie), record(points=outside)))))
    assert written["shapes"][0]["points"] == bowtie
    assert written["shapes"][1]["points"] == outside


def test_what_strict_json_has_no_word_for_is_kept_too() -> None:
    content = b"""{"shapes": [{"label": "a", "points": [[1, 2]], "shape_type": "point", "score": NaN}],
        "imagePath": "a.jpg", "imageData": null, "huge": 123456789012345678901234567890, "half": "\\ud800"}"""
    annotation = read(content)
    again = loads(dumps(annotation), "a.json")
    assert math.isnan(again.shapes[0].extra["score"])  # type: ignore[arg-type]
    assert again.extra == annotation.extra == {"huge": 123456789012345678901234567890, "half": "\ud800"}


def test_plain_shapes_and_others_keep_their_order() -> None:
    """Plain ones are read in a quick way of their own, many at a time."""
    kinds = [
        lambda k: record(label=f"{k}", points=[[k, 0], [k + 5, 0.5], [k, 9]]),
        lambda k: record(label=f"{k}", points=[[k, 1], [4, 2]], shape_type="rectangle", group_id=k),
        lambda k: mask_record(label=f"{k}"),
        lambda k: record(label=f"{k}", locked=True),
        lambda k: record(
            label=f"{k}", points=[[k, 1], [4, 2], [5, 3]], shape_type="line", flags={"hard": True}
        ),
        lambda k: record(label=f"{k}", other=[k], maskloop={"of": "ours"}),
    ]
    whole = file(*(kinds[k * 7 % 6](k) for k in range(1300)))
    found = read(whole)
    lenient = read(json.dumps(whole).encode("utf-16"))  # which no strict reader takes
    assert found == lenient
    assert [shape.label for shape in found.shapes] == [f"{k}" for k in range(1300)]
    assert sum(shape.flags == {"hard": True} for shape in found.shapes) > 200
    assert dumps(found) == dumps(lenient)
    assert read(dumps(found)).shapes == found.shapes


def test_one_bad_shape_among_thousands_is_named() -> None:
    shapes = [record() for _ in range(1300)]
    shapes[777]["points"] = [[1, 2], [3, "4"], [5, 6]]
    assert refusal(file(*shapes)).startswith("shapes[777].points[1]: must be two numbers")


def test_a_flag_of_the_name_shapes_is_a_flag() -> None:
    content = file(*(record() for _ in range(3)), flags={"shapes": True})
    assert json.loads(dumps(read(content)))["flags"] == {"shapes": True}


def test_ten_thousand_polygons_come_through() -> None:
    ring = np.stack([np.cos(np.arange(20)), np.sin(np.arange(20))], axis=1) * 30
    many = tuple(Shape("a", ShapeType.POLYGON, frozen_points(ring + k / 7)) for k in range(10_000))
    annotation = Annotation("a.jpg", (2048, 2048), many, AnnotationState.DONE)
    assert loads(dumps(annotation), "a.json") == annotation


# --- state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [AnnotationState.IN_PROGRESS, AnnotationState.DONE])
@pytest.mark.parametrize("with_shapes", [True, False])
def test_the_state_is_kept(state, with_shapes) -> None:
    drawn = read(file(record())).shapes if with_shapes else ()
    assert loads(dumps(Annotation("a.jpg", shapes=drawn, state=state)), "a.json").state is state


def test_a_file_of_labelmes_own_is_done_if_it_has_shapes() -> None:
    assert read(file(record())).state is AnnotationState.DONE
    assert read(file()).state is AnnotationState.UNLABELLED


def test_an_unlabelled_image_gets_no_key_of_ours() -> None:
    assert "maskloop" not in json.loads(dumps(Annotation("a.jpg")))


def test_shapes_without_a_state_are_in_progress_not_done() -> None:
    shape = Shape("a", ShapeType.POLYGON, frozen_points(SQUARE))
    written = dumps(Annotation("a.jpg", shapes=(shape,), state=AnnotationState.UNLABELLED))
    assert loads(written, "a.json").state is AnnotationState.IN_PROGRESS


# --- holes ------------------------------------------------------------------------------------------------


def with_hole() -> dict[str, Any]:
    holes = (frozen_points(HOLE[2:] + HOLE[:2]),)
    shape = Shape("a", ShapeType.POLYGON, frozen_points(SQUARE), holes)
    return json.loads(dumps(Annotation("a.jpg", (20, 30), (shape,))))


def test_holes_come_back_with_the_same_vertex_first() -> None:
    [shape] = read(with_hole()).shapes
    assert shape.points.tolist() == SQUARE
    assert shape.holes[0].tolist() == HOLE[2:] + HOLE[:2]


def test_a_vertex_moved_elsewhere_keeps_the_hole_and_a_broken_seam_loses_it() -> None:
    content = with_hole()
    content["shapes"][0]["points"][8] = [12.0, 12.0]
    assert read(content).shapes[0].points.tolist()[2] == [12, 12]
    assert len(read(content).shapes[0].holes) == 1
    content["shapes"][0]["points"][1] = [3.0, 3.0]
    [shape] = read(content).shapes
    assert shape.holes == ()
    assert shape.points.tolist() == content["shapes"][0]["points"]
    assert "maskloop" not in shape.extra


@pytest.mark.parametrize("starts", [None, "1", [1.5], [True], [10**30], {"a": 1}, []])
def test_a_spoiled_hint_is_no_hint(starts) -> None:
    content = with_hole()
    content["shapes"][0]["maskloop"]["ring_starts"] = starts
    assert read(content).shapes[0].holes == ()


# --- read leniently ---------------------------------------------------------------------------------------


def test_files_of_old_versions_are_read() -> None:
    old = {
        "version": "3.16.7",
        "flags": None,
        "shapes": [
            {"label": "a", "line_color": None, "fill_color": None, "points": [[0, 0], [5, 0], [5, 5]]}
        ],
        "lineColor": [0, 255, 0, 128],
        "fillColor": [255, 0, 0, 128],
        "imagePath": "..\\images\\a.jpg",
        "imageData": None,
    }
    annotation = read(old)
    assert annotation.image_path == "../images/a.jpg"
    assert annotation.version == "3.16.7"
    assert annotation.size_hw is None
    [shape] = annotation.shapes
    assert (shape.shape_type, shape.group_id, shape.description) == (ShapeType.POLYGON, None, "")
    assert (dict(shape.flags), shape.mask, dict(annotation.flags)) == ({}, None, {})
    assert dict(shape.extra) == {"line_color": None, "fill_color": None}
    assert list(annotation.extra) == ["lineColor", "fillColor"]


def test_null_and_missing_fields_mean_empty_ones() -> None:
    bare = read(file(record(group_id=..., description=None, flags=None, mask=..., shape_type=None)))
    assert bare.shapes == read(file(record())).shapes
    assert read(file(imageData=..., version=..., imageHeight=None)).size_hw is None


@pytest.mark.parametrize("locked", [False, None])
def test_a_shape_that_is_not_locked_is_written_without_the_key(locked) -> None:
    again = json.loads(dumps(read(file(record(locked=locked)))))
    assert "locked" not in again["shapes"][0]  # labelme refuses null


def test_whole_numbers_may_be_written_with_a_point() -> None:
    annotation = read(file(record(group_id=3.0), imageHeight=20.0))
    assert annotation.size_hw == (20, 30)
    assert annotation.shapes[0].group_id == 3
    assert isinstance(annotation.shapes[0].group_id, int)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_tolerated(encoding) -> None:
    content = json.dumps(file(record(label="Gefäß")), ensure_ascii=False).encode(encoding)
    assert read(content).shapes[0].label == "Gefäß"


@pytest.mark.parametrize(
    ("written", "points", "shape_type", "expected"),
    [
        ("rectangle", [[1, 2], [5, 2], [5, 8], [1, 8]], ShapeType.RECTANGLE, [[1, 2], [5, 8]]),
        ("rectangle", [[5, 8], [5, 2], [1, 2], [1, 8]], ShapeType.RECTANGLE, [[5, 8], [1, 2]]),
        ("rectangle", [[1, 2], [5, 2], [5, 8], [1, 8], [1, 2]], ShapeType.RECTANGLE, [[1, 2], [5, 8]]),
        ("rectangle", [[1, 2], [5, 3], [4, 8], [0, 7]], ShapeType.POLYGON, None),
        ("rectangle", [[1, 2], [5, 8], [5, 2], [1, 8]], ShapeType.POLYGON, None),
        ("rectangle", [[1, 2], [5, 3], [4, 8]], ShapeType.POLYGON, None),
        ("oriented_rectangle", [[1, 2], [5, 3], [4, 8], [2, 9], [0, 7]], ShapeType.POLYGON, None),
        ("line", [[1, 2], [5, 3], [4, 8]], ShapeType.LINESTRIP, None),
        ("point", [[1, 2], [5, 3]], ShapeType.POINTS, None),
    ],
)
def test_careless_point_counts_become_the_shape_they_draw(written, points, shape_type, expected) -> None:
    [shape] = read(file(record(shape_type=written, points=points))).shapes
    assert shape.shape_type is shape_type
    assert shape.points.tolist() == (expected or points)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "LA", "RGBA"])
def test_a_mask_is_inside_where_its_png_is_not_zero(mode) -> None:
    image = png([[0, 255, 255], [255, 0, 0]], mode)
    [shape] = read(file(mask_record(mask=image, points=[[5, 5], [3, 4]]))).shapes
    assert shape.mask is not None
    assert shape.mask.tolist() == [[False, True, True], [True, False, False]]
    assert shape.points.tolist() == [[3, 4], [5, 5]]


# --- refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": ...}, "shapes[1].label: must be text, not nothing"),
        ({"label": 7}, "shapes[1].label: must be text, not 7"),
        ({"points": ...}, "shapes[1].points: must be a list of [x, y], not nothing"),
        ({"points": []}, "shapes[1].points: is empty"),
        ({"points": SQUARE[:2]}, "shapes[1].points: a polygon needs at least 3 points, not 2"),
        ({"points": [*SQUARE, [1]]}, "shapes[1].points[4]: must be [x, y], not a list of 1"),
        ({"points": [*SQUARE, [1, 2, 3]]}, "shapes[1].points[4]: must be [x, y], not a list of 3"),
        ({"points": [*SQUARE, [1, "2"]]}, 'shapes[1].points[4]: must be two numbers, not "2"'),
        ({"points": [*SQUARE, [None, 2]]}, "shapes[1].points[4]: must be two numbers, not nothing"),
        ({"points": [*SQUARE, [True, 2]]}, "shapes[1].points[4]: must be two numbers, not true"),
        ({"points": [*SQUARE, [float("nan"), 2]]}, "shapes[1].points[4]: is not a finite number"),
        ({"points": [*SQUARE, [1, float("inf")]]}, "shapes[1].points[4]: is not a finite number"),
        ({"points": [*SQUARE, [1, 10**400]]}, "shapes[1].points: has a number that is too large"),
        ({"shape_type": "blob"}, "shapes[1].shape_type: 'blob' is none of polygon, rectangle,"),
        ({"shape_type": ["polygon"]}, "shapes[1].shape_type: ['polygon'] is none of"),
        ({"shape_type": "circle"}, "shapes[1].points: a circle needs exactly 2 points, not 4"),
        ({"shape_type": "rectangle", "points": SQUARE[:1]}, "a rectangle needs exactly 2 points, not 1"),
        ({"shape_type": "linestrip", "points": SQUARE[:1]}, "a linestrip needs at least 2 points, not 1"),
        ({"group_id": True}, "shapes[1].group_id: must be a whole number or null, not true"),
        ({"group_id": 1.5}, "shapes[1].group_id: must be a whole number or null, not 1.5"),
        ({"description": 5}, "shapes[1].description: must be text or null, not 5"),
        ({"flags": ["hard"]}, "shapes[1].flags: must be an object of true and false, not a list of 1"),
        ({"flags": {"hard": 1}}, "shapes[1].flags.hard: must be true or false, not 1"),
        ({"mask": "abcd"}, "shapes[1].mask: must be null, because the shape_type is polygon"),
        ({"locked": 1}, "shapes[1].locked: must be true or false, not 1"),
        ({"maskloop": 3}, "shapes[1].maskloop: must be an object, not 3"),
        (mask_record(mask=None), "shapes[1].mask: must be a PNG in base64, not nothing"),
        (mask_record(mask="%%%"), "shapes[1].mask: is not a PNG in base64"),
        (mask_record(mask=base64.b64encode(b"GIF89a").decode()), "shapes[1].mask: is not a PNG in base64"),
        (mask_record(mask=mask_record()["mask"][:60]), "shapes[1].mask: is not a PNG in base64"),
        (
            mask_record(points=[[3, 4], [50, 5]]),
            "shapes[1].mask: is 3 x 2 pixels, but its points span 48",
        ),
    ],
)
def test_a_shape_that_cannot_be_read_is_refused_by_its_field(changes, expected) -> None:
    message = refusal(file(record(), record(**changes)))
    assert message.startswith(expected) or expected in message
    assert "mend it in a text editor or remove the shape; the file is left as it is" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shapes": None}, "shapes: must be a list, not nothing"),
        ({"shapes": {}}, "shapes: must be a list, not an object"),
        ({"shapes": [5]}, "shapes[0]: must be an object, not 5"),
        ({"imagePath": ...}, "imagePath: must be the image's file name, not nothing"),
        ({"imageData": 5}, "imageData: must be text or null, not 5"),
        ({"imageHeight": "20"}, 'imageHeight: must be the image\'s size in pixels, not "20"'),
        ({"imageWidth": 0}, "imageWidth: must be the image's size in pixels, not 0"),
        ({"imageWidth": True}, "imageWidth: must be the image's size in pixels, not true"),
        ({"flags": {"good": "yes"}}, 'flags.good: must be true or false, not "yes"'),
        ({"version": []}, "version: must be text, not a list of 0"),
        ({"maskloop": []}, "maskloop: must be an object, not a list of 0"),
        (
            {"maskloop": {"state": "finished"}},
            "maskloop.state: 'finished' is none of unlabelled,",
        ),
        ({"maskloop": {"schema": "1"}}, 'maskloop.schema: must be a whole number, not "1"'),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_field(changes, expected) -> None:
    assert refusal(file(**changes)).startswith(expected)


def test_a_newer_schema_is_refused_rather_than_misread() -> None:
    message = refusal(file(record(), maskloop={"schema": 2, "state": "done"}))
    assert "written by a newer Maskloop" in message
    assert "update" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\0" * 4096, "is empty"),
        (b"[1, 2]", "holds a list of 2, not a labelme annotation"),
        (b"null", "holds nothing, not a labelme annotation"),
        (b'{"images": [], "annotations": []}', "is JSON but not labelme's: it has no `shapes`"),
        (b"\xff\xd8\xff\xe0 JPEG", "is not UTF-8 text (byte 0)"),
        ('{"shapes": "Gefäß"}'.encode("latin-1"), "is not UTF-8 text (byte 15)"),
        (b"{'shapes': []}", "is not valid JSON"),
        (b"[" * 100_000, "is JSON that cannot be read"),
        (b'{"shapes": ' + b"9" * 5000 + b"}", "is JSON that cannot be read"),
    ],
)
def test_what_is_no_annotation_says_what_it_is(content, expected) -> None:
    message = refusal(content)
    assert message.startswith(expected)
    assert "move it away" in message


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    data = dumps(read(file(record(label="a b"), record())))
    for length in range(1, len(data) - 1, 7):
        message = refusal(data[:length])
        assert "is cut off" in message or "is not valid JSON" in message
        assert "restore it from a backup" in message
    assert refusal(data[: data.index(b"a b") + 2]).startswith("is cut off at line 6")
