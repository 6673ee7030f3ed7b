"""Scopes shared through Redis."""
