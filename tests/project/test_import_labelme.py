"""labelme folders in and out; nothing is overwritten."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.formats import labelme
from core.project.project import Project

Maker = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as opened:
        yield opened


def test_a_folder_comes_in_with_images_labels_and_masks(
    project: Project, labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    before = snapshot(labelme_folder)

    report = labelme.import_into(project, labelme_folder)

    assert snapshot(labelme_folder) == before
    assert (report.images, report.shapes, report.problems) == (3, 6, [])
    assert report.new_classes == ["stem", "leaf", "flower", "root"]
    assert [entry.key for entry in project.images()] == ["images/a.png", "images/b.png", "images/c.png"]
    for image in project.labelled():
        assert np.array_equal(project.read_mask(image.entry), image.mask)
    assert project.usage(2) == 2


def test_importing_again_or_onto_itself_changes_nothing(
    project: Project, labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    labelme.import_into(project, labelme_folder)
    before = snapshot(project.root)

    for source in (labelme_folder, project.root, project.root / "images"):
        report = labelme.import_into(project, source)
        assert (report.images, report.shapes, report.problems) == (0, 0, [])

    assert snapshot(project.root) == before


def test_a_folder_opened_in_place_can_be_imported_onto_itself(
    labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    with Project.open(labelme_folder) as project:
        before = snapshot(labelme_folder)
        report = labelme.import_into(project, labelme_folder)

        assert (report.images, report.problems) == (0, [])
        assert snapshot(labelme_folder) == before


def test_a_broken_annotation_is_said_when_its_project_is_imported_onto_itself(
    project: Project, labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    labelme.import_into(project, labelme_folder)
    project.images()[0].annotation_path.write_text('{"shapes": [')
    project.rescan()
    before = snapshot(project.root)

    report = labelme.import_into(project, project.root)

    assert [problem.path for problem in report.problems] == [project.images()[0].annotation_path]
    assert report.images == 0
    assert snapshot(project.root) == before


def test_only_used_labels_are_added_to_a_list_that_exists(tmp_path: Path, labelme_folder: Path) -> None:
    with Project.create(tmp_path / "p", classes=["background", "root"]) as project:
        report = labelme.import_into(project, labelme_folder)

        assert report.new_classes == ["stem", "leaf"]
        assert project.classes.names == ("background", "root", "stem", "leaf")


def test_other_images_of_the_same_name_are_kept_apart(
    project: Project, labelme_folder: Path, new_image: Maker, new_labelme: Maker
) -> None:
    mine = new_image(project.root / "images" / "a.png", value=1)
    new_labelme(mine.with_suffix(".json"), "a.png", "moss")
    project.rescan()
    before = (mine.read_bytes(), mine.with_suffix(".json").read_bytes())

    report = labelme.import_into(project, labelme_folder)

    assert report.problems == []
    assert (mine.read_bytes(), mine.with_suffix(".json").read_bytes()) == before
    copy = project.entry("images/a_2.png")
    assert json.loads(copy.annotation_path.read_text())["imagePath"] == "a_2.png"


def test_labels_an_image_has_already_are_kept_and_said(project: Project, labelme_folder: Path) -> None:
    labelme.import_into(project, labelme_folder)
    entry = project.entry("images/a.png")
    before = entry.annotation_path.read_bytes()
    theirs = labelme_folder / "a.json"
    theirs.write_text(theirs.read_text().replace("stem", "leaf"))

    report = labelme.import_into(project, labelme_folder)

    assert [problem.path for problem in report.problems] == [theirs]
    assert entry.annotation_path.read_bytes() == before


def test_an_image_that_is_done_with_nothing_on_it_stays_so(project: Project, labelme_folder: Path) -> None:
    (labelme_folder / "a.json").rename(labelme_folder.parent / "a.json")
    labelme.import_into(project, labelme_folder)
    entry = project.entry("images/a.png")
    loaded = project.load(entry)
    project.save(entry, replace(loaded.annotation, state=AnnotationState.DONE), loaded.digest)
    theirs = (labelme_folder.parent / "a.json").rename(labelme_folder / "a.json")

    report = labelme.import_into(project, labelme_folder)

    assert [problem.path for problem in report.problems] == [theirs]
    kept = project.load(entry).annotation
    assert (kept.state, kept.shapes) == (AnnotationState.DONE, ())


def test_images_are_found_where_the_json_says_or_inside_it(
    project: Project, tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    source = tmp_path / "set"
    new_image(source / "photos" / "day" / "x.png")
    new_labelme(source / "labels" / "x.json", "..\\photos\\day\\x.png", "leaf")
    embedded = new_image(tmp_path / "elsewhere.png", value=7).read_bytes()
    data = base64.b64encode(embedded).decode()
    new_labelme(source / "labels" / "y.json", "gone/y.png", "leaf", imageData=data)

    report = labelme.import_into(project, source)

    assert (report.images, report.shapes, report.problems) == (2, 2, [])
    assert [entry.key for entry in project.images()] == ["images/photos/day/x.png", "images/y.png"]
    assert (project.root / "images" / "y.png").read_bytes() == embedded


@pytest.mark.parametrize("opened", [False, True], ids=["a folder for images", "images beside the JSON"])
def test_a_folder_of_embedded_images_says_how_to_write_them_out_and_does(
    tmp_path: Path, new_image: Maker, new_labelme: Maker, opened: bool
) -> None:
    source = tmp_path / "set"
    content = new_image(tmp_path / "elsewhere.png").read_bytes()
    for name in ("a", "b"):
        data = base64.b64encode(content).decode()
        new_labelme(source / f"{name}.json", f"{name}.png", "leaf", imageData=data)
    with Project.open(source) if opened else Project.create(source) as project:
        if opened:
            (problem,) = project.problems
            assert "(a.json, and 1 more)" in str(problem)
            assert f'maskloop import "{project.root}" "{source}" --format labelme' in str(problem)
        report = labelme.import_into(project, source)
        assert (report.images, report.problems, project.problems) == (2, [], [])
        entries = list(project.images())
        assert [entry.image_path.name for entry in entries] == ["a.png", "b.png"]
        assert all(project.load(entry).annotation.shapes for entry in entries)


@pytest.mark.parametrize("subfolder", ["annotations", "Masks/day", "runs"])
def test_images_from_a_folder_called_as_one_of_ours_come_in(
    tmp_path: Path, new_image: Maker, new_labelme: Maker, subfolder: str
) -> None:
    new_image(tmp_path / "set" / subfolder / "q.png")
    new_labelme(tmp_path / "set" / subfolder / "q.json", "q.png", "leaf")
    new_image(tmp_path / "p" / "mine.png", value=1)

    with Project.create(tmp_path / "p", image_roots=(".",)) as project:
        report = labelme.import_into(project, tmp_path / "set")

        assert (report.images, report.shapes, report.problems) == (1, 1, [])
        assert [image.entry.key for image in project.labelled()] == [f"images/{subfolder}/q.png"]


def test_an_image_from_a_hidden_folder_is_said(
    project: Project, tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    image = new_image(tmp_path / "set" / ".thumbs" / "q.png")
    new_labelme(tmp_path / "set" / "q.json", ".thumbs/q.png", "leaf")

    report = labelme.import_into(project, tmp_path / "set")

    assert report.images == 0
    (problem,) = report.problems
    assert problem.path == image
    assert "where no images are looked for" in problem.problem


def test_what_cannot_come_in_is_said_file_by_file(
    project: Project, labelme_folder: Path, new_image: Maker, new_labelme: Maker
) -> None:
    (labelme_folder / "a.json").write_text('{"shapes": [')
    new_labelme(labelme_folder / "c.json", "c.png", "leaf", imageHeight=13)
    new_labelme(labelme_folder / "lost.json", "lost.png", "leaf")
    (labelme_folder / "torn.png").write_bytes(b"")

    report = labelme.import_into(project, labelme_folder)

    assert sorted(problem.path.name for problem in report.problems) == [
        "a.json",
        "c.json",
        "lost.json",
        "torn.png",
    ]
    assert [image.entry.key for image in project.labelled()] == ["images/b.png"]


@pytest.mark.parametrize("with_images", [False, True])
def test_an_export_is_a_labelme_folder(labelme_folder: Path, tmp_path: Path, with_images: bool) -> None:
    out = tmp_path / "out"
    with Project.open(labelme_folder) as project:
        report = labelme.export_from(project, out, with_images=with_images)
        shapes = {image.entry.key: image.annotation.shapes for image in project.labelled()}
        assert report.problems == []
        assert len(report.files) == (4 if with_images else 2)

    for stem in ("a", "b"):
        record = json.loads((out / f"{stem}.json").read_text())
        assert (out / record["imagePath"]).read_bytes() == (labelme_folder / f"{stem}.png").read_bytes()
        assert (record["imagePath"] == f"{stem}.png") is with_images
    with Project.create(tmp_path / "again") as again:
        report2 = labelme.import_into(again, out)
        assert report2.problems == []
        assert {image.entry.image_path.name: image.annotation.shapes for image in again.labelled()} == shapes


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_linked_folders_are_looked_into(project: Project, labelme_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(labelme_folder)
    (labelme_folder / "round").symlink_to(tmp_path / "set")

    report = labelme.import_into(project, tmp_path / "set")

    assert (report.images, report.shapes, report.problems) == (3, 6, [])


@pytest.mark.parametrize("stem", ["classes", "project"])
def test_images_called_as_files_of_ours_keep_their_labels(
    project: Project, tmp_path: Path, new_image: Maker, new_labelme: Maker, stem: str
) -> None:
    source = tmp_path / "set"
    new_image(source / f"{stem}.png")
    new_labelme(source / f"{stem}.json", f"{stem}.png", "leaf")
    new_image(source / "others" / "a.png")
    (source / "others" / f"{stem}.json").write_text("[]")

    report = labelme.import_into(project, source)

    assert (report.images, report.shapes, report.problems) == (2, 1, [])


def test_an_embedded_image_that_is_none_leaves_nothing_behind(
    project: Project, tmp_path: Path, new_labelme: Maker
) -> None:
    data = base64.b64encode(b"no image").decode()
    path = new_labelme(tmp_path / "set" / "a.json", "a.png", "leaf", imageData=data)

    report = labelme.import_into(project, tmp_path / "set")

    assert (report.images, report.new_classes) == (0, [])
    assert [str(problem) for problem in report.problems] == [
        f"{path}: imageData: is no image; put the image beside it and import again"
    ]
    assert list((project.root / "images").iterdir()) == []


def test_flags_of_an_image_are_labels_too(project: Project, labelme_folder: Path) -> None:
    labelme.import_into(project, labelme_folder)
    paths = [labelme_folder / f"{stem}.json" for stem in "ac"]
    flags = {"blurred": True}
    paths[0].write_text(json.dumps({**json.loads(paths[0].read_text()), "flags": flags}))
    paths[1].write_text(json.dumps({"imagePath": "c.png", "imageData": None, "shapes": [], "flags": flags}))

    first = labelme.import_into(project, labelme_folder)
    assert [problem.path for problem in first.problems] == paths[:1]
    assert first.images == 1
    assert dict(project.load(project.entry("images/c.png")).annotation.flags) == flags

    paths[1].write_text(paths[1].read_text().replace("true", "false"))
    again = labelme.import_into(project, labelme_folder)
    assert [problem.path for problem in again.problems] == paths
    assert dict(project.load(project.entry("images/c.png")).annotation.flags) == flags
