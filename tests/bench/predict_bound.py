"""`Predictor.predict` against its bound: the bare forward pass over the same pixels, without overlaps.

`python tests/bench/predict_bound.py [--sides 1024 2048] [--rounds N] [--model unet] [--device cpu]`

Both are timed in turn in one process, round by round, so that a machine whose speed drifts slows both; the
ratio of each round is what counts. It holds everything that a prediction is: overlaps, blending, softmax,
classes and confidence.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import numpy as np
import torch
from machine import describe, quantile
from numpy.typing import NDArray

from core.annotation.model import ClassList, LabelClass
from core.learning.predict import Predictor, choose_device
from core.learning.weights import header_for
from core.models.network import Normalize, SegmentationNetwork
from core.models.registry import build

BARE_TILE = 1024


def bare(network: SegmentationNetwork, image: NDArray[np.uint8], device: torch.device) -> None:
    """The network on every pixel once, and nothing else."""
    normalize = Normalize(network.normalization).to(device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        for top in range(0, image.shape[0], BARE_TILE):
            for left in range(0, image.shape[1], BARE_TILE):
                tile = np.ascontiguousarray(image[top : top + BARE_TILE, left : left + BARE_TILE])
                network(normalize(torch.from_numpy(tile)[None].to(device).permute(0, 3, 1, 2)))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args()
    print(describe("torch", "torchvision", "timm"))
    device = choose_device(options.device)
    torch.manual_seed(0)
    network = build(options.model, classes=options.classes).eval().to(memory_format=torch.channels_last)
    names = tuple(LabelClass(n, f"class {n}", f"#{40 * n:06x}") for n in range(options.classes))
    predictor = Predictor(network, header_for(network, classes=ClassList(names, 0), tile=256), device)
    for side in options.sides:
        image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        whole, bound = (
            (lambda image=image: predictor.predict(image)),
            (lambda image=image: bare(network, image, device)),
        )
        whole(), bound()  # the first of each chooses kernels
        rounds = [(seconds(bound, device), seconds(whole, device)) for _ in range(options.rounds)]
        ratios = [bare_s / whole_s for bare_s, whole_s in rounds]
        speed = side**2 / 1e6 / quantile([whole_s for _, whole_s in rounds], 0.5)
        print(
            f"{side} x {side}: {speed:.2f} megapixels/s, ratio to the bare forward pass:"
            f" median {quantile(ratios, 0.5):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
