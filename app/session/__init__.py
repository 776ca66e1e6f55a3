"""What the window works on: the open project, its documents, the image on show, the classes."""
