"""Changing classes with labels present: every file follows, or none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.errors import AnnotationFileError, ForeignChangeError, StorageError, UsageError
from core.project import transaction
from core.project.layout import ProjectLayout
from core.project.project import Project
from core.project.transaction import recover

Maker = Callable[..., Path]


@pytest.fixture
def project(labelme_folder: Path) -> Iterator[Project]:
    """Classes: background 0, stem 1, leaf 2, flower 3, root 4."""
    with Project.open(labelme_folder) as opened:
        opened.refresh_masks()
        yield opened


def labels(project: Project) -> dict[str, list[str]]:
    return {
        entry.key: [shape.label for shape in project.load(entry).annotation.shapes]
        for entry in project.images()
    }


def test_shapes_of_a_class_are_counted(project: Project) -> None:
    assert [project.usage(index) for index in project.classes.indices] == [1, 1, 2, 0, 1]


def test_renaming_takes_the_shapes_along_and_keeps_the_index(project: Project) -> None:
    project.rename_class(2, "frond")

    assert labels(project)["a.png"] == ["frond", "stem"]
    assert labels(project)["b.png"] == ["frond", "__ignore__", "_background_", "root"]
    assert project.classes.by_index(2).name == "frond"
    assert project.usage(2) == 2
    with Project.open(project.root, lock=False) as again:
        assert again.classes == project.classes


def test_renaming_keeps_what_labelme_wrote(project: Project, new_labelme: Maker) -> None:
    entry = project.entry("a.png")
    new_labelme(entry.annotation_path, "a.png", "leaf", camera={"iso": 200})

    project.rename_class(2, "frond")

    assert json.loads(entry.annotation_path.read_text())["camera"] == {"iso": 200}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_renaming_follows_links(project: Project, tmp_path: Path) -> None:
    link, real = project.entry("a.png").annotation_path, tmp_path / "kept elsewhere.json"
    link.rename(real)
    link.symlink_to(real)

    project.rename_class(2, "frond")

    assert link.is_symlink()
    assert "frond" in real.read_text()


def test_renaming_the_background_keeps_customary_labels(project: Project) -> None:
    project.rename_class(0, "soil")

    assert "_background_" in labels(project)["b.png"]
    assert project.classes.background == 0


@pytest.mark.parametrize("name", ["", "  ", "stem", "__ignore__", "_background_"])
def test_unfit_names_are_refused(project: Project, name: str) -> None:
    before = project.classes

    with pytest.raises(UsageError):
        project.rename_class(2, name)
    with pytest.raises(UsageError):
        project.add_class(name)
    assert project.classes == before


def test_colours_and_order_change_without_touching_annotations(
    project: Project, snapshot: Callable[[Path], dict[str, object]]
) -> None:
    before = {name: file for name, file in snapshot(project.root).items() if name != "project.json"}

    project.recolor_class(2, "#00FF7f")
    project.reorder_classes((4, 2, 0, 1, 3))

    assert project.classes.by_index(2).color == "#00ff7f"
    assert project.classes.indices == (4, 2, 0, 1, 3)
    after = snapshot(project.root)
    assert {name: after[name] for name in before} == before
    with pytest.raises(UsageError, match="each class once"):
        project.reorder_classes((4, 2, 0))
    with pytest.raises(UsageError, match="#e69f00"):
        project.recolor_class(2, "green")


def test_merging_moves_shapes_and_masks(project: Project) -> None:
    project.merge_classes(2, 4)

    assert labels(project)["b.png"] == ["root", "__ignore__", "_background_", "root"]
    assert project.classes.by_index(2) is None
    assert project.usage(4) == 3
    masks = [project.read_mask(project.entry(key)) for key in ("a.png", "b.png")]
    assert sorted({int(value) for mask in masks for value in np.unique(mask)}) == [0, 1, 4]
    assert project.problems == []


def test_a_merged_background_hands_its_part_on(project: Project) -> None:
    project.merge_classes(0, 3)

    assert project.classes.background == 3
    assert project.read_mask(project.entry("a.png"))[0, 0] == 3


@pytest.mark.parametrize(
    ("shapes", "left", "value"),
    [("delete", ["stem"], 1), ("ignore", ["__ignore__", "stem"], 1), (3, ["flower", "stem"], 1)],
)
def test_deleting_asks_what_becomes_of_the_shapes(
    project: Project, shapes: str | int, left: list[str], value: int
) -> None:
    project.delete_class(2, shapes)  # type: ignore[arg-type]

    assert labels(project)["a.png"] == left
    assert project.read_mask(project.entry("a.png"))[5, 5] == value
    assert project.classes.by_index(2) is None


def test_an_image_stays_done_when_its_last_shape_goes(project: Project, new_labelme: Maker) -> None:
    new_labelme(project.root / "c.json", "c.png", "flower")

    project.delete_class(3)

    assert project.state_of(project.entry("c.png")) is AnnotationState.DONE
    assert project.load(project.entry("c.png")).annotation.state is AnnotationState.DONE


def test_an_index_is_never_given_twice(project: Project) -> None:
    project.delete_class(4)
    assert project.add_class("moss").index == 5
    with pytest.raises(UsageError, match="4"):
        project.add_class("fern", index=4)
    with Project.open(project.root, lock=False) as again:
        assert again._json.content.next_index() == 6
    assert project.add_class("reed", index=9).index == 9


def test_new_classes_have_colours_of_their_own(project: Project) -> None:
    for number in range(40):
        project.add_class(f"class {number}")

    colors = [label_class.color for label_class in project.classes]
    assert len(set(colors)) == len(colors)


def test_more_classes_than_a_mask_can_hold_are_refused(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p", classes=[str(n) for n in range(255)], background=None) as project:
        with pytest.raises(UsageError, match="255"):
            project.add_class("one more")
        assert len(project.classes) == 255


@pytest.mark.parametrize("failing", ["first", "last"])
def test_a_change_that_fails_leaves_everything_as_it_was(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    snapshot: Callable[[Path], dict[str, tuple[bytes, int]]],
    failing: str,
) -> None:
    before = {name: content for name, (content, _) in snapshot(project.root).items()}
    classes = project.classes
    original = transaction.replace_file
    failing_name = "a.json" if failing == "first" else "project.json"

    def replace_file(temporary: Path, target: Path) -> None:
        if target.name == failing_name:
            raise PermissionError(13, "Permission denied")
        original(temporary, target)

    monkeypatch.setattr(transaction, "replace_file", replace_file)
    with pytest.raises(StorageError, match=failing_name):
        project.rename_class(2, "frond")

    assert {name: content for name, (content, _) in snapshot(project.root).items()} == before
    assert project.classes == classes
    assert project.usage(2) == 2


class Killed(BaseException):
    pass


@pytest.fixture
def cut_short(labelme_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectLayout:
    """A project whose renaming of `leaf` (2) to `frond` a crash cut short: a.json has it, b.json has not."""

    def killed(_temporary: Path, target: Path) -> None:
        if target.name == "b.json":
            raise Killed
        original(_temporary, target)

    original = transaction.replace_file
    with Project.open(labelme_folder) as project, monkeypatch.context() as patch:
        patch.setattr(transaction, "replace_file", killed)
        patch.setattr(Path, "unlink", lambda *_args, **_kwargs: None)  # a dead process tidies nothing
        with pytest.raises(Killed):
            project.rename_class(2, "frond")
    assert project.layout.journal.exists()
    return project.layout


@pytest.mark.parametrize("since", ["as it was left", "moved", "left by an earlier version"])
def test_a_change_cut_short_by_a_crash_is_completed_by_the_next_opening(
    cut_short: ProjectLayout, since: str
) -> None:
    root = cut_short.root
    if since == "moved":
        root = root.rename(root.with_name("moved"))
    elif since == "left by an earlier version":  # whose journals had absolute paths and no digests
        lines = json.loads(cut_short.journal.read_bytes())
        cut_short.journal.write_text(json.dumps([[str(root / path) for path in line[:2]] for line in lines]))

    with Project.open(root) as project:
        assert project.classes.by_index(2).name == "frond"
        assert labels(project)["a.png"] == ["frond", "stem"]
        assert labels(project)["b.png"][0] == "frond"
        assert [note for note in project.notes if "completed" in note] == [
            "A change of classes that was cut short has been completed."
        ]
        assert not list(root.glob(".maskloop-*"))
        assert recover(project.layout) == []


def test_what_was_changed_after_a_crash_stays_and_its_other_version_is_beside_it(
    cut_short: ProjectLayout, new_labelme: Maker
) -> None:
    new_labelme(cut_short.root / "b.json", "b.png", "leaf", "moss")

    with Project.open(cut_short.root) as project:
        assert labels(project)["a.png"] == ["frond", "stem"]
        assert labels(project)["b.png"] == ["leaf", "moss"]
        assert any("b.json was changed" in note and "b.mine-1.json" in note for note in project.notes)
        assert "frond" in (project.root / "b.mine-1.json").read_text()


@pytest.mark.parametrize("name", ["a.json", "b.json", "project.json"])
def test_what_labelme_saves_while_classes_change_is_not_overwritten(
    project: Project,
    new_labelme: Maker,
    monkeypatch: pytest.MonkeyPatch,
    snapshot: Callable[[Path], dict[str, tuple[bytes, int]]],
    name: str,
) -> None:
    before = {file: content for file, (content, _) in snapshot(project.root).items()}
    path, original = project.root / name, transaction.write_temporary

    def write_temporary(target: Path, data: bytes) -> Path:
        if target == path:
            new_labelme(path, "a.png", "leaf", "moss")
        return original(target, data)

    monkeypatch.setattr(transaction, "write_temporary", write_temporary)
    with pytest.raises(ForeignChangeError, match=rf"{name}: was changed by another program"):
        project.rename_class(2, "frond")

    assert '"moss"' in path.read_text()
    after = {file: content for file, (content, _) in snapshot(project.root).items()}
    assert {file for file in after if after[file] != before.get(file)} == {name}
    assert project.classes.by_index(2).name == "leaf"


def test_what_labelme_saves_over_a_change_that_is_taken_back_is_not_overwritten(
    project: Project, new_labelme: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = transaction.replace_file

    def replace_file(temporary: Path, target: Path) -> None:
        if target.name == "b.json":
            new_labelme(project.root / "a.json", "a.png", "frond", "moss")
            raise PermissionError(13, "Permission denied")
        original(temporary, target)

    monkeypatch.setattr(transaction, "replace_file", replace_file)
    with pytest.raises(StorageError, match=r"b\.json"):
        project.rename_class(2, "frond")

    assert labels(project)["a.png"] == ["frond", "moss"]


def test_a_broken_annotation_with_the_label_stops_the_change(project: Project) -> None:
    broken = b'{"shapes": [{"label": "leaf", '
    (project.root / "a.json").write_bytes(broken)

    with pytest.raises(AnnotationFileError, match=r"a\.json"):
        project.rename_class(2, "frond")

    assert (project.root / "a.json").read_bytes() == broken
    assert labels_of_b(project)[0] == "leaf"
    project.rename_class(3, "bloom")  # it does not occur in the broken file
    assert project.classes.by_index(3).name == "bloom"


@pytest.mark.parametrize("ascii", [False, True], ids=["as it is", "escaped"])
def test_a_label_is_found_in_a_broken_annotation_however_it_is_written(project: Project, ascii: bool) -> None:
    project.rename_class(2, 'Blätt"er')
    broken = f'{{"shapes": [{{"label": {json.dumps("Blätt" + chr(34) + "er", ensure_ascii=ascii)}, '.encode()
    (project.root / "a.json").write_bytes(broken)

    with pytest.raises(AnnotationFileError, match=r"a\.json"):
        project.rename_class(2, "frond")

    assert (project.root / "a.json").read_bytes() == broken


def test_a_label_that_can_be_no_class_is_told_once(project: Project, new_labelme: Maker) -> None:
    new_labelme(project.root / "c.json", "c.png", " ")
    for _ in range(3):
        project.rescan()

    assert len([note for note in project.notes if "are left out" in note]) == 1


def labels_of_b(project: Project) -> list[str]:
    return [shape.label for shape in project.load(project.entry("b.png")).annotation.shapes]


def test_a_foreign_edit_is_part_of_the_change_and_not_lost(project: Project, new_labelme: Maker) -> None:
    new_labelme(project.root / "c.json", "c.png", "leaf", "stem")

    project.rename_class(2, "frond")

    assert labels(project)["c.png"] == ["frond", "stem"]


def test_project_json_edited_by_hand_meanwhile_is_not_overwritten(project: Project) -> None:
    path = project.root / "project.json"
    path.write_text(path.read_text().replace('"flower"', '"bloom"'))

    with pytest.raises(Exception, match=r"project\.json.*another program"):
        project.add_class("moss")
    assert '"bloom"' in path.read_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: p.rename_class(2, "frond"), {"frond", "moss"}),
        (lambda p: p.recolor_class(2, "#112233"), {"leaf", "moss"}),
        (lambda p: p.merge_classes(2, 1), {"moss"}),
        (lambda p: p.delete_class(2), {"moss"}),
    ],
)
def test_a_class_that_comes_while_the_classes_change_stays(
    project: Project, change: Callable[[Project], None], expected: set[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with project.turn:
            changed = pool.submit(change, project)
            with pytest.raises(TimeoutError):
                changed.result(0.1)  # it waits for its turn
            project.adopt_labels(["moss"])
        changed.result(20)
    assert expected <= set(project.classes.names)
    assert expected <= {
        each["name"] for each in json.loads(project.layout.project_file.read_text())["classes"]
    }
