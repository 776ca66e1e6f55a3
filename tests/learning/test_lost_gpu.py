"""A graphics card that disappears in the middle of a command: one sentence, and the CPU finishes the work."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.cli.main import main
from core.learning.engine import main as engine_main
from core.learning.engine.exit import EXIT_DEVICE_LOST
from core.learning.prediction.tiled_logits import TiledLogits
from core.learning.runs.run_folder import RunFolder
from core.learning.training.learner import Learner
from tests.learning.test_folder_prediction import save_network, visible, write_picture
from tests.tiny import squares_project

LOST = "CUDA error: unspecified launch failure"
TINY = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4", "--crop", "64"]


def _lost_after(calls: int, does: Callable[..., object]) -> Callable[..., object]:
    """Does what it did, but for one call, in which the card is gone."""
    made = 0

    def lost(*arguments: object, **named: object) -> object:
        nonlocal made
        made += 1
        if made == calls + 1:
            raise RuntimeError(f"{LOST}\nCUDA kernel errors might be asynchronously reported")
        return does(*arguments, **named)

    return lost


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four of them."""
    for number in range(4):
        write_picture(tmp_path / "in" / f"{number}.png", number)
    return tmp_path / "in"


def test_training_goes_on_where_it_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "squares"
    squares_project(root, [(8, 8, 39, 39 + n) for n in range(3)], side=64, labelled=3)
    monkeypatch.setattr(Learner, "apply_gradients", _lost_after(3, Learner.apply_gradients))
    saved = ["--set", "checkpoint_every_s=0"]  # after every step
    assert main(["train", str(root), "--model", "unet", *TINY, *saved, "--steps", "6", "--json"]) == 0
    said = capsys.readouterr()
    assert f"the graphics card reported an error ({LOST}): training goes on on the CPU" in said.err
    summary = json.loads(said.out)
    assert (summary["steps"], summary["resumed_step"]) == (6, 3)
    assert len(list((root / "runs").iterdir())) == 1


def test_training_begins_on_the_cpu_where_the_card_is_lost_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "squares"
    squares_project(root, [(8, 8, 39, 39 + n) for n in range(3)], side=64, labelled=3)
    monkeypatch.setattr(Learner, "__init__", _lost_after(0, Learner.__init__))
    assert main(["train", str(root), "--model", "unet", *TINY, "--steps", "2", "--json"]) == 0
    said = capsys.readouterr()
    assert f"the graphics card reported an error ({LOST}): training goes on on the CPU" in said.err
    assert json.loads(said.out)["steps"] == 2
    (run,) = (root / "runs").iterdir()
    assert RunFolder(run).config.device == "auto"  # when it goes on, it tries the card again
    monkeypatch.setattr(
        torch.optim.AdamW, "load_state_dict", _lost_after(0, torch.optim.AdamW.load_state_dict)
    )
    assert main(["train", str(root), "--resume", "--steps", "3", "--json"]) == 0
    said = capsys.readouterr()
    assert f"({LOST}): training goes on on the CPU" in said.err
    summary = json.loads(said.out)
    assert (summary["steps"], summary["resumed_step"]) == (3, 2)


def test_a_card_that_is_lost_where_nothing_can_go_on_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: object) -> None:
        raise RuntimeError(f"{LOST}\nCUDA kernel errors might be asynchronously reported")

    monkeypatch.setattr("core.cli.train.train", lost)
    assert main(["train", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"maskloop: the graphics card reported an error ({LOST}); try again, or with --device cpu\n"
    )


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_is_predicted_to_its_end_and_every_image_once(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    again: bool,
) -> None:
    weights, out = save_network(tmp_path / "net.safetensors"), tmp_path / "out"
    command = ["predict", str(weights), str(pictures), "--out", str(out), "--json"]
    if again:
        assert main(command) == 0
        command.append("--again")
        capsys.readouterr()
    passes = 0

    def counted(*arguments: object) -> object:
        nonlocal passes
        passes += 1
        return usual(*arguments)

    usual = TiledLogits._logits
    monkeypatch.setattr(TiledLogits, "_logits", _lost_after(2, counted))
    assert main(command) == 0
    said = capsys.readouterr()
    assert f"({LOST}): predicting goes on on the CPU" in said.err
    assert visible(out) == [f"{number}.png" for number in range(4)]
    answer = json.loads(said.out)
    assert (len(answer["files"]), answer["problems"], answer["known"]) == (4, [], 0)
    assert passes == 4


def test_an_evaluation_is_made_on_the_cpu(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_network(tmp_path / "net.safetensors")
    (tmp_path / "masks").mkdir()
    for number in range(4):
        truth = np.full((40, 56), 3 * (number % 2), np.uint8)
        Image.fromarray(truth).save(tmp_path / "masks" / f"{number}.png")
    folders = ["--images", str(pictures), "--masks", str(tmp_path / "masks")]
    command = ["evaluate", str(weights), *folders, "--json"]
    assert main(command) == 0
    expected = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(TiledLogits, "_logits", _lost_after(1, TiledLogits._logits))
    assert main(command) == 0
    said = capsys.readouterr()
    assert LOST in said.err
    assert json.loads(said.out) == expected


def test_other_errors_are_not_taken_for_a_lost_card(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(TiledLogits, "_logits", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        main(
            [
                "predict",
                str(save_network(tmp_path / "net.safetensors")),
                str(pictures),
                "--out",
                str(tmp_path),
            ]
        )


def test_an_engine_that_finds_the_card_gone_when_it_starts_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(_device: torch.device) -> str:
        raise RuntimeError(LOST)

    monkeypatch.setattr(engine_main, "device_name", gone)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ours, theirs = Pipe()
    with ours, theirs:
        assert engine_main.engine_main(theirs, threads=1) == EXIT_DEVICE_LOST
