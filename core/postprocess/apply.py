"""A pipeline done to one image's prediction. Works on whole images, so tiles leave no trace in the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UsageError
from core.postprocess.dense_crf import dense_crf
from core.postprocess.pipeline import DenseCrf, FillHoles, Looks, Pipeline, SmallRegions, Watershed
from core.postprocess.regions import fill_holes, remove_small_regions
from core.postprocess.watershed import part_touching

MOST_PIXELS: Final = 40_000_000
MOST_CRF_PIXELS: Final = 13_000_000
"""Its lattice needs about 0.5 GB a megapixel."""
USUAL_CLASSES: Final = 20
"""With more of them than these, whose probabilities are all held at once, images must be so much smaller."""


def check_possible(
    pipeline: Pipeline, size_hw: tuple[int, int], background: int | None, *, classes: int
) -> None:
    """Raise UsageError where such an image, or one of a network without background, cannot be processed.

    Args:
        pipeline: the steps.
        size_hw: of the image.
        background: index of the background class; None for none.
        classes: how many there are.
    """
    if background is None and any(isinstance(step, Watershed) for step in pipeline.steps):
        raise UsageError(
            "watershed parts objects by lines of background, and these classes have no background"
        )
    crf = any(isinstance(step, DenseCrf) for step in pipeline.steps)
    most = (MOST_CRF_PIXELS if crf else MOST_PIXELS) * USUAL_CLASSES // max(classes, USUAL_CLASSES)
    height, width = size_hw
    if pipeline and height * width > most:
        what = "crf needs" if crf else "post-processing needs"
        many = f" with {classes} classes" if classes > USUAL_CLASSES else ""
        raise UsageError(
            f"{what} the whole image in memory, which works up to {most / 1e6:.3g} megapixels{many};"
            f" this one has {height * width / 1e6:.0f}: predict it without"
        )


def postprocess(
    pipeline: Pipeline,
    classes: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    image: NDArray[np.uint8],
    values: NDArray[np.uint8],
    background: int | None,
    *,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Classes and confidence of an image after all steps.

    Args:
        pipeline: the steps; what comes from several looks is in `classes` and `probabilities` already.
        classes: (H, W) class indices as the network has them.
        probabilities: (C, H, W) of the whole image, at the temperature the confidence is to have.
        image: (H, W, 3) uint8, RGB.
        values: (C,) the class index of each channel.
        background: index of the background class; None for none.
        device: where a CRF computes.
        between: called before every longer piece of work; what it raises ends the work.

    Returns:
        (H, W) uint8 class indices; and (H, W) uint8, 0..255, the probability of that class, after the CRF
        where there is one, even if the class won by a later step.

    Raises:
        UsageError: see `check_possible`.
    """
    check_possible(pipeline, (image.shape[0], image.shape[1]), background, classes=len(values))
    steps = pipeline.on_maps
    if steps and isinstance(steps[0], DenseCrf):
        probabilities = dense_crf(probabilities, image, steps[0], device=device, between=between)
        steps = steps[1:]
        classes = values[probabilities.argmax(axis=0)]
    for step in steps:
        between()
        match step:
            case SmallRegions():
                classes = remove_small_regions(classes, step.pixels, background)
            case FillHoles():
                classes = fill_holes(classes, step.pixels, background)
            case Watershed():
                assert background is not None
                classes = part_touching(classes, step, background, between=between)
            case DenseCrf() | Looks():
                raise AssertionError("`Pipeline.parsed` lets neither of them stand here")
            case _:
                assert_never(step)
    return classes, _confidence(classes, probabilities, values)


def _confidence(
    classes: NDArray[np.uint8], probabilities: NDArray[np.floating], values: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    channel = np.zeros(256, np.intp)
    channel[values] = np.arange(len(values))
    own = np.take_along_axis(probabilities, channel[classes][None], axis=0)[0]
    return np.asarray(np.rint(own.astype(np.float32).clip(0.0, 1.0) * 255.0), np.uint8)
