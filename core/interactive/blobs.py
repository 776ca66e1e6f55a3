"""Blob proposals: regions that stand out from their surroundings, for a person to pick from.

Two detectors. *LoG* finds round things of a range of sizes: extrema, over place and scale, of the scale-
normalised Laplacian of Gaussian (T. Lindeberg, "Feature Detection with Automatic Scale Selection", IJCV
1998); each one's outline comes from a threshold of its own (N. Otsu, 1979) in its neighbourhood. *MSER* finds
regions of any form whose outline hardly depends on the threshold (J. Matas et al., "Robust Wide Baseline
Stereo from Maximally Stable Extremal Regions", BMVC 2002).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, assert_never

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interactive.window import Mask, Patch, PixelBox, Pixels, checked_image, overlap, without_holes

BlobKind: TypeAlias = Literal["log", "mser"]

SCALES: Final = 7
"""Sizes tried between the smallest and the largest radius."""
_SHRINK_FROM: Final = 6.0
"""Sigma, pixels, from which on a scale is computed on a smaller image: its cost stays the same."""
_REACH: Final = 1.6
"""The neighbourhood in which a blob's own threshold is found, in radii."""
_LEAST_CONTRAST: Final = 4.0
"""Grey levels a blob stands out at least."""
_FAINT: Final = 0.15
"""Candidates that stand out less than this share of what the clearest do are texture of the ground."""
_MOST_TAKEN: Final = 0.25
"""A candidate that shares more of its pixels with better ones is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """One candidate.

    Attributes:
        patch: its pixels, one connected part without holes.
        center: x, y, image pixels.
        radius: of a disc of its area, pixels.
        score: grey levels it stands out from its surroundings; candidates come best first.
    """

    patch: Patch
    center: tuple[float, float]
    radius: float
    score: float


def blob_candidates(
    image: Pixels,
    *,
    min_radius: float,
    max_radius: float,
    kind: BlobKind = "log",
    dark: bool | None = None,
    limit: int = 1000,
    box: PixelBox | None = None,
) -> tuple[Blob, ...]:
    """Regions that stand out, best first, no two sharing a pixel.

    Args:
        image: (H, W, 3) uint8.
        min_radius: of a disc of the same area, pixels.
        max_radius: of a disc of the same area, pixels.
        kind: "log" for round things, "mser" for any form with a steady outline.
        dark: darker than their surroundings, or brighter; None: whichever stands out more on this image.
        limit: at most so many.
        box: the part of the image to look at; None: all of it.

    Raises:
        ValueError: not an image, a range of radii that is empty or below one pixel, an unknown kind, or a
            box without a pixel of the image.
    """
    height, width = checked_image(image).shape[:2]
    if not 1 <= min_radius <= max_radius:
        raise ValueError(f"radii must be 1 <= smallest <= largest, not {min_radius} and {max_radius}")
    x0, y0, x1, y1 = overlap(box or (0, 0, width, height), (0, 0, width, height))
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"the box {box} has no pixel of the image of {width} x {height} pixels")
    grey = cv2.cvtColor(np.ascontiguousarray(image[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
    if dark is None and kind == "log":
        dark = _darker_stands_out(grey, min_radius, max_radius)
    sides = (True, False) if dark is None else (dark,)
    found = [_detected(grey, kind, min_radius, max_radius, dark=side, limit=limit) for side in sides]
    best = max(found, key=lambda blobs: sum(blob.score * blob.patch.area for blob in blobs))
    return tuple(
        Blob(
            Patch(blob.patch.mask, blob.patch.x + x0, blob.patch.y + y0),
            (blob.center[0] + x0, blob.center[1] + y0),
            blob.radius,
            blob.score,
        )
        for blob in best
    )


def _detected(
    grey: NDArray[Any], kind: BlobKind, min_radius: float, max_radius: float, *, dark: bool, limit: int
) -> list[Blob]:
    bright = cv2.bitwise_not(grey) if dark else grey
    if kind == "log":
        proposals: Iterable[Patch] = _log_regions(bright, min_radius, max_radius, limit)
    elif kind == "mser":
        proposals = _mser_regions(bright, min_radius, max_radius)
    else:
        assert_never(kind)
    blurred = cv2.GaussianBlur(bright, (0, 0), 1.0)
    blobs = [
        blob
        for patch in proposals
        if (blob := _blob(patch, blurred)) is not None
        and min_radius <= blob.radius <= max_radius
        and blob.score >= _LEAST_CONTRAST
    ]
    if not blobs:
        return []
    clear = float(np.percentile([blob.score for blob in blobs], 90))
    return _apart([b for b in blobs if b.score >= _FAINT * clear], grey.shape, limit, min_radius)


def _blob(patch: Patch, bright: NDArray[Any]) -> Blob | None:
    """Measure a region: place, size, and how far it stands out from a ring around it."""
    patch = patch.trimmed()
    if patch.mask.size == 0:
        return None
    radius = math.sqrt(patch.area / math.pi)
    rim = max(2, round(radius / 3))
    x0, y0, x1, y1 = patch.box
    box = overlap((x0 - rim, y0 - rim, x1 + rim, y1 + rim), (0, 0, bright.shape[1], bright.shape[0]))
    own = patch.within(box)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    ring = (cv2.dilate(own.astype(np.uint8), kernel) != 0) & ~own
    if not ring.any():
        return None
    pixels = bright[box[1] : box[3], box[0] : box[2]]
    score = float(pixels[own].mean()) - float(pixels[ring].mean())
    rows, columns = np.nonzero(own)
    center = float(columns.mean()) + box[0] + 0.5, float(rows.mean()) + box[1] + 0.5
    return Blob(patch, center, radius, score)


def _apart(blobs: list[Blob], size_hw: tuple[int, int], limit: int, min_radius: float) -> list[Blob]:
    """The best ones, each without the pixels that better ones have."""
    free = np.ones(size_hw, dtype=np.bool_)
    kept: list[Blob] = []
    for blob in sorted(blobs, key=lambda each: (-each.score, each.center)):
        x0, y0, x1, y1 = blob.patch.box
        left = blob.patch.mask & free[y0:y1, x0:x1]
        if np.count_nonzero(left) < (1 - _MOST_TAKEN) * blob.patch.area:
            continue
        left = _largest_part(left)
        area = int(np.count_nonzero(left))
        if area < math.pi * min_radius**2 / 2:
            continue
        patch = Patch(left, x0, y0).trimmed()
        kept.append(Blob(patch, blob.center, math.sqrt(area / math.pi), blob.score))
        free[y0:y1, x0:x1] &= ~left
        if len(kept) == limit:
            break
    return kept


# --- LoG --------------------------------------------------------------------------------------------------


def _log_regions(bright: NDArray[Any], min_radius: float, max_radius: float, limit: int) -> Iterator[Patch]:
    """Regions around the extrema of the Laplacian of Gaussian, strongest first."""
    extrema = _log_extrema(bright, min_radius, max_radius)
    blurred = cv2.GaussianBlur(bright, (0, 0), 1.0)
    taken = np.zeros(bright.shape, dtype=np.bool_)
    for x, y, radius in extrema[: 4 * limit]:
        if taken[y, x]:
            continue
        patch = _own_region(blurred, x, y, radius)
        if patch is not None:
            x0, y0, x1, y1 = patch.box
            taken[y0:y1, x0:x1] |= patch.mask
            yield patch


def _log_extrema(bright: NDArray[Any], min_radius: float, max_radius: float) -> list[tuple[int, int, float]]:
    """Pixel x, y and radius of local maxima over place and scale, strongest first."""
    count = 1 if max_radius == min_radius else SCALES
    radii = np.geomspace(min_radius, max_radius, count)
    responses = np.stack([_response(bright, radius / math.sqrt(2)) for radius in radii])
    best = responses.max(axis=0)
    scale = responses.argmax(axis=0)
    reach = max(1, round(min_radius / 2))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    peak = (best >= cv2.dilate(best, kernel)) & (best > _LEAST_CONTRAST / 2)
    rows, columns = np.nonzero(peak)
    order = np.lexsort((columns, rows, -best[rows, columns]))
    return [(int(columns[k]), int(rows[k]), float(radii[scale[rows[k], columns[k]]])) for k in order.tolist()]


def _darker_stands_out(grey: NDArray[Any], min_radius: float, max_radius: float) -> bool:
    """Are there more, and clearer, dark blobs of these sizes than bright ones?"""
    sigma = math.sqrt(min_radius * max_radius / 2)
    response = _response(grey, sigma)
    return float(np.square(np.minimum(response, 0)).sum()) > float(np.square(np.maximum(response, 0)).sum())


def _response(bright: NDArray[Any], sigma: float) -> NDArray[np.float32]:
    """-sigma^2 times the Laplacian of Gaussian, (H, W): positive in the middle of a bright blob."""
    height, width = bright.shape
    step = max(1, int(sigma / _SHRINK_FROM))
    small: NDArray[Any] = bright.astype(np.float32)
    if step > 1:
        size = max(1, width // step), max(1, height // step)
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA))
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / step)
    response: NDArray[Any] = -((sigma / step) ** 2) * cv2.Laplacian(blurred, cv2.CV_32F)
    if step > 1:
        response = np.asarray(cv2.resize(response, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(response, dtype=np.float32)


def _own_region(blurred: NDArray[Any], x: int, y: int, radius: float) -> Patch | None:
    """What is brighter than a threshold of its own, connected to (x, y), within reach of it."""
    reach = math.ceil(_REACH * radius) + 1
    height, width = blurred.shape
    x0, y0, x1, y1 = overlap((x - reach, y - reach, x + reach + 1, y + reach + 1), (0, 0, width, height))
    window = np.ascontiguousarray(blurred[y0:y1, x0:x1])
    rows, columns = np.ogrid[y0 - y : y1 - y, x0 - x : x1 - x]
    disc = rows**2 + columns**2 <= reach**2
    threshold, _ = cv2.threshold(window[disc].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    region = ((window > threshold) & disc).astype(np.uint8)
    if not region[y - y0, x - x0]:
        return None
    _, names = cv2.connectedComponents(region, connectivity=4, ltype=cv2.CV_32S)
    own = names == names[y - y0, x - x0]
    return Patch(without_holes(_opened(own, radius)), x0, y0)


def _opened(region: Mask, radius: float) -> Mask:
    """The largest part left when thin bridges to neighbours are cut."""
    width = 2 * round(radius / 4) + 1
    if width < 3:
        return region
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return _largest_part(cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, kernel) != 0)


def _largest_part(region: Mask) -> Mask:
    _, names, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    if len(stats) <= 2:
        return region
    return np.asarray(names == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


# --- MSER -------------------------------------------------------------------------------------------------


def _mser_regions(bright: NDArray[Any], min_radius: float, max_radius: float) -> Iterator[Patch]:
    """Maximally stable regions brighter than their surroundings."""
    if min(bright.shape) < 3:
        return
    smallest, largest = math.pi * min_radius**2, math.pi * max_radius**2
    # Without a least diversity nested regions all come; which of them stands out most is decided later.
    detector = cv2.MSER.create(
        delta=5, min_area=math.floor(smallest), max_area=math.ceil(largest), min_diversity=0.0
    )
    detector.setPass2Only(True)  # one pass finds dark regions, the other one bright ones
    regions, _ = detector.detectRegions(bright)
    for region in regions:
        pixels = np.asarray(region)
        (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0) + 1
        mask = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
        mask[pixels[:, 1] - y0, pixels[:, 0] - x0] = True
        yield Patch(without_holes(mask), int(x0), int(y0))
