"""`maskloop demo` with a display: what is asked for on the command line is what the window does."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import __main__ as program
from app import demo
from core.learning.config import TrainConfig


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, TrainConfig]]:
    """Windows that would have been opened, and the runs in them."""
    begun: list[tuple[Path, TrainConfig]] = []

    def run_window(path: Path, *, train: TrainConfig) -> int:
        begun.append((path, train))
        return 0

    monkeypatch.setattr(program, "has_display", lambda: True)
    monkeypatch.setattr(demo, "run_window", run_window)
    return begun


def test_the_window_trains_for_the_seconds_and_with_the_seed_that_are_asked_for(
    begun: list[tuple[Path, TrainConfig]], tmp_path: Path
) -> None:
    assert program.main(["demo", "--seconds", "5", "--seed", "7", "--out", str(tmp_path / "out")]) == 0
    ((root, config),) = begun
    assert root == tmp_path / "out" / "project"
    assert (root / "project.json").is_file()
    assert (config.seconds, config.seed) == (5.0, 7)


@pytest.mark.parametrize("seconds", ["-5", "nan"])
def test_a_time_that_cannot_be_opens_no_window(
    begun: list[tuple[Path, TrainConfig]],
    tmp_path: Path,
    seconds: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.main(["demo", f"--seconds={seconds}", "--out", str(tmp_path / "out")]) != 0
    assert "--seconds" in capsys.readouterr().err
    assert not begun
    assert not (tmp_path / "out").exists()
