"""The window (PySide6). This process never imports torch."""
