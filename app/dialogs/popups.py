"""What the popups share: taking at once the size their content needs."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QWidget


def fit_to_content(popup: QWidget) -> None:
    """Give a popup the size of its content now; asked later, Qt would show a gap where rows have left."""
    for frame in popup.findChildren(QFrame):
        inner = frame.layout()
        if inner is not None:
            inner.invalidate()
            inner.activate()
    layout = popup.layout()
    if layout is not None:
        layout.invalidate()
        layout.activate()
    popup.adjustSize()
