"""A network's map of a whole image after post-processing; see `core.postprocess`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import ClassList
from core.learning.machine.memory import is_out_of_memory
from core.learning.prediction.class_maps import PredictedMap, PredictedRows
from core.learning.prediction.uncertainty import tempered
from core.postprocess.apply import check_possible, postprocess
from core.postprocess.pipeline import Pipeline


def check_classes_for(pipeline: Pipeline, classes: ClassList) -> None:
    """Raise UsageError where a network of these classes cannot be processed so, whatever the image."""
    check_possible(pipeline, (0, 0), classes.background, classes=len(classes))


def postprocessed(
    pipeline: Pipeline,
    found: PredictedMap,
    image: NDArray[np.uint8],
    classes: ClassList,
    *,
    temperature: float = 1.0,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
) -> PredictedMap:
    """The map after all steps of the pipeline, its confidence at this temperature.

    Args:
        pipeline: none of it: the map as it is.
        found: with probabilities; of all looks, where the pipeline asks for several (`looks.py`).
        image: (H, W, 3) uint8, RGB.
        classes: of the network's channels, in order.
        temperature: of what it says.
        device: where a CRF computes; on the CPU where the memory there is too small.
        between: called before every longer piece of work; what it raises ends the work.

    Raises:
        UsageError: see `check_possible`.
    """
    if not pipeline.on_maps:
        return found
    assert found.probabilities is not None
    shares: NDArray[np.floating] = found.probabilities
    if temperature != 1.0:
        shares = tempered(shares, temperature)
    values = np.array(classes.indices, np.uint8)
    for where in (torch.device(device), torch.device("cpu")):
        try:
            result = postprocess(
                pipeline,
                found.classes,
                shares,
                image,
                values,
                classes.background,
                device=where,
                between=between,
            )
        except RuntimeError as error:
            if where.type == "cpu" or not is_out_of_memory(error):
                raise
        else:
            return PredictedMap(*result, found.probabilities)
    raise AssertionError("the CPU either computes or raises")


def joined(rows: Iterable[PredictedRows | None]) -> Iterator[PredictedMap | None]:
    """The map of a whole picture from its rows, with what they have; None where `rows` has it."""
    parts: list[PredictedRows] = []
    for part in rows:
        if part is None:
            yield None
            continue
        if part.top == 0:  # again from the top, perhaps: memory ran out
            parts.clear()
        parts.append(part)
    shares = [part.probabilities for part in parts if part.probabilities is not None]
    yield PredictedMap(
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate(shares, axis=1) if shares else None,
    )
