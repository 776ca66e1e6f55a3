"""The program as it is started: its process begins, shows a project and leaves in good order when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import ProjectLockedError
from core.files import LockNote
from core.project.project import Project
from tests.patience import PATIENCE_S


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_terminated_program_saves_leaves_with_0_and_frees_the_project(image_folder, tmp_path: Path):
    folder = image_folder(2)
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    home |= {"XDG_DATA_HOME": str(tmp_path / "data"), "QT_QPA_PLATFORM": "offscreen"}
    program = subprocess.Popen(
        [sys.executable, "-m", "app", str(folder)], env=home, stderr=subprocess.PIPE, text=True
    )
    try:
        held = False
        deadline = time.monotonic() + PATIENCE_S
        while not held and time.monotonic() < deadline and program.poll() is None:
            held = is_held_by(program.pid, folder)  # trying the lock here could take it from the program
        assert held
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
    finally:
        if program.poll() is None:
            program.kill()
        program.communicate()
    assert not is_locked(folder)
    assert (tmp_path / "config").is_dir()  # the layout is remembered


def is_held_by(pid: int, folder: Path) -> bool:
    note = LockNote.read(folder / ".maskloop" / "lock.json")
    return note is not None and note.pid == pid


def is_locked(folder: Path) -> bool:
    if not (folder / ".maskloop" / "lock").exists():
        return False
    try:
        Project.open(folder).close()
    except ProjectLockedError:
        return True
    return False
