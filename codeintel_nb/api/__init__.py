"""The operations, once for every face."""
