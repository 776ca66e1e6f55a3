"""`maskloop init` and `maskloop import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.annotation.model import BACKGROUND_LABEL
from core.cli.output import answer, say, say_problems
from core.errors import MaskloopError
from core.formats import labelme, masks
from core.project.project import Project

BACKGROUND_NAMES = ("background", BACKGROUND_LABEL)


def init(arguments: argparse.Namespace) -> None:
    """Make a project with exactly the classes given; without any, background alone."""
    names: tuple[str, ...] = arguments.classes or ("background",)
    background = next((name for name in names if name in BACKGROUND_NAMES), None)
    root: Path = arguments.directory
    if arguments.images is None:
        image_roots: tuple[str | Path, ...] = ("images",)
    elif not arguments.images.is_dir():
        raise MaskloopError(f"{arguments.images}: there is no such folder of images")
    else:
        image_roots = (arguments.images.resolve(),)
    with Project.create(root, classes=names, background=background, image_roots=image_roots) as project:
        answer(f"{root}: {len(project.images())} images, classes {', '.join(project.classes.names)}")


def import_(arguments: argparse.Namespace) -> None:
    """Bring another program's annotations into a project."""
    if not arguments.source.is_dir():
        raise MaskloopError(f"{arguments.source}: there is no such folder to import from")
    bring = {"labelme": labelme.import_into, "masks": masks.import_into}[arguments.format]
    with Project.open(arguments.project) as project:
        for note in project.notes:
            say(note)
        told = len(project.notes)
        report = bring(project, arguments.source)
        for note in project.notes[told:]:
            say(note)
    say_problems(report.problems)
    if report.problems and not report.images:
        raise MaskloopError(f"{arguments.source}: nothing could be imported; the lines above say why")
    added = f", new classes {', '.join(report.new_classes)}" if report.new_classes else ""
    answer(f"{report.images} images, {report.shapes} shapes{added}")
    if report.problems:
        raise MaskloopError(f"{arguments.source}: not everything was imported; the lines above say why")
