"""A run's folder: its configuration, its metrics, its log, its weights. Torch-free."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

import msgspec

from core.annotation.model import ClassList
from core.errors import ProjectFileError, StorageError, WeightsFileError
from core.files import TEMPORARY_PREFIX, write_atomic
from core.learning.config import TrainConfig
from core.learning.events import ScoredOn
from core.learning.runs.header import read_header

if TYPE_CHECKING:
    from core.project.project import Project

Value: TypeAlias = float | str | None

CLASS_COLUMNS: Final = ("val_iou:", "val_iou_low:", "val_iou_high:")
METRICS: Final = (
    *("step", "seconds", "loss", "lr", "val_miou", "val_pixel_accuracy", "val_on", "val_images"),
    *("val_miou_low", "val_miou_high", "val_interval_over"),
    *("val_ece", "val_ece_before", "temperature", "val_anew"),
)
"""First columns of metrics.csv. `val_iou:<class>` follow, and the ends of their intervals, `val_iou_low:` and
`val_iou_high:<class>`. Empty cells: not measured in that row. `val_anew` 1: labels that scores are taken on
have changed, and scores of earlier rows hold no more."""
JUDGED_AGAIN: Final = 2.0
"""In `val_anew`: as 1, and the score is of the best weights until then."""


@dataclass(frozen=True, slots=True)
class BestScore:
    """The score of a run's best weights, what kind of images it is on, and how many they are."""

    miou: float
    on: ScoredOn
    images: int | None = None

    @property
    def rank(self) -> tuple[bool, float]:
        """Of `score_rank`."""
        return score_rank(self.miou, self.on)


class RunFolder:
    """`runs/<date>-<model>/`. Reading takes what is there; a missing file is an empty one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] | None = None

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def started(self) -> datetime | None:
        """When the run began, local time, by its folder's name; None for a folder of another name."""
        try:
            return datetime.strptime(self.path.name[:19], "%Y-%m-%d_%H-%M-%S")
        except ValueError:
            return None

    def spoken_name(self, now: datetime | None = None) -> str:
        """What a person calls it: "run of 06:12", or with the day where that is not today's."""
        started = self.started
        if started is None:
            return f"run {self.path.name}"
        today = (datetime.now() if now is None else now).date()
        return f"run of {started:%H:%M}" if started.date() == today else f"run of {started:%d %b, %H:%M}"

    @property
    def config_file(self) -> Path:
        """How the run was configured, with everything the preset decided."""
        return self.path / "config.json"

    @property
    def metrics_file(self) -> Path:
        """One row every few steps and for every validation."""
        return self.path / "metrics.csv"

    @property
    def log_file(self) -> Path:
        """What the person was told, with times."""
        return self.path / "log.txt"

    @property
    def best_weights(self) -> Path:
        """The averaged weights that scored best."""
        return self.path / "best.safetensors"

    @property
    def deep_weights(self) -> Path:
        """The deep network's best, where both learners' are better; see `deep_part`."""
        return self.path / "deep.safetensors"

    @property
    def last_checkpoint(self) -> Path:
        """Where the run goes on from."""
        return self.path / "last.ckpt"

    @property
    def config(self) -> TrainConfig:
        """The configuration. Raises ProjectFileError when it cannot be read."""
        try:
            return msgspec.json.decode(self.config_file.read_bytes(), type=TrainConfig)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error}); start a new run"
            raise ProjectFileError(self.config_file, problem) from error
        except msgspec.DecodeError as error:
            raise ProjectFileError(self.config_file, f"{error}; mend it or start a new run") from error

    def write_config(self, config: TrainConfig) -> None:
        """Keep the configuration. Raises StorageError."""
        write_atomic(self.config_file, msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")

    def append_metrics(self, row: Mapping[str, Value]) -> None:
        """Add one row; the first row of a file decides its columns. Raises StorageError."""
        if self._columns is None:
            self._columns = self._columns_on_disk()
        starts = self._columns is None
        columns = list(row) if self._columns is None else self._columns
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        if starts:
            writer.writeheader()
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
        self._append(self.metrics_file, text.getvalue())
        self._columns = columns

    def read_metrics(self) -> list[dict[str, Value]]:
        """All rows: numbers as float, empty cells as None, other text as it is."""
        try:
            text = self.metrics_file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
            raise StorageError(self.metrics_file, problem) from error
        return [
            {name: _value(cell) for name, cell in row.items() if name is not None}
            for row in csv.DictReader(io.StringIO(text))
        ]

    def sweep(self) -> None:
        """Take away what a process left that was killed while it wrote. Nobody else may be writing now."""
        for path in self.path.glob(f"{TEMPORARY_PREFIX}*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink()

    def forget_metrics_after(self, step: int) -> None:
        """Drop rows of steps that a resumed run will do again. Raises StorageError."""
        rows = self.read_metrics()
        cut_off = self._ends_in_half_a_line()
        if cut_off and rows:
            rows.pop()
        kept = [row for row in rows if isinstance(row.get("step"), float) and row["step"] <= step]  # type: ignore[operator]
        if len(kept) == len(rows) and not cut_off:
            return
        if not kept:
            self.metrics_file.unlink(missing_ok=True)
            self._columns = None
            return
        columns = self._columns_on_disk() or list(METRICS)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in kept:
            cells = {name: "" if value is None else value for name, value in row.items()}
            writer.writerow({**cells, "step": int(row["step"])})  # type: ignore[arg-type]
        write_atomic(self.metrics_file, text.getvalue().encode())

    def rename_classes(self, names: Sequence[str]) -> None:
        """Give the columns of the classes' scores these names, in their order; the scores stay.

        Raises:
            StorageError: the file cannot be written; it is as it was then.
        """
        columns = self._columns_on_disk()
        if columns is None:
            return
        of_classes = [place for place, column in enumerate(columns) if column.startswith(CLASS_COLUMNS)]
        wanted = class_columns(names)
        if len(wanted) != len(of_classes):
            return  # of a program of before, or of other classes
        renamed = list(columns)
        for place, column in zip(of_classes, wanted, strict=True):
            renamed[place] = column
        if renamed == columns:
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(renamed)
        try:
            data = self.metrics_file.read_bytes()
        except OSError as error:
            raise StorageError.from_os_error(self.metrics_file, error) from error
        _, _, rows = data.partition(b"\n")
        write_atomic(self.metrics_file, text.getvalue().encode() + rows)
        self._columns = renamed

    def log(self, line: str, at: datetime | None = None) -> None:
        """Add a line with the time, now or `at`. Raises StorageError."""
        when = (datetime.now().astimezone() if at is None else at).isoformat(sep=" ", timespec="seconds")
        self._append(self.log_file, f"{when}  {line}\n")

    @property
    def best_miou(self) -> float | None:
        """The best validation mIoU; on training images where nothing was held out; None: no score yet."""
        best = self.best_score()
        return None if best is None else best.miou

    def best_score(self, rows: Iterable[Mapping[str, Value]] | None = None) -> BestScore | None:
        """The best score; one on training images only where there is no other.

        Args:
            rows: what `read_metrics` gave, where that is known.
        """
        found: BestScore | None = None
        for row in self.read_metrics() if rows is None else rows:
            miou, images = row.get("val_miou"), row.get("val_images")
            if row.get("val_anew"):
                found = None
            if not isinstance(miou, float):
                continue
            on = score_kind(row.get("val_on")) or "training"
            score = BestScore(miou, on, int(images) if isinstance(images, float) else None)
            if found is None or score.rank > found.rank:
                found = score
        return found

    def _ends_in_half_a_line(self) -> bool:
        """Whether metrics.csv was being written to when its process was killed."""
        try:
            with self.metrics_file.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read() != b"\n"
        except OSError:
            return False  # there is none, or it is empty

    def _columns_on_disk(self) -> list[str] | None:
        try:
            with self.metrics_file.open(encoding="utf-8", newline="") as file:
                return next(csv.reader(file), None)
        except OSError:
            return None

    def _append(self, file: Path, text: str) -> None:
        whole: int | None = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8", newline="") as stream:
                whole = stream.tell()
                stream.write(text)
        except OSError as error:
            if whole is not None:
                with contextlib.suppress(OSError):
                    os.truncate(file, whole)  # half a line would spoil the next one
            raise StorageError.from_os_error(file, error) from error


def best_run(project: Project) -> RunFolder | None:
    """The project's best run; see `best_of`."""
    return best_of(project.layout.runs_by_time(), project.classes)


def best_of(folders: Iterable[Path], classes: ClassList | None = None) -> RunFolder | None:
    """The run with the best validation mIoU among those that have weights; of equals the last.

    Scores on held-out images go before scores on training images, whatever their height. Scores of other
    classes than the project has by now compare with nothing: before all go runs that know just these, then
    those that know no other.
    """
    best: tuple[int, bool, float] | None = None
    found: RunFolder | None = None
    for path in folders:
        run = RunFolder(path)
        if not run.best_weights.is_file():
            continue
        try:
            score = run.best_score()
        except StorageError:
            score = None  # its weights can be read, perhaps, though not what was noted of them
        rank = _fit(run, classes), *((False, -1.0) if score is None else score.rank)
        if best is None or rank >= best:
            best, found = rank, run
    return found


def _fit(run: RunFolder, classes: ClassList | None) -> int:
    """How well the classes of a run's weights fit: 2 the same, 1 some of them, 0 others too, or unknown."""
    if classes is None:
        return 0
    try:
        known, present = set(read_header(run.best_weights).classes.indices), set(classes.indices)
    except WeightsFileError:
        return 0  # whoever chooses it will be told
    return 2 if known == present else int(known < present)


def class_columns(names: Iterable[str]) -> tuple[str, ...]:
    """The columns of classes' scores, one after the other kind."""
    known = tuple(names)
    return tuple(f"{column}{name}" for column in CLASS_COLUMNS for name in known)


def score_rank(score: float, on: str | None) -> tuple[bool, float]:
    """Greater is better: scores on images the network has not seen go before others, however high."""
    return on != "training", score


def score_kind(value: object) -> ScoredOn | None:
    """What a file says a score is on; None for a word that is none of these."""
    kinds: tuple[ScoredOn, ...] = get_args(ScoredOn)
    return next((kind for kind in kinds if kind == value), None)


def _value(cell: str | None) -> Value:
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
