"""A mask older than its annotation is drawn anew; new class names and clocks ahead make none older."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.project.mask_store import is_outdated
from core.project.project import Project


@pytest.fixture
def project(labelme_folder: Path) -> Iterator[Project]:
    """Its masks are drawn; class 2 is leaf, on a.png and b.png."""
    with Project.open(labelme_folder) as opened:
        opened.refresh_masks()
        yield opened


def test_masks_that_show_a_renamed_class_stay_current(project: Project) -> None:
    entry, behind = project.entry("a.png"), project.entry("b.png")
    os.utime(behind.mask_path, (1, 1))  # another program wrote its annotation after it
    drawn = entry.mask_path.read_bytes()

    project.rename_class(2, "frond")

    assert [is_outdated(each) for each in (entry, behind)] == [False, True]
    assert entry.mask_path.read_bytes() == drawn


def test_a_mask_with_old_colours_is_dated_no_later_by_a_renaming(project: Project) -> None:
    entry = project.entry("a.png")
    project.layout.recolored.touch()
    before_ns = entry.mask_path.stat().st_mtime_ns

    project.rename_class(2, "frond")

    assert entry.mask_path.stat().st_mtime_ns == before_ns


def test_a_mask_somebody_else_made_keeps_its_date_when_a_class_is_renamed(project: Project) -> None:
    entry = project.entry("a.png")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(entry.mask_path)
    before_ns = entry.mask_path.stat().st_mtime_ns

    project.rename_class(2, "frond")

    assert entry.mask_path.stat().st_mtime_ns == before_ns


def test_a_mask_drawn_of_an_annotation_from_the_future_is_current(project: Project) -> None:
    entry = project.entry("a.png")
    tomorrow = time.time() + 86_400
    os.utime(entry.annotation_path, (tomorrow, tomorrow))
    assert is_outdated(entry)

    assert project.refresh_masks([entry]) == []

    assert not is_outdated(entry)
