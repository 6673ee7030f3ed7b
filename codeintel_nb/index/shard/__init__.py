"""Immutable shards: what is on disk, and how it is read and written."""
