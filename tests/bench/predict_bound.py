"""`Predictor.predict` beside its bound, and beside the plain prediction of segmentation_models_pytorch.

`python tests/bench/predict_bound.py [--sides 1024 2048] [--rounds N] [--model unet] [--device cpu]`

- bound: the bare forward pass over the same pixels, without overlaps
- ours: everything that a prediction is: overlaps, blending, softmax, classes and confidence
- plain: `predict` of that library's U-Net with the same encoder, on the whole image at once, and its argmax

All take turns in one process, round by round, so that a machine whose speed drifts slows them alike; the
ratio of each round is what counts. Memory is the peak while each of them ran, with what the process holds
anyway: on a CPU its resident memory, on a GPU what torch had allocated.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import numpy as np
import segmentation_models_pytorch as smp
import torch
from machine import describe, quantile
from numpy.typing import NDArray
from usage import Usage, measured

from core.annotation.model import ClassList, LabelClass
from core.learning.config import DEFAULT_ENCODER
from core.learning.prediction.predict import Predictor, choose_device
from core.learning.runs.weights import header_for
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


class PlainUNet:
    """That library's U-Net as it is built by default; random weights, which take the same time."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self._device = device
        self.network = (
            smp.Unet(f"tu-{DEFAULT_ENCODER}", encoder_weights=None, classes=classes).to(device).eval()
        )

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class of every pixel; sides are multiples of 32."""
        pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        classes: NDArray[np.uint8] = (
            self.network.predict(pixels)[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
        )
        return classes


def used(work: Callable[[], object], device: torch.device) -> Usage:
    """What one go takes."""
    with measured(device) as usage:
        work()
    return usage


def parameters(network: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} million parameters"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048], help="multiples of 32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args()
    print(describe("torch", "torchvision", "timm", "segmentation_models_pytorch"))
    device = choose_device(options.device)
    torch.manual_seed(0)
    network = build(options.model, classes=options.classes).eval().to(memory_format=torch.channels_last)
    names = tuple(LabelClass(n, f"class {n}", f"#{40 * n:06x}") for n in range(options.classes))
    predictor = Predictor(network, header_for(network, classes=ClassList(names, 0), tile=256), device)
    plain = PlainUNet(options.classes, device)
    print(f"ours: {options.model}, {parameters(network)}; plain: smp.Unet, {parameters(plain.network)}")
    for side in options.sides:
        image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        ways: dict[str, Callable[[], object]] = {
            "bound": lambda image=image: bare(network, image, device),
            "ours": lambda image=image: predictor.predict(image),
            "plain": lambda image=image: plain.predict(image),
        }
        for work in ways.values():
            work()  # the first of each chooses kernels
        rounds = [{name: used(work, device) for name, work in ways.items()} for _ in range(options.rounds)]
        print(f"{side} x {side}:")
        for name in ways:
            mine = [found[name] for found in rounds]
            speed = side**2 / 1e6 / quantile([usage.seconds for usage in mine], 0.5)
            print(
                f"  {name:6}{speed:8.2f} megapixels/s  {max(mine, key=lambda usage: usage.peak_bytes or 0)}"
            )
        for name, against in (("bound", "the bare forward pass"), ("plain", "the plain prediction")):
            ratios = [found[name].seconds / found["ours"].seconds for found in rounds]
            median = quantile(ratios, 0.5)
            print(f"  ours to {against}: median ratio {median:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
