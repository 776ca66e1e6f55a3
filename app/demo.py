"""`maskloop demo` where there is a display: the window on a fresh copy of the sample project."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.application import run_window
from core.cli.parser import make_parser
from core.errors import MaskloopError
from core.learning.config import TrainConfig
from core.project.sample import copy_sample


def open_demo(arguments: Sequence[str]) -> int:
    """Copy the sample and open it; training starts by itself, so that there is something to see.

    Raises:
        MaskloopError: the arguments (`demo` and its options) cannot be understood, or there is a project.
        OSError: the folder cannot be looked into, or made.
    """
    options = make_parser().parse_args(arguments)
    root = (options.out or Path(tempfile.mkdtemp(prefix="maskloop-demo-"))) / "project"
    if root.exists():
        raise MaskloopError(f"{root} exists already; give another folder with --out")
    copy_sample(root)
    return run_window(root, train=TrainConfig(seconds=options.seconds, seed=options.seed))
