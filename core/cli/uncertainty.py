"""`maskloop predict --uncertainty`: a grey picture of how uncertain each prediction is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2

from core.cli.output import say
from core.errors import MaskloopError, UsageError
from core.formats.export_folder import ExportFolder
from core.formats.report import ExportReport
from core.images.reader import read_image
from core.learning.config import DeviceChoice
from core.learning.doubt_sources import asked_again, check_source
from core.learning.ensemble_members import members_beside
from core.learning.folder_prediction import ImageDone
from core.learning.predict import Predictor, open_predictor
from core.learning.uncertainty import UncertaintySource, uncertainty_map
from core.project.layout import ProjectLayout

FOLDER: Final = "uncertainty"
"""Below the folder of the predictions."""


class UncertaintyFiles:
    """Writes such pictures: 0 is sure, 255 one bit of entropy or more.

    Args:
        source: what the uncertainty is taken from.
        weights: of the network that predicts. run: its run's folder; None for a bare file.
        members: files of the other networks of an ensemble; none: those of the runs beside `run`.

    Raises:
        MaskloopError: this network, or these, cannot be asked so.
    """

    def __init__(
        self,
        source: UncertaintySource,
        weights: Path,
        run: Path | None,
        members: Sequence[Path],
        device: DeviceChoice,
    ) -> None:
        self._source = source
        self._predictor = open_predictor(weights, device=device)
        if source == "ensemble" and not members and run is not None:
            members = members_beside(run, self._predictor.header.classes)
        elif source != "ensemble" and members:
            raise UsageError("--members are the networks of an ensemble: choose --uncertainty ensemble")
        self._others: list[Predictor] = [open_predictor(member, device=device) for member in members]
        check_source(source, self._predictor, self._others)

    def write(self, done: Sequence[ImageDone], out: Path, root: Path | None) -> list[Path]:
        """The pictures of these images, in a folder of their own below `out`."""
        report = ExportReport()
        layout = None if root is None else ProjectLayout(root)
        with ExportFolder(layout, out / FOLDER, report) as folder:
            for image in done:
                if image.file is None:
                    continue
                try:
                    voice = asked_again(
                        self._source, self._predictor, read_image(image.path), others=self._others
                    )
                except MaskloopError as error:
                    say(f"warning: {error}")
                    continue
                _, data = cv2.imencode(".png", uncertainty_map([voice]).entropy)
                name = image.file.relative_to(out).with_suffix(".png")
                (out / FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
                folder.write(name.as_posix(), data.tobytes())
                say(f"uncertainty of {image.path.name}")
        for problem in report.problems:
            say(f"warning: {problem}")
        return list(report.files)
