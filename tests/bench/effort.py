"""Quality per effort: how good predictions of unseen images are after minutes of labelling.

`python tests/bench/effort.py --data FOLDER [--sets nuclei camvid] [--modes instant deep both] [--minutes 10]`

The scripted person of `annotator.py` labels and corrects images beside the engine, which learns in
lock-step (see `engine_beside.py`), and at some moments predicts test images that the person never sees.
Every finished cell (set, mode, seed, pace) is a JSON in `--out` and is not computed again; tables, a CSV
and a figure for each set are made from all of them. Mode "full" is the mark: both learners, all of the pool
labelled.

The person looks at an image, corrects at most `--per-image` errors in it and goes on to the next; every
look is at a prediction that has learned the correction before it. Train is clicked as soon as two images
have their first shapes, and again whenever a run of `--run-seconds` (the window's default) has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import numpy as np
import torch

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.config import TrainConfig
from core.learning.events import Prediction
from core.learning.scores.metrics import ConfusionMatrix
from tests.bench.annotator import PACES, Annotator, Correction
from tests.bench.curves import row_at, seconds_to, write_curves
from tests.bench.data_sets import SETS, DataSet, Pair, load, make_project, spread
from tests.bench.engine_beside import MODES, EngineBeside, Mode, Speed, lock_step
from tests.bench.machine import describe

FULL: Final = "full"
REPORT_AT_MIN: Final = (1, 2, 5, 10)
SHARE_OF_FULL: Final = 0.9
IMPATIENCE_S: Final = 1.0
"""Without an overlay the person waits so long and looks again."""


def moments_s(minutes: float) -> list[float]:
    """When test images are predicted: often at first."""
    marks = [15.0 * n for n in range(1, 9)] + [120 + 30.0 * n for n in range(1, 7)]
    marks += [300 + 60.0 * n for n in range(1, 1000)]
    end_s = 60 * minutes
    return [mark for mark in marks if mark < end_s] + [end_s]


class Sitting:
    """One person at one machine, until the time is over.

    Attributes:
        curve: a row for every moment at which test images were predicted.

    Args:
        keep: called after every row: what is known when somebody breaks off.
    """

    def __init__(
        self,
        data_set: DataSet,
        pool: Mapping[str, Pair],
        test: Sequence[Pair],
        root: Path,
        mode: Mode,
        options: argparse.Namespace,
        keep: Callable[[Sitting], None],
    ) -> None:
        self._keep = keep
        self._classes = len(data_set.classes)
        self._names = data_set.classes
        self._test = [(pair, pair.truth()) for pair in test]
        self._paths = {key: root / key for key in pool}
        self._truths = {key: pair.truth() for key, pair in pool.items()}
        self._person = Annotator(self._truths, PACES[options.pace], options.seed)
        config = TrainConfig(device=options.device, seed=options.seed, seconds=options.run_seconds)
        speed = Speed(steps_per_s=options.steps_per_second, head_steps_per_s=options.head_steps_per_second)
        self.engine = EngineBeside(
            root, mode, config, None if options.real_time else speed, go_on=not options.new_runs
        )
        self._end_s = 60.0 * options.minutes
        self._moments = moments_s(options.minutes)
        self._per_image: int = options.per_image
        self._real_time: bool = options.real_time
        self._drawn: list[Correction] = []
        self._touched: set[str] = set()
        self.curve: list[dict[str, Any]] = []

    @property
    def over(self) -> bool:
        """Whether the person's time is up."""
        return self.engine.now_s >= self._end_s

    def label(self) -> None:
        """The whole sitting."""
        person = self._person
        for key in person.order[:2]:
            self._open(key)
            for correction in person.largest_regions(key):
                self._commit(key, correction)
        self.engine.train()
        # The second image is on the screen; the first is visited again at the end of the list.
        turn = 1
        while not self.over:
            self._correct(person.order[turn % len(person.order)])
            turn += 1

    def label_everything(self) -> None:
        """Instead of a person's work: all images of the pool are there, completely labelled."""
        for key, truth in self._truths.items():
            self._person.labels[key][:] = truth
            self.engine.labels_changed(key, self._paths[key], truth, AnnotationState.DONE)
            self._touched.add(key)
        self._moments = [self._end_s]
        self.engine.train()
        self._pass(self._end_s)

    def _open(self, key: str) -> None:
        self._person.open(key)
        self.engine.watch(key, self._paths[key])

    def _correct(self, key: str) -> None:
        """What is wrong in one image, or the nearest few errors."""
        self._open(key)
        for _ in range(self._per_image):
            prediction = self._look(key)
            while prediction is None and not self.over:
                self._pass(IMPATIENCE_S)
                prediction = self._look(key)
            if prediction is None:
                return
            correction = self._person.correct_nearest(key, prediction.classes.unpack())
            if correction is None:
                self._pass(PACES["fast"].search_s)  # nothing to do here is seen at a glance
                return
            self._commit(key, correction)
            if self.over:
                return

    def _look(self, key: str) -> Prediction | None:
        """What is predicted; in real time the person has waited for it."""
        began = time.monotonic()
        prediction = self.engine.look(key, self._paths[key])
        if self._real_time:
            self.engine.now_s += time.monotonic() - began
        return prediction

    def _commit(self, key: str, correction: Correction) -> None:
        self._pass(correction.seconds)
        self._drawn.append(correction)
        self._touched.add(key)
        self.engine.labels_changed(key, self._paths[key], self._person.labels[key])

    def _pass(self, seconds: float) -> None:
        """Let time pass, and predict the test images whenever it is time to."""
        while self._moments and self.engine.now_s + seconds >= self._moments[0] - 1e-6:
            until_s = self._moments.pop(0) - self.engine.now_s
            self.engine.pass_time(until_s)
            seconds -= until_s
            self.curve.append(self._measured())
            self._keep(self)
        if seconds > 0:
            self.engine.pass_time(seconds)

    def _measured(self) -> dict[str, Any]:
        confusion = ConfusionMatrix(self._classes)
        source, predicted = None, 0
        for pair, truth in self._test:
            found = self.engine.look(f"test/{pair.name}", pair.image_path)
            if found is None:
                break
            source, predicted = found.source, predicted + 1
            confusion.update(truth, found.classes.unpack())
        whole = predicted == len(self._test)
        labelled = sum(int((mask != UNLABELLED).sum()) for mask in self._person.labels.values())
        pixels = sum(mask.size for mask in self._person.labels.values())
        touched = sum(self._person.labels[key].size for key in self._touched)
        row = {
            "seconds": self.engine.now_s,
            "miou": confusion.miou() if whole else None,
            "per_class_iou": dict(zip(self._names, confusion.iou(), strict=True)) if whole else {},
            "source": source if whole else None,
            "strokes": sum(c.kind == "stroke" for c in self._drawn),
            "polygons": sum(c.kind == "polygon" for c in self._drawn),
            "vertices": sum(c.vertices for c in self._drawn),
            "images": len(self._touched),
            "labelled_share": labelled / pixels,
            "labelled_share_of_touched": labelled / max(touched, 1),
            "steps": self.engine.steps,
        }
        print(
            f"  {row['seconds']:5.0f} s: mIoU {_shown(row['miou'])}, {row['strokes']} strokes,"
            f" {row['polygons']} polygons, {row['images']} images, {row['steps']} steps ({row['source']})",
            flush=True,
        )
        return row


def measure(name: str, mode: str, options: argparse.Namespace, path: Path) -> None:
    """One cell, written to `path`; what there is of an unfinished one lies beside it as `.part`."""
    data_set = load(name, options.data)
    chosen = np.random.default_rng(0).permutation(len(data_set.test))[: options.test]
    test = [data_set.test[position] for position in sorted(chosen)]
    pairs = spread(data_set.train, options.pool)
    print(f"{name}, {mode}: {len(pairs)} images to label, {len(test)} of {len(data_set.test)} to test on")
    part = path.with_suffix(".part")
    started = time.monotonic()
    about = {
        "set": name,
        "mode": mode,
        "options": {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
        },
        "pool": len(pairs),
        "test_images": len(test),
        "machine": describe("torch"),
    }

    def told(sitting: Sitting) -> dict[str, Any]:
        return {
            "curve": sitting.curve,
            "scores": sitting.engine.scores,
            "notes": sitting.engine.notes,
            "took_s": round(time.monotonic() - started),
        }

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = Path(folder) / "project"
        pool = make_project(data_set, pairs, root)
        wanted = argparse.Namespace(**vars(options))
        if mode == FULL:
            wanted.run_seconds = 60.0 * options.minutes

        def keep(sitting: Sitting) -> None:
            part.write_text(json.dumps(about | told(sitting), indent=1))

        learners: Mode = "both" if mode == FULL else mode  # type: ignore[assignment]
        sitting = Sitting(data_set, pool, test, root, learners, wanted, keep)
        if not options.real_time:
            stack.enter_context(lock_step(lambda: sitting.engine.now_s))
        if mode == FULL:
            sitting.label_everything()
        else:
            sitting.label()
    part.replace(path)


# --- what is told -----------------------------------------------------------------------------------------


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row for each cell."""
    marks = {cell["set"]: cell["curve"][-1]["miou"] for cell in cells if cell["mode"] == FULL}
    head = ["set", "learners", *(f"{m} min" for m in REPORT_AT_MIN), "90 % of full", "strokes", "polygons"]
    head += ["vertices", "images", "labelled"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for cell in cells:
        curve = cell["curve"]
        last, full = curve[-1], marks.get(cell["set"])
        if cell["mode"] == FULL:
            scores = ["", "", "", _shown(last["miou"])]
            reached = ""
        else:
            rows = [row_at(curve, 60.0 * minutes) for minutes in REPORT_AT_MIN]
            scores = ["" if row is None else _shown(row["miou"]) for row in rows]
            reached_s = None if full is None else seconds_to(curve, SHARE_OF_FULL * full)
            reached = "not reached" if reached_s is None else f"{reached_s:.0f} s"
        values = [cell["set"], cell["mode"], *scores, reached, last["strokes"], last["polygons"]]
        values += [last["vertices"], last["images"], f"{100 * last['labelled_share']:.1f} %"]
        lines.append(f"| {' | '.join(str(value) for value in values)} |")
    return "\n".join(lines)


def write_csv(cells: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Every row of every curve."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        plain = [key for key in cells[0]["curve"][0] if key != "per_class_iou"]
        writer.writerow(["set", "mode", "seed", "pace", *plain])
        for cell in cells:
            about = [cell["set"], cell["mode"], cell["options"]["seed"], cell["options"]["pace"]]
            for row in cell["curve"]:
                writer.writerow([*about, *(row[key] for key in plain)])


def _shown(miou: float | None) -> str:
    return "none" if miou is None else f"{miou:.3f}"


def _figure(cells: Sequence[Mapping[str, Any]], name: str, path: Path) -> None:
    curves = {
        cell["mode"]: [(0.0, 0.0)] + [(row["seconds"] / 60.0, row["miou"] or 0.0) for row in cell["curve"]]
        for cell in cells
        if cell["set"] == name and cell["mode"] != FULL
    }
    marks = [cell["curve"][-1]["miou"] for cell in cells if cell["set"] == name and cell["mode"] == FULL]
    if curves:
        write_curves(path, name, curves, mark=marks[0] if marks else None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["nuclei", "camvid"])
    parser.add_argument("--modes", nargs="+", choices=(*MODES, FULL), default=[*MODES, FULL])
    parser.add_argument("--minutes", type=float, default=10.0, help="simulated")
    parser.add_argument("--pace", choices=sorted(PACES), default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps-per-second", type=float, default=0.5, help="of the deep network")
    parser.add_argument("--head-steps-per-second", type=float, default=15.0, help="of the instant learner")
    parser.add_argument("--real-time", action="store_true", help="no lock-step: for a GPU")
    parser.add_argument("--run-seconds", type=float, default=300.0, help="budget of a run")
    parser.add_argument(
        "--new-runs", action="store_true", help="when a run is over, begin a new one: do not continue it"
    )
    parser.add_argument("--per-image", type=int, default=10, help="corrections before the next image")
    parser.add_argument("--pool", type=int, default=60, help="images to label, at most")
    parser.add_argument("--test", type=int, default=25, help="test images, at most: always the same")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("effort"), help="folder of results")
    parser.add_argument("--figures", type=Path, default=None, help="folder for effort_SET.svg")
    parser.add_argument("--report", action="store_true", help="compute nothing: tell what is in --out")
    return parser.parse_args()


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    print(describe("torch"))
    cells = []
    for name in options.sets:
        for mode in options.modes:
            path = options.out / f"{name}-{mode}-{options.pace}-{options.seed}.json"
            if options.report and not path.is_file():
                path = path.with_suffix(".part")
            elif not path.is_file():
                measure(name, mode, options, path)
            if path.is_file():
                cells.append(json.loads(path.read_text()))
    if not cells:
        raise SystemExit(f"{options.out}: nothing is there yet")
    print(table(cells))
    write_csv(cells, options.out / "effort.csv")
    if options.figures is not None:
        for name in options.sets:
            _figure(cells, name, options.figures / f"effort_{name}.svg")


if __name__ == "__main__":
    main()
