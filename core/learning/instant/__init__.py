"""The instant learner: a small head fitted in seconds on features that are computed once per image."""
