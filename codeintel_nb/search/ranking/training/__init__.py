"""Training of the ranking weights; not part of the wheel."""
