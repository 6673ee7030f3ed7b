"""Notebooks of every form, as cells."""
