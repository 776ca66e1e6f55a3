"""A project on disk: its images, annotations, masks and classes.

A project is a folder with a `project.json`; opening any other folder of images, labelled with labelme or
not, makes it one and changes nothing that was there. `load`, `save` and everything about masks may be called
from any thread; what changes the classes or the list of images takes turns with `save`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Annotation, ClassList, LabelClass
from core.errors import FileProblem, ProjectFileError, StorageError, UsageError
from core.files import ProjectLock, carry_on
from core.project import class_edits, mask_store
from core.project.annotation_store import Loaded, remove_annotation, save_annotation
from core.project.beside import copy_beside
from core.project.class_edits import ClassEdit, ShapesOfDeleted
from core.project.contents import LabelledImage, ProjectContents
from core.project.edit_recovery import recover_edits
from core.project.layout import ProjectLayout
from core.project.opening import (
    DEFAULT_BACKGROUND,
    folders_inside,
    image_roots_for,
    new_classes,
    new_file,
    project_root,
    read_file,
    relative_to_project,
    take_lock,
    with_slots,
)
from core.project.project_classes import ProjectClasses
from core.project.project_json import ProjectJson
from core.project.scan import ImageEntry, ScanChange
from core.project.schema import ProjectFile
from core.project.strip_mask import StripMask

__all__ = ["ImageEntry", "LabelledImage", "Loaded", "Project", "ScanChange"]


class Project(ProjectContents):
    """An open project, and what changes it. Make one with `create` or `open`; close it when done.

    Attributes:
        notes: sentences about what opening it found and did, for the person.
        writable: whether anything may be saved; `read_only_reason` says why not.
        read_only_note: the one of `notes` that says that nothing can be saved here, "" if there is none.
        turn: held while classes, the list of images or an annotation change.
    """

    def __init__(
        self,
        layout: ProjectLayout,
        file: ProjectFile,
        lock: ProjectLock | None,
        *,
        digest_on_disk: str | None = None,
    ) -> None:
        super().__init__(layout, ProjectJson(layout.project_file, file, digest_on_disk))
        self.notes: list[str] = []
        self.read_only_reason = "" if lock is not None else "it was opened for reading only"
        self.read_only_note = ""
        self._lock = lock
        self.turn = threading.RLock()
        self._classes = ProjectClasses(layout, self._json, self._index, self.notes)

    # --- open and close -----------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        classes: Sequence[str | LabelClass] = (),
        background: str | None = DEFAULT_BACKGROUND,
        image_roots: Sequence[str | Path] = ("images",),
        holder: str | None = None,
    ) -> Self:
        """Make a new project and open it.

        Args:
            root: its folder, made if missing.
            classes: exactly these, in this order from index 0; none means the background alone.
            background: the name of the class that is the background, if it is among them; None for none.
            image_roots: folders of images, relative to `root` or absolute. If they are "images" alone, and
                there is no such folder but images elsewhere in `root`, the root itself is taken.
            holder: who holds the lock, for the message another window shows.

        Raises:
            UsageError: there is a project already, or the classes are unfit.
            ProjectFileError: there is a file of that name.
            StorageError: the folder cannot be written.
        """
        layout = ProjectLayout(root.resolve())
        if layout.root.is_file():
            raise ProjectFileError(root, "is a file; give a folder for the project")
        if layout.project_file.exists():
            raise UsageError(f"{layout.root}: there is a project already; open it")
        class_list = new_classes(classes, background)
        lock = ProjectLock(layout.lock_file, holder)
        lock.acquire()
        try:
            roots = image_roots_for(layout.root, image_roots)
            file = ProjectFile(
                name=layout.root.name or "project", classes=(), background=None, image_roots=roots
            )
            project = cls(layout, with_slots(layout.root, file.with_classes(class_list)), lock)
            for folder in folders_inside(layout.root, roots):
                folder.mkdir(parents=True, exist_ok=True)
            project._scan()
            if not classes:
                project._classes.adopt_found(first=True)
            project._write(project._json.content)
        except OSError as error:
            lock.release()
            raise StorageError.from_os_error(layout.root, error) from error
        except BaseException:
            lock.release()
            raise
        return project

    @classmethod
    def open(cls, root: Path, *, lock: bool = True, holder: str | None = None) -> Self:
        """Open a project, or make a folder of images one.

        Args:
            root: the folder, or its project.json, or an image or annotation in it.
            lock: False opens for reading only, beside whoever holds the project; nothing is written then.
            holder: who holds the lock, for the message another window shows.

        Raises:
            ProjectLockedError: it is open elsewhere.
            ProjectFileError: there is no such folder, the file is no part of a project, or its project.json
                cannot be understood.
        """
        layout = ProjectLayout(project_root(root))
        if not layout.root.is_dir():
            raise ProjectFileError(root, "there is no such folder; it was moved or its disk is not connected")
        holding, notes = take_lock(layout, holder) if lock else (None, [])
        try:
            file, digest_on_disk = read_file(layout)
            content = with_slots(layout.root, file or new_file(layout))
            project = cls(layout, content, holding, digest_on_disk=digest_on_disk)
            project.notes += notes
            if lock and holding is None:
                project.read_only_reason = "its folder is read-only"
                project.read_only_note = notes[0]
            project._scan()
            recovered = project._recover() if project.writable else []
            added = project._classes.adopt_found(first=file is None)
            if project.writable and (added or content != file):
                project._save_opened()
            if project.writable:
                project.problems += project.refresh_masks(recovered)
        except BaseException:
            if holding is not None:
                holding.release()
            raise
        return project

    def close(self) -> None:
        """Let others open the project. A second call does nothing."""
        if self._lock is not None:
            self._lock.release()
        self.read_only_reason = self.read_only_reason or "it was closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def writable(self) -> bool:
        """Whether annotations, masks and classes can be saved."""
        return not self.read_only_reason

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value in project.json. Raises StorageError."""
        with self.turn:
            content = self._json.content
            self._write(msgspec.structs.replace(content, settings={**content.settings, key: value}))

    # --- images -------------------------------------------------------------------------------------------

    def rescan(self, check: Callable[[], None] = carry_on) -> ScanChange:
        """Look again for images, and for labels other programs added; those become classes.

        `check` is called between two files, and may raise to end it.
        """
        with self.turn:
            change = self._scan(check)
            if self._classes.adopt_found(first=False, check=check) and self.writable:
                self._write(self._json.content)
            return change

    def add_image_root(self, folder: Path) -> ScanChange:
        """Take another folder of images into the project. Raises UsageError, StorageError."""
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
        with self.turn:
            spec = relative_to_project(self.root, folder)
            if spec not in self._json.content.image_roots:
                roots = (*self._json.content.image_roots, spec)
                content = msgspec.structs.replace(self._json.content, image_roots=roots)
                self._write(with_slots(self.root, content))
            return self.rescan()

    def import_folder(self) -> Path:
        """Where images from elsewhere are copied to: the first image folder inside the project."""
        for folder in folders_inside(self.root, self.image_roots):
            return folder
        folder = self.root / "images"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError.from_os_error(folder, error) from error
        self.add_image_root(folder)
        return folder

    # --- annotations --------------------------------------------------------------------------------------

    def save(
        self,
        entry: ImageEntry,
        annotation: Annotation,
        expected_digest: str | None,
        force: bool = False,
        announce: Callable[[str], None] | None = None,
    ) -> str:
        """Write an image's annotation, if its file is still the one that was read.

        Args:
            entry: the image.
            annotation: what to write; a size or image path that is missing or wrong is filled in.
            expected_digest: the digest that `load` or the last `save` gave.
            force: write over a foreign change. A file nobody can read is kept beside even then.
            announce: told the new digest just before the file is replaced.

        Returns:
            The file's new digest.

        Raises:
            ForeignChangeError: another program wrote the file meanwhile.
            StorageError: it cannot be written; what was there is untouched.
        """
        self._require_writable(entry.annotation_path)
        with self.turn:
            if force and (glance := self._index.own_glance(entry)) is not None and glance.problem is not None:
                self.keep_theirs(entry)
            new_digest = save_annotation(entry, annotation, expected_digest, force=force, announce=announce)
            self._index.forget(entry)
        return new_digest

    def delete_annotation(self, entry: ImageEntry, expected_digest: str | None) -> None:
        """Delete an image's annotation file, if it is still the one that was read; its mask follows.

        Raises:
            ForeignChangeError: another program wrote the file meanwhile.
            StorageError: it cannot be deleted.
        """
        self._require_writable(entry.annotation_path)
        with self.turn:
            remove_annotation(entry, expected_digest)
            self._index.forget(entry)

    def keep_theirs(self, entry: ImageEntry) -> Path | None:
        """Copy the annotation file as it is on disk to `<stem>.theirs-<n>.json`, which no image is given.

        Returns:
            The copy; None if there is no file.
        """
        self._require_writable(entry.annotation_path)
        return copy_beside(entry.annotation_path, {entry.image_path.stem for entry in self.images()})

    # --- masks --------------------------------------------------------------------------------------------

    def write_mask(self, entry: ImageEntry, mask: NDArray[np.uint8] | StripMask) -> None:
        """Write an image's index mask (H, W), uint8, or that of a huge image in strips, atomically.

        Raises:
            MaskFileError: a value is no class's index, or somebody else's mask is in the way.
            StorageError: it cannot be written.
        """
        self._require_writable(entry.mask_path)
        mask_store.write_mask(entry, mask, self.classes)

    def remove_mask(self, entry: ImageEntry) -> None:
        """Delete an image's mask, if it is ours. Raises StorageError."""
        self._require_writable(entry.mask_path)
        mask_store.remove_mask(entry)

    def refresh_masks(self, entries: Iterable[ImageEntry] | None = None) -> list[FileProblem]:
        """Write the masks of annotated images anew; None takes all. Returns what could not be written."""
        problems: list[FileProblem] = []
        for entry in self.images() if entries is None else entries:
            try:
                if self._index.glance(entry) is not None:
                    self.write_mask(entry, self.drawn_mask(entry, self.load(entry).annotation))
                    mask_store.keep_current(entry)
            except FileProblem as problem:
                problems.append(problem)
        return problems

    # --- classes ------------------------------------------------------------------------------------------

    def add_class(self, name: str, color: str | None = None, *, index: int | None = None) -> LabelClass:
        """Add a class with this index, or the next that no class ever had.

        Raises:
            UsageError: the name is empty, taken or reserved, the colour is none, the index is taken, or all
                are used up.
        """
        with self.turn:
            self._require_writable(self.layout.project_file)
            return self._classes.add(name, color, index=index)

    def adopt_labels(self, labels: Iterable[str]) -> tuple[LabelClass, ...]:
        """Make classes of labels that are none yet; `__ignore__` and `_background_` keep their meaning."""
        with self.turn:
            added = self._classes.adopt(labels)
            if added:
                self._write(self._json.content)
            return added

    def rename_class(self, index: int, name: str) -> None:
        """Rename a class; the labels of its shapes follow. Whole or not at all."""
        self._edit_classes(lambda classes: class_edits.renamed(classes, index, name))

    def recolor_class(self, index: int, color: str) -> None:
        """Give a class another colour ("#rrggbb"). `refresh_masks` brings it into the masks' palettes."""
        self._edit_classes(lambda classes: class_edits.recolored(classes, index, color))

    def reorder_classes(self, indices: Sequence[int]) -> None:
        """Put the classes into another display order, given by their indices, which they keep."""
        self._edit_classes(lambda classes: class_edits.reordered(classes, indices))

    def merge_classes(self, source: int, into: int) -> None:
        """Give the shapes of one class to another; the emptied class goes. Whole or not at all."""
        self._edit_classes(lambda classes: class_edits.merged(classes, source, into))

    def delete_class(self, index: int, shapes: ShapesOfDeleted = "delete") -> None:
        """Remove a class; `shapes` says what becomes of its shapes. Whole or not at all."""
        self._edit_classes(lambda classes: class_edits.deleted(classes, index, shapes))

    def usage(self, index: int) -> int:
        """How many shapes carry this class's label."""
        return self._classes.usage(index)

    # --- inside -------------------------------------------------------------------------------------------

    def _recover(self) -> list[ImageEntry]:
        """Put edits that a killed window had not yet saved into their files; masks are still to follow."""
        recovered, notes = recover_edits(self.layout.edits, self._index.entries)
        self.notes += notes
        for entry in recovered:
            self._index.forget(entry)
        return recovered

    def _require_writable(self, path: Path) -> None:
        if self.read_only_reason:
            raise StorageError(
                path, f"cannot be saved: the project {self.root.name} is read-only ({self.read_only_reason})"
            )

    def _write(self, content: ProjectFile) -> None:
        self._require_writable(self.layout.project_file)
        self._json.write(content)

    def _save_opened(self) -> None:
        try:
            self._write(self._json.content)
        except StorageError as problem:
            self.read_only_reason = "its folder is read-only"
            self.read_only_note = f"{problem}; what you draw here cannot be saved."
            self.notes.append(self.read_only_note)

    def _edit_classes(self, edit: Callable[[ClassList], ClassEdit]) -> None:
        with self.turn:
            self._require_writable(self.layout.project_file)
            stale = self._classes.apply(edit(self.classes))
            if stale:  # masks are derived, so this may fail without harm
                self.problems = self.refresh_masks(stale)
