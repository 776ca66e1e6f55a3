"""Every error a user can meet, as one tree.

::

    MaskloopError                       one clear sentence: which file, what is wrong, what to do
    ├── UsageError                      the command line or a call was used wrongly (exit code 2)
    ├── FileProblem (path)              something about one file on disk
    │   ├── AnnotationFileError         labelme JSON that cannot be read without loss
    │   ├── ForeignChangeError          another program changed an annotation since we read it
    │   ├── ImageFileError              an image that is missing, broken, empty or unsupported
    │   ├── MaskFileError               a mask of the wrong size, kind, or with an unknown class index
    │   ├── ProjectFileError            project.json is broken, or of a newer schema
    │   ├── WeightsFileError            weights or a checkpoint that do not fit, or are damaged
    │   └── StorageError                cannot write: read-only, full disk, no permission
    ├── ProjectLockedError              another window has the project open (holder's name in the message)
    ├── DeviceError                     a GPU was asked for that is not there
    ├── EncoderDownloadError            pretrained weights could not be fetched; what works without a network
    ├── NothingToLearnError             no labelled pixel, a single class, ...: training cannot start
    ├── TrainingError                   training started and cannot go on
    │   └── LostProcessError            another process of a torchrun job is gone: the run can go on
    └── EngineError                     the engine process died or does not answer

Raise the narrowest; catch at boundaries only (codec, engine main, worker slot, command line).
"""

from __future__ import annotations

import errno
from pathlib import Path


class MaskloopError(Exception):
    """Base of all errors meant for a person: `str(error)` is one sentence to show as it is."""


class UsageError(MaskloopError):
    """The caller asked for something that makes no sense; nothing was done."""


class FileProblem(MaskloopError):  # noqa: N818 - a category, never raised itself
    """A problem with one file. The message starts with its path."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{path}: {problem}")

    def __reduce__(self) -> tuple[type[FileProblem], tuple[Path, str]]:
        return type(self), (self.path, self.problem)


class AnnotationFileError(FileProblem):
    """A labelme JSON cannot be read. The message names the field, as in `shapes[3].points`."""


class ForeignChangeError(FileProblem):
    """The annotation on disk is not the one that was read: another program wrote it meanwhile."""


class ImageFileError(FileProblem):
    """An image is missing, truncated, empty, or of a kind that is not supported."""


class MaskFileError(FileProblem):
    """A mask has the wrong size or type, or an index that no class has."""


class ProjectFileError(FileProblem):
    """project.json cannot be understood. The message names the field."""


class WeightsFileError(FileProblem):
    """Weights or a checkpoint are damaged, or belong to another architecture or class list."""


class StorageError(FileProblem):
    """A file could not be written; what was there before is untouched."""

    @classmethod
    def from_os_error(cls, path: Path | str, error: OSError) -> StorageError:
        """Say in one sentence why the write failed and what would help."""
        if error.errno == errno.ENOSPC:
            problem = "the disk is full; free some space and save again, nothing that existed was lost"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            problem = "this place is read-only; choose another folder or change its permissions"
        else:
            problem = f"cannot be written ({error.strerror or error}); nothing that existed was lost"
        return cls(path, problem)


class ProjectLockedError(MaskloopError):
    """Another process holds the project; the message says who."""


class DeviceError(MaskloopError):
    """A device was asked for that this machine, or its torch, does not have."""


class EncoderDownloadError(MaskloopError):
    """Pretrained weights could not be fetched; the message says what works without a network."""


class NothingToLearnError(MaskloopError):
    """The labels give a network nothing to learn from; the message says what to draw."""


class TrainingError(MaskloopError):
    """Training cannot go on; the message says what was saved."""


class LostProcessError(TrainingError):
    """One of the processes that share a run is gone. The run was cut short: it has not failed by itself."""


class EngineError(MaskloopError):
    """The engine process died, or did not answer in time."""
