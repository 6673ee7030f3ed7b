"""Updates of an index, in a child process."""
