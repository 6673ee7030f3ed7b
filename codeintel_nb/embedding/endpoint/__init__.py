"""Embedding endpoints: models behind an OpenAI-compatible ``/v1/embeddings``."""
