"""Training a network: the loop, its state and what is saved of it, the forest, and both learners together."""
