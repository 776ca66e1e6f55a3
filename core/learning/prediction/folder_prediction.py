"""Many images predicted into files, in pieces of work small enough to wait between them.

::

    work = FolderPrediction(job)
    for image in work.steps():          None after every pass of the network, an `ImageDone` after every image
        ...                             here whoever drives it may train, predict something else, or stop
    work.close()

What is done is kept in a journal, so that the same job goes on where it was after any kind of end. An image
that cannot be read is named and the rest goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from core.errors import MaskloopError, StorageError, UsageError
from core.formats.prediction_files import NO_PIXELS, SUFFIXES, PredictionFiles
from core.images.pages import stamp
from core.images.pyramid import is_huge
from core.images.reader import read_image
from core.images.rows import PixelRows, WholePicture, open_rows
from core.learning.config import DeviceChoice
from core.learning.machine.memory import is_out_of_memory, why_given_up
from core.learning.prediction.class_maps import PredictedRows
from core.learning.prediction.folder_job import PredictionJob
from core.learning.prediction.looks import looked_again
from core.learning.prediction.postprocessed import check_classes_for, joined, postprocessed
from core.learning.prediction.predict import Predictor, open_known_predictor
from core.learning.prediction.prediction_journal import Predicted, PredictionJournal, identity
from core.learning.prediction.sources import Source, planned_names, sources
from core.learning.runs.header import as_called_now
from core.models.pretrained import Notify
from core.postprocess.apply import check_possible
from core.postprocess.pipeline import Pipeline
from core.project.layout import ProjectLayout
from core.project.opening import read_file

RATE_OVER: Final = 40
"""Images that the rate is measured over."""

Outcome: TypeAlias = Literal["predicted", "known", "failed"]


@dataclass(frozen=True, slots=True)
class ImageDone:
    """One image is dealt with.

    Attributes:
        outcome: predicted now; known from before; or failed, and `problem` says why.
        file: the result, None if it failed.
    """

    path: Path
    outcome: Outcome
    file: Path | None = None
    problem: str = ""


class FolderPrediction:
    """The work on one job. Belongs to one thread.

    Args:
        job: what is wanted.
        device: where to predict.
        notify: told what memory a prediction lacks and what is done about it.
        clock: monotonic, seconds; stands still while the job is held.

    Attributes:
        total: images of this job's share; 0 before `steps` has begun.
        outcomes: how many have come to what.

    Raises:
        WeightsFileError, DeviceError: of the weights; they know classes that the project has no more.
        UsageError: of the post-processing.
        StorageError: the folder of results cannot be made.
    """

    def __init__(
        self,
        job: PredictionJob,
        *,
        device: DeviceChoice = "auto",
        notify: Notify | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.job = job
        self.total = 0
        self.outcomes: dict[Outcome, int] = {"predicted": 0, "known": 0, "failed": 0}
        self._post = Pipeline.parsed(job.post)
        self.predictor: Predictor
        self.predictor, weights = open_known_predictor(Path(job.weights), device=device, notify=notify)
        root = None if job.root is None else Path(job.root)
        renamed = root is not None and self._rename(root)
        classes = self.predictor.header.classes
        check_classes_for(self._post, classes)
        self._clock = clock
        self._out = Path(job.out)
        # What was processed in another way, or called something else, is not done.
        self._weights = weights + (f" {self._post}" if self._post else "")
        self._weights += f" {' '.join(classes.names)}" if renamed else ""
        self._files = PredictionFiles(self._out, job.format, classes, root)
        self._journal = PredictionJournal(self._out, root, job.shard)
        for entry in self._journal.files:
            self._files.adopt(entry.file, entry.digest)
        if job.again:
            self._journal.forget()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reading ahead")
        self._finished_at: deque[float] = deque(maxlen=RATE_OVER + 1)
        self._under_way: str | None = None
        self._stamps: dict[Path, str] = {}

    @property
    def done(self) -> int:
        """Images that are dealt with, one way or another."""
        return sum(self.outcomes.values())

    @property
    def images_per_s(self) -> float | None:
        """Of the last images; None before there are two."""
        if len(self._finished_at) < 2 or self._finished_at[-1] <= self._finished_at[0]:
            return None
        return (len(self._finished_at) - 1) / (self._finished_at[-1] - self._finished_at[0])

    @property
    def seconds_left(self) -> float | None:
        """For what is left, at the rate of the last images."""
        rate = self.images_per_s
        return None if rate is None else (self.total - self.done) / rate

    def steps(self) -> Iterator[ImageDone | None]:
        """Do the work, piece by piece.

        Raises:
            MaskloopError: a folder or image that was named is not there.
            StorageError: results cannot be written any more.
        """
        share, count = self.job.shard
        everything = sources(
            self.job.images, subfolders=self.job.subfolders, without=self._out, results=self._results()
        )
        names = planned_names(everything, self._journal.names(self.job.format), SUFFIXES[self.job.format])
        mine = everything[share::count]
        self.total = len(mine)
        yield None
        left: list[Source] = []
        for source in mine:
            if self._is_done(source):
                yield self._count(ImageDone(source.path, "known", self._out / names[source.path]))
            else:
                left.append(source)
        ahead: Future[PixelRows | None] | None = None
        for number, source in enumerate(left):
            present = ahead if ahead is not None else self._begin_reading(source)
            following = left[number + 1] if number + 1 < len(left) else None
            ahead = None if following is None else self._begin_reading(following)
            yield from self._image(source, names[source.path], present)

    def close(self) -> None:
        """End in good order, whether all is done or not; may be called twice."""
        if self._under_way is not None:
            self._journal.leave(self._under_way)
            self._under_way = None
        self._journal.tidy()
        self._reader.shutdown(cancel_futures=True)

    # --- inside -------------------------------------------------------------------------------------------

    def _rename(self, root: Path) -> bool:
        """Call classes what the project calls them by now; whether one has another name than it had."""
        file, _ = read_file(ProjectLayout(root))
        if file is None:
            return False
        before = self.predictor.header
        self.predictor.header = as_called_now(Path(self.job.weights), before, file.class_list)
        return self.predictor.header.classes.names != before.classes.names

    def _results(self) -> frozenset[Path]:
        """Files of the folder of results that an earlier job wrote, and nobody since."""
        return frozenset(
            self._out.resolve() / e.file for e in self._journal.files if self._journal.is_there(e)
        )

    def _begin_reading(self, source: Source) -> Future[PixelRows | None]:
        self._stamps[source.path] = stamp(source.path)  # one that is replaced from now on is another image
        return self._reader.submit(_read, source.path)

    def _is_done(self, source: Source) -> bool:
        image = identity(source.path)
        return self._journal.is_done(image, stamp(source.path), self._weights, self.job.format)

    def _image(
        self, source: Source, name: str, present: Future[PixelRows | None]
    ) -> Iterator[ImageDone | None]:
        image = identity(source.path)
        if self.total > 1 and self._journal.is_fatal(image):
            problem = (
                f"{source.path}: the program ended twice while it was predicted, and so it is left out; look "
                "whether the file is sound, and predict it again by itself"
            )
            yield self._count(ImageDone(source.path, "failed", problem=problem))
            return
        self._journal.begin(image)
        self._under_way = image
        try:
            yield from self._predicted(source, name, present)
            file, problem = self._out / name, ""
        except StorageError:
            raise
        except MaskloopError as error:
            self._journal.leave(image)
            file, problem = None, str(error)
        self._under_way = None
        if file is None:
            yield self._count(ImageDone(source.path, "failed", problem=problem))
        else:
            yield self._count(ImageDone(source.path, "predicted", file))

    def _predicted(self, source: Source, name: str, present: Future[PixelRows | None]) -> Iterator[None]:
        """Predict one image and write its file. Raises FileProblem, MaskloopError."""
        stem = name.removesuffix(SUFFIXES[self.job.format])
        picture = present.result()
        if picture is not None:
            yield from self._written(source, stem, picture)
            return
        with open_rows(source.path) as streamed:
            yield from self._written(source, stem, streamed)

    def _written(self, source: Source, stem: str, picture: PixelRows) -> Iterator[None]:
        begun = self._files.begin(source.path, stem, picture.size_hw)
        tinted = self.job.format == "overlay"
        try:
            with _second_look(source.path, picture, wanted=tinted) as shown:
                for part in self._rows(source.path, picture):
                    if part is None:
                        yield None
                        continue
                    if part.top == 0 and begun.started:  # memory ran out, and the rows come again
                        begun.discard()
                        begun = self._files.begin(source.path, stem, picture.size_hw)
                    bottom = part.top + len(part.classes)
                    begun.add(shown.rows(part.top, bottom) if tinted else NO_PIXELS, part.classes)
            yield None
            ready = begun.ready()
        except BaseException:
            begun.discard()
            raise
        self._journal.coming(
            Predicted.of(
                source.path,
                ready,
                stamp=self._stamps[source.path],
                weights=self._weights,
                output_format=self.job.format,
            )
        )
        if not self._files.put(ready):
            raise MaskloopError(str(self._files.problems[-1]))

    def _rows(self, path: Path, picture: PixelRows) -> Iterator[PredictedRows | None]:
        """The map as rows, which are one with all of them where it is processed as a whole."""
        if not self._post:
            yield from self.predictor.stepwise(picture)
            return
        classes, height = self.predictor.header.classes, picture.size_hw[0]
        try:
            check_possible(self._post, picture.size_hw, classes.background, classes=len(classes))
        except UsageError as error:
            raise MaskloopError(f"{path}: {error}") from error
        try:
            for found in joined(self.predictor.stepwise(picture, probabilities=True)):
                if found is None:
                    yield None
                    continue
                image = picture.rows(0, height)
                seen = yield from looked_again(self.predictor, image, found, self._post.looks)
                done = postprocessed(
                    self._post,
                    seen,
                    image,
                    classes,
                    temperature=self.predictor.temperature,
                    device=self.predictor.device,
                )
                yield PredictedRows(0, done.classes, done.confidence)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            problem = f"{path}: {why_given_up(error)}; predict it without post-processing"
            raise MaskloopError(problem) from error

    def _count(self, image: ImageDone) -> ImageDone:
        self.outcomes[image.outcome] += 1
        if image.outcome != "known":
            self._finished_at.append(self._clock())
        return image


def _read(path: Path) -> PixelRows | None:
    """In the reading thread: an image of usual size, decoded; None for one that is to be streamed."""
    return None if is_huge(path) else WholePicture(read_image(path))


@contextlib.contextmanager
def _second_look(path: Path, picture: PixelRows, *, wanted: bool) -> Iterator[PixelRows]:
    """The same picture for another reader: the rows of an overlay are behind those the network is at."""
    if isinstance(picture, WholePicture) or not wanted:
        yield picture
        return
    with open_rows(path) as shown:
        yield shown
