"""The command line as a person or a script meets it: answers, exit codes, one sentence on failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.cli.main import main
from core.cli.parser import make_parser

SIDE = 64


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of a bright disc on noise, with index masks: images/ and masks/."""
    folder = tmp_path_factory.mktemp("discs")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(8):
        cx, cy = random.integers(20, 44, 2)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < 15**2
        pixels = random.integers(0, 80, (SIDE, SIDE, 3)) + inside[..., None] * 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(inside.astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of those images with one short run."""
    root = tmp_path_factory.mktemp("trained") / "project"
    assert main(["init", str(root), "--classes", "background,disc"]) == 0
    assert main(["import", str(root), str(discs), "--format", "masks"]) == 0
    narrow = ["--encoder", "plain", "--option", "width=8", "--option", "encoder_width=4"]
    tiny = [*narrow, "--crop", "64", "--batch", "4"]
    assert main(["train", str(root), *tiny, "--steps", "60", "--device", "cpu"]) == 0
    return root


def test_a_trained_project_finds_the_discs(
    trained: Path, discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--images", str(discs / "images"), "--masks", str(discs / "masks")]

    code = main(["evaluate", str(trained), *folders, "--json"])

    scores = json.loads(capsys.readouterr().out)
    assert code == 0
    assert set(scores) >= {
        "miou", "per_class_iou", "dice", "pixel_accuracy", "boundary_f1", "images", "model", "run",
    }  # fmt: skip
    low, high = scores["miou_interval"]
    assert 0 <= low <= scores["miou"] <= high <= 1
    assert scores["interval_over"] == "images"
    assert [len(row) for row in scores["confusion"]["pixels"]] == [2, 2]
    assert scores["images"] == 8
    assert set(scores["per_class_iou"]) == {"background", "disc"}
    assert scores["miou"] > 0.6


def test_evaluate_says_how_far_its_numbers_can_be_trusted(
    trained: Path, discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--images", str(discs / "images"), "--masks", str(discs / "masks")]

    assert main(["evaluate", str(trained), *folders]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "IoU", "95", "%"]
    mean = next(line for line in lines if line.startswith("mean")).split()
    assert float(mean[2]) <= float(mean[1]) <= float(mean[4])


def test_patience_is_a_number_of_validations(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_parser().parse_args(["train", str(trained), "--patience", "7"]).patience == 7
    assert main(["train", str(trained), "--patience", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_train_json_prints_one_object_and_nothing_else(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    code = main(["train", str(trained), "--resume", "--steps", "62", "--device", "cpu", "--json"])

    summary = json.loads(capsys.readouterr().out)
    assert code == 0
    assert summary["resumed_step"] == 60
    assert summary["steps"] == 62
    assert Path(summary["run"]).is_dir()
    assert set(summary) == {
        "run", "model", "steps", "seconds", "best_miou", "per_class_iou", "resumed_step",
    }  # fmt: skip


@pytest.mark.parametrize(
    "output_format, suffix", [("masks", ".png"), ("labelme", ".json"), ("overlay", ".png")]
)
def test_predict_writes_one_file_an_image(
    trained: Path, discs: Path, tmp_path: Path, output_format: str, suffix: str
) -> None:
    images = [str(discs / "images" / "0.png"), str(discs / "images" / "1.png")]

    assert main(["predict", str(trained), *images, "--out", str(tmp_path), "--format", output_format]) == 0

    assert sorted(path.name for path in tmp_path.iterdir()) == [f"0{suffix}", f"1{suffix}"]


def test_a_project_may_be_given_as_its_file(trained: Path, discs: Path, tmp_path: Path) -> None:
    image = str(discs / "images" / "0.png")

    assert main(["predict", str(trained / "project.json"), image, "--out", str(tmp_path)]) == 0

    assert (tmp_path / "0.png").is_file()


def test_predicted_masks_hold_class_indices_at_the_images_size(
    trained: Path, discs: Path, tmp_path: Path
) -> None:
    assert main(["predict", str(trained), str(discs / "images" / "0.png"), "--out", str(tmp_path)]) == 0

    with Image.open(tmp_path / "0.png") as mask:
        assert mask.mode == "P"
        assert mask.size == (SIDE, SIDE)
        assert set(np.unique(np.asarray(mask))) <= {0, 1}


def test_images_of_one_stem_get_a_prediction_each(trained: Path, tmp_path: Path) -> None:
    images = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "same.png"
        Image.new("RGB", (SIDE, SIDE)).save(path)
        images.append(str(path))

    assert main(["predict", str(trained), *images, "--out", str(tmp_path / "out")]) == 0

    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    "output_format, pattern",
    [("masks", "*.png"), ("labelme", "*.json"), ("weights", "*.safetensors"), ("onnx", "*.onnx")],
)
def test_export_writes_its_files(trained: Path, tmp_path: Path, output_format: str, pattern: str) -> None:
    assert main(["export", str(trained), "--format", output_format, "--out", str(tmp_path)]) == 0

    assert list(tmp_path.glob(pattern))


def test_exported_masks_are_the_imported_ones(trained: Path, discs: Path, tmp_path: Path) -> None:
    assert main(["export", str(trained), "--format", "masks", "--out", str(tmp_path)]) == 0

    for truth in (discs / "masks").iterdir():
        exported = np.asarray(Image.open(tmp_path / truth.name))
        np.testing.assert_array_equal(exported, np.asarray(Image.open(truth)))
    listed = json.loads((tmp_path / "classes.json").read_text())
    assert "disc" in json.dumps(listed)


def test_a_weights_file_predicts_without_its_project(trained: Path, discs: Path, tmp_path: Path) -> None:
    assert main(["export", str(trained), "--format", "weights", "--out", str(tmp_path)]) == 0
    (weights,) = tmp_path.glob("*.safetensors")

    code = main(["predict", str(weights), str(discs / "images" / "0.png"), "--out", str(tmp_path / "out")])

    assert code == 0
    assert (tmp_path / "out" / "0.png").is_file()


def test_models_lists_the_registry_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0

    names = [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert {"unet", "fcn8s", "fcn16s", "fcn32s"} <= set(names)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "p", "--steps", "0"],
        ["train", "p", "--steps", "3", "--seconds", "3"],
        ["train", "p", "--seconds", "nan"],
        ["export", "p", "--format", "word", "--out", "o"],
        ["init", "p", "--classes", "a,,b"],
        ["init", "p", "--classes", "a,a"],
        ["predict", "p", "images", "--out", "o", "--members", "other.safetensors"],
        ["predict", "p", "images", "--out", "o", "--uncertainty", "tta", "--members", "other.safetensors"],
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("maskloop: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--crop", "1"], "crop is 1; it must be at least 32"),
        (["--crop", "100"], "crop is 100; it must be a multiple of 32, such as 96 or 128"),
        (
            ["--crop", "100", "--model", "dilatednet"],
            "crop is 100; it must be a multiple of 8, such as 96 or 104",
        ),
        (["--crop", "99999"], "crop is 99999; it must be at most 4096"),
        (["--batch", "100000"], "batch is 100000; it must be at most 4096"),
        (["--seed", "-1"], "seed is -1; it must be at least 0"),
        (["--model", "unett"], "there is no model 'unett'; known are unet"),
        (["--encoder", "vgg16"], "unet cannot stand on the encoder 'vgg16'; choose tf_efficientnet_lite0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    trained: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = sorted((trained / "runs").iterdir())
    capsys.readouterr()
    assert main(["train", str(trained), "--steps", "1", "--device", "cpu", *arguments]) == 2
    captured = capsys.readouterr()
    assert f"maskloop: {sentence}" in captured.err
    assert captured.out == ""
    assert sorted((trained / "runs").iterdir()) == runs


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_gpu_that_is_not_there_is_said(
    trained: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = {
        "train": ["--steps", "1"],
        "predict": [str(trained / "images"), "--out", str(tmp_path / "out")],
    }
    capsys.readouterr()
    assert main([command, str(trained), *rest[command], "--device", "cuda"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.strip().splitlines()[-1]
    assert last == "maskloop: there is no CUDA GPU that torch can use here; choose the device auto or cpu"


def test_a_run_that_has_done_its_steps_says_so(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["train", str(trained), "--resume", "--steps", "9", "--device", "cpu", "--json"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["steps"] == answer["resumed_step"] >= 60
    assert answer["best_miou"] is not None
    said = f"the run has done {answer['steps']} steps and is asked for 9, so there is nothing to train"
    assert said in captured.err


class TestFailuresAreOneSentence:
    """Exit code 1, the file's name, and nothing that existed touched."""

    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        return captured.err.strip().splitlines()[-1]

    def test_no_such_project(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "missing" in self.run(capsys, "train", str(tmp_path / "missing"))

    def test_a_project_without_labels(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "images").mkdir()
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "images" / "a.png")
        assert main(["init", str(tmp_path), "--classes", "background,disc"]) == 0

        assert "label" in self.run(capsys, "train", str(tmp_path), "--steps", "1", "--encoder", "plain")
        assert "train" in self.run(capsys, "predict", str(tmp_path), str(tmp_path / "images"), "--out", "o")
        assert "train" in self.run(capsys, "export", str(tmp_path), "--format", "onnx", "--out", "o")

    def test_a_project_with_one_class(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "images").mkdir()
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "images" / "a.png")
        assert main(["init", str(tmp_path), "--classes", "disc"]) == 0

        assert "class" in self.run(capsys, "train", str(tmp_path), "--steps", "1", "--encoder", "plain")

    def test_a_mask_of_the_wrong_size(
        self, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = tmp_path / "source"
        (source / "images").mkdir(parents=True)
        (source / "masks").mkdir()
        Image.new("RGB", (SIDE, SIDE)).save(source / "images" / "a.png")
        Image.new("L", (SIDE, SIDE // 2)).save(source / "masks" / "a.png")
        assert main(["init", str(tmp_path / "p"), "--classes", "background,disc"]) == 0

        capsys.readouterr()
        assert main(["import", str(tmp_path / "p"), str(source), "--format", "masks"]) == 1
        assert "a.png" in capsys.readouterr().err

    def test_an_index_that_no_class_has(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = tmp_path / "source"
        (source / "images").mkdir(parents=True)
        (source / "masks").mkdir()
        Image.new("RGB", (SIDE, SIDE)).save(source / "images" / "a.png")
        Image.new("L", (SIDE, SIDE), 7).save(source / "masks" / "a.png")
        assert main(["init", str(tmp_path / "p"), "--classes", "background,disc"]) == 0

        capsys.readouterr()
        assert main(["import", str(tmp_path / "p"), str(source), "--format", "masks"]) == 1
        message = capsys.readouterr().err
        assert "a.png" in message
        assert "7" in message

    def test_a_broken_image(self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing more")

        arguments = ("predict", str(trained), str(broken), "--out", str(tmp_path / "out"))
        self.run(capsys, *arguments)
        assert main(arguments) == 1
        assert "broken.png" in capsys.readouterr().err

    def test_foreign_weights(self, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        weights = tmp_path / "foreign.safetensors"
        weights.write_bytes(b"not weights at all")

        message = self.run(
            capsys, "predict", str(weights), str(discs / "images"), "--out", str(tmp_path / "o")
        )

        assert "foreign.safetensors" in message

    def test_resume_without_a_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["init", str(tmp_path / "p"), "--classes", "background,disc"]) == 0

        assert "resume" in self.run(capsys, "train", str(tmp_path / "p"), "--resume")


def test_no_command_imports_qt(trained: Path, discs: Path, tmp_path: Path) -> None:
    arguments = ["predict", str(trained), str(discs / "images" / "0.png"), "--out", str(tmp_path)]
    script = (
        f"import sys; from app.__main__ import main; code = main({arguments!r}); "
        "assert not any(name.startswith('PySide6') for name in sys.modules); sys.exit(code)"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_listing_models_does_not_wait_for_torch() -> None:
    script = "import sys; from core.cli.main import main; main(['models']); assert 'torch' not in sys.modules"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_labels_that_are_left_out_of_an_import_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set").mkdir()
    Image.new("L", (16, 12)).save(tmp_path / "set" / "a.png")
    square = [[2, 2], [9, 2], [9, 9], [2, 9]]
    file = {"imagePath": "a.png", "imageData": None, "shapes": [{"label": " ", "points": square}]}
    (tmp_path / "set" / "a.json").write_text(json.dumps(file))
    assert main(["init", str(tmp_path / "project")]) == 0

    assert main(["import", str(tmp_path / "project"), str(tmp_path / "set"), "--format", "labelme"]) == 0

    assert "Shapes labelled ' ' are left out: a class needs a name." in capsys.readouterr().err
