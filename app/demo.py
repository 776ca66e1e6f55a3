"""`maskloop demo` where there is a display: the window on a fresh copy of the sample project."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.application import run_window
from core.errors import MaskloopError
from core.project.sample import copy_sample


def open_demo(arguments: Sequence[str]) -> int:
    """Copy the sample and open it; training starts by itself, so that there is something to see."""
    parser = argparse.ArgumentParser(prog="maskloop demo")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    root = (options.out or Path(tempfile.mkdtemp(prefix="maskloop-demo-"))) / "project"
    if root.exists():
        raise MaskloopError(f"{root} exists already; give another folder with --out")
    copy_sample(root)
    return run_window(root, train_seconds=options.seconds)
