"""Which files of a folder git and ripgrep would read."""
