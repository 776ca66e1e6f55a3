"""Images outside the project's folder: the project keeps their labels, whatever folders come and go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.annotation.model import Shape, ShapeType, frozen_points
from core.cli.main import main
from core.formats import labelme
from core.project.project import Project

Maker = Callable[..., Path]


def draw(project: Project, key: str, label: str) -> None:
    loaded = project.load(project.entry(key))
    shape = Shape(label, ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
    project.save(project.entry(key), replace(loaded.annotation, shapes=(shape,)), loaded.digest)


def labels(project: Project) -> dict[str, list[str]]:
    return {
        entry.key: [shape.label for shape in project.load(entry).annotation.shapes]
        for entry in project.images()
    }


def edit_project_json(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / "project.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_images_outside_keep_their_annotations_in_the_project(
    tmp_path: Path, new_image: Maker, new_labelme: Maker, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    outside = tmp_path / "camera"
    new_image(outside / "day 1" / "a.png")
    new_labelme(outside / "day 1" / "a.json", "a.png", "car")
    new_image(outside / "b.png")
    before = snapshot(outside)

    with Project.create(tmp_path / "p", image_roots=(outside,)) as project:
        entry = project.entry("../camera/day 1/a.png")
        loaded = project.load(entry)
        assert [shape.label for shape in loaded.annotation.shapes] == ["car"]
        assert loaded.digest is None
        project.save(entry, loaded.annotation, loaded.digest)
        project.write_mask(entry, project.render_mask(entry, loaded.annotation))

        saved = project.root / "annotations" / "camera" / "day 1" / "a.json"
        assert json.loads(saved.read_text())["imagePath"] == "../../../../camera/day 1/a.png"
        assert entry.mask_path == project.root / "masks" / "camera" / "day 1" / "a.png"
        assert project.load(entry).digest is not None
        project.rename_class(project.classes.by_name("car").index, "truck")
        assert [s.label for s in project.load(entry).annotation.shapes] == ["truck"]

    assert snapshot(outside) == before
    with Project.open(tmp_path / "p") as project:
        assert len(project.images()) == 2
        assert project.classes.names == ("background", "truck")


def test_two_outside_folders_of_one_name_do_not_share(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "x" / "cam" / "a.png")
    new_image(tmp_path / "y" / "cam" / "a.png")

    with Project.create(tmp_path / "p", image_roots=("../x/cam", "../y/cam")) as project:
        first, second = project.images()

    assert first.annotation_path != second.annotation_path
    assert first.mask_path != second.mask_path


def test_labels_of_images_outside_stay_when_an_import_makes_a_folder_of_that_name(
    tmp_path: Path, new_image: Maker, labelme_folder: Path
) -> None:
    new_image(tmp_path / "data" / "images" / "q.png")
    with Project.create(tmp_path / "p", classes=["one"], image_roots=("../data/images",)) as project:
        draw(project, "../data/images/q.png", "one")
        labelme.import_into(project, labelme_folder)

    with Project.open(tmp_path / "p") as project:
        assert labels(project)["../data/images/q.png"] == ["one"]
        assert labels(project)["images/a.png"] == ["leaf", "stem"]


@pytest.fixture
def two_cameras(tmp_path: Path, new_image: Maker) -> Path:
    """A project with an image of one name, drawn differently, in two folders of one name."""
    for camera in ("cam1", "cam2"):
        new_image(tmp_path / camera / "frames" / "001.png")
    roots = ("../cam1/frames",)
    with Project.create(tmp_path / "p", classes=["one", "two"], image_roots=roots) as project:
        project.add_image_root(tmp_path / "cam2" / "frames")
        draw(project, "../cam1/frames/001.png", "one")
        draw(project, "../cam2/frames/001.png", "two")
    return tmp_path / "p"


def test_a_folder_that_is_removed_leaves_its_labels_to_no_other(two_cameras: Path, tmp_path: Path) -> None:
    (tmp_path / "cam1" / "frames" / "001.png").unlink()
    edit_project_json(two_cameras, lambda record: record["image_roots"].remove("../cam1/frames"))

    with Project.open(two_cameras) as project:
        assert labels(project) == {"../cam2/frames/001.png": ["two"]}
        (problem,) = project.problems
        assert problem.path == two_cameras / "annotations" / "frames"
        assert "has labels of images in ../cam1/frames, which is no image root any more" in problem.problem


def test_labels_follow_images_that_have_moved_as_the_problem_says(two_cameras: Path, tmp_path: Path) -> None:
    (tmp_path / "cam1").rename(tmp_path / "disk")

    def moved(record: dict[str, Any]) -> None:
        record["image_roots"][0] = "../disk/frames"
        slots = record["settings"]["annotation_folders"]
        slots["../disk/frames"] = slots.pop("../cam1/frames")

    edit_project_json(two_cameras, moved)
    with Project.open(two_cameras) as project:
        assert labels(project) == {"../cam2/frames/001.png": ["two"], "../disk/frames/001.png": ["one"]}
        assert project.problems == []


def test_a_project_of_an_earlier_version_keeps_its_labels_and_notes_their_folders(two_cameras: Path) -> None:
    slots = {"../cam1/frames": "frames", "../cam2/frames": "frames-2"}
    edit_project_json(two_cameras, lambda record: record["settings"].clear())

    with Project.open(two_cameras, lock=False) as project:
        assert labels(project) == {"../cam1/frames/001.png": ["one"], "../cam2/frames/001.png": ["two"]}
    with Project.open(two_cameras) as project:
        assert labels(project) == {"../cam1/frames/001.png": ["one"], "../cam2/frames/001.png": ["two"]}
    assert json.loads((two_cameras / "project.json").read_text())["settings"] == {"annotation_folders": slots}


def test_a_project_is_made_for_images_on_another_drive(
    tmp_path: Path, new_image: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_image(tmp_path / "camera" / "a.png")

    def on_another_drive(*_paths: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")  # as on Windows

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "relpath", on_another_drive)
        assert main(["init", str(tmp_path / "p"), "--images", str(tmp_path / "camera")]) == 0

    with Project.open(tmp_path / "p") as project:
        assert [entry.image_path for entry in project.images()] == [tmp_path / "camera" / "a.png"]
