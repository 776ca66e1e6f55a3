"""Runs on disk: their folders, weights and checkpoints, and what is read from them again."""
