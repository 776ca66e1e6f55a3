"""Which JSON file belongs to which image, and what is in it at a glance.

In a folder the annotation of `a.png` is `a.json`. A second image of that stem, `a.jpg`, has `a.jpg.json`;
which of them is the second is decided by what exists: a file belongs to the image its `imagePath` names, and
only what is then left goes by the order of names. So an annotation never changes hands because an image was
added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from core.annotation.labelme_json import loads
from core.annotation.model import AnnotationState
from core.errors import AnnotationFileError
from core.files import carry_on, is_file

Stamp = tuple[int, int]
"""Modification time (ns) and size of a file: another stamp means another content."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a list of images needs to know of an annotation file, without its points.

    Attributes:
        stamp: of the file when it was read.
        image_path: as the file has it, with `/`; None when the file is broken.
        labels: how many shapes have which label, first seen first.
        state: as `core.annotation.labelme_json` reads it.
        size_hw: height and width of the image, pixels; None if the file does not say.
        embedded: whether the image itself is in the file.
        problem: why the file cannot be read.
    """

    stamp: Stamp
    image_path: str | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    state: AnnotationState = AnnotationState.UNLABELLED
    size_hw: tuple[int, int] | None = None
    embedded: bool = False
    problem: AnnotationFileError | None = None


class _Shape(msgspec.Struct):
    label: str


class _Ours(msgspec.Struct):
    state: AnnotationState | None = None


class _File(msgspec.Struct):
    """The few fields of interest: msgspec skips the others ten times faster than it would build them."""

    image_path: str = msgspec.field(name="imagePath")
    shapes: list[_Shape]
    maskloop: _Ours | None = None
    height: int | None = msgspec.field(name="imageHeight", default=None)
    width: int | None = msgspec.field(name="imageWidth", default=None)
    image_data: msgspec.Raw = msgspec.field(name="imageData", default=msgspec.Raw(b"null"))


_DECODER: Final = msgspec.json.Decoder(_File)


class Glances:
    """Glances at annotation files, kept until the file changes."""

    def __init__(self) -> None:
        self._kept: dict[Path, Glance] = {}

    def at(self, path: Path) -> Glance | None:
        """What is in the file; None when there is none."""
        stamp = stamp_of(path)
        if stamp is None:
            self._kept.pop(path, None)
            return None
        kept = self._kept.get(path)
        if kept is None or kept.stamp != stamp:
            kept = self._kept[path] = _look(path, stamp)
        return kept

    def forget(self, path: Path) -> None:
        """Look again next time, even if the stamp is the same (a rewrite within the clock's grain)."""
        self._kept.pop(path, None)


def stamp_of(path: Path) -> Stamp | None:
    """The file's stamp; None when there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _look(path: Path, stamp: Stamp) -> Glance:
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = AnnotationFileError(path, f"cannot be read ({error.strerror or error})")
        return Glance(stamp, problem=problem)
    try:
        file = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _look_thoroughly(path, data, stamp)
    state = file.maskloop.state if file.maskloop else None
    if state is None:
        state = AnnotationState.DONE if file.shapes else AnnotationState.UNLABELLED
    labels = Counter(shape.label for shape in file.shapes)
    size_hw = None if file.height is None or file.width is None else (file.height, file.width)
    embedded = bytes(file.image_data) != b"null"
    return Glance(stamp, file.image_path.replace("\\", "/"), labels, state, size_hw, embedded)


def _look_thoroughly(path: Path, data: bytes, stamp: Stamp) -> Glance:
    """For what only the lenient codec reads (a byte order mark, say), and its sentence on what nobody can."""
    try:
        annotation = loads(data, path)
    except AnnotationFileError as problem:
        return Glance(stamp, problem=problem)
    labels = Counter(shape.label for shape in annotation.shapes)
    embedded = annotation.image_data is not None
    return Glance(stamp, annotation.image_path, labels, annotation.state, annotation.size_hw, embedded)


# --- which file for which image ---------------------------------------------------------------------------


def pair(
    folder: Path,
    images: Sequence[str],
    annotations: Mapping[str, Glance],
    *,
    before: Mapping[str, str],
    images_in: Path | None = None,
    reserved: Collection[str] = (),
    check: Callable[[], None] = carry_on,
) -> dict[str, str]:
    """Give each image of a folder its own annotation file name.

    Args:
        folder: where the JSON files lie.
        images: names of the images, all of one folder.
        annotations: the JSON files that exist, by name.
        before: names given earlier, which hold as long as no file says otherwise.
        images_in: the images' folder, if it is not `folder`.
        reserved: names of files that are no annotations.
        check: called before each file is looked for; may raise.

    Returns:
        Annotation file name of every image, all different, also for file systems that ignore case.
    """
    given: dict[str, str] = {}
    taken = {name.casefold() for name in reserved}

    def give(image: str, name: str) -> None:
        given[image] = name
        taken.add(name.casefold())

    existing = {name.casefold(): name for name in annotations}
    for name in sorted(annotations):
        check()
        named = image_named(annotations[name], folder, images_in or folder, images)
        if named is not None and named not in given and name in customary(named):
            give(named, name)
    for image in sorted(set(images) - given.keys(), key=lambda image: (image not in before, image)):
        for name in _candidates(image, existing, before):
            found = annotations.get(existing.get(name.casefold(), ""))
            if name.casefold() in taken:
                continue
            if found is not None and belongs_to_another(
                found.image_path, folder, (images_in or folder) / image
            ):
                continue
            give(image, name)
            break
    return given


def customary(image: str) -> tuple[str, str]:
    """What the annotation of an image may be called: `a.json` of `a.png`, or `a.png.json`."""
    return f"{PurePosixPath(image).stem}.json", f"{image}.json"


def _candidates(image: str, existing: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    plain, full = customary(image)
    if full.casefold() in existing:
        yield full
    if image in before:
        yield before[image]
    yield plain
    yield full
    number = 2
    while True:
        yield f"{image}-{number}.json"
        number += 1


def image_named(glance: Glance, folder: Path, images_in: Path, images: Collection[str]) -> str | None:
    """Which of `images` the annotation names, going by its path, or by its name if the path leads nowhere."""
    if not glance.image_path:
        return None
    name = PurePosixPath(glance.image_path).name
    if name not in images:
        return None
    target = folder / glance.image_path
    return name if _same(target, images_in / name) or not is_file(target) else None


def belongs_to_another(image_path: str | None, folder: Path, image: Path) -> bool:
    """Whether an annotation in `folder` with this `imagePath` is about another image, one that exists."""
    if not image_path:
        return False
    for target in (folder / image_path, image.parent / PurePosixPath(image_path).name):
        if _same(target, image):
            return False
        if is_file(target):
            return True
    return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
