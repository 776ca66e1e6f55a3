"""Runs beside one another: what their folders say, and where they differ. Torch-free; the window's worker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.learning.config import AUTO_MODEL, TrainConfig
from core.learning.labels.revisions import read_seen
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import JUDGED_AGAIN, RunFolder, Value
from core.learning.scores.bootstrap import Interval
from core.models.registry import model_spec

Floats = NDArray[np.float64]

HELD_OUT: Final = ("validation", "cross-fit")


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A quantity over training: steps, training seconds and values, each (N,)."""

    steps: Floats
    seconds: Floats
    values: Floats

    def __len__(self) -> int:
        return len(self.values)


EMPTY: Final = Curve(np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedRun:
    """What is known of one run.

    Attributes:
        path: its folder. name: "run of 06:12". title: of the network.
        config: every setting as text.
        loss, miou: as they were noted down; without scores that older weights were given again.
        score: the best mIoU, of the weights that are kept. interval: its 95 % interval, where it is known.
        per_class, class_intervals: the same of every class.
        on: what was scored: "validation", "cross-fit", "training"; "" where nothing was.
        images: how many were. held_out: which, where the run noted it down.
        classes: the run's own; None where no weights are kept.
        problem: what cannot be read, in one sentence.
    """

    path: str
    name: str
    title: str = ""
    config: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    loss: Curve = EMPTY
    miou: Curve = EMPTY
    score: float | None = None
    interval: Interval | None = None
    per_class: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))
    class_intervals: Mapping[str, Interval | None] = field(default_factory=lambda: MappingProxyType({}))
    on: str = ""
    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    held_out: tuple[str, ...] | None = None
    classes: ClassList | None = None
    problem: str = ""


def read_compared(path: Path) -> ComparedRun:
    """Read a run's folder; what cannot be read is said in `problem`."""
    run = RunFolder(path)
    found = ComparedRun(path=str(path), name=run.spoken_name())
    try:
        config, rows = run.config, run.read_metrics()
    except MaskloopError as error:
        return ComparedRun(path=found.path, name=found.name, problem=str(error))
    problem, classes, held_out = "", None, None
    try:
        seen = read_seen(path)
        held_out = None if seen is None else seen.held_out
        classes = read_header(run.best_weights).classes
    except MaskloopError as error:
        problem = str(error)
    best = _best_row(rows)
    numbers = {name: value for name, value in best.items() if isinstance(value, float)}
    names = [name.partition(":")[2] for name in best if name.startswith("val_iou:")]
    return ComparedRun(
        path=found.path,
        name=found.name,
        title=title_of_run(config),
        config=_texts(config),
        loss=curve_of(rows, "loss"),
        miou=curve_of(in_order(rows), "val_miou"),
        score=numbers.get("val_miou"),
        interval=interval_of(numbers, "val_miou_low", "val_miou_high"),
        per_class={name: numbers.get(f"val_iou:{name}") for name in names},
        class_intervals={
            name: interval_of(numbers, f"val_iou_low:{name}", f"val_iou_high:{name}") for name in names
        },
        on=str(best.get("val_on") or ""),
        images=int(numbers.get("val_images", 0)),
        steps=int(max((row["step"] for row in rows if isinstance(row.get("step"), float)), default=0)),  # type: ignore[type-var,arg-type]
        seconds=max((s for row in rows if isinstance(s := row.get("seconds"), float)), default=0.0),
        held_out=held_out,
        classes=classes,
        problem=problem,
    )


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of every run, in the runs' order."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs do not agree."""
        return len(set(self.values)) > 1


def settings_of(runs: Sequence[ComparedRun]) -> tuple[SettingRow, ...]:
    """Every setting that a run has, "" where one has it not; those that differ come first."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    rows = [SettingRow(name, tuple(run.config.get(name, "") for run in runs)) for name in names]
    return tuple(sorted(rows, key=lambda row: not row.differs))


def class_names_of(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Every class that one of the runs knows, in the first run's order."""
    return tuple(dict.fromkeys(name for run in runs for name in _class_names(run)))


def knows(run: ComparedRun, name: str) -> bool:
    """Whether the run has this class."""
    return name in _class_names(run)


def remarks_on(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """What to bear in mind when these are compared, one sentence each."""
    said = []
    known = [run for run in runs if _class_names(run)]
    shared = set.intersection(*(set(_class_names(run)) for run in known)) if known else set()
    others = [name for name in class_names_of(known) if name not in shared]
    if others:
        listed = ", ".join(others)
        said.append(
            f"The classes differ ({listed} {'is' if len(others) == 1 else 'are'} not in all): a mean over"
            " other classes is another number."
        )
    scored = [run for run in runs if run.on]
    kinds = {run.on in HELD_OUT for run in scored}
    if len(kinds) > 1:
        said.append("Some scores are on training images, some on images kept apart: do not compare them.")
    elif {run.on for run in scored} == {"training"} and len(scored) > 1:
        said.append("The scores are on training images: they say little about other images.")
    elif len({run.on for run in scored}) > 1 or _judged_on_others(scored):
        said.append("The scores are not of the same images: small differences mean nothing.")
    said += [f"{_capital(run.name)}: {run.problem}." for run in runs if run.problem]
    return tuple(said)


def _judged_on_others(runs: Sequence[ComparedRun]) -> bool:
    sets = {run.held_out for run in runs if run.held_out is not None}
    return len(sets) > 1 or len({run.images for run in runs}) > 1


def _class_names(run: ComparedRun) -> tuple[str, ...]:
    return run.classes.names if run.classes is not None else tuple(run.per_class)


def _best_row(rows: Sequence[Mapping[str, Value]]) -> Mapping[str, Value]:
    """The row of the best score on held-out images, else on training images; of equals the last."""
    anew = [number for number, row in enumerate(rows) if row.get("val_anew")]
    rows = rows[anew[-1] :] if anew else rows  # earlier scores are on labels that have changed since
    scored = [row for row in rows if isinstance(row.get("val_miou"), float)]
    held_out = [row for row in scored if row.get("val_on") in HELD_OUT]
    best: Mapping[str, Value] = {}
    for row in held_out or scored:
        if not best or row["val_miou"] >= best["val_miou"]:  # type: ignore[operator]
            best = row
    return best


def in_order(rows: Sequence[Mapping[str, Value]]) -> list[Mapping[str, Value]]:
    """Rows of metrics.csv without those of older weights that were judged again (`judged_again.py`).

    Older files tell those only by their steps, which run backwards. Others that are noted as taken anew stay:
    the first score on labels that have changed, and that of both learners, at the step of the last one.
    """
    kept: list[Mapping[str, Value]] = []
    newest = -math.inf
    for row in rows:
        step = row.get("step")
        if row.get("val_on") and isinstance(step, float):
            if row.get("val_anew") == JUDGED_AGAIN or (row.get("val_anew") and step < newest):
                continue
            newest = max(newest, step)
        kept.append(row)
    return kept


def curve_of(rows: Sequence[Mapping[str, Value]], column: str) -> Curve:
    """A column of metrics.csv over training, where it has a finite number."""
    points = [
        (row["step"], row["seconds"], row[column])
        for row in rows
        if all(isinstance(row.get(name), float) for name in ("step", "seconds", column))
    ]
    table = np.array(points, np.float64).reshape(-1, 3)
    table = table[np.isfinite(table).all(axis=1)]
    return Curve(*table.T)


def interval_of(numbers: Mapping[str, float], low: str, high: str) -> Interval | None:
    """The interval whose ends these columns have; None where one is empty."""
    return Interval(numbers[low], numbers[high]) if low in numbers and high in numbers else None


def title_of_run(config: TrainConfig) -> str:
    """What people call the network of a run, or both learners."""
    try:
        title = model_spec(config.network).title
    except MaskloopError:
        title = config.model
    return f"Both learners ({title})" if config.join_instant or config.model == AUTO_MODEL else title


def _texts(config: TrainConfig) -> dict[str, str]:
    """Every setting as a person would write it; options of the network by their own names."""
    settings = asdict(config)
    options = dict(settings.pop("model_options"))
    return {name: _text(value) for name, value in {**settings, **options}.items()}


def _text(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
