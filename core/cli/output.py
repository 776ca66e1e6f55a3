"""What the commands print: progress on standard error, answers on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.errors import FileProblem
from core.learning.events import Event, Notice, StepDone, TrainingStarted, Validated
from core.learning.scores.bootstrap import Interval


def say(text: str) -> None:
    """One line of progress or warning."""
    print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """One line of the result."""
    print(text, flush=True)


def answer_json(fields: Mapping[str, Any]) -> None:
    """The result as one JSON object, in ASCII: it must be read again whatever the encoding of the output."""
    print(json.dumps(fields), flush=True)


def say_problems(problems: Sequence[FileProblem]) -> None:
    """Each file that was passed over, and why."""
    for problem in problems:
        say(f"warning: {problem}")


def percent(value: float | None) -> str:
    """An IoU for a table: `0.731`, or a dash where the class has no true pixel."""
    return "-" if value is None else f"{value:.3f}"


def class_table(
    per_class_iou: Mapping[str, float | None],
    miou: float | None,
    *,
    interval: Interval | None = None,
    class_intervals: Mapping[str, Interval | None] | None = None,
    notes: Mapping[str, str] | None = None,
) -> str:
    """A per-class table, the mean last, with what is known of how far each number can be trusted."""
    ends, remarks = dict(class_intervals or {}), dict(notes or {})
    rows = [("class", "IoU", "95 %" if any(ends.values()) or interval else "", "")]
    rows += [
        (name, percent(value), between(ends.get(name)), remarks.get(name, ""))
        for name, value in per_class_iou.items()
    ]
    rows.append(("mean", percent(miou), between(interval), ""))
    name_width, ends_width = (max(len(row[column]) for row in rows) for column in (0, 2))
    return "\n".join(
        f"{name:<{name_width}}  {value:<5}  {span:<{ends_width}}  {remark}".rstrip()
        for name, value, span, remark in rows
    )


def between(interval: Interval | None) -> str:
    """The ends of an interval, `0.551 to 0.683`; empty where there is none."""
    return "" if interval is None else f"{percent(interval.low)} to {percent(interval.high)}"


PROGRESS_EVERY_S: Final = 3.0


class ProgressPrinter:
    """Prints a training run's events as lines, at most one for each `every_s` of training."""

    def __init__(self, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._next_s = 0.0
        self._progress_text = ""
        self._progress_s = float("-inf")

    def on_event(self, event: Event) -> None:
        """Print the event if it is worth a line now."""
        match event:
            case TrainingStarted():
                self._started(event)
            case StepDone() if event.seconds >= self._next_s:
                self._next_s = event.seconds + self._every_s
                total = f"/{event.steps}" if event.steps else ""
                say(
                    f"step {event.step}{total}  {event.seconds:.0f} s  loss {event.loss:.4f}"
                    + (f"  {event.images_per_s:.1f} crops/s" if event.images_per_s else "")
                )
            case Validated():
                on = {"cross-fit": "cross-fitted"}.get(event.on, event.on)
                best = "  (best so far)" if event.best else ""
                ends = f" ({between(event.interval)})" if event.interval else ""
                say(
                    f"step {event.step}  mIoU {percent(event.miou)}{ends} on {event.images} {on} images{best}"
                )
                if (found := event.calibration) is not None:
                    say(
                        f"calibration error {found.error:.3f} at temperature {found.temperature:.2f},"
                        f" {found.error_before:.3f} without it"
                    )
            case Notice() if event.progress is not None:
                self._progress(event.text, event.progress)
            case Notice():
                say(event.text if event.level == "info" else f"warning: {event.text}")
            case _:
                pass

    def _progress(self, text: str, share: float) -> None:
        """What comes in many small pieces: a line now and then."""
        now_s = time.monotonic()
        if text == self._progress_text and now_s < self._progress_s + PROGRESS_EVERY_S:
            return
        self._progress_text, self._progress_s = text, now_s
        say(f"{text}: {share:.0%}")

    def _started(self, event: TrainingStarted) -> None:
        encoder = f" on {event.encoder}" if event.encoder else ""
        resumed = f", resumed at step {event.resumed_step}" if event.resumed_step is not None else ""
        say(f"{event.model}{encoder}, {event.device}{resumed}; run {event.run}")
        if event.validation_images:
            say(f"{len(event.train_images)} training, {len(event.validation_images)} validation images")
        else:
            images = len(event.train_images)
            say(f"{images} training images and none held out, so scores are on the training images")
        if event.weak_background:
            say("too little background is drawn yet: undrawn pixels count a little as background")
