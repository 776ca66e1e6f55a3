"""Small versions of a project's images, read in pieces: the largest take seconds, and others wait meanwhile.

A huge image is read strip by strip, or from the pyramid that the window has laid out, and never whole. Its
small version is kept, for the next round of rating asks for it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.images.pages import stamp
from core.images.pyramid import huge_thumbnail_steps, is_huge
from core.images.reader import image_size, thumbnail

KEPT_BYTES: Final = 64 << 20
"""Of small versions of huge images."""


class QuickLooks:
    """Reads small versions of images.

    Attributes:
        pyramids: where those of huge images are kept.
    """

    def __init__(self) -> None:
        self.pyramids = Path()
        self._kept: OrderedDict[tuple[str, int], tuple[str, NDArray[np.uint8]]] = OrderedDict()

    def steps(self, path: Path, side: int) -> Generator[None, None, NDArray[np.uint8]]:
        """An image (h, w, 3), uint8, with max(h, w) <= side; a yield between two pieces of a huge one.

        Raises:
            ImageFileError: it cannot be read.
        """
        if not is_huge(path):
            return thumbnail(path, min(side, max(image_size(path))))
        name, now = (str(path), side), stamp(path)
        kept = self._kept.pop(name, None)
        if kept is None or kept[0] != now:
            kept = now, (yield from huge_thumbnail_steps(path, side, self.pyramids))
        self._kept[name] = kept
        while len(self._kept) > 1 and sum(small.nbytes for _, small in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return kept[1]
