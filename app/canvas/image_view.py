"""A view that shows an image: one in memory, or a huge one as its tiles arrive."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from app.canvas.aids.adjusted_image import AdjustedImage
from app.canvas.display import DisplayAdjustment
from app.canvas.image_layer import ImageLayer
from app.canvas.layer_cache import LayerCache
from app.canvas.outlines import Box
from app.canvas.prediction_view import PredictionView
from app.canvas.tile_feed import TileFeed
from core.images.pyramid import Pyramid


class ImageView(PredictionView):
    """Has an image layer, beneath prediction and heat. Subclasses paint it.

    Signals:
        image_changed(): another image is shown, or none, and nothing is predicted over it yet.
        laid_out(): every tile of the huge image on show can be had.
    """

    image_changed = Signal()
    laid_out = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._has_image = False
        self._feed: TileFeed | None = None
        self._leaving: list[TileFeed] = []
        self._image_layer = ImageLayer()
        self._shown_image = AdjustedImage(self._image_layer)
        self._image_cache = LayerCache(self._shown_image, self._on_stretched)

    @property
    def has_image(self) -> bool:
        """Is an image shown?"""
        return self._has_image

    def set_image(self, image: QImage | Pyramid | None) -> None:
        """Show an image (upright), or none; its prediction goes with the one before."""
        self._note = None
        self.clear_prediction()
        self.spotlight.clear()
        self._drop_feed()
        if isinstance(image, Pyramid):
            self._has_image = True
            self._image_layer.set_tiles(self._feed_of(image))
        else:
            self._has_image = image is not None and not image.isNull()
            self._image_layer.set_image(image if self._has_image else None)
        self._image_cache.invalidate()
        self.set_content_size(self._image_layer.size)
        self.viewport().update()
        self.image_changed.emit()

    def set_display(self, adjustment: DisplayAdjustment) -> None:
        """Show the image brighter, steeper, or one channel of it; files and labels stay as they are."""
        if adjustment != self._shown_image.adjustment:
            self._shown_image.set_adjustment(adjustment)
            self._image_cache.invalidate()
            self.viewport().update()

    # --- tiles --------------------------------------------------------------------------------------------

    def _feed_of(self, pyramid: Pyramid) -> TileFeed:
        self._feed = feed = TileFeed(pyramid, self)
        feed.arrived.connect(self._on_tiles_arrived)
        feed.progressed.connect(self._on_laid_out)
        feed.failed.connect(self.show_note)
        return feed

    def _drop_feed(self) -> None:
        if self._feed is not None:
            self._leaving.append(self._feed)
            self._feed = None
        ended = [feed for feed in self._leaving if feed.close()]
        self._leaving = [feed for feed in self._leaving if feed not in ended]
        for feed in ended:
            feed.deleteLater()

    def _end_feeds(self, timeout_ms: int) -> None:
        """Wait for those that are still reading; none is wanted any more."""
        for feed in self._leaving:
            feed.close(timeout_ms)
        self._leaving.clear()

    def _on_tiles_arrived(self, box: Box | None) -> None:
        self._image_cache.invalidate(box)
        if box is None:
            self.viewport().update()
        else:
            self.update_box(box, ImageLayer.margin)

    def _on_laid_out(self, share: float) -> None:
        assert self._feed is not None
        name = self._feed.pyramid.path.name
        self.show_note(f"Reading {name}: {share:.0%}" if share < 1.0 else None)
        if share >= 1.0:
            self._tool.image_readable()
            self.refresh_tool()
            self.laid_out.emit()
