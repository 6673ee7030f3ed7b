"""Semantic search: candidates by words, vectors and definitions, ranked by their files."""
