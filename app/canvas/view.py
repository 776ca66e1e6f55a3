"""The canvas: the image, the prediction over it, the shapes, and the tools that edit them.

It knows no session. What is shown is set; what a person wants goes out as signals: commands to execute,
selections to make. The document is followed through its changes, so that undo, another view or a reload
from disk show here by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QTransform
from PySide6.QtWidgets import QWidget

from app.canvas.aids.aids import ViewAids
from app.canvas.context import ToolContext
from app.canvas.image_view import ImageView
from app.canvas.layer_cache import Frame, Layer
from app.canvas.live_shapes import LIVE_MARGIN, LiveShapes
from app.canvas.outlines import Box
from app.canvas.pixels import Latest, PixelReader
from app.canvas.placeholder import paint_placeholder
from app.canvas.shape_index import MANY_CHANGES, ShapeIndex, union
from app.canvas.shape_pictures import ShapePictures
from app.canvas.style import ClassColors
from app.canvas.tools.registry import TOOLS
from app.theme import Themed, Tokens, tokens
from app.workers.tasks import TaskRunner
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import ClassList, LabelClass, Shape, spoken_label
from core.images.pyramid import Pyramid

_SHARPEN_AFTER_MS: Final = 60
_WORKERS_MS: Final = 8000
_BURST: Final = 64
"""After so many changes without a paint all is repainted: keeping a region of the rest would cost more."""


class CanvasView(Themed, ImageView):
    """One image with its shapes. Give it an image, a document and classes; connect its signals.

    Shapes are drawn as one cached layer; only what is selected, hovered or dragged is drawn anew at every
    paint (see `layer_cache` and `live_shapes`).
    """

    command_issued = Signal(object)
    """A `core.annotation.commands.Command` to execute on the document."""
    drag_ended = Signal()
    """What comes next is a step of its own in the history."""
    selection_requested = Signal(object)
    """A frozenset of uids; answer with `set_selection`."""
    label_needed = Signal(object)
    """Finished shapes (a tuple, label "") while no class is active; the receiver labels and adds them, or
    drops them."""
    label_asked_again = Signal(object)
    """As `label_needed`, of shapes that wait already: the person wants to answer now."""
    region_clicked = Signal(int, int)
    """Pixel x, y of a predicted region that was clicked with the region tool."""
    context_menu_requested = Signal(QPoint)
    """A right click, on the desktop; what is under it has been selected."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Image canvas")
        self._classes = ClassList()
        self._colors = ClassColors(self._classes)
        self._document: AnnotationDocument | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._placeholder = "Open a folder of images to begin"
        self._exposed = QRect()
        self._changes_unpainted = 0

        self._index = ShapeIndex()
        self._shapes = ShapePictures(
            self._index,
            self._color_of_uid,
            lambda uid: spoken_label(self._shape(uid).label),
            self._on_stretched,
            self._draw_later,
        )
        self._live = LiveShapes(self._index, self.color_of)
        self._picture_runner = TaskRunner(1, self)
        self._pictures = Latest(self._picture_runner, self)
        self._pictures.failed.connect(self._on_picture_failed)
        self._sharpen_timer = QTimer(self)
        self._sharpen_timer.setSingleShot(True)
        self._sharpen_timer.setInterval(_SHARPEN_AFTER_MS)
        self._sharpen_timer.timeout.connect(self._on_zoom_rested)

        self.aids = ViewAids(self)
        self.context = ToolContext(self, self._index, self._live)
        self.set_tools((tool(self.context) for tool in TOOLS), self.context.waiting)

    @property
    def usable(self) -> bool:
        """Is there a document to draw in?"""
        return self._has_image and self._document is not None

    # --- what is shown ------------------------------------------------------------------------------------

    def set_image(self, image: QImage | Pyramid | None) -> None:
        """Show an image (upright), or none. The zoom stays when the next image has the same size.

        A prediction belongs to an image and goes with it. A pyramid is the view's from now on: it is painted
        as its tiles arrive, and closed when another image takes its place.
        """
        self._tool.cancel()
        self.context.pixels = PixelReader.of(image)
        super().set_image(image)
        self.refresh_tool()

    def end_workers(self) -> None:
        """Stop reading tiles; the view is of no further use."""
        self.set_image(None)
        self._end_feeds(_WORKERS_MS)
        self.context.runner.close(_WORKERS_MS)
        self._picture_runner.close(_WORKERS_MS)

    def set_placeholder(self, text: str) -> None:
        """What to say where there is no image."""
        self._placeholder = text
        self.viewport().update()

    def set_document(self, document: AnnotationDocument | None, image_key: str = "") -> None:
        """Show and edit these shapes; None: nothing can be drawn. Nothing is selected or hidden then.

        What waits for its label does so under a key that is the image's alone, in any project.
        """
        self._tool.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._document = document
        self.context.document = document
        self.context.waiting.image_changed(image_key)
        self._live.document = document
        self._live.reset()
        self._live.selection = frozenset()
        self._index.set_hidden(())
        self._index.load(document)
        if document is not None:
            self._unsubscribe = document.subscribe(self._on_document_changed, many=self._on_much_changed)
        self._after_live_change(None)
        self._shapes.invalidate()
        self.viewport().update()
        if document is not None:
            self._tool.activate()
        self.refresh_tool()
        self.content_moved()

    def set_classes(self, classes: ClassList) -> None:
        """Draw labels and predictions in these classes' colours."""
        self._classes = classes
        self._colors = ClassColors(classes)
        self._prediction_layer.set_classes(classes)
        self._shapes.fade()
        self._prediction_cache.invalidate()
        self.viewport().update()

    @property
    def classes(self) -> ClassList:
        """The classes last set."""
        return self._classes

    def set_active_class(self, label_class: LabelClass | None) -> None:
        """Label new shapes so; without a class `label_needed` asks."""
        self.context.active_class = label_class
        self.refresh_tool()
        self.viewport().update()

    def set_selection(self, uids: Collection[int]) -> None:
        """Highlight exactly these shapes."""
        selection = frozenset(uids)
        if selection != self._live.selection:
            kept = frozenset(vertex for vertex in self._live.vertices if vertex.uid in selection)
            self.change_live(selection=selection, vertices=kept)

    def set_hidden(self, uids: Collection[int]) -> None:
        """Do not draw these shapes, and let the mouse pass through them."""
        before = self._live.box()
        changed = self._index.set_hidden(uids)
        if changed is not None:
            self._shapes.invalidate(changed)
            self.update_box(union([changed, before]), LIVE_MARGIN)

    def set_labels_visible(self, visible: bool) -> None:
        """Show or hide all shapes."""
        if visible != self._live.visible:
            self._tool.visibility_changed()
            self._live.visible = visible
            self._shapes.invalidate()
            self.viewport().update()
            self.refresh_tool()

    def set_names_visible(self, visible: bool) -> None:
        """Write each shape's label on it, or do not."""
        self._shapes.names_visible = visible
        self.viewport().update()

    def change_brush_size(self, steps: int) -> None:
        """Make brush and eraser so many steps larger (or smaller, below 0)."""
        self.context.brush.step(steps)
        self.refresh_tool()

    def update_box(self, box: Box, margin: float) -> None:
        """As for tools; the loupe shows it from where it stands."""
        super().update_box(box, margin)
        self.aids.refresh_loupe()

    # --- live shapes --------------------------------------------------------------------------------------

    def change_live(self, **changes: Any) -> None:
        """Change attributes of `LiveShapes`; repaint what looks different then. For tools."""
        before = self._live.box()
        for name, value in changes.items():
            setattr(self._live, name, value)
        self._after_live_change(before)

    def _after_live_change(self, before: Box | None) -> None:
        """Move shapes between the cached layer and the live ones; repaint around both."""
        dirty = [*self._shapes.follow_live(self._live), self._live.box()]
        self.update_box(union(dirty if before is None else [*dirty, before]), LIVE_MARGIN)

    def _on_document_changed(self, change: Change) -> None:
        self._follow((change,))

    def _on_much_changed(self, changes: Sequence[Change]) -> None:
        if len(changes) < MANY_CHANGES:
            self._follow(changes)
            return
        self._index.reload()
        self._live.follow_many()
        for change in changes:
            self._tool.document_changed(change)
            self.context.waiting.document_changed(change)
        self._shapes.fade()
        self._after_live_change(None)
        self.viewport().update()

    def _follow(self, changes: Sequence[Change]) -> None:
        # A command may change ten thousand shapes one by one: nothing here may depend on how many there are.
        # The document is past all of them: so is the index before anyone looks at both.
        touched = [self._index.follow(change) for change in changes]
        for change in changes:
            self._live.follow(change)
            self._tool.document_changed(change)
            self.context.waiting.document_changed(change)
        for each in touched:
            if each is not None:
                self._repaint(each.box)

    def _repaint(self, box: Box | None) -> None:
        """The shapes in a box of the image look different; None: anywhere."""
        self._changes_unpainted += 1
        if self._changes_unpainted <= _BURST:
            self._shapes.invalidate(box if self._changes_unpainted < _BURST else None)
        if box is None:
            self._shapes.invalidate()
            self._after_live_change(None)
            self.viewport().update()
        elif self._changes_unpainted < _BURST:
            self.update_box(box, LIVE_MARGIN)
        elif self._changes_unpainted == _BURST:
            self.viewport().update()

    def color_of(self, label: str) -> QColor:
        """The colour shapes of this label are drawn in."""
        return self._colors.of(label)

    def _color_of_uid(self, uid: int) -> QColor:
        return self._colors.of(self._shape(uid).label)

    def _shape(self, uid: int) -> Shape:
        assert self._document is not None
        return self._document.get(uid)

    # --- the mouse ----------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """As for tools; crosshair and loupe follow."""
        super().mouseMoveEvent(event)
        self.aids.follow(event.position())

    def leaveEvent(self, event: QEvent) -> None:
        """As for tools; crosshair and loupe go."""
        super().leaveEvent(event)
        self.aids.follow(None)

    # --- painting -----------------------------------------------------------------------------------------

    def apply_tokens(self, theme: Tokens) -> None:
        """Take the ground's colour from the theme."""
        self._image_layer.ground = QColor(theme.canvas)
        self._image_cache.invalidate()
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Remember which part is wanted: the layers blit no more."""
        self._exposed = event.rect()
        self._changes_unpainted = 0
        super().paintEvent(event)

    def drawBackground(self, painter: QPainter, _rect: QRectF | QRect) -> None:
        """Image, prediction and shapes, from their caches."""
        painter.save()
        painter.resetTransform()
        frame = self._frame()
        device = self._exposed_pixels(frame)
        self._image_cache.paint(painter, frame, device)
        if self._has_image:
            self.aids.paint_below(painter, frame)
            self._paint_prediction(painter, frame, device)
            self._shapes.paint(painter, frame, device, self._live)
        painter.restore()

    def drawForeground(self, painter: QPainter, _rect: QRectF | QRect) -> None:
        """What is live, and what the tool is in the middle of; the placeholder where there is no image."""
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._has_image:
            frame = self._frame()
            self._live.paint(painter, self.viewportTransform(), QRectF(self._exposed))
            self._shapes.paint_names(painter, frame, self._exposed_pixels(frame), self._live)
            self.context.waiting.paint(painter)
            self._tool.paint_overlay(painter)
            self.spotlight.paint(painter, self.viewportTransform())
            layers: list[Layer] = [self._shown_image, *self._prediction_layers()]
            layers += self._shapes.magnified() if self._live.visible else []
            self.aids.paint_above(painter, frame, layers, self._paint_magnified)
        else:
            paint_placeholder(painter, self.viewport().rect(), self._placeholder, tokens())
        painter.restore()

    def _paint_magnified(self, painter: QPainter, to_loupe: QTransform, rect: QRectF) -> None:
        """What is live, under a transform from the viewport to the loupe, inside `rect`."""
        transform = self.viewportTransform() * to_loupe
        self._live.paint(painter, transform, rect)
        painter.save()
        painter.setTransform(to_loupe * painter.transform())
        self.context.waiting.paint(painter)
        self._tool.paint_overlay(painter)
        painter.restore()

    def _exposed_pixels(self, frame: Frame) -> QRect:
        """The part of the viewport that is wanted, device pixels."""
        ratio, exposed = frame.ratio, self._exposed
        left, top = math.floor(exposed.x() * ratio), math.floor(exposed.y() * ratio)
        right = min(frame.width, math.ceil((exposed.x() + exposed.width()) * ratio))
        bottom = min(frame.height, math.ceil((exposed.y() + exposed.height()) * ratio))
        return QRect(left, top, right - left, bottom - top)

    def _frame(self) -> Frame:
        ratio = self.viewport().devicePixelRatioF()
        transform = self.viewportTransform()
        return Frame(
            scale=transform.m11() * ratio,
            dx=transform.dx() * ratio,
            dy=transform.dy() * ratio,
            width=math.ceil(self.viewport().width() * ratio),
            height=math.ceil(self.viewport().height() * ratio),
            ratio=ratio,
        )

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Repaint all: the caches shift what they have, and what floats above moves with the image."""
        super().scrollContentsBy(dx, dy)
        self.viewport().update()

    def _on_stretched(self) -> None:
        self._sharpen_timer.start()

    def _draw_later(self, draw: Callable[[], QImage], then: Callable[[QImage], None]) -> None:
        def show(picture: QImage) -> None:
            then(picture)
            self.viewport().update()

        self._pictures.run(draw, doing="drawing the shapes", then=show)

    def _on_picture_failed(self, _sentence: str) -> None:
        self._shapes.invalidate()  # drawn here then, and what is wrong told as for any paint
        self.viewport().update()

    def _on_zoom_rested(self) -> None:
        self._image_cache.sharpen()
        self._sharpen_prediction()
        self._shapes.sharpen()
        self.viewport().update()
