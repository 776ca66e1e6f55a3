"""What a run that goes on had come to before: its curves and its last score, from its folder. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.learning.events import Validated
from core.learning.runs.comparison import EMPTY, Curve, curve_of, in_order, interval_of
from core.learning.runs.run_folder import RunFolder, Value, score_kind


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The beginning of a run.

    Attributes:
        loss, miou: up to the step it goes on from.
        last: the last score until then, as it was told but for the confusion matrix; None: there is none.
        anew_at: the step from which scores are on the same labels as the last one.
    """

    loss: Curve = EMPTY
    miou: Curve = EMPTY
    last: Validated | None = None
    anew_at: float = -math.inf


def read_past(folder: Path, step: int) -> Past:
    """Read what the run in a folder noted down up to a step. Raises StorageError."""
    rows = [row for row in RunFolder(folder).read_metrics() if _step(row) <= step]
    told = in_order(rows)
    scored = [row for row in told if row.get("val_on")]
    return Past(
        loss=curve_of(rows, "loss"),
        miou=curve_of(told, "val_miou"),
        last=_validated(scored[-1]) if scored else None,
        anew_at=_anew_at(rows, scored),
    )


def _anew_at(rows: Sequence[Mapping[str, Value]], scored: Sequence[Mapping[str, Value]]) -> float:
    """The step of the first of these scores since labels last changed; -inf: they have not."""
    told = {id(row) for row in scored}
    anew = [number for number, row in enumerate(rows) if row.get("val_anew")]
    since = rows[anew[-1] :] if anew else ()
    return next((_step(row) for row in since if id(row) in told), -math.inf)


def _step(row: Mapping[str, Value]) -> float:
    step = row.get("step")
    return step if isinstance(step, float) else float("inf")


def _validated(row: Mapping[str, Value]) -> Validated | None:
    """A score as it was told; None where its row is damaged."""
    numbers = {name: value for name, value in row.items() if isinstance(value, float)}
    on = score_kind(row.get("val_on"))
    if on is None or "seconds" not in numbers:
        return None
    names = [name.partition(":")[2] for name in row if name.startswith("val_iou:")]
    return Validated(
        step=int(numbers["step"]),
        seconds=numbers["seconds"],
        miou=numbers.get("val_miou"),
        per_class_iou={name: numbers.get(f"val_iou:{name}") for name in names},
        pixel_accuracy=numbers.get("val_pixel_accuracy"),
        on=on,
        images=int(numbers.get("val_images", 0)),
        best=False,
        interval=interval_of(numbers, "val_miou_low", "val_miou_high"),
        class_intervals={
            name: interval_of(numbers, f"val_iou_low:{name}", f"val_iou_high:{name}") for name in names
        },
        interval_over="parts" if row.get("val_interval_over") == "parts" else "images",
    )
