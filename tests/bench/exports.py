"""Every network at its full size as an ONNX file: how large, how long, and whether it computes the same.

`python -m tests.bench.exports [NAME...] [--tile 256]`

Weights are random, as what a graph computes does not depend on them; score layers that start at zero, and
trees that have not grown, get random numbers too, for zeros agree with anything. Batch norms measure the test
image once. One process a network, so that memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.annotation.model import ClassList, LabelClass
from core.errors import MaskloopError
from core.learning import export
from core.learning.runs.weights import header_for
from core.models.network import Normalize, SegmentationNetwork
from core.models.random_forest import ForestNetwork
from core.models.registry import build, model_specs

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "object", "#ff0000")), 0)
Exact: TypeAlias = Callable[[], NDArray[np.float64]]
COLUMNS = ("network", "file", "seconds", "memory", "largest difference", "largest logit", "same class")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def lively(name: str, tile: int) -> SegmentationNetwork:
    """The network with numbers that say something."""
    torch.manual_seed(0)
    network = build(name, classes=len(CLASSES))
    if isinstance(network, ForestNetwork):
        nn.init.normal_(network.forest.votes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.any():
            # Half of what keeps the spread: what is added to a map again and again must not make it explode.
            nn.init.normal_(module.weight, std=0.5 * module.weight[0].numel() ** -0.5)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it sees
    network.eval()
    for module in network.modules():
        module.train(isinstance(module, nn.BatchNorm2d))
    side = -(-tile // network.size_multiple) * network.size_multiple
    with torch.no_grad():
        network(Normalize(network.normalization)(torch.from_numpy(export._test_image(side))))
    return network.eval()


def measure(name: str, tile: int) -> str:
    """A row of the table."""
    network = lively(name, tile)
    seen: dict[str, float] = {}
    compare = export._compare

    def noted(path: Path, expected: NDArray[np.float32], found: NDArray[np.float32], exact: Exact) -> None:
        seen["difference"] = float(np.abs(expected - found).max())
        seen["largest"] = float(np.abs(expected).max())
        seen["same"] = float((expected.argmax(axis=1) == found.argmax(axis=1)).mean())
        compare(path, expected, found, exact)

    export._compare = noted
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        header = header_for(network, classes=CLASSES, tile=tile)
        try:
            path = export.export_onnx(network, header, Path(folder) / "network.onnx")
        except MaskloopError as error:
            return f"| {name} | not exported: {error} |"
        megabytes = path.stat().st_size / 1e6
    took_s = time.monotonic() - began_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"| {name} | {megabytes:.1f} MB | {took_s:.0f} | {memory:.1f} GB | {seen['difference']:.1e}"
        f" | {seen['largest']:.1f} | {seen['same']:.3%} |"
    )


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=[spec.name for spec in model_specs()])
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--row", action="store_true", help="one network, in this process")
    arguments = parser.parse_args()
    if arguments.row:
        print(measure(arguments.names[0], arguments.tile), flush=True)
        return
    print(HEAD, flush=True)
    for name in arguments.names:
        own = [sys.executable, "-m", "tests.bench.exports", name, "--tile", str(arguments.tile), "--row"]
        subprocess.run(own, check=False)


if __name__ == "__main__":
    main()
