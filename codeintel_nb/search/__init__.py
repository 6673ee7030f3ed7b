"""Searches: from a query to hits."""
