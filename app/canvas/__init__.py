"""The image and everything drawn over it; knows no session."""
