"""Text search in one shard."""
