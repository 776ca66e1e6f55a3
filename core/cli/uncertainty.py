"""`maskloop predict --uncertainty`: a grey picture of how uncertain each prediction is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.cli.output import say
from core.errors import MaskloopError, StorageError, UsageError
from core.formats.prediction_files import NO_PIXELS, PredictionFiles, ReadyFile
from core.images.pages import stamp
from core.images.rows import open_rows
from core.learning.config import DeviceChoice
from core.learning.overlay.doubt_rows import uncertain_rows
from core.learning.overlay.doubt_sources import check_source
from core.learning.prediction.folder_prediction import ImageDone
from core.learning.prediction.predict import open_known_predictor
from core.learning.prediction.prediction_journal import Predicted, PredictionJournal, identity
from core.learning.prediction.uncertainty import UncertaintySource
from core.learning.runs.ensemble_members import members_beside

FOLDER: Final = "uncertainty"
"""Below the folder of the predictions."""
FORMAT: Final = "uncertainty"
"""Of the files, as `PredictionFiles` calls it."""
_FATAL: Final = (
    "the program ended twice while its uncertainty was computed, and so it is left out; predict it by itself"
)


def refuse_same_places(images: Sequence[Path]) -> None:
    """Predictions of a subfolder of that name would lie where these pictures do. Raises UsageError."""
    for folder in images:
        if (folder / FOLDER).is_dir():
            raise UsageError(
                f"{folder / FOLDER}: the predictions of this folder would be written where the pictures of"
                " the uncertainty are; rename it, or leave out --subfolders or --uncertainty"
            )


class UncertaintyFiles:
    """Writes such pictures: 0 is sure, 255 one bit of entropy or more.

    Args:
        source: what the uncertainty is taken from.
        weights: of the network that predicts. run: its run's folder; None for a bare file.
        members: files of the other networks of an ensemble; none: those of the runs beside `run`.

    Raises:
        MaskloopError: this network, or these, cannot be asked so.
    """

    def __init__(
        self,
        source: UncertaintySource,
        weights: Path,
        run: Path | None,
        members: Sequence[Path],
        device: DeviceChoice,
    ) -> None:
        self._source = source
        self._predictor, made_from = open_known_predictor(weights, device=device)
        if source == "ensemble" and not members and run is not None:
            members = members_beside(run, self._predictor.header.classes)
        others = [open_known_predictor(member, device=device) for member in members]
        self._others = [other for other, _ in others]
        check_source(source, self._predictor, self._others)
        self._made_from = " ".join([source, made_from, *(digest for _, digest in others)])

    def write(
        self,
        done: Sequence[ImageDone],
        out: Path,
        root: Path | None,
        *,
        shard: tuple[int, int] = (0, 1),
        again: bool = False,
    ) -> list[Path]:
        """Make the pictures of these images, in a folder of their own below `out`; those that are there then.

        A picture that was made of the same image, weights and source before is left alone, so that the same
        command goes on where it was ended.

        Args:
            done: images that are dealt with; those without a prediction get no picture.
            out: the folder of the predictions.
            root: the project the weights come from; None for a bare file.
            shard: number and count of the programs that share the work.
            again: make also what was made before.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder = out / FOLDER
        journal = PredictionJournal(folder, root, shard)
        found: list[Path] = []
        files = PredictionFiles(folder, FORMAT, self._predictor.header.classes, root)
        for entry in journal.files:
            files.adopt(entry.file, entry.digest)
        if again:
            journal.forget()
        try:
            for image in done:
                if image.file is None:
                    continue
                name = image.file.relative_to(out).with_suffix(".png").as_posix()
                if len(done) > 1 and journal.is_fatal(identity(image.path)):
                    say(f"warning: {image.path}: {_FATAL}")
                elif self._is_there(image.path, journal) or self._made(image.path, name, files, journal):
                    found.append(folder / name)
        finally:
            journal.tidy()
        return found

    def _is_there(self, image: Path, journal: PredictionJournal) -> bool:
        return journal.is_done(identity(image), stamp(image), self._made_from, FORMAT)

    def _made(self, image: Path, name: str, files: PredictionFiles, journal: PredictionJournal) -> bool:
        """Whether the picture could be made; why not is said."""
        key, before = identity(image), stamp(image)
        journal.begin(key)
        try:
            ready = self._drawn(image, name, files)
        except StorageError:
            raise
        except MaskloopError as error:
            say(f"warning: {error}")
            return False
        finally:
            journal.leave(key)
        journal.coming(
            Predicted.of(image, ready, stamp=before, weights=self._made_from, output_format=FORMAT)
        )
        if not files.put(ready):
            say(f"warning: {files.problems[-1]}")
            return False
        say(f"uncertainty of {image.name}")
        return True

    def _drawn(self, image: Path, name: str, files: PredictionFiles) -> ReadyFile:
        with open_rows(image) as picture:
            begun = files.begin(image, name.removesuffix(".png"), picture.size_hw)
            try:
                for rows in uncertain_rows(self._source, self._predictor, picture, self._others):
                    begun.add(NO_PIXELS, rows)
                return begun.ready()
            except BaseException:
                begun.discard()
                raise
