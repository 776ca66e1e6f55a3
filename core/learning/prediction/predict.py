"""From an image of any size to a class map: one pass where it fits, else tiles that overlap and blend.

Images are resized by the header's `scale` and cut into tiles, whose logits are joined with Gaussian weights.
What lies within a quarter of the overlap from a tile's inner edge is dropped: there the network saw its own
padding instead of the picture. Weights are normalised once per axis, so that the weighted logits only need to
be added. Rows of tiles are finished one after the other: memory holds one row's logits, never the image's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import ClassList
from core.errors import DeviceError, MaskloopError
from core.files import file_digest
from core.images.rows import PixelRows, WholePicture
from core.images.upright import Box
from core.learning.config import DeviceChoice
from core.learning.labels.data import IN_MEMORY_BYTES, resized, rows_at
from core.learning.machine.memory import is_out_of_memory
from core.learning.machine.pieces import drained
from core.learning.prediction.class_maps import MapReader, PredictedMap, PredictedRows
from core.learning.prediction.kept_tiles import KeptTiles
from core.learning.prediction.tiled_logits import TiledLogits
from core.learning.prediction.tiling import TileGrid, part_to_size, source_span
from core.learning.runs.header import WeightsHeader
from core.learning.runs.weights import load_weights
from core.models.copies import copy_on_cpu
from core.models.network import Normalize, SegmentationNetwork
from core.models.pretrained import Notify

Y = TypeVar("Y")
R = TypeVar("R")

SMALLEST_TILE: Final = 128
_ONE_PASS_PIXELS: Final = {"cpu": 1024 * 1024, "cuda": 2048 * 2048}
_TILE: Final = {"cpu": 768, "cuda": 1024}
"""Larger ones cost a CPU more per pixel (1.4 s a megapixel at 768, 1.7 at 1056), smaller ones see less."""
_LIGHTER_TILE: Final = 512
"""What is tried first when memory was short."""
_OVERLAP: Final = 64
"""At most, by default; how far a tile reaches matters more. docs/results.md has the figures."""


def choose_device(choice: DeviceChoice = "auto") -> torch.device:
    """The device a choice means here. Raises DeviceError for a GPU that is not there."""
    if choice == "cpu" or not cuda_works():
        if choice == "cuda":
            raise DeviceError("there is no CUDA GPU that torch can use here; choose the device auto or cpu")
        return torch.device("cpu")
    return torch.device("cuda")


def cuda_works() -> bool:
    """Whether there is a GPU and it answers: one that was lost is still listed."""
    if not torch.cuda.is_available():
        return False
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        return is_out_of_memory(error)  # others use it; it works
    return True


def open_predictor(
    path: Path,
    *,
    device: DeviceChoice = "auto",
    classes: ClassList | None = None,
    notify: Notify | None = None,
) -> Predictor:
    """A predictor from a file of weights. Raises WeightsFileError, DeviceError; see `load_weights`."""
    network, header = load_weights(path, classes=classes)
    network.to(memory_format=torch.channels_last)
    return Predictor(network, header, choose_device(device), notify=notify)


def open_known_predictor(
    path: Path, *, device: DeviceChoice = "auto", notify: Notify | None = None
) -> tuple[Predictor, str]:
    """As `open_predictor`, and the digest of just these weights: a run may replace the file meanwhile."""
    while True:
        before = file_digest(path)
        predictor = open_predictor(path, device=device, notify=notify)
        if before is not None and file_digest(path) == before:
            return predictor, before


class Predictor:
    """Asks one network about images.

    Args:
        network: used as it is at each call, so that one in training can be watched; moved to `device`.
        header: its classes, normalisation and scale.
        device: bf16 on CUDA, float32 on the CPU.
        tile: side of the tiles for images too large for one pass, rounded to what the network halves.
            Giving it also turns one-pass prediction off for images larger than it.
        overlap: of neighbouring tiles, pixels; by default a quarter of the tile, up to 64.
        notify: told when memory ran out and what is done about it.

    Attributes:
        temperature: of the confidence; the header's, until somebody knows better.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        header: WeightsHeader,
        device: torch.device | str = "cpu",
        *,
        tile: int | None = None,
        overlap: int | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.network = network
        self.header = header
        self.temperature = header.temperature
        self.device = torch.device(device)
        self._notify = notify
        self._multiple = network.size_multiple
        self._one_pass = tile is None
        self._tile = self._rounded(tile or max(header.tile, _TILE[self.device.type]))
        self._overlap = overlap
        network.to(self.device)
        self._normalize = Normalize(header.normalization).to(self.device)
        self._values = np.array(header.classes.indices, dtype=np.uint8)

    def predict(
        self,
        image: NDArray[np.uint8],
        *,
        probabilities: bool = False,
        scale: float | None = None,
        kept: KeptTiles | None = None,
    ) -> PredictedMap:
        """The class of every pixel of an RGB image (H, W, 3), uint8, of any size.

        When memory runs out, smaller tiles are tried, then the CPU; later images start from there.

        Args:
            image: read-only is fine.
            probabilities: keep them as well.
            scale: to resize by instead of the header's, where the image is not at its own scale.
            kept: of this image: tiles that are there are not computed again, others are kept.

        Raises:
            MaskloopError: not even the smallest tile fits into memory.
        """
        return drained(self.predicting(image, probabilities=probabilities, scale=scale, kept=kept))

    def predicting(
        self,
        image: NDArray[np.uint8],
        *,
        probabilities: bool = False,
        scale: float | None = None,
        kept: KeptTiles | None = None,
    ) -> Generator[None, None, PredictedMap]:
        """As `predict`, with a pause between two passes of the network."""
        check_image(image)
        scale = self.header.scale if scale is None else scale
        return (
            yield from self._retried(
                lambda: self._predicting(image, scale, kept, probabilities=probabilities),
                (image.shape[0], image.shape[1]),
            )
        )

    def predict_part(
        self, image: NDArray[np.uint8], box: Box, kept: KeptTiles, *, probabilities: bool = False
    ) -> PredictedMap:
        """What `predict` says of a part of an image, x0, y0, x1, y1, within rounding.

        Only tiles that reach into it are computed, and they are kept: `predict` takes up from there. Raises
        as `predict`.
        """
        check_image(image)
        work = self._retried(
            lambda: self._predicting_part(image, box, kept, probabilities=probabilities),
            (image.shape[0], image.shape[1]),
        )
        return drained(work)

    def stepwise(self, picture: PixelRows, *, probabilities: bool = False) -> Iterator[PredictedRows | None]:
        """The map of a picture that need not be in memory, as rows from top to bottom.

        None comes between two passes of the network: there the caller may attend to something else. When
        memory runs out, the rows come again from the top. The network is left in evaluation mode.

        Raises:
            ImageFileError: from the picture.
            MaskloopError: as `predict`.
        """
        yield from self._retried(
            lambda: self._stepwise(picture, probabilities=probabilities), picture.size_hw
        )

    def _retried(
        self, attempt: Callable[[], Generator[Y, None, R]], size_hw: tuple[int, int]
    ) -> Generator[Y, None, R]:
        """What comes of an attempt, made again with less at a time whenever memory runs out."""
        while True:
            try:
                return (yield from attempt())
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Out of the handler first: the error's traceback holds the tensors that filled the memory.
            self._step_down(size_hw, reason)

    @torch.inference_mode()
    def _stepwise(
        self, picture: PixelRows, *, probabilities: bool
    ) -> Generator[PredictedRows | None, None, None]:
        # As the decorator of a generator, inference mode holds while it runs and not for its caller.
        network = self._on_device().eval()
        scaled = rows_at(picture, self.header.scale)
        bands = self._tiled(network, scaled).bands()
        yield from self._reader(probabilities).rows(bands, scaled.size_hw, picture.size_hw)

    def _step_down(self, size_hw: tuple[int, int], reason: str) -> None:
        """Take the next rung of the ladder. Raises MaskloopError at its end."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if not self._lighter():
            raise MaskloopError(
                f"there is not enough memory to predict an image of {size_hw[1]} x {size_hw[0]}"
                f" pixels ({reason}); close other programs and try again"
            )
        if self._notify is not None:
            where = "on the CPU" if self.device.type == "cpu" else "on the graphics card"
            self._notify(
                f"out of memory while predicting: tiles of {self._tile} pixels {where} from now on", None
            )

    def _lighter(self) -> bool:
        """Compute less at a time; False where that cannot be."""
        if self._one_pass:
            self._one_pass = False
            self._tile = min(self._tile, self._rounded(_LIGHTER_TILE))
        elif self._tile > SMALLEST_TILE:
            self._tile = self._rounded(max(SMALLEST_TILE, self._tile // 2))
            self._overlap = None
        elif self.device.type != "cpu":
            self.device = torch.device("cpu")
            self._normalize = Normalize(self.header.normalization)
            self._tile = self._rounded(_LIGHTER_TILE)
        else:
            return False
        return True

    def _rounded(self, side: int) -> int:
        return max(self._multiple, -(-side // self._multiple) * self._multiple)

    @torch.inference_mode()
    def _predicting(
        self, image: NDArray[np.uint8], scale: float, kept: KeptTiles | None, *, probabilities: bool
    ) -> Generator[None, None, PredictedMap]:
        with self._evaluating() as network:
            scaled = _scaled(image, scale)
            bands = self._tiled(network, scaled, kept).bands()
            size_hw = image.shape[0], image.shape[1]
            return (yield from self._reader(probabilities).collecting(bands, scaled.size_hw, size_hw))

    @torch.inference_mode()
    def _predicting_part(
        self, image: NDArray[np.uint8], box: Box, kept: KeptTiles, *, probabilities: bool
    ) -> Generator[None, None, PredictedMap]:
        x0, y0, x1, y1 = box
        size_hw = image.shape[0], image.shape[1]
        with self._evaluating() as network:
            scaled = _scaled(image, self.header.scale)
            rows = source_span(y0, y1, scaled.size_hw[0], size_hw[0])
            columns = source_span(x0, x1, scaled.size_hw[1], size_hw[1])
            block = yield from self._tiled(network, scaled, kept).block(rows, columns)
            bands = part_to_size(block, (rows[0], columns[0]), scaled.size_hw, size_hw, box)
            part_hw = y1 - y0, x1 - x0
            return self._reader(probabilities).whole(bands, part_hw, part_hw)

    def _reader(self, probabilities: bool) -> MapReader:
        return MapReader(self._values, probabilities, self.temperature)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[SegmentationNetwork]:
        """The network as it is to be asked; left as it was."""
        network = self._on_device()
        was_training = network.training
        network.eval()
        try:
            yield network
        finally:
            network.train(was_training)

    def _on_device(self) -> SegmentationNetwork:
        """The network where it is to run; a copy when its owner's GPU has no room for the work."""
        if next(self.network.parameters()).device.type == self.device.type:
            return self.network
        return copy_on_cpu(self.network).to(self.device)

    def _tiled(
        self, network: SegmentationNetwork, picture: PixelRows, kept: KeptTiles | None = None
    ) -> TiledLogits:
        height, width = picture.size_hw
        padded_hw = height + -height % self._multiple, width + -width % self._multiple
        rows, columns = self._grids(*padded_hw)
        return TiledLogits(network, self._normalize, picture, rows, columns, self.device, kept)

    def _grids(self, height: int, width: int) -> tuple[TileGrid, TileGrid]:
        if self._one_pass and height * width <= _ONE_PASS_PIXELS[self.device.type]:
            return TileGrid.cover(height, height, 0), TileGrid.cover(width, width, 0)
        overlap = min(self._tile // 4, _OVERLAP) if self._overlap is None else self._overlap
        # Tiles stay in step with the encoder's grid, as in one pass.
        overlap = min(self._rounded(overlap), self._tile - self._multiple)
        rows, columns = (
            TileGrid.spread(length, self._tile, overlap, self._multiple) for length in (height, width)
        )
        return rows, columns


def check_image(image: NDArray[np.uint8]) -> None:
    """Raises ValueError where this is no RGB image (H, W, 3), uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"an image is (H, W, 3) uint8 and not empty, not {image.shape} {image.dtype}")


def _scaled(image: NDArray[np.uint8], scale: float) -> PixelRows:
    """An image (H, W, 3) as the network is to see it; a large one is not held in memory a second time."""
    if image.nbytes > IN_MEMORY_BYTES or scale == 1.0:
        return rows_at(WholePicture(image), scale)
    return WholePicture(resized(image, scale))
