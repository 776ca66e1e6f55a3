"""Every kind of image file in the window: it opens upright, what is drawn on it is where its pixels are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from app.panels.image_model import short_words
from core.formats.masks import export_from
from core.images.reader import image_size, read_image
from core.project.project import Project

SIZE_HW: Final = (48, 64)
ORIENTATION: Final = 0x0112
SPOT: Final = (6, 6, 16, 12)
"""x0, y0, x1, y1 of the bright box, near the upper left corner of the upright picture."""


def grey() -> NDArray[np.uint8]:
    pixels = np.full(SIZE_HW, 40, np.uint8)
    pixels[SPOT[1] : SPOT[3], SPOT[0] : SPOT[2]] = 220
    pixels[-4:, -4:] = 130
    return pixels


def colour() -> NDArray[np.uint8]:
    return np.stack([grey(), grey() // 2, grey() // 3], axis=2)


def deep() -> NDArray[np.uint16]:
    return grey().astype(np.uint16) * 12


def by_pillow(path: Path, mode: str = "", **options: object) -> None:
    image = Image.fromarray(colour())
    (image.convert(mode) if mode else image).save(path, **options)


def turned(path: Path, orientation: int) -> None:
    """A file whose pixels lie on their side, and the tag that sets them upright."""
    stored = {3: np.rot90(colour(), 2), 6: np.rot90(colour(), 1), 8: np.rot90(colour(), -1)}[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)


KINDS: Final[dict[str, Callable[[Path], object]]] = {
    "grey8.png": lambda path: by_pillow(path, "L"),
    "colour8.png": by_pillow,
    "grey16.png": lambda path: cv2.imwrite(str(path), deep()),
    "colour16.png": lambda path: cv2.imwrite(str(path), np.stack([deep()] * 3, axis=2)),
    "alpha.png": lambda path: by_pillow(path, "RGBA"),
    "grey_alpha.png": lambda path: by_pillow(path, "LA"),
    "palette.png": lambda path: by_pillow(path, "P"),
    "bilevel.png": lambda path: Image.fromarray(grey() > 200).save(path),
    "colour.jpg": lambda path: by_pillow(path, quality=95),
    "cmyk.jpg": lambda path: by_pillow(path, "CMYK", quality=95),
    "turned3.jpg": lambda path: turned(path, 3),
    "turned6.jpg": lambda path: turned(path, 6),
    "turned8.jpg": lambda path: turned(path, 8),
    "turned6.png": lambda path: turned(path, 6),
    "turned6.webp": lambda path: turned(path, 6),
    "turned6.tif": lambda path: turned(path, 6),
    "colour.webp": lambda path: by_pillow(path, lossless=True),
    "colour.bmp": by_pillow,
    "colour.tif": by_pillow,
    "grey16.tif": lambda path: tifffile.imwrite(path, deep()),
    "float.tif": lambda path: tifffile.imwrite(path, grey().astype(np.float32) / 7 - 3),
    "tiled.tif": lambda path: tifffile.imwrite(path, colour(), tile=(16, 16), photometric="rgb"),
    "stack.tif#2": lambda path: tifffile.imwrite(
        str(path).removesuffix("#2"), np.stack([255 - grey(), grey()]), photometric="minisblack"
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_it_opens_upright_and_masks_agree_with_what_is_drawn(bench, qtbot, tmp_path, name) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    KINDS[name](folder / name)
    path = folder / name
    assert image_size(path) == SIZE_HW
    bench.open(folder)
    bench.session.open_image(name)
    bench.wait_for_image(name)
    assert bench.session.current.problem is None
    assert (bench.canvas.content_size.height(), bench.canvas.content_size.width()) == SIZE_HW
    bench.add_class("nerve")
    bench.session.set_active_class(bench.session.classes.by_name("nerve"))
    view = bench.canvas.viewport().grab().toImage()
    bright, dark = (view.pixelColor(bench.at(*place)).lightness() for place in ((11, 9), (50, 36)))
    assert bright > dark + 60

    bench.canvas.set_tool("rectangle")
    # From pixel to pixel, by their centres: a screen pixel more or less must not count.
    bench.drag((SPOT[0] + 0.5, SPOT[1] + 0.5), (SPOT[2] - 0.5, SPOT[3] - 0.5))
    assert bench.labels() == ["nerve"]
    bench.wait_saved()
    root = bench.session.project.layout.root
    bench.session.close()
    with Project.open(root, lock=False) as project:
        entry = next(each for each in project.images() if each.key == name)
        index = project.classes.by_name("nerve").index
        drawn = project.load(entry).annotation
        masks = {"own": project.read_mask(entry), "drawn": project.render_mask(entry, drawn)}
        report = export_from(project, tmp_path / "out")
    assert report.problems == []
    exported = list((tmp_path / "out").rglob("*.png"))
    masks |= {str(file): np.asarray(Image.open(file)) for file in exported}
    pixels = read_image(path).mean(axis=2)
    assert exported
    for mask in masks.values():
        assert mask.shape == SIZE_HW
        inside = mask == index
        assert 0.8 < inside.sum() / ((SPOT[2] - SPOT[0]) * (SPOT[3] - SPOT[1])) < 1.3
        assert pixels[inside].mean() > pixels[~inside].mean() + 60


BROKEN: Final = {
    "cut.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 30,
    "text.jpg": b"this is no picture",
    "empty.tif": b"",
}
REASONS: Final = {
    "cut.png": "is damaged or has no pixels",
    "text.jpg": "is not an image of a known kind",
    "empty.tif": "is empty",
}


def test_broken_files_say_why_and_the_rest_goes_on(bench, qtbot, tmp_path) -> None:
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    by_pillow(tmp_path / "whole.png")
    bench.open(tmp_path)
    for name in BROKEN:
        bench.session.open_image(name)
        bench.wait_for_image(name)
        qtbot.waitUntil(lambda: bench.session.current.problem is not None)
        assert bench.session.current.document is None
        status = bench.session.statuses.get(name)
        assert status.problem, name
        assert short_words(status).startswith(REASONS[name])  # what its row in the list says
    bench.session.open_image("whole.png")
    bench.wait_for_image("whole.png")
    assert bench.session.current.problem is None
    assert bench.session.current.document is not None
