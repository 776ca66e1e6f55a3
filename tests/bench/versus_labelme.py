"""Ours and labelme on the same files: open, repaint, hover, move a vertex, undo, save.

    python tests/bench/versus_labelme.py [--labelme-python PATH] [--polygons 100 1000 10000] [--limit 120]

N polygons of 20 vertices lie on 2048 x 2048 pixels. Both programs show their real main window of 1600 x 1000
offscreen, each in a process of its own, one after the other, and the same code moves the mouse and looks at
the screen (`window_hands.py`). Medians, milliseconds. Without `--labelme-python` labelme is sought as the
tests do (`tests/interop/labelme_environment.py`); where it cannot be had, ours stands alone and the reason is
said.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bench_canvas import SIDE, VERTICES, polygons
from machine import describe, quantile
from PIL import Image
from window_hands import MEASUREMENTS

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from tests.interop import labelme_environment

HERE = Path(__file__).parent
INTEROP = Path(labelme_environment.__file__).parent
OPENING = next(iter(MEASUREMENTS))


@dataclass
class Result:
    """What one program took: medians in milliseconds, None where it passed the limit."""

    program: str = ""
    medians: dict[str, float | None] = field(default_factory=dict)


def write_files(folder: Path, count: int) -> tuple[Path, list[list[float]]]:
    """An image and its labelme JSON; also gives the topmost polygon's vertices."""
    pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "crowd.png", compress_level=1)
    rings = polygons(count)
    shapes = tuple(
        Shape(f"class{1 + k % 5}", ShapeType.POLYGON, frozen_points(ring)) for k, ring in enumerate(rings)
    )
    file = folder / "crowd.json"
    file.write_bytes(dumps(Annotation("crowd.png", (SIDE, SIDE), shapes, AnnotationState.IN_PROGRESS)))
    return file, rings[-1].tolist()


def check(before: bytes, file: Path) -> None:
    """What was saved must be what was there but for one vertex, else something else was measured."""
    old, new = loads(before, file).shapes, loads(file.read_bytes(), file).shapes
    moved = [k for k, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    vertices = int((old[-1].points != new[-1].points).any(axis=1).sum())
    if moved != [len(old) - 1] or vertices != 1:
        print(
            f"  Beware: {len(moved)} polygons changed, of the dragged one {vertices} vertices; not 1 and 1."
        )


def run(command: list[str | Path], variables: dict[str, str], count: int, limit_s: float) -> Result:
    """Measure one program; when a measurement passes the limit, start anew without it."""
    result = Result()
    with tempfile.TemporaryDirectory() as folder:
        file, ring = write_files(Path(folder), count)
        before = file.read_bytes()
        while missing := [name for name in MEASUREMENTS if name not in result.medians]:
            skip = [name for name in MEASUREMENTS if name not in missing]
            task = json.dumps({"file": str(file), "ring": ring, "skip": skip})
            late = _one_process([*command, task], variables, result, limit_s)
            if late is None:
                break
            result.medians[late] = None
            if late == OPENING:
                break
            file.write_bytes(before)
        if all(result.medians.get(name) for name in MEASUREMENTS if name.startswith("save")):
            check(before, file)
    return result


def _one_process(
    command: list[str | Path], variables: dict[str, str], result: Result, limit_s: float
) -> str | None:
    """Read measurements until the process ends; the name of the one that passed the limit, if one did."""
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[str | None] = queue.Queue()
    errors: list[str | None] = []
    readers = [
        threading.Thread(target=_pump, args=(process.stdout, lines.put)),
        threading.Thread(target=_pump, args=(process.stderr, errors.append)),
    ]
    for reader in readers:
        reader.start()
    begun = OPENING
    try:
        while (line := lines.get(timeout=limit_s)) is not None:
            told = json.loads(line)
            begun = told.get("begin", begun)
            result.program = told.get("program", result.program)
            if "ms" in told and told["name"] not in result.medians:
                result.medians[told["name"]] = quantile(told["ms"], 0.5) if told["ms"] else math.nan
    except queue.Empty:
        process.kill()
        return begun
    finally:
        process.wait()
        for reader in readers:
            reader.join()
    if process.returncode != 0:
        raise SystemExit(f"{result.program or command[1]} ended with {process.returncode}:\n{_text(errors)}")
    return None


def _text(lines: Iterable[str | None]) -> str:
    return "".join(line for line in lines if line is not None)


def _pump(lines: Iterable[str], put: Callable[[str | None], None]) -> None:
    for line in lines:
        put(line)
    put(None)


def table(count: int, ours: Result, theirs: Result | None, limit_s: float) -> None:
    """Print one count's figures side by side."""
    print(f"\n{count} polygons of {VERTICES} vertices{'Maskloop':>22}{'labelme':>12}{'labelme : ours':>17}")
    for name in MEASUREMENTS:
        mine = ours.medians.get(name)
        cells = [_figure(ours, name, limit_s)]
        if theirs is not None:
            other = theirs.medians.get(name)
            ratio = f"{other / mine:.0f}" if mine and other and other >= 9.5 * mine else None
            if ratio is None and mine and other:
                ratio = f"{other / mine:.1f}"
            cells += [_figure(theirs, name, limit_s), ratio or "-"]
        print(f"  {name:<32}{cells[0]:>12}" + (f"{cells[1]:>14}{cells[2]:>15}" if len(cells) > 1 else ""))


def _figure(result: Result, name: str, limit_s: float) -> str:
    if name not in result.medians:
        return "not reached"
    value = result.medians[name]
    if value is None:
        return f"> {limit_s * 1000:,.0f}"
    if math.isnan(value):
        return "failed"
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--labelme-python", type=Path, help="an interpreter that has labelme, or 3.12 or later"
    )
    parser.add_argument("--polygons", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one measurement")
    options = parser.parse_args()
    if options.labelme_python is not None:
        os.environ[labelme_environment.VARIABLE] = str(options.labelme_python)
    python: Path | None = None
    reason = ""
    try:
        python = labelme_environment.labelme_python()
    except labelme_environment.LabelmeAbsentError as absent:
        reason = str(absent)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(describe("PySide6-Essentials", "numpy"))
    print(f"load average before: {load:.1f}")
    if python is None:
        print(f"Ours alone: {reason}.")
    offscreen = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    programs: set[str] = set()
    for count in options.polygons:
        ours = run([sys.executable, HERE / "hands_on_maskloop.py"], offscreen, count, options.limit)
        theirs = None
        if python is not None:
            with labelme_environment.surroundings() as variables:
                variables["PYTHONPATH"] = os.pathsep.join((str(HERE), str(INTEROP)))
                theirs = run([python, HERE / "hands_on_labelme.py"], variables, count, options.limit)
        for result in filter(None, (ours, theirs)):
            if result.program not in programs:
                programs.add(result.program)
                print(result.program)
        table(count, ours, theirs, options.limit)


if __name__ == "__main__":
    main()
