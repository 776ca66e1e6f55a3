"""What is to be predicted into files: a job that the window, the engine and the command line understand.

Torch-free. A job in the window outlives the program: `PendingJob` keeps it, and the very weights it began
with, in the project's private folder until it is done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from core.errors import StorageError
from core.files import write_atomic
from core.project.layout import ProjectLayout

PredictionFormat: TypeAlias = Literal["masks", "labelme", "overlay"]

JOB_FILE: Final = "predicting.json"
WEIGHTS_FILE: Final = "predicting.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionJob:
    """Images, weights, and where the predictions go.

    Attributes:
        images: image files, and folders of them.
        out: folder of the results; the images' place below a folder in `images` is kept.
        weights: a safetensors file.
        root: the project the weights come from, None for a bare file.
        subfolders: look into the folders of folders as well.
        again: predict also what these weights have predicted there before.
        shard: number and count, (0, 1) for everything: each of so many programs takes its share.
        post: post-processing as text, "" for none; see `core.postprocess.pipeline`.
    """

    images: tuple[str, ...]
    out: str
    format: PredictionFormat
    weights: str
    root: str | None = None
    subfolders: bool = False
    again: bool = False
    shard: tuple[int, int] = (0, 1)
    post: str = ""


class PendingJob:
    """The job a project's window has under way, on disk."""

    def __init__(self, layout: ProjectLayout) -> None:
        self._file = layout.private / JOB_FILE
        self._weights = layout.private / WEIGHTS_FILE

    def begin(self, job: PredictionJob) -> PredictionJob:
        """Keep the job; what is returned predicts with a copy of the weights that no training changes.

        Raises:
            StorageError: the project cannot be written.
        """
        kept = replace(job, weights=str(self._weights))
        try:
            self._weights.parent.mkdir(parents=True, exist_ok=True)
            if Path(job.weights) != self._weights:
                self._weights.unlink(missing_ok=True)
                try:
                    # The run replaces its file as a whole, so that a second name keeps what it had.
                    os.link(job.weights, self._weights)
                except OSError:
                    shutil.copyfile(job.weights, self._weights)
        except OSError as error:
            raise StorageError.from_os_error(self._weights, error) from error
        write_atomic(self._file, msgspec.json.encode(kept))
        return kept

    def load(self) -> PredictionJob | None:
        """The job that was interrupted; None where there is none."""
        try:
            job = msgspec.json.decode(self._file.read_bytes(), type=PredictionJob)
        except (OSError, msgspec.DecodeError):
            return None
        # What had to be predicted again has been marked as such when it began.
        return replace(job, again=False) if Path(job.weights).is_file() else None

    def end(self) -> None:
        """It is done, or given up."""
        for file in (self._file, self._weights):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
