"""The page of tools says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

from app.canvas.tools.registry import TOOLS
from tests.app.canvas.tool_pictures import SCENES
from tests.app.tools_page import tools_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_tools_is_as_the_program_is() -> None:
    written = (DOCS / "tools.md").read_text(encoding="utf-8")
    assert written == tools_page(), "make it anew: python -m tests.app.tools_page > docs/tools.md"


def test_every_tool_is_on_the_page_and_in_the_picture() -> None:
    page = tools_page()
    titles = [line[4:].split(" (")[0] for line in page.splitlines() if line.startswith("### ")]
    assert titles[: len(TOOLS)] == [tool.title for tool in TOOLS]
    assert set(SCENES) == {tool.name for tool in TOOLS}
    for picture in re.findall(r"\]\((images/.*?)\)", page):
        assert (DOCS / picture).is_file()
