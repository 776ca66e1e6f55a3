"""The session and the engine: labels go in, predictions and progress come out; what is said of them."""
