"""What is exported can be used without this program, and is checked before it is called exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from core.annotation.model import ClassList
from core.errors import MaskloopError, StorageError, UsageError, WeightsFileError
from core.learning import export, predict_onnx
from core.learning.export import export_onnx, export_run, export_weights
from core.learning.prediction.predict import Predictor
from core.learning.runs.header import WeightsHeader, read_header
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import header_for, load_weights, save_weights
from core.models.network import SegmentationNetwork
from core.models.normalization import Normalization
from core.models.registry import build
from core.postprocess.pipeline import Pipeline


@pytest.fixture
def network(narrow: Callable[..., SegmentationNetwork]) -> SegmentationNetwork:
    network = narrow("fcn32s", fc=16, encoder_width=2).eval()
    torch.nn.init.normal_(network.score.weight)
    network.normalization = Normalization(order="bgr", scale=1.0, mean=(103.9, 116.8, 123.7), std=(1, 1, 1))
    return network


@pytest.fixture
def header(network: SegmentationNetwork, classes: ClassList) -> WeightsHeader:
    return header_for(network, classes=classes, tile=64)


def test_the_default_network_runs_in_onnxruntime_to_the_same_classes(classes: ClassList, tmp_path: Path):
    """Raw RGB in, the program's own classes out, with what the file's metadata say."""
    network = build("unet", classes=3).eval()
    network.load_encoder_weights("default")
    header = header_for(network, classes=classes, tile=96)
    path = export_onnx(network, header, tmp_path / "out" / "unet.onnx")
    # One file, weights inside, and the program that runs it.
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["predict.py", "unet.onnx"]

    y, x = np.mgrid[0:96, 0:96]
    image = np.stack([2 * x, 2 * y, x + y], axis=-1).astype(np.uint8)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    logits = session.run(None, {"pixels": image.transpose(2, 0, 1)[None].astype(np.float32)})[0]
    indices = np.array([entry["index"] for entry in json.loads(metadata["classes"])], np.uint8)
    expected = Predictor(network, header).predict(image).classes
    assert (indices[logits.argmax(axis=1)[0]] == expected).mean() > 0.999


def test_the_file_says_what_it_is_and_nothing_of_this_computer(
    network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path
):
    cleaned = Pipeline.parsed("min_region=12;watershed=9")
    path = export_onnx(network, header, tmp_path / "network.onnx", post=cleaned)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"])[1] == {
        "channel": 1,
        "index": 3,
        "name": "nerve",
        "color": "#ff4040",
    }
    assert WeightsHeader.from_json(metadata["maskloop"]) == replace(header, post=str(cleaned))
    assert metadata["tile"] == "64"
    assert metadata["post"] == "min_region=12;watershed=9"
    assert json.loads(metadata["background"]) == header.classes.background
    assert str(Path(export.__file__).parents[2]).encode() not in path.read_bytes()


def test_the_batch_is_free_and_the_tile_is_fixed(
    network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path
):
    path = export_onnx(network, header, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        pixels = np.zeros((count, 3, 64, 64), np.float32)
        assert session.run(None, {"pixels": pixels})[0].shape == (count, 3, 64, 64)
    with pytest.raises(Exception, match=r"INVALID_ARGUMENT|invalid dimensions"):
        session.run(None, {"pixels": np.zeros((1, 3, 96, 96), np.float32)})


def test_a_file_that_computes_something_else_is_not_written(
    network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Wrong(onnxruntime.InferenceSession):
        def run(self, *args: object) -> list[np.ndarray]:
            return [-output for output in super().run(*args)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    with pytest.raises(MaskloopError, match="not written, because onnxruntime computes something else"):
        export_onnx(network, header, tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong_by", [0.0, 0.1])
def test_rounding_that_a_network_makes_large_is_told_from_a_wrong_graph(
    network: SegmentationNetwork,
    header: WeightsHeader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong_by: float,
):
    """A wobble so fast that the last digit of a score decides it: no two programs agree on it."""
    plain = type(network).logits

    def wobbling(self: SegmentationNetwork, x: Tensor) -> Tensor:
        scores = plain(self, x)
        apart = torch.arange(scores.shape[1], dtype=scores.dtype)[:, None, None]  # no pixel is undecided
        return scores.tanh() / 4 + 0.01 * torch.sin(1e8 * scores) + apart

    class Shifted(onnxruntime.InferenceSession):
        def run(self, *args: object) -> list[np.ndarray]:
            return [output + np.float32(wrong_by) for output in super().run(*args)]

    monkeypatch.setattr(type(network), "logits", wobbling)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Shifted)
    monkeypatch.setattr(export, "_only_rounded", asked := Mock(wraps=export._only_rounded))
    if wrong_by:
        with pytest.raises(MaskloopError, match="not written"):
            export_onnx(network, header, tmp_path / "network.onnx")
    else:
        assert export_onnx(network, header, tmp_path / "network.onnx").is_file()
    asked.assert_called_once()


@pytest.mark.parametrize("name", ["unet", "fcn8s", "segnet", "instant", "blend"])
def test_a_check_in_doubt_computes_any_network_in_double_precision(
    name: str, narrow: Callable[..., SegmentationNetwork], classes: ClassList
):
    network = narrow(name).eval()
    module = export._WithNormalization(network, header_for(network, classes=classes, tile=64)).eval()
    example = export._test_image(64)
    with torch.inference_mode():
        expected = module(torch.from_numpy(example)).numpy()
    exact = export._exact(module, example)
    assert exact.dtype == np.float64
    assert np.abs(exact - expected).max() <= 1e-3 * np.abs(expected).max()
    assert next(network.parameters()).dtype == torch.float32


def test_a_network_that_cannot_be_expressed_gets_a_sentence(
    network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(network, "logits", lambda x: torch.linalg.eigvals(x).real[:, :, None])
    with pytest.raises(MaskloopError, match="fcn32s could not be exported to ONNX") as error:
        export_onnx(network, header, tmp_path / "network.onnx")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def run(network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "runs" / "2024-01-01-fcn32s")
    save_weights(run.best_weights, network, header)
    return run


def test_weights_are_copied_under_the_runs_name(run: RunFolder, header: WeightsHeader, tmp_path: Path):
    path = export_weights(run, tmp_path / "out")
    assert path == tmp_path / "out" / "2024-01-01-fcn32s.safetensors"
    assert read_header(path) == header
    assert export_weights(run, tmp_path / "mine.safetensors").read_bytes() == run.best_weights.read_bytes()


def test_a_copy_says_which_post_processing_goes_with_it(
    run: RunFolder, header: WeightsHeader, tmp_path: Path
):
    path = export_weights(run, tmp_path, post=Pipeline.parsed("fill_holes=7"))
    assert read_header(path) == replace(header, post="fill_holes=7")
    ours, theirs = (load_file(file) for file in (path, run.best_weights))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load_weights(path)[1].post == "fill_holes=7"
    without = ClassList(tuple(header.classes), None)
    save_weights(run.best_weights, load_weights(path)[0], replace(header, classes=without))
    with pytest.raises(UsageError, match="these classes have no background"):
        export_weights(run, tmp_path, post=Pipeline.parsed("watershed"))


def test_classes_are_exported_under_the_names_they_have_by_now(
    run: RunFolder, header: WeightsHeader, tmp_path: Path
):
    renamed = ClassList(
        tuple(replace(c, name=f"{c.name} of today") for c in header.classes), header.classes.background
    )
    weights = export_run(run, "weights", tmp_path, classes=renamed)
    assert read_header(weights).classes == renamed
    graph = export_run(run, "onnx", tmp_path, classes=renamed)
    told = onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map["classes"]
    assert [c["name"] for c in json.loads(told)] == list(renamed.names)


def test_a_class_that_is_gone_keeps_all_names_as_they_were_learned(
    run: RunFolder, header: WeightsHeader, tmp_path: Path
):
    fewer = ClassList(tuple(replace(c, name="today") for c in list(header.classes)[:1]), None)
    assert read_header(export_run(run, "weights", tmp_path, classes=fewer)) == header


@pytest.mark.parametrize(("kind", "name"), [("weights", "own.safetensors"), ("onnx", "own.onnx")])
def test_an_export_can_be_given_its_name(run: RunFolder, tmp_path: Path, kind: str, name: str):
    assert export_run(run, kind, tmp_path / name) == tmp_path / name
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("content", [b"", b"mine"])
def test_an_export_does_not_replace_somebodys_own_file(
    run: RunFolder, network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path, content: bytes
):
    weights, graph, script = (tmp_path / name for name in ("own.safetensors", "own.onnx", "predict.py"))
    for path in (weights, graph, script):
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"own\.safetensors: was there before"):
        export_weights(run, weights)
    with pytest.raises(StorageError, match=r"own\.onnx: was there before"):
        export_onnx(network, header, graph)
    graph.unlink()
    with pytest.raises(StorageError, match=r"predict\.py: was there before"):
        export_onnx(network, header, graph)
    assert not graph.exists()
    assert {path.read_bytes() for path in (weights, script)} == {content}


def test_an_export_replaces_an_export(
    run: RunFolder, network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path
):
    weights, graph, script = (tmp_path / name for name in ("own.safetensors", "own.onnx", "predict.py"))
    for _ in range(2):
        assert export_weights(run, weights).stat().st_size > 100
    graph.write_bytes(b"metadata_props maskloop")
    script.write_bytes(Path(predict_onnx.__file__).read_bytes().partition(b"\n")[0] + b"\nAn older one.")
    export_onnx(network, header, graph)
    assert graph.stat().st_size > 1000
    assert script.read_bytes() == Path(predict_onnx.__file__).read_bytes()


def test_weights_that_are_damaged_or_missing_are_not_exported(run: RunFolder, tmp_path: Path):
    run.best_weights.write_bytes(run.best_weights.read_bytes()[:-7])
    with pytest.raises(WeightsFileError, match="cut off"):
        export_weights(run, tmp_path / "out")
    shutil.rmtree(run.path)
    with pytest.raises(WeightsFileError, match="there is no such file"):
        export_weights(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said(run: RunFolder, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        export_weights(run, tmp_path / "file")
