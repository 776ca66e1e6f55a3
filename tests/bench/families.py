"""Every network of the registry learns: one short run each on ten images, and its score on others.

`python tests/bench/families.py --data FOLDER [--models unet segnet] [--steps 60] [--vgg16 FILE]`

Not a ranking: a step of one costs twenty times that of another, some start from trained encoders and some
from nothing, and none of them is done learning. Where a network can stand on the encoder that comes with the
program it does; `--vgg16` names a file of VGG16's weights for those that are built on it; all others begin
from random weights. Results are kept in `--results`, a JSON, and not computed again.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.learning.scores.metrics import ConfusionMatrix
from core.models.registry import model_spec, model_specs
from core.models.specs import ModelSpec
from tests.bench.command_line import CommandLineError, maskloop
from tests.bench.data_sets import SETS, DataSet, load, spread, write_pairs
from tests.bench.machine import describe

EMBEDDED: Final = "tf_efficientnet_lite0"
LESS: Final[Mapping[str, Sequence[str]]] = {
    "fcn8s": ("fc=512",),
    "fcn16s": ("fc=512",),
    "fcn32s": ("fc=512",),
    "deconvnet": ("fc=256",),
    "refinenet": ("width=64",),
    "unet_paper": ("width=16",),
}
"""Options that make a network small enough for some steps a minute on a CPU."""


def encoder_arguments(spec: ModelSpec, vgg16: Path | None) -> list[str]:
    """The encoder with trained weights, if there is one."""
    if EMBEDDED in spec.encoders:
        return ["--encoder", EMBEDDED]
    if "vgg16" in spec.encoders:
        weights = "none" if vgg16 is None else str(vgg16)
        return ["--encoder", "vgg16", "--encoder-weights", weights]
    return ["--encoder-weights", "none"]


def measure(data_set: DataSet, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A project, a run of one network, and its score on images it never saw."""
    spec = model_spec(name)
    chosen = encoder_arguments(spec, options.vgg16)
    for option in LESS.get(name, ()):
        chosen += ["--option", option]
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        images, masks = write_pairs(spread(data_set.test, options.test), folder / "test")
        write_pairs(spread(data_set.train, options.images), folder / "train")
        project = folder / "project"
        maskloop("init", project, "--classes", ",".join(data_set.classes))
        maskloop("import", project, folder / "train", "--format", "masks")
        said, load_average = maskloop(
            *("train", project, "--model", name, *chosen, "--steps", str(options.steps)),
            *("--crop", str(options.crop), "--batch", str(options.batch)),
            *("--device", options.device, "--seed", "0", "--json"),
        )
        trained = json.loads(said)
        losses = losses_of(Path(trained["run"]))
        said, _ = maskloop("evaluate", project, "--images", images, "--masks", masks, "--json")
    scored = json.loads(said)
    return {
        "model": name,
        "family": spec.family,
        "started": " ".join(chosen),
        "steps": trained["steps"],
        "seconds": trained["seconds"],
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "miou": scored["miou"],
        "load_average": round(load_average, 1),
    }


def losses_of(run: Path) -> list[float]:
    """The training losses that a run noted, in order."""
    with (run / "metrics.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


def one_class(data_set: DataSet, most: int) -> float:
    """The best score of who calls everything one class."""
    truths = [pair.truth() for pair in spread(data_set.test, most)]
    scores = []
    for index in range(len(data_set.classes)):
        found = ConfusionMatrix(len(data_set.classes))
        for truth in truths:
            found.update(truth, np.full_like(truth, index))
        scores.append(found.miou() or 0.0)
    return max(scores)


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, a row a network."""
    head = ("network", "started with", "steps", "seconds", "loss, first to last", "mIoU, test")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for cell in cells:
        losses = f"{cell['first_loss']:.2f} to {cell['last_loss']:.2f}"
        values = (cell["model"], cell["started"], cell["steps"], round(cell["seconds"]), losses)
        lines.append(f"| {' | '.join(map(str, values))} | {cell['miou']:.3f} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    names = [spec.name for spec in model_specs() if spec.trained_by == "person"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", choices=SETS, default="camvid", help="objects of others are small")
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--images", type=int, default=10, help="to train on")
    parser.add_argument("--test", type=int, default=20, help="images to score, at most")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--crop", type=int, default=160)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--vgg16", type=Path, default=None, help="weights of VGG16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=Path("families.json"))
    return parser.parse_args()


def main() -> None:
    options = _options()
    print(describe("torch", "torchvision"))
    if options.vgg16 is not None:
        options.vgg16 = options.vgg16.resolve()
    data_set = load(options.set, options.data)
    print(f"{options.set}: calling everything one class has mIoU {one_class(data_set, options.test):.3f}")
    known: dict[str, dict[str, Any]] = {}
    if options.results.is_file():
        known = json.loads(options.results.read_text())
    for name in options.models:
        if name in known:
            continue
        try:
            known[name] = measure(data_set, name, options)
        except CommandLineError as error:
            print(f"{name}: {error}", flush=True)
            continue
        print(f"{name}: {known[name]}", flush=True)
        options.results.write_text(json.dumps(known, indent=1))
    print()
    print(table([known[name] for name in options.models if name in known]))


if __name__ == "__main__":
    main()
