"""Which mask `maskloop evaluate` scores which image against."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from core.cli.predict import _pairs


def test_each_image_is_scored_against_a_mask_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = "a.jpg", "a.png", "b.jpg", "b.png", "c.png"
    for folder, names in (("images", images), ("masks", ("a.png", "a.jpg.png", "b.png", "c.png"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "._c.png").write_bytes(b"what a Mac leaves on other disks")
        for name in names:
            Image.new("L", (4, 4)).save(tmp_path / folder / name)

    pairs = _pairs(tmp_path / "images", tmp_path / "masks")

    assert [(image.name, mask.name) for image, mask in pairs] == [
        ("a.jpg", "a.jpg.png"),
        ("a.png", "a.png"),
        ("c.png", "c.png"),
    ]
    said = capsys.readouterr().err
    assert "2 images have no mask of their own" in said
    assert "1 masks have no image of their own and are left out, such as b.png" in said


def test_each_page_is_scored_against_a_mask_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    pages = [Image.new("L", (4, 4), value) for value in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    for name in ("stack", "stack#2", "stack.tif#3"):
        Image.new("L", (4, 4)).save(tmp_path / "masks" / f"{name}.png")

    pairs = _pairs(tmp_path, tmp_path / "masks")

    assert [(image.name, mask.name) for image, mask in pairs] == [
        ("stack.tif", "stack.png"),
        ("stack.tif#2", "stack#2.png"),
        ("stack.tif#3", "stack.tif#3.png"),
    ]
