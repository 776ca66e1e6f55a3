"""Pictures too large to be held in memory, kept as plain pixels in a file without a name.

Training looks at a few hundred pixels of a huge image at a time, anywhere in it. No decoder gives out such
windows quickly, and 400 megapixels take 1.2 GB. So the pixels are written to disk once, as the decoder brings
them, and mapped: what is looked at is read, and the system takes the memory back when others need it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from core.images.rows import PixelRows

READ_ROWS: Final = 64
"""Rows of a picture that are asked for at a time."""


def gathered(picture: PixelRows) -> NDArray[np.uint8]:
    """All of a picture (H, W, 3), uint8, in memory. Raises ImageFileError."""
    pixels = np.empty((*picture.size_hw, 3), np.uint8)
    for top in range(0, len(pixels), READ_ROWS):
        bottom = min(len(pixels), top + READ_ROWS)
        pixels[top:bottom] = picture.rows(top, bottom)
    return pixels


def laid_out(picture: PixelRows, folder: Path | None) -> NDArray[np.uint8]:
    """All of a picture (H, W, 3), uint8, read-only, in a file that goes with the array or the process.

    Args:
        picture: read once, from top to bottom.
        folder: where the file lies, made if it is not there; None, or one that cannot be written to: where
            the system keeps temporary files.

    Raises:
        ImageFileError: the picture cannot be read.
        OSError: there is no room for it.
    """
    height = picture.size_hw[0]
    with _nameless(folder) as file:
        for top in range(0, height, READ_ROWS):
            file.write(np.ascontiguousarray(picture.rows(top, min(height, top + READ_ROWS))).data)
        file.flush()
        # Written, not mapped, beforehand: a full disk would end a process that writes to a map of it.
        mapped = np.memmap(file, np.uint8, "r", shape=(*picture.size_hw, 3))
    return mapped.view(np.ndarray)


def _nameless(folder: Path | None) -> IO[bytes]:
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(prefix="maskloop-", dir=folder)
        except OSError:
            pass  # a read-only project
    return tempfile.TemporaryFile(prefix="maskloop-")
