"""What we write opens in labelme's own window and comes back the same; what labelme writes, we read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.annotation.labelme_json import dumps, loads
from core.annotation.locking import is_locked, with_lock
from core.annotation.model import Annotation, AnnotationState, JsonValue, Shape, ShapeType, frozen_points
from core.annotation.rasterize import shape_mask
from core.project.project import Project

pytestmark = [pytest.mark.labelme, pytest.mark.slow, pytest.mark.timeout(1200)]

SIZE_HW: Final = (60, 80)
SQUARE: Final = ((10.0, 10.0), (50.0, 12.0), (48.5, 50.25), (9.0, 45.0))
HOLE: Final = ((20.0, 20.0), (30.0, 20.5), (29.0, 30.0))
OTHER_HOLE: Final = ((35.0, 34.0), (42.0, 34.0), (42.0, 42.0), (35.0, 42.0))
UNKNOWN: Final[Mapping[str, JsonValue]] = {"score": 0.25, "source": {"by": ["a", None, True], "näme": "ü"}}
ORIENTATION_TAG: Final = 0x0112


def shape(shape_type: ShapeType, points: Any = SQUARE, **fields: Any) -> Shape:
    return Shape(fields.pop("label", "nerve"), shape_type, frozen_points(points), **fields)


def polygon(**fields: Any) -> Shape:
    return shape(ShapeType.POLYGON, **fields)


def holed(*holes: Any, **fields: Any) -> Shape:
    return polygon(holes=tuple(frozen_points(hole) for hole in holes), **fields)


def patch(x: int, y: int, height: int = 9, width: int = 7) -> Shape:
    """A mask shape with its upper left corner there."""
    mask = np.random.default_rng(5).random((height, width)) < 0.6
    return shape(ShapeType.MASK, [[x, y], [x + width - 1, y + height - 1]], mask=mask)


def annotation(*shapes: Shape, state: AnnotationState = AnnotationState.DONE, **fields: Any) -> Annotation:
    return Annotation("scan.png", SIZE_HW, shapes, state, **fields)


BY_TYPE: Final = {
    "polygon": polygon(),
    "polygon that leaves the image": polygon(points=[[-20.5, 5], [95, 30], [40, 80.25]]),
    "polygon with a hole": holed(HOLE),
    "polygon with two holes": holed(HOLE, OTHER_HOLE),
    "rectangle": shape(ShapeType.RECTANGLE, [[5.5, 6.0], [40.0, 30.0]]),
    "rectangle from its other corners": shape(ShapeType.RECTANGLE, [[40.0, 6.0], [5.5, 30.0]]),
    "oriented rectangle": shape(ShapeType.ORIENTED_RECTANGLE, [[20, 10], [40, 20], [35, 30], [15, 20]]),
    "circle": shape(ShapeType.CIRCLE, [[30.0, 30.0], [41.5, 33.0]]),
    "line": shape(ShapeType.LINE, [[3.0, 4.0], [70.0, 50.5]]),
    "line strip": shape(ShapeType.LINESTRIP, [[3.0, 4.0], [30.0, 8.0], [31.0, 40.0], [60.0, 41.0]]),
    "point": shape(ShapeType.POINT, [[12.25, 13.5]]),
    "points": shape(ShapeType.POINTS, [[12.25, 13.5], [40.0, 41.0], [60.0, 20.0]]),
    "mask": patch(20, 30),
    "mask that leaves the image": patch(-3, 55),
}

WHOLE: Final = {
    "nothing drawn": annotation(state=AnnotationState.UNLABELLED),
    "done and empty": annotation(),
    "in progress": annotation(polygon(), state=AnnotationState.IN_PROGRESS),
    "done": annotation(polygon()),
    "flags, groups, descriptions": annotation(
        polygon(flags={"occluded": True, "verdeckt": False}, group_id=7, description='two lines\nof "text"'),
        polygon(label="vessel", group_id=0),
        flags={"blurred": True, "checked": False},
    ),
    "labels of every script": annotation(
        *(polygon(label=label) for label in ("Gefäß", "神経", "нерв", "عصب", "a b, c", "🧠", "__ignore__"))
    ),
    "unknown keys": annotation(holed(HOLE, extra=UNKNOWN), patch(4, 4), extra={"tool": "x", **UNKNOWN}),
    "unknown values under our own key": annotation(
        polygon(extra={"maskloop": {"later": [1, 2]}}), extra={"maskloop": {"later": {"a": 1}}}
    ),
    "all types on each other": annotation(*BY_TYPE.values(), state=AnnotationState.IN_PROGRESS),
}

CASES: Final = {**{name: annotation(each) for name, each in BY_TYPE.items()}, **WHOLE}


@dataclass(frozen=True)
class Trip:
    """One file's way through labelme: what we wrote, what labelme saw, what we read then."""

    before: Annotation
    visit: Any
    after: Annotation
    record: dict[str, Any]


def write(folder: Path, content: Annotation | dict[str, Any]) -> Path:
    """An annotation beside its image, as bytes of ours or as another tool's JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "scan.png")
    file = folder / "scan.json"
    file.write_bytes(dumps(content) if isinstance(content, Annotation) else json.dumps(content).encode())
    return file


def read(file: Path) -> Annotation:
    return loads(file.read_bytes(), file)


def travel(labelme, folder: Path, cases: Mapping[str, Annotation], keys=()) -> dict[str, Trip]:
    """Send annotations through labelme's window, all in one process of labelme's."""
    files = {name: write(folder / str(number), case) for number, (name, case) in enumerate(cases.items())}
    visits = labelme.visit(files.values(), keys)
    return {
        name: Trip(cases[name], visit, read(file), json.loads(file.read_bytes()))
        for (name, file), visit in zip(files.items(), visits, strict=True)
    }


@pytest.fixture(scope="module")
def trips(labelme, tmp_path_factory) -> dict[str, Trip]:
    return travel(labelme, tmp_path_factory.mktemp("trips"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_labelme_opens_and_saves_it_without_complaint(trips, name) -> None:
    trip = trips[name]
    assert trip.visit.complaints == []
    assert trip.visit.saved
    assert trip.visit.size_hw == SIZE_HW
    assert [s["label"] for s in trip.visit.shapes] == [s.label for s in trip.before.shapes]
    assert [s["shape_type"] for s in trip.visit.shapes] == [s.shape_type for s in trip.before.shapes]


@pytest.mark.parametrize("name", CASES)
def test_it_comes_back_from_labelme_the_same(trips, name) -> None:
    trip = trips[name]
    assert trip.record["version"].startswith("7."), "labelme did not write this file"
    assert trip.after == replace(trip.before, version=trip.after.version)


@pytest.mark.parametrize("name", BY_TYPE)
def test_labelme_draws_the_mask_that_we_draw(trips, name) -> None:
    trip = trips[name]
    ours = shape_mask(trip.after.shapes[0], SIZE_HW)
    assert ours.any()
    assert np.array_equal(ours, shape_mask(trip.before.shapes[0], SIZE_HW))
    if trip.before.shapes[0].shape_type is ShapeType.POINTS:
        assert trip.visit.masks == {}, "labelme's exporter now draws points: compare them too"
    else:
        assert_drawn_alike(trip.after.shapes[0], trip.visit.masks[0])


def test_hundreds_of_random_shapes_come_back_the_same(labelme, tmp_path) -> None:
    generator = np.random.default_rng(11)
    cases = {str(k): annotation(*(random_shape(generator) for _ in range(25))) for k in range(12)}
    trips = travel(labelme, tmp_path, cases)
    for trip in trips.values():
        assert trip.visit.complaints == []
        assert trip.after == replace(trip.before, version=trip.after.version)
        for number, theirs in trip.visit.masks.items():
            assert_drawn_alike(trip.after.shapes[number], theirs)


def assert_drawn_alike(drawn: Shape, theirs: np.ndarray) -> None:
    """Pixel by pixel; only on the outlines of holes may a few pixels differ.

    labelme fills the seamed ring in one go, we take the holes' inside away and draw their outlines again:
    Pillow rounds fractional edges of the two a little differently.
    """
    differing = shape_mask(drawn, SIZE_HW) != theirs
    if drawn.holes:
        outlines = Image.new("L", SIZE_HW[::-1], 0)
        for hole in drawn.holes:
            ImageDraw.Draw(outlines).polygon([tuple(vertex) for vertex in hole], outline=1, width=3)
        assert not (differing & (np.asarray(outlines) == 0)).any()
        assert differing.sum() <= 4 * len(drawn.holes)
    else:
        assert np.argwhere(differing).tolist() == [], dumps(annotation(drawn)).decode()


def random_shape(generator: np.random.Generator) -> Shape:
    """Any shape that a person could draw, most of them polygons, half of those with one to three holes."""
    kind = generator.choice(list(ShapeType), p=[0.44] + [0.07] * 8)
    if kind == ShapeType.MASK:
        return patch(*generator.integers(-3, 70, 2).tolist(), *generator.integers(1, 20, 2).tolist())
    if kind == ShapeType.POLYGON:
        middle = generator.uniform((20, 20), (60, 40))
        outer = middle + _star(generator, count=int(generator.integers(3, 30)), least=14, most=24)
        count = int(generator.integers(0, 4))
        holes = [
            middle + 6 * np.array([np.cos(2.1 * k), np.sin(2.1 * k)]) + _star(generator, 5, 1.5, 3)
            for k in range(count)
        ]
        return holed(*holes, points=outer) if len(outer) >= 12 else polygon(points=outer)
    count = {ShapeType.POINT: 1, ShapeType.ORIENTED_RECTANGLE: 4, ShapeType.LINESTRIP: 5, ShapeType.POINTS: 3}
    return shape(ShapeType(kind), generator.uniform((-5, -5), (85, 65), (count.get(kind, 2), 2)))


def _star(generator: np.random.Generator, count: int, least: float, most: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return generator.uniform(least, most, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_holes_that_labelme_moved_are_still_holes(labelme, tmp_path) -> None:
    drawn = holed(HOLE, OTHER_HOLE)
    moved = travel(labelme, tmp_path, {"": annotation(drawn)}, [("A", "Control"), ("Right", "No")])[""]
    after = moved.after.shapes[0]
    step = after.points[0] - drawn.points[0]
    assert step[0] > 0
    assert len(after.holes) == 2
    for ring, before in zip((after.points, *after.holes), (drawn.points, *drawn.holes), strict=True):
        assert np.allclose(ring, before + step)


def test_a_locked_shape_stays_locked(labelme, tmp_path) -> None:
    drawn = annotation(with_lock(polygon(), locked=True), with_lock(patch(5, 5), locked=True), polygon())
    trip = travel(labelme, tmp_path, {"": drawn})[""]
    assert trip.visit.complaints == []
    assert [each["locked"] for each in trip.visit.shapes] == [True, True, False]
    assert [is_locked(each) for each in trip.after.shapes] == [True, True, False]
    assert trip.after.shapes == drawn.shapes


def test_labelmes_own_samples_saved_by_us_open_in_labelme_as_they_were(
    labelme, shared_data, tmp_path
) -> None:
    source = shared_data / "labelme" / "semantic_segmentation" / "data_annotated"
    if not source.is_dir():
        pytest.skip("labelme's sample images are not at hand")
    folder = tmp_path / "samples"
    shutil.copytree(source, folder)
    files = sorted(folder.glob("*.json"))
    before = [read(file) for file in files]
    with Project.open(folder) as project:
        for entry in project.images():
            loaded = project.load(entry)
            project.save(entry, loaded.annotation, loaded.digest, force=True)
    files = [file for file in files if file.name != "project.json"]
    assert all(b'"maskloop"' in file.read_bytes() for file in files), "these were saved by us"
    visits = labelme.visit(files)
    assert len(visits) == 3
    for file, original, visit in zip(files, before, visits, strict=True):
        assert visit.complaints == []
        assert visit.size_hw == original.size_hw
        assert read(file).shapes == original.shapes
        assert [s["points"] for s in visit.shapes] == [s.points.tolist() for s in original.shapes]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_of_a_turned_photograph_is_labelmes(labelme, tmp_path, orientation) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photograph.jpg", exif=exif)
    with Project.open(folder) as project:
        (entry,) = project.images()
        loaded = project.load(entry)
        size_hw = loaded.annotation.size_hw
        assert size_hw == (SIZE_HW if orientation in (1, 3) else SIZE_HW[::-1])
        drawn = replace(loaded.annotation, shapes=(polygon(),), state=AnnotationState.IN_PROGRESS)
        project.save(entry, drawn, loaded.digest)
        (visit,) = labelme.visit([entry.annotation_path])
        assert visit.complaints == []
        assert visit.size_hw == size_hw
        assert read(entry.annotation_path).shapes == drawn.shapes
