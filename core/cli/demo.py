"""`maskloop demo --headless`: the whole loop on the bundled sample, without a window.

Open, train, predict what nobody labelled, export masks, weights and ONNX. With a display and without
`--headless` the window does this instead (see `app.__main__`).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from core.annotation.model import AnnotationState
from core.cli.export import export_from
from core.cli.output import answer, class_table, percent, say
from core.cli.train import run_training
from core.errors import MaskloopError
from core.formats.prediction_files import PredictionFiles
from core.images.reader import read_image
from core.learning.config import TrainConfig
from core.learning.prediction.predict import open_predictor
from core.learning.runs.run_folder import best_run
from core.project.project import Project
from core.project.sample import copy_sample


def demo(arguments: argparse.Namespace) -> None:
    """Run the sample through the loop and print a per-class table."""
    out: Path = arguments.out or Path(tempfile.mkdtemp(prefix="maskloop-demo-"))
    root = out / "project"
    if root.exists():
        raise MaskloopError(f"{root} exists already; give another folder with --out")
    copy_sample(root)
    say(f"sample project copied to {root}")
    with Project.open(root) as project:
        finished = run_training(project, TrainConfig(seconds=arguments.seconds, seed=arguments.seed))
        say("predicting the images nobody has labelled")
        count = _predict_unlabelled(project, out / "project" / "predictions")
        for output_format in ("masks", "weights", "onnx"):
            say(f"exporting {output_format}")
            export_from(project, output_format, out / output_format)
    answer(class_table(finished.per_class_iou, finished.best_miou))
    answer(
        f"{finished.steps} steps in {finished.seconds:.0f} s, best mIoU {percent(finished.best_miou)}; "
        f"{count} images predicted"
    )
    answer(f"project, masks, weights and onnx are in {out}")


def _predict_unlabelled(project: Project, out: Path) -> int:
    run = best_run(project)
    if run is None:
        raise MaskloopError(f"{project.root}: the run saved no weights; its log.txt says why")
    predictor = open_predictor(run.best_weights)
    entries = [e for e in project.images() if project.state_of(e) is AnnotationState.UNLABELLED]
    writer = PredictionFiles(out, "overlay", project.classes, project.root)
    for entry in entries:
        pixels = read_image(entry.image_path)
        writer.write(entry.image_path, pixels, predictor.predict(pixels).classes)
    return len(entries)
