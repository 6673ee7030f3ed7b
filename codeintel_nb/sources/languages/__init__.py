"""Definitions of each language: adding one is an entry here."""
