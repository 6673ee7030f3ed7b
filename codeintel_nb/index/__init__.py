"""Immutable shards, and how new ones come to be."""
