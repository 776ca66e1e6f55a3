"""Files are written whole or not at all, and locks name their holder."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core import files
from core.errors import ProjectLockedError, StorageError
from core.files import LockNote, ProjectLock, digest, file_digest, safe_name, write_atomic


def test_a_file_is_replaced_and_nothing_is_left_over(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_atomic(path, b"one")
    write_atomic(path, b"two")

    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    assert file_digest(path) == digest(b"two")
    assert file_digest(tmp_path / "none") is None


def test_a_failed_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"old")

    def refuse(_temporary: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "replace_file", refuse)
    with pytest.raises(StorageError, match=r"a\.txt.*read-only"):
        write_atomic(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "a.txt", b"data")


@pytest.mark.skipif(os.name == "nt", reason="symbolic links and modes")
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link.txt").symlink_to(real)

    write_atomic(tmp_path / "link.txt", b"new")

    assert (tmp_path / "link.txt").is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b:c*?", "a_b_c_"), ("..", "_"), ("con.txt", "_con.txt"), (" ümlaut ", "ümlaut"), ("", "_")],
)
def test_names_are_safe_everywhere(text: str, name: str) -> None:
    assert safe_name(text) == name
    assert len(safe_name(text * 100)) <= 101


def test_a_lock_can_be_released_from_another_thread(tmp_path: Path) -> None:
    lock = ProjectLock(tmp_path / ".maskloop" / "lock")
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert lock.held
    with pytest.raises(ProjectLockedError, match=f"process {os.getpid()}"):
        ProjectLock(tmp_path / ".maskloop" / "lock").acquire()

    lock.release()
    lock.release()

    again = ProjectLock(tmp_path / ".maskloop" / "lock")
    again.acquire()
    assert again.stale_holder is None
    again.release()


def test_who_opens_after_a_crash_is_told_in_plain_words(tmp_path: Path) -> None:
    own = LockNote.of_this_process()
    said = own.was_cut_short()
    assert said.startswith(f"Last time (opened {datetime.now():%H:%M}) the program ended without closing")
    assert "+00:00" not in said
    assert str(own.pid) not in said
    other = LockNote("eva@ward", 1, "maskloop", "2026-03-01 06:12:40+00:00")
    local = datetime(2026, 3, 1, 6, 12, 40, tzinfo=UTC).astimezone()
    assert other.was_cut_short(datetime(2026, 3, 9)).startswith(
        f"Last time (opened {local:%d %b, %H:%M}) the program of eva@ward ended"
    )


def test_a_note_left_behind_is_reported(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(
        '{"holder": "eva@ward", "pid": 1, "program": "maskloop", "since": "yesterday"}'
    )
    lock = ProjectLock(tmp_path / "lock")

    lock.acquire()

    assert lock.stale_holder == LockNote("eva@ward", 1, "maskloop", "yesterday")
    lock.release()
    assert not (tmp_path / "lock.json").exists()
