"""`maskloop predict --uncertainty` does nothing twice, goes on where it was, and takes images of any size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.cli.main import main
from core.images.rows import WholePicture
from core.learning.overlay import doubt_rows
from core.learning.overlay.doubt_rows import uncertain_rows
from core.learning.overlay.doubt_sources import asked_again
from core.learning.prediction.prediction_journal import MOST_BEGINNINGS
from core.learning.prediction.uncertainty import UncertaintySource, uncertainty_map
from tests.learning.test_doubt_sources import network, save
from tests.learning.test_folder_prediction import visible, write_picture


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Sizes of the images, or windows, that networks are asked about."""
    shapes: list[tuple[int, ...]] = []

    def noting(source: UncertaintySource, predictor, image, *, others=()):
        shapes.append(image.shape[:2])
        return asked_again(source, predictor, image, others=others)

    monkeypatch.setattr(doubt_rows, "asked_again", noting)
    return shapes


@pytest.fixture
def predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Runs the command on three images; names of the pictures it says there are."""
    weights = save(tmp_path / "one.safetensors")
    for number in range(3):
        write_picture(tmp_path / "in" / f"{number}.png", number)

    def run(*more: str, source: str = "tta", images: Path | None = None) -> list[str]:
        command = ["predict", str(weights), str(images or tmp_path / "in"), "--out", str(tmp_path / "out")]
        capsys.readouterr()
        assert main([*command, "--device", "cpu", "--json", "--uncertainty", source, *more]) == 0
        folder = tmp_path / "out" / "uncertainty"
        found = json.loads(capsys.readouterr().out)["uncertainty"]
        return [Path(file).relative_to(folder).as_posix() for file in found]

    return run


def test_what_there_is_of_the_same_image_weights_and_source_is_left_alone(
    predicted: Callable[..., list[str]], asked: list[tuple[int, ...]], tmp_path: Path
) -> None:
    names = ["0.png", "1.png", "2.png"]
    assert predicted() == predicted() == names
    assert len(asked) == 3
    write_picture(tmp_path / "in" / "1.png", seed=77)
    (tmp_path / "out" / "uncertainty" / "2.png").unlink()
    assert sorted(predicted()) == names
    assert len(asked) == 5
    assert predicted("--again") == names
    assert len(asked) == 8
    first, second = (save(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    for member, pictures in ((first, 11), (first, 11), (second, 14)):
        assert predicted("--members", str(member), source="ensemble") == names
        assert len(asked) == pictures
    assert visible(tmp_path / "out" / "uncertainty") == names


def test_interrupted_the_same_command_makes_the_rest(
    predicted: Callable[..., list[str]],
    asked: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    noting = doubt_rows.asked_again

    def end_at_the_second(*arguments, **named):
        return end() if len(asked) == 1 else noting(*arguments, **named)

    with monkeypatch.context() as ending:
        ending.setattr(doubt_rows, "asked_again", end_at_the_second)
        for _ in range(MOST_BEGINNINGS + 1):
            with pytest.raises(AssertionError):  # it ended with a code
                predicted()
        assert visible(tmp_path / "out" / "uncertainty") == ["0.png"]
    assert predicted() == ["0.png", "1.png", "2.png"]
    assert len(asked) == 3


def test_a_folder_whose_predictions_would_lie_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save(tmp_path / "one.safetensors")
    write_picture(tmp_path / "in" / "uncertainty" / "0.png", 0)
    command = ["predict", str(weights), str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--subfolders"]
    assert main([*command, "--device", "cpu", "--uncertainty", "tta"]) == 2
    assert "where the pictures of the uncertainty are; rename it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--device", "cpu"]) == 0


def test_a_lost_graphics_card_leaves_the_rest_to_the_cpu(
    predicted: Callable[..., list[str]],
    asked: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noting, lost = doubt_rows.asked_again, [True]

    def lose_it_at_the_second(*arguments, **named):
        if len(asked) == 1 and lost:
            lost.clear()
            raise RuntimeError("CUDA error: unspecified launch failure")
        return noting(*arguments, **named)

    said: list[str] = []
    monkeypatch.setattr(doubt_rows, "asked_again", lose_it_at_the_second)
    monkeypatch.setattr("core.cli.lost_card.say", said.append)
    assert predicted() == ["0.png", "1.png", "2.png"]
    assert len(asked) == 3  # the first was made before
    assert ["the uncertainty goes on on the CPU" in line for line in said] == [True]


@pytest.mark.parametrize("source", ["tta", "mc_dropout"])
def test_in_windows_the_uncertainty_is_nearly_that_of_the_whole(
    source: UncertaintySource, asked: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = network(drops=source == "mc_dropout")
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(0, 256, (70, 50, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    (whole,) = uncertain_rows(source, predictor, WholePicture(pixels))
    np.testing.assert_array_equal(whole, uncertainty_map([asked_again(source, predictor, pixels)]).entropy)

    monkeypatch.setattr(doubt_rows, "HUGE_PIXELS", 1000)
    monkeypatch.setattr(doubt_rows, "LARGEST_SIDE", 320)
    asked.clear()
    found = np.concatenate(list(uncertain_rows(source, predictor, WholePicture(pixels))))
    assert found.shape == whole.shape
    assert len(asked) == 3 * 2
    assert max(max(size) for size in asked) <= 320
    if source == "tta":  # dropout drops other pixels in a window
        assert (np.abs(found.astype(int) - whole) > 2).mean() < 0.02


def test_many_looks_and_classes_make_smaller_windows(
    asked: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt_rows, "MOST_VALUES", 2 * 2 * 100 * 100)  # looks and classes of tta here
    pixels = np.zeros((100, 150, 3), np.uint8)
    assert sum(len(rows) for rows in uncertain_rows("tta", network(), WholePicture(pixels))) == 100
    assert len(asked) == 4
    assert max(height * width for height, width in asked) <= 100 * 100


def test_a_huge_image_is_streamed_and_its_picture_is_whole(
    predicted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "huge.png")
    monkeypatch.setattr("core.images.pyramid.HUGE_PIXELS", 1000)
    monkeypatch.setattr(doubt_rows, "HUGE_PIXELS", 1000)
    monkeypatch.setattr(doubt_rows, "LARGEST_SIDE", 160)
    monkeypatch.delattr("core.images.rows.read_image")  # nothing decodes it as a whole
    assert predicted(images=tmp_path / "huge.png") == ["huge.png"]
    with Image.open(tmp_path / "out" / "uncertainty" / "huge.png") as picture:
        assert (picture.mode, picture.size) == ("L", (200, 300))
        assert np.asarray(picture).any()
    assert visible(tmp_path / "out" / "uncertainty") == ["huge.png"]  # nothing half-made stays


def test_pictures_of_others_are_left_alone(predicted: Callable[..., list[str]], tmp_path: Path) -> None:
    predicted()
    picture = tmp_path / "out" / "uncertainty" / "0.png"
    before = picture.read_bytes()
    picture.write_bytes(b"somebody's")
    assert predicted() == ["1.png", "2.png"]
    assert picture.read_bytes() == b"somebody's"
    picture.unlink()
    assert sorted(predicted()) == ["0.png", "1.png", "2.png"]
    assert picture.read_bytes() == before
