"""What a run leaves on disk, and which run is the best."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.annotation.model import ClassList, LabelClass
from core.errors import ProjectFileError, StorageError
from core.learning.config import TrainConfig
from core.learning.runs.run_folder import METRICS, RunFolder, best_run
from core.learning.runs.weights import header_for, save_weights
from core.models.registry import build
from core.project.layout import ProjectLayout


def _row(step: int, **values: float | str) -> dict[str, float | str | None]:
    return {name: values.get(name) for name in (*METRICS, "val_iou:disc")} | {"step": step}


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = TrainConfig(model="fcn8s", steps=7, crop=96, model_options=(("fc", 64), ("training", "at_once")))
    run = RunFolder(tmp_path / "run")
    run.write_config(config)
    assert run.config == config


@pytest.mark.parametrize(
    ("text", "problem"), [('{"model": 3}', "model"), ("{", "truncated"), ('{"device": "tpu"}', "device")]
)
def test_a_configuration_edited_by_hand_is_told_where_it_is_wrong(tmp_path: Path, text, problem) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ProjectFileError, match=rf"config\.json.*{problem}"):
        _ = RunFolder(tmp_path).config


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectFileError, match=r"config\.json"):
        _ = RunFolder(tmp_path).config


def test_metrics_come_back_as_numbers_texts_and_gaps(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.append_metrics(_row(10, loss=0.5))
    RunFolder(tmp_path / "run").append_metrics(_row(20, val_miou=0.25, val_on="validation"))
    first, second = run.read_metrics()
    assert (first["step"], first["loss"], first["val_miou"]) == (10.0, 0.5, None)
    assert (second["step"], second["loss"], second["val_on"]) == (20.0, None, "validation")
    assert run.metrics_file.read_text().splitlines()[0].startswith("step,seconds,loss,lr,val_miou")


def test_metrics_after_a_step_can_be_forgotten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for step in (10, 20, 30):
        run.append_metrics(_row(step, loss=1 / step))
    run.forget_metrics_after(20)
    assert [row["step"] for row in run.read_metrics()] == [10.0, 20.0]
    run.append_metrics(_row(25, loss=0.1))
    assert [row["step"] for row in run.read_metrics()] == [10.0, 20.0, 25.0]


def test_an_empty_run_has_no_metrics_and_no_score(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "none")
    assert run.read_metrics() == []
    assert run.best_miou is None
    run.forget_metrics_after(0)


def test_log_lines_carry_their_time(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.log("one")
    run.log("two")
    lines = run.log_file.read_text().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["one", "two"]
    assert datetime.fromisoformat(lines[0].split("  ")[0]) <= datetime.now().astimezone() + timedelta(1)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(StorageError, match="run"):
        RunFolder(tmp_path / "run").append_metrics(_row(1))


def _project_with(tmp_path: Path, *runs: tuple[list[tuple[float, str]], bool]) -> SimpleNamespace:
    """Runs, oldest first, with their scores; with or without weights on disk."""
    layout = ProjectLayout(tmp_path)
    for number, (scores, has_weights) in enumerate(runs):
        run = RunFolder(layout.new_run(f"unet{number}", datetime(2026, 1, 1 + number).astimezone()))
        run.log("began")
        for step, (miou, on) in enumerate(scores):
            run.append_metrics(_row(step, val_miou=miou, val_on=on))
        if has_weights:
            run.best_weights.write_bytes(b"weights")
    return SimpleNamespace(layout=layout, classes=ClassList())


def test_the_best_run_has_the_best_validation_score_and_weights(tmp_path: Path) -> None:
    project = _project_with(
        tmp_path,
        ([(0.4, "validation"), (0.6, "validation")], True),
        ([(0.9, "validation")], False),
        ([(0.5, "validation")], True),
    )
    found = best_run(project)
    assert found is not None
    assert found.best_miou == 0.6
    assert "unet0" in found.path.name


def test_a_run_whose_scores_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    project = _project_with(tmp_path, ([(0.9, "validation")], True), ([(0.5, "validation")], True))
    first, _ = project.layout.runs_by_time()
    metrics = RunFolder(first).metrics_file
    metrics.unlink()
    metrics.mkdir()  # nothing that can be read as a file
    found = best_run(project)
    assert found is not None
    assert found.best_miou == 0.5


def test_a_score_on_held_out_images_goes_before_one_on_training_images(tmp_path: Path) -> None:
    project = _project_with(tmp_path, ([(0.5, "validation")], True), ([(0.95, "training")], True))
    found = best_run(project)
    assert found is not None
    assert found.best_miou == 0.5


def test_a_run_that_knows_the_classes_of_now_goes_before_a_better_score(tmp_path: Path) -> None:
    """Scores of other classes say nothing: one class less is easier, and one that is gone is no help."""
    project = _project_with(tmp_path, *[([(miou, "validation")], True) for miou in (0.9, 0.8, 0.4, 0.5)])
    leaf, stem, root = (
        LabelClass(index, name, "#000000") for index, name in enumerate(("leaf", "stem", "root"))
    )
    known = ((leaf, stem, root), (leaf,), (leaf, stem), (leaf, stem))
    for path, classes in zip(project.layout.runs_by_time(), known, strict=True):
        network = build("unet", classes=len(classes), encoder="plain", encoder_width=2, width=2)
        header = header_for(network, classes=ClassList(classes), tile=64)
        save_weights(RunFolder(path).best_weights, network, header)
    for present, expected in (
        ((leaf, stem), "unet3"),
        ((leaf, stem, root), "unet0"),
        ((leaf, root), "unet1"),
    ):
        project.classes = ClassList(present)
        found = best_run(project)
        assert found is not None
        assert expected in found.path.name


def test_of_equal_runs_the_newest_is_taken_and_none_without_weights(tmp_path: Path) -> None:
    assert best_run(_project_with(tmp_path / "a")) is None
    assert best_run(_project_with(tmp_path / "b", ([(0.5, "validation")], False))) is None
    found = best_run(_project_with(tmp_path / "c", ([], True), ([], True)))
    assert found is not None
    assert "unet1" in found.path.name
