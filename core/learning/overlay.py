"""Whose weights predict, and the prediction itself: a run's while it trains, else those of a file.

Versions number the weights for the window: they only ever grow, whichever network they belong to.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from core.annotation.model import ClassList
from core.errors import UsageError
from core.images.reader import read_image
from core.learning.events import Notice, PackedMask, Prediction
from core.learning.header import read_header
from core.learning.predict import PredictedMap, Predictor, open_predictor
from core.learning.schedule import Target
from core.learning.state import TrainState
from core.models.registry import model_spec

IMAGE_BYTES: Final = 256 << 20
"""Decoded images kept for the next prediction; the newest is kept whatever its size."""


class InterruptedPredictionError(Exception):
    """Something more urgent came up while an image was predicted; ask again later."""


class OverlayWeights:
    """The weights that predictions come from.

    Args:
        notify: told what memory a prediction lacks and what is done about it.
    """

    def __init__(self, notify: Callable[[Notice], None]) -> None:
        self._notify = notify
        self._run: TrainState | None = None
        self._run_predictor: Predictor | None = None
        self._file: Path | None = None
        self._file_predictor: Predictor | None = None
        self._label = ""
        self._base = 0
        self._latest = 0
        self._images = _Images(IMAGE_BYTES)

    def use_run(self, run: TrainState) -> None:
        """Show what this run learns. Until its first step the weights of the file stay in use."""
        self._base = self._latest + 1
        self._run, self._run_predictor = run, None

    def use_file(self, path: Path | None, label: str = "") -> None:
        """Predict with this file's weights, read when the first prediction is due; None for no weights.

        Args:
            path: a safetensors file of this program.
            label: said behind the model's name, as in "U-Net, best of the run".
        """
        self._base = self._latest = self._latest + 1
        self._run = self._run_predictor = self._file_predictor = None
        self._file, self._label = path, label

    @property
    def file_classes(self) -> ClassList | None:
        """What the weights in the file were trained for; None without a file.

        Raises:
            WeightsFileError: the file is damaged.
        """
        if self._file is None:
            return None
        return (
            self._file_predictor.header.classes if self._file_predictor else read_header(self._file).classes
        )

    @property
    def version(self) -> int | None:
        """Of the weights that would be used now; None when there are none."""
        if self._run_is_shown:
            assert self._run is not None
            self._latest = self._base + self._run.weights_version
            return self._latest
        return self._latest if self._file is not None else None

    def forget_image(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        self._images.forget(key)

    def predict(self, target: Target, revision: int, interrupted: Callable[[], bool]) -> Prediction:
        """Predict one image.

        Args:
            target: which one.
            revision: of its labels, for the answer.
            interrupted: asked now and then; True ends the work.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            ImageFileError, WeightsFileError, UsageError, MaskloopError: it cannot be predicted.
        """
        version = self.version
        if version is None:
            raise UsageError("there are no weights to predict with; train first")
        started_s = time.perf_counter()
        image = self._images.get(target)
        predictor, source = self._predictor()
        found = _interruptible(predictor, image, interrupted)
        return Prediction(
            key=target.key,
            revision=revision,
            weights_version=version,
            classes=PackedMask.pack(found.classes),
            confidence=PackedMask.pack(found.confidence),
            source=source,
            seconds=time.perf_counter() - started_s,
        )

    @property
    def _run_is_shown(self) -> bool:
        return self._run is not None and self._run.step > 0

    def _predictor(self) -> tuple[Predictor, str]:
        if self._run_is_shown:
            assert self._run is not None
            known = self._run_predictor
            # Renamed classes and a move to the CPU after out-of-memory are a new predictor's business.
            if known is None or known.device != self._run.device:
                known = self._run_predictor = self._run.predictor()
                self._file_predictor = None
            return known, f"{model_spec(self._run.config.model).title}, step {self._run.step}"
        assert self._file is not None
        if self._file_predictor is None:
            self._file_predictor = open_predictor(self._file, notify=self._tell)
        header = self._file_predictor.header
        return self._file_predictor, f"{model_spec(header.architecture).title}, {self._label}".rstrip(", ")

    def _tell(self, text: str, progress: float | None) -> None:
        self._notify(Notice(text=text, progress=progress))


def _interruptible(
    predictor: Predictor, image: NDArray[np.uint8], interrupted: Callable[[], bool]
) -> PredictedMap:
    """Predict, asking before every pass of the network whether something is more urgent."""

    def check(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        if interrupted():
            raise InterruptedPredictionError

    hook = predictor.network.register_forward_pre_hook(check)
    try:
        return predictor.predict(image)
    finally:
        hook.remove()


class _Images:
    """The images predicted last, decoded; read again when their file has changed."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._images: OrderedDict[str, tuple[tuple[str, float, int], NDArray[np.uint8]]] = OrderedDict()

    def get(self, target: Target) -> NDArray[np.uint8]:
        """The pixels (H, W, 3), uint8. Raises ImageFileError."""
        stamp = _stamp(target.image_path)
        known = self._images.get(target.key)
        if known is not None and known[0] == stamp:
            self._images.move_to_end(target.key)
            return known[1]
        image = read_image(Path(target.image_path))
        self._images[target.key] = stamp, image
        self._images.move_to_end(target.key)
        while len(self._images) > 1 and sum(i.nbytes for _, i in self._images.values()) > self._budget_bytes:
            self._images.popitem(last=False)
        return image

    def forget(self, key: str) -> None:
        self._images.pop(key, None)


def _stamp(path: str) -> tuple[str, float, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return path, 0.0, 0  # reading it says what is wrong
    return path, status.st_mtime, status.st_size
