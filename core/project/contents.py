"""What a project has: images, annotations, masks and classes, as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation, AnnotationState, ClassList
from core.errors import FileProblem, UsageError
from core.files import carry_on
from core.images.reader import HUGE_PIXELS, image_size
from core.project import mask_store
from core.project.annotation_files import Glance
from core.project.annotation_store import Loaded, load_annotation
from core.project.drawn_masks import DrawnMasks
from core.project.image_index import ImageIndex
from core.project.layout import ProjectLayout
from core.project.project_json import ProjectJson
from core.project.scan import ImageEntry, ScanChange
from core.project.strip_mask import StripMask, StripMasks


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image someone has labelled: what is drawn, and its mask (H, W), uint8."""

    entry: ImageEntry
    annotation: Annotation
    mask: NDArray[np.uint8]


class ProjectContents:
    """The reading half of a `core.project.project.Project`; nothing here writes.

    Attributes:
        layout: the project's paths.
        problems: files that `images` and `labelled` had to pass over, as of their last call.
    """

    def __init__(self, layout: ProjectLayout, json: ProjectJson) -> None:
        self.layout = layout
        self.problems: list[FileProblem] = []
        self._json = json
        self._index = ImageIndex(layout)
        self._strip_masks = StripMasks()
        self._drawn_masks = DrawnMasks()

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.layout.root

    @property
    def name(self) -> str:
        """What people call it."""
        return self._json.content.name

    @property
    def classes(self) -> ClassList:
        """The classes in display order."""
        return self._json.classes

    @property
    def unwritten_classes(self) -> tuple[str, ...]:
        """Names of classes that labels have brought and project.json does not have: indices may change."""
        return self._json.unwritten

    @property
    def image_roots(self) -> tuple[str, ...]:
        """The folders of images, as project.json has them."""
        return self._json.content.image_roots

    @property
    def settings(self) -> Mapping[str, Any]:
        """The project's settings; change them with `set_setting`."""
        return MappingProxyType(self._json.content.settings)

    # --- images -------------------------------------------------------------------------------------------

    def images(self) -> tuple[ImageEntry, ...]:
        """The images as of the last scan, in natural order."""
        return tuple(self._index.entries.values())

    def image_folders(self) -> tuple[Path, ...]:
        """Every folder that is, or holds, images of the project."""
        roots = [self.root / spec for spec in self.image_roots]
        return tuple(dict.fromkeys([*roots, *self._index.folders]))

    def entry(self, key: str) -> ImageEntry:
        """The image of this key. Raises UsageError if the project has none."""
        try:
            return self._index.entries[key]
        except KeyError as error:
            raise UsageError(f"{self.root}: the project has no image {key!r}") from error

    def state_of(self, entry: ImageEntry) -> AnnotationState:
        """How far an image is labelled; UNLABELLED too where the annotation cannot be read."""
        return self._index.state_of(entry)

    def glance(self, entry: ImageEntry) -> Glance | None:
        """What an image's annotation file holds, without its points; None if there is no file."""
        return self._index.glance(entry)

    def annotated(self) -> Iterator[tuple[ImageEntry, Annotation]]:
        """Every image that is in progress or done, read one at a time: all may not fit into memory.

        In the end `problems` says what was passed over.
        """
        problems = list(self._index.problems)
        for entry in self.images():
            glance = self._index.glance(entry)
            if glance is None or (glance.problem is None and glance.state is AnnotationState.UNLABELLED):
                continue
            try:
                annotation = self.load(entry).annotation
            except FileProblem as problem:
                problems.append(problem)
                continue
            if annotation.state is not AnnotationState.UNLABELLED:
                yield entry, annotation
        self.problems = problems

    def labelled(self) -> Iterator[LabelledImage]:
        """As `annotated`, with their masks."""
        for entry, annotation in self.annotated():
            yield LabelledImage(entry, annotation, self.render_mask(entry, annotation))

    def _scan(self, check: Callable[[], None] = carry_on) -> ScanChange:
        change = self._index.scan(self._json.content, check)
        self.problems = list(self._index.problems)
        return change

    # --- annotations and masks ----------------------------------------------------------------------------

    def load(self, entry: ImageEntry) -> Loaded:
        """Read an image's annotation; an image without one gets an empty one.

        Raises:
            AnnotationFileError: the file is broken, of another image, or of an image of another size.
            ImageFileError: the image is missing or broken.
        """
        return load_annotation(entry)

    def render_mask(self, entry: ImageEntry, annotation: Annotation) -> NDArray[np.uint8]:
        """Draw an annotation of this image: mask (H, W), uint8, 255 where nothing is known."""
        return mask_store.render_mask(entry, annotation, self.classes)

    def drawn_mask(self, entry: ImageEntry, annotation: Annotation) -> NDArray[np.uint8] | StripMask:
        """As `render_mask`, but read-only; an edit redraws what it touched. A huge image's is in strips."""
        height, width = size_hw = annotation.size_hw or image_size(entry.image_path)
        if height * width <= HUGE_PIXELS:
            return self._drawn_masks.drawn(entry.key, annotation, self.classes, size_hw)
        return self._strip_masks.drawn(entry.key, annotation, self.classes, size_hw)

    def read_mask(self, entry: ImageEntry) -> NDArray[np.uint8]:
        """Read an image's index mask (H, W), uint8. Raises MaskFileError, ImageFileError."""
        return mask_store.read_mask(entry, self.classes)
