"""The parts that join one concern of panels, canvas and dialogs with session and engine."""
