"""Draws as an ArviZ tree, and as its file."""
