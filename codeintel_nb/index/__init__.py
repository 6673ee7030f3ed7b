"""Immutable shards, and the updates that write new ones."""
