"""What differs from the index now, and events of changes."""
