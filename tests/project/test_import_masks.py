"""Index masks in and out: the pixels are exact, and what does not fit is said file by file."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import Annotation, AnnotationState, ClassList
from core.formats import labelme, masks
from core.project import mask_store
from core.project.mask_file import read_index_mask
from core.project.project import ImageEntry, Project

Maker = Callable[..., Path]
NAMES = ("background", "nerve", "vessel")


def make_mask(path: Path, *, index: int = 1, size_hw: tuple[int, int] = (12, 16)) -> NDArray[np.uint8]:
    pixels = np.zeros(size_hw, np.uint8)
    pixels[3:8, 4:9] = index
    pixels[5, 6] = 0
    pixels[10:, :3] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", classes=NAMES) as opened:
        yield opened


def test_a_data_set_of_images_and_masks_comes_in_exactly(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    source = tmp_path / "set"
    pixels = make_mask(source / "masks" / "a.png")
    new_image(source / "images" / "a.jpg")
    new_image(source / "images" / "unlabelled.png")

    report = masks.import_into(project, source)

    assert (report.images, report.problems, report.new_classes) == (1, [], [])
    entry = project.entry("images/a.jpg")
    annotation = project.load(entry).annotation
    assert report.shapes == len(annotation.shapes)
    assert annotation.state is AnnotationState.DONE
    assert {shape.label for shape in annotation.shapes} == {"nerve", "__ignore__"}
    assert np.array_equal(project.render_mask(entry, annotation), pixels)
    assert np.array_equal(project.read_mask(entry), pixels)
    assert project.state_of(project.entry("images/unlabelled.png")) is AnnotationState.UNLABELLED


def test_importing_again_changes_nothing(
    project: Project, tmp_path: Path, new_image: Maker, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    source = tmp_path / "set"
    make_mask(source / "masks" / "a.png")
    new_image(source / "images" / "a.png")
    masks.import_into(project, source)
    before = snapshot(project.root)

    for folder in (source, project.root, project.layout.masks):
        report = masks.import_into(project, folder)
        assert (report.images, report.problems) == (0, [])

    assert snapshot(project.root) == before


def test_labels_that_exist_are_kept_and_said(project: Project, tmp_path: Path, new_image: Maker) -> None:
    source = tmp_path / "set"
    make_mask(source / "masks" / "a.png")
    new_image(source / "images" / "a.png")
    masks.import_into(project, source)
    before = project.load(project.entry("images/a.png")).digest
    make_mask(source / "masks" / "a.png", index=2)

    report = masks.import_into(project, source)

    assert [str(problem).split(": ")[0] for problem in report.problems] == [str(source / "masks" / "a.png")]
    assert project.load(project.entry("images/a.png")).digest == before


def test_masks_alone_find_the_projects_images(project: Project, tmp_path: Path, new_image: Maker) -> None:
    for name in ("a.png", "one/b.png", "two/b.png", "c.png", "c.jpg"):
        new_image(project.root / "images" / name)
    project.rescan()
    source = tmp_path / "ground truth"
    for name in ("a_mask", "one/b", "c.jpg"):
        make_mask(source / f"{name}.png")

    report = masks.import_into(project, source)

    assert report.problems == []
    labelled = {image.entry.key for image in project.labelled()}
    assert labelled == {"images/a.png", "images/one/b.png", "images/c.jpg"}


def test_pages_find_their_masks_in_subfolders_too(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "set"
    pages = [Image.new("L", (16, 12), value) for value in (9, 99, 199)]
    for folder in ("one", "two"):
        (source / "images" / folder).mkdir(parents=True)
        pages[0].save(source / "images" / folder / "stack.tif", save_all=True, append_images=pages[1:])
        for index, name in ((1, "stack"), (2, "stack#2"), (1, "stack#3")):
            make_mask(source / "masks" / folder / f"{name}.png", index=index)

    report = masks.import_into(project, source)

    assert (report.images, report.problems) == (6, [])
    for folder in ("one", "two"):
        pixels = project.read_mask(project.entry(f"images/{folder}/stack.tif#2"))
        assert pixels is not None
        assert 2 in pixels


def test_what_does_not_fit_is_said_file_by_file_and_the_rest_comes_in(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    source = tmp_path / "set"
    for stem in ("good", "small", "unknown", "broken", "photo"):
        new_image(source / "images" / f"{stem}.png")
    make_mask(source / "masks" / "good.png")
    make_mask(source / "masks" / "small.png", size_hw=(12, 15))
    make_mask(source / "masks" / "unknown.png", index=9)
    make_mask(source / "masks" / "stranger.png")
    (source / "masks" / "broken.png").write_bytes(b"x")
    Image.fromarray(np.arange(576, dtype=np.uint8).reshape(12, 16, 3)).save(source / "masks" / "photo.png")

    report = masks.import_into(project, source)

    assert report.images == 1
    sentences = {problem.path.name: problem.problem for problem in report.problems}
    assert sorted(sentences) == ["broken.png", "photo.png", "small.png", "stranger.png", "unknown.png"]
    assert "15 x 12" in sentences["small.png"]
    assert "class index 9" in sentences["unknown.png"]
    assert "colour picture" in sentences["photo.png"]
    assert "no image" in sentences["stranger.png"]
    assert [image.entry.key for image in project.labelled()] == ["images/good.png"]


def test_a_project_without_classes_of_its_own_takes_the_masks(tmp_path: Path, new_image: Maker) -> None:
    source = tmp_path / "set"
    pixels = make_mask(source / "masks" / "a.png", index=5)
    new_image(source / "images" / "a.png")

    with Project.create(tmp_path / "p") as project:
        report = masks.import_into(project, source)

        assert report.new_classes == ["class 5"]
        assert project.classes.indices == (0, 5)
        assert np.array_equal(project.read_mask(project.entry("images/a.png")), pixels)


def test_masks_of_0_and_255_alone_come_with_a_warning(tmp_path: Path, new_image: Maker) -> None:
    source = tmp_path / "set"
    make_mask(source / "masks" / "a.png", index=255)
    new_image(source / "images" / "a.png")

    with Project.create(tmp_path / "p") as project:
        report = masks.import_into(project, source)

    assert ["255 means unlabelled" in str(problem) for problem in report.problems] == [True]


def test_a_folder_without_masks_is_said(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    report = masks.import_into(project, tmp_path / "empty")

    assert ["no mask" in str(problem) for problem in report.problems] == [True]


def test_an_export_names_its_classes_and_another_project_reads_it(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    for name, index in (("one/a.png", 1), ("two/a.png", 2)):
        new_image(project.root / "images" / name, value=index)
        make_mask(tmp_path / "in" / name, index=index)
    project.rescan()
    masks.import_into(project, tmp_path / "in")

    report = masks.export_from(project, tmp_path / "out")

    assert sorted(path.name for path in report.files) == ["a.png", "a_2.png", "classes.json"]
    table = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [(row["index"], row["name"]) for row in table["classes"]] == list(enumerate(NAMES))
    shutil.copytree(tmp_path / "out", tmp_path / "set" / "masks")
    shutil.copy(project.root / "images/one/a.png", new_image(tmp_path / "set/images/a.png"))
    shutil.copy(project.root / "images/two/a.png", new_image(tmp_path / "set/images/a_2.png"))
    with Project.create(tmp_path / "other", classes=["background", "vessel"]) as other:
        again = masks.import_into(other, tmp_path / "set")
        assert (again.images, again.problems, again.new_classes) == (2, [], ["nerve"])
        assert other.read_mask(other.entry("images/a_2.png"))[4, 5] == 1  # vessel's index here


def test_exporting_again_replaces_only_what_was_exported(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    for stem in ("a", "b"):
        new_image(project.root / "images" / f"{stem}.png")
        make_mask(tmp_path / "in" / f"{stem}.png")
    project.rescan()
    masks.import_into(project, tmp_path / "in")
    out = tmp_path / "out"
    theirs = make_mask(out / "b.png", index=2)

    first = masks.export_from(project, out)
    project.delete_class(1)
    second = masks.export_from(project, out)

    for report in (first, second):
        assert [problem.path for problem in report.problems] == [out / "b.png"]
    assert np.array_equal(read_index_mask(out / "b.png"), theirs)
    assert read_index_mask(out / "a.png").max() == 255
    assert (read_index_mask(out / "a.png") == 1).sum() == 0


@pytest.mark.parametrize("noted_by", ["this version", "an earlier version"])
def test_exports_are_replaced_also_after_the_project_was_moved(
    project: Project, tmp_path: Path, new_image: Maker, noted_by: str
) -> None:
    new_image(project.root / "images" / "a.png")
    make_mask(tmp_path / "in" / "a.png")
    project.rescan()
    masks.import_into(project, tmp_path / "in")
    masks.export_from(project, project.layout.exports)
    root = project.root
    project.close()
    if noted_by == "this version":
        root = root.rename(root.with_name("moved"))
    else:  # which wrote absolute paths of folders
        manifest = project.layout.cache / "exports.jsonl"
        noted = [json.loads(line) for line in manifest.read_text().strip().splitlines()]
        files = {Path(name).name: content for name, content in noted}
        manifest.with_suffix(".json").write_text(json.dumps({str(project.layout.exports): files}))
        manifest.unlink()

    with Project.open(root) as again:
        again.delete_class(1)
        report = masks.export_from(again, again.layout.exports)

    assert report.problems == []
    assert read_index_mask(root / "exports" / "a.png").max() == 255


def test_ultrasound_masks_survive_the_way_in(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "set"
    stems = ["0000", "0007", "0036", "0058", "0101", "0199"]
    for kind in ("images", "masks"):
        (source / kind).mkdir(parents=True)
        for stem in stems:
            shutil.copy(shared_data / "nerve" / kind / f"{stem}.png", source / kind)

    with Project.create(tmp_path / "p", classes=NAMES) as project:
        report = masks.import_into(project, source)

        assert (report.images, report.problems) == (len(stems), [])
        assert {project.load(entry).annotation.size_hw for entry in project.images()} == {
            (512, 512),
            (632, 761),
            (512, 534),
        }
        for labelled in project.labelled():
            truth = np.asarray(Image.open(source / "masks" / labelled.entry.image_path.name))
            assert np.array_equal(labelled.mask, truth)


def test_masks_are_exported_one_at_a_time(
    project: Project, tmp_path: Path, new_image: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        new_image(project.root / "images" / f"{number}.png")
        make_mask(tmp_path / "in" / f"{number}.png")
    project.rescan()
    masks.import_into(project, tmp_path / "in")
    rendered, alive = mask_store.render_mask, list[weakref.ref[NDArray[np.uint8]]]()
    together: list[int] = []

    def render(entry: ImageEntry, annotation: Annotation, classes: ClassList) -> NDArray[np.uint8]:
        mask = rendered(entry, annotation, classes)
        alive.append(weakref.ref(mask))
        together.append(sum(each() is not None for each in alive))
        return mask

    monkeypatch.setattr(mask_store, "render_mask", render)
    report = masks.export_from(project, tmp_path / "out")

    assert len(report.files) == 6
    assert max(together) <= 2


def test_masks_of_another_project_mean_the_classes_of_that_project(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    new_image(project.root / "images" / "a.png")
    project.rescan()
    new_image(tmp_path / "other" / "images" / "a.png")
    with Project.create(tmp_path / "other", classes=["background", "vessel", "nerve", "bone"]) as other:
        make_mask(tmp_path / "in" / "a.png", index=1)
        masks.import_into(other, tmp_path / "in")

    report = masks.import_into(project, tmp_path / "other")

    assert (report.images, report.problems, report.new_classes) == (1, [], [])
    shapes = project.load(project.entry("images/a.png")).annotation.shapes
    assert {shape.label for shape in shapes} == {"vessel", "__ignore__"}


def test_a_table_can_say_which_value_is_to_be_ignored(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    new_image(project.root / "images" / "a.png")
    project.rescan()
    pixels = make_mask(tmp_path / "in" / "a.png", index=7)
    names = {"0": "background", "7": "__ignore__"}
    (tmp_path / "in" / "classes.json").write_text(json.dumps(names))

    report = masks.import_into(project, tmp_path / "in")

    assert (report.images, report.problems, report.new_classes) == (1, [], [])
    found = project.read_mask(project.entry("images/a.png"))
    assert np.array_equal(found == 255, pixels > 0)


def test_images_may_lie_beside_their_masks(project: Project, tmp_path: Path, new_image: Maker) -> None:
    for name in ("a.png", "b.jpg"):
        new_image(tmp_path / "in" / name)
        new_image(project.root / "images" / name)
    project.rescan()
    for name in ("a_mask", "b"):
        make_mask(tmp_path / "in" / f"{name}.png")

    report = masks.import_into(project, tmp_path / "in")

    assert (report.images, report.problems) == (2, [])


def test_a_jpeg_is_no_mask(project: Project, tmp_path: Path, new_image: Maker) -> None:
    new_image(project.root / "images" / "a.png")
    project.rescan()
    make_mask(tmp_path / "in" / "a.jpg")

    report = masks.import_into(project, tmp_path / "in")

    assert report.images == 0
    assert ["is a JPEG, which keeps no exact values" in str(problem) for problem in report.problems] == [True]


def test_masks_of_two_images_of_one_stem_find_back(
    project: Project, tmp_path: Path, new_image: Maker
) -> None:
    for index, name in enumerate(("a.jpg", "a.png"), 1):
        new_image(project.root / "images" / name)
        new_image(tmp_path / "other" / "images" / name)
        make_mask(tmp_path / "in" / f"{name}.png", index=index)
    project.rescan()
    masks.import_into(project, tmp_path / "in")

    report = masks.export_from(project, tmp_path / "out")
    labels = labelme.export_from(project, tmp_path / "labels")

    assert [path.name for path in report.files] == ["a.png", "a.png.png", "classes.json"]
    assert [path.name for path in labels.files] == ["a.json", "a.png.json"]
    with Project.create(tmp_path / "other", classes=NAMES) as other:
        again = masks.import_into(other, tmp_path / "out")
        assert (again.images, again.problems) == (2, [])
        for key in ("images/a.jpg", "images/a.png"):
            assert np.array_equal(other.read_mask(other.entry(key)), project.read_mask(project.entry(key)))
