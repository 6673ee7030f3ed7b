"""Training of the default embedding table: fetch, audit, mine, train.

Unused at run time.
"""
