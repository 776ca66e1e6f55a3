"""A folder of images becomes a folder of predictions, through crashes, broken files and second thoughts."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotation.labelme_json import loads
from core.annotation.model import ClassList, LabelClass
from core.cli.main import main
from core.errors import MaskloopError
from core.files import file_digest
from core.images.reader import read_image
from core.learning.prediction import folder_prediction, predict
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.folder_job import PendingJob, PredictionJob
from core.learning.prediction.folder_prediction import FolderPrediction, ImageDone
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.prediction.prediction_journal import MOST_BEGINNINGS
from core.learning.prediction.tiled_logits import TiledLogits
from core.learning.runs.weights import header_for, save_weights
from core.models.registry import build
from core.project.layout import ProjectLayout
from core.project.mask_file import read_index_mask

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(3, "cell", "#ff0000")), 0)


def save_network(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = build("unet", classes=2, encoder="plain", encoder_width=2, width=2)
    header = header_for(network, classes=CLASSES, tile=64, scale=0.5, metrics={}, data_digest="")
    save_weights(path, network, header)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("weights") / "net.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five small pictures."""
    for number in range(5):
        write_picture(tmp_path / "in" / f"{number}.png", number)
    return tmp_path / "in"


def write_picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def job(folder: Path, weights: Path, tmp_path: Path) -> Callable[..., PredictionJob]:
    def make(**changes: object) -> PredictionJob:
        usual = PredictionJob(
            images=(str(folder),), out=str(tmp_path / "out"), format="masks", weights=str(weights)
        )
        return replace(usual, **changes)  # type: ignore[arg-type]

    return make


def work_through(job: PredictionJob, stop_after: int | None = None) -> list[ImageDone]:
    """All images of a job, or so many; the work ends in good order."""
    work = FolderPrediction(job, device="cpu")
    done: list[ImageDone] = []
    try:
        for image in work.steps():
            if image is not None:
                done.append(image)
            if stop_after is not None and len(done) == stop_after:
                break
        else:
            assert work.done == work.total == len(done)
    finally:
        work.close()
    return done


def outcomes(done: list[ImageDone]) -> list[str]:
    """In the order of the images' names: what is known is told first."""
    return [image.outcome for image in sorted(done, key=lambda image: str(image.path))]


def visible(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not Path(name).name.startswith("."))


def test_masks_are_what_the_network_says(
    job: Callable[..., PredictionJob], weights: Path, folder: Path
) -> None:
    done = work_through(job())
    assert outcomes(done) == ["predicted"] * 5
    predictor = open_predictor(weights, device="cpu")
    for image in done:
        assert image.file is not None
        expected = predictor.predict(read_image(image.path)).classes
        np.testing.assert_array_equal(read_index_mask(image.file, classes=CLASSES), expected)


@pytest.mark.parametrize("output_format, suffix", [("labelme", ".json"), ("overlay", ".png")])
def test_other_formats_are_written_beside(
    job: Callable[..., PredictionJob], output_format: str, suffix: str, tmp_path: Path
) -> None:
    done = work_through(job(format=output_format))
    assert visible(tmp_path / "out") == [f"{n}{suffix}" for n in range(5)]
    file = done[0].file
    assert file is not None
    if output_format == "labelme":
        annotation = loads(file.read_bytes(), file)
        assert (file.parent / annotation.image_path).resolve() == done[0].path.resolve()
    else:
        assert read_image(file).shape == (40, 56, 3)


def test_what_is_done_is_passed_over(job: Callable[..., PredictionJob]) -> None:
    work_through(job(), stop_after=3)
    assert outcomes(work_through(job())) == ["known"] * 3 + ["predicted"] * 2
    assert outcomes(work_through(job())) == ["known"] * 5


def test_other_weights_other_images_and_lost_files_are_predicted_anew(
    job: Callable[..., PredictionJob], tmp_path: Path, folder: Path
) -> None:
    work_through(job())
    write_picture(folder / "1.png", seed=77)
    (tmp_path / "out" / "4.png").unlink()
    assert outcomes(work_through(job())) == ["known", "predicted", "known", "known", "predicted"]
    other = save_network(tmp_path / "other.safetensors", seed=1)
    assert outcomes(work_through(job(weights=str(other)))) == ["predicted"] * 5


def test_asked_for_again_it_is_done_again_once(job: Callable[..., PredictionJob]) -> None:
    work_through(job())
    assert outcomes(work_through(job(again=True), stop_after=2)) == ["predicted"] * 2
    assert outcomes(work_through(job())) == ["known"] * 2 + ["predicted"] * 3


def test_what_was_predicted_into_the_folder_of_the_images_is_no_image(
    job: Callable[..., PredictionJob], folder: Path, tmp_path: Path
) -> None:
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".jpg"))
    into = job(out=str(folder))
    assert outcomes(work_through(into)) == ["predicted"] * 5
    assert outcomes(work_through(into)) == ["known"] * 5
    other = str(save_network(tmp_path / "other.safetensors", seed=1))
    assert outcomes(work_through(replace(into, weights=other, subfolders=True))) == ["predicted"] * 5
    write_picture(folder / "5.png", 5)
    assert outcomes(work_through(into))[-1] == "failed", "one that somebody puts there is an image"
    assert visible(folder) == sorted([*(f"{n}.{s}" for n in range(5) for s in ("jpg", "png")), "5.png"])


def test_what_is_to_be_done_again_and_was_interrupted_can_still_be_replaced(
    job: Callable[..., PredictionJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_through(job())

    def end(_self: Predictor, _picture: object) -> None:
        raise KeyboardInterrupt

    work = FolderPrediction(job(again=True), device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "stepwise", end)
        with pytest.raises(KeyboardInterrupt):
            list(work.steps())
    work.close()
    other = str(save_network(tmp_path / "other.safetensors", seed=1))
    assert outcomes(work_through(job(weights=other))) == ["predicted"] * 5


def test_weights_that_are_replaced_while_they_are_read_are_not_taken_for_the_new_ones(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "best.safetensors"
    shutil.copy(weights, file)
    other = save_network(tmp_path / "other.safetensors", seed=1)
    usual, opened = predict.open_predictor, []

    def replaced(*arguments: Any, **named: Any) -> Predictor:
        opened.append(usual(*arguments, **named))
        shutil.copy(other, file)
        return opened[-1]

    monkeypatch.setattr(predict, "open_predictor", replaced)
    predictor, digest = predict.open_known_predictor(file, device="cpu")
    assert len(opened) == 2
    assert digest == file_digest(other)
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    found, expected = (
        p.predict(picture, probabilities=True) for p in (predictor, usual(other, device="cpu"))
    )
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory")])
def test_an_image_whose_post_processing_takes_too_much_memory_is_named_and_the_rest_goes_on(
    job: Callable[..., PredictionJob], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    usual, left = folder_prediction.postprocessed, [error]

    def scarce(*arguments: Any, **named: Any) -> PredictedMap:
        if left:
            raise left.pop()
        return usual(*arguments, **named)

    monkeypatch.setattr(folder_prediction, "postprocessed", scarce)
    done = work_through(job(post="min_region=9"))
    assert outcomes(done) == ["failed"] + ["predicted"] * 4
    assert "0.png: the computer is out of memory; predict it without post-processing" in done[0].problem


def test_broken_files_are_named_and_the_rest_goes_on(job: Callable[..., PredictionJob], folder: Path) -> None:
    (folder / "2.png").write_bytes(b"no picture")
    done = work_through(job())
    assert outcomes(done) == ["predicted", "predicted", "failed", "predicted", "predicted"]
    assert "2.png" in done[2].problem
    write_picture(folder / "2.png", 2)
    assert outcomes(work_through(job())) == ["known", "known", "predicted", "known", "known"]


def test_files_of_others_are_left_alone(job: Callable[..., PredictionJob], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0.png").write_bytes(b"somebody's")
    done = work_through(job())
    assert outcomes(done) == ["failed"] + ["predicted"] * 4
    assert "0.png" in done[0].problem
    assert (tmp_path / "out" / "0.png").read_bytes() == b"somebody's"


def test_a_kill_between_journal_and_file_costs_that_file_only(
    job: Callable[..., PredictionJob], tmp_path: Path
) -> None:
    work_through(job(), stop_after=3)
    (journal,) = (tmp_path / "out").glob(".maskloop-predictions*")
    entry = json.loads(journal.read_text().split("\n")[-1])
    assert entry["file"] == "2.png"
    # The file of that name is an older one, of the size of the one that was about to come.
    with journal.open("a") as file:
        file.write("\n" + json.dumps(entry | {"digest": "of what did not come"}) + '\n{"image": "cut sh')
    assert outcomes(work_through(job())) == ["known", "known", "predicted", "predicted", "predicted"]
    assert outcomes(work_through(job())) == ["known"] * 5


def test_an_image_the_program_dies_of_is_left_out_the_third_time(
    job: Callable[..., PredictionJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_self: Predictor, _picture: object) -> None:
        raise KeyboardInterrupt  # as good as a kill: the journal is not told

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "stepwise", die)
        for _ in range(2):
            work = FolderPrediction(job(), device="cpu")
            with pytest.raises(KeyboardInterrupt):
                list(work.steps())
    done = work_through(job())
    assert outcomes(done) == ["failed"] + ["predicted"] * 4
    assert "ended twice" in done[0].problem
    assert "predict it again by itself" in done[0].problem
    assert outcomes(work_through(job(images=(str(done[0].path),)))) == ["predicted"]


def test_leaving_in_good_order_is_no_death(job: Callable[..., PredictionJob]) -> None:
    for _ in range(3):
        work = FolderPrediction(job(), device="cpu")
        steps = work.steps()
        while next(steps) is None and not work._under_way:
            pass
        del steps
        work.close()
    assert outcomes(work_through(job())) == ["predicted"] * 5


def test_folders_in_folders_keep_their_places_and_names_do_not_collide(
    job: Callable[..., PredictionJob], folder: Path, tmp_path: Path
) -> None:
    write_picture(folder / "day 1" / "0.png", 10)
    write_picture(folder / "0.jpg", 11)
    names = ["0.png", "0_2.png", "1.png", "2.png", "3.png", "4.png"]
    work_through(job())
    assert visible(tmp_path / "out") == names
    work_through(job(subfolders=True, out=str(folder / "results")))
    assert visible(folder / "results") == [*names, "day 1/0.png"]
    assert outcomes(work_through(job(subfolders=True, out=str(folder / "results")))) == ["known"] * 7


def test_programs_that_share_a_folder_do_it_all_and_nothing_twice(
    job: Callable[..., PredictionJob], tmp_path: Path, folder: Path
) -> None:
    write_picture(folder / "0.jpg", 11)
    shares = [work_through(job(shard=(number, 4))) for number in range(4)]
    assert [len(share) for share in shares] == [2, 2, 1, 1]
    assert len(visible(tmp_path / "out")) == 6
    assert outcomes(work_through(job())) == ["known"] * 6


def test_several_programs_and_one_follow_each_other_in_the_order_of_time(
    job: Callable[..., PredictionJob], tmp_path: Path
) -> None:
    def shared(**changes: object) -> list[str]:
        done = [image for number in range(2) for image in work_through(job(shard=(number, 2), **changes))]
        return outcomes(done)

    other = str(save_network(tmp_path / "other.safetensors", seed=1))
    third = str(save_network(tmp_path / "third.safetensors", seed=2))
    assert outcomes(work_through(job())) == ["predicted"] * 5
    assert shared(weights=other) == ["predicted"] * 5
    assert shared(weights=other) == ["known"] * 5
    assert shared(weights=third) == ["predicted"] * 5
    assert outcomes(work_through(job(again=True))) == ["predicted"] * 5
    assert shared() == ["known"] * 5


def test_of_programs_that_begin_again_each_forgets_its_own_share(job: Callable[..., PredictionJob]) -> None:
    for number in range(2):
        work_through(job(shard=(number, 2), again=True))
    assert outcomes(work_through(job(shard=(0, 2)))) == ["known"] * 3
    assert outcomes(work_through(job(shard=(1, 2), again=True), stop_after=1)) == ["predicted"]
    assert outcomes(work_through(job(shard=(0, 2)))) == ["known"] * 3
    assert outcomes(work_through(job(shard=(1, 2)))) == ["known", "predicted"]


def test_an_image_replaced_while_it_is_predicted_is_predicted_once_more(
    job: Callable[..., PredictionJob], folder: Path
) -> None:
    work = FolderPrediction(job(), device="cpu")
    for done in work.steps():
        if done is None:
            continue
        write_picture(folder / "1.png", seed=77)  # read ahead, while the first one was predicted
        break
    for _ in work.steps():
        pass
    work.close()
    again = outcomes(work_through(job()))
    assert again.count("predicted") <= 1
    expected = open_predictor(Path(job().weights), device="cpu").predict(read_image(folder / "1.png")).classes
    np.testing.assert_array_equal(read_index_mask(Path(job().out) / "1.png", classes=CLASSES), expected)


def test_a_program_of_a_scheduler_that_names_no_meeting_place_does_it_all(
    folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `train` does."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "0")
    assert main(["predict", str(weights), str(folder), "--out", str(tmp_path / "out")]) == 0
    assert visible(tmp_path / "out") == [f"{number}.png" for number in range(5)]


def test_under_a_launcher_a_broken_image_ends_no_process(
    folder: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The launcher would end all the others."""
    (folder / "0.png").write_bytes(b"no picture")
    command = ["predict", str(weights), str(folder), "--out", str(tmp_path / "out"), "--json"]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main(command) == 0
    said = capsys.readouterr()
    assert "1 of 3 images were left out" in said.err
    (problem,) = json.loads(said.out)["problems"]
    assert "0.png" in problem
    monkeypatch.setenv("RANK", "1")
    assert main(command) == 0
    assert visible(tmp_path / "out") == ["1.png", "2.png", "3.png", "4.png"]
    assert main([*command, "--shard", "1/2"]) == 1, "whoever starts the shares by hand is told by the code"
    monkeypatch.setenv("RANK", "muddled")
    assert main([*command, "--shard", "2/2"]) == 0, "who says the share needs no launcher for it"


def test_whatever_ends_the_command_from_outside_accuses_no_image(
    folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["predict", str(weights), str(folder), "--out", str(tmp_path / "out")]

    def ended(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as ending:
        ending.setattr(TiledLogits, "_logits", ended)
        for _ in range(MOST_BEGINNINGS + 1):
            assert main(command) == 1
    assert signal.getsignal(signal.SIGTERM) == before
    assert main(command) == 0
    assert len(visible(tmp_path / "out")) == 5


def test_nothing_to_predict_is_said(job: Callable[..., PredictionJob], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for images, words in (("empty", "no image in this folder"), ("gone", "no such image")):
        with pytest.raises(MaskloopError, match=words):
            work_through(job(images=(str(tmp_path / images),)))


def test_a_pending_job_keeps_the_weights_it_began_with(
    job: Callable[..., PredictionJob], tmp_path: Path, weights: Path
) -> None:
    run = tmp_path / "best.safetensors"
    run.write_bytes(weights.read_bytes())
    layout = ProjectLayout(tmp_path / "project")
    kept = PendingJob(layout).begin(job(weights=str(run), again=True, root=str(layout.root)))
    better = tmp_path / "better"
    better.write_bytes(b"further trained")
    better.replace(run)  # as a run replaces its weights
    assert Path(kept.weights).read_bytes() == weights.read_bytes()
    found = PendingJob(layout).load()
    assert found == replace(kept, again=False)
    assert PendingJob(layout).begin(found).weights == kept.weights
    PendingJob(layout).end()
    assert PendingJob(layout).load() is None


@pytest.mark.parametrize("output_format", ["masks", "overlay"])
def test_huge_images_stream_through_the_network(
    job: Callable[..., PredictionJob],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output_format: str,
) -> None:
    """In tiles, from rows that are never all in memory: what the whole picture gives, but for rounding."""
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(0, 256, (70, 40, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    Image.fromarray(pixels).save(tmp_path / "huge.png")
    plain = work_through(job(images=(str(tmp_path / "huge.png"),), format=output_format))
    monkeypatch.setattr("core.images.pyramid.HUGE_PIXELS", 1000)
    monkeypatch.setattr("core.formats.prediction_files.HUGE_PIXELS", 1000)
    wanted = job(images=(str(tmp_path / "huge.png"),), format=output_format, out=str(tmp_path / "streamed"))
    work = FolderPrediction(wanted, device="cpu")
    work.predictor = Predictor(work.predictor.network, work.predictor.header, tile=128, overlap=96)
    (streamed,) = [image for image in work.steps() if image is not None]
    work.close()
    assert plain[0].file is not None
    assert streamed.file is not None, streamed.problem
    expected, found = read_image(plain[0].file).astype(int), read_image(streamed.file).astype(int)
    assert (np.abs(found - expected).max(axis=2) > 1).mean() < 0.02
    assert visible(tmp_path / "streamed") == ["huge.png"]  # nothing half-made stays


def test_huge_images_make_no_labelme_files_and_say_so(
    job: Callable[..., PredictionJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.formats.prediction_files.HUGE_PIXELS", 1000)
    done = work_through(job(format="labelme"))
    assert outcomes(done) == ["failed"] * 5
    assert "choose masks" in done[0].problem
