"""What is shown over the image: who predicts it, when, how sure that is, and where to look next."""
