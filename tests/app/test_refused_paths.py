"""Paths that the disk refuses to look at end in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import __main__ as program
from app.session.opening import locate
from core.errors import AnnotationFileError, UsageError

TOO_LONG = "x" * 300


def test_an_annotation_that_holds_its_image_says_how_to_write_it_out(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for data, way in (("null", "open the image itself"), ('"QUJD"', "it is in this file; write it out with")):
        for mark in ("", "\ufeff"):
            path.write_text(f'{mark}{{"imagePath": "a.png", "imageData": {data}, "shapes": []}}', "utf-8")
            with pytest.raises(AnnotationFileError, match=way):
                locate(path)


def test_a_name_that_is_too_long_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        locate(tmp_path / TOO_LONG)


@pytest.mark.parametrize(("arguments", "display"), [([TOO_LONG], False), (["demo", "--out", TOO_LONG], True)])
def test_a_name_that_is_too_long_is_refused_in_one_line(
    arguments: list[str], display: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "has_display", lambda: display)
    assert program.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("maskloop: ")
    assert said.count("\n") == 1
