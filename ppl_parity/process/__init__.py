"""Processes: each side in one of its own, what crosses to it, and how any of them begins and ends."""
