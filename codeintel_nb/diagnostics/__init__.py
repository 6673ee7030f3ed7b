"""What is wrong with an index or an installation."""
