"""Opening: what a folder becomes, what stays untouched, who may write."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.model import AnnotationState, LabelClass
from core.errors import ProjectFileError, ProjectLockedError, StorageError, UsageError
from core.formats import labelme
from core.project.project import Project

Maker = Callable[..., Path]


def test_opening_a_labelme_folder_changes_nothing_that_was_there(
    labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    before = snapshot(labelme_folder)

    with Project.open(labelme_folder) as project:
        for image in project.labelled():
            project.write_mask(image.entry, image.mask)
    with Project.open(labelme_folder) as project:
        assert project.notes == []

    after = snapshot(labelme_folder)
    assert {name: after[name] for name in before} == before
    new = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert new == {"project.json", "masks", ".maskloop"}


def test_labels_become_classes_in_the_order_of_labels_txt_and_are_reported(labelme_folder: Path) -> None:
    with Project.open(labelme_folder) as project:
        assert project.classes.names == ("background", "stem", "leaf", "flower", "root")
        assert project.classes.indices == (0, 1, 2, 3, 4)
        assert project.classes.background == 0
        assert [note for note in project.notes if "stem, leaf, flower, root" in note]


def test_labels_become_classes_as_first_seen_without_a_list(labelme_folder: Path) -> None:
    (labelme_folder / "labels.txt").unlink()

    with Project.open(labelme_folder) as project:
        assert project.classes.names == ("background", "leaf", "stem", "root")


def test_labels_that_differ_by_a_space_are_classes_of_their_own(
    tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    for number, labels in enumerate((("cat", "cat "), ("cat ", "cat"))):
        folder = tmp_path / str(number)
        new_image(folder / "a.png")
        new_labelme(folder / "a.json", "a.png", *labels)
        with Project.open(folder) as project:
            assert project.classes.names == ("background", *labels)


def test_a_labels_txt_about_something_else_is_not_taken(labelme_folder: Path) -> None:
    (labelme_folder / "labels.txt").write_text("7\n8\n9\n")

    with Project.open(labelme_folder) as project:
        assert project.classes.names == ("background", "leaf", "stem", "root")


def test_foreign_files_with_shapes_are_done_and_their_labels_keep_their_meaning(labelme_folder: Path) -> None:
    with Project.open(labelme_folder) as project:
        states = {entry.key: project.state_of(entry) for entry in project.images()}
        masks = {image.entry.key: image.mask for image in project.labelled()}

    assert states == {
        "a.png": AnnotationState.DONE,
        "b.png": AnnotationState.DONE,
        "c.png": AnnotationState.UNLABELLED,
    }
    assert masks["a.png"][5, 5] == 1
    assert masks["a.png"][0, 0] == 0
    assert masks["b.png"][5, 5] == 4  # root was drawn last


def test_a_new_project_has_background_at_index_0(tmp_path: Path) -> None:
    with Project.create(tmp_path / "new") as project:
        assert [(c.index, c.name) for c in project.classes] == [(0, "background")]
        assert project.classes.background == 0
        assert (project.root / "images").is_dir()
        assert json.loads((project.root / "project.json").read_text()) == {
            "schema": 1,
            "name": "new",
            "classes": [{"index": 0, "name": "background", "color": project.classes[0].color}],
            "background": 0,
            "image_roots": ["images"],
            "settings": {},
        }


def test_a_project_gets_exactly_the_classes_it_is_given(tmp_path: Path) -> None:
    classes = ["sky", "road", LabelClass(7, "car", "#AABBCC")]
    with Project.create(tmp_path / "street", classes=classes, background=None) as project:
        assert [(c.index, c.name) for c in project.classes] == [(0, "sky"), (1, "road"), (7, "car")]
        assert project.classes.background is None
        assert project.classes[2].color == "#aabbcc"
        assert len({c.color for c in project.classes}) == 3


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["a", "a"], "there is a class 'a' already"),
        (["a", ""], "a class needs a name"),
        (["__ignore__"], "__ignore__"),
        (["background", "_background_"], "'_background_' means the background class"),
        (["_background_", "background"], "'_background_' means the background class"),
        ([str(number) for number in range(256)], "256 classes are too many; a project has at most 255"),
        ([LabelClass(255, "a", "#ffffff")], "the class index 255 is not from 0 to 254"),
    ],
)
def test_unfit_classes_make_no_project(tmp_path: Path, classes: list[str | LabelClass], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Project.create(tmp_path / "p", classes=classes)

    assert not (tmp_path / "p").exists()


def test_creating_over_a_project_is_refused(tmp_path: Path) -> None:
    Project.create(tmp_path / "p").close()

    with pytest.raises(UsageError, match="already"):
        Project.create(tmp_path / "p")


def test_creating_over_a_folder_of_images_takes_them(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "p" / "left" / "a.png")

    with Project.create(tmp_path / "p") as project:
        assert [entry.key for entry in project.images()] == ["left/a.png"]


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProjectFileError, match="no such folder"):
        Project.open(tmp_path / "nothing")


def test_a_file_of_the_project_opens_the_project(tmp_path: Path, new_image: Maker) -> None:
    image = new_image(tmp_path / "p" / "images" / "a.png")
    Project.create(tmp_path / "p").close()

    for path in (image, tmp_path / "p" / "project.json"):
        with Project.open(path) as project:
            assert project.root == (tmp_path / "p").resolve()


def test_folders_of_the_project_itself_are_not_scanned(tmp_path: Path, new_image: Maker) -> None:
    for name in ("masks", "runs", "predictions", "exports", ".maskloop", "annotations", ".hidden"):
        new_image(tmp_path / name / "x.png")
    for name in ("image10.png", "image2.JPG", "deep/masks/y.png"):
        new_image(tmp_path / name)
    new_image(tmp_path / "photo.png").rename(tmp_path / ".photo.png")

    with Project.open(tmp_path) as project:
        assert [entry.key for entry in project.images()] == ["deep/masks/y.png", "image2.JPG", "image10.png"]


def test_a_project_in_a_subfolder_has_no_masks_for_images(labelme_folder: Path) -> None:
    with Project.open(labelme_folder) as inner:
        inner.refresh_masks()

    with Project.open(labelme_folder.parent) as outer:
        assert [entry.key for entry in outer.images()] == [f"plants/{stem}.png" for stem in "abc"]


def test_somebody_elses_masks_are_not_written_over(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "a.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.ones((12, 16), np.uint8)).save(tmp_path / "masks" / "a.png")
    before = (tmp_path / "masks" / "a.png").read_bytes()

    with Project.open(tmp_path) as project:
        entry = project.entry("a.png")
        project.write_mask(entry, np.zeros((12, 16), np.uint8))
        assert project.read_mask(entry).max() == 0
        assert project.rescan().added == ()
        assert project.entry("a.png") == entry

    assert (tmp_path / "masks" / "a.png").read_bytes() == before


# --- images come and go -----------------------------------------------------------------------------------


def test_images_that_appear_and_vanish_are_noticed(labelme_folder: Path, new_image: Maker) -> None:
    with Project.open(labelme_folder) as project:
        new_image(labelme_folder / "d.png")
        (labelme_folder / "a.png").unlink()

        change = project.rescan()

        assert change.added == ("d.png",)
        assert change.removed == ("a.png",)
        assert [entry.key for entry in project.images()] == ["b.png", "c.png", "d.png"]
        assert not project.rescan()
        with pytest.raises(UsageError, match=r"a\.png"):
            project.entry("a.png")
    assert (labelme_folder / "a.json").exists()


def test_a_labelme_file_whose_image_is_gone_is_said_others_are_not(
    labelme_folder: Path, new_labelme: Maker
) -> None:
    new_labelme(labelme_folder / "gone.json", "gone.png", "leaf")
    (labelme_folder / "labels").mkdir()
    new_labelme(labelme_folder / "labels" / "b.json", "../b.png", "leaf")
    (labelme_folder / "coco.json").write_text('{"images": [], "annotations": []}')

    with Project.open(labelme_folder) as project:
        list(project.labelled())

        (problem,) = project.problems
        assert problem.path == labelme_folder / "gone.json"
        assert "its image is not there any more" in problem.problem


def test_labels_that_lie_apart_from_their_images_are_said(
    tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    for stem in ("a", "b", "c"):
        new_image(tmp_path / "images" / f"{stem}.png")
    new_image(tmp_path / "crops" / "a.png")
    new_labelme(tmp_path / "crops" / "a.json", "../images/a.png", "leaf")
    new_labelme(tmp_path / "labels" / "b.json", "../images/b.png", "leaf")
    new_labelme(tmp_path / "annotations" / "c.json", "..\\images\\c.png", "leaf")
    new_labelme(tmp_path / "images" / "a.json", "a.png", "stem")
    new_image(tmp_path / "images" / "copy.png")
    new_labelme(tmp_path / "images" / "copy.json", "a.png", "leaf")

    with Project.open(tmp_path) as project:
        said = {problem.path.name: problem.problem for problem in project.problems}
        assert sorted(said) == ["a.json", "annotations", "copy.json", "labels"]
        assert "imagePath: is a.png, so these are no labels of copy.png beside it" in said["copy.json"]
        assert "imagePath: is ../images/a.png, so these are no labels of a.png beside it" in said["a.json"]
        assert "b.json of images/b.png" in said["labels"]
        assert f'maskloop import "{tmp_path}" "{tmp_path / "labels"}"' in said["labels"]
        for folder in ("labels", "annotations"):
            labelme.import_into(project, tmp_path / folder)

        project.rescan()
        assert {image.entry.key for image in project.labelled()} == {f"images/{stem}.png" for stem in "abc"}
        assert [problem.path.name for problem in project.problems] == ["a.json", "copy.json"]


def test_an_image_path_that_the_disk_refuses_leads_nowhere(
    tmp_path: Path, new_image: Maker, new_labelme: Maker
) -> None:
    """As one into a folder that may not be looked into does; that cannot be made for every user."""
    new_image(tmp_path / "a.png")
    for name in ("a.json", "other.json"):
        new_labelme(tmp_path / name, f"{'x' * 300}.png", "leaf")

    with Project.open(tmp_path) as project:
        assert [image.entry.annotation_path.name for image in project.labelled()] == ["a.json"]
        assert [problem.path.name for problem in project.problems] == ["other.json"]


def test_a_folder_that_may_not_be_looked_into_is_said(
    tmp_path: Path, new_image: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_image(tmp_path / "a.png")
    new_image(tmp_path / "closed" / "b.png")
    scandir = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with Project.open(tmp_path) as project:
        assert [entry.key for entry in project.images()] == ["a.png"]
        (problem,) = project.problems
        assert problem.path == tmp_path / "closed"
        assert "cannot be looked into (Permission denied)" in problem.problem


def test_an_image_called_project_leaves_the_project_file_alone(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "project.png")

    for _ in range(2):
        with Project.open(tmp_path) as project:
            (entry,) = project.images()
            assert entry.annotation_path.name == "project.png.json"
            loaded = project.load(entry)
            project.save(entry, replace(loaded.annotation, state=AnnotationState.DONE), loaded.digest)


def test_a_label_that_labelme_adds_meanwhile_becomes_a_class(
    labelme_folder: Path, new_labelme: Maker
) -> None:
    with Project.open(labelme_folder) as project:
        new_labelme(labelme_folder / "c.json", "c.png", "thorn")
        project.rescan()

        assert project.classes.by_name("thorn") == project.classes.by_index(5)
    with Project.open(labelme_folder) as project:
        assert "thorn" in project.classes.names


def test_a_missing_image_folder_is_a_problem_and_not_the_end(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "p" / "here" / "a.png")
    Project.create(tmp_path / "p", image_roots=("here", "../gone")).close()

    with Project.open(tmp_path / "p") as project:
        assert [entry.key for entry in project.images()] == ["here/a.png"]
        assert ["gone" in str(problem) for problem in project.problems] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
def test_an_image_whose_name_is_no_text_is_said(tmp_path: Path, new_image: Maker) -> None:
    new_image(tmp_path / "good.png")
    image = new_image(tmp_path / "bad.png")
    image.rename(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe4d.png"))

    with Project.open(tmp_path) as project:
        assert [entry.key for entry in project.images()] == ["good.png"]
        assert ["rename" in str(problem).encode().decode() for problem in project.problems] == [True]


# --- locks ------------------------------------------------------------------------------------------------


def test_a_second_window_is_told_who_has_the_project(tmp_path: Path) -> None:
    with (
        Project.create(tmp_path / "p", holder="anna@desk"),
        pytest.raises(ProjectLockedError, match=f"anna@desk.*process {os.getpid()}"),
    ):
        Project.open(tmp_path / "p")

    Project.open(tmp_path / "p").close()


def test_reading_beside_an_open_window_writes_nothing(
    labelme_folder: Path, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    with Project.open(labelme_folder):
        before = snapshot(labelme_folder)
        with Project.open(labelme_folder, lock=False) as reader:
            assert len(list(reader.labelled())) == 2
            entry = reader.entry("a.png")
            loaded = reader.load(entry)
            with pytest.raises(StorageError, match="reading only"):
                reader.save(entry, loaded.annotation, loaded.digest)
            with pytest.raises(StorageError, match="reading only"):
                reader.add_class("moss")
        assert snapshot(labelme_folder) == before


def test_a_holder_that_died_is_noticed_and_does_not_block(tmp_path: Path) -> None:
    Project.create(tmp_path / "p").close()
    code = (
        "import os, pathlib, sys\n"
        "from core.project.project import Project\n"
        "Project.open(pathlib.Path(sys.argv[1]), holder='bert@lab')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "p")], check=False)

    with Project.open(tmp_path / "p") as project:
        assert ["bert@lab" in note for note in project.notes] == [True]
    with Project.open(tmp_path / "p") as project:
        assert project.notes == []


def test_an_error_while_opening_gives_the_lock_back(tmp_path: Path) -> None:
    Project.create(tmp_path / "p").close()
    good = (tmp_path / "p" / "project.json").read_bytes()
    (tmp_path / "p" / "project.json").write_text("{")
    with pytest.raises(ProjectFileError):
        Project.open(tmp_path / "p")

    (tmp_path / "p" / "project.json").write_bytes(good)
    Project.open(tmp_path / "p").close()


def test_a_read_only_folder_opens_with_a_note(
    labelme_folder: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    before = snapshot(labelme_folder)
    _make_read_only(monkeypatch, labelme_folder)

    with Project.open(labelme_folder) as project:
        assert len(list(project.labelled())) == 2
        assert ["read-only" in note for note in project.notes if "taken from" not in note] == [True]
        entry = project.entry("a.png")
        loaded = project.load(entry)
        with pytest.raises(StorageError, match="read-only"):
            project.save(entry, loaded.annotation, loaded.digest)

    assert snapshot(labelme_folder) == before


def test_a_place_that_refuses_writing_whatever_its_permissions_say_opens_read_only(
    labelme_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only mount: permissions look fine, and every write fails."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", _failing(errno.EROFS))
        with Project.open(labelme_folder) as project:
            assert not project.writable
            (note,) = [note for note in project.notes if "taken from" not in note]
            assert "is read-only: you can look at the project" in note
            assert "lock" not in note


def test_a_disk_that_is_full_at_opening_is_said_of_the_folder_not_of_the_lock(
    labelme_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "mkdir", _failing(errno.ENOSPC))
    with pytest.raises(StorageError) as caught:
        Project.open(labelme_folder)
    assert str(caught.value).startswith(f"{labelme_folder}: the disk is full")


def _failing(code: int) -> Callable[..., None]:
    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(self))

    return fail


def _make_read_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Permissions, and where they do not count (the tests run as root in some places) their effect."""
    original = os.access

    def access(path: Path, mode: int) -> bool:
        return original(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(folder))

    def mkdir(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_importing_the_project_is_light() -> None:
    code = (
        "import sys, core.project.project, core.images.reader\n"
        "print([n for n in ('torch', 'cv2', 'tifffile', 'filelock', 'PySide6') if n in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "[]"
