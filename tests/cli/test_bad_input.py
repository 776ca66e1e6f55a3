"""Bad input on the command line: one sentence naming the file, exit code 1, nothing that existed touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.__main__ import main
from core.files import digest
from core.learning.prediction.predict import Predictor
from core.learning.runs.weights import load_weights, save_weights
from core.learning.training import safekeeping
from core.project.project import Project
from tests.patience import PATIENCE_S

SIDE = 64
TINY = ["--encoder", "plain", "--option", "width=8", "--option", "encoder_width=4"]
TRAIN = [*TINY, "--crop", "64", "--batch", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of four labelled images with one run of three steps."""
    source = tmp_path_factory.mktemp("squares")
    for folder in ("images", "masks"):
        (source / folder).mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[10 + number : 40, 10:50] = 1
        pixels = random.integers(0, 80, (SIDE, SIDE, 3)) + mask[..., None] * 150
        Image.fromarray(pixels.astype(np.uint8)).save(source / "images" / f"{number}.png")
        Image.fromarray(mask).save(source / "masks" / f"{number}.png")
    root = source / "project"
    assert main(["init", str(root), "--classes", "background,square"]) == 0
    assert main(["import", str(root), str(source), "--format", "masks"]) == 0
    assert main(["train", str(root), *TRAIN, "--steps", "3"]) == 0
    return root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(trained, tmp_path / "project")


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with exit code 1 and without a traceback; gives all it says."""

    def run(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert said.splitlines()[-1].startswith("maskloop: ")
        return said

    return run


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file but the program's private ones."""
    return {
        str(path.relative_to(folder)): digest(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and ".maskloop" not in path.parts
    }


def the_run(project: Path) -> Path:
    (run,) = (project / "runs").iterdir()
    return run


class TestNothingThatExistedIsOverwritten:
    @pytest.mark.parametrize(
        ("output_format", "place"), [("masks", "images"), ("labelme", "images"), ("masks", "masks/images")]
    )
    def test_predicting_into_a_folder_with_work_in_it(
        self, project: Path, fails: Callable[..., str], output_format: str, place: str
    ) -> None:
        before = contents(project)

        said = fails(
            "predict", project, project / "images", "--out", project / place, "--format", output_format
        )

        assert contents(project) == before
        assert "was there before" in said

    def test_a_weights_file_does_not_overwrite_either(self, project: Path, fails: Callable[..., str]) -> None:
        before = contents(project)

        fails(
            "predict", the_run(project) / "best.safetensors", project / "images", "--out", project / "images"
        )

        assert contents(project) == before

    def test_predictions_replace_earlier_predictions(self, project: Path) -> None:
        arguments = ["predict", str(project), str(project / "images"), "--out", str(project / "predictions")]
        assert main(arguments) == 0
        masks = contents(project / "predictions")

        assert main([*arguments, "--format", "overlay"]) == 0

        overlays = contents(project / "predictions")
        assert overlays.keys() == masks.keys()
        assert all(overlays[name] != masks[name] for name in masks)

    def test_exporting_among_files_of_another(
        self, project: Path, tmp_path: Path, fails: Callable[..., str]
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "0.png").write_bytes(b"mine")

        said = fails("export", project, "--format", "masks", "--out", tmp_path / "out")

        assert "0.png" in said
        assert (tmp_path / "out" / "0.png").read_bytes() == b"mine"
        assert (tmp_path / "out" / "1.png").is_file()

    @pytest.mark.parametrize("output_format", ["labelme", "masks"])
    def test_importing_a_project_into_itself_changes_nothing(self, project: Path, output_format: str) -> None:
        before = contents(project)

        assert main(["import", str(project), str(project), "--format", output_format]) == 0

        assert contents(project) == before

    def test_a_second_demo_in_the_same_folder(self, tmp_path: Path, fails: Callable[..., str]) -> None:
        (tmp_path / "project").mkdir()
        (tmp_path / "project" / "mine.txt").write_text("mine")

        assert "--out" in fails("demo", "--headless", "--seconds", "1", "--out", tmp_path)

        assert contents(tmp_path) == {"project/mine.txt": digest(b"mine")}


def test_post_processing_goes_with_networks_and_not_with_labels(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, steps = tmp_path / "out", "min_region=9"
    export = ["export", str(project), "--out", str(out), "--post", steps]
    assert main([*export, "--format", "masks"]) == 2
    assert "masks are labels, which stay as drawn" in capsys.readouterr().err
    assert not out.exists()
    assert main([*export, "--format", "weights"]) == 0
    (weights,) = out.iterdir()
    assert main(["predict", str(weights), str(project / "images"), "--out", str(tmp_path / "masks")]) == 0
    assert f'which is not done now: add --post "{steps}"' in capsys.readouterr().err


class TestAnnotations:
    @pytest.mark.parametrize(
        "text",
        ["", '{"shapes": [{', "hello", "[1, 2]", '{"a": 1}'],
        ids=["empty", "cut", "text", "list", "foreign"],
    )
    def test_a_broken_json_is_named_and_the_rest_exported(
        self, project: Path, tmp_path: Path, fails: Callable[..., str], text: str
    ) -> None:
        (project / "images" / "0.json").write_text(text)
        before = contents(project)

        said = fails("export", project, "--format", "masks", "--out", tmp_path / "out")

        assert "0.json" in said
        assert contents(project) == before
        assert not (tmp_path / "out" / "0.png").exists()
        assert (tmp_path / "out" / "1.png").is_file()

    def test_training_goes_on_with_the_readable_ones(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "images" / "0.json").write_text("hello")

        assert main(["train", str(project), *TRAIN, "--steps", "1"]) == 0

        assert "0.json" in capsys.readouterr().err

    def test_no_label_can_be_read(self, project: Path, fails: Callable[..., str]) -> None:
        for path in (project / "images").glob("*.json"):
            path.write_text("")
        before = contents(project)

        said = fails("train", project, *TRAIN, "--steps", "1")

        assert "none of its labels could be read" in said
        assert contents(project) == before

    def test_a_refused_run_leaves_no_folder(self, tmp_path: Path, fails: Callable[..., str]) -> None:
        assert "class" in fails("train", tmp_path, *TRAIN, "--steps", "1")

        assert contents(tmp_path) == {}
        assert list(tmp_path.glob("runs/*")) == []


class TestImages:
    def test_a_vanished_image_is_said(self, project: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
        (project / "images" / "2.png").unlink()
        before = contents(project)

        said = fails("export", project, "--format", "masks", "--out", tmp_path / "out")

        assert "2.json: its image is not there any more" in said
        assert contents(project) == before

    def test_an_unreadable_image_is_left_out_of_training(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        image = project / "images" / "2.png"
        image.write_bytes(image.read_bytes()[:100])
        (project / "images" / "3.png").write_bytes(b"")

        assert main(["train", str(project), *TRAIN, "--steps", "3"]) == 0

        said = capsys.readouterr().err
        assert "2.png" in said
        assert "3.png" in said

    def test_a_partly_bad_import_says_so(
        self, project: Path, tmp_path: Path, fails: Callable[..., str]
    ) -> None:
        source = tmp_path / "source"
        for folder in ("images", "masks"):
            (source / folder).mkdir(parents=True)
        for name, size in (("good", SIDE), ("small", SIDE // 2)):
            Image.new("RGB", (SIDE, SIDE)).save(source / "images" / f"{name}.png")
            Image.new("L", (size, size)).save(source / "masks" / f"{name}.png")

        said = fails("import", project, source, "--format", "masks")

        assert "small.png" in said
        assert (project / "images" / "good.json").is_file()
        assert not (project / "images" / "small.json").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": 99}, "newer Maskloop"),
        ({"schema": "1"}, "schema"),
        ({"background": 9}, "background"),
        ({"image_roots": 3}, "image_roots"),
        ({"classes": [{"index": 0, "name": "a", "color": "red"}]}, "classes[0].color"),
    ],
)
def test_a_broken_project_file(
    project: Path, fails: Callable[..., str], change: dict[str, object], field: str
) -> None:
    file = project / "project.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    before = contents(project)

    for arguments in (["train", project], ["export", project, "--format", "masks", "--out", project / "o"]):
        said = fails(*arguments)
        assert "project.json" in said
        assert field in said
    assert contents(project) == before


class TestPaths:
    def test_a_file_that_is_no_part_of_a_project(self, tmp_path: Path, fails: Callable[..., str]) -> None:
        notes = tmp_path / "notes.txt"
        notes.write_text("mine")

        assert "notes.txt: is no project" in fails("train", notes)
        assert "notes.txt: is a file" in fails("init", notes)
        assert contents(tmp_path) == {"notes.txt": digest(b"mine")}

    def test_nothing_of_that_name(
        self, trained: Path, tmp_path: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = tmp_path / "gone"

        assert "gone" in fails("train", gone)
        assert "gone" in fails("import", trained, gone, "--format", "masks")
        assert "gone" in fails("init", tmp_path / "new", "--images", gone)
        assert "gone" in fails("evaluate", trained, "--images", gone, "--masks", gone)
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, "platform", "linux")
        assert "gone is no command, file or folder" in fails(gone)
        assert "no display" in fails(tmp_path)
        assert contents(tmp_path) == {}

    def test_a_project_that_is_open_elsewhere(self, project: Path, fails: Callable[..., str]) -> None:
        with Project.open(project, holder="the window"):
            said = fails("import", project, project / "images", "--format", "labelme")

        assert "the window" in said


class TestWeights:
    def spoiled(self, project: Path, name: str, spoil: str) -> Path:
        path = the_run(project) / name
        data = path.read_bytes()
        path.write_bytes({"cut": data[: len(data) // 2], "junk": b"junk" * 99, "empty": b""}[spoil])
        return path

    @pytest.mark.parametrize("spoil", ["cut", "junk", "empty"])
    def test_a_damaged_checkpoint(self, project: Path, fails: Callable[..., str], spoil: str) -> None:
        self.spoiled(project, "last.ckpt", spoil)
        before = contents(project)

        assert "last.ckpt" in fails("train", project, "--resume", "--steps", "5", "--device", "cpu")

        assert contents(project) == before

    @pytest.mark.parametrize("spoil", ["cut", "junk", "empty"])
    @pytest.mark.parametrize("output_format", ["weights", "onnx"])
    def test_damaged_weights_are_not_exported(
        self, project: Path, tmp_path: Path, fails: Callable[..., str], spoil: str, output_format: str
    ) -> None:
        self.spoiled(project, "best.safetensors", spoil)

        said = fails("export", project, "--format", output_format, "--out", tmp_path / "out")

        assert "best.safetensors" in said
        assert contents(tmp_path / "out") == {}

    def test_resuming_as_another_network(self, project: Path, fails: Callable[..., str]) -> None:
        before = contents(project)

        said = fails("train", project, "--resume", "--model", "fcn8s", "--steps", "5", "--device", "cpu")

        assert "model unet, not fcn8s" in said
        assert contents(project) == before

    def test_resuming_with_other_classes(self, project: Path, fails: Callable[..., str]) -> None:
        with Project.open(project) as opened:
            opened.add_class("bird")
        before = contents(project)

        said = fails("train", project, "--resume", "--steps", "5", "--device", "cpu")

        assert "bird" in said
        assert contents(project) == before

    def test_a_mask_that_is_unfit_is_told_before_anything_is_predicted(
        self, project: Path, tmp_path: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[object] = []
        usual = Predictor.predict
        monkeypatch.setattr(Predictor, "predict", lambda *a, **n: asked.append(a) or usual(*a, **n))
        Image.new("L", (SIDE, SIDE), 1).save(tmp_path / "0.png")
        Image.new("L", (SIDE, SIDE), 9).save(tmp_path / "1.png")
        evaluate = "evaluate", project, "--images", project / "images", "--masks", tmp_path

        assert "1.png" in fails(*evaluate)
        Image.new("L", (SIDE, SIDE // 2), 1).save(tmp_path / "1.png")
        assert "1.png" in fails(*evaluate)

        assert asked == []

    def test_masks_without_a_labelled_pixel(
        self, project: Path, tmp_path: Path, fails: Callable[..., str]
    ) -> None:
        Image.new("L", (SIDE, SIDE), 255).save(tmp_path / "0.png")

        said = fails("evaluate", project, "--images", project / "images", "--masks", tmp_path)

        assert f"{tmp_path}: there is nothing to score" in said


@pytest.mark.parametrize(("code", "sentence"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")])
def test_a_place_that_cannot_be_written(
    project: Path,
    tmp_path: Path,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    sentence: str,
) -> None:
    before = contents(project)

    def refuse(source: object, target: object) -> None:
        raise OSError(code, os.strerror(code), str(target))

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(safekeeping, "PATIENCE_S", 0.5)  # for room on the disk, at the end of a run

    for arguments in (
        ["export", project, "--format", "masks", "--out", tmp_path / "a"],
        ["export", project, "--format", "weights", "--out", tmp_path / "b"],
        ["predict", project, project / "images", "--out", tmp_path / "c"],
        ["train", project, "--resume", "--steps", "4", "--device", "cpu"],
    ):
        assert sentence in fails(*arguments)
    after = contents(project)
    run = the_run(project).relative_to(project)
    kept = {name for name in before if name not in (f"{run}/log.txt", f"{run}/metrics.csv")}  # appended to
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert [path for name in "abc" for path in (tmp_path / name).glob("*")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_a_signal_ends_training_with_everything_saved(project: Path) -> None:
    shutil.rmtree(project / "runs")
    command = [sys.executable, "-m", "app", "train", str(project), *TRAIN, "--steps", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("step "))
        process.send_signal(signal.SIGTERM)
        answer, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert "everything is saved" in said
    assert "square" in answer
    assert {"last.ckpt", "best.safetensors"} <= {path.name for path in the_run(project).iterdir()}


class TestClassesThatChangedSinceTheRun:
    """Between a run and its use a person renames, reorders, removes."""

    def test_a_new_name_is_what_predictions_and_scores_say(
        self, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        weights = the_run(project) / "best.safetensors"
        network, header = load_weights(weights)
        with torch.no_grad():  # three steps have taught it nothing: let it see squares everywhere
            bias = [parameter for parameter in network.parameters() if parameter.shape == (2,)][-1]
            bias.copy_(torch.tensor([-99.0, 99.0]))
        save_weights(weights, network, header)
        predict = ["predict", str(project), str(project / "images"), "--format", "labelme"]
        predict += ["--out", str(tmp_path / "out")]
        assert main(predict) == 0
        with Project.open(project) as opened:
            opened.rename_class(1, "box")
            opened.reorder_classes((1, 0))

        assert main(predict) == 0
        files = list((tmp_path / "out").rglob("*.json"))
        shapes = [shape for file in files for shape in json.loads(file.read_text())["shapes"]]
        assert {shape["label"] for shape in shapes} == {"box"}
        capsys.readouterr()
        masks = str(project / "masks" / "images")
        assert (
            main(["evaluate", str(project), "--images", str(project / "images"), "--masks", masks, "--json"])
            == 0
        )
        assert set(json.loads(capsys.readouterr().out)["per_class_iou"]) == {"background", "box"}

    def test_a_class_that_is_gone_is_named(
        self, project: Path, tmp_path: Path, fails: Callable[..., str]
    ) -> None:
        with Project.open(project) as opened:
            opened.delete_class(1, shapes="delete")

        said = fails("predict", project, project / "images", "--out", tmp_path / "out")

        assert "knows classes that the project has no more (square); train again" in said
        assert not list((tmp_path / "out").rglob("*.png"))
        images, masks = project / "images", project / "masks" / "images"
        assert "(square)" in fails("evaluate", project, "--images", images, "--masks", masks)
