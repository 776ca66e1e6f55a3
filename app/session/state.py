"""Small immutable things the session hands around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.images.pyramid import Pyramid

if TYPE_CHECKING:
    from core.project.project import ImageEntry


@dataclass(frozen=True, slots=True, eq=False)
class CurrentImage:
    """The image in the canvas.

    Attributes:
        entry: which image.
        image: its pixels, Format_RGB32; None for a huge image, which has a pyramid instead.
        pyramid: the tiles of a huge image.
        document, history: what is drawn on it.
        problem: one sentence why it cannot be shown or edited; then the others are None.
    """

    entry: ImageEntry
    image: QImage | None = None
    document: AnnotationDocument | None = None
    history: History | None = None
    problem: str | None = None
    pyramid: Pyramid | None = None

    @property
    def size_hw(self) -> tuple[int, int] | None:
        """Height and width in pixels."""
        if self.pyramid is not None:
            return self.pyramid.size_hw
        return None if self.image is None else (self.image.height(), self.image.width())
