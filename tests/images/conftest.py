"""Files of every kind that is streamed or read in tiles."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """A smooth picture in colour (302, 401, 3): odd, no multiple of a tile."""
    small = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    pixels = cv2.resize(small, (401, 302), interpolation=cv2.INTER_CUBIC)
    return np.asarray(pixels, np.uint8)
