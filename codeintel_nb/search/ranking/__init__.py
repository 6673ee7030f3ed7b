"""Ranking of files by fitted features, and of each file's best pieces."""
