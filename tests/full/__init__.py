"""Tests too slow for every run: a hub, a gateway, collaboration and a soak.

They are marked ``full`` and run by .ci/full.
"""
