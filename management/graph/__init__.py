"""A whole social graph, loaded at once."""
