"""The masks of the images drawn last, so that an edit is drawn into the last one.

Window, autosaver and engine want the mask of every edit, one after the other: ten thousand polygons take a
tenth of a second each time, the few that an edit touched a hundredth of that.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation, ClassList
from core.annotation.rasterize import changed_box, rasterize
from core.project.strip_mask import pixel_values, touched_shapes

_MOST_SHARE = 0.5
"""A larger part of the mask than this is not drawn into the last one: all of it is drawn anew."""


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    annotation: Annotation
    values: tuple[object, ...]
    mask: NDArray[np.uint8]


class DrawnMasks:
    """Draws masks (H, W), uint8, read-only, equal to what `rasterize` gives. Thread-safe."""

    def __init__(self, most: int = 2) -> None:
        self._most = most
        self._known: OrderedDict[str, _Drawn] = OrderedDict()
        self._turn = threading.Lock()

    def drawn(
        self, key: str, annotation: Annotation, classes: ClassList, size_hw: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """The mask of this annotation of the image `key`."""
        values = pixel_values(annotation, classes)
        with self._turn:  # two workers may want the same: the second finds it done
            known = self._known.pop(key, None)
            if known is not None and known.mask.shape == size_hw and known.values == values:
                mask = _redrawn(known, annotation, classes)
            else:
                mask = rasterize(annotation, classes, size_hw)
            mask.flags.writeable = False
            self._known[key] = _Drawn(annotation, values, mask)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
            return mask


def _redrawn(known: _Drawn, annotation: Annotation, classes: ClassList) -> NDArray[np.uint8]:
    height, width = known.mask.shape
    touched = touched_shapes(known.annotation.shapes, annotation.shapes)
    box = changed_box(touched, (height, width))
    if box is None:
        return known.mask
    x0, y0, x1, y1 = box
    if (x1 - x0) * (y1 - y0) > _MOST_SHARE * height * width:
        return rasterize(annotation, classes, (height, width))
    mask = known.mask.copy()
    mask[y0:y1, x0:x1] = rasterize(annotation, classes, (height, width), box=box)
    return mask
