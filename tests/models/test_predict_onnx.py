"""The program beside an exported network segments images as this one does, and needs nothing of it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import ClassList
from core.images.reader import read_image
from core.learning import predict_onnx
from core.learning.export import export_onnx
from core.learning.prediction.predict import Predictor
from core.learning.runs.weights import header_for
from core.models.network import SegmentationNetwork
from core.postprocess import regions as of_program

TILE, OVERLAP = 128, 32
BLOCKED = """
import runpy, sys

class OnlyThree:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"core", "app", "torch", "cv2", "torchvision", "onnx"}:
            raise ImportError(name)

sys.meta_path.insert(0, OnlyThree())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def network(narrow: Callable[..., SegmentationNetwork]) -> SegmentationNetwork:
    """Sees a little around every pixel, and decides differently all over a picture."""
    torch.manual_seed(0)
    network = narrow("fcn8s", fc=16, encoder_width=4, training="at_once").eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == network.classes:
                torch.nn.init.normal_(layer.weight)
    return network


@pytest.fixture(scope="module")
def exported(
    network: SegmentationNetwork, classes: ClassList, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    header = header_for(network, classes=classes, tile=TILE)
    return export_onnx(network, header, tmp_path_factory.mktemp("exported") / "network.onnx")


def picture(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + k) + np.sin(y / 7 + 2 * k) + np.sin((x + y) / 31) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 20, size=(height, width, 3))
    return (127.5 + 40 * np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def predict(exported: Path, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the script where neither this program nor torch can be imported."""
    command = [sys.executable, "-c", BLOCKED, exported.with_name("predict.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=exported.parent)


def test_it_gives_the_programs_own_classes_of_images_of_any_size(
    exported: Path, network: SegmentationNetwork, classes: ClassList, tmp_path: Path
):
    # Of sides of which our tiles are as large as the exported one; and one that is smaller than a tile.
    images = {"large": picture(224, 320), "small": picture(70, 50)}
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    done = predict(exported, tmp_path / "large.png", tmp_path / "small.png", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(out / "large.png"), str(out / "small.png")]

    header = header_for(network, classes=classes, tile=TILE)
    with Image.open(out / "large.png") as result:
        found = np.asarray(result)
        assert result.getpalette()[9:12] == [255, 64, 64]  # type: ignore[index]  # of class 3, the nerve
    expected = Predictor(network, header, tile=TILE, overlap=OVERLAP).predict(images["large"]).classes
    assert len(np.unique(expected)) > 1
    assert (found == expected).mean() >= 0.999

    # To this network it is not the same whether what is beyond the image is mirrored (there, up to the tile)
    # or is not there at all (here); the published U-Net mirrors it by itself, see below.
    with Image.open(out / "small.png") as result:
        assert result.size == (50, 70)


def test_an_image_smaller_than_a_tile_is_mirrored(
    narrow: Callable[..., SegmentationNetwork], classes: ClassList, tmp_path: Path
):
    """A network that itself mirrors what surrounds an image sees what it would have seen anyway."""
    torch.manual_seed(0)
    network = narrow("unet_paper", width=4, depth=2).eval()
    with torch.no_grad():
        torch.nn.init.normal_(network.score_layer.weight)  # type: ignore[union-attr]
        usual = network(torch.randn(1, 3, 64, 64)).mean(dim=(0, 2, 3))
        network.score_layer.bias -= usual  # type: ignore[union-attr]  # each class has its pixels
    header = header_for(network, classes=classes, tile=TILE)
    exported = export_onnx(network, header, tmp_path / "network.onnx")
    for size_hw in ((70, 50), (1, 9)):  # of which 9 are mirrored many times
        image = picture(*size_hw)
        Image.fromarray(image).save(tmp_path / "image.png")
        done = predict(exported, tmp_path / "image.png", "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        expected = Predictor(network, header, tile=TILE, overlap=OVERLAP).predict(image).classes
        assert size_hw == (1, 9) or len(np.unique(expected)) > 1
        with Image.open(tmp_path / "out" / "image.png") as result:
            assert (np.asarray(result) == expected).mean() >= 0.999


def test_it_reduces_images_as_they_were_in_training(
    exported: Path, network: SegmentationNetwork, classes: ClassList, tmp_path: Path
):
    model = onnx.load(exported)
    (scale,) = (entry for entry in model.metadata_props if entry.key == "scale")
    scale.value = "0.5"
    onnx.save(model, tmp_path / "network.onnx")
    shutil.copy(exported.with_name("predict.py"), tmp_path)
    image = picture(2 * TILE, 2 * TILE)
    Image.fromarray(image).save(tmp_path / "image.png")
    assert predict(tmp_path / "network.onnx", tmp_path / "image.png").returncode == 0
    with Image.open(tmp_path / "predictions" / "image.png") as result:
        found = np.asarray(result)
    header = header_for(network, classes=classes, tile=TILE, scale=0.5)
    expected = Predictor(network, header).predict(image).classes
    assert found.shape == expected.shape
    assert (found == expected).mean() >= 0.99  # Pillow rounds the reduced image a little differently


def label_map(seed: int) -> NDArray[np.uint8]:
    """A map of any size, of regions of a few classes: from single pixels to large ones."""
    random = np.random.default_rng(seed)
    size_hw, indices = random.integers(1, 48, 2), random.choice(256, random.integers(1, 6), replace=False)
    noise = random.normal(size=(len(indices), *size_hw)).astype(np.float32)
    width = random.uniform(0.1, 2.5)
    fields = [cv2.GaussianBlur(plane, (0, 0), width) for plane in noise]
    return indices.astype(np.uint8)[np.argmax(fields, axis=0)]


@pytest.mark.parametrize("name", ["remove_small_regions", "fill_holes"])
def test_small_regions_and_holes_become_what_they_become_in_the_program(name: str):
    changed = 0
    for seed in range(300):
        before = label_map(seed)
        for background in (int(before[0, 0]), None):
            found = getattr(predict_onnx, name)(before, 2 + seed % 40, background)
            expected = getattr(of_program, name)(before, 2 + seed % 40, background)
            assert np.array_equal(found, expected), (seed, background)
            assert found.dtype == expected.dtype == np.uint8
            changed += not np.array_equal(found, before)
    assert changed > 100


def test_post_processing_that_was_on_is_done_or_said_to_be_left_out(exported: Path, tmp_path: Path):
    model = onnx.load(exported)
    metadata = {entry.key: entry for entry in model.metadata_props}
    assert metadata["post"].value == ""
    metadata["post"].value = "crf:iterations=3,sxy=20;min_region=400;fill_holes=9;watershed=6"
    onnx.save(model, tmp_path / "network.onnx")
    shutil.copy(exported.with_name("predict.py"), tmp_path)
    Image.fromarray(picture(160, 200)).save(tmp_path / "image.png")
    found = {}
    for out, raw in (("raw", ["--raw"]), ("cleaned", [])):
        done = predict(tmp_path / "network.onnx", tmp_path / "image.png", "--out", tmp_path / out, *raw)
        assert done.returncode == 0, done.stderr
        assert ("not done here: crf, watershed; maskloop predict --post does it" in done.stderr) == (not raw)
        with Image.open(tmp_path / out / "image.png") as result:
            found[out] = np.asarray(result)
    assert (found["raw"] != found["cleaned"]).any()
    _, sizes = of_program.regions(found["cleaned"], np.unique(found["cleaned"])[1:])
    assert sizes.min() >= 400


def test_images_of_any_kind_are_read_as_the_program_reads_them(tmp_path: Path):
    colours = picture(30, 40)
    see_through = np.dstack([colours, np.linspace(0, 255, 30 * 40).reshape(30, 40).astype(np.uint8)])
    deep = colours[..., 0].astype(np.uint16) * 19 + 300
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        Image.fromarray(colours).save(tmp_path / f"{orientation}.jpg", exif=exif)
        Image.fromarray(colours[..., 0]).save(tmp_path / f"{orientation}.tif", exif=exif)
        Image.fromarray(deep).save(tmp_path / f"deep{orientation}.tif", exif=exif)
        Image.fromarray(deep).save(tmp_path / f"deep{orientation}.png", exif=exif)
    Image.fromarray(see_through).save(tmp_path / "alpha.png")
    Image.fromarray(see_through).convert("LA").save(tmp_path / "grey_alpha.png")
    Image.fromarray(see_through).quantize(16).save(tmp_path / "palette.png", transparency=3)
    Image.fromarray(colours).save(tmp_path / "one_colour.png", transparency=tuple(colours[0, 0].tolist()))
    tifffile.imwrite(tmp_path / "float.tif", deep.astype(np.float32))
    tifffile.imwrite(tmp_path / "large.tif", deep.astype(np.uint32) * 100_000)
    tifffile.imwrite(tmp_path / "zero_is_white.tif", deep, photometric="miniswhite")
    Image.fromarray(deep * 0 + 7).save(tmp_path / "flat.png")
    for path in sorted(tmp_path.iterdir()):
        found, expected = np.asarray(predict_onnx.open_image(path)), read_image(path)
        assert found.shape == expected.shape, path.name
        assert np.array_equal(found, expected), path.name


def test_deep_colours_are_refused_and_not_read_as_black(exported: Path, tmp_path: Path):
    deep = picture(30, 40).astype(np.uint16) * 16
    cv2.imwrite(str(tmp_path / "colours.png"), deep)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([deep, deep[..., :1]]))
    tifffile.imwrite(tmp_path / "colours.tif", deep, photometric="rgb")
    for image in sorted(tmp_path.iterdir()):
        refused(predict(exported, image, "--out", tmp_path / "out"), "colours of more than 8 bits a channel")


def test_images_are_as_large_as_the_program_takes_them(exported: Path, tmp_path: Path):
    for side, problem in ((40_000, "exceeds limit of 1073741824 pixels"), (15_000, "")):
        header = struct.pack(">II5B", side, side, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", b""), (b"IEND", b""))
        written = (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
        done = predict(exported, tmp_path / "a.png", "--out", tmp_path / "out")
        refused(done, "a.png: cannot be read as an image", problem)
        assert ("exceeds limit" in done.stderr) == bool(problem)


def test_it_says_in_one_sentence_what_is_wrong(exported: Path, tmp_path: Path):
    (tmp_path / "no.png").write_bytes(b"nothing")
    (tmp_path / "torn.onnx").write_bytes(b"nothing")
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    Image.fromarray(picture(20, 30)).save(tmp_path / "good.png")
    for arguments, problem in {
        (tmp_path / "no.png",): "no.png: cannot be read as an image",
        (tmp_path / "no.png", "--network", tmp_path / "no.onnx"): "no.onnx: there is no such file",
        (
            tmp_path / "no.png",
            "--network",
            tmp_path / "torn.onnx",
        ): "torn.onnx: cannot be read as a network (",
        (tmp_path / "no.png", "--network", tmp_path / "foreign.onnx"): "is no network exported by Maskloop",
        (tmp_path / "good.png", "--out", tmp_path / "no.png"): "good.png: cannot be written (",
        (tmp_path / "no.png", "--overlap", "128"): "--overlap is 128; it must be from 0 to 127",
    }.items():
        done = predict(exported, "--out", tmp_path / "out", *arguments)
        refused(done, problem)


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """It ended with one sentence, in which these are."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert all(part in done.stderr for part in parts), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_result_replaces_an_image_or_another_result(exported: Path, tmp_path: Path):
    photos = [tmp_path / name for name in ("photo.png", "a/1.png", "b/1.png")]
    for photo in photos:
        photo.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(20, 30)).save(photo)
    before = photos[0].read_bytes()
    done = predict(exported, photos[1], photos[0], "--out", tmp_path)
    refused(done, f"{photos[0]}: this image would be replaced by the result of {photos[0]}")
    assert photos[0].read_bytes() == before
    assert not (tmp_path / "1.png").exists()

    out = tmp_path / "out"
    done = predict(exported, *photos, "--out", out)
    refused(done, f"{photos[1]} and {photos[2]}: both results would be {out / '1.png'}")
    assert not out.exists()


def test_an_image_is_known_by_any_of_its_names(tmp_path: Path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"pixels")
    (tmp_path / "same").symlink_to(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.png").hardlink_to(photo)
    for images, out in (
        ([photo], tmp_path / "same"),
        ([tmp_path / "same" / "photo.png"], tmp_path),
        ([photo, tmp_path / "other.jpg"], tmp_path / "out"),
    ):
        with pytest.raises(SystemExit, match=f"this image would be replaced by the result of {images[-1]};"):
            predict_onnx.targets(images, out)
    # Twice the same image is no conflict; names that are one on some disks are, on all.
    twice = [photo, tmp_path / "same" / "photo.png"]
    assert predict_onnx.targets(twice, tmp_path / "o") == 2 * [tmp_path / "o" / "photo.png"]
    with pytest.raises(SystemExit, match=r"both results would be"):
        predict_onnx.targets([photo, tmp_path / "b" / "PHOTO.jpg"], tmp_path / "o")
