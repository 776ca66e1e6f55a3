"""`maskloop predict` and `maskloop evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.annotation.model import ClassList
from core.cli.output import answer, answer_json, class_table, percent, say, say_problems
from core.cli.writers import PredictionWriter
from core.errors import FileProblem, ImageFileError, MaskloopError, UsageError
from core.images.reader import IMAGE_SUFFIXES, read_image
from core.learning import evaluate as scoring
from core.learning.config import DeviceChoice
from core.learning.evaluate import LabelledPixels
from core.learning.predict import Predictor, open_predictor
from core.learning.runs import best_run
from core.project.mask_file import read_index_mask
from core.project.opening import project_root
from core.project.project import Project


def predictor_for(source: Path, device: DeviceChoice) -> tuple[Predictor, str | None]:
    """The network of a weights file, or of a project's run with the best validation mIoU.

    Returns:
        The predictor and the run folder it came from (None for a bare weights file).
    """
    if source.is_file():
        return open_predictor(source, device=device), None
    if not source.exists():
        raise MaskloopError(f"{source}: there is no such project or weights file")
    with Project.open(source, lock=False) as project:
        run = best_run(project)
    if run is None:
        raise MaskloopError(f"{source}: no run has saved weights yet; train first (maskloop train {source})")
    return open_predictor(run.best_weights, device=device), str(run.path)


def predict(arguments: argparse.Namespace) -> None:
    """Segment images into masks, labelme files or overlays."""
    images = collect_images(arguments.images)
    predictor, run = predictor_for(arguments.source, arguments.device)
    problems: list[FileProblem] = []
    root = None if run is None else project_root(arguments.source)
    with PredictionWriter(arguments.out, arguments.format, predictor.header.classes, root) as writer:
        for number, path in enumerate(images, start=1):
            try:
                pixels = read_image(path)
            except ImageFileError as error:
                problems.append(error)
                say(f"warning: {error}")
                continue
            writer.write(path, pixels, predictor.predict(pixels))
            say(f"{number}/{len(images)} {path.name}")
    say_problems(writer.problems)
    problems += writer.problems
    if not writer.files:
        raise MaskloopError(f"{arguments.out}: nothing was written; the lines above say why")
    if arguments.json:
        files = [str(file) for file in writer.files]
        answer_json({"files": files, "problems": [str(problem) for problem in problems], "run": run})
    else:
        answer(f"{len(writer.files)} files in {arguments.out}")
    if problems:
        raise MaskloopError(f"{len(problems)} of {len(images)} images were left out; the lines above say why")


def collect_images(paths: Sequence[Path]) -> list[Path]:
    """The images named, folders opened up one level, sorted, each once."""
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise MaskloopError(f"{path}: there is no image in this folder")
            images += inside
        elif path.exists():
            images.append(path)
        else:
            raise MaskloopError(f"{path}: there is no such image")
    return list(dict.fromkeys(images))


def evaluate(arguments: argparse.Namespace) -> None:
    """Score the network against index masks; 255 in the truth is left out."""
    pairs = _pairs(arguments.images, arguments.masks)
    predictor, run = predictor_for(arguments.source, arguments.device)
    labelled = (_read_pair(image, mask, predictor.header.classes) for image, mask in pairs)  # one at a time
    try:
        result = scoring.evaluate(predictor, labelled, run=run)
    except UsageError as error:  # no pixel is labelled
        raise MaskloopError(f"{arguments.masks}: {error}") from error
    if arguments.json:
        answer_json(result.as_dict())
        return
    answer(
        class_table(
            result.per_class_iou,
            result.miou,
            interval=result.interval,
            class_intervals=result.class_intervals,
            notes=result.class_notes,
        )
    )
    answer(
        f"pixel accuracy {percent(result.pixel_accuracy)}, Dice {percent(result.mean_dice)}, "
        f"boundary F1 {percent(result.boundary_f1)}, {result.images} images"
    )
    if result.interval is not None and result.interval_over == "parts":
        answer("95 %: over parts of the one image; it says nothing of other images")
    for note in result.notes:
        answer(f"note: {note}")


def _read_pair(image: Path, mask: Path, classes: ClassList) -> LabelledPixels:
    pixels = read_image(image)
    truth = read_index_mask(mask, size_hw=(pixels.shape[0], pixels.shape[1]), classes=classes)
    return LabelledPixels(pixels, truth)


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    for folder in (images, masks):
        if not folder.is_dir():
            raise MaskloopError(f"{folder}: there is no such folder")
    by_stem = {path.stem: path for path in masks.iterdir() if path.suffix.lower() == ".png"}
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise MaskloopError(f"{images}: there is no image in this folder")
    pairs = [(path, by_stem[path.stem]) for path in found if path.stem in by_stem]
    if not pairs:
        raise MaskloopError(f"{masks}: no PNG here has the stem of an image in {images}")
    if len(pairs) < len(found):
        say(f"warning: {len(found) - len(pairs)} images have no mask and are left out")
    return pairs
