"""Segments images with an exported network; needs onnxruntime, numpy and Pillow, and nothing else.

    python predict.py IMAGE... [--network FILE.onnx] [--out FOLDER] [--overlap PIXELS] [--raw]

Every image becomes FOLDER/NAME.png, whose values are the indices of the classes, in the classes' colours;
where that would be one of the images, or two of them have one NAME, nothing is predicted and it is said.
The network says itself which classes it knows, how far images are reduced for it, and how large its tiles
are. Large images are cut into tiles that overlap; what the network says of each is joined smoothly. Images
smaller than a tile are mirrored at their right and lower edge. What is transparent lies on white; grey images
of more than 8 bits are stretched to their 0.1 and 99.9 percentiles, and such colour images are refused. Where
small regions were removed and holes filled when it was exported, that is done here too (not with --raw); a
dense CRF and the parting of touching objects are not, and that is said. Maskloop writes this file beside the
networks it exports, and writes it anew with the next one: keep changes of your own under another name.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

MOST_PIXELS = 1 << 29
"""Larger images (536 megapixels) are refused."""
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow itself would refuse them from 178 megapixels on

DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error, MemoryError, Image.DecompressionBombError),
)
"""What Pillow raises for files that are damaged, too large, or no images."""
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.intp]
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339


@dataclass(frozen=True)
class Network:
    """What is in an ONNX file.

    Attributes:
        tile: side of the square it takes, pixels.
        scale: factor by which images are resized before.
        indices: class index of each output channel.
        palette: red, green and blue of the indices 0 to 255, in a row.
        background: class index of the background; None where there is none.
        steps: of post-processing when it was exported: each one's name and its `pixels`.
    """

    session: Any
    tile: int
    scale: float
    indices: Bytes
    palette: bytes
    background: int | None
    steps: list[tuple[str, int]]

    @classmethod
    def open(cls, path: Path) -> Network:
        """Read the file. Ends with a sentence where it is no network that Maskloop has exported."""
        try:
            session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        except Exception as error:  # the runtime has dozens of types of its own
            why = str(error).partition("\n")[0]
            raise SystemExit(f"{path}: cannot be read as a network ({why})") from error
        about = session.get_modelmeta().custom_metadata_map
        if missing := {"classes", "tile", "scale"} - about.keys():
            sys.exit(f"{path}: is no network exported by Maskloop (it does not tell its {min(missing)})")
        classes = json.loads(about["classes"])
        palette = np.zeros((256, 3), np.uint8)
        for entry in classes:
            palette[entry["index"]] = ImageColor.getrgb(entry["color"])
        indices = np.array([entry["index"] for entry in classes], np.uint8)
        background = json.loads(about.get("background", "null"))
        tile, scale, steps = int(about["tile"]), float(about["scale"]), parsed(about.get("post", ""))
        return cls(session, tile, scale, indices, palette.tobytes(), background, steps)

    def cleaned(self, classes: Bytes) -> Bytes:
        """Class indices (H, W) after those steps of post-processing that are done here."""
        for name, pixels in self.steps:
            if name in DONE_HERE:
                classes = DONE_HERE[name](classes, pixels, self.background)
        return classes

    def segment(self, image: Image.Image, overlap: int) -> Bytes:
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
        best: Bytes = self.indices[logits.argmax(axis=0)]
        return best

    def logits(self, pixels: NDArray[np.float32], overlap: int) -> NDArray[np.float32]:
        """Scores (C, H, W) of RGB pixels (H, W, 3), 0..255, tile by tile."""
        height, width = pixels.shape[:2]
        for axis, side in enumerate((height, width)):
            if side < self.tile:
                pixels = pixels.take(mirrored(side, self.tile), axis)
        padded = pixels.transpose(2, 0, 1)[None]
        rows, columns = (weighted_tiles(side, self.tile, overlap) for side in padded.shape[2:])
        joined = np.zeros((len(self.indices), *padded.shape[2:]), np.float32)
        for top, down in rows:
            for left, across in columns:
                place = np.s_[..., top : top + self.tile, left : left + self.tile]
                found = self.session.run(["logits"], {"pixels": np.ascontiguousarray(padded[place])})[0][0]
                joined[place] += found * down[:, None] * across
        return joined[:, :height, :width]


def mirrored(length: int, wanted: int) -> Numbers:
    """Of an axis of so many pixels: places (wanted,), which run to and fro where there are more."""
    places = np.arange(wanted) % max(1, 2 * (length - 1))
    return np.minimum(places, 2 * (length - 1) - places)


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


def parsed(text: str) -> list[tuple[str, int]]:
    """Steps of post-processing, such as `min_region=64;fill_holes=32`: names, and pixels (0: it has none)."""
    steps = []
    for part in filter(None, text.split(";")):
        name, _, rest = part.replace(":", "=", 1).partition("=")
        value = rest.rpartition("=")[2]
        steps.append((name.strip(), int(value) if value.strip().isdigit() else 0))
    return steps


def remove_small_regions(classes: Bytes, pixels: int, background: int | None) -> Bytes:
    """Regions of fewer pixels, but for those of background, become what they border most."""
    numbers, sizes, values = regions(classes, diagonal=True)
    small = sizes < pixels
    if background is not None:
        small &= values != background
    return given_away(classes, numbers, small)


def fill_holes(classes: Bytes, pixels: int, background: int | None) -> Bytes:
    """Areas of background of at most so many pixels, with one class around them, become that class.

    Without a background it is areas of any class, and what has a hole can be one itself once that is filled.
    """
    while True:
        numbers, sizes, values = regions(classes, diagonal=False)
        holes = sizes <= pixels
        if background is not None:
            holes &= values == background
        for line in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
            holes[line] = False
        lowest, highest = np.full(len(sizes), 255, np.uint8), np.zeros(len(sizes), np.uint8)
        own, _, around = contacts(classes, numbers, holes)
        np.minimum.at(lowest, own, around)
        np.maximum.at(highest, own, around)
        filled = given_away(classes, numbers, holes & (lowest == highest))
        if np.array_equal(filled, classes):
            return filled
        classes = filled


DONE_HERE = {"min_region": remove_small_regions, "fill_holes": fill_holes}


def regions(classes: Bytes, diagonal: bool) -> tuple[Numbers, Numbers, Bytes]:
    """Connected areas of one class: the number of each pixel's (H, W); pixels and class of each number (N,).

    Rows are cut into runs of one class; runs that touch in neighbouring rows are joined, each taking the
    lowest number it meets, until no number changes.
    """
    height, width = classes.shape
    begins = np.ones((height, width), bool)
    begins[:, 1:] = classes[:, 1:] != classes[:, :-1]
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, classes.size))
    value = classes.ravel()[start]
    # Places in rows that are two columns wider, so that what touches diagonally is never a row further on.
    first = start + 2 * (start // width)
    last = first + length
    below, reach = width + 2, int(diagonal)
    low = np.searchsorted(last, first + below - reach, side="right")
    count = np.maximum(np.searchsorted(first, last + below + reach, side="left") - low, 0)
    upper = np.repeat(np.arange(len(start)), count)
    lower = np.arange(len(upper)) + np.repeat(low - (np.cumsum(count) - count), count)
    alike = value[upper] == value[lower]
    upper, lower = upper[alike], lower[alike]
    number = np.arange(len(start))
    while True:
        least = np.minimum(number[upper], number[lower])
        joined = number.copy()
        for run in (upper, lower):
            np.minimum.at(joined, number[run], least)
        while not np.array_equal(shorter := joined[joined], joined):
            joined = shorter
        if np.array_equal(joined, number):
            break
        number = joined
    _, first_run, number = np.unique(number, return_index=True, return_inverse=True)
    sizes = np.bincount(number, weights=length).astype(np.intp)
    return np.repeat(number, length).reshape(height, width), sizes, value[first_run]


def contacts(classes: Bytes, numbers: Numbers, wanted: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Neighbours (4) of the wanted regions (N,): the region itself, the neighbour's, its class; (P,) each."""
    every, front, back = slice(None), slice(1, None), slice(None, -1)
    pairs = [((front, every), (back, every)), ((every, front), (every, back))]
    found = []
    for here, there in [*pairs, *((there, here) for here, there in pairs)]:
        apart = wanted[numbers[here]] & (numbers[here] != numbers[there])
        found.append((numbers[here][apart], numbers[there][apart], classes[there][apart]))
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def given_away(classes: Bytes, numbers: Numbers, wanted: NDArray[np.bool_]) -> Bytes:
    """The map with each wanted region (N,) in the class with which it has the longest border.

    Borders are counted in pairs of neighbours (4); of two as long it is the lower class index. Regions among
    nothing but wanted ones come after those, and follow them.
    """
    taken = wanted[numbers]
    if not taken.any() or taken.all():
        return classes
    own, other, around = contacts(classes, numbers, wanted)
    becomes, waiting = np.zeros(len(wanted), np.uint8), wanted.copy()
    while len(own):
        known = ~waiting[other]
        codes, counts = np.unique(own[known].astype(np.int64) << 8 | around[known], return_counts=True)
        codes = codes[np.argsort(-counts, kind="stable")[::-1]]  # the last of each region counts
        becomes[codes >> 8] = codes & 255
        waiting[codes >> 8] = False
        left = waiting[own]
        own, other, around = own[left], other[left], around[left]
        around = np.where(wanted[other], becomes[other], around)
    return np.where(taken, becomes[numbers], classes)


def open_image(path: Path) -> Image.Image:
    """An image as RGB, turned the way its camera was held. Ends with a sentence where it cannot be read."""
    try:
        with Image.open(path) as file:
            file.filename = ""  # else Pillow maps grey TIFFs into memory, and those on their side wrongly
            if file.width * file.height > MOST_PIXELS:
                sys.exit(f"{path}: is {file.width} x {file.height} pixels; cut it into parts")
            if not deep(file):
                return on_white(ImageOps.exif_transpose(file))
            if not file.mode.startswith(("I", "F")):
                sys.exit(f"{path}: has colours of more than 8 bits a channel; save it with 8 bits first")
            return stretched(ImageOps.exif_transpose(file), tags=getattr(file, "tag_v2", {}))
    except DECODER_ERRORS as error:
        sys.exit(f"{path}: cannot be read as an image ({str(error) or type(error).__name__})")


def deep(image: Image.Image) -> bool:
    """Whether the file has more than 8 bits a channel, of which Pillow drops the lower ones of colours."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "TIFF":
        return bool(max(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))) > 8)
    return image.format == "PNG" and any(";16" in str(tile) for tile in getattr(image, "tile", ()))


def on_white(image: Image.Image) -> Image.Image:
    """RGB of an image of 8 bits a channel; what is transparent lies on white."""
    see_through = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if image.mode == "RGB" or not see_through:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def stretched(image: Image.Image, tags: Any) -> Image.Image:
    """RGB of a grey image of any depth: black and white are its 0.1 and 99.9 percentiles.

    `tags` are those of a TIFF: whether its numbers have signs, and whether its zero is white.
    """
    values = np.asarray(image)
    unsigned = tags.get(BITS_PER_SAMPLE) == (32,) and tags.get(SAMPLE_FORMAT, (1,)) == (1,)
    if unsigned and values.dtype == np.int32:
        values = values.view(np.uint32)
    if tags.get(PHOTOMETRIC) == 0:
        values = values.max() - values
    sample = values.reshape(-1)[:: max(1, values.size >> 20)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (0.1, 99.9)) if sample.size else (0.0, 0.0)
    if high <= low and sample.size:  # nearly all have one value: what differs is all there is to see
        low, high = sample.min(), sample.max()
    if high <= low:
        return Image.new("RGB", image.size)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (float(high) - float(low)))
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255, neginf=0) + np.float32(0.5)
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")


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


def targets(images: list[Path], out: Path) -> list[Path]:
    """The file of each image's result. Ends with a sentence where it would replace an image or another's.

    Names that differ in nothing but case are the same: on some disks they are one file.
    """
    found = [out / f"{path.stem}.png" for path in images]
    files = {identity(path) for path in images if path.is_file()}
    taken: dict[str, Path] = {}
    for image, target in zip(images, found, strict=True):
        if target.is_file() and identity(target) in files:
            sys.exit(f"{target}: this image would be replaced by the result of {image}; name another --out")
        other = taken.setdefault(target.name.casefold(), image)
        if other.resolve() != image.resolve():
            sys.exit(f"{other} and {image}: both results would be {target}; predict them into two folders")
    return found


def identity(path: Path) -> tuple[int, int]:
    """What all names of a file have in common: through links, and on some disks in capitals or not."""
    status = path.stat()
    return status.st_dev, status.st_ino


def save(result: Image.Image, target: Path) -> None:
    """Write a whole file or nothing. Ends with a sentence where it cannot be written."""
    unfinished = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        result.save(unfinished, "PNG")
        unfinished.replace(target)
    except OSError as error:
        sys.exit(f"{target}: cannot be written ({error.strerror or error})")


def main() -> None:
    """Segment what the command line names."""
    parser = argparse.ArgumentParser(description="Segment images with an exported network.")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--network", type=Path, help="an .onnx file (default: the one beside this script)")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder for the results")
    parser.add_argument("--overlap", type=int, help="of neighbouring tiles, pixels (default: a quarter)")
    parser.add_argument("--raw", action="store_true", help="leave out all post-processing")
    arguments = parser.parse_args()
    results = targets(arguments.images, arguments.out)
    network = Network.open(chosen(arguments.network))
    overlap = network.tile // 4 if arguments.overlap is None else arguments.overlap
    if not 0 <= overlap < network.tile:
        sys.exit(f"--overlap is {overlap}; it must be from 0 to {network.tile - 1}")
    left_out = [name for name, _ in network.steps if name not in DONE_HERE]
    if left_out and not arguments.raw:
        print(f"not done here: {', '.join(left_out)}; maskloop predict --post does it", file=sys.stderr)
    for path, target in zip(arguments.images, results, strict=True):
        classes = network.segment(open_image(path), overlap)
        result = Image.fromarray(classes if arguments.raw else network.cleaned(classes))
        result.putpalette(network.palette)
        save(result, target)
        print(target)


if __name__ == "__main__":
    main()
