"""What is chosen for a run, and what cannot be. Torch-free."""
