"""A session as a person uses it, for tests without a window."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.session.session import Session
from core.annotation.commands import drawing
from core.annotation.model import Shape, ShapeType


@pytest.fixture
def session(qtbot) -> Iterator[Session]:
    """A session that keeps what it complained of."""
    session = Session()
    session.complaints = []  # type: ignore[attr-defined]
    session.message.connect(lambda text, level: session.complaints.append((level, text)))
    session.open_failed.connect(lambda error, text: session.complaints.append(("failed", text)))
    yield session
    session.close(discard=True)
    session.shut_down()


@pytest.fixture
def opened(session, qtbot, image_folder) -> Session:
    """With three images."""
    open_in(session, qtbot, image_folder(3))
    return session


def open_in(session: Session, qtbot, path: Path) -> None:
    session.open_project(path)
    qtbot.waitUntil(lambda: session.current is not None and not session.busy)


def show(session: Session, qtbot, key: str) -> None:
    session.open_image(key)
    qtbot.waitUntil(lambda: session.current is not None and session.current.entry.key == key)


def square(label: str, at: float = 5.0, side: float = 10.0) -> Shape:
    points = [(at, at), (at + side, at), (at + side, at + side), (at, at + side)]
    return Shape(label, ShapeType.POLYGON, np.array(points))


def draw(session: Session, label: str = "nerve", at: float = 5.0) -> Shape:
    shape = square(label, at)
    assert session.current is not None
    assert session.current.document is not None
    assert session.execute(drawing(session.current.document, [shape]))
    return shape


def json_of(session: Session) -> dict:
    assert session.current is not None
    return json.loads(session.current.entry.annotation_path.read_bytes())


def add_class(session: Session, qtbot, name: str) -> None:
    with qtbot.waitSignal(session.classes_changed):
        session.add_class(name)
