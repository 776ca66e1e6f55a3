"""Edits that a killed window had noted but not saved are back after the next opening, whole and once."""

from __future__ import annotations

import errno
import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.annotation.document import AnnotationDocument
from core.annotation.labelme_json import loads
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType
from core.errors import StorageError
from core.project import mask_store
from core.project.edit_journal import Edit, EditJournal
from core.project.project import ImageEntry, Project
from tests.patience import PATIENCE_S


def triangle(seed: int, label: str = "leaf") -> Shape:
    points = np.random.default_rng(seed).uniform(0, 12, (3, 2)).round(2)
    return Shape(label, ShapeType.POLYGON, points)


def change_something(document: AnnotationDocument, choice: random.Random) -> None:
    """Any one mutation that a command can make."""
    shapes = document.shapes
    kind = choice.choice(["insert", "replace", "remove", "move", "state"]) if shapes else "insert"
    seed = choice.randrange(10_000)
    if kind == "insert":
        document.insert(choice.randint(0, len(shapes)), triangle(seed))
    elif kind == "replace":
        document.replace(choice.choice(shapes).with_(points=triangle(seed).points))
    elif kind == "remove":
        document.remove(choice.choice(shapes).uid)
    elif kind == "move":
        document.move(choice.choice(shapes).uid, choice.randrange(len(shapes)))
    else:
        document.set_state(choice.choice([AnnotationState.IN_PROGRESS, AnnotationState.DONE]))


class Window:
    """One image open in a window that can be killed: what it noted stays, it closes nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with Project.open(root) as project:
            self.entry: ImageEntry = project.images()[0]
            loaded = project.load(self.entry)
            self.folder = project.layout.edits
        self.digest = loaded.digest
        self.document = AnnotationDocument(loaded.annotation)
        self.journal = EditJournal(self.folder, self.entry.key, loaded.digest)
        self.document.subscribe(self._on_change)

    def _on_change(self, change) -> None:
        self.journal.note(Edit.of(change, self.document))
        self.journal.flush()

    def save(self, *, killed: str = "") -> None:
        """Save, and be killed "before" or "after" the file is replaced."""
        revision = self.document.revision

        class Killed(Exception):  # noqa: N818 - not an error: an end
            pass

        def announce(digest: str) -> None:
            self.journal.saving(revision, digest)
            if killed == "before":
                raise Killed

        with Project.open(self.root, lock=False) as project:
            project.read_only_reason = ""
            try:
                self.digest = project.save(
                    self.entry, self.document.snapshot(), self.digest, announce=announce
                )
            except Killed:
                return

    def reopened(self) -> Annotation:
        with Project.open(self.root) as project:
            self.notes = project.notes
            return project.load(self.entry).annotation


@pytest.fixture
def window(labelme_folder: Path) -> Window:
    return Window(labelme_folder)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_edited_and_whenever_it_was_saved_the_last_state_comes_back(window, seed):
    choice = random.Random(seed)
    for _ in range(20):
        change_something(window.document, choice)
        if choice.random() < 0.3:
            window.save(killed=choice.choice(["", "after"]))
    if seed % 3 == 0:
        window.save(killed="before")
    expected = window.document.snapshot()
    found = window.reopened()
    assert found.shapes == expected.shapes
    assert found.state is expected.state
    assert not list(window.folder.iterdir())
    assert window.reopened().shapes == expected.shapes  # and they are not added twice
    assert not [note for note in window.notes if "recovered" in note]


def test_recovered_edits_are_told_and_drawn_into_the_mask(window):
    window.document.insert(0, Shape("leaf", ShapeType.RECTANGLE, np.array([(10.0, 8.0), (15.0, 11.0)])))
    with Project.open(window.root) as project:
        assert any("recovered: 1 of a.png" in note for note in project.notes)
        leaf = project.classes.by_name("leaf")
        assert (project.read_mask(window.entry)[8:12, 10:16] == leaf.index).all()


def test_a_mask_that_recovered_edits_cannot_be_drawn_into_is_told(window, monkeypatch):
    def refuse(entry, *_rest):
        raise StorageError(entry.mask_path, "cannot be written (the disk is full)")

    window.document.insert(0, Shape("leaf", ShapeType.RECTANGLE, np.array([(10.0, 8.0), (15.0, 11.0)])))
    monkeypatch.setattr(mask_store, "write_mask", refuse)
    with Project.open(window.root) as project:
        assert [str(p) for p in project.problems] == [
            f"{window.entry.mask_path}: cannot be written (the disk is full)"
        ]


def test_several_edits_noted_at_once_come_back(window):
    changes = []
    window.document.subscribe(changes.append)
    for number in range(3):
        window.document.insert(0, triangle(number))
    again = EditJournal(window.folder, window.entry.key, window.digest)
    assert again.note(*(Edit.of(change, window.document) for change in changes))
    assert not again.note(Edit.whole(window.document))
    again.flush()
    assert window.reopened().shapes == window.document.shapes


def test_a_last_line_that_was_cut_is_left_out(window):
    window.document.insert(0, triangle(1))
    window.document.insert(0, triangle(2))
    path = window.journal.path
    path.write_bytes(path.read_bytes()[:-40])
    found = window.reopened()
    assert found.shapes[0] == triangle(1)
    assert len(found.shapes) == 3


def test_a_journal_that_says_nothing_yet_is_no_obstacle(window):
    window.folder.mkdir(parents=True)
    window.journal.path.write_bytes(b'{"schema": 1, "ima')
    assert len(window.reopened().shapes) == 2
    assert not list(window.folder.iterdir())


@pytest.mark.parametrize(
    "header",
    [b'{"schema": 2, "image": "a.png", "base": null}', b"[]", b'{"schema": 1}', b"junk", b"\xff"],
    ids=["newer", "list", "incomplete", "text", "bytes"],
)
def test_a_journal_of_another_version_stays_and_is_told(window, header):
    window.folder.mkdir(parents=True)
    data = header + b'\n{"revision": 1, "edit": "state", "state": "done"}\n'
    window.journal.path.write_bytes(data)
    assert len(window.reopened().shapes) == 2
    assert window.journal.path.read_bytes() == data
    told = [note for note in window.notes if "is of another version of Maskloop, and stays as it is" in note]
    assert len(told) == 1


@pytest.mark.parametrize("line", [b"[]", b"7", b'{"revision": "x", "edit": "removed"}', b"{}"])
def test_a_line_that_says_nothing_ends_what_is_recovered(window, line):
    window.document.insert(0, triangle(1))
    with window.journal.path.open("ab") as file:
        file.write(line + b"\n")
    window.document.insert(0, triangle(2))
    assert window.reopened().shapes[0] == triangle(1)


@pytest.mark.parametrize("method", ["read_bytes", "unlink"])
def test_a_journal_that_the_disk_refuses_keeps_no_project_from_opening(window, monkeypatch, method):
    window.document.insert(0, triangle(1))
    usual = getattr(Path, method)

    def refuse(path: Path, **named: object) -> object:
        if path == window.journal.path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path, **named)

    monkeypatch.setattr(Path, method, refuse)
    shapes = window.reopened().shapes
    if method == "unlink":
        assert shapes[0] == triangle(1)
    else:
        assert any(f"{window.journal.path}: cannot be read" in note for note in window.notes)


def test_edits_of_a_file_that_labelme_changed_meanwhile_never_replace_it(window, new_labelme):
    window.document.insert(0, triangle(1))
    new_labelme(window.root / "a.json", "a.png", "flower")
    assert [shape.label for shape in window.reopened().shapes] == ["flower"]
    assert any("another program changed this file" in note for note in window.notes)


def test_what_was_here_during_a_conflict_is_kept_beside_their_file(window, new_labelme):
    window.document.insert(2, triangle(1))
    window.journal.note(Edit.whole(window.document))
    window.journal.flush()
    window.document.insert(3, triangle(2))
    new_labelme(window.root / "a.json", "a.png", "flower")
    assert [shape.label for shape in window.reopened().shapes] == ["flower"]
    mine = window.root / "a.mine-1.json"
    assert loads(mine.read_bytes(), mine).shapes == window.document.shapes


def test_a_journal_waits_for_its_image(window):
    window.document.insert(0, triangle(1))
    image, away = window.entry.image_path, window.root.parent / "away.png"
    image.rename(away)
    Project.open(window.root).close()
    away.rename(image)
    assert window.reopened().shapes[0] == triangle(1)


def test_a_journal_that_does_not_fit_is_said_and_kept(window):
    window.document.remove(window.document.shapes[0].uid)
    lines = window.journal.path.read_bytes().splitlines()
    edit = json.loads(lines[1]) | {"index": 99}
    window.journal.path.write_bytes(lines[0] + b"\n" + json.dumps(edit).encode() + b"\n")
    before = (window.root / "a.json").read_bytes()
    assert len(window.reopened().shapes) == 2
    assert any(".maskloop/edits" in note for note in window.notes)
    assert (window.root / "a.json").read_bytes() == before
    assert window.journal.path.is_file()


def test_a_full_disk_under_the_journal_disturbs_nobody(window, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> Callable[..., None]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        window.document.insert(0, triangle(1))
    assert window.document.shapes[0] == triangle(1)


def test_a_reader_beside_the_window_leaves_its_journal_alone(window):
    window.document.insert(0, triangle(1))
    with Project.open(window.root, lock=False) as project:
        assert len(project.load(window.entry).annotation.shapes) == 2
    assert window.journal.path.is_file()


@pytest.mark.parametrize(("owner", "name"), [(Edit, "line"), (os, "fsync")])
def test_a_journal_begins_anew_while_edits_are_being_written(tmp_path, monkeypatch, owner, name):
    journal, really, waited = EditJournal(tmp_path, "a.png", None), getattr(owner, name), []

    def meanwhile(argument):
        window = threading.Thread(target=journal.restart, args=("saved",))
        window.start()
        window.join(PATIENCE_S)
        waited.append(window.is_alive())
        return really(argument)

    monkeypatch.setattr(owner, name, meanwhile)
    journal.note(Edit(1, "removed", 0))
    journal.flush()
    journal.flush()
    assert waited == [False]
    assert not journal.path.exists()


def test_edits_that_a_file_has_got_while_they_were_written_down_are_not_noted_as_lacking(
    tmp_path, monkeypatch
):
    journal, line = EditJournal(tmp_path, "a.png", None), Edit.line

    def meanwhile(edit):
        journal.restart("saved")
        journal.saving(2, "next")
        return line(edit)

    monkeypatch.setattr(Edit, "line", meanwhile)
    journal.note(Edit(1, "removed", 0))
    journal.flush()
    lines = [json.loads(line) for line in journal.path.read_bytes().splitlines()]
    assert lines == [{"schema": 1, "image": "a.png", "base": "saved"}, {"revision": 2, "saving": "next"}]
