"""Immutable shards: their files, readers and writer."""
