"""What the command line says can be read: in words of a person, in letters that the output has."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from core.cli.main import main
from core.cli.output import answer_json
from core.project.project import Project

NAMES = ("background", "神経", "é", "😀")


def console(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard output as a console or a pipe of this encoding has it."""
    letters = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(letters, encoding=encoding))
    return letters


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_classes_that_a_console_cannot_show_are_no_failure(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = console(encoding, monkeypatch)

    assert main(["init", str(tmp_path / "p"), "--classes", ",".join(NAMES)]) == 0

    with Project.open(tmp_path / "p") as project:
        assert project.classes.names == NAMES
    said = letters.getvalue().decode(encoding)
    assert "background" in said
    assert ("神経" in said) is (encoding == "utf-8")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_read_again_from_an_output_of_any_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = console(encoding, monkeypatch)

    answer_json({"classes": NAMES})

    assert tuple(json.loads(letters.getvalue())["classes"]) == NAMES


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "abc"], "abc is not a whole number of at least 1"),
        (["--batch", "2.5"], "2.5 is not a whole number of at least 1"),
        (["--seconds", "a minute"], "a minute is not a number of seconds above 0"),
    ],
)
def test_what_is_no_number_is_told_in_words(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "p", *arguments]) == 2
    assert f"maskloop: argument {arguments[0]}: {sentence}\n" in capsys.readouterr().err


def test_a_share_in_odd_digits_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "p", "images", "--out", "o", "--shard", "¹/²"]) == 2
    assert "¹/² is no share; from 1/4 to 4/4, say" in capsys.readouterr().err
