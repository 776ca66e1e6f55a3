"""The bundled sample: small, faithful to its masks, and ours to change once it is copied."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.errors import StorageError
from core.project.mask_file import read_index_mask
from core.project.project import Project
from core.project.sample import copy_sample, sample_folder


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return copy_sample(tmp_path / "sample")


def test_the_sample_has_labelled_and_unlabelled_images_of_both_classes(sample: Path) -> None:
    with Project.open(sample) as project:
        labelled = list(project.labelled())

        assert project.notes == []
        assert project.problems == []
        assert project.classes.names == ("background", "nerve", "vessel")
        assert len(project.images()) == 12
        assert len(labelled) == 8
        assert all(image.annotation.state is AnnotationState.DONE for image in labelled)
        assert all(set(np.unique(image.mask)) == {0, 1, 2} for image in labelled)
        assert {image.mask.shape for image in labelled} == {(512, 512), (632, 761), (512, 534)}


def test_the_sample_is_small_and_says_whose_it_is() -> None:
    files = [path for path in sample_folder().rglob("*") if path.is_file()]
    text = (sample_folder() / "ATTRIBUTION.md").read_text()

    assert sum(path.stat().st_size for path in files) < 2_200_000
    assert all(word in text for word in ("Timm Kandaouroff", "CC BY 4.0", "2025", "changed"))


def test_a_copy_can_be_worked_on_and_a_second_one_is_refused(sample: Path) -> None:
    with Project.open(sample) as project:
        entry = next(e for e in project.images() if project.state_of(e) is AnnotationState.UNLABELLED)
        loaded = project.load(entry)
        project.save(entry, loaded.annotation, loaded.digest)
        assert entry.annotation_path.exists()
    assert not (sample_folder() / "images" / entry.annotation_path.name).exists()

    with pytest.raises(StorageError, match="exists already"):
        copy_sample(sample)


def test_half_a_copy_does_not_stay_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_after_some(source: Path, target: Path) -> None:
        if target.suffix == ".png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full_after_some)
    with pytest.raises(StorageError, match=r"place.sample: the disk is full"):
        copy_sample(tmp_path / "place" / "sample")
    assert list((tmp_path / "place").iterdir()) == []

    monkeypatch.undo()
    copy_sample(tmp_path / "place" / "sample")


def test_the_polygons_are_faithful_to_the_published_masks(sample: Path, shared_data: Path) -> None:
    with Project.open(sample) as project:
        for image in project.labelled():
            truth = read_index_mask(shared_data / "nerve" / "masks" / f"{image.entry.image_path.stem}.png")
            for index in (1, 2):
                both = ((truth == index) & (image.mask == index)).sum()
                either = ((truth == index) | (image.mask == index)).sum()
                assert both / either > 0.95, f"{image.entry.key}, class {index}"
