"""The engine process: its loop, and who answers which command."""
