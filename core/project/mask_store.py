"""One image's index mask: drawn from its annotation, written only over what is ours."""

from __future__ import annotations

import contextlib
import os

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation, ClassList
from core.annotation.rasterize import rasterize
from core.errors import MaskFileError, StorageError
from core.files import write_atomic
from core.images.reader import image_size
from core.project.mask_file import is_own_mask, read_index_mask, write_index_mask
from core.project.scan import ImageEntry
from core.project.strip_mask import StripMask


def render_mask(entry: ImageEntry, annotation: Annotation, classes: ClassList) -> NDArray[np.uint8]:
    """Draw an annotation of this image: mask (H, W), uint8, 255 where nothing is known."""
    return rasterize(annotation, classes, annotation.size_hw or image_size(entry.image_path))


def write_mask(entry: ImageEntry, mask: NDArray[np.uint8] | StripMask, classes: ClassList) -> None:
    """Write an image's index mask (H, W), uint8, or that of a huge image in strips, atomically.

    Raises:
        MaskFileError: a value is no class's index, or somebody else's mask is in the way.
        StorageError: it cannot be written.
    """
    path = entry.mask_path
    if path.exists() and not is_own_mask(path):
        raise MaskFileError(path, "was not made by this project; move it away, or import it as masks")
    if isinstance(mask, StripMask):
        write_atomic(path, mask.png(classes))
    else:
        write_index_mask(path, mask, classes)


def read_mask(entry: ImageEntry, classes: ClassList) -> NDArray[np.uint8]:
    """Read an image's index mask (H, W), uint8. Raises MaskFileError, ImageFileError."""
    return read_index_mask(entry.mask_path, size_hw=image_size(entry.image_path), classes=classes)


def is_outdated(entry: ImageEntry) -> bool:
    """Is there a mask, and was the annotation written after it? Another program may have done that."""
    try:
        drawn_ns = entry.mask_path.stat().st_mtime_ns
        return drawn_ns < entry.annotation_path.stat().st_mtime_ns
    except OSError:
        return False


def keep_current(entry: ImageEntry) -> None:
    """Date a mask of ours no earlier than its annotation, which it shows. One that refuses is drawn anew."""
    with contextlib.suppress(OSError):
        if is_outdated(entry) and is_own_mask(entry.mask_path):
            annotated_ns = entry.annotation_path.stat().st_mtime_ns
            os.utime(entry.mask_path, ns=(annotated_ns, annotated_ns))


def remove_mask(entry: ImageEntry) -> None:
    """Delete an image's mask, if there is one and it is ours. Raises StorageError."""
    path = entry.mask_path
    if path.exists() and is_own_mask(path):
        try:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except OSError as error:
            raise StorageError.from_os_error(path, error) from error
