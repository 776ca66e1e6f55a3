"""Classes of a folder that another program has labelled: trained or exported, they keep their indices."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.cli.main import main
from core.errors import StorageError, WeightsFileError
from core.files import ProjectLock
from core.learning.runs.header import WeightsHeader, as_called_now, read_header
from core.learning.runs.run_folder import RunFolder
from core.models.normalization import IMAGENET
from core.project.layout import ProjectLayout
from core.project.project import Project

SIDE = 64
SQUARE = [[8, 8], [40, 8], [40, 40], [8, 40]]
SMALL = ("--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4", "--crop", "64")
TRAIN = (*SMALL, "--batch", "2", "--device", "cpu", "--steps", "1")


def label(folder: Path, name: str, label: str) -> None:
    """An image and its labelme file."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8)).save(folder / f"{name}.png")
    shape = {"label": label, "points": SQUARE, "group_id": None, "shape_type": "polygon", "flags": {}}
    record = {"version": "5.0", "flags": {}, "shapes": [shape], "imagePath": f"{name}.png", "imageData": None}
    (folder / f"{name}.json").write_text(json.dumps(record | {"imageHeight": SIDE, "imageWidth": SIDE}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images that labelme has labelled, cat first."""
    label(tmp_path / "animals", "b1", "cat")
    label(tmp_path / "animals", "b2", "dog")
    return tmp_path / "animals"


def indices(folder: Path) -> dict[str, int]:
    with Project.open(folder, lock=False) as project:
        return {c.name: c.index for c in project.classes}


def train(folder: Path) -> int:
    return main(["train", str(folder), *TRAIN])


def export(folder: Path) -> int:
    return main(["export", str(folder), "--format", "masks", "--out", str(folder.parent / "out")])


@pytest.mark.parametrize("command", [train, export])
def test_a_label_that_comes_later_shifts_no_class(folder: Path, command: Callable[[Path], int]) -> None:
    assert command(folder) == 0
    label(folder, "a0", "bird")
    assert indices(folder) == {"background": 0, "cat": 1, "dog": 2, "bird": 3}
    for run in ProjectLayout(folder).runs_by_time():
        classes = read_header(RunFolder(run).best_weights).classes
        assert {c.name: c.index for c in classes} == {"background": 0, "cat": 1, "dog": 2}


@pytest.mark.parametrize("command", [train, export])
def test_what_an_open_window_has_adopted_is_used_and_what_it_has_not_is_refused(
    folder: Path, command: Callable[[Path], int], capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(folder, holder="the window"):
        assert command(folder) == 0
        label(folder, "a0", "bird")
        assert command(folder) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "labels that are no classes yet (bird) cannot become some" in said
    assert "the project is open by the window" in said


def test_where_nothing_can_be_written_no_index_is_made_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(lock: ProjectLock) -> None:
        refused = PermissionError(errno.EACCES, "Permission denied")
        raise StorageError.from_os_error(folder, refused) from refused

    monkeypatch.setattr(ProjectLock, "acquire", refuse)
    assert export(folder) == 1
    assert "(cat, dog) cannot become some, for nothing can be written here" in capsys.readouterr().err
    assert not (folder.parent / "out").exists()


def header(*names: str) -> WeightsHeader:
    classes = tuple(LabelClass(index, name, "#000000") for index, name in enumerate(names))
    return WeightsHeader(
        architecture="unet", encoder="plain", classes=ClassList(classes, 0), normalization=IMAGENET, tile=64
    )


def test_weights_whose_class_has_another_index_by_now_are_refused() -> None:
    """They were trained before their classes were written down."""
    now = header("background", "dog", "cat").classes
    with pytest.raises(WeightsFileError, match="knows 'cat' as class 1, which is class 2 of the project"):
        as_called_now(Path("best.safetensors"), header("background", "cat", "dog"), now)
    renamed = header("background", "lion", "dog").classes
    assert as_called_now(Path("x"), header("background", "cat", "dog"), renamed).classes == renamed
