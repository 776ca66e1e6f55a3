"""What a network is made of, for the window's model page."""
