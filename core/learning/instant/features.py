"""Features of whole images, computed once and kept: in memory while there is room, on disk beyond that.

An image is resized by the run's scale, padded by its mirror image to what the network halves, and sent
through the frozen encoder in tiles whose margins are cut off again, so that memory is bounded whatever its
size.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from core.errors import MaskloopError, StorageError
from core.files import digest, write_atomic
from core.learning.data import resized
from core.learning.memory import is_out_of_memory
from core.models.instant import GRID, InstantNetwork
from core.models.network import Normalize

TILE: Final = 1024
"""Side of the part of a scaled image whose features are computed at a time, its margins left out."""
MARGIN: Final = 128
"""What a tile sees beyond its part on every side; beyond that the encoder's view hardly changes anything."""

SMALLEST_TILE: Final = 256
DISK_AGAIN_S: Final = 15.0
"""After a write that failed the next one is tried so much later: a full disk must not slow every image."""

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
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._notify = notify or _log.warning
        self._clock = clock
        self._side = TILE
        self._disk_fails = False
        self._disk_again_s = float("-inf")
        self._kept: OrderedDict[str, tuple[str, Features]] = OrderedDict()

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
        known = self._kept.get(key)
        if known is not None and known[0] == stamp:
            self._kept.move_to_end(key)
            return known[1]
        features = self._stored(key, stamp)
        if features is None:
            features = self.compute(read())
            self._store(key, stamp, features)
        self._kept[key] = stamp, features
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(f.nbytes for _, f in self._kept.values()) > self._memory_bytes:
            self._kept.popitem(last=False)
        return features

    def holds(self, key: str) -> bool:
        """Whether features of this image are in memory or on disk, if perhaps of older pixels."""
        path = self._path(key)
        return key in self._kept or (path is not None and path.is_file())

    def compute(self, image: NDArray[np.uint8]) -> Features:
        """Features of an RGB image (H, W, 3), uint8.

        When memory runs out, smaller tiles are tried, then the CPU; later images start from there.

        Raises:
            MaskloopError: not even the smallest tile fits into memory.
        """
        while True:
            try:
                return self._compute(image)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Out of the handler first: the error's traceback holds the tensors that filled the memory.
            if not self._lighter():
                raise MaskloopError(
                    f"there is not enough memory to look at an image of {image.shape[1]} x {image.shape[0]}"
                    f" pixels ({reason}); close other programs and try again"
                )
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

    def _compute(self, image: NDArray[np.uint8]) -> Features:
        scaled = resized(image, self.scale)
        height, width = scaled.shape[:2]
        multiple = self._network.size_multiple
        bottom, right = -height % multiple, -width % multiple
        padded = np.pad(scaled, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        rows, columns = padded.shape[0] // GRID, padded.shape[1] // GRID
        groups = tuple(
            torch.empty((1, channels, rows >> level, columns >> level), dtype=torch.float16)
            for level, channels in enumerate(self._network.feature_channels)
        )
        for part, view in _parts(padded.shape[0], padded.shape[1], self._side):
            for level, found in enumerate(self._tile(padded[view[0], view[1]])):
                stride = GRID << level
                target = [slice(axis.start // stride, axis.stop // stride) for axis in part]
                source = [
                    slice((inner.start - outer.start) // stride, (inner.stop - outer.start) // stride)
                    for inner, outer in zip(part, view, strict=True)
                ]
                groups[level][..., target[0], target[1]] = found[..., source[0], source[1]]
        return Features(groups, (image.shape[0], image.shape[1]), (height, width))

    @torch.inference_mode()
    def _tile(self, pixels: NDArray[np.uint8]) -> list[Tensor]:
        tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device).permute(2, 0, 1)[None]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            groups = self._network.features(self._normalize(tensor))
        return [group.to("cpu", torch.float16) for group in groups]

    # --- on disk ------------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path | None:
        name = f"{self._network.encoder_name} {self._network.views} {self.scale} {key}".encode()
        return None if self._folder is None else self._folder / f"{digest(name)[:24]}.safetensors"

    def _stored(self, key: str, stamp: str) -> Features | None:
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("stamp") != stamp:
                    return None
                sizes = [int(number) for number in about["sizes"].split()]
                groups = tuple(file.get_tensor(name) for name in sorted(file.keys()))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            _log.warning("%s: features computed again (%s)", path, error)
            return None
        return Features(groups, (sizes[0], sizes[1]), (sizes[2], sizes[3]))

    def _store(self, key: str, stamp: str, features: Features) -> None:
        path = self._path(key)
        if path is None or self._folder is None or self._clock() < self._disk_again_s:
            return
        sizes = " ".join(str(number) for number in (*features.size_hw, *features.scaled_hw))
        tensors = {f"{level:02d}": group for level, group in enumerate(features.groups)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(features.nbytes)
            write_atomic(path, safetensors.torch.save(tensors, {"stamp": stamp, "sizes": sizes}))
        except (StorageError, OSError) as error:
            # A cache that cannot be written costs time, nothing else.
            self._disk_again_s = self._clock() + DISK_AGAIN_S
            if not self._disk_fails:
                self._notify(f"features of images are not kept on disk, which costs time later: {error}")
            self._disk_fails = True
            return
        if self._disk_fails:
            self._disk_fails = False
            self._notify("features of images are kept on disk again")

    def _make_room(self, nbytes: int) -> None:
        assert self._folder is not None
        files = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        used = sum(path.stat().st_size for path in files)
        while files and used + nbytes > self._disk_bytes:
            used -= files[0].stat().st_size
            files.pop(0).unlink()


def _parts(height: int, width: int, tile: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Rows and columns of each part, and of the part with its margins."""
    for y in _spans(height, tile):
        for x in _spans(width, tile):
            yield (y[0], x[0]), (y[1], x[1])


def _spans(length: int, tile: int) -> list[tuple[slice, slice]]:
    # A rest that is no wider than a margin goes with its neighbour.
    count = max(1, -(-(length - MARGIN) // tile))
    starts = [index * tile for index in range(count)]
    ends = [*starts[1:], length]
    return [
        (slice(start, end), slice(max(0, start - MARGIN), min(length, end + MARGIN)))
        for start, end in zip(starts, ends, strict=True)
    ]
