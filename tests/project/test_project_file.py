"""project.json: every refusal names the field, and nothing of a newer or foreign file is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import ProjectFileError
from core.project.palette import BACKGROUND_COLOR, palette_color
from core.project.project import Project
from core.project.schema import dumps, loads

GOOD: dict[str, Any] = {
    "schema": 1,
    "name": "Äcker",
    "classes": [
        {"index": 0, "name": "background", "color": "#000000"},
        {"index": 3, "name": "nerve", "color": "#e69f00"},
    ],
    "background": 0,
    "image_roots": ["images", "../elsewhere"],
    "settings": {"time_budget_s": 60},
}
PATH = Path("some/project.json")


def read(record: Any) -> Any:
    return loads(json.dumps(record).encode(), PATH)


def test_a_file_survives_a_round_trip_with_its_unknown_keys() -> None:
    record = {**GOOD, "plugin": {"a": [1, None]}}

    assert json.loads(dumps(read(record))) == record


def test_unknown_keys_survive_a_change_of_classes(tmp_path: Path) -> None:
    (tmp_path / "project.json").write_text(json.dumps({**GOOD, "image_roots": ["."], "plugin": 7}))

    with Project.open(tmp_path) as project:
        project.add_class("vessel")
        project.set_setting("model", "fcn8s")

    record = json.loads((tmp_path / "project.json").read_text())
    assert record["plugin"] == 7
    assert record["settings"] == {"time_budget_s": 60, "model": "fcn8s"}
    assert record["classes"][-1]["index"] == 4


def test_a_byte_order_mark_is_no_reason_to_refuse() -> None:
    assert loads(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), PATH).name == "Äcker"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": 5}, r"name: expected `str`, got `int`"),
        ({"classes": [{"index": 0, "name": "a"}]}, r"classes\[0\]\.color: is missing"),
        ({"classes": [{"index": 255, "name": "a", "color": "#000000"}]}, r"classes\[0\]\.index: .*254"),
        ({"classes": [{"index": "1", "name": "a", "color": "#000000"}]}, r"classes\[0\]\.index: .*`int`"),
        ({"classes": [{"index": 0, "name": "a", "color": "red"}]}, r"classes\[0\]\.color: .*#e69f00"),
        ({"classes": [*GOOD["classes"], GOOD["classes"][0]]}, r"classes\[2\]\.index: 0"),
        (
            {"classes": [GOOD["classes"][0], {"index": 1, "name": "background", "color": "#000000"}]},
            r"classes\[1\]\.name: 'background'",
        ),
        ({"classes": [{"index": 0, "name": "__ignore__", "color": "#000000"}]}, r"classes\[0\]\.name"),
        ({"background": 9}, r"background: 9"),
        ({"image_roots": "images"}, r"image_roots: "),
        ({"settings": {"retired_indices": "none"}}, r"settings\.retired_indices"),
        ({"settings": {"annotation_folders": {"../cam": "../cam"}}}, r"settings\.annotation_folders"),
        ({"schema": "1"}, r"schema: must be a whole number"),
        ({"schema": 2}, r"schema: 2 is of a newer Maskloop.*update"),
    ],
)
def test_a_refusal_names_file_and_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectFileError, match=rf"some/project\.json: {says}"):
        read({**GOOD, **change})


@pytest.mark.parametrize("missing", ["schema", "name", "classes", "background", "image_roots"])
def test_a_missing_field_is_named(missing: str) -> None:
    with pytest.raises(ProjectFileError, match=rf"{missing}: is missing"):
        read({key: value for key, value in GOOD.items() if key != missing})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"name": "a web project"}'])
def test_what_is_no_project_file_is_said_and_left_alone(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "project.json").write_bytes(data)

    with pytest.raises(ProjectFileError, match=r"project\.json"):
        Project.open(tmp_path)
    assert (tmp_path / "project.json").read_bytes() == data


def test_colours_are_distinct_and_the_background_is_grey() -> None:
    colors = [palette_color(index) for index in range(255)]

    assert colors[0] == BACKGROUND_COLOR
    assert len(set(colors)) == 255
    assert palette_color(0, background=None) != BACKGROUND_COLOR
