"""Features of whole images, computed once and kept: in memory while there is room, on disk beyond that.

An image is resized by the run's scale, padded by its mirror image to what the network halves, and sent
through the frozen encoder in tiles whose margins are cut off again, so that memory is bounded whatever its
size.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import MaskloopError
from core.files import digest
from core.images.upright import Box
from core.learning.instant.tensor_folder import TensorFolder, raw_bytes
from core.learning.labels.data import resized
from core.learning.machine.memory import is_out_of_memory
from core.models.instant import GRID, InstantNetwork
from core.models.network import Normalize

TILE: Final = 1024
"""Side of the part of a scaled image whose features are computed at a time, its margins left out."""
MARGIN: Final = 128
"""What a tile sees beyond its part on every side; beyond that the encoder's view hardly changes anything."""

SMALLEST_TILE: Final = 256

Part: TypeAlias = tuple[tuple[slice, slice], tuple[slice, slice]]
"""Rows and columns of a scaled image that are computed at a time; the same with margins."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Features:
    """What the frozen encoder makes of one image.

    Attributes:
        groups: (1, C, h, w) each, float16, fine to coarse: see `core.models.instant`.
        size_hw: of the image. scaled_hw: of what went in, without and padded_hw: with its padding.
    """

    groups: tuple[Tensor, ...]
    size_hw: tuple[int, int]
    scaled_hw: tuple[int, int]

    @property
    def padded_hw(self) -> tuple[int, int]:
        """Size of the scaled image with its padding."""
        height, width = self.groups[0].shape[-2:]
        return height * GRID, width * GRID

    @property
    def nbytes(self) -> int:
        """Memory they take."""
        return sum(group.numel() * group.element_size() for group in self.groups)


class _Begun:
    """An image of which some features are there.

    Attributes:
        of: its key and stamp; None for one of which nothing is kept.
        padded: the scaled image with its padding.
        features: as large as they will be.
        missing: what is not computed yet, rows and columns of each part without and with its margins.
    """

    def __init__(
        self, of: tuple[str, str] | None, image: NDArray[np.uint8], scale: float, network: InstantNetwork
    ) -> None:
        scaled = resized(image, scale)
        height, width = scaled.shape[:2]
        multiple = network.size_multiple
        bottom, right = -height % multiple, -width % multiple
        self.of = of
        self.padded = np.pad(scaled, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        rows, columns = self.padded.shape[0] // GRID, self.padded.shape[1] // GRID
        groups = tuple(
            torch.empty((1, channels, rows >> level, columns >> level), dtype=torch.float16)
            for level, channels in enumerate(network.feature_channels)
        )
        self.features = Features(groups, (image.shape[0], image.shape[1]), (height, width))
        self.missing: list[Part] = []

    def cut(self, side: int) -> None:
        """Begin anew, with parts of this side."""
        self.missing = list(_parts(self.padded.shape[0], self.padded.shape[1], side))

    def take(self, part: Part, found: Sequence[Tensor]) -> None:
        """Features of a part with its margins are there."""
        inner, outer = part
        for level, (group, piece) in enumerate(zip(self.features.groups, found, strict=True)):
            stride = GRID << level
            target = [slice(axis.start // stride, axis.stop // stride) for axis in inner]
            source = [
                slice((inside.start - view.start) // stride, (inside.stop - view.start) // stride)
                for inside, view in zip(inner, outer, strict=True)
            ]
            group[..., target[0], target[1]] = piece[..., source[0], source[1]]
        self.missing.remove(part)

    def missing_in(self, box: Box) -> list[Part]:
        """What is missing of what the features around a part of the image, x0, y0, x1, y1, are made of."""
        x0, y0, x1, y1 = box
        (height, width), (down, across) = self.features.size_hw, self.features.scaled_hw
        rows = y0 * down / height - MARGIN, y1 * down / height + MARGIN
        columns = x0 * across / width - MARGIN, x1 * across / width + MARGIN
        return [part for part in self.missing if _meets(part[0][0], *rows) and _meets(part[0][1], *columns)]


class FeatureCache:
    """Features by image, the latest used in memory.

    Args:
        network: whose encoder is asked; on `device` and never changed.
        scale: factor images are resized by first.
        memory_bytes: kept in memory at most (one image's in any case).
        folder: where the others are kept; None forgets them.
        disk_bytes: kept there at most.
        notify: told in one line what memory or disk lack, and when they have it again.
        clock: monotonic, seconds.
    """

    def __init__(
        self,
        network: InstantNetwork,
        device: torch.device,
        *,
        scale: float,
        memory_bytes: int = 1 << 30,
        folder: Path | None = None,
        disk_bytes: int = 8 << 30,
        notify: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scale = scale
        self._network = network
        self._device = device
        self._normalize = Normalize(network.normalization).to(device)
        self._memory_bytes = memory_bytes
        self._notify = notify or _log.warning
        self._files = (
            None
            if folder is None
            else TensorFolder(folder, most_bytes=disk_bytes, notify=self._notify, clock=clock)
        )
        self._side = TILE
        self._kept: OrderedDict[str, tuple[str, Features]] = OrderedDict()
        self._begun: _Begun | None = None

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def get(self, key: str, stamp: str, read: Callable[[], NDArray[np.uint8]]) -> Features:
        """Features of an image.

        Args:
            key: its name.
            stamp: changes when its pixels do.
            read: gives its pixels, RGB (H, W, 3), uint8, at full size; asked only when they are needed.

        Raises:
            FileProblem: whatever `read` raises.
        """
        features = self._found(key, stamp)
        if features is None:
            begun = self._begun_of(key, stamp, read)
            features = self._advanced(begun, lambda: begun.missing)
            self._begun = None
            if self._files is not None:
                sizes = *features.size_hw, *features.scaled_hw
                self._files.write(self._name(key), stamp, features.groups, sizes)
            self._keep(key, stamp, features)
        return features

    def get_part(self, key: str, stamp: str, read: Callable[[], NDArray[np.uint8]], box: Box) -> Features:
        """As `get`, but only what is around a part of the image, x0, y0, x1, y1, is sure to be there.

        `get` takes up from there. Of one image at a time such beginnings are kept.
        """
        found = self._found(key, stamp)
        if found is not None:
            return found
        begun = self._begun_of(key, stamp, read)
        return self._advanced(begun, lambda: begun.missing_in(box))

    def _found(self, key: str, stamp: str) -> Features | None:
        """Whole features that are in memory or on disk."""
        known = self._kept.get(key)
        features = known[1] if known is not None and known[0] == stamp else self._stored(key, stamp)
        if features is not None:
            self._keep(key, stamp, features)
            if self._files is not None:
                self._files.touch(self._name(key))  # also while it is in memory: others go first
        return features

    def _keep(self, key: str, stamp: str, features: Features) -> None:
        self._kept[key] = stamp, features
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(f.nbytes for _, f in self._kept.values()) > self._memory_bytes:
            self._kept.popitem(last=False)

    def _begun_of(self, key: str, stamp: str, read: Callable[[], NDArray[np.uint8]]) -> _Begun:
        begun = self._begun
        if begun is None or begun.of != (key, stamp):
            begun = _Begun((key, stamp), read(), self.scale, self._network)
            begun.cut(self._side)
            self._begun = begun
        return begun

    def holds(self, key: str) -> bool:
        """Whether features of this image are in memory or on disk, if perhaps of older pixels."""
        return key in self._kept or (self._files is not None and self._files.holds(self._name(key)))

    def compute(self, image: NDArray[np.uint8], *, scale: float | None = None) -> Features:
        """Features of an RGB image (H, W, 3), uint8.

        When memory runs out, smaller tiles are tried, then the CPU; later images start from there.

        Args:
            image: read-only is fine.
            scale: to resize by instead of the usual one, where the image is not at its own scale.

        Raises:
            MaskloopError: not even the smallest tile fits into memory.
        """
        begun = _Begun(None, image, self.scale if scale is None else scale, self._network)
        begun.cut(self._side)
        return self._advanced(begun, lambda: begun.missing)

    def _advanced(self, begun: _Begun, wanted: Callable[[], list[Part]]) -> Features:
        """Compute what is wanted of the features that are missing; all features, as far as they are there.

        Raises:
            MaskloopError: as `compute`.
        """
        while True:
            try:
                for part in tuple(wanted()):
                    begun.take(part, self._tile(begun.padded[part[1][0], part[1][1]]))
                return begun.features
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Out of the handler first: the error's traceback holds the tensors that filled the memory.
            height, width = begun.features.size_hw
            if not self._lighter():
                raise MaskloopError(
                    f"there is not enough memory to look at an image of {width} x {height}"
                    f" pixels ({reason}); close other programs and try again"
                )
            begun.cut(self._side)
            where = "on the CPU" if self._device.type == "cpu" else "on the graphics card"
            self._notify(
                f"out of memory while looking at images: tiles of {self._side} pixels {where} from now on"
            )

    def _lighter(self) -> bool:
        """Take the next rung of the ladder; False at its end."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self._side > SMALLEST_TILE:
            self._side //= 2
        elif self._device.type == "cuda":
            self._device, self._side = torch.device("cpu"), TILE
            self._network = copy.deepcopy(self._network).to(self._device)  # the head stays where it is
            self._normalize = self._normalize.to(self._device)
        else:
            return False
        return True

    @torch.inference_mode()
    def _tile(self, pixels: NDArray[np.uint8]) -> list[Tensor]:
        tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device).permute(2, 0, 1)[None]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            groups = self._network.features(self._normalize(tensor))
        return [group.to("cpu", torch.float16) for group in groups]

    # --- on disk ------------------------------------------------------------------------------------------

    def _stored(self, key: str, stamp: str) -> Features | None:
        found = None if self._files is None else self._files.read(self._name(key), stamp)
        if found is None:
            return None
        groups, (height, width, down, across) = found
        return Features(groups, (height, width), (down, across))

    def _name(self, key: str) -> str:
        """What else features are of: whose, and how they were made."""
        network = self._network
        name = f"{network.encoder_name} {self._encoder_weights} {network.views} {self.scale} {key}"
        return digest(name.encode())[:24]

    @cached_property
    def _encoder_weights(self) -> str:
        """A digest of them: one millisecond for each megabyte."""
        whole = hashlib.blake2b(digest_size=16)
        for tensor in self._network.encoder.state_dict().values():
            whole.update(raw_bytes(tensor))
        return whole.hexdigest()


def _parts(height: int, width: int, tile: int) -> Iterator[Part]:
    """Rows and columns of each part, and of the part with its margins."""
    for y in _spans(height, tile):
        for x in _spans(width, tile):
            yield (y[0], x[0]), (y[1], x[1])


def _meets(span: slice, start: float, end: float) -> bool:
    return bool(span.start < end and span.stop > start)


def _spans(length: int, tile: int) -> list[tuple[slice, slice]]:
    # A rest that is no wider than a margin goes with its neighbour.
    count = max(1, -(-(length - MARGIN) // tile))
    starts = [index * tile for index in range(count)]
    ends = [*starts[1:], length]
    return [
        (slice(start, end), slice(max(0, start - MARGIN), min(length, end + MARGIN)))
        for start, end in zip(starts, ends, strict=True)
    ]
