"""A model pack: what it declares about its networks, and its files."""
