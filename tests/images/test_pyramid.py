"""A huge image in tiles is the image that `read_image` reads, whatever the file's kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageFileError
from core.images.pyramid import Pyramid, PyramidShape, huge_thumbnail, open_pyramid
from core.images.reader import read_image

SMALL = PyramidShape(tile_side=64, overview_side=120)
Pixels = NDArray[np.uint8]


class GivenUpError(Exception):
    """Whoever wanted an image laid out wants it no more."""


def quiet(_share: float) -> None:
    """Nobody wants to know how far it is."""


def prepared(path: Path, cache: Path, **options: int) -> Pyramid:
    pyramid = open_pyramid(path, cache, shape=SMALL, **options)
    pyramid.prepare(quiet)
    return pyramid


def turned_tag(orientation: int) -> list[tuple[int, str, int, int, bool]]:
    return [(0x0112, "H", 1, orientation, True)]


def saved(**options: object) -> Callable[[Path, Image.Image], None]:
    return lambda path, image: image.save(path, **options)


def converted(mode: str, **options: object) -> Callable[[Path, Image.Image], None]:
    return lambda path, image: image.convert(mode).save(path, **options)


def tiff(
    dtype: str = "uint8", *, grey: bool = False, **options: object
) -> Callable[[Path, Image.Image], None]:
    def write(path: Path, image: Image.Image) -> None:
        pixels = np.asarray(image.convert("L" if grey else "RGB")).astype(dtype) * 3
        photometric = "minisblack" if grey else "rgb"
        tifffile.imwrite(path, pixels, **{"photometric": photometric, **options})

    return write


def deep_png(path: Path, image: Image.Image) -> None:
    cv2.imwrite(str(path), np.asarray(image).astype(np.uint16)[..., ::-1] * 9)


def grey_deep_png(path: Path, image: Image.Image) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 9).save(path)


def interlaced_png(path: Path, image: Image.Image) -> None:
    pyvips.Image.new_from_array(np.asarray(image)).pngsave(str(path), interlace=True)


def with_alpha(path: Path, image: Image.Image, **options: object) -> None:
    pixels = np.asarray(image)
    Image.fromarray(np.dstack([pixels, pixels[..., 1]])).save(path, **options)


def with_another(path: Path, image: Image.Image) -> None:
    image.save(path, "MPO", save_all=True, append_images=[image.resize((40, 30))])


def palette(**options: object) -> Callable[[Path, Image.Image], None]:
    return lambda path, image: image.quantize(64).save(path, **options)


KINDS: dict[str, tuple[str, Callable[[Path, Image.Image], None]]] = {
    "jpeg": ("a.jpg", saved(quality=90)),
    "jpeg in grey": ("a.jpg", converted("L")),
    "jpeg in CMYK": ("a.jpg", converted("CMYK")),
    "progressive jpeg": ("a.jpg", saved(progressive=True)),
    "jpeg with another picture": ("a.jpg", with_another),
    "png": ("a.png", saved()),
    "png in grey": ("a.png", converted("L")),
    "png, black and white": ("a.png", converted("1")),
    "png with palette": ("a.png", palette()),
    "png with a transparent colour": ("a.png", palette(transparency=3)),
    "png with alpha": ("a.png", with_alpha),
    "grey png with alpha": ("a.png", converted("LA")),
    "16-bit png": ("a.png", deep_png),
    "grey 16-bit png": ("a.png", grey_deep_png),
    "tiled tiff": ("a.tif", tiff(tile=(32, 48))),
    "tiled tiff, deflated": ("a.tif", tiff(tile=(32, 32), compression="zlib")),
    "tiled 16-bit tiff": ("a.tif", tiff("uint16", tile=(32, 32))),
    "tiled float tiff": ("a.tif", tiff("float32", grey=True, tile=(32, 32))),
    "tiff in strips": ("a.tif", tiff()),
    "tiff with planes apart": (
        "a.tif",
        lambda p, i: tifffile.imwrite(
            p, np.moveaxis(np.asarray(i), 2, 0), photometric="rgb", planarconfig="separate"
        ),
    ),
    "16-bit tiff": ("a.tif", tiff("uint16", grey=True)),
    "signed tiff": ("a.tif", tiff("int16", grey=True)),
    "float tiff": ("a.tif", tiff("float32")),
    "double tiff": ("a.tif", tiff("float64", grey=True)),
    "tiff, white is zero": ("a.tif", tiff("uint16", grey=True, photometric="miniswhite")),
    "tiff with LZW": ("a.tif", saved(compression="tiff_lzw")),
    "tiff with JPEG": ("a.tif", saved(compression="jpeg")),
    "tiff in CMYK": ("a.tif", converted("CMYK")),
    "interlaced png": ("a.png", interlaced_png),
    "bmp": ("a.bmp", saved()),
    "bmp in grey": ("a.bmp", converted("L")),
    "bmp with palette": ("a.bmp", palette()),
    "bmp, black and white": ("a.bmp", converted("1")),
    "bmp with alpha": ("a.bmp", with_alpha),
    "gif": ("a.gif", palette()),
    "gif with a transparent colour": ("a.gif", palette(transparency=3)),
    "ppm": ("a.ppm", saved()),
    "pgm": ("a.pgm", converted("L")),
    "webp": ("a.webp", saved(lossless=True)),
    "webp, lossy": ("a.webp", saved(quality=70)),
    "webp with alpha": ("a.webp", lambda p, i: with_alpha(p, i, lossless=True)),
    "avif": ("a.avif", saved(quality=60)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_are_the_image(tmp_path: Path, picture: Pixels, kind: str) -> None:
    name, write = KINDS[kind]
    write(tmp_path / name, Image.fromarray(picture))
    whole = read_image(tmp_path / name)

    pyramid = prepared(tmp_path / name, tmp_path / "cache")

    assert pyramid.ready
    assert pyramid.size_hw == whole.shape[:2]
    assert pyramid.levels == ((302, 401), (151, 201), (76, 101))
    for column, row in ((0, 0), (6, 4), (2, 3)):
        x0, y0, x1, y1 = pyramid.tile_box(0, column, row)
        assert np.array_equal(pyramid.tile(0, column, row), whole[y0:y1, x0:x1])
    assert np.array_equal(pyramid.region(0, 0, 401, 302), whole)
    assert np.array_equal(pyramid.region(60, 50, 131, 70), whole[50:70, 60:131])
    pyramid.close()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "avif", "tif", "tiled.tif"])
def test_tiles_stand_upright(tmp_path: Path, picture: Pixels, kind: str, orientation: int) -> None:
    path = tmp_path / f"a.{kind}"
    if kind.endswith("tif"):
        tile = {"tile": (32, 32)} if kind.startswith("tiled") else {}
        tifffile.imwrite(path, picture, photometric="rgb", extratags=turned_tag(orientation), **tile)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture).save(path, exif=exif)
    whole = read_image(path)
    height, width = whole.shape[:2]

    pyramid = prepared(path, tmp_path / "cache")

    assert pyramid.size_hw == (height, width)
    assert np.array_equal(pyramid.region(0, 0, width, height), whole)
    for level in (1, 2):
        x0, y0, x1, y1 = box = pyramid.tile_box(level, 0, 0)
        tile = pyramid.tile(level, 0, 0)
        assert tile is not None
        assert tile.shape == (y1 - y0, x1 - x0, 3)
        # Levels count from the stored corner: what fills up an odd one is on the side that `origin` says.
        x, y = pyramid.origin(level)
        below, right = (side << level for side in pyramid.levels[level])
        filled = np.pad(whole, ((-y, below + y - height), (-x, right + x - width), (0, 0)), mode="edge")
        near = cv2.resize(filled, pyramid.levels[level][::-1], interpolation=cv2.INTER_AREA)[y0:y1, x0:x1]
        assert np.abs(tile.astype(int) - near).max() <= 2, (level, box)
    pyramid.close()


def test_coarser_levels_are_means_of_four(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    pyramid = prepared(tmp_path / "a.png", tmp_path / "cache")

    four = picture[128:192, 192:256].astype(float).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    tile = pyramid.tile(1, 1, 1)

    assert tile is not None
    assert np.abs(tile[0:32, 32:64] - four).max() <= 0.51
    overview = pyramid.overview()
    assert overview is not None
    assert overview.shape == (76, 101, 3)
    pyramid.close()


def test_opening_again_decodes_nothing(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    prepared(tmp_path / "a.png", tmp_path / "cache").close()

    again = open_pyramid(tmp_path / "a.png", tmp_path / "cache", shape=SMALL)

    assert again.ready
    assert np.array_equal(again.region(0, 0, 401, 302), picture)
    again.close()


def test_a_changed_file_is_read_again(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    prepared(tmp_path / "a.png", tmp_path / "cache").close()
    Image.fromarray(255 - picture).save(tmp_path / "a.png", compress_level=1)

    again = prepared(tmp_path / "a.png", tmp_path / "cache")

    assert np.array_equal(again.region(0, 0, 401, 302), 255 - picture)
    again.close()


def test_the_cache_stays_within_its_bound(tmp_path: Path, picture: Pixels) -> None:
    cache = tmp_path / "cache"
    for number in range(4):
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture).save(path)
        prepared(path, cache, limit_bytes=1_400_000).close()

    assert sum(path.stat().st_size for path in cache.iterdir()) <= 1_400_000
    assert open_pyramid(tmp_path / "3.png", cache, shape=SMALL).ready


def test_a_layout_that_is_given_up_leaves_nothing(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    pyramid = open_pyramid(tmp_path / "a.png", tmp_path / "cache", shape=SMALL)

    def give_up(share: float) -> None:
        if share > 0:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        pyramid.prepare(give_up)

    assert list((tmp_path / "cache").iterdir()) == []
    assert pyramid.tile(0, 0, 0) is None
    assert not pyramid.ready


def test_an_image_can_be_laid_out_twice_at_once(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    one, other = (open_pyramid(tmp_path / "a.png", tmp_path / "cache", shape=SMALL) for _ in range(2))
    given_up: list[float] = []

    def give_up(share: float) -> None:
        if share > 0:
            given_up.append(share)
            raise GivenUpError

    def lay_out_another(share: float) -> None:
        if share > 0 and not given_up:
            with pytest.raises(GivenUpError):
                other.prepare(give_up)

    one.prepare(lay_out_another)

    assert given_up
    assert np.array_equal(one.region(0, 0, 401, 302), picture)
    one.close()


def test_tiles_can_be_had_while_the_rest_is_laid_out(tmp_path: Path) -> None:
    tall = np.random.default_rng(1).integers(0, 256, (1200, 80, 3), np.uint8)
    Image.fromarray(tall).save(tmp_path / "a.png")
    pyramid = open_pyramid(tmp_path / "a.png", tmp_path / "cache", shape=SMALL)
    first: list[bool] = []
    last: list[bool] = []

    def look(share: float) -> None:
        if 0.3 < share < 0.9:
            first.append(pyramid.tile(0, 0, 0) is not None)
            last.append(pyramid.tile(0, 0, 18) is not None)

    pyramid.prepare(look)

    assert first
    assert all(first)
    assert not any(last)
    assert np.array_equal(pyramid.tile(0, 0, 18), tall[1152:1200, :64])
    pyramid.close()


@pytest.mark.parametrize("kind", ["jpeg", "jpeg with another picture"])
def test_a_jpeg_has_its_overview_before_its_tiles(tmp_path: Path, picture: Pixels, kind: str) -> None:
    KINDS[kind][1](tmp_path / "a.jpg", Image.fromarray(picture))
    pyramid = open_pyramid(tmp_path / "a.jpg", tmp_path / "cache", shape=SMALL)
    seen: list[Pixels] = []

    def look(share: float) -> None:
        if share == 0:
            overview = pyramid.overview()
            assert overview is not None
            seen.append(overview.copy())

    pyramid.prepare(look)

    wanted = pyramid.overview()
    assert wanted is not None
    assert np.abs(seen[0].astype(int) - wanted).mean() < 8
    pyramid.close()


def test_a_tiled_tiff_uses_its_own_reduced_copy_and_no_disk(tmp_path: Path, picture: Pixels) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, photometric="rgb", tile=(32, 32))
        writer.write(np.full((151, 201, 3), 77, np.uint8), photometric="rgb", tile=(32, 32), subfiletype=1)

    pyramid = prepared(path, tmp_path / "cache")

    overview = pyramid.overview()
    assert overview is not None
    assert (overview == 77).all()
    assert np.array_equal(pyramid.tile(0, 3, 2), picture[128:192, 192:256])
    assert sum(file.stat().st_size for file in (tmp_path / "cache").iterdir()) < 50_000
    pyramid.close()


def test_a_page_of_a_stack_has_its_own_tiles(tmp_path: Path, picture: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([picture, 255 - picture]), photometric="rgb")

    second = prepared(tmp_path / "a.tif#2", tmp_path / "cache")

    assert np.array_equal(second.region(0, 0, 401, 302), 255 - picture)
    second.close()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.gif", "a.webp", "a.ppm"])
def test_a_file_cut_short_is_said(tmp_path: Path, picture: Pixels, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(picture).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ImageFileError, match=r"cut short"):
        prepared(path, tmp_path / "cache")


def test_many_threads_see_the_same(tmp_path: Path, picture: Pixels) -> None:
    tiff(tile=(32, 32))(tmp_path / "a.tif", Image.fromarray(picture))
    whole = read_image(tmp_path / "a.tif")
    pyramid = prepared(tmp_path / "a.tif", tmp_path / "cache")
    wrong: list[tuple[int, int]] = []

    def look(seed: int) -> None:
        for number in np.random.default_rng(seed).permutation(35).tolist():
            row, column = divmod(number, 7)
            x0, y0, x1, y1 = pyramid.tile_box(0, column, row)
            if not np.array_equal(pyramid.tile(0, column, row), whole[y0:y1, x0:x1]):
                wrong.append((column, row))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    pyramid.close()


def test_a_tile_outside_is_refused(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    pyramid = prepared(tmp_path / "a.png", tmp_path / "cache")

    for key in ((0, 7, 0), (0, 0, 5), (3, 0, 0), (0, -1, 0)):
        with pytest.raises(IndexError):
            pyramid.tile(*key)
    pyramid.close()


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiled tiff", "16-bit tiff"])
@pytest.mark.parametrize("known", [False, True])
def test_a_thumbnail_is_the_image_small(tmp_path: Path, picture: Pixels, kind: str, known: bool) -> None:
    name, write = KINDS[kind]
    write(tmp_path / name, Image.fromarray(picture))
    if known:
        pyramid = open_pyramid(tmp_path / name, tmp_path / "cache")
        pyramid.prepare(quiet)
        pyramid.close()

    small = huge_thumbnail(tmp_path / name, 40, tmp_path / "cache")

    assert small.shape == (30, 40, 3)
    near = cv2.resize(read_image(tmp_path / name), (40, 30), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - near).mean() < 12
