"""How fast the tools are that find outlines by the image.

    python tests/bench/bench_finding.py [--megapixels 2] [--image a.jpg]

Prints milliseconds, median and 95th percentile. Only the paths of the live wire are read in the window's own
thread, at every move of the mouse; all else runs in a worker.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from machine import describe, quantile

from core.images.reader import read_image
from core.interactive.blobs import blob_candidates
from core.interactive.grabcut import grab_cut
from core.interactive.live_wire import RADIUS, EdgeMap, edge_map, map_box
from core.interactive.region_growing import RegionGrower
from core.interactive.superpixels import superpixels


def picture(path: Path | None, megapixels: float) -> np.ndarray:
    """A photograph, or clouds of all sizes, of so many pixels."""
    if path is not None:
        image = read_image(path)
        factor = math.sqrt(megapixels * 1e6 / (image.shape[0] * image.shape[1]))
        return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    size = height * 4 // 3, height
    generator = np.random.default_rng(0)
    clouds = sum(
        cv2.resize(generator.random((cells, cells, 3)), size, interpolation=cv2.INTER_CUBIC) / cells**0.5
        for cells in (4, 12, 36, 108)
    )
    return np.asarray(cv2.normalize(clouds, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)


def report(name: str, action: Callable[[], object], repeat: int) -> None:
    """One line of the table."""
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1000)
    print(f"{name:52}{quantile(spent, 0.5):10.2f}{quantile(spent, 0.95):10.2f}")


def wire_from(xy: tuple[float, float], image: np.ndarray, radius: int) -> EdgeMap:
    """The live wire's paths from an anchor."""
    x0, y0, x1, y1 = map_box(xy, image.shape[:2], radius)
    return edge_map(image[y0:y1, x0:x1], None, xy, origin=(x0, y0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--image", type=Path, default=None)
    options = parser.parse_args()
    image = picture(options.image, options.megapixels)
    height, width = image.shape[:2]
    middle = width / 2, height / 2
    generator = np.random.default_rng(1)
    print(describe())
    print(f"\n{width} x {height} pixels{'':32}  median   95th %  (ms)")
    grower = RegionGrower(image, middle)
    report("wand: distances from a seed", lambda: RegionGrower(image, middle), 5)
    report("wand: a region of one tolerance", lambda: grower.grow(float(generator.integers(60))), 30)
    report("live wire: map of an anchor, 513 x 513", lambda: wire_from(middle, image, RADIUS), 5)
    report("live wire: map of an anchor, 2049 x 2049 halved", lambda: wire_from(middle, image, 1024), 3)
    wire = wire_from(middle, image, RADIUS)
    report(
        "live wire: path to the mouse",
        lambda: wire.path_to(
            (middle[0] + generator.uniform(-250, 250), middle[1] + generator.uniform(-250, 250))
        ),
        500,
    )
    for share in (0.1, 0.5):
        box = (*(m * (1 - share) for m in middle), *(m * (1 + share) for m in middle))
        report(f"object in a box of {share:.0%} of the sides", lambda box=box: grab_cut(image, box), 3)
    for size in (8, 16, 32):
        report(f"superpixels of {size} px", lambda size=size: superpixels(image, size), 3)
    for kind in ("log", "mser"):
        report(
            f"blobs of radius 5 to 20 px, {kind}",
            lambda kind=kind: blob_candidates(image, min_radius=5, max_radius=20, kind=kind),
            3,
        )


if __name__ == "__main__":
    main()
