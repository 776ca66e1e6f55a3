"""What labels say to a learner: which pixels, how many, where they changed, which look wrong."""
