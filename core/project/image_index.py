"""Which images a project has, and what their annotation files hold at a glance."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from core.annotation.model import AnnotationState
from core.errors import FileProblem
from core.files import carry_on
from core.project.annotation_files import Glance, Glances
from core.project.export_manifest import ExportManifest
from core.project.layout import ProjectLayout
from core.project.scan import ImageEntry, ScanChange, scan
from core.project.schema import ProjectFile


class ImageIndex:
    """The images as of the last scan.

    Attributes:
        entries: by key, in natural order.
        problems: what the last scan had to pass over.
        folders: those that hold the images.
    """

    def __init__(self, layout: ProjectLayout) -> None:
        self._layout = layout
        self._glances = Glances()
        self._exports = ExportManifest(layout)
        self.entries: Mapping[str, ImageEntry] = MappingProxyType({})
        self.problems: tuple[FileProblem, ...] = ()
        self.folders: tuple[Path, ...] = ()

    def scan(self, file: ProjectFile, check: Callable[[], None] = carry_on) -> ScanChange:
        """Look at the disk again, where project.json says; where `check` ends that, nothing has changed."""
        before = self.entries
        problems: list[FileProblem] = []
        self.entries = MappingProxyType(
            scan(self._layout, file, self._glances, self._exports, before, problems, check)
        )
        self.problems = tuple(problems)
        # On strings: ten thousand times Path.parent takes a fifth of a second.
        folders = dict.fromkeys(os.path.dirname(e.image_path) for e in self.entries.values())  # noqa: PTH120
        self.folders = tuple(map(Path, folders))
        return ScanChange(
            added=tuple(key for key in self.entries if key not in before),
            removed=tuple(key for key in before if key not in self.entries),
        )

    def glance(self, entry: ImageEntry) -> Glance | None:
        """What an image's annotation file holds, without its points; None if there is no file."""
        glance = self._glances.at(entry.annotation_path)
        if glance is None and entry.source_path is not None:
            return self._glances.at(entry.source_path)
        return glance

    def own_glance(self, entry: ImageEntry) -> Glance | None:
        """As `glance`, of the file that is written to alone."""
        return self._glances.at(entry.annotation_path)

    def forget(self, entry: ImageEntry) -> None:
        """The annotation file was rewritten, perhaps within the grain of the disk's clock."""
        self._glances.forget(entry.annotation_path)

    def state_of(self, entry: ImageEntry) -> AnnotationState:
        """How far an image is labelled; UNLABELLED too where the annotation cannot be read."""
        glance = self.glance(entry)
        return AnnotationState.UNLABELLED if glance is None else glance.state

    def label_counts(self, check: Callable[[], None] = carry_on) -> Counter[str]:
        """How many shapes of all images have which label, first seen first."""
        counts: Counter[str] = Counter()
        for entry in self.entries.values():
            check()
            glance = self.glance(entry)
            if glance is not None:
                counts.update(glance.labels)
        return counts
