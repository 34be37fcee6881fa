"""Loads a whole social graph at once."""
