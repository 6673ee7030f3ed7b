"""The embedding: a table of token vectors, read without a transformer."""
