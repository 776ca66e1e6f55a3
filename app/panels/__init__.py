"""The side panels and what they are made of: signals out, setters in."""
