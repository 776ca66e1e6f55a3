"""What four minutes of training give: each data set, with ten labelled images and with all of them.

`python tests/bench/four_minutes.py --data FOLDER [--sets nerve nuclei] [--counts 10 all] [--seconds 240]`

Everything goes through the command line, each step a process of its own: `init`, `import`, `train`, and
`evaluate` on images kept apart (`data_sets.py` says which). Results are kept in `--results`, a JSON; a cell
that is there is not computed again, so the whole can be broken off and gone on with. A busy machine trains
fewer steps: the table has the steps and the mean load average while it trained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.command_line import CommandLineError, maskloop
from tests.bench.data_sets import SETS, DataSet, load, spread, write_pairs
from tests.bench.machine import describe

COUNTS: Final = ("10", "all")


def measure(data_set: DataSet, count: int | None, options: argparse.Namespace) -> dict[str, Any]:
    """One cell: a project made, trained and scored."""
    pairs = spread(data_set.train, count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, masks = write_pairs(data_set.test, folder / "test")
        write_pairs(pairs, folder / "train")
        project = folder / "project"
        maskloop("init", project, "--classes", ",".join(data_set.classes))
        maskloop("import", project, folder / "train", "--format", "masks")
        train = ["train", project, "--seconds", str(options.seconds), "--device", options.device]
        began = time.monotonic()
        said, load_average = maskloop(*train, "--seed", str(options.seed), "--model", options.model, "--json")
        passed_s = time.monotonic() - began
        trained = json.loads(said)
        said, _ = maskloop("evaluate", project, "--images", images, "--masks", masks, "--json")
    scored = json.loads(said)
    return {
        "set": data_set.name,
        "train_images": len(pairs),
        "test_images": scored["images"],
        "miou": scored["miou"],
        "per_class_iou": scored["per_class_iou"],
        "pixel_accuracy": scored["pixel_accuracy"],
        "boundary_f1": scored["boundary_f1"],
        "kept": scored["model"],
        "own_miou": trained["best_miou"],
        "steps": trained["steps"],
        "seconds": trained["seconds"],
        "passed_s": round(passed_s, 1),
        "load_average": round(load_average, 1),
        "machine": describe("torch"),
    }


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row for each cell, and the IoU of every class below."""
    head = ["set", "labelled", "tested on", "mean IoU", "pixel accuracy", "boundary F1", "kept"]
    head += ["own score", "steps", "load average"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for cell in cells:
        values = [cell["set"], cell["train_images"], cell["test_images"], f"**{_shown(cell['miou'])}**"]
        values += [_shown(cell["pixel_accuracy"]), _shown(cell["boundary_f1"]), cell["kept"]]
        values += [_shown(cell["own_miou"]), cell["steps"], cell["load_average"]]
        lines.append(f"| {' | '.join(str(value) for value in values)} |")
    lines += ["", "| set | labelled | IoU of each class |", "|---|---|---|"]
    for cell in cells:
        classes = ", ".join(f"{name} {_shown(iou)}" for name, iou in cell["per_class_iou"].items())
        lines.append(f"| {cell['set']} | {cell['train_images']} | {classes} |")
    return "\n".join(lines)


def _shown(score: float | None) -> str:
    return "none" if score is None else f"{score:.3f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--counts", nargs="+", default=list(COUNTS), help="labelled images: numbers, or all")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("four_minutes.json"))
    return parser.parse_args()


def main() -> None:
    options = _options()
    print(describe("torch", "torchvision"))
    known: dict[str, dict[str, Any]] = {}
    if options.results.is_file():
        known = json.loads(options.results.read_text())
    wanted = []
    for name in options.sets:
        data_set = load(name, options.data)
        for count in options.counts:
            cell = (
                f"{name} {count} {options.seconds:g} s {options.model} {options.device} seed {options.seed}"
            )
            wanted.append(cell)
            if cell in known:
                continue
            print(f"{cell} ...", flush=True)
            try:
                known[cell] = measure(data_set, None if count == "all" else int(count), options)
            except CommandLineError as error:
                print(f"  {error}", flush=True)
                continue
            print(
                f"  mIoU {_shown(known[cell]['miou'])} after {known[cell]['steps']} steps,"
                f" load average {known[cell]['load_average']}",
                flush=True,
            )
            options.results.write_text(json.dumps(known, indent=1))
    print()
    print(table([known[cell] for cell in wanted if cell in known]))


if __name__ == "__main__":
    main()
