"""Answers for a panel: the scope with its choices, and the hits of a search as plain text."""
