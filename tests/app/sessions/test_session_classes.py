"""Classes of an open project: added, renamed, merged, deleted, with everything drawn and undone."""

from __future__ import annotations

from tests.app.sessions.conftest import add_class, draw, json_of


def test_an_added_class_becomes_the_active_one(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    assert opened.active_class.name == "nerve"
    add_class(opened, qtbot, "vessel")
    assert opened.active_class.name == "vessel"


def test_choosing_a_class_relabels_the_selection(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    shape = draw(opened, "nerve")
    opened.set_selection([shape.uid])
    opened.choose_class(opened.classes.by_name("vessel"))
    assert opened.current.document.get(shape.uid).label == "vessel"
    opened.undo()
    assert opened.current.document.get(shape.uid).label == "nerve"


def test_renaming_a_class_renames_the_labels_of_unsaved_and_saved_shapes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    draw(opened, "nerve")
    index = opened.active_class.index
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(index, "median nerve")
    assert [shape.label for shape in opened.current.document.shapes] == ["median nerve"]
    assert opened.active_class.name == "median nerve"
    assert json_of(opened)["shapes"][0]["label"] == "median nerve"
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")


def labels_drawn(session):
    return [shape.label for shape in session.current.document.shapes]


def test_undo_history_follows_a_renamed_class(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    shape = draw(opened, "vessel", at=20)
    opened.set_selection([shape.uid])
    opened.choose_class(opened.classes.by_name("nerve"))
    opened.delete_selection()
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(opened.classes.by_name("vessel").index, " vein ")
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.rename(opened.classes.by_name("nerve").index, "median nerve")
    assert labels_drawn(opened) == ["median nerve"]
    opened.editor.undo()  # of the image: undoing the new names is another test's
    assert labels_drawn(opened) == ["median nerve", "median nerve"]
    opened.editor.undo()
    assert labels_drawn(opened) == ["median nerve", "vein"]
    for _ in range(2):
        opened.editor.undo()
    assert labels_drawn(opened) == []
    for _ in range(3):
        opened.editor.redo()
    assert labels_drawn(opened) == ["median nerve", "median nerve"]
    qtbot.waitUntil(lambda: opened.save_state.kind == "saved")
    assert [each["label"] for each in json_of(opened)["shapes"]] == ["median nerve", "median nerve"]


def test_undo_history_follows_merged_and_ignored_classes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    draw(opened, "vessel", at=20)
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.merge(
            opened.classes.by_name("vessel").index, opened.classes.by_name("nerve").index
        )
    opened.undo()
    opened.redo()
    assert labels_drawn(opened) == ["nerve", "nerve"]
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.delete(opened.classes.by_name("nerve").index, "ignore")
    for _ in range(2):
        opened.undo()
    assert labels_drawn(opened) == []
    opened.redo()
    assert labels_drawn(opened) == ["__ignore__"]


def test_undo_history_ends_where_a_class_goes_with_its_shapes(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "nerve")
    draw(opened, "vessel", at=20)
    with qtbot.waitSignal(opened.classes_changed):
        opened.class_editor.delete(opened.classes.by_name("vessel").index, "delete")
    assert not opened.current.history.can_undo  # undo would bring back a label that no class has
    assert labels_drawn(opened) == ["nerve"]


def test_merging_classes_updates_document_file_and_mask(opened, qtbot):
    add_class(opened, qtbot, "nerve")
    add_class(opened, qtbot, "vessel")
    draw(opened, "vessel")
    nerve, vessel = (opened.classes.by_name(name).index for name in ("nerve", "vessel"))
    with qtbot.waitSignal(opened.labels_written, check_params_cb=lambda w: (w.mask == nerve).any()):
        opened.class_editor.merge(vessel, nerve)
    assert opened.classes.names == ("background", "nerve")
    assert (opened.project.read_mask(opened.current.entry)[6:15, 6:15] == nerve).all()


def test_a_refused_class_change_says_why_and_changes_nothing(opened, qtbot):
    with qtbot.waitSignal(opened.message) as told:
        opened.add_class("background")
    assert told.args[1] == "error"
    assert opened.classes.names == ("background",)
    assert not opened.busy
