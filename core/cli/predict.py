"""`maskloop predict` and `maskloop evaluate`."""

from __future__ import annotations

import argparse
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import ClassList
from core.cli.lost_card import say_lost
from core.cli.output import answer, answer_json, class_table, percent, say
from core.cli.uncertainty import UncertaintyFiles, refuse_same_places
from core.errors import MaskloopError, UsageError
from core.images.pages import image_stem, page_names
from core.images.reader import image_size, read_image
from core.learning.config import DeviceChoice
from core.learning.prediction.folder_job import PredictionJob
from core.learning.prediction.folder_prediction import FolderPrediction, ImageDone
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.header import as_called_now, read_header
from core.learning.runs.run_folder import best_run
from core.learning.training.distributed import Place
from core.learning.validation import evaluate as scoring
from core.learning.validation.evaluate import LabelledPixels
from core.postprocess.apply import check_possible
from core.postprocess.pipeline import Pipeline
from core.project.image_folders import is_image_name
from core.project.mask_file import read_index_mask
from core.project.opening import project_root
from core.project.project import Project


def weights_of(source: Path) -> tuple[Path, Path | None]:
    """The weights file of a source: itself, or of a project's run with the best validation mIoU.

    Args:
        source: weights, or a project as `Project.open` takes it.

    Returns:
        The file, and the run's folder (None for a bare weights file).
    """
    if source.is_file() and source.suffix.lower() != ".json":
        return source, None
    if not source.exists():
        raise MaskloopError(f"{source}: there is no such project or weights file")
    with Project.open(source, lock=False) as project:
        run = best_run(project)
    if run is None:
        raise MaskloopError(f"{source}: no run has saved weights yet; train first (maskloop train {source})")
    return run.best_weights, run.path


def predictor_for(source: Path, device: DeviceChoice) -> tuple[Predictor, str | None]:
    """The network of a weights file, or of a project's best run.

    Returns:
        The predictor and the run folder it came from (None for a bare weights file).

    Raises:
        WeightsFileError: the run knows classes that the project has no more.
    """
    weights, run = weights_of(source)
    predictor = open_predictor(weights, device=device)
    if run is not None:
        with Project.open(source, lock=False) as project:
            predictor.header = as_called_now(weights, predictor.header, project.classes)
    return predictor, None if run is None else str(run)


def predict(arguments: argparse.Namespace) -> None:
    """Segment images into masks, labelme files or overlays; what is done already is passed over.

    Raises:
        UsageError: what is asked for does not go together.
        MaskloopError: nothing could be done, or some images were left out. One of several processes that a
            launcher started does not fail for such images: the launcher would end all the others.
    """
    if arguments.members and arguments.uncertainty != "ensemble":
        raise UsageError("--members are the networks of an ensemble: add --uncertainty ensemble")
    place = Place() if arguments.shard else Place.here()
    shard = arguments.shard or (place.rank, place.world)
    launched = place.world > 1
    weights, run = weights_of(arguments.source)
    job = PredictionJob(
        images=tuple(str(path) for path in arguments.images),
        out=str(arguments.out),
        format=arguments.format,
        weights=str(weights),
        root=None if run is None else str(project_root(arguments.source)),
        subfolders=arguments.subfolders,
        again=arguments.again,
        shard=shard,
        post=str(arguments.post),
    )
    if not arguments.post and (noted := read_header(weights).post):
        say(f'{weights} was exported with post-processing, which is not done now: add --post "{noted}"')
    if shard[1] > 1:
        say(f"share {shard[0] + 1} of {shard[1]} of the images")
    use_own_gpu()
    # Before the work: what cannot be asked for is said at once.
    doubts: UncertaintyFiles | None = None
    if arguments.uncertainty is not None:
        if arguments.subfolders:
            refuse_same_places(arguments.images)
        doubts = UncertaintyFiles(arguments.uncertainty, weights, run, arguments.members, arguments.device)
    done: list[ImageDone] = []
    try:
        _carry_out(job, arguments.device, done)
    except RuntimeError as error:
        say_lost(error, "predicting")
        _carry_out(replace(job, again=False), "cpu", done)
    files = [str(image.file) for image in done if image.file is not None]
    root = None if job.root is None else Path(job.root)
    maps: list[Path] = []
    if doubts is not None:
        out = Path(job.out)
        with _ended_in_good_order():
            try:
                maps = doubts.write(done, out, root, shard=job.shard, again=job.again)
            except RuntimeError as error:
                say_lost(error, "the uncertainty")
                doubts = UncertaintyFiles(arguments.uncertainty, weights, run, arguments.members, "cpu")
                maps = doubts.write(done, out, root, shard=job.shard)
    problems = [image.problem for image in done if image.problem]
    known = sum(image.outcome == "known" for image in done)
    if problems and not files and not launched:
        raise MaskloopError(f"{arguments.out}: nothing was written; the lines above say why")
    if known:
        say(f"{known} images were predicted with these weights before; --again predicts them anew")
    if arguments.json:
        answer_json(
            {
                "files": files,
                "uncertainty": [str(file) for file in maps],
                "problems": problems,
                "known": known,
                "run": None if run is None else str(run),
            }
        )
    else:
        answer(f"{len(files)} files in {arguments.out}")
    if problems:
        left_out = f"{len(problems)} of {len(done)} images were left out; the lines above say why"
        if not launched:
            raise MaskloopError(left_out)
        say(f"warning: {left_out}")


def _carry_out(job: PredictionJob, device: DeviceChoice, done: list[ImageDone]) -> None:
    """Add what comes of the images to `done`; those that are there already are passed over."""
    dealt_with = {image.path for image in done}
    work = FolderPrediction(job, device=device, notify=lambda text, _share: say(text))
    try:
        with _ended_in_good_order():
            for image in work.steps():
                if image is not None and image.path not in dealt_with:
                    done.append(image)
                    _tell(work, image)
    finally:
        work.close()


@contextmanager
def _ended_in_good_order() -> Iterator[None]:
    """SIGTERM is Ctrl+C: an image under way is given up, not taken for one that the program died of.

    A launcher sends it to all its processes when one is lost. A second one ends the process.
    """
    previous = signal.getsignal(signal.SIGTERM)

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, previous)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _tell(work: FolderPrediction, image: ImageDone) -> None:
    if image.problem:
        say(f"warning: {image.problem}")
    elif image.outcome == "predicted":
        rate, left = work.images_per_s, work.seconds_left
        speed = "" if rate is None or left is None else f"  {rate:.1f} images/s, {left:.0f} s left"
        say(f"{work.done}/{work.total} {image.path.name}{speed}")


def use_own_gpu() -> None:
    """Of several processes that torchrun started on a machine, each takes the GPU of its LOCAL_RANK."""
    import torch

    rank = os.environ.get("LOCAL_RANK", "")
    if rank.isdigit() and torch.cuda.is_available():
        torch.cuda.set_device(int(rank) % torch.cuda.device_count())


def evaluate(arguments: argparse.Namespace) -> None:
    """Score the network against index masks; 255 in the truth is left out."""
    pairs = _pairs(arguments.images, arguments.masks)
    try:
        try:
            result = _scored(arguments.source, arguments.device, pairs, arguments.post)
        except RuntimeError as error:
            say_lost(error, "predicting")
            result = _scored(arguments.source, "cpu", pairs, arguments.post)
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
    if result.ece is not None:
        before = None if result.temperature == 1.0 else result.ece_uncalibrated
        without = "" if before is None else f", {before:.3f} without it"
        answer(f"calibration error {result.ece:.3f} at temperature {result.temperature:.2f}{without}")
    if result.interval is not None and result.interval_over == "parts":
        answer("95 %: over parts of the one image; it says nothing of other images")
    for note in result.notes:
        answer(f"note: {note}")


def _scored(
    source: Path, device: DeviceChoice, pairs: list[tuple[Path, Path]], post: Pipeline
) -> scoring.Evaluation:
    predictor, run = predictor_for(source, device)
    classes = predictor.header.classes
    check_post(source, post, (0, 0), classes)
    for image, mask in pairs:  # a mask that is unfit is told before hours of work are in vain
        size_hw = image_size(image)
        check_post(image, post, size_hw, classes)
        _truth(mask, size_hw, classes)
    labelled = (_read_pair(image, mask, classes) for image, mask in pairs)  # one at a time
    return scoring.evaluate(predictor, labelled, run=run, post=post)


def check_post(file: Path, post: Pipeline, size_hw: tuple[int, int], classes: ClassList) -> None:
    """Raise MaskloopError, which names the file, where an image or a network cannot be processed so."""
    try:
        check_possible(post, size_hw, classes.background, classes=len(classes))
    except UsageError as error:
        raise MaskloopError(f"{file}: {error}") from error


def _read_pair(image: Path, mask: Path, classes: ClassList) -> LabelledPixels:
    pixels = read_image(image)
    return LabelledPixels(pixels, _truth(mask, (pixels.shape[0], pixels.shape[1]), classes))


def _truth(mask: Path, size_hw: tuple[int, int], classes: ClassList) -> NDArray[np.uint8]:
    return read_index_mask(mask, size_hw=size_hw, classes=classes, owner="weights")


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    for folder in (images, masks):
        if not folder.is_dir():
            raise MaskloopError(f"{folder}: there is no such folder")
    pngs = (path for path in masks.iterdir() if is_image_name(path.name) and path.suffix.lower() == ".png")
    by_stem = {path.stem: path for path in pngs}
    files = sorted(path for path in images.iterdir() if is_image_name(path.name))
    if not files:
        raise MaskloopError(f"{images}: there is no image in this folder")
    found = [file.with_name(name) for file in files for name in page_names(file)]
    stems = Counter(image_stem(path) for path in found if path.name not in by_stem)
    pairs: list[tuple[Path, Path]] = []
    for path in found:
        # Is a.png the mask of a.jpg or of a.png? One of them has a.jpg.png or a.png.png, as exports call it.
        stem = image_stem(path)
        mask = by_stem.get(path.name) or (by_stem.get(stem) if stems[stem] == 1 else None)
        if mask is not None:
            pairs.append((path, mask))
    if not pairs:
        raise MaskloopError(f"{masks}: no PNG here has the stem of an image in {images}")
    if len(pairs) < len(found):
        say(f"warning: {len(found) - len(pairs)} images have no mask of their own and are left out")
    if alone := set(by_stem.values()) - {mask for _, mask in pairs}:
        some = ", ".join(sorted(mask.name for mask in alone)[:3])
        say(f"warning: {len(alone)} masks have no image of their own and are left out, such as {some}")
    return pairs
