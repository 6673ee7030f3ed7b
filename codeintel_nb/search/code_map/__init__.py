"""The map of the code."""
