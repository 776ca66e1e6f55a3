"""`maskloop export`: masks, labelme files, weights or ONNX to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.output import answer, say, say_problems
from core.cli.settled import open_settled
from core.errors import MaskloopError, UsageError
from core.formats import labelme, masks
from core.formats.report import ExportReport
from core.postprocess.pipeline import Pipeline
from core.project.project import Project

NO_POST = Pipeline()


def export(arguments: argparse.Namespace) -> None:
    """Export from a project; weights and ONNX take the run with the best validation mIoU."""
    with open_settled(arguments.project) as project:
        for note in project.notes:
            say(note)
        report = export_from(project, arguments.format, arguments.out, arguments.post)
    for path in report.files:
        answer(str(path))
    if report.problems:
        raise MaskloopError(f"{arguments.out}: the export is not complete; the lines above say why")


def export_from(project: Project, output_format: str, out: Path, post: Pipeline = NO_POST) -> ExportReport:
    """Write one format into the folder `out`, and say what was left out.

    Raises:
        UsageError: post-processing for labels, or one that the network's classes do not allow.
    """
    if output_format in ("weights", "onnx"):
        return ExportReport(files=_export_network(project, output_format, out, post))
    if post:
        raise UsageError(f"--post is for weights and onnx; {output_format} are labels, which stay as drawn")
    write = {"masks": masks.export_from, "labelme": labelme.export_from}[output_format]
    report = write(project, out)
    say_problems(report.problems)
    if not report.files and not report.problems:
        raise MaskloopError(f"{project.root}: there is nothing labelled to export yet")
    return report


def _export_network(project: Project, output_format: str, out: Path, post: Pipeline) -> list[Path]:
    from core.learning.export import SCRIPT, export_run
    from core.learning.runs.run_folder import best_run

    run = best_run(project)
    if run is None:
        raise MaskloopError(f"{project.root}: no run has saved weights yet; train first")
    path = export_run(run, output_format, out, classes=project.classes, post=post)
    return [path] if output_format == "weights" else [path, path.with_name(SCRIPT)]
