"""One file describes the network, and what does not fit is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.annotation.model import ClassList, LabelClass
from core.errors import StorageError, WeightsFileError
from core.learning.runs.header import METADATA_KEY, WeightsHeader, read_header
from core.learning.runs.weights import header_for, load_weights, save_weights
from core.models.network import SegmentationNetwork
from core.models.normalization import Normalization


@pytest.fixture
def network(narrow: Callable[..., SegmentationNetwork]) -> SegmentationNetwork:
    return narrow("unet", norm="group").eval()


@pytest.fixture
def header(network: SegmentationNetwork, classes: ClassList) -> WeightsHeader:
    network.normalization = Normalization(
        order="bgr", scale=1.0, mean=(103.939, 116.779, 123.68), std=(1, 1, 1)
    )
    return header_for(
        network,
        classes=classes,
        tile=256,
        scale=0.375,
        metrics={"miou": 0.71, "per_class_iou": {"nerve": 0.6, "vessel": None}, "step": 840},
        data_digest="0123abcd",
    )


@pytest.fixture
def path(network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path) -> Path:
    save_weights(tmp_path / "best.safetensors", network, header)
    return tmp_path / "best.safetensors"


def test_the_header_says_all_that_was_put_in(
    path: Path, header: WeightsHeader, classes: ClassList, network: SegmentationNetwork
):
    read = read_header(path)
    assert read == header
    assert read.classes == classes
    assert read.normalization.order == "bgr"
    assert read.options == network.options
    assert read.options["norm"] == "group"
    assert read.program_version


def test_any_safetensors_reader_can_open_it(path: Path, network: SegmentationNetwork):
    tensors = load_file(path)
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


def test_loaded_weights_are_ready_to_predict_and_to_train(path: Path):
    network, _ = load_weights(path)
    assert not network.training
    assert network.pretrained
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_projects_classes_fit_whatever_their_order_and_colour(path: Path, classes: ClassList):
    recoloured = [replace(c, color="#123456") for c in classes]
    _, header = load_weights(path, classes=ClassList(tuple(reversed(recoloured)), 0))
    assert header.classes == classes


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ([(0, "background"), (3, "nerve"), (7, "artery")], "7 is 'vessel' there and 'artery' here"),
        ([(0, "background"), (3, "nerve")], "'vessel' (7) is only there"),
        ([(0, "background"), (3, "nerve"), (7, "vessel"), (8, "vein")], "'vein' (8) is only here"),
        ([], "'background' (0) is only there"),
    ],
)
def test_other_classes_are_refused_with_the_difference(path: Path, changed: list, message: str):
    classes = ClassList(tuple(LabelClass(index, name, "#ffffff") for index, name in changed))
    with pytest.raises(WeightsFileError) as error:
        load_weights(path, classes=classes)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_refused_before_and_while_loading(path: Path, keep: int):
    path.write_bytes(path.read_bytes()[:keep])
    for read in (read_header, load_weights):
        with pytest.raises(WeightsFileError, match=r"cut off|damaged"):
            read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(300),
        b"PK\x03\x04" + bytes(300),
        b"{}" * 100,
        bytes(16),
        b"\x04" + bytes(7) + b"[1]\n",
    ],
    ids=["png", "zip", "json", "zeros", "list"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsFileError, match=r"is no safetensors file|is cut off"):
        load_weights(path)


def test_safetensors_of_another_program_are_refused(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsFileError, match="was not saved by this program"):
        read_header(path)


def test_a_missing_file_and_a_folder(tmp_path: Path):
    with pytest.raises(WeightsFileError, match="there is no such file"):
        read_header(tmp_path / "none.safetensors")
    with pytest.raises(WeightsFileError, match="cannot be read"):
        read_header(tmp_path)


def rewrite(path: Path, *, drop: str | None = None, **changes: object) -> None:
    """The same file with some header fields changed, or without the tensors whose names begin so."""
    tensors = load_file(path)
    record = json.loads(read_header(path).to_json()) | changes
    if drop is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(drop)}
    save_file(tensors, path, {METADATA_KEY: json.dumps(record)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "saved by a newer version of this program"),
        ({"tile": "large"}, r"header is damaged \(.*tile"),
        ({"classes": [{"index": 0}]}, r"header is damaged \(.*classes"),
        ({"normalization": {"order": "rgb"}}, r"header is damaged \(normalization.scale"),
        ({"architecture": "unet9"}, "cannot build: there is no model 'unet9'"),
        ({"options": {"levels": 3}}, "cannot build: unet has no option 'levels'"),
        ({"options": {"width": 8, "encoder_width": 4, "norm": "group"}}, "the tensor .* is .*, it should be"),
        (
            {"options": {"width": 4, "encoder_width": 4, "norm": "batch"}},
            r"the tensor .*running_mean is missing",
        ),
        ({"drop": "head.bias"}, "the tensor head.bias is missing"),
    ],
)
def test_what_does_not_fit_is_named(path: Path, changes: dict, message: str):
    rewrite(path, **changes)
    with pytest.raises(WeightsFileError, match=message) as error:
        load_weights(path)
    assert "\n" not in str(error.value)


def test_files_of_before_maps_were_standardised_are_read(path: Path, network: SegmentationNetwork):
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(image)
        rewrite(path, drop="map_")
        assert torch.equal(load_weights(path)[0](image), expected)


def test_a_save_that_fails_leaves_the_old_weights(
    path: Path, network: SegmentationNetwork, header: WeightsHeader
):
    before = path.read_bytes()
    blocked = path / "inside-a-file.safetensors"
    with pytest.raises(StorageError):
        save_weights(blocked, network, header)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_channels_and_classes_must_match(network: SegmentationNetwork, header: WeightsHeader, tmp_path: Path):
    with pytest.raises(ValueError, match="3 channels cannot stand for 0 classes"):
        save_weights(tmp_path / "w.safetensors", network, replace(header, classes=ClassList()))
