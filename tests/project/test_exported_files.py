"""What exports and predictions write into a project's folder: theirs to replace, and no image of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.annotation.model import Shape, ShapeType, frozen_points
from core.files import digest
from core.formats import labelme, masks
from core.formats.export_folder import ExportFolder
from core.formats.report import ExportReport
from core.project.layout import ProjectLayout
from core.project.project import Project

Maker = Callable[..., Path]


def keys(project: Project) -> list[str]:
    return [entry.key for entry in project.images()]


@pytest.fixture
def content() -> bytes:
    """A picture that might be an image, or a mask."""
    buffer = io.BytesIO()
    Image.new("L", (16, 12), 1).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_a_project_exports_into_its_folder_is_no_image_of_it(labelme_folder: Path) -> None:
    before = [f"{stem}.png" for stem in "abc"]
    with Project.open(labelme_folder) as project:
        masks.export_from(project, labelme_folder / "for a colleague")
        labelme.export_from(project, labelme_folder / "all" / "of it", with_images=True)

        assert not project.rescan()

    moved = labelme_folder.rename(labelme_folder.with_name("moved"))
    with Project.open(moved) as project:
        assert [entry.key for entry in project.images()] == before


@pytest.mark.parametrize("way", ["at the next opening", "in an open window"])
def test_a_photo_put_where_an_exported_mask_was_is_an_image(
    labelme_folder: Path, new_image: Maker, way: str
) -> None:
    """As when masks were exported among the images by mistake, and taken away again."""
    (labelme_folder / "a.png").rename(labelme_folder / "photo.png")
    (labelme_folder / "a.json").rename(labelme_folder / "photo.json")
    out = labelme_folder / "more"
    with Project.open(labelme_folder) as project:
        masks.export_from(project, out)
        assert not project.rescan()
        (out / "b.png").unlink()
        new_image(out / "b.png", size_hw=(40, 40))
        if way == "in an open window":
            assert project.rescan().added == ("more/b.png",)
    with Project.open(labelme_folder) as project:
        assert keys(project) == ["b.png", "c.png", "more/b.png", "photo.png"]


def test_images_exported_beside_themselves_stay_images(tmp_path: Path, new_image: Maker) -> None:
    for stem in ("a", "b"):
        new_image(tmp_path / "camera" / f"{stem}.png")
    before = [f"../camera/{stem}.png" for stem in ("a", "b")]
    with Project.create(tmp_path / "p", image_roots=("../camera",)) as project:
        for entry in project.images():
            loaded = project.load(entry)
            box = Shape("leaf", ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
            project.save(entry, replace(loaded.annotation, shapes=(box,)), loaded.digest)
        report = labelme.export_from(project, tmp_path / "camera", with_images=True)

        assert len(report.files) == 4
        assert not project.rescan()
    with Project.open(tmp_path / "p") as project:
        assert keys(project) == before


def test_what_is_exported_beside_an_open_window_is_no_image_while_that_goes_on(
    tmp_path: Path, new_image: Maker, content: bytes
) -> None:
    """Nor after a kill: nothing needs to be done at the end."""
    new_image(tmp_path / "p" / "photo.jpg")
    out = tmp_path / "p" / "seg"
    with Project.open(tmp_path / "p") as project:
        folder = ExportFolder(ProjectLayout(project.root), out, ExportReport())
        folder.write("photo.png", content)
        finished = out / ".finished"
        finished.write_bytes(content)
        folder.place("other.png", finished, digest(content))

        assert not project.rescan()
        assert sorted(path.name for path in out.iterdir()) == ["other.png", "photo.png"]
    with Project.open(tmp_path / "p") as project:
        assert keys(project) == ["photo.jpg"]


def test_a_file_is_no_image_in_the_moment_before_it_is_replaced(
    tmp_path: Path, new_image: Maker, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_image(tmp_path / "p" / "photo.jpg")
    out = tmp_path / "p" / "seg"
    with Project.open(tmp_path / "p") as project:
        ExportFolder(project.layout, out, ExportReport()).write("photo.png", content)
        again = ExportFolder(project.layout, out, ExportReport())
        with monkeypatch.context() as patch:  # killed there
            patch.setattr("core.formats.export_folder.write_atomic", lambda *_: None)
            again.write("photo.png", content + b"more")

        assert not project.rescan()
        report = ExportReport()
        assert ExportFolder(project.layout, out, report).write("photo.png", content + b"other")
        assert report.problems == []


def test_two_exports_at_once_lose_nothing_of_each_other(
    tmp_path: Path, new_image: Maker, content: bytes
) -> None:
    new_image(tmp_path / "photo.jpg")
    out = tmp_path / "seg"
    with Project.open(tmp_path) as project:
        one = ExportFolder(project.layout, out, ExportReport())
        one.write("a.png", content)
        other = ExportFolder(project.layout, out, ExportReport())
        other.write("b.png", content)
        one.write("c.png", content)
    with Project.open(tmp_path) as project:
        assert keys(project) == ["photo.jpg"]
        report = ExportReport()
        folder = ExportFolder(project.layout, out, report)
        assert all(folder.write(f"{stem}.png", content + b"new") for stem in "abc")


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path, new_image: Maker, content: bytes) -> None:
    new_image(tmp_path / "photo.jpg")
    with Project.open(tmp_path) as project:
        ExportFolder(project.layout, tmp_path / "seg", ExportReport()).write("a.png", content)
        with (project.layout.cache / "exports.jsonl").open("a") as lines:
            lines.write('\n["seg/b.p')
        ExportFolder(project.layout, tmp_path / "seg", ExportReport()).write("c.png", content)

        assert not project.rescan()
