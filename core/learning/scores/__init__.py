"""Scores, their intervals and calibration, as numbers. Torch-free."""
