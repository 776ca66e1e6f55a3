"""Class masks as indexed PNG: the pixel values are class indices, the palette is for the eye."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import UNLABELLED, ClassList
from core.errors import MaskFileError

UNLABELLED_RGB = (224, 224, 192)
"""Colour of 255 in the palette: the pale yellow that the VOC data sets made customary."""


def encode_index_mask(mask: NDArray[np.uint8], classes: ClassList) -> bytes:
    """A PNG of mode P with the class palette, from a mask (H, W), uint8."""
    image = Image.fromarray(np.ascontiguousarray(mask))
    palette = np.zeros((256, 3), np.uint8)
    for label_class in classes:
        palette[label_class.index] = label_class.rgb
    palette[UNLABELLED] = UNLABELLED_RGB
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)  # level 6 takes twice the time for a tenth fewer bytes
    return buffer.getvalue()


def read_index_mask(
    path: Path, *, size_hw: tuple[int, int] | None = None, classes: ClassList | None = None
) -> NDArray[np.uint8]:
    """Read a mask whose pixel values are class indices.

    Args:
        path: an indexed, bilevel or 8-bit (or 16-bit, where no value is above 255) grey image.
        size_hw: the size it must have; None takes any.
        classes: each value must be one of these indices, or 255; None takes any.

    Returns:
        Mask (H, W), uint8.

    Raises:
        MaskFileError: unreadable, in colour, of another size, or with an index that no class has.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1", "I", "I;16"):
                raise MaskFileError(
                    path,
                    f"is a colour image ({image.mode}); a mask holds one class index a pixel: "
                    "save it as an indexed or grey PNG",
                )
            values = np.asarray(image)
    except FileNotFoundError as error:
        raise MaskFileError(path, "there is no such mask") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MaskFileError(path, f"cannot be read as a mask ({error}); replace it and try again") from error
    if values.max(initial=0) > UNLABELLED:
        raise MaskFileError(
            path, f"has the value {values.max()}; class indices are 0 to 254, 255 is unlabelled"
        )
    mask = values.astype(np.uint8)
    if size_hw is not None and mask.shape != size_hw:
        raise MaskFileError(
            path,
            f"is {mask.shape[1]} x {mask.shape[0]} pixels, but its image is {size_hw[1]} x {size_hw[0]}; "
            "export the mask at the image's size",
        )
    if classes is not None:
        unknown = np.setdiff1d(np.unique(mask), [*classes.indices, UNLABELLED])
        if unknown.size:
            known = ", ".join(f"{c.index} {c.name}" for c in classes)
            raise MaskFileError(
                path,
                f"has index {unknown[0]}, which no class has ({known}); add the class or mend the mask",
            )
    return mask
