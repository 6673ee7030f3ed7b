"""Tests too slow for every run: a hub, a gateway, collaboration and a soak. Marked ``full``; run by .ci/full."""
