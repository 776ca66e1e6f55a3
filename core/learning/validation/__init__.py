"""Which images are held out, how good predictions of them are, and when that is asked."""
