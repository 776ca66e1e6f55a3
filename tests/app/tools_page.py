"""docs/tools.md, made of what the program says: `python -m tests.app.tools_page > docs/tools.md`."""

from __future__ import annotations

import inspect
import itertools
import re
from typing import Final

from app.actions import ACTIONS, MENUS, ActionSpec
from app.canvas.tools.base import Tool
from app.canvas.tools.registry import TOOLS

HEAD: Final = """\
# Tools and keys

<!-- Made by `python -m tests.app.tools_page > docs/tools.md`; a test compares it with the program. -->

Keys can be changed (F1). Wherever the mouse is, the status bar says what a click or key would do there, and
the command palette (Ctrl+Shift+P) finds every action by its name.

![Every tool at work on the bundled sample](images/tools.jpg)

What is drawn takes the active class: digits choose it, 0 is the background. With a tool that does not draw
(select, eraser, split, accept predicted region) they relabel what is selected, too. Without a class, the
program asks; what is drawn waits on the canvas until there is an answer: Esc closes the question, Enter asks
again, a class chosen answers it, Esc once more drops the shape. The wheel scrolls, with Shift sideways, with
Ctrl it zooms; a middle drag or Space and a drag pan. A right click opens a menu.
"""

AIDS: Final = """\
## Aids

Names on shapes, crosshair, grid, loupe and ruler, brightness, contrast, gamma and channel are in the View menu; they
change what is seen, never a file.

![Freehand, brush, eraser on a prediction, oriented rectangle, vertices selected; names, grid, ruler and loupe](images/canvas-tools.png)
"""  # noqa: E501


def tools_page() -> str:
    """The whole page, Markdown."""
    by_name = {spec.name: spec for spec in ACTIONS}
    parts = [HEAD, "## Tools\n"]
    for tool in TOOLS:
        spec = by_name[f"shape.{tool.name}"]
        parts.append(f"### {tool.title}{_in_brackets(spec.keys)}\n\n{spec.tip or _plain(spec.text)}.\n")
        parts += [f"{paragraph}\n" for paragraph in gestures(tool)]
    parts += [AIDS, "## All actions\n"]
    for menu, title in MENUS.items():
        specs = [spec for spec in ACTIONS if spec.menu == menu]
        parts.append(
            f"### {_plain(title)}\n\n| | keys | |\n|---|---|---|\n" + "\n".join(map(_row, specs)) + "\n"
        )
    return "\n".join(parts)


def gestures(tool: type[Tool]) -> list[str]:
    """Paragraphs of the tool's own description, then of the tools it is made from."""
    kinds = itertools.takewhile(lambda kind: kind is not Tool, tool.__mro__)
    described = [inspect.cleandoc(kind.__doc__) for kind in kinds if kind.__doc__ and "__doc__" in vars(kind)]
    paragraphs = [paragraph for text in described for paragraph in text.split("\n\n")]
    told = (re.sub(r"^Base of [^:]*: (.)", lambda found: found[1].upper(), each) for each in paragraphs)
    return [each for each in told if not each.startswith("A tool that")]


def _row(spec: ActionSpec) -> str:
    where = f"{_plain(spec.submenu)}: " if spec.submenu else ""
    return f"| {where}{_plain(spec.text)} | {_keys(spec.keys)} | {spec.tip} |"


def _plain(text: str) -> str:
    return text.replace("&", "").removesuffix("…")


def _keys(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _in_brackets(keys: tuple[str, ...]) -> str:
    return f" ({_keys(keys)})" if keys else ""


if __name__ == "__main__":
    print(tools_page(), end="")
