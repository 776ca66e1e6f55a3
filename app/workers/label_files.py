"""Writing one image's annotation and mask, and what others are told of it. Runs in a project's worker."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation, AnnotationState
from core.learning.labels.packed_mask import PackedMask
from core.project.mask_file import value_counts
from core.project.strip_mask import StripMask

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

DrawnMask: TypeAlias = NDArray[np.uint8] | StripMask
"""A mask (H, W), uint8, 255 where nothing is known; that of a huge image in strips."""


@dataclass(frozen=True, slots=True)
class PackedLabels:
    """A mask on its way to the engine; the `checksum` of its bytes tells whether it is the one sent last."""

    mask: PackedMask
    checksum: int

    @classmethod
    def of(cls, mask: DrawnMask) -> Self:
        """Worker: pack a mask; a huge one stays compressed."""
        if isinstance(mask, StripMask):
            packed = PackedMask(mask.size_hw, mask.deflated, deflated=True)
        else:
            packed = PackedMask.pack(mask)
        return cls(packed, zlib.crc32(packed.data))


@dataclass(frozen=True, slots=True, eq=False)
class LabelsWritten:
    """One image's labels as they now are on disk: the annotation, and the mask where it may be written.

    Attributes:
        entry: which image.
        revision, state: of its document as it was written.
        mask: what was drawn.
        counts: pixels of each mask value, (256,), int64.
        packed: the mask for the engine.
    """

    entry: ImageEntry
    revision: int
    state: AnnotationState
    mask: DrawnMask
    counts: NDArray[np.int64]
    packed: PackedLabels


def counts_of(mask: DrawnMask) -> NDArray[np.int64]:
    """Worker: how many pixels have each value, (256,), int64."""
    return mask.counts if isinstance(mask, StripMask) else value_counts(mask)


def write_annotation(
    project: Project,
    entry: ImageEntry,
    annotation: Annotation,
    expected_digest: str | None,
    unwanted: bool,
    announce: Callable[[str | None], None] | None,
) -> str | None:
    """Worker: bring the annotation file up to date, or delete it; its digest, None when there is none now.

    Raises:
        ForeignChangeError: another program wrote the file meanwhile.
        StorageError: it cannot be written.
    """
    # Where the file cannot be deleted (labelme's in a folder that is not ours), an empty one hides it.
    if unwanted and entry.source_path is None:
        if announce is not None:
            announce(None)
        project.delete_annotation(entry, expected_digest)
        return None
    return project.save(entry, annotation, expected_digest, announce=announce)


def write_mask(
    project: Project, entry: ImageEntry, annotation: Annotation, revision: int, unwanted: bool
) -> LabelsWritten:
    """Worker: bring the mask up to date, or remove it; one of a project that is only read stays as it is.

    Raises:
        MaskFileError, StorageError: it cannot be written.
    """
    mask = project.drawn_mask(entry, annotation)
    if project.writable and unwanted:
        project.remove_mask(entry)
    elif project.writable:
        project.write_mask(entry, mask)
    return LabelsWritten(entry, revision, annotation.state, mask, counts_of(mask), PackedLabels.of(mask))
