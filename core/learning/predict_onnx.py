"""Segments images with an exported network; needs onnxruntime, numpy and Pillow, and nothing else.

    python predict.py IMAGE... [--network FILE.onnx] [--out FOLDER] [--overlap PIXELS]

Every image becomes FOLDER/NAME.png, whose values are the indices of the classes, in the classes' colours.
The network says itself which classes it knows, how far images are reduced for it, and how large its tiles
are. Large images are cut into tiles that overlap; what the network says of each is joined smoothly. Maskloop
writes this file beside the networks it exports, and writes it anew with the next one: keep changes of your
own under another name.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError


@dataclass(frozen=True)
class Network:
    """What is in an ONNX file.

    Attributes:
        tile: side of the square it takes, pixels.
        scale: factor by which images are resized before.
        indices: class index of each output channel.
        palette: red, green and blue of the indices 0 to 255, in a row.
    """

    session: Any
    tile: int
    scale: float
    indices: NDArray[np.uint8]
    palette: bytes

    @classmethod
    def open(cls, path: Path) -> Network:
        """Read the file."""
        session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        about = session.get_modelmeta().custom_metadata_map
        classes = json.loads(about["classes"])
        palette = np.zeros((256, 3), np.uint8)
        for entry in classes:
            palette[entry["index"]] = ImageColor.getrgb(entry["color"])
        indices = np.array([entry["index"] for entry in classes], np.uint8)
        return cls(session, int(about["tile"]), float(about["scale"]), indices, palette.tobytes())

    def segment(self, image: Image.Image, overlap: int) -> NDArray[np.uint8]:
        """Class indices (H, W) of an RGB image; tiles overlap by so many pixels."""
        width, height = image.size
        if self.scale != 1.0:
            size_wh = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
            kind = Image.Resampling.BOX if self.scale < 1.0 else Image.Resampling.BILINEAR
            image = image.resize(size_wh, kind)
        logits = self.logits(np.asarray(image, np.float32), overlap)
        if self.scale != 1.0:
            bilinear = Image.Resampling.BILINEAR
            planes = [Image.fromarray(plane).resize((width, height), bilinear) for plane in logits]
            logits = np.stack([np.asarray(plane) for plane in planes])
        best: NDArray[np.uint8] = self.indices[logits.argmax(axis=0)]
        return best

    def logits(self, pixels: NDArray[np.float32], overlap: int) -> NDArray[np.float32]:
        """Scores (C, H, W) of RGB pixels (H, W, 3), 0..255, tile by tile."""
        height, width = pixels.shape[:2]
        missing = [(0, max(0, self.tile - side)) for side in (height, width)]
        padded = np.pad(pixels, (*missing, (0, 0)), mode="edge").transpose(2, 0, 1)[None]
        rows, columns = (weighted_tiles(side, self.tile, overlap) for side in padded.shape[2:])
        joined = np.zeros((len(self.indices), *padded.shape[2:]), np.float32)
        for top, down in rows:
            for left, across in columns:
                place = np.s_[..., top : top + self.tile, left : left + self.tile]
                found = self.session.run(["logits"], {"pixels": np.ascontiguousarray(padded[place])})[0][0]
                joined[place] += found * down[:, None] * across
        return joined[:, :height, :width]


def weighted_tiles(length: int, tile: int, overlap: int) -> list[tuple[int, NDArray[np.float32]]]:
    """Where tiles start along one axis, and the weights (tile,) of each.

    Weights are Gaussian, zero near inner edges, where a network sees padding instead of the picture, and add
    up to 1 everywhere.
    """
    last = length - tile
    starts = [*range(0, last, tile - overlap), last]
    bell = np.exp(-0.5 * ((np.arange(tile) - (tile - 1) / 2) / (tile / 4)) ** 2)
    total = np.zeros(length)
    tiles = []
    for start in starts:
        weights = bell.copy()
        if start > 0:
            weights[: overlap // 4] = 0.0
        if start < last:
            weights[tile - overlap // 4 :] = 0.0
        total[start : start + tile] += weights
        tiles.append((start, weights))
    return [(start, (w / total[start : start + tile]).astype(np.float32)) for start, w in tiles]


def open_image(path: Path) -> Image.Image:
    """An image as RGB, turned the way its camera was held. Ends with a sentence where it cannot be read."""
    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                sys.exit(f"{path}: has more than 8 bits a channel; save it with 8 bits first")
            return ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        sys.exit(f"{path}: cannot be read as an image ({error})")


def chosen(network: Path | None) -> Path:
    """The network's file: the one that was named, or the only one beside this script."""
    if network is not None:
        if not network.is_file():
            sys.exit(f"{network}: there is no such file")
        return network
    beside = sorted(Path(__file__).parent.glob("*.onnx"))
    if len(beside) != 1:
        names = ", ".join(path.name for path in beside) or "none"
        sys.exit(f"which network? Beside this script there are: {names}; name one with --network")
    return beside[0]


def main() -> None:
    """Segment what the command line names."""
    parser = argparse.ArgumentParser(description="Segment images with an exported network.")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--network", type=Path, help="an .onnx file (default: the one beside this script)")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder for the results")
    parser.add_argument("--overlap", type=int, help="of neighbouring tiles, pixels (default: a quarter)")
    arguments = parser.parse_args()
    network = Network.open(chosen(arguments.network))
    overlap = network.tile // 4 if arguments.overlap is None else arguments.overlap
    if not 0 <= overlap < network.tile:
        sys.exit(f"--overlap is {overlap}; it must be from 0 to {network.tile - 1}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in arguments.images:
        result = Image.fromarray(network.segment(open_image(path), overlap))
        result.putpalette(network.palette)
        target = arguments.out / f"{path.stem}.png"
        result.save(target)
        print(target)


if __name__ == "__main__":
    main()
