"""Weights in a file, as what they are called and as a network that is read when it is first asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.header import WeightsHeader, read_header
from core.learning.runs.run_folder import RunFolder
from core.models.pretrained import Notify
from core.models.registry import model_spec


@dataclass(frozen=True, slots=True)
class SavedWeights:
    """A file to predict with.

    Attributes:
        path: a safetensors file of this program.
        label: said behind the model's name: "run of 06:12".
        run: the run it belongs to; None for a file from elsewhere.
    """

    path: Path
    label: str
    run: Path | None = None

    @classmethod
    def best_of(cls, run: RunFolder) -> SavedWeights:
        """The weights of a run that scored best."""
        return cls(run.best_weights, run.spoken_name(), run.path)

    @property
    def folder(self) -> RunFolder | None:
        """Of the run."""
        return None if self.run is None else RunFolder(self.run)


class SavedNetwork:
    """The network of such a file.

    Args:
        weights: the file.
        tell: told how far it is read.

    Attributes:
        loaded: what has been asked already; None: nothing.
    """

    def __init__(self, weights: SavedWeights, tell: Notify) -> None:
        self.weights = weights
        self.loaded: Predictor | None = None
        self._tell = tell
        self._header: WeightsHeader | None = None

    @property
    def header(self) -> WeightsHeader:
        """What the file says. Raises WeightsFileError."""
        if self.loaded is not None:
            return self.loaded.header
        if self._header is None:
            self._header = read_header(self.weights.path)
        return self._header

    @property
    def source(self) -> str:
        """As people know it: "U-Net, run of 06:12". Raises WeightsFileError."""
        return f"{model_spec(self.header.architecture).title}, {self.weights.label}"

    @property
    def predictor(self) -> Predictor:
        """The network itself. Raises WeightsFileError."""
        if self.loaded is None:
            self.loaded = open_predictor(self.weights.path, notify=self._tell)
        return self.loaded

    def unload(self) -> None:
        """Give its memory back; it is read again when it is asked again."""
        self.loaded = None
