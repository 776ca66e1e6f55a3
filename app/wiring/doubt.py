"""Doubt in the window: uncertainty as heat, the way from one doubtful region to the next, and how sure it is.

::

    U    LearningController --Uncertainty--> heat layer of the canvas
    I    map and labels --worker--> regions, the most doubtful first --> the view goes there, it glows,
         and stays outlined until one goes on, it is labelled, or the network is sure of it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QTimer, Signal
from PySide6.QtGui import QActionGroup, QKeySequence

from app.canvas.view import CanvasView
from app.dialogs.message import Toast
from app.learning.overlay_words import behind, no_prediction, sureness, sureness_detail
from app.panels.prediction_bar import PredictionBar
from app.wiring.doubtful_images import DoubtfulImages
from app.wiring.doubtful_outline import DoubtfulOutline
from app.wiring.label_mask import render
from app.wiring.part import Common, Wiring
from core.annotation.model import UNLABELLED, Annotation
from core.images.pages import image_stem
from core.learning.events import Event, Prediction, Uncertainty
from core.learning.overlay.doubt_regions import DoubtfulRegion, doubtful_regions
from core.learning.prediction.uncertainty import UncertaintySource

if TYPE_CHECKING:
    from app.session.state import CurrentImage
    from app.workers.tasks import Task
    from core.project.project import ImageEntry, Project

OPEN: Final = "Open it"
MOST_CORNERS: Final = 4000
"""Of an outline that glows: a wide pen around more takes longer than a frame."""
MOST_SURENESS_PIXELS: Final = 250_000
"""About so many of those on the screen tell how sure a prediction is: it is told at each of them."""
UNSEARCHED: Final = "In an image of this size doubtful regions are not looked for."
_LOOK_AFTER_MS: Final = 120
"""After the view has moved: scrolling must not wait for a mean over megapixels."""
_AGE_EVERY_MS: Final = 1000


class DoubtWiring(Wiring):
    """Joins actions, bar, canvas and controller.

    Args:
        common: of its actions `view.uncertainty` and `train.next_doubtful`.
        most_useful: the image rated most useful besides those given, None where none is rated.

    Signals:
        pointed(int, int): a pixel of the region that was just shown, for keys that act on what is pointed at.
    """

    pointed = Signal(int, int)

    def __init__(
        self,
        common: Common,
        *,
        most_useful: Callable[[Collection[str]], str | None],
        canvas: CanvasView,
        bar: PredictionBar,
        toast: Toast,
    ) -> None:
        super().__init__(common, canvas)
        self._canvas = canvas
        self._bar = bar
        self._toast = toast
        self._show = self._actions["view.uncertainty"]
        self._next = self._actions["train.next_doubtful"]
        self._map: Uncertainty | None = None
        self._wanted = False
        self._go_when_known = False
        self._finding: Task | None = None
        self._seen: list[DoubtfulRegion] = []
        self._outline = DoubtfulOutline(self._session, canvas)
        self._images = DoubtfulImages(self._session, most_useful)
        self._offered: str | None = None
        self._said = ""
        self._look = QTimer(self, singleShot=True, interval=_LOOK_AFTER_MS)
        self._look.timeout.connect(self._tell_sureness)
        self._age = QTimer(self, interval=_AGE_EVERY_MS)
        self._age.timeout.connect(self._tell_age)
        self._connect()
        self._on_prediction_changed(self._controller.prediction)

    def _connect(self) -> None:
        bar, canvas, controller, session = self._bar, self._canvas, self._controller, self._session
        self._show.toggled.connect(self._on_shown)
        self._next.triggered.connect(self.go_to_next)
        self._join_sources()
        bar.uncertainty_toggled.connect(self._show.setChecked)
        bar.doubtful_requested.connect(self.go_to_next)
        bar.heat_changed.connect(self._on_heat_changed)
        bar.set_heat(self._settings.uncertainty_opacity)
        canvas.set_uncertainty_opacity(self._settings.uncertainty_opacity)
        controller.event_received.connect(self._on_event)
        controller.prediction_changed.connect(self._on_prediction_changed)
        controller.training_state_changed.connect(self._tell_age)
        session.current_changed.connect(self._on_current_changed)
        session.document_changed.connect(self._tell_age)
        self._toast.action_clicked.connect(self._on_toast_clicked)
        canvas.zoom_changed.connect(self._on_view_moved)
        for scroll_bar in (canvas.horizontalScrollBar(), canvas.verticalScrollBar()):
            scroll_bar.valueChanged.connect(self._on_view_moved)

    def close(self) -> None:
        """End the worker."""
        self._age.stop()
        self._look.stop()
        super().close()

    # --- heat ---------------------------------------------------------------------------------------------

    def _on_shown(self, shown: bool) -> None:
        self._bar.set_uncertainty_visible(shown)
        self._canvas.set_uncertainty_visible(shown)
        self._want(on=shown)

    def _want(self, *, on: bool) -> None:
        if on != self._wanted:
            self._wanted = on
            if not on:  # it would grow old: none follows the next predictions
                self._map = None
                self._canvas.set_uncertainty(None)
            self._controller.want_uncertainty(on=on, source=self._settings.uncertainty_source)

    def _join_sources(self) -> None:
        """One of the sources is chosen; the map on show is made anew from another."""
        group = QActionGroup(self)
        for source in get_args(UncertaintySource):
            action = self._actions[f"view.uncertainty_{source}"]
            group.addAction(action)
            action.setChecked(source == self._settings.uncertainty_source)
            action.triggered.connect(partial(self._on_source_chosen, source))

    def _on_source_chosen(self, source: UncertaintySource, _checked: bool = True) -> None:
        self._settings.uncertainty_source = source
        if self._wanted:
            self._controller.want_uncertainty(on=True, source=source)

    def _on_heat_changed(self, opacity: float) -> None:
        self._canvas.set_uncertainty_opacity(opacity)
        self._settings.uncertainty_opacity = opacity

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Prediction) and event.region is None:
            self._images.note(event)
        elif isinstance(event, Uncertainty):
            self._on_uncertainty(event)

    def _on_uncertainty(self, event: Uncertainty) -> None:
        current = self._session.current
        if current is None or current.entry.key != event.key or current.size_hw != event.entropy.size_hw:
            return
        if not self._wanted:
            return  # it was under way when nobody wanted it any more: none follows it
        self._map = event
        entropy = event.entropy.unpack()
        self._canvas.set_uncertainty(entropy)
        self._outline.follow(entropy)
        if self._go_when_known:
            self._go_when_known = False
            self._find()

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        self._map = None
        self._seen.clear()
        self._withdraw()
        if self._finding is not None:
            self._finding.cancel()
            self._finding = None
        self._go_when_known = current is not None and current.entry.key == self._offered
        self._offered = None
        # Whoever asked for one region does not have the engine work out maps of all images that follow.
        self._want(on=self._show.isChecked() or self._go_when_known)

    # --- regions ------------------------------------------------------------------------------------------

    def go_to_next(self) -> None:
        """Show the next doubtful region of this image; after its last one, the most doubtful image."""
        current = self._session.current
        if self._open_offered():
            return
        if current is None or current.document is None:
            self._session.message.emit("Open an image first; then go to its doubtful regions.", "info")
        elif current.pyramid is not None:
            self._session.message.emit(UNSEARCHED, "info")
        elif self._map is not None:
            self._find()
        elif self._controller.prediction is None:
            self._session.message.emit(no_prediction(self._bar.absence), "info")
        else:
            self._go_when_known = True
            self._want(on=True)
            self._session.message.emit("Looking for doubtful regions …", "info")

    def _find(self) -> None:
        current, found, project = self._session.current, self._map, self._session.project
        if self._finding is not None or project is None or found is None:
            return
        if current is None or current.document is None:
            return
        self._finding = task = self._runner.run(
            find_regions,
            project,
            current.entry,
            current.document.snapshot(),
            found,
            doing="looking for doubtful regions",
        )
        task.done.connect(partial(self._on_found, current))
        task.failed.connect(self._on_failed)

    def _on_failed(self, sentence: str) -> None:
        self._finding = None
        self._session.message.emit(sentence, "warning")

    def _on_found(self, current: CurrentImage, regions: tuple[DoubtfulRegion, ...]) -> None:
        self._finding = None
        fresh = [region for region in regions if not any(same_place(region, old) for old in self._seen)]
        if fresh:
            self._go_to(fresh[0], len(fresh) - 1)
        else:
            self._offer_image(current)

    def _go_to(self, region: DoubtfulRegion, left: int) -> None:
        self._seen.append(region)
        self._canvas.reveal(region.box)
        at = self._place_to_point_at(region)
        taken = self._canvas.region_at(*at)
        rings = () if taken is None or sum(map(len, taken.rings)) > MOST_CORNERS else taken.rings
        self._outline.show(region, at, rings)
        self.pointed.emit(*at)
        others = "none after it" if not left else "one more" if left == 1 else f"{left} more"
        offer = ""
        found = None if taken is None else self._session.classes.by_index(taken.label_index)
        if taken is not None and found is not None:
            which = "dashed " if rings else ""
            offer = f" Enter accepts all of the {which}{found.name}, {int(taken.mask.sum()):,} pixels."
        self._session.message.emit(f"Doubtful region of {region.area:,} pixels, {others}.{offer}", "info")

    def _place_to_point_at(self, region: DoubtfulRegion) -> tuple[int, int]:
        """Where something is predicted, as doubtful as can be; else the most doubtful pixel."""
        prediction, found = self._controller.prediction, self._map
        if prediction is None or found is None or prediction.classes.size_hw != found.entropy.size_hw:
            return region.peak
        x0, y0, x1, y1 = region.box
        classes = prediction.classes.unpack()[y0:y1, x0:x1]
        background = self._session.classes.background
        taken = region.mask & (classes != UNLABELLED)
        if background is not None:
            taken &= classes != background
        if not taken.any():
            return region.peak
        doubt = np.where(taken, found.entropy.unpack()[y0:y1, x0:x1].astype(np.int16), -1)
        row, column = np.unravel_index(int(doubt.argmax()), doubt.shape)
        return x0 + int(column), y0 + int(row)

    # --- images -------------------------------------------------------------------------------------------

    def _offer_image(self, current: CurrentImage) -> None:
        """Say that this image has no more, and where to go on."""
        said = "That was the last doubtful region of this image."
        if not self._seen:
            said = "Nothing of this image is doubtful that is not labelled."
        self._seen.clear()
        self._outline.clear()
        self._session.message.emit(said, "info")  # in place of "Looking"
        offered = self._images.most_doubtful(besides=current.entry.key)
        if offered is None:
            return
        self._offered = offered.key
        key = self._next.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        hint = f" ({key})" if key else ""
        name = image_stem(PurePosixPath(offered.key))
        self._said = f"{said} Go on with {name}, {offered.which}?{hint}"
        self._toast.show_message("info", self._said, action=OPEN)

    def _on_toast_clicked(self) -> None:
        if self._said and self._toast.text == self._said:
            self._open_offered()

    def _open_offered(self) -> bool:
        """Go to the image that is offered; False where none is, or where it is gone from the project."""
        if self._offered is None or self._session.entry(self._offered) is None:
            self._offered = None
            self._withdraw()
            return False
        self._session.open_image(self._offered)
        return True

    def _withdraw(self) -> None:
        if self._said and self._toast.text == self._said:
            self._toast.hide()
        self._said = ""

    # --- how sure, how old --------------------------------------------------------------------------------

    def _on_prediction_changed(self, prediction: Prediction | None) -> None:
        if prediction is None:
            self._map = None
            self._canvas.set_uncertainty(None)
            self._age.stop()
        else:
            self._age.start()
        self._tell_sureness()
        self._tell_age()

    def _on_view_moved(self, _to: float) -> None:
        self._look.start()

    def _tell_sureness(self) -> None:
        prediction = self._controller.prediction
        if prediction is None:
            self._bar.set_sureness("")
            return
        confidence, classes = prediction.confidence.unpack(), prediction.classes.unpack()
        whole = False
        if prediction.region is None:  # else it is of what is on the screen
            view, whole = self._visible_part(confidence)
            confidence, classes = confidence[view], classes[view]
        step = max(1, math.isqrt(confidence.size // MOST_SURENESS_PIXELS))
        confidence, classes = confidence[::step, ::step], classes[::step, ::step]
        background = self._session.classes.background
        objects = classes != UNLABELLED
        if background is not None:
            objects &= classes != background
        # Most of most images is background that nobody doubts: it would make every prediction look sure.
        any_object = bool(objects.any())
        mean = float(confidence[objects].mean() if any_object else confidence.mean()) / 255
        detail = sureness_detail(prediction, mean, whole=whole, objects=any_object)
        self._bar.set_sureness(sureness(prediction, mean), detail)

    def _visible_part(self, confidence: NDArray[np.uint8]) -> tuple[tuple[slice, slice], bool]:
        """Rows and columns of what the view shows of a map, and whether that is all of the image."""
        height, width = confidence.shape
        view = self._canvas.mapToScene(self._canvas.viewport().rect()).boundingRect()
        seen = view.intersected(QRectF(0, 0, width, height)).toAlignedRect()
        x0, y0, x1, y1 = seen.left(), seen.top(), seen.right() + 1, seen.bottom() + 1
        part = slice(max(0, y0), y1), slice(max(0, x0), x1)
        shown = confidence[part].size
        if not shown:
            return (slice(None), slice(None)), True
        return part, shown == confidence.size

    def _tell_age(self, _changed: object = None) -> None:
        prediction, current = self._controller.prediction, self._session.current
        if prediction is None or current is None or current.document is None:
            self._bar.set_age("")
            return
        self._bar.set_age(
            behind(
                prediction,
                edits=self._controller.edits_unknown,
                seconds=self._controller.prediction_age_s,
                training=self._controller.training_state == "training",
                live=self._settings.learn_live,
            )
        )


def same_place(region: DoubtfulRegion, other: DoubtfulRegion) -> bool:
    """Whether both are much the same part of the image, though the map may have changed meanwhile."""
    return _holds(region, other.peak) or _holds(other, region.peak)


def _holds(region: DoubtfulRegion, xy: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = region.box
    x, y = xy
    return x0 <= x < x1 and y0 <= y < y1 and bool(region.mask[y - y0, x - x0])


def find_regions(
    project: Project, entry: ImageEntry, annotation: Annotation, found: Uncertainty
) -> tuple[DoubtfulRegion, ...]:
    """Worker: the regions of an image worth a look, as it is labelled now."""
    mask, _ = render(project, entry, annotation)
    settled = mask != UNLABELLED if isinstance(mask, np.ndarray) else None
    apart = None if found.disagreement is None else found.disagreement.unpack()
    return doubtful_regions(found.entropy.unpack(), apart, settled)
