"""Each page of a TIFF is an image of its own, with an annotation and a mask of its own."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from core.annotation.model import Shape, ShapeType, frozen_points
from core.errors import ImageFileError
from core.formats import labelme, masks
from core.images import pages as pages_module
from core.images.pages import image_file, page_names
from core.images.reader import image_size, read_image, thumbnail
from core.project.project import Project

HEIGHT, WIDTH = 20, 30


@pytest.fixture
def pages() -> NDArray[np.uint8]:
    """Three pages in colour, each of one shade."""
    return np.stack([np.full((HEIGHT, WIDTH, 3), shade, np.uint8) for shade in (10, 120, 230)])


@pytest.fixture
def stack(tmp_path: Path, pages: NDArray[np.uint8]) -> Path:
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "stack.tif"
    tifffile.imwrite(path, pages, photometric="rgb")
    return path


def page(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}#{number}")


def test_each_page_is_read_by_its_number(stack: Path) -> None:
    assert page_names(stack) == ("stack.tif", "stack.tif#2", "stack.tif#3")
    assert image_file(page(stack, 3)) == stack
    assert (read_image(stack) == 10).all()
    assert (read_image(page(stack, 2)) == 120).all()
    assert (thumbnail(page(stack, 3), 8) == 230).all()
    assert image_size(page(stack, 2)) == (HEIGHT, WIDTH)


def test_a_page_that_is_not_there_is_said(stack: Path) -> None:
    with pytest.raises(ImageFileError, match=r"stack\.tif#4: .*not so many pages"):
        read_image(page(stack, 4))


def test_sizes_of_all_pages_take_one_walk_through_the_file(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[Path] = []
    walk = pages_module.directories
    monkeypatch.setattr(pages_module, "directories", lambda path: walks.append(path) or walk(path))
    monkeypatch.setattr(TiffImageFile, "seek", None)

    assert [image_size(page(stack, number)) for number in (2, 3)] == [(HEIGHT, WIDTH)] * 2
    tifffile.imwrite(stack, np.zeros((2, 5, 7), np.uint8), photometric="minisblack")
    assert image_size(page(stack, 2)) == (5, 7)
    assert walks == [stack, stack]


def test_deep_pages_have_their_own_stretch(tmp_path: Path) -> None:
    ramp = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ramp, ramp * 40]), photometric="minisblack")

    first, second = read_image(tmp_path / "a.tif"), read_image(tmp_path / "a.tif#2")

    assert np.abs(first.astype(int) - second).max() <= 1


def test_pages_of_different_sizes_and_turns(tmp_path: Path, pages: NDArray[np.uint8]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True, byteorder=">") as writer:
        writer.write(pages[0], photometric="rgb")
        writer.write(pages[1, :7], photometric="rgb", extratags=[(274, "H", 1, 6, True)])

    assert image_size(tmp_path / "a.tif#2") == (WIDTH, 7)
    assert read_image(tmp_path / "a.tif#2").shape == (WIDTH, 7, 3)


def test_reduced_copies_in_the_file_are_no_pages(tmp_path: Path, pages: NDArray[np.uint8]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pages[0], photometric="rgb")
        writer.write(pages[0, ::2, ::2], photometric="rgb", subfiletype=1)
        writer.write(pages[2], photometric="rgb")

    assert page_names(tmp_path / "a.tif") == ("a.tif", "a.tif#2")
    assert (read_image(tmp_path / "a.tif#2") == 230).all()


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0\xff\xff\0\0", b"no tiff at all"])
def test_a_broken_file_is_one_image_that_says_why(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)

    assert page_names(tmp_path / "a.tif") == ("a.tif",)
    with pytest.raises(ImageFileError):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("entries", [2**16, 2**40, 2**58, 2**62])
@pytest.mark.parametrize("first_directory", [16, 2**63])
def test_a_damaged_big_tiff_keeps_no_project_from_opening(
    tmp_path: Path, stack: Path, entries: int, first_directory: int
) -> None:
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, first_directory)
    (tmp_path / "images" / "torn.tif").write_bytes(header + struct.pack("<Q", entries) + bytes(100))

    with Project.create(tmp_path, classes=["nerve"]) as project:
        assert [entry.key for entry in project.images()][-1] == "images/torn.tif"
        with pytest.raises(ImageFileError):
            image_size(project.entry("images/torn.tif").image_path)


def test_a_project_has_every_page_with_its_own_files(tmp_path: Path, stack: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "stack.png")
    with Project.create(tmp_path, classes=["nerve"]) as project:
        entries = {entry.key: entry for entry in project.images()}
        assert list(entries) == [
            "images/stack.png",
            "images/stack.tif",
            "images/stack.tif#2",
            "images/stack.tif#3",
        ]
        assert len({entry.annotation_path for entry in entries.values()}) == 4
        assert len({entry.mask_path for entry in entries.values()}) == 4

        second = entries["images/stack.tif#2"]
        shape = Shape("nerve", ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
        loaded = project.load(second)
        project.save(second, replace(loaded.annotation, shapes=(shape,)), loaded.digest)

    with Project.open(tmp_path) as project:
        counts = {entry.key: len(project.load(entry).annotation.shapes) for entry in project.images()}
        assert [key for key, count in counts.items() if count] == ["images/stack.tif#2"]


def test_an_exported_page_is_a_picture_that_others_open(tmp_path: Path, stack: Path) -> None:
    with Project.create(tmp_path, classes=["nerve"]) as project:
        entry = project.entry("images/stack.tif#3")
        assert entry is not None
        shape = Shape("nerve", ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
        loaded = project.load(entry)
        project.save(entry, replace(loaded.annotation, shapes=(shape,)), loaded.digest)
        report = labelme.export_from(project, tmp_path / "out", with_images=True)

    assert sorted(path.name for path in report.files) == ["stack#3.json", "stack#3.png"]
    with Image.open(tmp_path / "out" / "stack#3.png") as picture:
        assert picture.getpixel((0, 0)) == (230, 230, 230)


def test_exported_masks_of_pages_come_back_to_their_pages(tmp_path: Path, stack: Path) -> None:
    shape = Shape("nerve", ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
    with Project.create(tmp_path, classes=["background", "nerve"]) as project:
        for key in ("images/stack.tif", "images/stack.tif#3"):
            entry = project.entry(key)
            assert entry is not None
            loaded = project.load(entry)
            project.save(entry, replace(loaded.annotation, shapes=(shape,)), loaded.digest)
        masks.export_from(project, tmp_path / "out")
        assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"stack.png", "stack#3.png"}

    (tmp_path / "other" / "images").mkdir(parents=True)
    stack.rename(tmp_path / "other" / "images" / "stack.tif")
    with Project.create(tmp_path / "other", classes=["background", "nerve"]) as project:
        report = masks.import_into(project, tmp_path / "out")
        assert report.problems == []
        drawn = [entry.key for entry in project.images() if project.load(entry).annotation.shapes]
    assert drawn == ["images/stack.tif", "images/stack.tif#3"]


@pytest.mark.parametrize("exported", [False, True])
def test_labels_of_pages_come_into_another_project(tmp_path: Path, stack: Path, exported: bool) -> None:
    shape = Shape("nerve", ShapeType.RECTANGLE, frozen_points([(2, 3), (9, 8)]))
    with Project.create(tmp_path, classes=["background", "nerve"]) as project:
        entry = project.entry("images/stack.tif#3")
        loaded = project.load(entry)
        project.save(entry, replace(loaded.annotation, shapes=(shape,)), loaded.digest)
        labelme.export_from(project, tmp_path / "out")

    with Project.create(tmp_path / "other") as project:
        report = labelme.import_into(project, tmp_path / ("out" if exported else "images"))
        assert (report.shapes, report.problems) == (1, [])
        assert [image.entry.key for image in project.labelled()] == ["images/stack.tif#3"]
