"""Colours for classes: told apart by people with any colour vision, and the same for an index everywhere."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from typing import Final

BACKGROUND_COLOR: Final = "#4a4a4a"

# Okabe and Ito's set without its black, then lighter and darker companions in Paul Tol's spirit, ordered so
# that neighbours differ in lightness as well as in hue.
_COLORS: Final = (
    "#e69f00",
    "#56b4e9",
    "#cc3311",
    "#009e73",
    "#cc79a7",
    "#0072b2",
    "#f0e442",
    "#882255",
    "#44ddaa",
    "#d55e00",
    "#8877dd",
    "#99bb55",
    "#ee88bb",
    "#117755",
    "#ddaa77",
    "#3344aa",
    "#77cccc",
    "#994411",
    "#bb55cc",
    "#ccdd88",
    "#ee6677",
    "#225577",
    "#aaaa00",
    "#bbccee",
)
_GOLDEN_RATIO: Final = 0.618033988749895


def palette_color(index: int, *, background: int | None = 0) -> str:
    """The colour ("#rrggbb") that a class of this index gets when nobody chose one."""
    if index == background:
        return BACKGROUND_COLOR
    position = index if background is None else index - (index > background)
    if position < len(_COLORS):
        return _COLORS[position]
    # Beyond the hand-picked ones: hues spread by the golden ratio, three levels of lightness.
    hue = (position * _GOLDEN_RATIO) % 1
    lightness = (0.45, 0.62, 0.76)[position % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.6)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def unused_color(index: int, used: Iterable[str], *, background: int | None = 0) -> str:
    """The palette's colour for the index, or the next one that none of `used` has."""
    taken = {color.lower() for color in used}
    candidates = (palette_color(index + step, background=background) for step in range(len(_COLORS) + 256))
    return next((color for color in candidates if color not in taken), palette_color(index))
