"""A view that shows what a network sees in its image: the classes, and how little they can be relied on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from app.canvas.heat import HeatLayer
from app.canvas.layer_cache import Frame, Layer, LayerCache
from app.canvas.outlines import Box
from app.canvas.overlay import PredictionLayer, Region
from app.canvas.spotlight import Spotlight
from app.canvas.tool_view import ToolView

REGION_TOOL: Final = "region"


class PredictionView(ToolView):
    """Has a prediction and a heat layer. Subclasses paint the rest and override `_on_stretched`.

    Attributes:
        spotlight: points an area out.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prediction_layer = PredictionLayer()
        self._prediction_cache = LayerCache(self._prediction_layer, self._on_stretched)
        self._heat = HeatLayer()
        self._heat_cache = LayerCache(self._heat, self._on_stretched)
        self.spotlight = Spotlight(self)

    def _on_stretched(self) -> None:
        """A layer was shown stretched and should be drawn properly soon."""
        raise NotImplementedError

    # --- classes ------------------------------------------------------------------------------------------

    def set_prediction(
        self,
        classes: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None = None,
        region: Box | None = None,
    ) -> None:
        """Show a class map (H, W), uint8 mask values, fainter where `confidence` (H, W), 0..255, is low.

        Args:
            classes: of every pixel, or with a region a map of that, perhaps coarser.
            confidence: likewise.
            region: x0, y0, x1, y1: what of the image is shown; None: all of it.

        Raises:
            ValueError: the map does not have the image's size.
        """
        if region is None:
            self._check_size(classes, "prediction")
        self._prediction_layer.set_prediction(classes, confidence, region)
        self._on_prediction_changed()

    def update_prediction(
        self, box: tuple[int, int, int, int], classes: NDArray[np.uint8], confidence: NDArray[np.uint8]
    ) -> None:
        """Show a newer map in a part x0, y0, x1, y1 of the whole one on show; only that is painted anew."""
        self._prediction_layer.update(box, classes, confidence)
        self._prediction_cache.invalidate(box)
        self.update_box(box, 0.0)
        self._highlight_anew()

    def clear_prediction(self) -> None:
        """Show no prediction."""
        self.set_uncertainty(None)
        if self._prediction_layer.classes is not None:
            self._prediction_layer.set_prediction(None)
            self._on_prediction_changed()

    def set_prediction_visible(self, visible: bool) -> None:
        """Show or hide the prediction."""
        self._prediction_layer.visible = visible
        self._on_prediction_changed()

    def set_prediction_opacity(self, opacity: float) -> None:
        """0 (invisible) to 1."""
        self._prediction_layer.set_opacity(opacity)
        self._prediction_cache.invalidate()
        self.viewport().update()

    @property
    def has_prediction(self) -> bool:
        """Is a prediction shown?"""
        return self._prediction_layer.classes is not None and self._prediction_layer.visible

    @property
    def prediction(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None] | None:
        """Classes and confidence, (H, W) uint8 each, while they are shown, of every pixel of the image."""
        layer = self._prediction_layer
        if layer.classes is None or layer.region_box is not None or not layer.visible:
            return None
        return layer.classes, layer.confidence

    def region_at(self, x: float, y: float) -> Region | None:
        """The predicted region under a point of the image, while predictions are shown."""
        return self._prediction_layer.region_at(x, y) if self.has_prediction else None

    def _on_prediction_changed(self) -> None:
        self._prediction_cache.invalidate()
        self.viewport().update()
        self._highlight_anew()

    def _highlight_anew(self) -> None:
        """What the region tool highlights is of the old map: the mouse may rest over one of the new."""
        self._tools[REGION_TOOL].cancel()
        if self.tool == REGION_TOOL:
            self.content_moved()
        self.refresh_tool()

    def _check_size(self, array: NDArray[np.uint8], what: str) -> None:
        size = self.content_size
        if array.shape != (size.height(), size.width()):
            raise ValueError(
                f"the {what} is {array.shape[1]} x {array.shape[0]} and the image is"
                f" {size.width()} x {size.height()} pixels; predict this image again"
            )

    # --- uncertainty --------------------------------------------------------------------------------------

    def set_uncertainty(self, uncertainty: NDArray[np.uint8] | None) -> None:
        """Have a map (H, W), uint8, 0 (sure) to 255, to show as heat; None: there is none.

        Raises:
            ValueError: the map does not have the image's size.
        """
        if uncertainty is not None:
            self._check_size(uncertainty, "uncertainty")
        if uncertainty is not None or self._heat.uncertainty is not None:
            self._heat.uncertainty = uncertainty
            self._on_heat_changed()

    def set_uncertainty_visible(self, visible: bool) -> None:
        """Show or hide the heat."""
        self._heat.visible = visible
        self._on_heat_changed()

    def set_uncertainty_opacity(self, opacity: float) -> None:
        """0 (invisible) to 1."""
        self._heat.set_opacity(opacity)
        self._on_heat_changed()

    @property
    def has_uncertainty(self) -> bool:
        """Is a heat layer shown?"""
        return self._heat.uncertainty is not None and self._heat.visible

    def _on_heat_changed(self) -> None:
        self._heat_cache.invalidate()
        self.viewport().update()

    # --- painting -----------------------------------------------------------------------------------------

    def _paint_prediction(self, painter: QPainter, frame: Frame, device: QRect) -> None:
        """Both layers, from their caches."""
        if self.has_prediction:
            self._prediction_cache.paint(painter, frame, device)
        if self.has_uncertainty:
            self._heat_cache.paint(painter, frame, device)

    def _prediction_layers(self) -> list[Layer]:
        """What is shown of them, bottom to top."""
        layers: list[Layer] = [self._prediction_layer] if self.has_prediction else []
        return [*layers, self._heat] if self.has_uncertainty else layers

    def _sharpen_prediction(self) -> None:
        self._prediction_cache.sharpen()
        self._heat_cache.sharpen()
