"""Runs that the command line goes on with: which ones, and which settings count then."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.main import main
from core.learning.training.state import TrainState
from core.project.layout import ProjectLayout
from tests import tiny

SMALL = ("--model", "unet", "--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of three squares, all labelled."""
    root = tmp_path / "squares"
    tiny.squares_project(root, [(8, 8, 39, 39 + n) for n in range(3)], side=64, labelled=3)
    return root


def train(root: Path, *more: str) -> None:
    assert main(["train", str(root), *SMALL, "--crop", "64", "--device", "cpu", *more]) == 0


def test_a_run_that_has_come_to_its_end_is_followed_by_a_new_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that patience has ended, or that joined both learners, has some of its budget left."""
    train(root, "--steps", "2", "--auto-resume")
    runs = list(ProjectLayout(root).runs_by_time())
    assert len(runs) == 1
    usual = TrainState.over
    monkeypatch.setattr(TrainState, "over", lambda state: usual(state) and state.step > 2)
    monkeypatch.setattr(TrainState, "budget_spent", property(lambda state: state.step > 2))
    train(root, "--steps", "3", "--auto-resume")
    assert len(list(ProjectLayout(root).runs_by_time())) == 2


def test_settings_that_a_run_does_not_follow_when_it_goes_on_are_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(root, "--steps", "2")
    capsys.readouterr()
    train(root, "--resume", "--steps", "3", "--seed", "9", "--set", "lr=0.5", "--set", "loss=ce")
    said = capsys.readouterr().err
    assert "the run goes on with its own settings; what was given now is left out: seed, lr, loss" in said
    train(root, "--resume", "--steps", "4")
    assert "left out" not in capsys.readouterr().err
