"""Which labels a run has seen: of every image a digest of its mask and state, kept beside the weights.

`labels.json` of a run folder::

    {"schema": 1, "held_out": [key, ...],
     "last": {"step": int, "images": {key: "<state> <digest>", ...}},
     "best": {"step": int, "differs": {key: "<state> <digest>" or null, ...}}}

`last` belongs to `last.ckpt` and has been so since its step; `best` belongs to `best.safetensors` and holds
only what differs (null: an image that came later). 64 bits of a digest tell ten thousand images' labels apart
without a doubt. Needs no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from core.errors import ProjectFileError, StorageError
from core.files import write_atomic

if TYPE_CHECKING:
    from core.learning.labels.data import LabelStore

_log = logging.getLogger(__name__)

SCHEMA: Final = 1
FILE_NAME: Final = "labels.json"
_DIGEST_CHARACTERS: Final = 16


def labels_now(store: LabelStore) -> dict[str, str]:
    """Every labelled image: its state, and a digest of mask and state."""
    found = (store.get(key) for key in store.labelled_keys())
    return {labels.key: f"{labels.state} {labels.digest[:_DIGEST_CHARACTERS]}" for labels in found}


@dataclass(frozen=True, slots=True)
class SeenLabels:
    """What one set of weights has seen.

    Attributes:
        step: of the run, when the weights were saved.
        images: as `labels_now`.
        held_out: images it was scored on and did not learn from.
    """

    step: int
    images: Mapping[str, str]
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unseen:
    """What has changed since.

    Attributes:
        new: images labelled since. changed: drawn on, or of another state, since.
        gone: not labelled any more.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @classmethod
    def between(cls, seen: Mapping[str, str], now: Mapping[str, str]) -> Unseen:
        """What `now` has that was not `seen`; both as `labels_now`."""
        return cls(
            new=tuple(key for key in now if key not in seen),
            changed=tuple(key for key in now if key in seen and seen[key] != now[key]),
            gone=tuple(key for key in seen if key not in now),
        )

    @property
    def sentence(self) -> str:
        """For people, to follow the name of a run or its weights."""
        parts = []
        if self.new:
            parts.append(f"{_images(len(self.new))} labelled since")
        if self.changed:
            parts.append(f"changes on {_images(len(self.changed))}")
        text = f"has not seen {' and '.join(parts)}" if parts else "has seen all labels as they are"
        if self.gone:
            text += f"; labels of {_images(len(self.gone))} are gone since"
        return text


@dataclass(slots=True)
class LabelsRecord:
    """Keeps `labels.json` of one run up to date; writes only what is new.

    Args:
        folder: of the run.
    """

    folder: Path
    _best: SeenLabels | None = field(default=None, init=False)
    _last: SeenLabels | None = field(default=None, init=False)

    def note(self, seen: SeenLabels, *, best: SeenLabels | None = None) -> None:
        """The checkpoint has been saved, and with `best` also best weights that saw those.

        Raises:
            StorageError: it cannot be written.
        """
        if self._last is None and best is None:
            self._best = self._kept()
        known = self._last
        same = known is not None and (known.images, known.held_out) == (seen.images, seen.held_out)
        if same and best is None:
            return  # thousands of images are not written every ten seconds for a number
        kept = self._best if best is None else best
        record = _Record(
            schema=SCHEMA,
            held_out=list(seen.held_out),
            last=_Last(step=seen.step, images=dict(seen.images)),
            best=None if kept is None else _Best(kept.step, _differences(kept.images, seen.images)),
        )
        write_atomic(self.folder / FILE_NAME, msgspec.json.encode(record) + b"\n")
        self._last, self._best = seen, kept

    def _kept(self) -> SeenLabels | None:
        """What best weights of an earlier sitting saw; of a damaged file, which is written anew, None."""
        try:
            return read_seen(self.folder)
        except ProjectFileError as error:
            _log.warning("%s; it is written anew", error)
            return None


def read_seen(folder: Path) -> SeenLabels | None:
    """What the best weights of a run have seen; None for a run that did not note it down.

    Raises:
        ProjectFileError: the file is damaged.
        StorageError: it cannot be read.
    """
    path = folder / FILE_NAME
    try:
        record = msgspec.json.decode(path.read_bytes(), type=_Record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(path, f"cannot be read ({error.strerror or error})") from error
    except msgspec.DecodeError as error:
        raise ProjectFileError(
            path, f"{error}; it only tells which labels the run has seen: delete it"
        ) from error
    if record.best is None:
        return None
    images: dict[str, str] = dict(record.last.images)
    for key, value in record.best.differs.items():
        if value is None:
            images.pop(key, None)
        else:
            images[key] = value
    return SeenLabels(record.best.step, images, tuple(record.held_out))


class _Last(msgspec.Struct):
    step: int
    images: dict[str, str]


class _Best(msgspec.Struct):
    step: int
    differs: dict[str, str | None]


class _Record(msgspec.Struct):
    """The file."""

    schema: int
    held_out: list[str]
    last: _Last
    best: _Best | None = None


def _differences(of: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str | None]:
    """What has to be changed in `base` to get `of`."""
    changed: dict[str, str | None] = {key: value for key, value in of.items() if base.get(key) != value}
    return changed | {key: None for key in base if key not in of}


def _images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"
