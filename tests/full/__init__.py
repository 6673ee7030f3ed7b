"""What takes too long for every run: a hub, a gateway, collaboration, endurance. Marked ``full``; .ci/full runs it."""
