"""Engines, and the repositories of a home with their indexing."""
