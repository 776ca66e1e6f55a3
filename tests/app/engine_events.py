"""What the engine says, made up for tests: events with usual values, of which a test changes what matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import ClassList, LabelClass
from core.learning.events import Finished, Prediction, StepDone, TrainingStarted, Validated
from core.learning.labels.packed_mask import PackedMask

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "nerve", "#ffcc00")), 0)


def started(run: str = "/runs/a", **changes: object) -> TrainingStarted:
    values: dict[str, object] = {
        "run": run, "model": "unet", "encoder": None, "device": "CPU, 2 threads", "classes": CLASSES,
        "train_images": ("a",), "validation_images": (), "weak_background": False,
    }  # fmt: skip
    return TrainingStarted(**(values | changes))  # type: ignore[arg-type]


def step(number: int, loss: float = 1.0, **changes: object) -> StepDone:
    values: dict[str, object] = {
        "step": number, "seconds": number / 4, "loss": loss, "lr": 1e-3, "steps": None,
        "time_budget_s": 300.0, "images_per_s": 12.34, "memory_bytes": None,
    }  # fmt: skip
    return StepDone(**(values | changes))  # type: ignore[arg-type]


def validated(number: int, miou: float | None, **changes: object) -> Validated:
    values: dict[str, object] = {
        "step": number, "seconds": number / 4, "miou": miou,
        "per_class_iou": {"background": 0.9, "nerve": None}, "pixel_accuracy": 0.9, "on": "validation",
        "images": 3, "best": True,
    }  # fmt: skip
    return Validated(**(values | changes))  # type: ignore[arg-type]


def finished(run: str = "/runs/a", **changes: object) -> Finished:
    values: dict[str, object] = {
        "run": run, "model": "unet", "steps": 840, "seconds": 192.0, "best_miou": 0.5, "per_class_iou": {},
        "resumed_step": None, "reason": "stopped",
    }  # fmt: skip
    return Finished(**(values | changes))  # type: ignore[arg-type]


def prediction(
    key: str = "a",
    classes: NDArray[np.uint8] | None = None,
    confidence: NDArray[np.uint8] | None = None,
    **changes: object,
) -> Prediction:
    """Of one pixel of background, unless a map of classes is given, and sure unless told otherwise."""
    if classes is None:
        classes = np.zeros((1, 1), np.uint8)
    if confidence is None:
        confidence = np.full(classes.shape, 255, np.uint8)
    values: dict[str, object] = {
        "key": key, "revision": 0, "weights_version": 1, "classes": PackedMask.pack(classes),
        "confidence": PackedMask.pack(confidence), "source": "U-Net, step 840", "seconds": 0.1,
    }  # fmt: skip
    return Prediction(**(values | changes))  # type: ignore[arg-type]
