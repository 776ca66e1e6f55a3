"""Every action of the window, from one table: name, text, keys, tip, icon, place in the menus.

Names are "menu.verb" and are the objectNames of the QActions: settings keep changed keys under them, the
command palette lists them. Keys are labelme's where labelme has one. The first key of an action is the one
that menus show and that a person can change; the others are aliases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.icons import icon
from app.theme import Tokens


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    Attributes:
        name: "menu.verb".
        text: in the menu; & marks the mnemonic.
        keys: portable key texts, the changeable one first.
        tip: one sentence for the status bar and the tooltip; "" repeats the text.
        icon: name in resources/icons, "" for none.
        group: a separator is drawn where it changes within a menu.
        checkable: it is on or off.
        submenu: title of the menu within the menu it is in; "" for the menu itself.
        canvas: its keys work only while the canvas has the focus (Enter, say, means other things elsewhere).
    """

    name: str
    text: str
    keys: tuple[str, ...] = ()
    tip: str = ""
    icon: str = ""
    group: int = 0
    checkable: bool = False
    canvas: bool = False
    submenu: str = ""

    @property
    def menu(self) -> str:
        """The menu it is in."""
        return self.name.split(".", 1)[0]


A = ActionSpec
COMBINE: Final = "&Combine"
OUTLINE: Final = "Outl&ine"
NEW_SHAPES: Final = "&New shapes"
TOOLS_MENU: Final = "&Tools"
UNCERTAINTY: Final = "Unc&ertainty from"
ACTIONS: Final[tuple[ActionSpec, ...]] = (
    A("file.open_folder", "Open &folder…", ("Ctrl+U",), "Open a folder of images or a project", "folder"),
    A("file.open_file", "&Open image or annotation…", ("Ctrl+O",), "Open its folder at this image",
      "image"),
    A("file.open_sample", "Open the &sample project", (), "A copy of the ultrasound sample to try things on",
      "images"),
    A("file.add_images", "Add a folder of &images…", (), "Take another folder into this project", "plus"),
    A("file.save", "&Save now", ("Ctrl+S",), "Edits are saved by themselves; this does it at once", "save",
      1),
    A("file.save_as", "Save &as…", ("Ctrl+Shift+S",), "Write a copy of this annotation elsewhere", "copy",
      1),
    A("file.export", "&Export…", ("Ctrl+Shift+E",), "Masks, labelme files, weights, ONNX", "export", 1),
    A("file.problems", "&Problems…", (), "Files of this project that cannot be used, and why", "warning",
      1),
    A("file.delete_annotation", "&Delete annotation…", ("Ctrl+Delete",),
      "Delete the label file of this image, and its mask", "trash", 2),
    A("file.close", "&Close project", ("Ctrl+W",), "Save and close the project", "close", 3),
    A("file.quit", "&Quit", ("Ctrl+Q",), "Save and leave", "", 3),
    A("edit.undo", "&Undo", ("Ctrl+Z",), "Take the last edit back; while drawing, the last point or stroke",
      "undo"),
    A("edit.redo", "&Redo", ("Ctrl+Y", "Ctrl+Shift+Z"), "Do the last undone edit again", "redo"),
    A("edit.history", "Edit &history", ("Ctrl+H",), "List all edits of this image and go to any of them",
      "history"),
    A("edit.copy", "&Copy", ("Ctrl+C",), "Copy the selected shapes", "copy", 1),
    A("edit.paste", "&Paste", ("Ctrl+V",), "Put the copied shapes on this image", "", 1),
    A("edit.duplicate", "D&uplicate", ("Ctrl+D",), "Copy the selected shapes beside themselves", "", 1),
    A("edit.delete", "&Delete", ("Delete",), "Delete the selected shapes", "trash", 1),
    A("edit.select_all", "Select &all", ("Ctrl+A",), "Select all shapes of this image", "", 2),
    A("edit.select_class", "Select all of the same &class", ("Shift+A",),
      "Select all shapes with the labels of the selected ones", "", 2),
    A("edit.select_group", "Select the &group", ("Shift+G",), "Select what is grouped with the selected",
      "", 2),
    A("edit.label", "Edit &label…", ("Ctrl+E",), "Give the selected shapes another class", "edit", 2),
    A("edit.add_class", "&New class…", ("Shift+C",), "Add a class that shapes can have", "plus", 2),
    A("edit.keep_previous", "&Keep the previous image's shapes", ("Ctrl+P",),
      "Put the shapes of the image you leave on the next one, if it has none", "", 3, checkable=True),
    A("view.zoom_in", "Zoom &in", ("Ctrl++", "Ctrl+="), "", "zoom-in"),
    A("view.zoom_out", "Zoom &out", ("Ctrl+-",), "", "zoom-out"),
    A("view.zoom_actual", "&Actual size", ("Ctrl+0",), "One image pixel is one screen pixel", "zoom-actual"),
    A("view.fit", "&Fit window", ("Ctrl+F",), "Show the whole image", "zoom-fit"),
    A("view.fit_width", "Fit &width", ("Ctrl+Shift+F",), "Show the whole width", "zoom-fit-width"),
    A("view.labels", "Show &labels", ("L", "T"), "Show or hide all shapes", "labels", 1, checkable=True),
    A("view.prediction", "Show &prediction", ("P",), "Show or hide what the network sees", "prediction", 1,
      checkable=True),
    A("view.uncertainty", "Show &uncertainty", ("U",), "Heat where the prediction cannot be relied on",
      "uncertainty", 1, checkable=True),
    A("view.uncertainty_tta", "&Mirrored looks", (), "What a mirrored look sees otherwise is uncertain", "",
      1, checkable=True, submenu=UNCERTAINTY),
    A("view.uncertainty_mc_dropout", "Monte Carlo &dropout", (),
      "What differs between ten passes with dropout left on is uncertain", "", 1, checkable=True,
      submenu=UNCERTAINTY),
    A("view.uncertainty_ensemble", "&Several runs", (),
      "What an ensemble of this project's runs does not agree on is uncertain", "", 1, checkable=True,
      submenu=UNCERTAINTY),
    A("view.names", "Write labels on &shapes", ("Shift+L",), "Show each shape's class where there is room",
      "text", 2, checkable=True),
    A("view.crosshair", "&Crosshair", ("X",), "Lines through the mouse, across the view", "crosshair", 2,
      checkable=True),
    A("view.loupe", "L&oupe", ("Z",), "A magnifier beside the mouse; hold the key to see it only so long",
      "loupe", 2, checkable=True),
    A("view.grid", "&Grid", ("G",), "Lines over the image; close up, every pixel is framed", "grid", 2,
      checkable=True),
    A("view.grid_spacing", "Grid s&pacing…", ("Ctrl+Alt+G",), "How many pixels lie between the grid's lines",
      "", 2),
    A("view.display", "&Brightness and contrast…", ("Ctrl+B",),
      "Brightness, contrast, gamma, one channel; the file stays as it is", "sun", 2),
    A("view.theme_dark", "&Dark", (), "Dark colours", "moon", 9, checkable=True),
    A("view.theme_light", "&Light", (), "Light colours", "sun", 9, checkable=True),
    A("view.theme_system", "As the &desktop", (), "The colours of the desktop", "", 9, checkable=True),
    A("shape.select", "&Select and edit", ("Ctrl+J",), "Select, move and reshape", "select", checkable=True),
    A("shape.polygon", "&Polygon", ("Ctrl+N",),
      "Click points; close with Enter, a double click, or the first point", "polygon", checkable=True),
    A("shape.freehand", "Freeha&nd", ("Ctrl+Shift+N",), "Drag around an object", "freehand", checkable=True),
    A("shape.brush", "&Brush", ("B",), "Paint a region, or add to the one the stroke begins on", "brush",
      checkable=True),
    A("shape.eraser", "&Eraser", ("E",), "Take from the selected shape, or from all the stroke crosses",
      "eraser", checkable=True),
    A("shape.live_wire", "Li&ve wire", ("Q",), "Click anchors; the outline follows the edges between them",
      "live-wire", checkable=True),
    A("shape.wand", "Magic &wand", ("W",), "Click an object of one colour; drag sideways for the tolerance",
      "wand", checkable=True),
    A("shape.grabcut", "Ob&ject in a box", ("C",), "Drag a box around an object, correct with strokes",
      "grabcut", checkable=True),
    A("shape.superpixel", "Superpi&xels", ("V",), "Pick an object together from small segments", "superpixel",
      checkable=True),
    A("shape.blobs", "Blob proposals", ("O",), "Click candidates that stand out from their surroundings",
      "blobs", checkable=True),
    A("shape.rectangle", "&Rectangle", ("Ctrl+R",), "Two corners", "rectangle", checkable=True),
    A("shape.oriented_rectangle", "Oriented rectan&gle", ("Ctrl+Shift+R",), "One side, then the width",
      "oriented-rectangle", checkable=True),
    A("shape.circle", "&Circle", (), "Centre and rim", "circle", checkable=True),
    A("shape.line", "&Line", (), "Two ends", "line", checkable=True),
    A("shape.linestrip", "Line s&trip", (), "Click points; end with Enter or Ctrl+click", "linestrip",
      checkable=True),
    A("shape.point", "P&oint", (), "One click", "point", checkable=True),
    A("shape.region", "Predicted &region", ("R",), "Click a predicted region to make it a shape", "region",
      checkable=True),
    A("shape.split", "Split b&y a line", ("K",), "Draw a line across a shape to divide it", "split",
      checkable=True),
    A("shape.ruler", "R&uler", ("M",), "Drag to measure length and angle", "ruler", checkable=True),
    A("shape.finished_area", "&Finished area", ("Shift+B",),
      "Drag a rectangle in which everything not drawn is background", "finished-area", checkable=True),
    A("shape.brush_smaller", "S&maller brush", ("[",), "Make brush and eraser smaller", "", 1,
      submenu=TOOLS_MENU),
    A("shape.brush_larger", "Lar&ger brush", ("]",), "Make brush and eraser larger", "", 1,
      submenu=TOOLS_MENU),
    A("shape.done", "&Image is done", ("F",), "All is drawn: the rest of the image is background", "done", 1,
      checkable=True),
    A("shape.done_next", "Done, &next image", ("Shift+F",), "Mark the image as done and go to the next one",
      "", 1),
    A("shape.done_left", "The image just &left is done", ("Shift+D",),
      "Mark the image you came from, which was in progress, as done", "", 1),
    A("shape.cut_hole", "Make a &hole", ("H",), "Cut the selected shape out of the one around it", "hole",
      2),
    A("shape.to_front", "Bring to &front", ("Shift+PgUp",), "Later shapes paint over earlier ones", "", 2),
    A("shape.to_back", "Send to &back", ("Shift+PgDown",), "Earlier shapes are painted over", "", 2),
    A("shape.unite", "&Unite", ("J",), "Make one shape of the selected ones; the lowest gives the class",
      "merge", 3, submenu=COMBINE),
    A("shape.subtract", "&Subtract", ("Shift+J",), "Cut the upper selected shapes out of the lowest", "", 3,
      submenu=COMBINE),
    A("shape.intersect", "&Intersect", ("Ctrl+Shift+J",), "Keep only what all selected shapes have in common",
      "", 3, submenu=COMBINE),
    A("shape.give_way", "Take only &free pixels", (), "Leave to the selected shapes what no other shape has",
      "", 3, submenu=COMBINE),
    A("shape.push_away", "Take pixels from &others", (), "Cut the selected shapes out of those they overlap",
      "", 3, submenu=COMBINE),
    A("shape.clip", "&Clip to image", (), "Cut off what lies outside the image", "", 3, submenu=COMBINE),
    A("shape.simplify", "&Simplify…", ("S",), "Leave out vertices that matter little", "", 3,
      submenu=OUTLINE),
    A("shape.smooth", "S&mooth…", ("Shift+S",), "Soften the outline", "", 3, submenu=OUTLINE),
    A("shape.fill_holes", "&Fill holes", ("Shift+H",), "Take the holes out of the selected polygons", "", 3,
      submenu=OUTLINE),
    A("shape.to_polygon", "Convert to &polygon", (), "Boxes, circles and masks become polygons", "", 3,
      submenu=OUTLINE),
    A("shape.to_mask", "Convert to mas&k", (), "Keep exactly the pixels the selected shapes draw", "mask", 3,
      submenu=OUTLINE),
    A("shape.group", "&Group", ("Ctrl+G",), "The selected shapes are parts of one object", "layers", 4),
    A("shape.ungroup", "U&ngroup", ("Ctrl+Shift+G",), "Take the selected shapes out of their groups", "", 4),
    A("shape.lock", "Loc&k", ("Ctrl+L",), "Protect the selected shapes from edits", "lock", 4),
    A("shape.unlock", "&Unlock all", ("Ctrl+Shift+L",), "Make all shapes of this image editable", "", 4),
    A("shape.draw_stack", "Lie on &top", (), "New shapes lie on top of the others", "", 5, checkable=True,
      submenu=NEW_SHAPES),
    A("shape.draw_under", "Take only &free pixels (draw under)", (), "New shapes end at those that are there",
      "", 5, checkable=True, submenu=NEW_SHAPES),
    A("shape.draw_over", "Take pixels from &others (draw over)", (), "Those that are there end at new shapes",
      "", 5, checkable=True, submenu=NEW_SHAPES),
    A("shape.snap", "S&nap to neighbours", ("N",), "Points snap to vertices and edges; Alt suspends it", "",
      5, checkable=True),
    A("train.start", "&Train", ("Ctrl+T",), "Let the network learn from what is labelled", "play"),
    A("train.anew", "&Begin a new run", (), "Forget what the last run learned and begin again", "refresh"),
    A("train.pause", "&Pause or go on", ("Ctrl+Shift+T",), "Hold training; predictions go on", "pause"),
    A("train.stop", "&Stop", ("Ctrl+.",), "End training; everything is saved", "stop"),
    A("train.resume", "&Resume what was cut short", (),
      "Go on with the training that ended without having been finished or stopped", "history"),
    A("train.live", "&Learn while drawing", (),
      "Learn every change of labels within seconds, and predict with what was learned", "", 1,
      checkable=True),
    A("train.settings", "Trai&ning settings…", (),
      "Advanced: every parameter of a run, as crops, rate, loss, augmentation and what is held out",
      "settings", 1),
    A("train.accept_region", "&Accept region", ("Return", "Enter"),
      "Turn the predicted region under the cursor into a polygon", "check", 2, canvas=True),
    A("train.accept_all", "Accept a&ll", ("Ctrl+Return", "Ctrl+Enter"),
      "Turn the whole prediction of this image into polygons", "accept-all", 2),
    A("train.next_doubtful", "Next &doubtful region", ("I",),
      "Go to the most doubtful region that is not labelled yet, then to the next", "doubtful", 2),
    A("train.post_process", "Clean &up predictions…", (),
      "Post-processing: follow colours (dense CRF), remove small regions, fill holes, part touching objects",
      "filter", 2),
    A("train.preview_crops", "What the net&work sees…", (),
      "Crops of this image as they are learned from, with their augmentation", "images", 3),
    A("train.explain", "E&xplain the model…", (),
      "What the chosen network is made of, what a pixel depends on, its maps of this image", "network", 3),
    A("train.predict_folder", "Predict a &folder…", ("Ctrl+Alt+P",),
      "Segment thousands of images in the background", "prediction", 3),
    A("train.use_weights", "Predict with a wei&ghts file…", (),
      "Show what the network in a safetensors file predicts, in place of this project's runs", "", 3),
    A("train.use_runs", "Predict with this pro&ject's runs", (),
      "Show again what the best run of this project predicts, after a weights file", "", 3),
    A("train.audit", "Label a&udit…", ("F7",), "List the labels that are probably wrong, the worst first",
      "question", 4),
    A("train.audit_fix", "Audit: ta&ke what the network sees", ("F8",),
      "Give the label chosen in the audit the class that the network sees", "", 4),
    A("train.audit_confirm", "Audit: the label is &right", ("F6",),
      "Never list the label chosen in the audit again, unless it changes", "", 4),
    A("train.compare", "&Compare runs…", (), "Curves, scores, settings and predictions of runs side by side",
      "history", 5),
    A("train.confusion", "Confusion &matrix…", (), "What is taken for what, in the last validation", "grid",
      5),
    A("window.next", "&Next image", ("D",), "", "next"),
    A("window.previous", "&Previous image", ("A",), "", "previous"),
    A("window.next_copy", "Next image, &copy shapes", ("Ctrl+Shift+D",),
      "Go on and put these shapes on the next image"),
    A("window.previous_copy", "Pre&vious image, copy shapes", ("Ctrl+Shift+A",),
      "Go back and put these shapes on the previous image"),
    A("window.next_useful", "Next &most useful image", ("Y",),
      "Go to the image whose labels would teach the network most"),
    A("window.reset_layout", "&Reset layout", (), "Put all panels back in their places", "", 8),
    A("help.palette", "&Command palette", ("Ctrl+Shift+P",), "Find any action by its name", "command"),
    A("help.shortcuts", "&Keyboard shortcuts…", ("F1",), "See and change all keys", "keyboard"),
    A("help.log", "Open &log folder", (), "Where the program writes what went wrong", "", 1),
    A("help.about", "&About Maskloop", (), "", "info", 1),
)  # fmt: skip

MENUS: Final = {
    "file": "&File",
    "edit": "&Edit",
    "view": "&View",
    "shape": "&Shape",
    "train": "&Train",
    "window": "&Window",
    "help": "&Help",
}


TOOLS: Final = frozenset(
    spec.name for spec in ACTIONS if spec.menu == "shape" and spec.group == 0 and spec.checkable
)


REPEATED: Final = frozenset(
    (
        "edit.undo",
        "edit.redo",
        "view.zoom_in",
        "view.zoom_out",
        "shape.brush_smaller",
        "shape.brush_larger",
        "window.next",
        "window.previous",
    )
)
"""What a held key does again and again. The rest is done once, however long: accepting, marking as done."""


class Actions(QObject):
    """The QActions of one window, by name. Who owns an action's meaning connects to it.

    Attributes:
        held: the last key repeats; what it triggers goes on until it is released.

    Signals:
        keys_changed: `key_of` has other answers.
    """

    keys_changed = Signal()

    def __init__(self, window: QWidget, canvas: QWidget) -> None:
        super().__init__(window)
        self.held = False
        window.installEventFilter(self)
        self._by_name: dict[str, QAction] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, self)
            action.setObjectName(spec.name)
            action.setCheckable(spec.checkable)
            action.setAutoRepeat(spec.name in REPEATED)
            # A menu has one place for icon and check mark; for what is on or off the mark matters more.
            action.setIconVisibleInMenu(not spec.checkable or spec.name in TOOLS)
            action.setStatusTip(spec.tip)
            if spec.canvas:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                canvas.addAction(action)
            else:
                window.addAction(action)
            self._by_name[spec.name] = action
        self.apply_shortcuts({})

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep `held` up: actions do not tell. A key comes here before its action is triggered."""
        if isinstance(event, QKeyEvent):
            self.held = event.isAutoRepeat()
        return super().eventFilter(watched, event)

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._by_name.values())

    def defaults(self) -> dict[str, str]:
        """The first key of every action as shipped."""
        return {spec.name: (spec.keys or ("",))[0] for spec in ACTIONS}

    def apply_shortcuts(self, changed: Mapping[str, str]) -> None:
        """Set all keys: as shipped, or as the person changed them ("" means no key)."""
        taken = {_portable(key) for key in changed.values() if key}
        for spec in ACTIONS:
            action = self._by_name[spec.name]
            if spec.name in changed:
                keys: tuple[str, ...] = (changed[spec.name], *spec.keys[1:]) if changed[spec.name] else ()
                keys = (keys[0], *(k for k in keys[1:] if _portable(k) not in taken)) if keys else ()
            else:
                keys = tuple(key for key in spec.keys if _portable(key) not in taken)
            action.setShortcuts([QKeySequence(key) for key in keys])
            action.setToolTip(_tooltip(spec, keys))
        self.keys_changed.emit()

    def key_of(self, name: str) -> str:
        """The key of an action as this system writes it; "" for none."""
        return self[name].shortcut().toString(QKeySequence.SequenceFormat.NativeText)

    def fill_menu(self, menu: QMenu, name: str) -> None:
        """Put the actions of one menu into it, separators between their groups."""
        group: int | None = None
        submenus: dict[str, QMenu] = {}
        for spec in ACTIONS:
            if spec.menu != name:
                continue
            if group is not None and spec.group != group:
                menu.addSeparator()
            group = spec.group
            title = TOOLS_MENU if spec.name in TOOLS else spec.submenu
            if title and title not in submenus:
                submenus[title] = menu.addMenu(title)
            submenus.get(title, menu).addAction(self._by_name[spec.name])

    def apply_tokens(self, theme: Tokens) -> None:
        """Colour the icons."""
        for spec in ACTIONS:
            if spec.icon:
                self._by_name[spec.name].setIcon(
                    icon(spec.icon, theme.text, checked_color=theme.accent_text if spec.checkable else None)
                )


def _portable(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)


def _tooltip(spec: ActionSpec, keys: tuple[str, ...]) -> str:
    title = spec.text.replace("&", "").removesuffix("…")
    key = QKeySequence(keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if keys else ""
    head = f"{title}  ({key})" if key else title
    return f"{head}\n{spec.tip}" if spec.tip else head
