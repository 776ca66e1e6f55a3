"""What runs beside the window: tasks, the autosaver, the thread of the engine."""
