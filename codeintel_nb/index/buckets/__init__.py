"""Indexes on object storage: upload by their owner, local mirrors for their readers."""
