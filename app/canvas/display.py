"""How the image is shown, without touching the file: brightness, contrast, gamma, one channel alone.

The canvas maps what it draws through `lookup_table`; labels, predictions and pixel values stay what they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Channel: TypeAlias = Literal["rgb", "red", "green", "blue", "luminance"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
MIN_GAMMA: Final = 0.2
MAX_GAMMA: Final = 5.0
_STEEPEST: Final = math.radians(89)
"""The steepest slope, as an angle: full contrast is nearly a step, and still a number."""
GREY_WEIGHTS: Final[dict[Channel, tuple[float, float, float]]] = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "luminance": (0.2126, 0.7152, 0.0722),
}
"""How much of red, green and blue is in what is shown as grey; the luminance is that of Rec. 709."""


@dataclass(frozen=True, slots=True)
class DisplayAdjustment:
    """How to show an image.

    Attributes:
        brightness: added, -1 (all black) to 1 (all white); 0 changes nothing.
        contrast: around middle grey, -1 (all grey) to 1 (black and white); 0 changes nothing.
        gamma: above 1 lifts the dark parts, below 1 lowers them; 0.2 to 5.
        channel: the colours as they are, or one channel (or the luminance) as grey.

    Raises:
        ValueError: a number outside of its range, or an unknown channel.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0
    channel: Channel = "rgb"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("brightness", -1.0, 1.0),
            ("contrast", -1.0, 1.0),
            ("gamma", MIN_GAMMA, MAX_GAMMA),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; it must lie between {low:g} and {high:g}")
        if self.channel not in CHANNELS:
            raise ValueError(f"channel {self.channel!r} is none of {', '.join(CHANNELS)}")

    @property
    def is_neutral(self) -> bool:
        """Does this show the image as it is?"""
        return self == DisplayAdjustment()


def lookup_table(adjustment: DisplayAdjustment) -> NDArray[np.uint8]:
    """What to show for each value: gamma first, then contrast around middle grey, then brightness.

    Returns:
        (256,), uint8, rising or level.
    """
    values = np.linspace(0.0, 1.0, 256) ** (1.0 / adjustment.gamma)
    slope = math.tan(min((adjustment.contrast + 1.0) * math.pi / 4, _STEEPEST))
    values = (values - 0.5) * slope + 0.5 + adjustment.brightness
    return np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
