"""What predicting images again can be spared: their pixels, and what the deep network said of them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageFileError
from core.images.pages import stamp
from core.images.pyramid import is_huge
from core.images.reader import read_image
from core.learning.overlay.schedule import Target

IMAGE_BYTES: Final = 256 << 20
"""Decoded images kept for the next prediction; the newest is kept whatever its size."""


class KeptMaps:
    """Probabilities of the deep network, of the images looked at last."""

    KEPT: Final = 2

    def __init__(self) -> None:
        self._maps: OrderedDict[object, NDArray[np.float16]] = OrderedDict()

    def get(self, stamp: object) -> NDArray[np.float16] | None:
        """What was kept for exactly this image and these weights."""
        return self._maps.get(stamp)

    def keep(self, stamp: object, probabilities: NDArray[np.float16]) -> None:
        """Keep (C, H, W) for another look."""
        self._maps[stamp] = probabilities
        while len(self._maps) > self.KEPT:
            self._maps.popitem(last=False)


class KeptImages:
    """The images predicted last, decoded; read again when their file has changed."""

    def __init__(self, budget_bytes: int = IMAGE_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._images: OrderedDict[str, tuple[str, NDArray[np.uint8]]] = OrderedDict()

    def get(self, target: Target) -> tuple[str, NDArray[np.uint8]]:
        """The file's stamp as it was before its pixels (H, W, 3), uint8, were read, and those.

        Raises:
            ImageFileError: it cannot be read; or it is huge: its maps would take a gigabyte here, and another
                in the window.
        """
        present = stamp(Path(target.image_path))
        known = self._images.get(target.key)
        if known is not None and known[0] == present:
            self._images.move_to_end(target.key)
            return known
        path = Path(target.image_path)
        if is_huge(path):
            told = "is too large to be predicted while one looks at it; predict it into a file instead"
            raise ImageFileError(path, told)
        found = self._images[target.key] = present, read_image(path)
        self._images.move_to_end(target.key)
        while len(self._images) > 1 and sum(i.nbytes for _, i in self._images.values()) > self._budget_bytes:
            self._images.popitem(last=False)
        return found

    def forget(self, key: str) -> None:
        """The image is gone."""
        self._images.pop(key, None)
