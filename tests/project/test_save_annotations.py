"""Saving: never over what another program wrote, never over what nobody can read, whole or not at all."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import files
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType
from core.errors import AnnotationFileError, ForeignChangeError, ImageFileError, StorageError
from core.project.project import ImageEntry, Project

Maker = Callable[..., Path]
LEAF = Shape("leaf", ShapeType.POLYGON, [[1, 1], [6, 1], [6, 6]])  # type: ignore[arg-type]


@pytest.fixture
def project(labelme_folder: Path) -> Project:
    with Project.open(labelme_folder) as opened:
        yield opened


def with_leaf(annotation: Annotation) -> Annotation:
    return replace(annotation, shapes=(*annotation.shapes, LEAF), state=AnnotationState.IN_PROGRESS)


def test_a_first_save_writes_what_labelme_reads(project: Project) -> None:
    entry = project.entry("c.png")
    loaded = project.load(entry)
    assert loaded.digest is None
    assert loaded.annotation.size_hw == (12, 16)

    digest = project.save(entry, with_leaf(loaded.annotation), loaded.digest)

    record = json.loads(entry.annotation_path.read_text())
    assert (record["imagePath"], record["imageHeight"], record["imageWidth"]) == ("c.png", 12, 16)
    assert record["maskloop"] == {"schema": 1, "state": "in_progress"}
    again = project.load(entry)
    assert again.digest == digest
    assert again.annotation.shapes == (LEAF,)
    assert project.state_of(entry) is AnnotationState.IN_PROGRESS


def test_saving_goes_on_from_digest_to_digest(project: Project) -> None:
    entry = project.entry("a.png")
    loaded = project.load(entry)
    first = project.save(entry, with_leaf(loaded.annotation), loaded.digest)
    second = project.save(entry, loaded.annotation, first)

    assert project.save(entry, loaded.annotation, second) == second
    assert project.load(entry).annotation.shapes == loaded.annotation.shapes


@pytest.mark.parametrize("change", ["edited", "appeared", "removed"])
def test_a_foreign_change_is_never_overwritten_unseen(
    project: Project, change: str, new_labelme: Maker
) -> None:
    entry = project.entry("c.png" if change == "appeared" else "a.png")
    loaded = project.load(entry)
    if change == "removed":
        entry.annotation_path.unlink()
    else:
        new_labelme(entry.annotation_path, entry.image_path.name, "moss")
    theirs = entry.annotation_path.read_bytes() if entry.annotation_path.exists() else None

    with pytest.raises(ForeignChangeError, match=entry.annotation_path.name):
        project.save(entry, with_leaf(loaded.annotation), loaded.digest)

    assert (entry.annotation_path.read_bytes() if theirs else None) == theirs
    project.save(entry, with_leaf(loaded.annotation), loaded.digest, force=True)
    assert LEAF in project.load(entry).annotation.shapes


def test_both_versions_can_be_kept(project: Project, new_image: Maker, new_labelme: Maker) -> None:
    entry = project.entry("a.png")
    loaded = project.load(entry)
    new_labelme(entry.annotation_path, "a.png", "moss")
    theirs = entry.annotation_path.read_bytes()
    new_image(entry.image_path.with_name("a.theirs-1.png"))  # its annotation would have the copy's name
    project.rescan()

    first = project.keep_theirs(entry)
    second = project.keep_theirs(entry)
    project.save(entry, loaded.annotation, loaded.digest, force=True)
    project.rescan()

    assert first is not None
    assert second is not None
    assert [first.name, second.name] == ["a.theirs-2.json", "a.theirs-3.json"]
    assert first.read_bytes() == theirs
    assert {e.annotation_path.name for e in project.images()} & {first.name, second.name} == set()
    assert project.keep_theirs(project.entry("c.png")) is None


@pytest.mark.parametrize(
    "content", [b"", b'{"shapes": [', b"[]", b'{"a": 1}', b"\x00\x01\x02", b"\xff\xfe\x00"]
)
def test_a_broken_json_blocks_its_image_and_is_not_overwritten(project: Project, content: bytes) -> None:
    entry = project.entry("a.png")
    old = project.load(entry)
    entry.annotation_path.write_bytes(content)

    with pytest.raises(AnnotationFileError, match=r"a\.json"):
        project.load(entry)
    with pytest.raises(ForeignChangeError):
        project.save(entry, old.annotation, old.digest)
    assert project.state_of(entry) is AnnotationState.UNLABELLED
    assert [image.entry.key for image in project.labelled()] == ["b.png"]
    assert ["a.json" in str(problem) for problem in project.problems] == [True]

    project.save(entry, old.annotation, old.digest, force=True)
    kept = entry.annotation_path.with_name("a.theirs-1.json")
    assert kept.read_bytes() == content


def test_a_json_of_another_size_is_refused(project: Project, new_labelme: Maker) -> None:
    entry = project.entry("a.png")
    new_labelme(entry.annotation_path, "a.png", "leaf", imageWidth=99)

    with pytest.raises(AnnotationFileError, match=r"imageWidth.*99 x 12.*a\.png has 16 x 12"):
        project.load(entry)


def test_the_size_is_the_one_after_rotation(project: Project, new_labelme: Maker) -> None:
    path = project.root / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(path, exif=exif)
    new_labelme(path.with_suffix(".json"), path.name, "leaf", imageHeight=16, imageWidth=12)
    project.rescan()
    entry = project.entry("turned.jpg")

    loaded = project.load(entry)

    assert project.render_mask(entry, loaded.annotation).shape == (16, 12)


def test_a_json_without_a_size_takes_the_images(project: Project, new_labelme: Maker) -> None:
    entry = project.entry("a.png")
    new_labelme(entry.annotation_path, "a.png", "leaf", imageWidth=None, imageHeight=None)

    assert project.load(entry).annotation.size_hw == (12, 16)


def test_an_image_that_vanished_is_said(project: Project) -> None:
    entry = project.entry("a.png")
    entry.image_path.unlink()

    with pytest.raises(ImageFileError, match=r"a\.png.*moved or deleted"):
        project.load(entry)
    assert [image.entry.key for image in project.labelled()] == ["b.png"]
    assert len(project.problems) == 1


def test_a_full_disk_leaves_the_old_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = project.entry("a.png")
    loaded = project.load(entry)
    before = entry.annotation_path.read_bytes()
    names = {path.name for path in project.root.iterdir()}

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.json.*disk is full"):
        project.save(entry, with_leaf(loaded.annotation), loaded.digest)

    assert entry.annotation_path.read_bytes() == before
    assert {path.name for path in project.root.iterdir()} == names


# --- two images of one stem -------------------------------------------------------------------------------


def paths(project: Project) -> dict[str, tuple[str, str]]:
    return {e.key: (e.annotation_path.name, e.mask_path.name) for e in project.images()}


def save_leaf(project: Project, entry: ImageEntry) -> None:
    loaded = project.load(entry)
    project.save(entry, with_leaf(loaded.annotation), loaded.digest)


def test_two_images_of_one_stem_share_nothing(tmp_path: Path, new_image: Maker) -> None:
    for name in ("x.png", "x.jpg", "X.bmp"):
        new_image(tmp_path / name)

    with Project.open(tmp_path) as project:
        found = paths(project)

    assert found["X.bmp"] == ("X.json", "X.png")
    assert found["x.jpg"] == ("x.jpg.json", "x.jpg.png")  # as x.json, it would be X.json on many disks
    assert found["x.png"] == ("x.png.json", "x.png.png")


def test_an_annotation_stays_with_its_image_when_an_earlier_name_is_added(
    tmp_path: Path, new_image: Maker
) -> None:
    new_image(tmp_path / "x.png")
    with Project.open(tmp_path) as project:
        save_leaf(project, project.entry("x.png"))
        new_image(tmp_path / "x.jpg")
        project.rescan()
        assert paths(project)["x.png"] == ("x.json", "x.png")
        assert paths(project)["x.jpg"] == ("x.jpg.json", "x.jpg.png")
        save_leaf(project, project.entry("x.jpg"))
    with Project.open(tmp_path) as project:
        assert paths(project)["x.png"] == ("x.json", "x.png")
        assert paths(project)["x.jpg"] == ("x.jpg.json", "x.jpg.png")
        (tmp_path / "x.png").unlink()
        (tmp_path / "x.json").unlink()
        project.rescan()
        assert paths(project) == {"x.jpg": ("x.jpg.json", "x.jpg.png")}


def test_an_image_on_screen_keeps_its_file_while_none_is_saved(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "x.png")
    with Project.open(tmp_path) as project:
        new_image(tmp_path / "x.jpg")
        project.rescan()

        assert paths(project)["x.png"] == ("x.json", "x.png")


def test_an_annotation_of_another_image_is_not_taken(
    tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    new_image(tmp_path / "x.png")
    new_image(tmp_path / "other.png")
    new_labelme(tmp_path / "x.json", "other.png", "leaf")

    with Project.open(tmp_path) as project:
        assert paths(project)["x.png"] == ("x.png.json", "x.png.png")
        save_leaf(project, project.entry("x.png"))
    assert json.loads((tmp_path / "x.json").read_text())["imagePath"] == "other.png"


def test_an_annotation_that_changes_hands_while_open_is_refused(project: Project, new_labelme: Maker) -> None:
    entry = project.entry("a.png")
    new_labelme(entry.annotation_path, "b.png", "leaf")

    with pytest.raises(AnnotationFileError, match=r"imagePath.*b\.png"):
        project.load(entry)


@pytest.mark.parametrize("image_path", ["..\\JPEGImages\\a.png", "/gone/a.png", "renamed.png"])
def test_a_path_that_leads_nowhere_does_not_part_image_and_annotation(
    labelme_folder: Path, new_labelme: Maker, image_path: str
) -> None:
    new_labelme(labelme_folder / "a.json", image_path, "leaf")

    with Project.open(labelme_folder) as project:
        entry = project.entry("a.png")
        loaded = project.load(entry)
        assert len(loaded.annotation.shapes) == 1
        project.save(entry, with_leaf(loaded.annotation), loaded.digest)
        assert json.loads(entry.annotation_path.read_text())["imagePath"] == "a.png"


def test_a_folder_may_hold_json_of_other_kinds(labelme_folder: Path) -> None:
    (labelme_folder / "statistics.json").write_text('{"shapes": 3}')

    with Project.open(labelme_folder) as project:
        list(project.labelled())
        assert project.problems == []
